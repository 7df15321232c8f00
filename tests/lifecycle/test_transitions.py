"""The tables show each move that some saga can make, and no other: small sagas are led through everything that can happen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.events import Event, SagaStarted
from goconductor.lifecycle.facts.parent import Parent
from goconductor.lifecycle.facts.state import Failure, SagaState, Side, StepState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, PausedWith, SagaStatus
from goconductor.lifecycle.facts.transitions import ACTION_MOVES, COMPENSATION_MOVES, FIRST_STATUSES, SAGA_MOVES
from goconductor.lifecycle.fold import Fold
from goconductor.saga.definition import Definition, every_step
from goconductor.saga.plan import Plan, plan
from tests.lifecycle.sagas import FINAL, INPUT, sensible
from tests.lifecycle.small import HANDED_OUT, JOINED, MANY, REPEATED, RESTARTED, SMALL

WAITING = ("sent", "backoff", "waiting", "settling", "fencing", "fencing_undo", "stuck")
GOING_BACK = (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED)
BY_HAND = (e.RetryRequested, e.SkipRequested, e.OutcomeDeclared)
Moves = dict[type[Any], dict[Any, set[Any]]]


def possible(state: SagaState, *, restarts: bool) -> list[Event]:
    """Everything that can happen in this state, each once."""
    return [*{(type(each), msgspec.json.encode(each)): each for each in _possible(state, restarts=restarts)}.values()]


def _possible(state: SagaState, *, restarts: bool) -> Iterator[Event]:
    """Everything that can happen in this state, of what can change anything; late successes included."""
    yield from (each for each in sensible(state) if restarts or not isinstance(each, e.RestartRequested))
    if state.phase.ended:
        return
    if restarts and "v" in state.steps:
        yield from (e.RestartRequested(from_step="v", inputs={"x": each}, reason="because") for each in (1, 9, "no"))
    yield e.TerminateRequested(reason="because")
    yield e.TerminationRequested(reason="because")
    yield e.TerminationRequested(reason="because", forced=True)
    yield e.SagaMigrated(version="another", version_before=state.version)
    if not state.signals:
        for payload in (None, {"x": 1}, {"x": 2}) if restarts else (None,):
            yield e.SignalReceived(name="go", id=f"{state.signals_received}", payload=payload)
    for name, step in state.steps.items():
        now = step.round
        yield e.ActionSucceeded(name, round=now)
        yield e.CompensationSucceeded(name, round=now)
        if name.rpartition(".")[2][0] in "he":
            yield from outside(name, step)
        if step.action.status is ActionStatus.SENT:
            yield e.ActionFailed(name, step.action.attempt, now, failure=FINAL)
        if step.action.status not in WAITING and step.compensation.status not in WAITING:
            continue
        if step.action.failure is not None and step.action.failure.type == "NoListError":
            yield e.InputEdited(name, round=now, inputs={"over": [1]}, reason="because")
            yield e.InputEdited(name, round=now, inputs={"over": []}, reason="because")
        yield e.RetryRequested(name, round=now)
        yield e.SkipRequested(name, round=now, reason="because")
        yield e.SkipRequested(name, round=now, reason="because", forced=True)
        yield e.OutcomeDeclared(name, round=now, happened=True, output=5, reason="seen")
        yield e.OutcomeDeclared(name, round=now, happened=False, reason="looked")


def outside(name: str, step: StepState) -> Iterator[Event]:
    """All that may come of a step that is handed out, or was."""
    now = step.round
    yield e.OutcomeReported(name, step.action.attempt, now, output=5)
    if step.action.status is ActionStatus.SENT:
        yield e.ActionHandedOut(name, step.action.attempt, now, ask_after_seconds=5.0 if "h" in name else None)
    if step.action.status in (ActionStatus.SENT, ActionStatus.WAITING):
        yield e.OutcomeReported(name, step.action.attempt, now, failure=FINAL)
        yield e.OutcomeReported(name, step.action.attempt, now, failure=Failure("Busy"))
    if step.action.status is ActionStatus.BACKOFF and step.action.attempt - 1 > step.action.over:
        yield e.OutcomeReported(name, step.action.attempt - 1, now, failure=FINAL)
    yield from undo_outside(name, step)


def undo_outside(name: str, step: StepState) -> Iterator[Event]:
    """The same of its compensation."""
    now, side = step.round, step.compensation
    yield e.CompensationReported(name, side.attempt, now)
    if side.status is CompensationStatus.SENT:
        yield e.CompensationHandedOut(name, side.attempt, now, ask_after_seconds=5.0 if "h" in name else None)
    if side.status in (CompensationStatus.SENT, CompensationStatus.WAITING):
        yield e.CompensationReported(name, side.attempt, now, failure=FINAL)
        yield e.CompensationReported(name, side.attempt, now, failure=Failure("Busy"))
    if side.status is CompensationStatus.BACKOFF and side.attempt - 1 > side.over:
        yield e.CompensationReported(name, side.attempt - 1, now, failure=FINAL)


def tries(definition: Definition) -> int:
    """How many attempts its policies allow at most. An attempt after the last of them leads to what the last one does."""
    called = [each for each in every_step(definition.steps) if each.run]
    policies = [policy for each in called for policy in (each.retry, each.compensation_retry)]
    return max((MANY if policy is None else policy.attempts_max or MANY for policy in policies), default=1)


def side(of: Side[Any], tried_max: int) -> tuple[object, ...]:
    return of.status, min(of.attempt, tried_max), of.unknowns, of.failure is None


def closing(of: Side[Any]) -> tuple[object, ...]:
    return of.status, of.attempt > 0, of.unknowns > 0


def key(state: SagaState, tried_max: int) -> object:
    if state.phase is SagaStatus.TERMINATING:  # nothing is tried again
        return state.phase, tuple((n, *closing(s.action), *closing(s.compensation)) for n, s in sorted(state.steps.items()))
    steps = tuple(
        (name, *side(s.action, tried_max), *side(s.compensation, tried_max), s.skipping, str((s.edited or {}).get("over")))
        for name, s in sorted(state.steps.items())
    )
    return (
        state.phase,
        state.paused,
        str(state.locks),
        state.deadline_passed,
        repr([each.payload for each in state.signals]),
        state.rewind and (state.rewind.steps, str(state.rewind.inputs)),
        steps,
    )


@pytest.fixture(scope="module")
def made() -> tuple[Moves, Moves, Moves, set[Any]]:
    """All moves of sagas, actions and compensations, and all first statuses."""
    sagas, actions, compensations = (defaultdict[type[Any], dict[Any, set[Any]]](lambda: defaultdict(set)) for _ in range(3))
    now: list[tuple[Moves, type[Any], object, object]] = []

    class Watched(Fold):
        __slots__ = ()

        def set_action(self, name: str, cause: type[Any], action: Side[ActionStatus], **changes: Any) -> StepState:
            now.append((actions, cause, self.step(name).action.status, action.status))
            return super().set_action(name, cause, action, **changes)

        def set_compensation(
            self, name: str, cause: type[Any], compensation: Side[CompensationStatus], **changes: Any
        ) -> StepState:
            now.append((compensations, cause, self.step(name).compensation.status, compensation.status))
            return super().set_compensation(name, cause, compensation, **changes)

    firsts = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("goconductor.lifecycle.decide.Fold", Watched)
        young = [*SMALL.values(), *JOINED.values(), *REPEATED.values(), *HANDED_OUT.values()]
        for definition, restarts in [*((each, False) for each in young), *((each, True) for each in RESTARTED.values())]:
            compiled = plan(definition)
            level = [begin(compiled, UUID(int=1), SagaStarted(input=INPUT)).state]
            firsts.add(level[0].status)
            steps, tried_max = len(definition.steps), tries(definition)
            known = {key(level[0], tried_max)}
            attempts_max = 1 if steps > 3 else 3 if steps < 3 and not restarts else 2  # the states of three steps are many
            while level:
                reached = []
                for state in level:
                    _with_parent(sagas, compiled, state)
                    for event in possible(state, restarts=restarts):
                        if state.rounds and isinstance(event, e.RestartRequested):
                            continue
                        if isinstance(event, e.TerminationRequested) and len(definition.steps) > 2:
                            continue  # each step is closed by itself, so small sagas show all of it
                        now.clear()
                        try:
                            after = decide(compiled, state, event).state
                        except (UnexpectedEventError, RequestRefusedError):
                            continue
                        sagas[type(event)][state.status].add(after.status)
                        for moves, cause, before, to in now:
                            moves[cause][before].add(to)
                        if after.rounds and after.rewind is None and after.phase not in GOING_BACK:
                            continue  # what was rewound is as if it had never begun: such a saga goes on like a young one
                        if isinstance(event, BY_HAND) and event.step not in state.stuck_steps:
                            continue  # what is settled by hand while it still waits leads where its own outcome does
                        if after.phase.ended:
                            continue  # the table of sagas lets it see nothing any more
                        attempts = max(s.action.attempt + s.compensation.attempt for s in after.steps.values())
                        if attempts <= attempts_max and (reaches := key(after, tried_max)) not in known:
                            known.add(reaches)
                            reached.append(after)
                level = reached
    firsts |= _held(sagas)
    return sagas, actions, compensations, firsts


def _with_parent(sagas: Moves, compiled: Plan, state: SagaState) -> None:
    """Add the moves of a saga that is paused, or resumed, with the one whose step has started it: they lead where its own do."""
    paused = msgspec.structs.replace(state, paused_with=PausedWith.PARENT) if state.paused else state
    for event in (e.PausedWithParent(reason="because"), e.ResumedWithParent()):
        try:
            after = decide(compiled, paused, event).state
        except (UnexpectedEventError, RequestRefusedError):
            continue
        sagas[type(event)][state.status].add(after.status)


def _held(sagas: Moves) -> set[Any]:
    """Add the moves of sagas that are held: what completes others leads them there. Return their first statuses."""
    for reached in [reached for by_status in sagas.values() for reached in by_status.values()]:
        if SagaStatus.COMPLETED in reached:
            reached.add(SagaStatus.HELD)
    started = SagaStarted(input=INPUT, parent=Parent(UUID(int=2), "s0", 0, 1, held=True))
    firsts = set()
    for name in ("one step", "a step that is skipped"):
        compiled = plan(SMALL[name])
        state = begin(compiled, UUID(int=1), started).state
        firsts.add(state.status)
        if name == "one step":
            state = decide(compiled, state, e.ActionSucceeded("s0")).state
        for event in (e.Released(), e.UndoRequested(reason="because")):
            sagas[type(event)][state.status].add(decide(compiled, state, event).state.status)
    return firsts


def test_the_table_of_sagas_shows_what_sagas_do(made: tuple[Moves, Moves, Moves, set[Any]]) -> None:
    assert made[0] == SAGA_MOVES
    assert made[3] == FIRST_STATUSES


@pytest.mark.pure("a subclass of Fold takes its place, to watch what it does")
def test_the_table_of_actions_shows_what_actions_do(made: tuple[Moves, Moves, Moves, set[Any]]) -> None:
    assert made[1] == ACTION_MOVES


@pytest.mark.pure("a subclass of Fold takes its place, to watch what it does")
def test_the_table_of_compensations_shows_what_compensations_do(made: tuple[Moves, Moves, Moves, set[Any]]) -> None:
    assert made[2] == COMPENSATION_MOVES
