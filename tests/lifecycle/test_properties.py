"""Whatever happens to a saga, in whatever order: no state that must not exist, no way without an end, replay agrees."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import bodies
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import EndSaga, RunAction, RunCompensation, SetTimer, Settle
from goconductor.lifecycle.facts.events import Event, SagaStarted, StepEvent
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus
from goconductor.lifecycle.invariants import violations
from goconductor.lifecycle.pending_work import goes_back, is_backward, is_pending, pending_work, timer_due_at
from goconductor.lifecycle.replay import extend, replay
from goconductor.saga.definition import Definition
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan, plan
from tests.lifecycle.sagas import INPUT, Move, definitions, event_of, many_examples, moves, outcomes

ID = UUID(int=7)


class Life:
    """A saga and its log; each state is looked at."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.plan: Plan = plan(definition)
        start = SagaStarted(input=INPUT, reply_to="somebody", at=1000.0)
        begun = begin(self.plan, ID, start)
        self.state = begun.state
        self.log: list[Event] = [begun.event]
        self.states = [self.state]

    def take(self, event: Event) -> bool:
        """Whether the event was accepted. If not, nothing has changed."""
        before = msgspec.json.encode(self.state)
        try:
            decision = decide(self.plan, self.state, event)
        except (UnexpectedEventError, RequestRefusedError):
            return False
        finally:
            assert msgspec.json.encode(self.state) == before, "a decision makes a new state, it never changes the old one"
        _effects_are_pending(decision.state, decision.effects)
        self.state = decision.state
        self.log.append(decision.event)
        self.states.append(self.state)
        assert list(violations(self.plan, self.state)) == []
        return True

    def live(self, drawn: list[Move]) -> None:
        for move in drawn:
            self.take(event_of(self.definition, self.state, move))


def _effects_are_pending(state: SagaState, effects: tuple[object, ...]) -> None:
    """What is asked for can be derived from the state again: the log is the outbox."""
    standing = list(pending_work(state.steps))
    assert [effect for effect in effects if isinstance(effect, EndSaga)] == ([EndSaga(state.phase)] if state.phase.ended else [])
    for effect in effects:
        match effect:
            case SetTimer(step=step, attempt=attempt, round=round, direction=direction):
                assert effect in standing
                fired = e.TimerFired(step, attempt, round, direction=direction)
                assert timer_due_at(state, fired) == effect.due_at
                assert timer_due_at(state, e.ResumeRequested()) is None
            case RunAction(step=step, attempt=attempt, round=round):
                assert effect in standing
                assert goes_back(state, step) or is_pending(state, step, Direction.ACTION, attempt, round)
            case RunCompensation(step=step, attempt=attempt, round=round):
                assert effect in standing
                assert is_pending(state, step, Direction.COMPENSATION, attempt, round)
            case Settle(step=step, attempt=attempt, round=round):
                assert effect in standing
                assert is_pending(state, step, effect.direction, attempt, round)


@many_examples
@given(definitions(), st.lists(moves(), max_size=40))
def test_any_events_in_any_order_keep_the_invariants(definition: Definition, drawn: list[Move]) -> None:
    Life(definition).live(drawn)


@many_examples
@given(definitions(), st.lists(moves(), max_size=25))
def test_replay_of_the_log_or_of_any_tail_of_it_gives_the_same_state(definition: Definition, drawn: list[Move]) -> None:
    life = Life(definition)
    life.live(drawn)
    assert replay(life.plan, ID, life.log) == life.state
    for length, state in enumerate(life.states, start=1):
        assert extend(life.plan, state, life.log[length:]) == life.state


