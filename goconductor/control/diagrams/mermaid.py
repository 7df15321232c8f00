"""A saga's graph as a flowchart in Mermaid's language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from goconductor.control.diagrams.svg import FILLS, remarks, spelt
from goconductor.control.models import StepStatus
from goconductor.saga.definition import Step, StepRole, definition_of
from goconductor.saga.plan import Plan
from goconductor.saga.plan import plan as plan_of

_BRACKETS = {
    StepRole.COMPENSATABLE: ('["', '"]'),
    StepRole.PIVOT: ('{{"', '"}}'),
    StepRole.RETRIABLE: ('(["', '"])'),
}
_PLAIN = re.compile(r"[^\w .,:=!?+*/()-]")


def mermaid(plan: Plan, statuses: Mapping[str, StepStatus] | None = None) -> str:
    """Draw a plan as a flowchart.

    Args:
        plan: a compiled definition.
        statuses: the status of each step; without it the colours show the roles of steps.
    """
    return "\n".join(_lines(plan, statuses)) + "\n"


def _lines(plan: Plan, statuses: Mapping[str, StepStatus] | None) -> Iterator[str]:
    yield "flowchart TD"
    ids = _ids(plan)
    yield from _graph(plan)
    shown: Mapping[str, StepStatus | StepRole] = plan.roles if statuses is None else statuses
    for colour in sorted({str(shown[name]) for name in plan.order if name in shown}):
        inside, border = next(colours for role, colours in FILLS.items() if str(role) == colour)
        members = ",".join(ids[name] for name in plan.order if str(shown.get(name)) == colour)
        yield f"    classDef {colour} fill:{inside},stroke:{border},color:#0f172a"
        yield f"    class {members} {colour}"


def _ids(plan: Plan, prefix: str = "") -> dict[str, str]:
    return {step: f"{prefix}s{number}" for number, step in enumerate(plan.order)}


def _graph(plan: Plan, prefix: str = "") -> Iterator[str]:
    """Draw the steps of a saga and their order, with ids that begin alike."""
    ids = _ids(plan, prefix)
    for name in plan.order:
        step, (left, right) = plan.steps[name], _BRACKETS[plan.roles[name]]
        words = [name, spelt(step), *remarks(plan, name)]
        yield f"    {ids[name]}{left}{'<br/>'.join(map(_label, words))}{right}"
        if step.body:
            yield from _inside(plan, name, ids[name], left, right)
        yield from _written(step, ids[name])
    for name in plan.order:
        for before in plan.predecessors[name]:
            arrow = "-. fails .->" if plan.stands_for.get(name) == before else "-->"
            yield f"    {ids[before]} {arrow} {ids[name]}"


def _inside(plan: Plan, template: str, id: str, left: str, right: str) -> Iterator[str]:
    """Draw what a map does for each item, or a repeat in each turn, in a box beside it."""
    assert plan.data is not None  # noqa: S101  (it grows)
    body = plan.data.bodies[template]
    ids = {name: f"{id}_{number}" for number, name in enumerate(body.steps)}
    each = "turn" if template in plan.data.repeats else "item"
    yield f'    subgraph {id}_each ["{_label(f"each {each} of {template}")}"]'
    for name, step in body.steps.items():
        words = [name, spelt(step), *([f"when {step.when}"] if step.when else []), *(["may fail"] if step.allow_fail else [])]
        yield f"    {ids[name]}{left}{'<br/>'.join(map(_label, words))}{right}"
        if step.body:
            yield from _inside(plan, f"{template}.{name}", ids[name], left, right)
        yield from _written(step, ids[name])
    for name in body.order:
        for earlier in body.before[name]:
            arrow = "-. fails .->" if body.steps[earlier].fallback == name else "-->"
            yield f"    {ids[earlier]} {arrow} {ids[name]}"
    yield "    end"
    yield f"    {id} -.- {id}_each"


def _written(step: Step, id: str) -> Iterator[str]:
    """Draw a saga that is written inside a step, in a box beside it."""
    if step.saga is None or not step.saga.steps:
        return
    yield f'    subgraph {id}_saga ["{_label(f"the saga of {step.id}")}"]'
    yield from _graph(plan_of(definition_of(step.saga, step.id)), f"{id}_")
    yield "    end"
    yield f"    {id} -.- {id}_saga"


def _label(words: str) -> str:
    """Escape text for Mermaid: a character that could be syntax becomes its number."""
    return _PLAIN.sub(lambda found: f"#{ord(found[0])};", words)
