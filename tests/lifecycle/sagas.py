"""Random sagas and random events: what Hypothesis draws from.

``GOCONDUCTOR_TEST_EXAMPLES=20000 pytest tests/lifecycle`` looks longer than a push does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import RunAction, RunCompensation, SetTimer, Settle, SettleUndo
from goconductor.lifecycle.facts.events import EVENTS, Event, StepEvent
from goconductor.lifecycle.facts.lock import Held
from goconductor.lifecycle.facts.state import Failure, SagaState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus
from goconductor.lifecycle.pending_work import pending_work, wishes_of
from goconductor.saga.checking.validate import check
from goconductor.saga.definition import Binding, Definition, Delay, Lock, Step, Undo, Wait
from goconductor.saga.ids import Direction
from goconductor.saga.retry import Retry

many_examples = settings(
    max_examples=int(os.environ.get("GOCONDUCTOR_TEST_EXAMPLES", "300")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

INPUT = {
    "yes": True,
    "no": False,
    "at": "1970-01-01T00:18:20Z",
    "one": [1],
    "two": [1, 2],
    "none": [],
    "nested": [[1, 2], []],
} | {"three": [1, 2, 3]}
CONDITIONS = (None, None, None, "input.yes", "input.no", "input.missing")
WAITS: tuple[dict[str, Any], ...] = (
    {"delay": Delay(seconds=3.0)},
    {"delay": Delay(until="$.input.at")},
    {"delay": Delay(until="$.input.missing")},
    {"value": "{'yes': input.yes, 'at': [input.at, 1.5]}"},
    {"value": "input.missing"},
    {"wait": Wait(event="ping")},
    {"wait": Wait(event="ping", where="payload.id > 3 && input.yes", timeout_seconds=60.0)},
    {"wait": Wait(event="pong", where="payload.id > input.missing")},
    {"wait": Wait(approval="really?", timeout_seconds=3.0)},
)
LOCKS: tuple[tuple[Lock, ...], ...] = (
    *((),) * 4,
    (Lock("k"),),
    (Lock("k", "shared"), Lock("of {input.one[0]}")),
    (Lock("{input.missing}"),),
)
PASSING, FINAL = Failure("TimeoutError", "slow"), Failure("RefusedError", "no", retryable=False)

retries = st.none() | st.builds(
    Retry,
    attempts_max=st.none() | st.integers(1, 3),
    initial_seconds=st.sampled_from([0.0, 0.5, 20.0, 60.0]),
    on=st.sampled_from([(), (), ("OSError", "KeyError")]),
)


def undos(step: str) -> st.SearchStrategy[Any]:
    """What a step may say of its undo: mostly nothing."""
    inputs = {"amount": Binding(value=1), "of": Binding(ref=f"$.steps.{step}.output"), "at": Binding(ref="$.input.at")}
    return st.sampled_from([None, None, None, "none", Undo(run="clerk.undo"), Undo(run="clerk.undo", inputs=inputs)])


@st.composite
def definitions(draw: st.DrawFn, *, steps_max: int = 7, endless: bool = True, tolerated: bool = True) -> Definition:
    """A sound definition: some steps before a pivot, which all come together in it, and some after it; or no pivot at all.

    ``endless``: whether a policy may try without limit; ``tolerated``: whether steps may fail.
    """
    count = draw(st.integers(1, steps_max))
    pivot = draw(st.none() | st.integers(0, count - 1))
    after: list[set[int]] = [draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else set() for i in range(count)]
    if pivot is not None:
        for i in range(pivot):
            if not any(i in after[j] for j in range(i + 1, pivot)):
                after[pivot].add(i)
        for i in range(pivot + 1, count):
            if not any(j >= pivot for j in after[i]):
                after[i].add(pivot)
    before_pivot = range((count if pivot is None else pivot) if tolerated else 0)
    waits = {i for i in range(count) if i != pivot and draw(st.integers(0, 5)) == 0}
    allowed = {i for i in before_pivot if draw(st.sampled_from([False, False, True]))}
    fallbacks = {
        i: i + 1 for i in before_pivot if i not in allowed and i + 1 in before_pivot and draw(st.sampled_from([False, True]))
    }
    failures = [f"steps.s{i}.failed" for i in sorted(allowed | set(fallbacks))]
    definition = Definition(
        name="drawn",
        steps=tuple(
            Step(
                id=f"s{i}",
                **draw(st.sampled_from(WAITS)),
                after=tuple(f"s{j}" for j in sorted(after[i])),
                when=draw(st.sampled_from(CONDITIONS)),
                allow_fail=i in allowed,
                fallback=f"s{fallbacks[i]}" if i in fallbacks else None,
            )
            if i in waits
            else Step(
                id=f"s{i}",
                run=f"service.step{i}",
                undo=None if pivot is not None and i >= pivot else draw(undos(f"s{i}")),
                inputs={"amount": Binding(value=1)},
                after=tuple(f"s{j}" for j in sorted(after[i])),
                pivot=i == pivot,
                when=None
                if i == pivot
                else draw(st.sampled_from([*CONDITIONS, *(f for f in failures if int(f[7:-7]) in after[i])])),
                allow_fail=i in allowed,
                fallback=f"s{fallbacks[i]}" if i in fallbacks else None,
                retry=draw(retries if endless else retries.filter(lambda r: r is None or r.attempts_max is not None)),
                compensation_retry=draw(retries),
                unknowns_max=draw(st.none() | st.integers(1, 3)),
                total_timeout_seconds=draw(st.sampled_from([None, None, 30.0])),
                locks=() if pivot is not None and i >= pivot else draw(st.sampled_from(LOCKS)),
            )
            for i in draw(st.permutations(range(count)))
        ),
        timeout_seconds=draw(st.none() | st.just(100.0)),
        locks=draw(st.sampled_from([(), (), (), (Lock("all"),)])),
    )
    check(definition)
    return definition


class Move(msgspec.Struct, frozen=True):
    """One draw: which of the events that make sense now, or one of any kind; and how much later it happens."""

    pick: int
    sense: bool = True
    attempt: int = 1
    round: int = 0
    later_seconds: float = 0.0


def moves(*, nonsense: bool = True) -> st.SearchStrategy[Move]:
    """Two of three moves make sense."""
    return st.builds(
        Move,
        pick=st.integers(0, 1000),
        sense=st.sampled_from([True, True, False]) if nonsense else st.just(value=True),
        attempt=st.integers(0, 4),
        round=st.sampled_from([0, 0, 0, 1]),
        later_seconds=st.sampled_from([0.0, 0.4, 3.0, 40.0, -5.0]),
    )


def event_of(definition: Definition, state: SagaState, move: Move) -> Event:
    """The event that a move stands for in this state."""
    at = state.at + move.later_seconds
    if move.sense and (candidates := sensible(state)):
        chosen: Event = msgspec.structs.replace(candidates[move.pick % len(candidates)], at=at)
        return chosen
    kinds = sorted(EVENTS)
    kind = EVENTS[kinds[move.pick % len(kinds)]]
    fields: dict[str, Any] = {"at": at}
    if issubclass(kind, StepEvent):
        steps = [*(step.id for step in definition.steps), "nowhere", "s0[0].a", "s0[7].a"]
        fields |= {"step": steps[move.pick // len(kinds) % len(steps)], "attempt": move.attempt, "round": move.round}
    extra = {f.name: _EXTRA[f.name][move.pick % len(_EXTRA[f.name])] for f in msgspec.structs.fields(kind) if f.name in _EXTRA}
    event: Event = kind(**fields, **extra)
    return event


_EXTRA: dict[str, tuple[Any, ...]] = {
    "failure": (PASSING, FINAL),
    "proven": (False, True, False),
    "happened": (True, False),
    "forced": (False, True),
    "reason": ("because", ""),
    "direction": tuple(Direction),
    "inputs": ({}, {"amount": 3}, {"amout": 3}),
    "from_step": ("", "s0", "nowhere"),
    "output": (None, {"id": 7, "of": ["x", 1.5, None]}),
    "delay_seconds": (None, 2.0, 45.0),
    "retry": (None, Retry(attempts_max=2)),
    "name": ("ping", "pong", "s0", "nothing"),
    "id": ("0", "1", "x"),
    "signal": ("0", "1", "x"),
    "version": ("another",),
    "keys": ({}, {"k": Held(1)}, {"all": Held(2, shared=True)}),
    "payload": ({"id": 7}, {}, None),
}


def sensible(state: SagaState) -> list[Event]:
    found: list[Event] = []
    for work in pending_work(state.steps):
        found += outcomes(state, work)
    for name in state.stuck_steps:
        now = state.step(name).round
        found += [
            e.RetryRequested(name, round=now),
            e.SkipRequested(name, round=now, reason="because"),
            e.SkipRequested(name, round=now, reason="because", forced=True),
            e.OutcomeDeclared(name, round=now, happened=True, output=5, reason="seen"),
            e.OutcomeDeclared(name, round=now, happened=False, reason="looked"),
        ]
    found += edits(state)
    if state.signals_received < 5 and not state.phase.ended:
        number = state.signals_received
        found += [
            e.SignalReceived(name="ping", id=f"{number}", payload={"id": number}),
            e.SignalReceived(name="ping", id=f"{number}"),
        ]
    waiting = [name for name, step in state.steps.items() if step.action.status is ActionStatus.WAITING]
    found += [e.SignalDropped(signal=signal.id, reason="not meant") for signal in state.signals[:1]]
    for name in waiting:
        now = state.step(name).round
        found.append(e.SignalReceived(name=name, id=f"by {name}", approves=name, seen_round=now, by="ann", reason="so"))
    if wished := [wish.key for wishes in wishes_of(state).values() for wish in wishes]:
        found += [e.LocksGranted(keys={wished[0]: Held(1)}), e.LocksGranted(keys={each: Held(1) for each in wished})] * 2
        found += [e.LocksGranted(keys={wished[-1]: Held(1, shared=True)}), e.DeadlockFound(reason="a circle")]
    if state.paused:
        found += [e.ResumeRequested()] * 3
    if not state.phase.ended:
        found += [e.PauseRequested(reason="wait"), e.AbortRequested(), e.DeadlinePassed()]
    return found + restarts(state)


def edits(state: SagaState) -> list[Event]:
    """Another input for each step that gave up or waits to try again; a step and its undo have the inputs that
    :func:`definitions` gave them.
    """
    open_ones = ("stuck", "backoff")
    waiting = [n for n, s in state.steps.items() if s.action.status in open_ones or s.compensation.status in open_ones]
    return [
        e.InputEdited(
            n,
            round=state.step(n).round,
            inputs={"amount": len(state.step(n).edited or state.step(n).undo_edited or {}) + 7},
            reason="mistyped",
        )
        for n in waiting
    ]


def restarts(state: SagaState) -> list[Event]:
    """A restart from each step that has begun, and from the beginning; also with another input."""
    if state.phase.ended:
        return []
    again = [e.RestartRequested(from_step=name, reason="once more") for name in ("", *state.steps)]
    return [*again, *(e.RestartRequested(from_step=name, inputs={"amount": 9}, reason="so") for name in [*state.steps][:1])]


def outcomes(state: SagaState, work: RunAction | RunCompensation | Settle | SetTimer) -> Sequence[Event]:
    """All that may come of a piece of work."""
    step, attempt, now = work.step, work.attempt, work.round
    match work:
        case RunAction():
            return [
                *[e.ActionSucceeded(step, attempt, now, output={"of": step})] * 3,
                e.ActionFailed(step, attempt, now, failure=PASSING),
                e.ActionFailed(step, attempt, now, failure=FINAL),
                e.ActionFailed(step, attempt, now, failure=FINAL, proven=True),
                e.OutputRejected(step, attempt, now, failure=FINAL),
                e.OutcomeUnknown(step, attempt, now, reason="lost"),
            ]
        case RunCompensation():
            return [
                *[e.CompensationSucceeded(step, attempt, now)] * 2,
                e.CompensationFailed(step, attempt, now, failure=PASSING),
                e.CompensationFailed(step, attempt, now, failure=FINAL),
                e.OutcomeUnknown(step, attempt, now, direction=Direction.COMPENSATION, reason="lost"),
            ]
        case SettleUndo():
            unavailable = e.SettleUnavailable(step, 1, now, direction=Direction.SETTLE_UNDO)
            return [*(e.CompensationSettled(step, 1, now, happened=h) for h in (True, False)), unavailable]
        case Settle():
            away = e.SettleUnavailable(step, 1, now)
            settles = state.step(step).compensation.status is CompensationStatus.SETTLING
            if settles or state.step(step).action.status is ActionStatus.SETTLING:
                return [*(e.ActionSettled(step, 1, now, happened=h, output=3) for h in (True, False)), away]
            return [*(e.CompensationSettled(step, 1, now, happened=h) for h in (True, False)), away]
        case SetTimer():
            return [e.TimerFired(step, attempt, now, direction=work.direction, at=work.due_at)]
