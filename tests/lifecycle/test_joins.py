"""Maps whose join needs not all items: an item is lost as a whole, and the map ends only when nothing of it is left to undo."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import RunAction, RunCompensation
from goconductor.lifecycle.facts.events import Event
from goconductor.lifecycle.facts.state import Failure, SagaState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus
from goconductor.lifecycle.grown import in_item, lost_around
from goconductor.lifecycle.pending_work import is_superseded
from goconductor.lifecycle.replay import extend, replay
from goconductor.saga.checking.validate import check
from goconductor.saga.definition import Binding, Definition, Delay, Map, Step, StepRole, Undo
from goconductor.saga.growth import needed
from goconductor.saga.plan import Plan, plan
from tests.lifecycle.sagas import CONDITIONS, Move, many_examples, moves, retries, sensible
from tests.lifecycle.test_properties import ID, Life

NO = Failure("Refused", "no", retryable=False)


@st.composite
def joined(draw: st.DrawFn) -> Definition:
    """A step, a map that needs not all its items, perhaps with a map inside, and a step after it."""
    behind = draw(st.integers(0, 5)) == 0
    over = draw(st.sampled_from(["$.input.one", "$.input.two", "$.input.two", "$.input.three", "$.input.nested"]))
    a, b = _in_body(draw, "a", behind=behind), _in_body(draw, "b", behind=behind)
    body = [a, msgspec.structs.replace(b, after=draw(st.sampled_from([(), ("a",)])))][: draw(st.integers(1, 2))]
    if over == "$.input.nested":
        inner = Map(over="$.item", do=(_in_body(draw, "x", behind=behind),), join=draw(st.sampled_from(["all", "any"])))
        body.append(Step(id="in", map=inner, after=draw(st.sampled_from([(), ("a",)]))))
    lines = Map(over=over, do=tuple(body), join=draw(st.sampled_from(["any", "any", 2, 1])))
    definition = Definition(
        name="drawn",
        steps=(
            Step(id="first", run="service.first", pivot=behind),
            Step(id="m", after=("first",), map=lines),
            Step(id="last", run="service.last", after=("m",), pivot=not behind and draw(st.booleans())),
        ),
        timeout_seconds=draw(st.none() | st.just(100.0)),
    )
    check(definition)
    return definition


def _in_body(draw: st.DrawFn, name: str, *, behind: bool) -> Step:
    when = draw(st.sampled_from([*CONDITIONS, "index > 0", "index < 2 || item.missing"]))
    if draw(st.integers(0, 5)) == 0:
        return Step(id=name, delay=Delay(seconds=3.0), when=when)
    return Step(
        id=name,
        run=f"service.{name}",
        inputs={"amount": Binding(value=1)},
        when=when,
        undo=None if behind else draw(st.sampled_from([None, None, "none", Undo(run="clerk.undo")])),
        allow_fail=not behind and draw(st.integers(0, 4)) == 0,
        retry=draw(retries.filter(lambda policy: policy is None or policy.attempts_max is not None)),
        compensation_retry=draw(retries),
        unknowns_max=draw(st.none() | st.just(1)),
    )


def look(compiled: Plan, state: SagaState) -> None:
    """What is true of lost items in each state of a saga that goes forward, and of the join at its end."""
    for name, its in state.steps.items():
        definition = compiled.steps[name].map
        if definition is None or its.length is None:
            continue
        gone = its.lost - its.undoing
        for place in gone:
            for step in in_item(compiled, state.steps, name, place):
                assert state.step(step).action.status in (ActionStatus.SKIPPED, ActionStatus.GIVEN_UP)
                assert state.step(step).compensation.status in ("none", "done", "skipped")
                assert state.step(step).output is None
        enough = needed(definition, its.length)
        if its.action.status is ActionStatus.SUCCEEDED:
            assert not its.undoing
        if its.action.status in (ActionStatus.SUCCEEDED, ActionStatus.GROWN):
            assert its.length - len(its.lost) >= enough
        if definition.join == "all" or compiled.roles[name] is not StepRole.COMPENSATABLE or is_lost(compiled, state, name):
            continue
        ended = [place for place in range(its.length) if place not in its.lost and all(last(state, name, definition, place))]
        given = [place for place in ended if ActionStatus.SUCCEEDED in last(state, name, definition, place)]
        if its.action.status is ActionStatus.SUCCEEDED:
            assert ended == given
            assert len(given) == its.length - len(its.lost) >= enough
        if its.action.status is ActionStatus.GROWN:
            assert ended == given
            assert len(given) < enough or len(given) == its.length - len(its.lost)


def last(state: SagaState, name: str, definition: Map, place: int) -> list[ActionStatus | None]:
    """The statuses of an item's last steps; None for one that is not done."""
    inner = {each for step in definition.do for each in step.after}
    statuses = [state.step(f"{name}[{place}].{step.id}").action.status for step in definition.do if step.id not in inner]
    done = (ActionStatus.SUCCEEDED, ActionStatus.SKIPPED, ActionStatus.GIVEN_UP)
    return [status if status in done else None for status in statuses]


