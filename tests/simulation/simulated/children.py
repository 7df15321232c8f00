"""Sub-sagas in a simulation: some steps start the saga of another definition, and what must be true of both."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec.structs import asdict, replace

from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.parent import Parent
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.saga.checking.validate import check
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import (
    Binding,
    Child,
    Definition,
    Step,
    Undo,
    child_of,
    definition_of,
    every_step,
    inside,
    undoing_saga,
)
from goconductor.saga.graph import reachable
from goconductor.saga.plan import plan

if TYPE_CHECKING:
    from tests.simulation.simulated.invariants import Watched

_OF_ANY = ("id", "after", "when", "allow_fail", "fallback")
HELD_SHARE = 0.7
"""Share of the children that are held, of those that can be."""
UNDO_SAGA_SHARE = 0.8
"""Share of the declared undos of children that are sagas themselves."""
INSIDE_SHARE = 0.4
"""Share of the children that are written inside their parent's definition."""
_BY_HAND = (e.SkipRequested, e.OutcomeDeclared)


def with_children(definitions: Sequence[Definition], chance: random.Random, *, deep: bool = True) -> list[Definition]:
    """Let steps of definitions start the saga of the one before, so that there are children of children.

    Args:
        definitions: in an order.
        chance: decides which.
        deep: whether all of them do; else every second one does, so that half of them are started by no step.
    """
    made: list[Definition] = []
    for number, definition in enumerate(definitions):
        starts = number > 0 and (deep or number % 2 == 1)
        made.append(_starting(definition, made[-1], chance) if starts else definition)
    return made


def started_by_steps(definitions: Sequence[Definition]) -> set[str]:
    """Return the names of the sagas that steps start, or that undo steps."""
    steps = [step for definition in definitions for step in every_step(definition.steps)]
    children = [step.saga for step in steps] + [undoing_saga(step) for step in steps]
    return {child.name for child in children if child is not None}


def _starting(definition: Definition, below: Definition, chance: random.Random) -> Definition:
    pivot = plan(definition).pivot
    behind = reachable(plan(definition).successors, pivot) if pivot is not None else frozenset[str]()
    able = [step.id for step in definition.steps if step.run and not step.pivot]
    chosen = set(chance.sample(able, min(len(able), chance.randint(1, 2))))
    can_undo_itself = plan(below).pivot is None
    held = {step for step in chosen - behind if can_undo_itself and chance.random() < HELD_SHARE}
    where = random.Random(f"inside {definition.version}")  # the children stay as they were
    written = {step.id: where.random() < INSIDE_SHARE for step in definition.steps}
    sagas = {step.id: where.random() < UNDO_SAGA_SHARE for step in definition.steps}
    children = {step: _inside(below, definition.name, step) if written[step] else Child(name=below.name) for step in chosen}
    steps = tuple(
        Step(
            **{field: each for field, each in asdict(step).items() if field in _OF_ANY},
            saga=replace(children[step.id], version=children[step.id].version or below.version, held=step.id in held),
            inputs={"n": Binding(ref="$.input.n")},
            undo=None if step.id in behind or step.id in held else _undo(step.id, below if sagas[step.id] else None),
        )
        if step.id in chosen
        else step
        for step in definition.steps
    )
    made = Definition(name=definition.name, steps=steps, timeout_seconds=definition.timeout_seconds)
    check(made)
    return made


def _inside(below: Definition, saga: str, step: str) -> Child:
    """Return a definition as a child that is written inside another one, as registering leaves it: named by its place."""
    name = inside(saga, step)
    steps = tuple(
        replace(each, saga=replace(_inside(definition_of(each.saga, saga), name, each.id), held=each.saga.held))
        if each.saga is not None and each.saga.steps
        else each
        for each in below.steps
    )
    child = replace(child_of(below), name=name, steps=steps)
    return replace(child, version=definition_of(child, name).version)


def _undo(step: str, saga: Definition | None) -> Undo:
    if saga is not None:
        return Undo(saga=Child(name=saga.name, version=saga.version), inputs={"n": Binding(ref="$.input.n")})
    return Undo(run="stock.booked", inputs={"value": Binding(ref=str(Reference.to("steps", step)))})


def left_behind(parent: Watched, sagas: Mapping[UUID, Watched]) -> Iterator[str]:
    """Yield the children at work whose parent has ended. Who forces an end, or speaks for a step by hand, leaves them."""
    if not parent.state.phase.ended or parent.was_forced or parent.has(*_BY_HAND):
        return
    for child in sagas.values():
        started = child.state.parent
        if started is not None and started.saga_id == parent.saga_id and not child.state.phase.done:
            yield f"I4: {parent.plan.name} is {parent.state.phase}, and its child of step {started.step} is {child.state.status}"


def families(sagas: Mapping[UUID, Watched]) -> Iterator[str]:
    """Yield what is wrong with parents and children at rest: one child for each attempt, and its end is what the step says."""
    by_step: dict[Parent, list[Watched]] = defaultdict(list)
    for child in sagas.values():
        if child.state.parent is not None:
            by_step[child.state.parent].append(child)
    for started, children in by_step.items():
        if len(children) > 1:
            yield f"I8: {len(children)} sagas were started for {started}"
    for parent in sagas.values():
        if parent.was_forced or parent.has(*_BY_HAND):
            continue
        for name in parent.plan.children:
            step = parent.state.step(name)
            known = [
                each
                for started, (each, *_) in by_step.items()
                if (started.saga_id, started.step, started.undoes) == (parent.saga_id, name, False)
                and (started.round, started.attempt) == (step.round, step.action.attempt)
            ]
            what = f"{parent.plan.name}.{name} ({parent.state.phase}, {step.action.status}/{step.compensation.status})"
            undone = step.compensation.status is CompensationStatus.DONE and name in parent.plan.holds
            ended = SagaStatus.COMPENSATED if undone else SagaStatus.COMPLETED
            if step.action.status is ActionStatus.SUCCEEDED and (not known or known[0].state.phase is not ended):
                yield f"I5: {what} has succeeded, and its child has not: {[each.state.phase for each in known]}"
            never = step.action.status is ActionStatus.PREVENTED and step.action.attempt and step.action.failure is None
            if never and (not known or known[0].state.phase is not SagaStatus.COMPENSATED):
                yield f"I2: {what} has no effect, and its child: {[each.state.phase for each in known]}"
            undoing = Parent(parent.saga_id, name, step.round, step.compensation.attempt, undoes=True)
            by_saga = name in parent.plan.undo_sagas and step.compensation.status is CompensationStatus.DONE
            if by_saga and SagaStatus.COMPLETED not in (each.state.phase for each in by_step.get(undoing, [])):
                yield f"I2: {what} was undone by a saga, which has not completed"
            if undone and (not known or known[0].state.phase is not SagaStatus.COMPENSATED):
                yield f"I2: {what} was undone, and its child: {[each.state.phase for each in known]}"
