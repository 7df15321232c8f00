"""What has grown lives through the same events as the same steps written out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import Decision
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.pending_work import pending_work
from goconductor.saga.definition import Definition, Step, Undo
from goconductor.saga.plan import Plan, plan
from tests.lifecycle.sagas import INPUT, Move, event_of
from tests.lifecycle.test_properties import ID


def coded(step: Step, name: str, after: tuple[str, ...] = ()) -> Step:
    """Return a step of a body that runs the code of another step."""
    return msgspec.structs.replace(
        step, id=name, run=f"service.{name}", after=after, when=None, inputs={}, undo=_undo(step), locks=()
    )


def _undo(step: Step) -> Undo | Literal["none"] | None:
    """What a step says of its undo, without what refers to its id."""
    return Undo(run=step.undo.run) if isinstance(step.undo, Undo) else step.undo


def wanted(state: SagaState) -> set[tuple[str, ...]]:
    """What a saga wants to be done."""
    return {(type(each).__name__, each.step, str(each.attempt)) for each in pending_work(state.steps)}


def live_alike(definition: Definition, written_out: Definition, drawn: Iterable[Move]) -> None:
    """Let a saga that grows and the same steps written out live through the same, and see that they want the same at each event.

    Args:
        definition: of the one that grows.
        written_out: the same without maps and repeats.
        drawn: what happens.
    """
    grown, flat = plan(definition), Plan(written_out)
    start = e.SagaStarted(input=INPUT, at=1000.0)
    here, there = begin(grown, ID, start).state, begin(flat, ID, start).state
    for move in drawn:
        assert (here.phase, here.paused, wanted(here)) == (there.phase, there.paused, wanted(there))
        event = event_of(definition, here, move)
        if isinstance(event, e.StepEvent) and grown.steps.get(event.step, Step(id="")).body:
            continue
        if isinstance(event, e.RestartRequested):  # what has grown goes back as a whole, the same steps written out can in part
            continue
        accepted: list[Decision | None] = []
        for compiled, state in ((grown, here), (flat, there)):
            try:
                accepted.append(decide(compiled, state, event))
            except (RequestRefusedError, UnexpectedEventError):
                accepted.append(None)
        first, second = accepted
        assert (first is None) == (second is None), event
        if first is not None and second is not None:
            here, there = first.state, second.state
