"""Savepoints, whatever happens and in whatever order: each way is tried once, and on nothing that stands of another one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goconductor.errors import UnexpectedEventError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import RunAction
from goconductor.lifecycle.facts.state import Failure, SagaState
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.lifecycle.replay import replay
from goconductor.saga.checking.validate import problems
from goconductor.saga.definition import Binding, Definition, Savepoint, Step
from goconductor.saga.plan import Plan, plan
from tests.lifecycle.sagas import INPUT, Move, definitions
from tests.lifecycle.test_maps import growing
from tests.lifecycle.test_rewinding import drawn_lives, lives
from tests.lifecycle.test_rewinding_maps import begun_once_and_undone

NO = Failure("DeclinedError", retryable=False)
WAYS = ("first", "b", "c")


@st.composite
def with_savepoints(draw: st.DrawFn) -> Definition:
    """A definition in which some steps have become savepoints, and some of those after them ask for their way."""
    drawn = draw(st.one_of(definitions(steps_max=6), growing()))
    steps = [*drawn.steps]
    for number in draw(st.sets(st.integers(0, len(steps) - 1), min_size=1, max_size=2)):
        tried = [*steps]
        ways = WAYS[1 : draw(st.integers(2, 3))]
        tried[number] = Step(id=steps[number].id, savepoint=Savepoint(otherwise=ways), after=steps[number].after)
        for place, step in enumerate(tried):
            if steps[number].id in step.after and not step.pivot and step.when is None and draw(st.booleans()):
                asked = f"steps.{steps[number].id}.output == '{draw(st.sampled_from(WAYS))}'"
                tried[place] = msgspec.structs.replace(step, when=asked)
        if not problems(msgspec.structs.replace(drawn, steps=tuple(tried))):
            steps = tried
    return msgspec.structs.replace(drawn, steps=tuple(steps))


@settings(max_examples=250, deadline=None)
@given(with_savepoints(), drawn_lives)
def test_each_way_is_tried_once_and_nothing_of_another_one_stands(
    definition: Definition, drawn: list[tuple[Move, tuple[bool, int]]]
) -> None:
    life = lives(definition, drawn)
    assert replay(life.plan, life.state.saga_id, life.log) == life.state
    begun_once_and_undone(life)
    for before, after in zip(life.states, life.states[1:], strict=False):
        for name, way in after.ways.items():
            earlier = before.ways.get(name)
            assert way.number < len(life.plan.savepoints[name])
            assert earlier is None or way.number >= earlier.number
        for name in before.ways.keys() - after.ways.keys():  # it has gone back itself
            assert after.step(name).round > before.step(name).round
        for name, ways in life.plan.savepoints.items():
            if after.rewind is None and after.step(name).action.status is ActionStatus.SUCCEEDED and not after.phase.ended:
                number = after.ways[name].number if name in after.ways else 0
                assert after.step(name).output == ways[number] or after.phase is not SagaStatus.RUNNING


ORDER = plan(
    Definition(
        name="order",
        steps=(
            Step(id="reserve", run="stock.reserve"),
            Step(id="pay", savepoint=Savepoint(first="card", otherwise=("invoice",)), after=("reserve",)),
            Step(id="note", run="shop.note", after=("pay",), when="steps.pay.output == 'invoice'"),
            Step(id="charge", run="bank.charge", after=("note",), inputs={"by": Binding(ref="$.steps.pay.output")}, pivot=True),
            Step(id="ship", run="post.ship", after=("charge",)),
        ),
    )
)


def lived(*events: e.Event, of: Plan = ORDER) -> SagaState:
    state = begin(of, UUID(int=7), e.SagaStarted(input=INPUT, at=1.0)).state
    for event in events:
        state = decide(of, state, event).state
    return state


DUE = (e.ActionSucceeded("reserve"),)


def test_a_pivot_that_its_journal_says_never_happened_takes_another_way() -> None:
    state = lived(*DUE, e.ActionFailed("charge", failure=NO, proven=True))
    assert (state.step("pay").output, state.step("charge").round) == ("invoice", 1)
    assert state.step("note").action.status is ActionStatus.SENT
    state = decide(ORDER, state, e.AbortRequested()).state  # the pivot is not sent any more
    assert state.phase is SagaStatus.COMPENSATING


@pytest.mark.parametrize(
    ("events", "taken"),
    [
        ((e.ActionFailed("charge", failure=NO), e.ActionSettled("charge", happened=False)), True),
        ((e.ActionFailed("charge", failure=NO), e.SettleUnavailable("charge", reason="no journal")), False),
        ((e.ActionFailed("charge", failure=NO), e.OutcomeDeclared("charge", happened=False, reason="seen")), True),
        ((e.ActionFailed("charge", failure=Failure("E")), e.AbortRequested(), e.ActionSettled("charge", happened=False)), False),
    ],
)
def test_a_pivot_takes_another_way_only_where_it_certainly_never_happened(events: tuple[Any, ...], taken: bool) -> None:
    state = lived(*DUE, *events)
    assert (state.phase is SagaStatus.COMPENSATING) is not taken
    assert bool(state.ways) is taken


def test_the_last_way_is_followed_by_turning_back() -> None:
    state = lived(*DUE, e.ActionFailed("charge", failure=NO, proven=True), e.ActionFailed("note", round=1, failure=NO))
    assert state.phase is SagaStatus.COMPENSATING
    assert state.reason == "step 'note': DeclinedError"


def test_a_late_outcome_of_the_way_that_was_given_up_changes_nothing() -> None:
    state = lived(*DUE, e.ActionFailed("charge", failure=NO, proven=True))
    with pytest.raises(UnexpectedEventError, match="of round 0"):
        decide(ORDER, state, e.ActionSucceeded("charge"))


def test_the_deadline_turns_back_a_saga_whose_pivot_gives_up_its_way() -> None:
    slow = Step(id="slow", run="shop.slow", after=("pay",))
    steps = tuple(
        msgspec.structs.replace(step, after=("pay", "slow")) if step.id == "charge" else step for step in ORDER.definition.steps
    )
    timed = plan(msgspec.structs.replace(ORDER.definition, steps=(*steps, slow), timeout_seconds=100.0))
    state = lived(*DUE, e.ActionSucceeded("slow"), e.ActionFailed("charge", failure=NO, proven=True), of=timed)
    assert state.rewind is not None
    assert decide(timed, state, e.DeadlinePassed(at=200.0)).state.phase is SagaStatus.COMPENSATING


def test_no_way_is_taken_after_the_deadline_which_passed_while_the_pivot_was_at_work() -> None:
    timed = plan(msgspec.structs.replace(ORDER.definition, timeout_seconds=100.0))
    state = lived(*DUE, e.DeadlinePassed(at=200.0), of=timed)
    assert state.phase is SagaStatus.RUNNING
    state = decide(timed, state, e.ActionFailed("charge", failure=NO, proven=True, at=201.0)).state
    assert (state.phase, state.ways) == (SagaStatus.COMPENSATING, {})


NESTED = plan(
    Definition(
        name="trip",
        steps=(
            Step(id="by", savepoint=Savepoint(first="train", otherwise=("car",))),
            Step(id="seat", run="trip.seat", after=("by",)),
            Step(id="pay", savepoint=Savepoint(first="card", otherwise=("bill",)), after=("seat",)),
            Step(id="charge", run="bank.charge", after=("pay",), undo="none"),
            Step(id="tell", run="trip.tell", after=("by",), undo="none"),
        ),
    )
)


def test_the_nearest_savepoint_takes_a_way_and_what_it_has_tried_is_forgotten_with_an_outer_one() -> None:
    state = lived(e.ActionSucceeded("seat"), e.ActionFailed("charge", failure=NO), of=NESTED)
    assert (state.step("pay").output, state.step("by").output) == ("bill", "train")
    state = decide(NESTED, state, e.ActionFailed("charge", round=1, failure=NO)).state
    assert state.rewind is not None
    assert state.rewind.steps == ("seat", "tell", "pay", "charge")
    for event in (e.ActionSucceeded("tell"), e.CompensationSucceeded("seat")):
        decision = decide(NESTED, state, event)
        state = decision.state
    assert {each.step: each.round for each in decision.effects if isinstance(each, RunAction)} == {"seat": 2, "tell": 2}
    assert ([*state.ways], state.step("by").output) == (["by"], "car")
    assert decide(NESTED, state, e.ActionSucceeded("seat", round=2)).state.step("pay").output == "card"


def test_a_failure_beside_a_rewind_adds_what_it_takes_back() -> None:
    asked = e.RestartRequested(from_step="seat", reason="so", inputs=None)
    state = lived(e.ActionSucceeded("seat"), asked, e.ActionFailed("tell", failure=NO), of=NESTED)
    assert state.rewind is not None
    assert state.rewind.steps == ("seat", "tell", "pay", "charge")
    assert state.ways["by"].because == "step 'tell': DeclinedError"


def test_a_compensation_that_was_skipped_turns_the_saga_back() -> None:
    state = lived(e.ActionSucceeded("seat"), e.ActionFailed("tell", failure=NO), of=NESTED)
    state = decide(NESTED, state, e.OutcomeUnknown("charge", reason="gone")).state
    state = decide(NESTED, state, e.SkipRequested("seat", reason="so", forced=True)).state
    assert state.phase in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED)
    assert state.left_standing == ["seat"]


def test_while_paused_the_next_way_waits() -> None:
    state = lived(*DUE, e.PauseRequested())
    decision = decide(ORDER, state, e.ActionFailed("charge", failure=NO, proven=True))
    assert decision.effects == ()
    assert decision.state.step("pay").output == "invoice"
    resumed = decide(ORDER, decision.state, e.ResumeRequested())
    assert [each.step for each in resumed.effects if isinstance(each, RunAction)] == ["note"]
