"""Maps in a rewind, whatever happens: all of a map goes back, and what it grows anew is in a round of its own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import RunAction, RunCompensation
from goconductor.lifecycle.facts.state import Failure, SagaState
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.replay import replay
from goconductor.saga.definition import Definition, Map, Step, Wait
from goconductor.saga.growth import outermost
from goconductor.saga.plan import plan
from tests.lifecycle.sagas import INPUT, Move
from tests.lifecycle.test_maps import growing
from tests.lifecycle.test_properties import Life
from tests.lifecycle.test_rewinding import drawn_lives, lives

NO = Failure("RefusedError", retryable=False)
JOINS = Definition(
    name="parcel",
    steps=(
        Step(id="pack", run="stock.pack"),
        Step(
            id="ask",
            after=("pack",),
            map=Map(
                over="$.input.two",
                join="any",
                do=(Step(id="quote", run="shop.q"), Step(id="hold", run="shop.h", after=("quote",))),
            ),
        ),
        Step(id="send", run="post.send", after=("ask",)),
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(growing(), st.just(JOINS)), drawn_lives)
def test_nothing_of_a_map_is_begun_twice_in_a_round_and_all_that_may_have_run_is_undone(
    definition: Definition, drawn: list[tuple[Move, tuple[bool, int]]]
) -> None:
    life = lives(definition, drawn)
    assert replay(life.plan, life.state.saga_id, life.log).steps == life.state.steps
    begun_once_and_undone(life)


def begun_once_and_undone(life: Life) -> None:
    """Look at a life: nothing is begun twice in a round, and what may have run is undone before it comes anew."""
    begun: set[tuple[str, int]] = set()
    may_have_run: set[tuple[str, int]] = set()
    undone: set[tuple[str, int]] = set()
    for event, before, after in zip(life.log[1:], life.states, life.states[1:], strict=False):
        never = (isinstance(event, e.ActionFailed) and event.proven) or (
            isinstance(event, e.ActionSettled | e.OutcomeDeclared) and not event.happened
        )
        if isinstance(event, e.CompensationSucceeded | e.OutcomeDeclared) or (
            isinstance(event, e.CompensationSettled) and event.happened
        ):
            undone.add((event.step, event.round))
        elif isinstance(event, e.ActionSucceeded | e.ActionFailed | e.OutcomeUnknown | e.ActionSettled) and not never:
            may_have_run.add((event.step, event.round))
        elif isinstance(event, e.StepEvent) and never:
            may_have_run.discard((event.step, event.round))
        for name in before.steps.keys() - after.steps.keys():  # it has grown, and is forgotten
            assert before.step(outermost(name)).round < after.step(outermost(name)).round
            if name in life.plan.undoable and life.plan.roles[name] == "compensatable":
                assert (name, before.step(name).round) not in may_have_run - undone
        for name, step in after.steps.items():
            was = before.step(name)
            if was.round != step.round and name in life.plan.undoable and life.plan.roles[name] == "compensatable":
                assert (name, was.round) not in may_have_run - undone
            fresh = was.round != step.round or was.action.status is ActionStatus.PENDING or name not in before.steps
            if fresh and step.action.status is not ActionStatus.PENDING:
                assert (name, step.round) not in begun
                begun.add((name, step.round))


LINES = plan(
    Definition(
        name="lines",
        steps=(
            Step(id="open", run="shop.open"),
            Step(id="line", map=Map(over="$.input.two", do=(Step(id="take", run="stock.take"),)), after=("open",)),
            Step(id="close", run="shop.close", after=("line",)),
        ),
    )
)


def lived(*events: e.Event, of: Any = LINES) -> SagaState:
    state = begin(of, UUID(int=7), e.SagaStarted(input=INPUT, at=1.0)).state
    for event in events:
        state = decide(of, state, event).state
    return state


TAKEN = (
    e.ActionSucceeded("open"),
    e.ActionSucceeded("line[0].take"),
    e.ActionFailed("line[1].take", failure=Failure("E", "slow")),
)


def test_a_restart_inside_of_a_map_takes_all_of_it_and_what_it_grows_anew_is_in_another_round() -> None:
    state = lived(*TAKEN, e.RestartRequested(from_step="line[1].take", reason="so"))
    assert state.rewind is not None
    assert state.rewind.steps == ("line", "close")
    assert state.features == ("rewind", "rewind_of_map")
    assert state.step("line[0].take").compensation.status == state.step("line[1].take").compensation.status == "sent"
    decision = decide(LINES, state, e.CompensationSucceeded("line[0].take"))
    decision = decide(LINES, decision.state, e.CompensationSucceeded("line[1].take"))
    assert decision.state.rewind is None
    asked = [(each.step, each.round) for each in decision.effects if isinstance(each, RunAction)]
    assert asked == [("line[0].take", 1), ("line[1].take", 1)]
    with pytest.raises(UnexpectedEventError, match="is of round 0"):
        decide(LINES, decision.state, e.ActionSucceeded("line[0].take"))


def test_a_map_without_anything_to_undo_grows_anew_at_once_and_in_another_round() -> None:
    take = Step(id="take", run="stock.take", undo="none")
    lines = Step(id="line", map=Map(over="$.input.two", do=(take,)))
    noted = plan(Definition(name="lines", steps=(lines, Step(id="close", wait=Wait(event="close"), after=("line",)))))
    state = lived(e.ActionSucceeded("line[0].take"), e.ActionSucceeded("line[1].take"), of=noted)
    decision = decide(noted, state, e.RestartRequested(from_step="line", reason="so"))
    assert decision.state.rewind is None
    asked = [(each.step, each.round) for each in decision.effects if isinstance(each, RunAction)]
    assert asked == [("line[0].take", 1), ("line[1].take", 1)]
    with pytest.raises(UnexpectedEventError, match="is of round 0"):
        decide(noted, decision.state, e.ActionSucceeded("line[0].take"))


def test_a_map_is_given_another_list_for_its_new_round() -> None:
    state = lived(*TAKEN[:2], e.RestartRequested(from_step="line", reason="so", inputs={"over": ["only"]}))
    state = decide(LINES, state, e.OutcomeUnknown("line[1].take")).state
    for name in ("line[0].take", "line[1].take"):
        decision = decide(LINES, state, e.CompensationSucceeded(name))
        state = decision.state
    assert [(each.step, each.round) for each in decision.effects if isinstance(each, RunAction)] == [("line[0].take", 1)]
    assert "line[1].take" not in state.steps
    with pytest.raises(UnexpectedEventError, match="has no step"):
        decide(LINES, state, e.ActionSucceeded("line[1].take"))


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (e.RestartRequested(from_step="line[0].take", reason="so", inputs={"a": 1}), "goes back with all of map 'line'"),
        (e.RestartRequested(from_step="line", reason="so", inputs={"a": 1}), "has no input 'a'; its inputs are: over"),
    ],
)
def test_inputs_are_those_of_the_map(asked: e.RestartRequested, problem: str) -> None:
    with pytest.raises(RequestRefusedError, match=problem):
        decide(LINES, lived(*TAKEN), asked)


def test_an_item_that_was_being_undone_is_undone_with_the_others() -> None:
    joins = plan(JOINS)
    one = (e.ActionSucceeded("pack"), e.ActionSucceeded("ask[0].quote"), e.ActionFailed("ask[0].hold", failure=NO))
    state = lived(*one, e.ActionSucceeded("ask[1].quote"), of=joins)
    assert state.step("ask").undoing == {0}
    decision = decide(joins, state, e.RestartRequested(from_step="ask", reason="so"))
    assert not [each for each in decision.effects if isinstance(each, RunCompensation)]  # ask[1].hold is at work
    state = decide(joins, decision.state, e.ActionSucceeded("ask[1].hold")).state
    for name in ("ask[0].hold", "ask[1].hold", "ask[0].quote", "ask[1].quote"):
        assert state.rewind is not None
        state = decide(joins, state, e.CompensationSucceeded(name)).state
    assert state.step("ask").lost == frozenset()
    assert state.step("ask[0].quote").action.status is ActionStatus.SENT


def test_an_effect_that_was_left_in_a_map_would_be_there_twice() -> None:
    joins = plan(JOINS)
    one = (e.ActionSucceeded("pack"), e.ActionFailed("ask[0].quote", failure=NO))
    state = lived(*one, e.SkipRequested("ask[0].quote", reason="so", forced=True), of=joins)
    with pytest.raises(RequestRefusedError, match=r"the compensation of step 'ask\[0\].quote' was skipped"):
        decide(joins, state, e.RestartRequested(from_step="ask", reason="so"))
