"""Whatever happens while a saga is restarted, at whatever time: what goes back is undone, and no round is given twice."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import RunAction
from goconductor.lifecycle.facts.state import Failure, SagaState
from goconductor.lifecycle.facts.status import OPEN_ACTIONS, ActionStatus
from goconductor.lifecycle.pending_work import goes_back, is_pending, is_superseded
from goconductor.saga.definition import Definition, Step
from goconductor.saga.graph import reachable
from goconductor.saga.ids import Direction
from goconductor.saga.plan import plan
from tests.lifecycle.sagas import INPUT, Move, definitions, event_of, many_examples, moves, restarts
from tests.lifecycle.test_properties import Life

ID = UUID(int=7)
AGAIN = st.tuples(st.booleans(), st.integers(0, 100))
"""Whether a restart is asked for before the next move, and which."""


def lives(definition: Definition, drawn: list[tuple[Move, tuple[bool, int]]]) -> Life:
    life = Life(definition)
    for move, (again, which) in drawn:
        asked = restarts(life.state)
        if again and asked:
            life.take(asked[which % len(asked)])
        life.take(event_of(definition, life.state, move))
    return life


drawn_lives = st.lists(st.tuples(moves(nonsense=False), AGAIN), max_size=30)


@many_examples
@given(definitions(), drawn_lives)
def test_no_step_is_begun_twice_in_a_round_and_all_of_a_rewind_take_the_same(
    definition: Definition, drawn: list[tuple[Move, tuple[bool, int]]]
) -> None:
    life = lives(definition, drawn)
    begun: set[tuple[str, int]] = set()
    for before, after in zip(life.states, life.states[1:], strict=False):
        changed = {name for name in life.plan.order if after.step(name).round != before.step(name).round}
        if changed:
            assert {after.step(name).round for name in changed} == {after.rounds}
            assert all(reachable(life.plan.successors, name) <= changed for name in changed)
        for name, step in after.steps.items():
            fresh = name in changed or before.step(name).action.status is ActionStatus.PENDING
            if fresh and step.action.status is not ActionStatus.PENDING:
                assert (name, step.round) not in begun
                begun.add((name, step.round))


@many_examples
@given(definitions(), drawn_lives)
def test_a_new_round_begins_only_when_what_may_have_run_is_undone(
    definition: Definition, drawn: list[tuple[Move, tuple[bool, int]]]
) -> None:
    life = lives(definition, drawn)
    undone: set[tuple[str, int]] = set()
    may_have_run: set[tuple[str, int]] = set()
    for event, before, after in zip(life.log[1:], life.states, life.states[1:], strict=False):
        if isinstance(event, e.CompensationSucceeded | e.OutcomeDeclared) or (
            isinstance(event, e.CompensationSettled) and event.happened
        ):
            undone.add((event.step, event.round))
        never = (isinstance(event, e.ActionFailed) and event.proven) or (
            isinstance(event, e.ActionSettled | e.OutcomeDeclared) and not event.happened
        )
        if isinstance(event, e.ActionSucceeded | e.ActionFailed | e.OutcomeUnknown | e.ActionSettled) and not never:
            may_have_run.add((event.step, event.round))
        elif isinstance(event, e.StepEvent) and never:
            may_have_run.discard((event.step, event.round))
        for name in life.plan.order:
            if (was := before.step(name)).round == after.step(name).round:
                continue
            at_work = was.action.status in OPEN_ACTIONS and was.action.status is not ActionStatus.BACKOFF
            assert not at_work or (isinstance(event, e.StepEvent) and event.step == name)
            if name in life.plan.undoable and life.plan.roles[name] == "compensatable":
                assert (name, was.round) not in may_have_run - undone


@many_examples
@given(definitions(), drawn_lives)
def test_nothing_of_a_rewind_begins_before_its_end(definition: Definition, drawn: list[tuple[Move, tuple[bool, int]]]) -> None:
    life = lives(definition, drawn)
    for before, after in zip(life.states, life.states[1:], strict=False):
        if before.rewind is None or after.rewind != before.rewind:
            continue
        for name in before.rewind.steps:
            was, now = before.step(name).action, after.step(name).action
            assert now.status not in (ActionStatus.BACKOFF, ActionStatus.WAITING)
            assert (now.status in OPEN_ACTIONS) <= (was.status in OPEN_ACTIONS)
            assert now.attempt == was.attempt or not now.attempt


PLAN = plan(
    Definition(
        name="trip",
        steps=(
            Step(id="quote", run="s.quote"),
            Step(id="hotel", run="s.hotel", after=("quote",)),
            Step(id="car", run="s.car", after=("quote",)),
            Step(id="pay", run="s.pay", after=("hotel", "car"), pivot=True),
        ),
    )
)


def after(*events: e.Event) -> SagaState:
    state = begin(PLAN, ID, e.SagaStarted(input=INPUT, at=1.0)).state
    for event in events:
        state = decide(PLAN, state, event).state
    return state


def test_a_step_that_backs_off_and_has_nothing_to_undo_begins_anew_at_once() -> None:
    steps = Step(id="quote", run="s.quote", undo="none"), Step(id="tell", run="s.tell", after=("quote",))
    harmless = plan(Definition(name="quote", steps=steps))
    state = begin(harmless, ID, e.SagaStarted(input=INPUT, at=1.0)).state
    state = decide(harmless, state, e.ActionFailed("quote", failure=Failure("TimeoutError", "slow"), at=2.0)).state
    assert state.step("quote").action.status is ActionStatus.BACKOFF
    again = decide(harmless, state, e.RestartRequested(reason="so", at=3.0))
    assert (again.state.rewind, again.state.step("quote").round) == (None, 1)
    assert [effect.step for effect in again.effects if isinstance(effect, RunAction)] == ["quote"]


AT_WORK = (e.ActionSucceeded("quote"), e.ActionSucceeded("hotel"), e.RestartRequested(from_step="hotel", reason="so"))


def test_whether_work_is_still_wanted_is_asked_per_step() -> None:
    state = after(e.ActionSucceeded("quote"), e.RestartRequested(from_step="hotel", reason="so"))
    assert is_superseded(state, "hotel", 1, 0)
    assert not is_pending(state, "hotel", Direction.ACTION, 1, 0)
    assert is_pending(state, "car", Direction.ACTION, 1, 0)
    assert [goes_back(state, name) for name in PLAN.order] == [name in ("hotel", "pay") for name in PLAN.order]


def test_the_other_branch_is_waited_for_by_nobody() -> None:
    """Only what is open of the rewind holds its compensations up."""
    state = after(*AT_WORK)
    assert state.step("car").action.status is ActionStatus.SENT
    assert state.step("hotel").compensation.status == "sent"


def test_a_failure_beside_a_rewind_turns_the_saga_back_as_a_whole() -> None:
    state = after(*AT_WORK, e.ActionFailed("car", failure=Failure("RefusedError", retryable=False)))
    assert state.phase == "compensating"
    assert state.rewind is None
    assert state.step("hotel").compensation.status == "sent"


def test_an_older_version_reads_a_state_of_a_saga_that_was_never_restarted() -> None:
    assert after(e.ActionSucceeded("quote")).features == ()
    assert after(*AT_WORK).features == ("rewind",)


@pytest.mark.parametrize(
    ("events", "asked", "problem"),
    [
        ((), e.RestartRequested(reason="so", from_step="pay"), "have not begun"),
        (AT_WORK, e.RestartRequested(reason="so"), "rewinds already"),
        ((e.AbortRequested(),), e.RestartRequested(reason="so"), "is compensating; only"),
        ((e.AbortRequested(), e.PauseRequested()), e.RestartRequested(reason="so"), "turns back as a whole"),
    ],
)
def test_a_refusal_says_why(events: tuple[e.Event, ...], asked: e.RestartRequested, problem: str) -> None:
    with pytest.raises(RequestRefusedError, match=problem):
        decide(PLAN, after(*events), asked)


def test_an_outcome_of_an_older_round_changes_nothing() -> None:
    state = after(*AT_WORK, e.CompensationSucceeded("hotel"))
    for late in (e.ActionSucceeded("hotel"), e.CompensationSucceeded("hotel"), e.OutcomeUnknown("hotel")):
        with pytest.raises(UnexpectedEventError, match="of round 0 of step 'hotel', which is in round 1"):
            decide(PLAN, state, late)
