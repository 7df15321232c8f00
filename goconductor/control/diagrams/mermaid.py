"""A saga's graph as a flowchart in Mermaid's language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from goconductor.control.diagrams.svg import FILLS, remarks, spelt
from goconductor.control.models import StepStatus
from goconductor.saga.definition import StepRole
from goconductor.saga.plan import Plan

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
    ids = {step: f"s{number}" for number, step in enumerate(plan.order)}
    for name in plan.order:
        step, (left, right) = plan.steps[name], _BRACKETS[plan.roles[name]]
        words = [name, spelt(step), *remarks(plan, name)]
        yield f"    {ids[name]}{left}{'<br/>'.join(map(_label, words))}{right}"
        if step.body:
            yield from _inside(plan, name, ids[name], left, right)
    for name in plan.order:
        for before in plan.predecessors[name]:
            arrow = "-. fails .->" if plan.stands_for.get(name) == before else "-->"
            yield f"    {ids[before]} {arrow} {ids[name]}"
    shown: Mapping[str, StepStatus | StepRole] = plan.roles if statuses is None else statuses
    for colour in sorted({str(shown[name]) for name in plan.order if name in shown}):
        inside, border = next(colours for role, colours in FILLS.items() if str(role) == colour)
        members = ",".join(ids[name] for name in plan.order if str(shown.get(name)) == colour)
        yield f"    classDef {colour} fill:{inside},stroke:{border},color:#0f172a"
        yield f"    class {members} {colour}"


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
    for name in body.order:
        for earlier in body.before[name]:
            arrow = "-. fails .->" if body.steps[earlier].fallback == name else "-->"
            yield f"    {ids[earlier]} {arrow} {ids[name]}"
    yield "    end"
    yield f"    {id} -.- {id}_each"


def _label(words: str) -> str:
    """Escape text for Mermaid: a character that could be syntax becomes its number."""
    return _PLAIN.sub(lambda found: f"#{ord(found[0])};", words)
