"""What is true of a saga after every event.

``check`` runs in production, after each event, and looks at the steps that the event has touched. It looks at all when the saga
has ended otherwise than by completing; in a completed saga each was looked at when it was done. ``violations`` looks at all of
them and recounts what a fold has counted, for checkers and tests.
"""

from __future__ import annotations

from typing import TypeAlias

from goconductor.errors import InvariantError
from goconductor.lifecycle.facts.state import NOT_STARTED, SagaState, StepState
from goconductor.lifecycle.facts.status import (
    ACTION_BACKOFF,
    ACTION_STUCK,
    ACTION_WAITING,
    CLOSED_COMPENSATIONS,
    COMPENSATION_BACKOFF,
    COMPENSATION_STUCK,
    COMPENSATION_WAITING,
    DONE_ACTIONS,
    ENDED,
    MAY_HAVE_RUN,
    NO_COMPENSATION,
    OPEN_ACTIONS,
    OPEN_COMPENSATIONS,
    ActionStatus,
    PausedWith,
    SagaStatus,
)
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.grown import body_of, exists, last_steps, lost_around, size
from goconductor.lifecycle.pending_work import wishes_of
from goconductor.saga.definition import StepRole
from goconductor.saga.growth import outermost, split
from goconductor.saga.plan import Plan

_NEVER_SENT = (
    ActionStatus.PENDING,
    ActionStatus.SKIPPED,
    ActionStatus.PREVENTED,
    ActionStatus.STUCK,
    ActionStatus.GIVEN_UP,
)
_FAILED = frozenset({ActionStatus.FAILED, ActionStatus.UNKNOWN, ActionStatus.GIVEN_UP})
_GOING_BACK = frozenset({SagaStatus.COMPENSATING, SagaStatus.COMPENSATED})
_ITEMS_END = _GOING_BACK | {SagaStatus.TERMINATING}
_ENDED_OTHERWISE = ENDED - {SagaStatus.COMPLETED}
_GOING_FORWARD = (SagaStatus.QUEUED, SagaStatus.RUNNING, SagaStatus.COMPLETED, SagaStatus.HELD)


def check(fold: Fold) -> None:
    """Refuse a state that must not exist.

    Raises:
        InvariantError: naming everything that is wrong with it.
    """
    plan, state = fold.plan, fold.state
    found: list[str] = []  # handed on: a generator for each part would cost more than what is looked at
    _of_saga(found, state, (fold.size, fold.done, fold.open_actions + fold.open_compensations, fold.waiting, fold.stuck))
    for name in state.steps if state.phase in _ENDED_OTHERWISE else fold.touched:
        _of_step(found, plan, state, name, fold.steps[name])
    fold.touched.clear()
    if found:
        raise InvariantError(f"saga {state.saga_id} ({plan.name}): " + "; ".join(found))


def violations(plan: Plan, state: SagaState) -> list[str]:
    """Return what is wrong with a state, in words."""
    steps = state.steps.values()
    done = sum(step.action.status in DONE_ACTIONS for step in steps)
    open_work = sum((step.action.status in OPEN_ACTIONS) + (step.compensation.status in OPEN_COMPENSATIONS) for step in steps)
    waiting = sum(step.action.status is ACTION_WAITING for step in steps)
    found: list[str] = []
    _of_saga(found, state, (size(plan, state.steps), done, open_work, waiting, len(state.stuck_steps)))
    for name, step in state.steps.items():
        _of_step(found, plan, state, name, step)
    undoes = state.phase in _GOING_FORWARD and any(step.compensation.status is COMPENSATION_STUCK for step in steps)
    if (waiting or undoes) and not open_work and not state.paused and not state.phase.ended:
        deadline = [] if state.next_deadline_at is None else [state.next_deadline_at]
        times = [*deadline, *(step.due_at for step in steps if step.due_at is not None)]
        if wishes_of(state):
            if state.wake_at is None or state.wake_at > min(times, default=state.wake_at):
                found.append(f"it waits for locks, but wake_at is {state.wake_at}")
        elif state.wake_at != min(times, default=None):
            found.append(f"it only waits, until {min(times, default=None)}, but wake_at is {state.wake_at}")
    return found


_Counts: TypeAlias = tuple[int, int, int, int, int]
"""How many steps there are, are done, are at work on either side, wait, and are stuck."""


def _of_saga(found: list[str], state: SagaState, counts: _Counts) -> None:
    phase = state.phase
    size, done, open_work, waiting, stuck = counts
    ended = phase in ENDED
    if phase in _GOING_FORWARD and size - done != state.remaining:
        found.append(f"{state.remaining} steps are counted as remaining, {size - done} do")
    held = phase is SagaStatus.HELD
    if (held or phase is SagaStatus.COMPLETED) and done != size:
        found.append(f"{phase}, but not every step succeeded or was skipped")
    if held and (state.parent is None or not state.parent.held):
        found.append("held, but nobody may have it undone")
    if (open_work or waiting) and phase in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.HELD):
        found.append(f"{state.phase}, but work is open")
    if waiting and phase in (SagaStatus.COMPENSATING, SagaStatus.TERMINATING):
        found.append(f"a step waits although the saga is {phase}")
    if phase is SagaStatus.TERMINATING and not open_work:
        found.append("terminating, but nothing is out")
    moves = not (ended or held or state.paused)
    may_wait = (moves and (waiting or (stuck and phase in _GOING_FORWARD))) or (
        state.paused and (open_work or state.paused_with is PausedWith.PARENT)
    )
    if state.wake_at is None if moves and open_work else not may_wait and state.wake_at is not None:
        found.append(f"{state.status} with {'open' if open_work else 'no'} work, but wake_at is {state.wake_at}")
    if moves and not open_work and not waiting and not stuck:
        found.append(f"{state.phase}, but nothing will ever happen to it")


