"""One step as people see it: the lifecycle's state, and the instances that run it or could."""

from __future__ import annotations

import math
from collections.abc import Sequence
from uuid import UUID

import msgspec

from goconductor.control.models import StepDetail, StepStatus, WaitDetail, moment
from goconductor.control.wording import together, undone_by
from goconductor.lifecycle.facts.state import SagaState, StepState
from goconductor.lifecycle.facts.status import DONE_ACTIONS, OPEN_COMPENSATIONS, ActionStatus, CompensationStatus, SagaStatus
from goconductor.lifecycle.grown import last_steps, lost_around
from goconductor.lifecycle.pending_work import goes_back, is_backward, wishes_of
from goconductor.lifecycle.requests.catalogue import Request
from goconductor.ports.store import Lease, LeaseKey, LockRow
from goconductor.ports.store.log.queues import is_over
from goconductor.saga.definition import Undo, Wait
from goconductor.saga.growth import split
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan
from goconductor.saga.writing.groups.parts import called, why


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a saga that are not in its log.

    Args:
        now: the database's time, in seconds since 1970.
        leases: the valid ones.
        names: names of instances, by serial.
        offered: (participant, step) that some living instance can run.
        living: participants that have a living instance.
        journals: problems of steps whose journal a living instance cannot use, by its serial and the step's name there.
        blocked: problems of steps whose journal no living instance that offers them can use, by (participant, step).
        started: the sagas that steps have started.
        permits: how the limit is used for which a side of a step waits.
    """

    now: float
    leases: dict[LeaseKey, Lease] = {}
    names: dict[int, str] = {}
    offered: set[tuple[str, str]] = set()
    living: set[str] = set()
    journals: dict[tuple[int, str], str] = {}
    blocked: dict[tuple[str, str], str] = {}
    started: dict[str, UUID] = {}
    permits: dict[LeaseKey, str] = {}
    locks: list[LockRow] = []


def describe(plan: Plan, state: SagaState, name: str, around: Surroundings, allowed: Sequence[Request] = ()) -> StepDetail:
    """Describe a step of a saga.

    Args:
        plan: the saga's compiled definition.
        state: the saga.
        name: the step's id.
        around: the leases and the instances.
        allowed: the requests that it accepts now.
    """
    step, undo = state.step(name), plan.steps[name].undo
    lease = _lease(state, name, step, around)
    owner = None if lease is None else around.names.get(lease.instance, f"instance {lease.instance}")
    blocked = None if lease is None else around.journals.get((lease.instance, plan.owners_of[lease.key.direction][name][1]))
    outputs, has_turns = state.referable(), name in plan.untils and step.action.status is ActionStatus.SUCCEEDED
    status, reason = (StepStatus.WAITING, _waits(blocked)) if blocked else _status(plan, state, name, around, owner)
    return StepDetail(
        id=name,
        run=plan.steps[name].run,
        saga=plan.children[name].name if name in plan.children else None,
        started=around.started.get(name),
        undo=undone_by(undo) if isinstance(undo, Undo) else undo,
        status=status,
        reason=reason,
        waits_for=_waits_for(plan, name, step),
        attempt=step.action.attempt,
        compensation_attempt=step.compensation.attempt,
        error=None if step.failure is None else str(step.failure),
        traceback=(step.failure.traceback or None) if step.failure is not None else None,
        output=plan.data.given(name, outputs[name], outputs) if plan.data is not None and has_turns else step.output,
        edited=step.edited if step.undo_edited is None else step.undo_edited,
        round=step.round,
        allowed=list(allowed),
        owner=owner,
        after=list(plan.predecessors[name]),
        follows=called(plan, plan.predecessors[name], name),
    )


def _lease(state: SagaState, name: str, step: StepState, around: Surroundings) -> Lease | None:
    for direction in Direction:
        lease = around.leases.get(LeaseKey(state.saga_id, name, direction, step.round))
        if lease is not None and _is_open(step, direction):
            return lease
    return None


def _is_open(step: StepState, direction: Direction) -> bool:
    """Return whether the state still waits for this side; a lease may outlive its outcome for a moment."""
    match direction:
        case Direction.ACTION:
            return step.action.status is ActionStatus.SENT
        case Direction.COMPENSATION:
            return step.compensation.status is CompensationStatus.SENT
        case Direction.SETTLE:
            asked = (CompensationStatus.FENCING, CompensationStatus.SETTLING)
            return step.action.status is ActionStatus.SETTLING or step.compensation.status in asked
        case Direction.SETTLE_UNDO:
            return step.compensation.status is CompensationStatus.FENCING_UNDO


def _status(plan: Plan, state: SagaState, name: str, around: Surroundings, owner: str | None) -> tuple[StepStatus, str | None]:
    step = state.step(name)
    if step.action.status is ActionStatus.GIVEN_UP:
        return StepStatus.GIVEN_UP, _without(plan, state, name)
    if step.compensation.status is not CompensationStatus.NONE:
        return _backward(plan, state, name, around, owner)
    match step.action.status:
        case ActionStatus.PENDING:
            return _pending(plan, state, name)
        case ActionStatus.SENT | ActionStatus.SETTLING if state.phase.ended:
            return StepStatus.UNKNOWN, f"the saga was {state.phase} while it was due"
        case ActionStatus.SENT if owner is not None:
            return StepStatus.RUNNING, None
        case ActionStatus.SENT if name in plan.children:
            return (StepStatus.QUEUED, _held_back(state)) if state.paused else (StepStatus.RUNNING, _child(plan, name))
        case ActionStatus.SENT if goes_back(state, name):
            return StepStatus.WAITING, "waits for word whether it ran"
        case ActionStatus.SENT:
            missing = _nobody(plan, name, Direction.ACTION, around) or _permit(state, name, Direction.ACTION, around)
            return (StepStatus.WAITING, missing) if missing else (StepStatus.QUEUED, _held_back(state))
        case ActionStatus.BACKOFF:
            return StepStatus.WAITING, _retry(step, around)
        case ActionStatus.WAITING if step.wishes:
            return StepStatus.WAITING, _held_back(state) or _locked(state, name, around.locks)
        case ActionStatus.WAITING:
            return StepStatus.WAITING, _held_back(state) or _until(plan, name, step)
        case ActionStatus.GROWN:
            return StepStatus.RUNNING, None if step.length is None else _items(plan, state, name)
        case ActionStatus.SETTLING:
            missing = _nobody(plan, name, Direction.SETTLE, around)
            return StepStatus.WAITING, missing or "waits for its owner's journal to answer whether it happened"
        case ActionStatus.PREVENTED if state.rewind is not None:
            return StepStatus.WAITING, "begins again when what comes after it is undone"
        case ActionStatus.PREVENTED if step.action.failure is None and name not in plan.sent:
            parts = "turns" if name in plan.untils else "items"
            began = f"before its {parts} were done" if step.length is not None else "while it waited"
            if lost_around(state.steps, name) is not None:
                return StepStatus.SKIPPED, "its item is undone as a whole"
            return StepStatus.SKIPPED, f"the saga {'was to end' if _is_terminated(state) else 'turned back'} {began}"
        case ActionStatus.PREVENTED:
            return StepStatus.FAILED, "it has no effect and never will have one"
        case ActionStatus.SUCCEEDED if name in plan.savepoints:
            return StepStatus.SUCCEEDED, _way(plan, state, name)
        case ActionStatus.SUCCEEDED | ActionStatus.SKIPPED:
            skipped = step.action.status is ActionStatus.SKIPPED
            decided = why(plan, name, lambda each: state.step(each).output, skipped=skipped)
            return StepStatus(step.action.status.value), decided
        case _:
            return StepStatus(step.action.status.value), None


def _way(plan: Plan, state: SagaState, name: str) -> str:
    """Return which way a saga takes from a savepoint, and why no longer another one."""
    ways, way = plan.savepoints[name], state.ways.get(name)
    if way is None:
        return f"on way {ways[0]!r}, the first of {len(ways)}"
    on = state.step(name).output == ways[way.number]
    where = f"{'on' if on else 'takes next'} way {ways[way.number]!r}, number {way.number + 1} of {len(ways)}"
    return f"{where}, because of {way.because}"


def _without(plan: Plan, state: SagaState, name: str) -> str:
    """Return how the saga goes on without a step that was given up."""
    if lost_around(state.steps, name) is not None and name not in plan.tolerated:
        return _undone("its item failed or was not needed, and the map goes on without it", state, name)
    fallback = next(iter(plan.chain(name)[1:]), None)
    stands = fallback is not None and state.step(fallback).action.status is ActionStatus.SUCCEEDED
    reason = f"it failed, and {fallback} stands for it" if stands else "it failed, and the saga goes on without it"
    return _undone(reason, state, name)


def _undone(reason: str, state: SagaState, name: str) -> str:
    match state.step(name).compensation.status:
        case CompensationStatus.DONE:
            return f"{reason}; it was compensated first"
        case CompensationStatus.SKIPPED:
            return f"{reason}; its compensation was skipped: its effect may stand"
        case _:
            return reason


def _pending(plan: Plan, state: SagaState, name: str) -> tuple[StepStatus, str | None]:
    if state.phase.ended or is_backward(state) or _is_terminated(state):
        return StepStatus.PENDING, "it never began"
    if lost_around(state.steps, name) is not None:
        return StepStatus.PENDING, "does not begin any more: its item is undone as a whole"
    if goes_back(state, name):
        return StepStatus.PENDING, "begins when what is undone has been undone"
    if state.paused:
        return StepStatus.PENDING, _held_back(state)
    before = [step for step in plan.predecessors[name] if state.step(step).action.status not in DONE_ACTIONS]
    if before:
        return StepStatus.WAITING, f"waits for {', '.join(called(plan, before, name))}"
    return StepStatus.PENDING, _slotless(plan, name) if plan.bounded else None


def _slotless(plan: Plan, name: str) -> str | None:
    """Return why an item has not begun, where only some items of its map are at work at one time."""
    found = split(name)
    map = None if found is None else plan.steps[found.map].map
    if found is None or map is None or map.concurrency is None:
        return None
    return f"waits until one of the items ends that are at work: {map.concurrency:,} of {found.map} may be at one time"


def _items(plan: Plan, state: SagaState, name: str) -> str:
    """Return how far a map, or a repeat, has come."""
    repeat = plan.steps[name].repeat
    if repeat is not None:
        return f"is in turn {state.step(name).length:,} of at most {repeat.max:,}, until {repeat.until}"
    last = last_steps(plan, state.steps, name)
    done = sum(state.step(each).action.status in DONE_ACTIONS for each in last)
    length = state.step(name).length or 0
    what = f"{length:,} item{'' if length == 1 else 's'}"
    lost = len(state.step(name).lost)
    map = plan.steps[name].map
    slots = "" if map is None or map.concurrency is None else f", of which {map.concurrency:,} may be at work at one time"
    if state.step(name).action.failure is not None:
        return f"has failed; what its {what} have done is undone, and then the saga goes on without it"
    without = f"; {lost:,} failed or {'was' if lost == 1 else 'were'} not needed" if lost else ""
    return f"has grown to {what}{slots}; {done:,} of their {len(last):,} last steps are done{without}"


def _is_terminated(state: SagaState) -> bool:
    return state.phase in (SagaStatus.TERMINATING, SagaStatus.TERMINATED)


def _backward(plan: Plan, state: SagaState, name: str, around: Surroundings, owner: str | None) -> tuple[StepStatus, str | None]:
    step = state.step(name)
    if state.phase.ended and step.compensation.status in OPEN_COMPENSATIONS:
        return StepStatus.UNKNOWN, f"the saga was {state.phase} while its compensation was due"
    match step.compensation.status:
        case CompensationStatus.BACKOFF:
            return StepStatus.COMPENSATING, _retry(step, around)
        case CompensationStatus.WAITING:
            due_at = step.compensation.due_at
            asked = _asked(plan.undo_waits[name], due_at) if name in plan.undo_waits else _outside(due_at)
            return StepStatus.COMPENSATING, _held_back(state) or asked
        case CompensationStatus.SENT:
            missing = _nobody(plan, name, Direction.COMPENSATION, around) or _permit(state, name, Direction.COMPENSATION, around)
            return StepStatus.COMPENSATING, None if owner is not None else missing
        case CompensationStatus.FENCING:
            missing = _nobody(plan, name, Direction.SETTLE, around)
            return StepStatus.COMPENSATING, missing or "is being skipped: its owner writes its keys"
        case CompensationStatus.SETTLING:
            missing = _nobody(plan, name, Direction.SETTLE, around)
            return StepStatus.COMPENSATING, missing or "waits for its owner's journal to answer whether there is anything to undo"
        case CompensationStatus.FENCING_UNDO:
            missing = _nobody(plan, name, Direction.SETTLE_UNDO, around)
            return StepStatus.COMPENSATING, missing or "is being skipped: the owner of its undo writes its key"
        case CompensationStatus.DONE:
            return StepStatus.COMPENSATED, None
        case CompensationStatus.SKIPPED:
            return StepStatus.SKIPPED, "its compensation was skipped: its effect may stand"
        case _:
            only = (
                "; if it is skipped, the saga turns back as a whole"
                if state.rewind is not None and goes_back(state, name)
                else ""
            )
            return StepStatus.STUCK, f"its compensation gave up{only}"


def _waits(problem: str) -> str:
    return f"waits for its journal: {problem}"


def _child(plan: Plan, name: str) -> str:
    return f"ends with the saga {plan.children[name].name!r} that it has started"


def _nobody(plan: Plan, name: str, direction: Direction, around: Surroundings) -> str | None:
    if direction in (Direction.COMPENSATION, Direction.SETTLE_UNDO) and name in plan.undo_sagas:
        return f"waits for the end of the saga {plan.undo_sagas[name].name!r} that undoes it"
    if name not in plan.owners_of[direction]:
        return f"waits for the end of the saga {plan.children[name].name!r} that it has started"
    participant, step = plan.owners_of[direction][name]
    if (participant, step) in around.offered:
        blocked = around.blocked.get((participant, step))
        return _waits(blocked) if blocked else None
    if participant not in around.living:
        return f"{participant} has no live instance"
    return f"no live instance of {participant} offers step {step!r}"


def _permit(state: SagaState, name: str, direction: Direction, around: Surroundings) -> str | None:
    return None if state.paused else around.permits.get(LeaseKey(state.saga_id, name, direction, state.step(name).round))


def _retry(step: StepState, around: Surroundings) -> str:
    left = max(0.0, (step.due_at or around.now) - around.now)
    what = "soon" if left < 1 else f"in {left:.0f} s"
    return f"retry {what} after {step.failure}" if step.failure is not None else f"retry {what}"


def _waits_for(plan: Plan, name: str, step: StepState) -> WaitDetail | None:
    if step.compensation.status is CompensationStatus.WAITING:
        due_at, since = step.compensation.due_at, moment(step.compensation.since or 0.0)
        asked = plan.undo_waits[name] if name in plan.undo_waits else Wait()
        until = None if due_at is None else moment(due_at)
        return WaitDetail(event=asked.event, approval=asked.approval, round=step.round, since=since, until=until)
    action, wait = step.action, None if step.wishes else plan.steps[name].wait
    if action.status is not ActionStatus.WAITING:
        return None
    return WaitDetail(
        event=None if wait is None else wait.event,
        approval=None if wait is None else wait.approval,
        round=step.round,
        since=moment(action.since or 0.0),
        until=None if action.due_at is None else moment(action.due_at),
    )


def _locked(state: SagaState, name: str, rows: Sequence[LockRow]) -> str:
    """Return which lock a step waits for, and who is in its way."""
    key = next((wish.key for wish in wishes_of(state)[name]), None)
    if key is None:
        return "is about to begin"
    around = [row for row in rows if row.key == key and not is_over(row)]
    own = next((row.number for row in around if row.saga_id == state.saga_id), math.inf)
    holders = [str(row.saga_id) for row in around if row.held and row.saga_id != state.saga_id]
    before = sum(not row.held and row.number < own for row in around)
    text = f"waits for lock {key!r}"
    if holders:
        text += f", which saga{'s' * (len(holders) > 1)} {together(holders)} hold{'s' * (len(holders) == 1)}"
    return f"{text}; {before} wait{'s' * (before == 1)} before it" if before else text


def _until(plan: Plan, name: str, step: StepState) -> str:
    wait, due_at = plan.steps[name].wait, step.action.due_at
    if name in plan.owners:
        over = due_at is not None and due_at == step.action.ends_at
        return f"{_OUTSIDE}, at most until {_text(due_at)}" if due_at is not None and over else _outside(due_at)
    if name in plan.untils:
        return f"waits{_end(due_at)}; then turn {(step.length or 0) + 1:,} begins"
    return f"waits{_end(due_at)}" if wait is None else _asked(wait, due_at)


def _asked(wait: Wait, due_at: float | None) -> str:
    if wait.approval is None:
        return f"waits for signal {wait.event!r}{_end(due_at)}"
    return f"waits for approval{_end(due_at)}: {wait.approval}"


def _end(due_at: float | None) -> str:
    return "" if due_at is None else f" until {_text(due_at)}"


_OUTSIDE = "was handed out: waits for a report of its outcome"


def _outside(asked_at: float | None) -> str:
    return _OUTSIDE if asked_at is None else f"{_OUTSIDE}; is asked about at {_text(asked_at)}"


def _text(at: float) -> str:
    return f"{moment(at):%Y-%m-%d %H:%M:%S} UTC"


def _held_back(state: SagaState) -> str | None:
    return "the saga is paused" if state.paused else None
