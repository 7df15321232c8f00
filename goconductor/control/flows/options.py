"""What one execution of a flow asks for that others do not: a flow in, a version of it for this execution out.

A saga goes by its definition and by nothing beside it, so that any process decides the same about it. An option of an execution
is therefore a version of the definition, which new executions do not take. Equal options give the same version.

*Concurrency* is an order: the steps are laid on as many lanes, in an order that the flow allows, and each comes after the one
before it on its lane. So no more of them are out at once than there are lanes, forward and back. A step and its fallback share a
place.

*Starting at a step* skips all steps before it, whose outputs are null then. Whatever refers to one of these is refused, unless
the reference is optional. Steps beside it run as ever, since those behind may need them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from typing import Any

import msgspec
from msgspec.structs import replace

from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.errors import DefinitionError, nearest
from goconductor.saga.checking.constructs.growth import kind_of
from goconductor.saga.checking.constructs.waits import asked_of
from goconductor.saga.checking.references import asked
from goconductor.saga.definition import Definition, Step, with_body
from goconductor.saga.graph import chain, predecessors, reachable
from goconductor.saga.plan import Plan
from goconductor.saga.retry import Retry

CANNOT = "be executed so"
NEVER = "false"
"""The condition of a step that is skipped."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one execution.

    Args:
        timeout_seconds: after this long it compensates, unless its pivot was sent; None leaves it to the flow.
        retry: for the steps of which the flow says nothing else, in place of what their services say.
        concurrency: how many of its steps run at once at most; None: as many as the flow allows.
        from_step: the step that it starts at.
    """

    timeout_seconds: float | None = None
    retry: Retry | None = None
    concurrency: int | None = None
    from_step: str | None = None


def read_retry(document: Mapping[str, Any]) -> Retry:
    """Read a policy from a document.

    Raises:
        RequestInvalidError: it is none; names the fault.
    """
    try:
        return msgspec.convert(document, Retry)
    except msgspec.ValidationError as error:
        from goconductor.control.schema_faults import struct_faults  # noqa: PLC0415  (imports much)

        places = [fault._replace(path=fault.path.replace("$", "$.retry", 1)) for fault in struct_faults(Retry, document)]
        raise RequestInvalidError("the request", places or [Fault("$.retry", f"cannot be: {error}")]) from None


def with_options(plan: Plan, options: Options) -> Definition:
    """Return the version of a flow that has these options; the flow's own where none is given.

    Raises:
        DefinitionError: it cannot be executed so; has all reasons.
    """
    definition = plan.definition
    found: list[str] = []
    if options.from_step is not None:
        definition = _from(plan, options.from_step, found)
    if options.concurrency is not None:
        definition = _on_lanes(plan, definition, options.concurrency, found)
    if found:
        raise DefinitionError(plan.name, found, cannot=CANNOT)
    if (retry := options.retry) is not None:
        definition = replace(definition, steps=tuple(_retried(step, retry) for step in definition.steps))
    if options.timeout_seconds is not None:
        definition = replace(definition, timeout_seconds=options.timeout_seconds)
    return definition


def _from(plan: Plan, start: str, found: list[str]) -> Definition:
    definition = plan.definition
    if start not in {step.id for step in definition.steps}:
        found.append(f"it has no step {start[:100]!a} to start at; {nearest(start, [step.id for step in definition.steps])}.")
        return definition
    if (stands_for := plan.stands_for.get(start)) is not None:
        found.append(f"step {start!r} runs only where step {stands_for!r} has failed; start at that one.")
        return definition
    skipped = reachable({name: plan.predecessors[name] for name in plan.order}, start)
    if plan.pivot in skipped:
        found.append(
            f"step {start!r} comes after the pivot {plan.pivot!r}, which must always run; start at the pivot or before it."
        )
    kept = tuple(step for step in definition.steps if step.id not in skipped)
    found += [
        f"{place.what} refers to {place.place}, and step {place.step!r} is skipped; start at that step, or make it optional."
        for place in asked(replace(definition, steps=kept))
        if place.step in skipped
    ]
    found += [
        f"{what} names steps.{path[1]}, and step {path[1]!r} is skipped; start at that step."
        for step in kept
        for what, path in _signals_names(step)
        if path[1] in skipped
    ]
    found += [
        f"{kind_of(step)} {step.id!r} refers to the output of step {name!r}, which is skipped; start at that step."
        for step in kept
        for name in _used_inside(step)
        if name in skipped
    ]
    steps = tuple(replace(step, when=NEVER) if step.id in skipped else step for step in definition.steps)
    return replace(definition, steps=steps)


def _signals_names(step: Step) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what a condition on signals names of other steps."""
    for what, compiled, of_signal in asked_of(step):
        if of_signal:
            yield from ((what, path) for path in sorted(compiled().named) if path[:1] == ("steps",) and len(path) > 1)


def _used_inside(step: Step) -> Iterator[str]:
    """Yield the steps outside of a map or a repeat that its steps name."""
    inside = {each.id for each in step.body}
    yield from dict.fromkeys(name for each in step.body for name in predecessors(each) if name not in inside)


def _on_lanes(plan: Plan, definition: Definition, lanes: int, found: list[str]) -> Definition:
    if lanes < 1:
        found.append(f"a concurrency of {lanes} would run nothing; give 1 or more.")
        return definition
    if any(step.map is not None for step in definition.steps):
        found.append("it has a map, whose items would all run at once; leave concurrency out, or take the map out of the flow.")
        return definition
    place = {name: first for first in plan.order if first not in plan.stands_for for name in chain(plan.steps, first)}
    places: dict[str, set[str]] = {first: set() for first in place.values()}
    for name in plan.order:
        places[place[name]] |= {place[before] for before in plan.predecessors[name]} - {place[name]}
    order = [*TopologicalSorter(places).static_order()]
    ahead = dict(zip(order[lanes:], order, strict=False))
    return replace(definition, steps=tuple(_behind(step, ahead.get(step.id)) for step in definition.steps))


def _behind(step: Step, name: str | None) -> Step:
    return step if name is None or name in step.after else replace(step, after=(*step.after, name))


def _retried(step: Step, retry: Retry) -> Step:
    if step.body:
        return with_body(step, (_retried(each, retry) for each in step.body))
    return replace(step, retry=retry) if step.run and step.retry is None else step
