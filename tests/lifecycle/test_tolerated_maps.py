"""Maps that may fail: all items are undone, then the map is given up, and the saga has never turned back."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.state import Referable
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.saga.checking.validate import check
from goconductor.saga.definition import Binding, Definition, Map, Step
from goconductor.saga.plan import Plan, plan
from tests.lifecycle.test_join_counts import NO, RESERVE
from tests.lifecycle.test_slots import LABEL, Order

SHIP = Step(id="ship", run="shipping.ship", inputs={"of": Binding(ref="$.steps.lines.output")})


def order(*do: Step, then: tuple[Step, ...] = (SHIP,), join: Any = "all", fallback: str | None = None, **fields: Any) -> Plan:
    lines = Step(id="lines", map=Map(over="$.input", do=do, join=join, **fields), allow_fail=fallback is None, fallback=fallback)
    definition = Definition(name="order", steps=(lines, *then))
    check(definition)
    return plan(definition)


def test_all_items_are_undone_before_the_saga_goes_on_without_the_map() -> None:
    one = Order(order(RESERVE, LABEL), 2)
    one.take(e.ActionSucceeded("lines[0].reserve"))
    one.take(e.ActionSucceeded("lines[0].label"))
    assert one.take(e.ActionFailed("lines[1].reserve", failure=NO)) == {"undo lines[0].label", "undo lines[1].reserve"}
    assert one.state.status == "running"
    assert one.take(e.CompensationSucceeded("lines[1].reserve")) == set()
    assert one.take(e.CompensationSucceeded("lines[0].label")) == {"undo lines[0].reserve"}
    assert one.take(e.CompensationSucceeded("lines[0].reserve")) == {"run ship"}
    lines = one.state.step("lines")
    assert (lines.action.status, lines.round) == (ActionStatus.GIVEN_UP, 0)
    assert str(lines.failure) == "ItemFailedError: step 'lines[1].reserve': Refused: no"
    assert one.plan.inputs("ship", one.state.input, Referable(one.state.steps)) == {"of": None}


def test_what_its_fallback_gives_stands_for_a_map() -> None:
    bus = Step(id="bus", run="buses.hire")
    one = Order(order(RESERVE, then=(bus, SHIP), fallback="bus"), 1)
    assert one.take(e.ActionFailed("lines[0].reserve", failure=NO, proven=True)) == {"run bus"}
    assert one.take(e.ActionSucceeded("bus", output="a bus")) == {"run ship"}
    assert one.plan.inputs("ship", one.state.input, Referable(one.state.steps)) == {"of": "a bus"}
    one = Order(order(RESERVE, then=(bus, SHIP), fallback="bus"), 1)
    assert one.take(e.ActionSucceeded("lines[0].reserve", output=7)) == {"run ship"}
    assert one.plan.inputs("ship", one.state.input, Referable(one.state.steps)) == {"of": [7]}


def test_a_map_that_has_too_few_items_is_given_up_before_anything_is_sent() -> None:
    one = Order(order(RESERVE, join=3), 2)
    assert one.asked == {"run ship"}
    assert one.state.step("lines").action.status is ActionStatus.GIVEN_UP


def test_items_that_fail_one_by_one_are_tolerated_by_the_join_first_and_then_by_the_map() -> None:
    one = Order(order(RESERVE, join=2), 3)
    one.take(e.ActionSucceeded("lines[0].reserve"))
    assert one.take(e.ActionFailed("lines[1].reserve", failure=NO, proven=True)) == set()
    assert one.state.step("lines").lost == {1}
    assert one.take(e.ActionFailed("lines[2].reserve", failure=NO, proven=True)) == {"undo lines[0].reserve"}
    assert one.take(e.CompensationSucceeded("lines[0].reserve")) == {"run ship"}


def test_an_inner_map_is_given_up_and_its_item_goes_on() -> None:
    inner = Step(id="boxes", map=Map(over="$.item", do=(RESERVE,)), allow_fail=True)
    lines = Step(id="lines", map=Map(over="$.input", do=(inner, Step(id="tell", run="mails.send", after=("boxes",)))))
    definition = Definition(name="order", steps=(lines,))
    check(definition)
    one = Order(plan(definition), 0, given=[[1, 2]])
    one.take(e.ActionSucceeded("lines[0].boxes[0].reserve"))
    failed = e.ActionFailed("lines[0].boxes[1].reserve", failure=NO, proven=True)
    assert one.take(failed) == {"undo lines[0].boxes[0].reserve"}
    assert one.take(e.CompensationSucceeded("lines[0].boxes[0].reserve")) == {"run lines[0].tell"}


def test_a_map_that_fails_while_the_saga_is_paused_is_undone_and_left_when_it_goes_on() -> None:
    one = Order(order(RESERVE), 2)
    one.take(e.ActionSucceeded("lines[0].reserve"))
    one.take(e.PauseRequested())
    assert one.take(e.ActionFailed("lines[1].reserve", failure=NO, proven=True)) == set()
    assert one.take(e.ResumeRequested()) == {"undo lines[0].reserve"}
    one.take(e.PauseRequested())
    assert one.take(e.CompensationSucceeded("lines[0].reserve")) == set()
    assert one.state.step("lines").action.status is ActionStatus.GIVEN_UP
    assert one.take(e.ResumeRequested()) == {"run ship"}


def test_a_saga_that_turns_back_in_the_middle_undoes_each_item_once() -> None:
    one = Order(order(RESERVE), 2)
    one.take(e.ActionSucceeded("lines[0].reserve"))
    one.take(e.ActionFailed("lines[1].reserve", failure=NO))
    assert one.take(e.AbortRequested()) == set()
    one.take(e.CompensationSucceeded("lines[0].reserve"))
    one.take(e.CompensationSucceeded("lines[1].reserve"))
    assert one.state.status is SagaStatus.COMPENSATED


def test_late_and_repeated_outcomes_of_a_map_that_was_given_up_change_nothing() -> None:
    one = Order(order(RESERVE), 1)
    one.take(e.ActionFailed("lines[0].reserve", failure=NO, proven=True))
    for late in (e.ActionFailed("lines[0].reserve", failure=NO), e.ActionSucceeded("lines[0].reserve")):
        with pytest.raises(Exception, match=r"lines\[0\].reserve"):
            one.take(late)
    with pytest.raises(RequestRefusedError):
        one.take(e.RetryRequested("lines"))
