"""What a definition can run with and is hardly meant: each is named, with a path and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import DefinitionError, Saga
from goconductor.control.definitions.loading import check
from goconductor.engine.steps.registry import StepRegistry
from goconductor.saga.checking.doubts import doubts
from goconductor.saga.definition import Definition, Map, Step


def of(*steps: Step) -> list[str]:
    return doubts(Definition(name="order", steps=steps))


RESERVE = Step(id="reserve", run="stock.reserve", compensation=False)
CHARGE = Step(id="charge", run="payments.charge", after=("reserve",), pivot=True)


def test_a_step_that_nothing_undoes_says_so() -> None:
    (doubt,) = of(RESERVE, CHARGE)
    assert "Path: reserve succeeds → charge fails → what reserve has done stays." in doubt
    assert "undo: none" in doubt
    beside = of(RESERVE, Step(id="look", run="stock.look"))
    assert "reserve succeeds → look fails beside it" in beside[0]


@pytest.mark.parametrize(
    "step",
    [
        Step(id="reserve", run="stock.reserve"),  # only its owner knows
        Step(id="reserve", run="stock.reserve", compensation=True),
        Step(id="reserve", run="stock.reserve", compensation=False, undo="none"),
        Step(id="reserve", value="1"),
    ],
)
def test_a_step_that_is_undone_or_says_so_is_no_doubt(step: Step) -> None:
    assert of(step, CHARGE) == []


def test_nothing_is_undone_behind_the_pivot_nor_where_nothing_else_can_fail() -> None:
    assert of(RESERVE) == []
    assert of(Step(id="look", run="stock.look"), Step(id="pay", run="a.b", after=("look",), compensation=False)) == []
    assert (
        of(Step(id="reserve", run="stock.reserve"), CHARGE, Step(id="s", run="a.b", after=("charge",), compensation=False)) == []
    )


def test_the_steps_of_a_map_are_looked_at() -> None:
    do = (Step(id="reserve", run="stock.reserve", compensation=False),)
    lines = Step(id="lines", map=Map(over="$.input.lines", do=do))
    (doubt,) = of(lines, Step(id="charge", run="a.b", after=("lines",), pivot=True))
    assert "Path: lines succeeds → charge fails → what reserve has done stays." in doubt


def test_a_step_that_never_runs_is_named() -> None:
    (doubt,) = of(Step(id="a", run="a.b", when="1 > 2"))
    assert "step 'a' never runs: its condition '1 > 2' is false on any data" in doubt
    (doubt,) = of(Step(id="a", run="a.b", when="1 / 0 > 2"))
    assert "step 'a' fails whenever it has its turn" in doubt
    assert of(Step(id="a", run="a.b", when="2 > 1"), Step(id="b", run="a.b", when="input.yes")) == []


def test_code_at_hand_that_has_no_compensation_is_seen() -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def reserve() -> None: ...

    order: Saga[Any] = Saga("order")
    order.step("payments.charge", after=[order.step(reserve)], pivot=True)
    assert len(doubts(order.definition)) == 1
    quiet: Saga[Any] = Saga("order")
    quiet.step("payments.charge", after=[quiet.step(reserve, undo="none")], pivot=True)
    assert doubts(quiet.definition) == []


def test_a_check_refuses_all_of_them_and_says_which_version_it_would_be() -> None:
    checked = check(
        b"{name: order, steps: [{id: a, run: a.b, compensation: false, when: 1 > 2}, {id: c, run: a.c, after: [a]}]}",
        "f",
    )
    assert (len(checked.problems), checked.steps) == (2, 2)
    assert checked.version


def test_a_case_that_repeats_a_condition_is_refused() -> None:
    order: Saga[Any] = Saga("order")
    way = order.switch("way")
    for name in ("first", "second"):
        way.case(name, when="input.yes").step("a.b")
    way.case("else").step("a.b")
    with pytest.raises(DefinitionError, match=r"case 'second' of switch 'way' is never taken: .* case 'first' held"):
        _ = order.definition
