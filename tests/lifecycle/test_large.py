"""What one event costs in a saga with many steps, in calls: they grow in line with the steps, not with their square."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from goconductor.lifecycle.decide import apply, first
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.events import Event
from goconductor.saga.checking.validate import check
from goconductor.saga.definition import Definition, Map, Step, Wait
from goconductor.saga.plan import Plan, plan
from tests.lifecycle.calls import calls_of
from tests.lifecycle.test_properties import ID

FEW, MANY = 50, 400


def of_items(step: Step) -> Plan:
    """A saga in which each item is one step, and one comes after all of them."""
    lines = Step(id="lines", map=Map(over="$.input.lines", do=(step,)))
    return compiled(lines, Step(id="ship", run="shipping.ship", after=("lines",)))


def compiled(*steps: Step) -> Plan:
    definition = Definition(name="large", steps=steps)
    check(definition)
    return plan(definition)


def calls(made: Plan, length: int, events: Iterable[Event]) -> int:
    """How many calls it takes to fold events, all of them in one fold, after the start."""
    fold = first(made, ID, e.SagaStarted(input={"lines": [*range(length)]}, at=1.0))
    log = [*events]

    def run() -> None:
        for event in log:
            apply(fold, event)
            fold.effects.clear()

    found = calls_of(run)
    assert fold.phase == "completed" or fold.steps["ship"].action.status == "sent"
    return found


def signals(length: int) -> int:
    """Signals for as many items as wait for one of that name."""
    told = (e.SignalReceived(name="paid", id=str(number), payload=number, at=2.0) for number in range(length))
    return calls(of_items(Step(id="paid", wait=Wait(event="paid"))), length, told)


def signals_of_written_steps(length: int) -> int:
    """The same, of steps that stand in the definition."""
    steps = [Step(id=f"s{number}", wait=Wait(event="paid")) for number in range(length)]
    ship = Step(id="ship", run="shipping.ship", after=tuple(step.id for step in steps))
    told = (e.SignalReceived(name="paid", id=str(number), payload=number, at=2.0) for number in range(length))
    return calls(compiled(*steps, ship), length, told)


def approvals(length: int) -> int:
    """Approvals of items, the last item's first."""
    names = (f"lines[{place}].ok" for place in reversed(range(length)))
    told = (e.SignalReceived(name=name, id=name, approves=name, by="Ada", at=2.0) for name in names)
    return calls(of_items(Step(id="ok", wait=Wait(approval="Is it right?"))), length, told)


@pytest.mark.parametrize("counted", [signals, signals_of_written_steps, approvals])
def test_each_event_costs_the_same_however_many_steps_there_are(counted: Callable[[int], int]) -> None:
    assert counted(MANY) / MANY < 1.5 * counted(FEW) / FEW
