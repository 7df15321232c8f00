"""Which items count for a join: those in which something has succeeded. And what one event on a large map costs."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import RunAction, RunCompensation
from goconductor.lifecycle.facts.events import Event
from goconductor.lifecycle.facts.state import Failure, SagaState
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.replay import extend, replay
from goconductor.saga.checking.validate import check
from goconductor.saga.definition import Definition, Delay, Map, Step, Wait
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan, plan
from tests.lifecycle.calls import calls_of
from tests.lifecycle.test_properties import ID

NO = Failure("Refused", "no", retryable=False)
RESERVE = Step(id="reserve", run="inventory.reserve")
WANTED = Step(id="reserve", run="inventory.reserve", when="item.free")
FREE, TAKEN = {"free": True}, {"free": False}


def order(join: Any, *do: Step, over: str = "$.input.lines") -> Plan:
    lines = Step(id="lines", map=Map(over=over, do=do, join=join))
    definition = Definition(name="order", steps=(lines, Step(id="ship", run="shipping.ship", after=("lines",))))
    check(definition)
    return plan(definition)


def live(compiled: Plan, lines: list[Any], *events: Event) -> tuple[SagaState, set[str]]:
    """Let an order begin and something happen to it; return its state, and what the last event asks for, in words."""
    decided = begin(compiled, ID, e.SagaStarted(input={"lines": lines}, at=1.0))
    log = [decided.event]
    for event in events:
        decided = decide(compiled, decided.state, event)
        log.append(decided.event)
    assert replay(compiled, ID, log) == decided.state
    words = {RunAction: "run", RunCompensation: "undo"}
    return decided.state, {
        f"{words[type(each)]} {each.step}" for each in decided.effects if isinstance(each, RunAction | RunCompensation)
    }


@pytest.mark.parametrize(("lines", "free"), [([FREE, TAKEN], 0), ([TAKEN, FREE], 1)])
def test_an_item_that_was_only_skipped_does_not_take_the_place_of_one_at_work(lines: list[Any], free: int) -> None:
    compiled = order("any", WANTED)
    state, asked = live(compiled, lines)
    assert asked == {f"run lines[{free}].reserve"}
    assert state.step("lines").lost == {1 - free}
    state, asked = live(compiled, lines, e.ActionSucceeded(f"lines[{free}].reserve"))
    assert asked == {"run ship"}
    assert state.step("lines").lost == {1 - free}


def test_a_map_whose_items_are_all_skipped_fails() -> None:
    state, asked = live(order("any", WANTED), [TAKEN, TAKEN])
    assert (state.status, asked) == ("compensated", set())
    assert state.reason == "map 'lines': too few items have succeeded; the last steps of item 1 did not run"


def test_an_item_whose_last_step_is_given_up_is_lost_and_undone() -> None:
    label = Step(id="label", run="labels.print", after=("reserve",), allow_fail=True)
    reserved = [e.ActionSucceeded(f"lines[{place}].reserve") for place in (0, 1)]
    refused = [e.ActionFailed(f"lines[{place}].label", failure=NO, proven=True) for place in (0, 1)]
    state, asked = live(order("any", RESERVE, label), [1, 2], *reserved, refused[0])
    assert (state.status, asked) == ("running", {"undo lines[0].reserve"})
    state, asked = live(order("any", RESERVE, label), [1, 2], *reserved, *refused)
    assert (state.status, asked) == ("compensating", {"undo lines[1].reserve"})


def test_an_item_counts_that_has_given_something_by_one_of_its_last_steps() -> None:
    compiled = order("any", RESERVE, Step(id="label", run="labels.print", when="false"))
    _, asked = live(compiled, [1], e.ActionSucceeded("lines[0].reserve"))
    assert asked == {"run ship"}


def test_an_item_counts_whose_fallback_was_not_needed() -> None:
    by_hand = Step(id="by_hand", run="clerk.reserve")
    reserve = Step(id="reserve", run="inventory.reserve", fallback="by_hand")
    state, asked = live(order("any", reserve, by_hand), [1], e.ActionSucceeded("lines[0].reserve"))
    assert state.step("lines[0].by_hand").action.status is ActionStatus.SKIPPED
    assert asked == {"run ship"}


def test_an_inner_map_counts_if_it_succeeded_and_not_if_it_was_skipped() -> None:
    inner = Map(over="$.item.boxes", do=(RESERVE,))
    items: list[Any] = [{"free": True, "boxes": []}, {"free": True, "boxes": [1]}]
    state, asked = live(order("any", Step(id="boxes", map=inner)), items)
    assert (asked, state.step("lines").lost) == ({"run ship"}, frozenset({1}))
    items[0]["free"] = False
    state, asked = live(order("any", Step(id="boxes", map=inner, when="item.free")), items)
    assert (asked, state.step("lines").lost) == ({"run lines[1].boxes[0].reserve"}, frozenset({0}))


def test_an_inner_map_whose_items_are_all_skipped_loses_the_item_that_it_is_in() -> None:
    inner = Map(over="$.item", do=(WANTED,), join="any")
    state, asked = live(order("any", Step(id="boxes", map=inner)), [[TAKEN], [FREE]])
    assert (asked, state.step("lines").lost) == ({"run lines[1].boxes[0].reserve"}, frozenset({0}))


def test_an_item_is_lost_while_the_saga_is_paused_and_undone_when_it_goes_on() -> None:
    label = Step(id="label", run="labels.print", after=("reserve",), when="item.free")
    paused = (e.PauseRequested(), e.ActionSucceeded("lines[0].reserve"), e.ActionSucceeded("lines[1].reserve"))
    state, asked = live(order("any", RESERVE, label), [TAKEN, FREE], *paused, e.ResumeRequested())
    assert asked == {"undo lines[0].reserve", "run lines[1].label"}
    assert state.step("lines").lost == {0}


def test_a_wait_that_its_item_loses_by_the_event_that_began_it_takes_no_signal() -> None:
    paid = Step(id="paid", wait=Wait(event="paid"), when="item.free")
    at_once = Step(id="at_once", value="1", when="!item.free")
    lines = Step(id="lines", map=Map(over="$.input.lines", do=(paid, at_once), join="any"), after=("first",))
    definition = Definition(name="order", steps=(Step(id="first", run="x.first"), lines))
    check(definition)
    signal = e.SignalReceived(name="paid", id="1", payload=1)
    state, _ = live(plan(definition), [FREE, TAKEN], signal, e.ActionSucceeded("first"))
    assert (state.status, state.step("lines").lost, len(state.signals)) == (SagaStatus.COMPLETED, frozenset({0}), 1)


# --- large maps


def one_delay_ends(length: int) -> tuple[Plan, SagaState, Event]:
    """An order in which all items have reserved, and wait; and the event that ends the first wait."""
    later = {"at": "2030-01-01T00:00:00Z"}
    compiled = order("any", RESERVE, Step(id="pause", delay=Delay(until="$.item.at"), after=("reserve",)))
    start = begin(compiled, ID, e.SagaStarted(input={"lines": [{"at": "2029-01-01T00:00:00Z"}, *[later] * (length - 1)]}, at=1.0))
    state = extend(compiled, start.state, [e.ActionSucceeded(f"lines[{place}].reserve", at=2.0) for place in range(length)])
    due_at = state.step("lines[0].pause").due_at or 0.0
    return compiled, state, e.TimerFired("lines[0].pause", 1, direction=Direction.ACTION, at=due_at)


def test_an_event_by_which_many_items_are_surplus_costs_each_item_once() -> None:
    few, many = (calls_of(partial(decide, *one_delay_ends(length))) for length in (100, 800))
    assert many < 10 * few


@pytest.mark.pure("it counts calls of Fold.note, which it replaces")
def test_the_places_of_all_lost_items_are_noted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each note copies all places, so that a note for each item would cost the square."""
    noted: list[str] = []
    note = Fold.note

    def counted(fold: Fold, name: str, **changes: Any) -> None:
        noted.append(name)
        note(fold, name, **changes)

    monkeypatch.setattr(Fold, "note", counted)
    delay = Step(id="pause", delay=Delay(until="$.item"))
    later = ["2029-01-01T00:00:00Z", *["2030-01-01T00:00:00Z"] * 20]
    compiled = order("any", delay)
    state = begin(compiled, ID, e.SagaStarted(input={"lines": later}, at=1.0)).state
    due_at = state.step("lines[0].pause").due_at or 0.0
    state = decide(compiled, state, e.TimerFired("lines[0].pause", 1, direction=Direction.ACTION, at=due_at)).state
    assert len(state.step("lines").lost) == 20
    assert noted == ["lines", "lines"]
