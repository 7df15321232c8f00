"""Which requests a saga would accept now. A refusal offers them instead, and doors show them as buttons.

They are found by trying: what the lifecycle decides is pure, so a try costs nothing but time. All tries branch off one fold, so
none of them counts the saga's steps anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from goconductor.errors import InvariantError, RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.decide import apply
from goconductor.lifecycle.facts.restart import RestartAsNew
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves.requests import editable
from goconductor.lifecycle.requests.catalogue import CATALOGUE, Asked, Operation, Request
from goconductor.saga.plan import Plan

_REASON = "asked"
STEPS_LOOKED_AT_MAX = 100_000
"""Greatest number of steps examined for one answer. In a large saga only the first stuck steps get their requests."""


def of_saga(plan: Plan, state: SagaState) -> list[Request]:
    """Return the requests about the whole saga that it would accept now."""
    if state.phase.ended:
        return [each.request for each in CATALOGUE if each.of_ended and state.parent is None]
    samples: dict[str, Any] = {"forced": state.phase is SagaStatus.TERMINATING}  # then nothing else is accepted
    if state.signals:
        samples["signal"] = state.signals[0].id
    tries = [
        (each.request, each.asked(reason=_REASON, values=_values(each, samples)))
        for each in CATALOGUE
        if not each.about_step and _can_be_tried(each, samples)
    ]
    now = Fold(plan, state)
    return [request for request, event in tries if _accepts(now, event)]


def of_steps(plan: Plan, state: SagaState, unattended: Collection[str] = ()) -> dict[str, list[Request]]:
    """Return the requests about steps that it would accept now, by step.

    Args:
        plan: the saga's compiled definition.
        state: where it stands.
        unattended: steps that were sent, and that no instance runs or could run.
    """
    found: dict[str, list[Request]] = {}
    open_steps = [
        name
        for name, step in (state.steps.items() if not state.phase.ended else ())
        if _waits(step.action.status, step.compensation.status) or name in unattended
    ]
    if not open_steps:
        return found
    now = Fold(plan, state)
    for name in open_steps[: max(1, STEPS_LOOKED_AT_MAX // max(1, len(state.steps)))]:
        tries = _tries(plan, state, name, forced=name in unattended)
        if requests := [request for request, event in tries if _accepts(now, event)]:
            found[name] = requests
    return found


def allowed(plan: Plan, state: SagaState, unattended: Collection[str] = ()) -> list[Request]:
    """Return all requests that the saga, or a step of it, would accept now, in the order of :class:`Request`."""
    taken = set(of_saga(plan, state))
    for requests in of_steps(plan, state, unattended).values():
        taken.update(requests)
    return [request for request in Request if request in taken]


def _tries(plan: Plan, state: SagaState, name: str, *, forced: bool) -> Iterator[tuple[Request, Asked]]:
    """Make every request about a step, with values that somebody could give; a step without inputs has none to edit."""
    step = state.step(name)
    inputs, edited = editable(plan, name, step)
    samples: dict[str, Any] = {"forced": forced, "happened": True}
    if inputs:
        samples["inputs"] = {next(iter(inputs)): _new_value(edited)}
    for each in CATALOGUE:
        if each.about_step and _can_be_tried(each, samples):
            yield each.request, each.asked(step=name, round=step.round, reason=_REASON, values=_values(each, samples))


def _can_be_tried(operation: Operation, samples: Mapping[str, Any]) -> bool:
    return all(taken.name in samples for taken in operation.parameters if taken.required)


def _values(operation: Operation, samples: Mapping[str, Any]) -> dict[str, Any]:
    return {taken.name: samples[taken.name] for taken in operation.parameters if taken.name in samples}


def _waits(action: ActionStatus, compensation: CompensationStatus) -> bool:
    return action in (ActionStatus.STUCK, ActionStatus.BACKOFF, ActionStatus.WAITING) or compensation in (
        CompensationStatus.STUCK,
        CompensationStatus.BACKOFF,
        CompensationStatus.WAITING,
    )


def _new_value(edited: Mapping[str, object]) -> str:
    """Return a value that no step can have: an edit that changes nothing is refused."""
    return f"{_REASON} {len(edited)} {edited!r}"


def _accepts(now: Fold, event: Asked) -> bool:
    if isinstance(event, RestartAsNew):
        return False
    try:
        apply(now.branch(), event)
    except (RequestRefusedError, UnexpectedEventError, InvariantError):  # what only a trial meets hides no saga from people
        return False
    return True
