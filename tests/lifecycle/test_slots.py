"""The slots of maps: so many items are at work at one time, forward and backward, whatever happens to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import RunAction, RunCompensation
from goconductor.lifecycle.facts.events import Event
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import DONE_ACTIONS, ActionStatus, CompensationStatus
from goconductor.lifecycle.grown import in_item, last_steps
from goconductor.lifecycle.replay import extend, replay
from goconductor.saga.checking.validate import check
from goconductor.saga.definition import Definition, Map, Step, Undo
from goconductor.saga.plan import Plan, plan
from tests.lifecycle.calls import calls_of
from tests.lifecycle.sagas import Move, many_examples, moves, sensible
from tests.lifecycle.test_join_counts import NO, RESERVE
from tests.lifecycle.test_joins import _goes_on, _later, joined
from tests.lifecycle.test_properties import ID, Life

LABEL = Step(id="label", run="labels.print", after=("reserve",))
CLOSED = (CompensationStatus.DONE, CompensationStatus.SKIPPED)


@st.composite
def bounded(draw: st.DrawFn) -> Definition:
    """A saga with a map whose items have slots, and perhaps one in it."""
    definition = draw(joined())
    first, lines, last = definition.steps
    assert lines.map is not None
    join = draw(st.sampled_from([lines.map.join, "all"]))
    inner = draw(st.sampled_from([None, 1]))
    do = tuple(_with_slots(step, inner) for step in lines.map.do)
    map = msgspec.structs.replace(lines.map, do=do, join=join, concurrency=draw(st.sampled_from([None, 1, 1, 2])))
    lines = msgspec.structs.replace(lines, allow_fail=not first.pivot and draw(st.booleans()))
    definition = msgspec.structs.replace(definition, steps=(first, msgspec.structs.replace(lines, map=map), last))
    check(definition)
    return definition


def _with_slots(step: Step, concurrency: int | None) -> Step:
    if step.map is None:
        return step
    return msgspec.structs.replace(step, map=msgspec.structs.replace(step.map, concurrency=concurrency))


def look(compiled: Plan, state: SagaState) -> None:
    """No more items are at work than there are slots; and while the saga goes forward no slot is free that an item waits for."""
    for name, its in state.steps.items():
        definition = compiled.steps[name].map
        if definition is None or definition.concurrency is None or its.length is None:
            continue
        at_work, waiting = 0, 0
        for place in range(its.length):
            steps = [*in_item(compiled, state.steps, name, place)]
            if state.phase in ("compensating", "compensated"):
                at_work += _is_undone_now(compiled, state, steps)
                continue
            begun = any(state.step(step).action.status is not ActionStatus.PENDING for step in steps)
            ended = all(status in DONE_ACTIONS for status in _last(compiled, state, name, place))
            if its.action.failure is not None:  # all are lost, and those that had ended wait for a slot to be undone
                undone = any(state.step(step).compensation.status is not CompensationStatus.NONE for step in steps)
                at_work += begun and place in its.undoing and (undone or not ended)
                continue
            at_work += begun and (place in its.undoing or (place not in its.lost and not ended))
            waiting += not begun and place not in its.lost
        assert at_work <= definition.concurrency
        forward = its.action.status is ActionStatus.GROWN and its.action.failure is None
        if state.phase == "running" and not state.paused and forward:
            assert at_work == definition.concurrency or not waiting


def _is_undone_now(compiled: Plan, state: SagaState, steps: list[str]) -> bool:
    begun = any(state.step(step).compensation.status not in (CompensationStatus.NONE, *CLOSED) for step in steps)
    some = any(state.step(step).compensation.status in CLOSED for step in steps)
    left = (ActionStatus.SUCCEEDED, ActionStatus.FAILED, ActionStatus.UNKNOWN)
    more = any(
        state.step(step).action.status in left and state.step(step).compensation.status is CompensationStatus.NONE
        for step in steps
        if step in compiled.undoable
    )
    return begun or (some and more)


def _last(compiled: Plan, state: SagaState, name: str, place: int) -> Iterator[ActionStatus]:
    return (state.step(each).action.status for each in last_steps(compiled, state.steps, name) if f"{name}[{place}]." in each)


@many_examples
@given(bounded(), st.lists(moves(), max_size=60))
def test_no_more_items_are_at_work_than_there_are_slots(definition: Definition, drawn: list[Move]) -> None:
    life = Life(definition)
    life.live(drawn)
    for state in life.states:
        look(life.plan, state)
    assert replay(life.plan, ID, life.log) == life.state
    for length, state in enumerate(life.states, start=1):
        assert extend(life.plan, state, life.log[length:]) == life.state


@many_examples
@given(bounded(), st.lists(st.integers(0, 1_000), min_size=1, max_size=40))
def test_a_saga_whose_items_have_slots_ends_whatever_fails(definition: Definition, drawn: list[int]) -> None:
    life = Life(definition)
    for number in range(600):
        if life.state.phase.ended:
            break
        stuck = [name for name in life.state.stuck_steps if name not in life.plan.owners]
        found: list[Event] = [e.SkipRequested(name, reason="there are no more") for name in stuck]
        found += [each for each in sensible(life.state) if _goes_on(each)]
        assert found, f"nothing will ever happen to it: {life.state}"
        life.take(_later(found[drawn[number % len(drawn)] % len(found)], life.state))
        look(life.plan, life.state)
        if number == 200:
            drawn = [0]
    else:
        raise AssertionError(f"it never ends: {life.state}")
    assert replay(life.plan, ID, life.log) == life.state


# --- one by one


def order(concurrency: int, *do: Step, join: Any = "all") -> Plan:
    lines = Step(id="lines", map=Map(over="$.input", do=do, join=join, concurrency=concurrency))
    definition = Definition(name="order", steps=(lines, Step(id="ship", run="shipping.ship", after=("lines",))))
    check(definition)
    return plan(definition)


class Order:
    """A saga over a list, and what each of its events asks for, in words."""

    def __init__(self, compiled: Plan, length: int, *, given: Any = None) -> None:
        self.plan = compiled
        start = begin(compiled, ID, e.SagaStarted(input=given or [*range(length)], at=1.0))
        self.state, self.log = start.state, [start.event]
        self.asked = words(start.effects)

    def take(self, event: Event) -> set[str]:
        decided = decide(self.plan, self.state, event)
        self.state, self.asked = decided.state, words(decided.effects)
        self.log.append(decided.event)
        assert replay(self.plan, ID, self.log) == self.state
        return self.asked


def words(effects: Any) -> set[str]:
    named = {RunAction: "run", RunCompensation: "undo"}
    return {f"{named[type(each)]} {each.step}" for each in effects if isinstance(each, RunAction | RunCompensation)}


def test_an_item_keeps_its_slot_until_its_last_step_has_ended() -> None:
    one = Order(order(1, RESERVE, LABEL), 2)
    assert one.asked == {"run lines[0].reserve"}
    assert one.take(e.ActionSucceeded("lines[0].reserve")) == {"run lines[0].label"}
    assert one.take(e.ActionSucceeded("lines[0].label")) == {"run lines[1].reserve"}


def test_items_go_back_one_at_a_time_the_last_first() -> None:
    one = Order(order(1, RESERVE, LABEL), 3)
    for place in range(3):
        one.take(e.ActionSucceeded(f"lines[{place}].reserve"))
        if place < 2:
            one.take(e.ActionSucceeded(f"lines[{place}].label"))
    assert one.take(e.AbortRequested()) == set()  # a label is being printed
    assert one.take(e.ActionFailed("lines[2].label", failure=NO)) == {"undo lines[2].label"}
    assert one.take(e.CompensationSucceeded("lines[2].label")) == {"undo lines[2].reserve"}
    assert one.take(e.CompensationSucceeded("lines[2].reserve")) == {"undo lines[1].label"}


def test_a_compensation_that_is_stuck_keeps_its_slot() -> None:
    one = Order(order(1, RESERVE, join="any"), 2)
    one.take(e.ActionFailed("lines[0].reserve", failure=NO))
    assert one.take(e.CompensationFailed("lines[0].reserve", failure=NO)) == set()
    assert one.state.status == "stuck"
    assert one.take(e.SkipRequested("lines[0].reserve", reason="gone", forced=True)) == {"run lines[1].reserve"}


def test_the_slot_of_the_item_that_was_enough_is_given_to_none_that_is_not_needed() -> None:
    one = Order(order(1, RESERVE, join="any"), 3)
    assert one.take(e.ActionSucceeded("lines[0].reserve")) == {"run ship"}
    assert one.state.step("lines").lost == {1, 2}
    assert "lines[1].reserve" not in {name for name, step in one.state.steps.items() if step.action.attempt}


def test_slots_that_came_free_while_the_saga_was_paused_are_given_when_it_goes_on() -> None:
    one = Order(order(2, RESERVE), 5)
    one.take(e.PauseRequested())
    assert one.take(e.ActionSucceeded("lines[1].reserve")) == set()
    assert one.take(e.ActionSucceeded("lines[0].reserve")) == set()
    assert one.take(e.ResumeRequested()) == {"run lines[2].reserve", "run lines[3].reserve"}


def test_an_item_that_has_nothing_to_undo_gives_its_slot_to_the_one_before() -> None:
    undone = Step(id="reserve", run="inventory.reserve", undo=Undo(run="clerk.undo"), unknowns_max=1)
    one = Order(order(1, undone, LABEL), 2)
    one.take(e.ActionSucceeded("lines[0].reserve"))
    one.take(e.ActionSucceeded("lines[0].label"))
    one.take(e.OutcomeUnknown("lines[1].reserve", reason="lost"))
    assert one.state.step("lines[1].reserve").compensation.status is CompensationStatus.SETTLING
    assert one.take(e.ActionSettled("lines[1].reserve", happened=False)) == {"undo lines[0].label"}


@pytest.mark.parametrize("concurrency", [0, -1, 20_001])
def test_a_number_of_slots_that_makes_no_sense_is_refused(concurrency: int) -> None:
    with pytest.raises(Exception, match="give it a number of items from 1 to 20,000"):
        order(concurrency, RESERVE)


# --- large maps


def calls_of_a_life(length: int, *, back: bool) -> int:
    """How many functions a replay calls of a saga whose items end one after the other, forward or also back."""
    compiled = order(10, RESERVE)
    log: list[Event] = [e.SagaStarted(input=[0] * length, at=1.0)]
    log += [e.ActionSucceeded(f"lines[{place}].reserve") for place in range(length - back)]
    if back:
        log.append(e.ActionFailed(f"lines[{length - 1}].reserve", failure=NO))
        log += [e.CompensationSucceeded(f"lines[{place}].reserve") for place in reversed(range(length))]
    return calls_of(lambda: replay(compiled, ID, log))


@pytest.mark.parametrize("back", [False, True])
def test_the_life_of_a_map_with_slots_costs_each_item_as_much(*, back: bool) -> None:
    few, many = (calls_of_a_life(length, back=back) for length in (100, 800))
    assert many < 10 * few


def test_the_end_of_an_item_costs_no_look_at_the_others() -> None:
    """What each decision of its own looks at is one item more, however many there are."""

    def one_ends(length: int) -> int:
        compiled = order(10, RESERVE)
        start = begin(compiled, ID, e.SagaStarted(input=[0] * length, at=1.0))
        half = [e.ActionSucceeded(f"lines[{place}].reserve") for place in range(length // 2)]
        state = extend(compiled, start.state, half)
        return calls_of(lambda: decide(compiled, state, e.ActionSucceeded(f"lines[{length // 2}].reserve")))

    few, many = one_ends(100), one_ends(1_600)
    assert many < 2 * few


def test_an_item_of_which_a_part_was_undone_on_the_way_forward_has_no_slot_on_the_way_back() -> None:
    """Else a decision would begin with that item, and a replay, which looks once, with the last one."""
    inner = Step(id="in", map=Map(over="$.item", do=(Step(id="x", run="service.x"),), join="any"))
    outer = Step(id="out", map=Map(over="$.input", do=(Step(id="a", run="service.a"), inner), concurrency=1))
    definition = Definition(name="order", steps=(outer, Step(id="late", run="service.late", after=("out",))))
    check(definition)
    compiled = plan(definition)
    made = begin(compiled, ID, e.SagaStarted(input=[[1, 2], [3]]))
    log: list[Event] = [made.event]

    def tell(event: Event) -> list[str]:
        nonlocal made
        made = decide(compiled, made.state, event)
        log.append(made.event)
        assert replay(compiled, ID, log) == made.state
        return [each.step for each in made.effects if isinstance(each, RunCompensation)]

    tell(e.ActionSucceeded("out[0].a"))
    assert tell(e.ActionFailed("out[0].in[1].x", failure=NO)) == ["out[0].in[1].x"]
    tell(e.CompensationSucceeded("out[0].in[1].x"))
    for name in ("out[0].in[0].x", "out[1].a", "out[1].in[0].x"):
        tell(e.ActionSucceeded(name))
    undone, now = list[str](), tell(e.ActionFailed("late", failure=NO))
    while now:
        undone += now
        now = [each for name in now for each in tell(e.CompensationSucceeded(name))]
    assert [name[:6] for name in undone] == ["late", "out[1]", "out[1]", "out[0]", "out[0]"]
    assert made.state.status == "compensated"