def is_lost(compiled: Plan, state: SagaState, name: str) -> bool:
    """Whether a map goes back: with the saga, or with the item that it is in."""
    return state.phase not in ("queued", "running", "completed") or lost_around(state.steps, name) is not None


@many_examples
@given(joined(), st.lists(moves(), max_size=60))
def test_no_event_leads_to_a_state_that_must_not_be_and_the_log_gives_it_again(definition: Definition, drawn: list[Move]) -> None:
    life = Life(definition)
    life.live(drawn)
    for state in life.states:
        look(life.plan, state)
    assert replay(life.plan, ID, life.log) == life.state
    for length, state in enumerate(life.states, start=1):
        assert extend(life.plan, state, life.log[length:]) == life.state


@many_examples
@given(joined(), st.lists(st.integers(0, 1_000), min_size=1, max_size=40))
def test_a_saga_ends_whatever_fails_in_its_items(definition: Definition, drawn: list[int]) -> None:
    """Nobody pauses or aborts it; what is drawn decides what comes of each piece of work. What is stuck is tried again."""
    life = Life(definition)
    for number in range(400):
        if life.state.phase.ended:
            break
        stuck = [name for name in life.state.stuck_steps if name not in life.plan.owners]  # a map with too few items
        found: list[Event] = [e.SkipRequested(name, reason="there are no more") for name in stuck]
        found += [each for each in sensible(life.state) if _goes_on(each)]
        assert found, f"nothing will ever happen to it: {life.state}"
        life.take(_later(found[drawn[number % len(drawn)] % len(found)], life.state))
        if number == 200:  # from here on all goes well
            drawn = [0]
    else:
        raise AssertionError(f"it never ends: {life.state}")
    look(life.plan, life.state)


def _goes_on(event: Event) -> bool:
    outcome = e.ActionSucceeded | e.ActionFailed | e.OutcomeUnknown | e.CompensationSucceeded | e.ActionSettled | e.TimerFired
    retried = e.RetryRequested | e.CompensationFailed | e.SettleUnavailable | e.CompensationSettled
    return isinstance(event, outcome | retried)


def _later(event: Event, state: SagaState) -> Event:
    due_at = state.step(event.step).due_at if isinstance(event, e.TimerFired) else None
    return msgspec.structs.replace(event, at=state.at if due_at is None else max(state.at, due_at))


# --- one by one

RESERVE = Step(id="reserve", run="inventory.reserve")
LABEL = Step(id="label", run="labels.print", after=("reserve",))


class Order:
    """A saga with the map ``lines`` over three items and the step ``ship`` after it, and what is decided about it."""

    def __init__(self, join: Any, *do: Step, length: int = 3, **ship: Any) -> None:
        lines = Step(id="lines", map=Map(over="$.input", do=do, join=join))
        ship = {"inputs": {"lines": Binding(ref="$.steps.lines.output")}} | ship
        definition = Definition(name="order", steps=(lines, Step(id="ship", run="shipping.ship", **ship)))
        check(definition)
        self.plan = plan(definition)
        self.start = e.SagaStarted(input=[*range(length)])
        self.decided = begin(self.plan, UUID(int=1), self.start)
        self.log: list[Event] = [self.decided.event]

    @property
    def state(self) -> SagaState:
        return self.decided.state

    def then(self, *events: Event) -> set[str]:
        """Let something happen, and return what the last of it asks for, in words."""
        for event in events:
            self.decided = decide(self.plan, self.state, event)
            self.log.append(self.decided.event)
        assert replay(self.plan, UUID(int=1), self.log) == self.state
        words = {RunAction: "run", RunCompensation: "undo"}
        return {
            f"{words[type(each)]} {each.step}" for each in self.decided.effects if isinstance(each, RunAction | RunCompensation)
        }


