"""Which requests a saga would accept now. A refusal offers them instead, and doors show them as buttons.

They are found by trying: :func:`goconductor.lifecycle.decide.decide` is pure, so a try costs nothing but time.
"""

from __future__ import annotations

import enum
from collections.abc import Collection

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle import events as e
from goconductor.lifecycle.decide import decide
from goconductor.lifecycle.events import Event
from goconductor.lifecycle.state import ActionStatus, CompensationStatus, SagaState
from goconductor.saga.plan import Plan

_REASON = "asked"
STEPS_LOOKED_AT_MAX = 100_000
"""Steps that the tries for one answer may look at together. In a large saga only the first stuck steps get their requests."""


class Request(enum.StrEnum):
    """What an operator may ask for."""

    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    TERMINATE = "terminate"
    RETRY = "retry"
    SKIP = "skip"
    DECLARE = "declare"
    EDIT_INPUT = "edit_input"


def of_saga(plan: Plan, state: SagaState) -> list[Request]:
    """Return the requests about the whole saga that it would accept now."""
    tries: dict[Request, Event] = {
        Request.PAUSE: e.PauseRequested(),
        Request.RESUME: e.ResumeRequested(),
        Request.ABORT: e.AbortRequested(),
        Request.TERMINATE: e.TerminateRequested(reason=_REASON),
    }
    return [] if state.phase.ended else [request for request, event in tries.items() if _accepts(plan, state, event)]


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
    for name in open_steps[: max(1, STEPS_LOOKED_AT_MAX // max(1, len(state.steps)))]:
        round = state.step(name).round
        tries: list[tuple[Request, Event]] = [
            (Request.RETRY, e.RetryRequested(name, round=round)),
            (Request.SKIP, e.SkipRequested(name, round=round, reason=_REASON, forced=name in unattended)),
            (Request.DECLARE, e.OutcomeDeclared(name, round=round, happened=True, reason=_REASON)),
        ]
        if inputs := plan.steps[name].inputs:
            values = {next(iter(inputs)): _new_value(state.step(name).edited)}
            tries.append((Request.EDIT_INPUT, e.InputEdited(name, round=round, inputs=values, reason=_REASON)))
        if requests := [request for request, event in tries if _accepts(plan, state, event)]:
            found[name] = requests
    return found


def allowed(plan: Plan, state: SagaState, unattended: Collection[str] = ()) -> list[Request]:
    """Return all requests that the saga, or a step of it, would accept now, in the order of :class:`Request`."""
    taken = set(of_saga(plan, state))
    for requests in of_steps(plan, state, unattended).values():
        taken.update(requests)
    return [request for request in Request if request in taken]


def _waits(action: ActionStatus, compensation: CompensationStatus) -> bool:
    return action in (ActionStatus.STUCK, ActionStatus.BACKOFF) or compensation in (
        CompensationStatus.STUCK,
        CompensationStatus.BACKOFF,
    )


def _new_value(edited: dict[str, object] | None) -> str:
    """Return a value that no step can have: an edit that changes nothing is refused."""
    return f"{_REASON} {len(edited or {})} {edited!r}"


def _accepts(plan: Plan, state: SagaState, event: Event) -> bool:
    try:
        decide(plan, state, event)
    except (RequestRefusedError, UnexpectedEventError):
        return False
    return True