@many_examples
@given(definitions(), st.lists(moves(), max_size=40))
def test_a_step_is_given_up_only_where_it_has_no_effect_or_was_undone(definition: Definition, drawn: list[Move]) -> None:
    """Or where an operator has left its effect, which the saga then says. From then on nothing that is heard of it changes it."""
    life = Life(definition)
    for move in drawn:
        life.take(event_of(definition, life.state, move))
        for name, step in life.state.steps.items():
            if step.action.status is not ActionStatus.GIVEN_UP:
                continue
            assert not life.take(e.ActionSucceeded(name, round=step.round))
            if step.compensation.status is CompensationStatus.SKIPPED:
                assert name in life.state.left_standing
            elif step.compensation.status is not CompensationStatus.DONE and step.action.attempt and name in life.plan.undoable:
                assert any(_never_happened(each, name) for each in life.log)


def _never_happened(event: Event, step: str) -> bool:
    match event:
        case e.ActionFailed(step=about, proven=proven):
            return about == step and proven
        case e.ActionSettled(step=about, happened=happened) | e.OutcomeDeclared(step=about, happened=happened):
            return about == step and not happened
        case _:
            return False


@many_examples
@given(definitions(), st.lists(moves(), max_size=20))
def test_states_and_events_come_back_from_json(definition: Definition, drawn: list[Move]) -> None:
    life = Life(definition)
    life.live(drawn)
    assert msgspec.json.decode(msgspec.json.encode(life.state), type=SagaState) == life.state
    for event in life.log:
        columns = {"step": event.step, "attempt": event.attempt, "round": event.round} if isinstance(event, StepEvent) else {}
        assert bodies.event(type(event).__name__, bodies.body(event), at=event.at, **columns) == event  # type: ignore[arg-type]


@many_examples
@given(definitions(), st.lists(moves(), max_size=30))
def test_an_accepted_event_counts_once(definition: Definition, drawn: list[Move]) -> None:
    """A repeat of an outcome or of a timer changes nothing."""
    life = Life(definition)
    for move in drawn:
        event = event_of(definition, life.state, move)
        if life.take(event) and isinstance(event, StepEvent) and not isinstance(event, e.RetryRequested | e.SkipRequested):
            assert not life.take(event)


@many_examples
@given(definitions(), st.lists(moves(), max_size=30), st.booleans())
def test_what_is_owed_leads_to_an_end(definition: Definition, drawn: list[Move], lost: bool) -> None:
    """Without further faults a saga ends, or is stuck; with an operator's retries it ends."""
    life = Life(definition)
    life.live(drawn)
    _resume(life)
    first: Callable[[SagaState], list[Event]] = _lost_actions_unknown if lost else _successes
    _drive(life, first)
    assert life.state.phase.ended or life.state.stuck_steps
    for _ in range(len(definition.steps)):
        for step in [] if life.state.phase.ended else life.state.stuck_steps:
            now = life.state.step(step).round
            by_hand: Event = e.RetryRequested(step, round=now)
            if step not in life.plan.owners:
                by_hand = e.SkipRequested(step, round=now, reason="its time is nowhere")
            assert life.take(by_hand)
        _drive(life, _successes)
    assert life.state.phase.ended
    assert not life.take(e.AbortRequested())


def _resume(life: Life) -> None:
    if life.state.paused and not life.state.phase.ended:
        assert life.take(e.ResumeRequested())


def _drive(life: Life, answers: Callable[[SagaState], list[Event]]) -> None:
    for _ in range(20 * len(life.definition.steps)):
        events = [] if life.state.phase.ended else answers(life.state)
        if not events:
            return
        for event in events:
            life.take(event)
    pytest.fail(f"it goes round in circles: {life.log[-5:]}")


def _successes(state: SagaState) -> list[Event]:
    waiting = [name for name, step in state.steps.items() if step.action.status is ActionStatus.WAITING]
    came: list[Event] = [
        e.OutcomeDeclared(name, round=state.step(name).round, happened=True, reason="it came") for name in waiting
    ]
    return came + [outcomes(state, work)[0] for work in pending_work(state.steps) if work.step not in waiting]


def _lost_actions_unknown(state: SagaState) -> list[Event]:
    """On the way back nobody runs an action again: whoever holds none of its leases calls it unknown."""
    if not is_backward(state):
        return _successes(state)
    return [outcomes(state, work)[-1 if isinstance(work, RunAction) else 0] for work in pending_work(state.steps)]