def _of_step(found: list[str], plan: Plan, state: SagaState, name: str, step: StepState) -> None:
    role, action, compensation = plan.roles[name], step.action.status, step.compensation.status
    if step.action.attempt == 0 and action not in _NEVER_SENT and not step.wishes:
        found.append(f"step {name!r} is {action} without an attempt")
    if action in OPEN_ACTIONS or action in MAY_HAVE_RUN or action is ACTION_WAITING:
        for before in plan.predecessors[name]:
            if state.steps.get(before, NOT_STARTED).action.status not in DONE_ACTIONS:
                found.append(f"step {name!r} was sent before {before!r} was done")  # noqa: PERF401  (there is none, nearly always)
    if plan.data is not None:
        _of_growth(found, plan, state, name, step)
    if action is ACTION_STUCK and role is StepRole.COMPENSATABLE:
        found.append(f"compensatable step {name!r} is stuck, it should be compensated")
    if step.wishes and (action is not ACTION_WAITING or name not in plan.locks):
        found.append(f"step {name!r} is {action}, and wishes locks")
    if action is ACTION_WAITING and name in plan.sent and not state.handed_out and not step.wishes:
        found.append(f"step {name!r} waits, but its action is to be sent")
    if action is ActionStatus.GIVEN_UP and name not in plan.tolerated and not _is_lost(state, name):
        found.append(f"step {name!r} was given up, and its definition does not tolerate that")
    if (step.action.due_at is not None) != (action is ACTION_BACKOFF) and action is not ACTION_WAITING:
        found.append(f"the action of step {name!r} is {action} with due_at {step.action.due_at}")
    if state.phase in _GOING_BACK:
        if role is StepRole.PIVOT and action is ActionStatus.SUCCEEDED:
            found.append(f"compensating after its pivot {name!r} succeeded")
        if role is StepRole.RETRIABLE and step.action.attempt:
            found.append(f"compensating after the retriable step {name!r} was sent")
    if compensation is not NO_COMPENSATION:
        _of_compensation(found, plan, state, name, step)
    elif state.phase is SagaStatus.COMPENSATED and _needs_compensation(plan, name, step):
        found.append(f"compensated, but step {name!r} is not")


def _of_growth(found: list[str], plan: Plan, state: SagaState, name: str, step: StepState) -> None:
    """Look at a map and its items; that a map has ended shows that its last steps are done, which is looked at in their turn.

    Of a repeat a turn has begun only when the one before was done.
    """
    action = step.action.status
    if action is ActionStatus.GROWN and (step.length is None or state.phase in _ITEMS_END):
        found.append(f"map {name!r} has grown to {step.length} items, and the saga is {state.phase}")
    if not exists(plan, state.steps, name):
        found.append(f"there is no step {name!r}")
    elif step.action.attempt and (turn := split(name)) is not None and turn.place and turn.map in plan.untils:
        last = (f"{turn.map}[{turn.place - 1}].{each}" for each in body_of(plan, turn.map).last)
        early = [each for each in last if state.step(each).action.status is ActionStatus.PENDING]
        found += [f"step {name!r} has begun before {each!r}, of the turn before, had its turn" for each in early]
    if step.undoing - step.lost or (action in DONE_ACTIONS and step.undoing):
        found.append(f"map {name!r} is {action}, and of its items {sorted(step.undoing)} are still being undone")
    if action is ActionStatus.SUCCEEDED and step.length is not None:
        late = [each for each in last_steps(plan, state.steps, name) if state.step(each).action.status not in DONE_ACTIONS]
        found += [f"map {name!r} has ended before {each!r} was done" for each in late]


def _of_compensation(found: list[str], plan: Plan, state: SagaState, name: str, step: StepState) -> None:
    action, compensation = step.action.status, step.compensation.status
    given_up = action is ActionStatus.GIVEN_UP
    if not given_up and not _needs_compensation(plan, name, step):
        found.append(f"step {name!r} ({plan.roles[name]}, {action}) is being compensated")
    if given_up and compensation not in CLOSED_COMPENSATIONS:
        found.append(f"step {name!r} was given up before it was compensated")
    if compensation is COMPENSATION_WAITING and not state.undo_handed_out and name not in plan.undo_waits:
        found.append(f"the compensation of step {name!r} waits, but it was not handed out")
    backs_off = compensation is COMPENSATION_BACKOFF
    if (step.compensation.due_at is not None) != backs_off and compensation is not COMPENSATION_WAITING:
        found.append(f"the compensation of step {name!r} is {compensation} with due_at {step.compensation.due_at}")
    forward = state.phase in _GOING_FORWARD
    rewinds = state.rewind is not None and outermost(name) in state.rewind.steps
    alone = not rewinds and not (plan.loses and _is_lost(state, name))
    if forward and alone and (name not in plan.tolerated or action not in _FAILED):
        found.append(f"step {name!r} is being compensated while the saga is {state.phase}")
    if state.phase is SagaStatus.COMPENSATED and compensation not in CLOSED_COMPENSATIONS:
        found.append(f"compensated, but the compensation of step {name!r} is {compensation}")
    for after in plan.successors[name] if not given_up else ():
        later = state.step(after)
        if _needs_compensation(plan, after, later) and later.compensation.status not in CLOSED_COMPENSATIONS:
            found.append(f"step {name!r} is being compensated before {after!r}, which came after it")


def _is_lost(state: SagaState, name: str) -> bool:
    return lost_around(state.steps, name) is not None


def _needs_compensation(plan: Plan, name: str, step: StepState) -> bool:
    may_have_run = step.action.status in MAY_HAVE_RUN
    return may_have_run and plan.roles[name] is StepRole.COMPENSATABLE and name in plan.undoable