def test_an_item_that_fails_is_undone_as_a_whole_and_the_others_go_on() -> None:
    order = Order("any", RESERVE, LABEL)
    order.then(e.ActionSucceeded("lines[0].reserve", output="A1"))
    assert order.then(e.ActionFailed("lines[0].label", failure=NO, proven=True)) == {"undo lines[0].reserve"}
    assert order.state.status == "running"
    order.then(e.CompensationSucceeded("lines[0].reserve"))
    statuses = [order.state.step(f"lines[0].{each}").action.status for each in ("reserve", "label")]
    assert statuses == [ActionStatus.GIVEN_UP, ActionStatus.SKIPPED]
    assert order.then(e.ActionSucceeded("lines[1].reserve")) == {"run lines[1].label"}


def test_what_is_surplus_is_awaited_and_undone_before_the_map_ends() -> None:
    order = Order("any", RESERVE)
    assert order.then(e.ActionSucceeded("lines[1].reserve", output="B7")) == set()
    assert is_superseded(order.state, "lines[0].reserve", 1, 0)
    order.then(e.ActionSucceeded("lines[0].reserve"), e.OutcomeUnknown("lines[2].reserve", reason="nobody began it"))
    assert order.state.step("ship").action.status is ActionStatus.PENDING
    assert order.then(e.CompensationSucceeded("lines[0].reserve")) == set()
    assert order.then(e.CompensationSucceeded("lines[2].reserve")) == {"run ship"}
    inputs = order.plan.inputs("ship", order.state.input, order.state.referable())
    assert inputs == {"lines": [None, "B7", None]}


def test_a_late_success_of_what_is_surplus_does_not_end_the_map_before_it_is_undone() -> None:
    order = Order("any", RESERVE)
    order.then(e.ActionSucceeded("lines[1].reserve"))
    assert order.then(e.ActionSucceeded("lines[0].reserve")) == {"undo lines[0].reserve"}
    assert order.then(e.ActionSucceeded("lines[2].reserve")) == {"undo lines[2].reserve"}
    assert order.then(e.CompensationSucceeded("lines[2].reserve")) == set()
    assert order.then(e.CompensationSucceeded("lines[0].reserve")) == {"run ship"}


def test_items_may_fail_until_the_number_is_out_of_reach() -> None:
    order = Order(2, RESERVE)
    order.then(e.ActionFailed("lines[0].reserve", failure=NO, proven=True))
    assert order.state.step("lines").lost == {0}
    order.then(e.ActionSucceeded("lines[1].reserve"))
    assert order.then(e.ActionFailed("lines[2].reserve", failure=NO, proven=True)) == {"undo lines[1].reserve"}
    assert order.state.status == "compensating"
    order.then(e.CompensationSucceeded("lines[1].reserve"))
    assert order.state.status == "compensated"


def test_a_map_with_fewer_items_than_it_needs_sends_nothing() -> None:
    order = Order(4, RESERVE)
    assert order.state.status == "compensated"
    assert "its list has 3 items, and 4 of them must succeed" in order.state.reason
    assert order.decided.effects[0] is not None
    assert Order("any", RESERVE, length=0).state.status == "compensated"


def test_behind_the_pivot_all_items_are_awaited_and_too_few_are_left_to_an_operator() -> None:
    pivot = Step(id="pay", run="payments.pay", pivot=True)
    lines = Step(id="lines", map=Map(over="$.input", do=(RESERVE,), join=2), after=("pay",))
    definition = Definition(name="order", steps=(pivot, lines))
    check(definition)
    compiled = plan(definition)
    state = begin(compiled, ID, e.SagaStarted(input=[1])).state
    state = decide(compiled, state, e.ActionSucceeded("pay")).state
    assert state.status == "stuck"
    state = decide(compiled, state, e.InputEdited("lines", inputs={"over": [1, 2, 3]}, reason="more")).state
    state = decide(compiled, state, e.RetryRequested("lines")).state
    for place in range(3):
        assert state.status == "running"
        state = decide(compiled, state, e.ActionSucceeded(f"lines[{place}].reserve")).state
    assert state.status == "completed"


