"""A round is a step's: what is sent, awaited and refused names the round of its own step, whatever that of the others is."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from goconductor.errors import UnexpectedEventError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import Effect, RunAction, RunCompensation, SetTimer, Settle
from goconductor.lifecycle.facts.state import Failure, SagaState, StepState
from goconductor.lifecycle.pending_work import is_pending, is_superseded, pending_work
from goconductor.saga.definition import Definition, Step
from goconductor.saga.ids import Direction, idempotency_key
from goconductor.saga.plan import plan
from goconductor.saga.retry import ACTION_RETRY

ID = UUID(int=1)
STEPS = (Step(id="a", run="s.a"), Step(id="b", run="s.b", after=("a",)), Step(id="c", run="s.c", after=("b",), pivot=True))
PLAN = plan(Definition(name="order", steps=STEPS))
FINAL = Failure("No", retryable=False)


def after(state: SagaState, *happened: e.Event) -> tuple[SagaState, tuple[Effect, ...]]:
    effects: tuple[Effect, ...] = ()
    for event in happened:
        decision = decide(PLAN, state, event)
        state, effects = decision.state, decision.effects
    return state, effects


@pytest.fixture
def state() -> SagaState:
    """``a`` is in its first round, ``b`` in its fourth, ``c`` in its sixth; so the state comes over the bus."""
    begun = begin(PLAN, ID, e.SagaStarted(at=1.0)).state
    anew = {"b": StepState(round=3), "c": StepState(round=5)}
    told = msgspec.json.encode(msgspec.structs.replace(begun, steps={**begun.steps, **anew}))
    return msgspec.json.decode(told, type=SagaState)


def test_what_is_sent_names_the_round_of_its_step(state: SagaState) -> None:
    state, effects = after(state, e.ActionSucceeded("a", at=2.0))
    assert effects == (RunAction("b", 1, 3),)
    assert [*pending_work(state.steps)] == [RunAction("b", 1, 3)]
    assert is_pending(state, "b", Direction.ACTION, 1, 3)
    assert not is_pending(state, "b", Direction.ACTION, 1, 0)


def test_an_outcome_of_another_round_is_refused(state: SagaState) -> None:
    state, _ = after(state, e.ActionSucceeded("a", at=2.0))
    for round in (0, 5):
        with pytest.raises(UnexpectedEventError, match=f"of round {round} of step 'b', which is in round 3"):
            decide(PLAN, state, e.ActionSucceeded("b", round=round, at=3.0))


def test_a_retry_and_its_jitter_belong_to_the_round(state: SagaState) -> None:
    state, effects = after(state, e.ActionSucceeded("a", at=2.0), e.ActionFailed("b", round=3, failure=Failure("No"), at=3.0))
    due_at = 3.0 + ACTION_RETRY.wait_seconds(1, idempotency_key(ID, "b", "action", 3))
    assert effects == (SetTimer("b", Direction.ACTION, 2, 3, due_at),)
    assert after(state, e.TimerFired("b", 2, 3, at=due_at))[1] == (RunAction("b", 2, 3),)


def test_each_step_is_compensated_in_its_own_round(state: SagaState) -> None:
    done = (e.ActionSucceeded("a", at=2.0), e.ActionSucceeded("b", round=3, at=3.0))
    turned, effects = after(state, *done, e.ActionFailed("c", round=5, failure=FINAL, proven=True, at=4.0))
    assert effects == (RunCompensation("b", 1, 3),)
    assert after(turned, e.CompensationSucceeded("b", round=3, at=5.0))[1] == (RunCompensation("a", 1, 0),)
    settling, effects = after(state, *done, e.ActionFailed("c", round=5, failure=FINAL, at=4.0))
    assert effects == (Settle("c", 5),)
    assert [*pending_work(settling.steps)] == [Settle("c", 5)]


def test_an_action_is_superseded_in_its_own_round(state: SagaState) -> None:
    turned, _ = after(state, e.ActionSucceeded("a", at=2.0), e.AbortRequested(at=3.0))
    assert is_superseded(turned, "b", 1, 3)
    assert not is_superseded(turned, "b", 1, 0)