def test_an_inner_map_that_fails_loses_the_item_that_it_is_in() -> None:
    inner = Step(id="boxes", map=Map(over="$.input", do=(RESERVE,)))
    order = Order("any", inner, length=2)
    assert order.then(e.ActionSucceeded("lines[0].boxes[0].reserve")) == set()
    failed = order.then(e.ActionFailed("lines[0].boxes[1].reserve", failure=NO, proven=True))
    assert failed == {"undo lines[0].boxes[0].reserve"}
    assert order.state.step("lines").lost == {0}
    order.then(e.CompensationSucceeded("lines[0].boxes[0].reserve"))
    assert order.state.step("lines[0].boxes").action.status is ActionStatus.SKIPPED
    order.then(e.ActionSucceeded("lines[1].boxes[0].reserve"))
    assert order.then(e.ActionSucceeded("lines[1].boxes[1].reserve")) == {"run ship"}


def test_an_item_is_lost_while_an_item_of_its_inner_map_is_being_undone() -> None:
    order = Order("any", Step(id="boxes", map=Map(over="$.input", do=(RESERVE, LABEL), join="any")), length=2)
    late, inner = "lines[0].boxes[1].reserve", "lines[0].boxes[0].reserve"
    order.then(e.ActionSucceeded(inner), e.ActionFailed("lines[0].boxes[0].label", failure=NO, proven=True))
    assert order.state.step("lines[0].boxes").undoing == {0}
    order.then(e.ActionSucceeded("lines[1].boxes[0].reserve"), e.ActionSucceeded("lines[1].boxes[0].label"))
    order.then(e.OutcomeUnknown("lines[1].boxes[1].reserve"), e.CompensationSucceeded("lines[1].boxes[1].reserve"))
    assert order.state.step("lines").lost == {0}
    order.then(e.OutcomeUnknown(late), e.CompensationSucceeded(late))
    assert order.then(e.CompensationSucceeded(inner)) == {"run ship"}
    assert order.state.step("lines[0].boxes").undoing == frozenset()


def test_a_pause_holds_back_what_undoes_an_item_and_a_skip_in_it_leaves_an_effect() -> None:
    order = Order("any", RESERVE, LABEL, length=2)
    order.then(e.ActionSucceeded("lines[0].reserve"), e.PauseRequested())
    assert order.then(e.ActionFailed("lines[0].label", failure=NO, proven=True)) == set()
    assert order.then(e.ResumeRequested()) >= {"undo lines[0].reserve"}
    order.then(e.CompensationFailed("lines[0].reserve", failure=NO))
    assert order.state.status == "stuck"
    order.then(e.SkipRequested("lines[0].reserve", reason="it broke", forced=True))
    order.then(e.ActionSucceeded("lines[1].reserve"))
    assert order.then(e.ActionSucceeded("lines[1].label")) == {"run ship"}
    order.then(e.ActionSucceeded("ship"))
    assert (order.state.status, order.state.left_standing) == ("completed", ["lines[0].reserve"])


def test_the_saga_turns_back_through_items_that_are_lost() -> None:
    order = Order("any", RESERVE)
    order.then(e.ActionFailed("lines[0].reserve", failure=NO), e.ActionSucceeded("lines[1].reserve"))
    assert order.state.step("lines[0].reserve").compensation.status is CompensationStatus.SENT
    order.then(e.AbortRequested(), e.CompensationSucceeded("lines[0].reserve"))
    order.then(e.OutcomeUnknown("lines[2].reserve"))
    for place in (1, 2):
        assert order.state.status == "compensating"
        order.then(e.CompensationSucceeded(f"lines[{place}].reserve"))
    assert order.state.status == "compensated"


@pytest.mark.parametrize("join", [0, -1, 20_001])
def test_a_number_that_no_list_can_reach_is_refused(join: int) -> None:
    with pytest.raises(Exception, match="give 'join' a number from 1 to 20,000"):
        Order(join, RESERVE)
