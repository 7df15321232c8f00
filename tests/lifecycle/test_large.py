"""What one event costs in a saga with many steps, in calls: they grow in line with the steps, not with their square."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

import msgspec
import pytest

from goconductor.lifecycle.decide import apply, decide, first
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.events import Event
from goconductor.lifecycle.facts.state import Failure
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.requests.allowed import of_steps
from goconductor.lifecycle.requests.catalogue import Request
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


def tries(length: int) -> int:
    """What may be asked of the items of a map that all wait."""
    made = of_items(Step(id="paid", wait=Wait(event="paid")))
    state = first(made, ID, e.SagaStarted(input={"lines": [*range(length)]}, at=1.0)).state
    found: dict[str, list[Request]] = {}
    taken = calls_of(lambda: found.update(of_steps(made, state)))
    assert len(found) == length
    return taken


def test_what_a_step_accepts_is_found_without_counting_all_steps_for_each_try() -> None:
    assert tries(4 * FEW) / 4 < 1.5 * tries(FEW)


def lost(place: int) -> Event:
    return e.ActionFailed(f"lines[{place}].pay", failure=Failure("Refused", "no", retryable=False), proven=True, at=3.0)


def _is_kept(name: str) -> bool:
    of = inspect.getattr_static(Fold, name)
    return inspect.ismemberdescriptor(of) or inspect.isgetsetdescriptor(of)


_FIELDS = sorted(
    name for name in {name for kind in Fold.__mro__ for name in vars(kind)} if not name.startswith("__") and _is_kept(name)
)


@pytest.mark.parametrize(
    "happens",
    [
        e.SignalReceived(name="paid", id="2", payload=2, at=3.0),
        e.ActionSucceeded("lines[2].pay", at=3.0),
        lost(2),
        e.PauseRequested(at=3.0),
        e.AbortRequested(reason="no more", at=3.0),
        e.TerminationRequested(forced=True, reason="no more", at=3.0),
    ],
)
@pytest.mark.parametrize("join", ["any", 3])
def test_what_a_branch_of_a_fold_takes_concerns_the_fold_no_more_than_a_decision(happens: Event, join: int | str) -> None:
    """Each comes to the same, and neither changes what it came from."""
    do = (Step(id="paid", wait=Wait(event="paid")), Step(id="pay", run="payments.pay"))
    lines = Step(id="lines", map=Map(over="$.input.lines", do=do, join=join, concurrency=4))  # type: ignore[arg-type]
    made = compiled(lines, Step(id="ship", run="shipping.ship", after=("lines",)))
    fold = first(made, ID, e.SagaStarted(input={"lines": [*range(6)]}, at=1.0))
    for event in (e.SignalReceived(name="paid", id="1", payload=1, at=2.0), e.ActionSucceeded("lines[1].pay", at=2.0), lost(0)):
        apply(fold, event)
        fold.effects.clear()
    before = msgspec.structs.replace(fold.state, steps=dict(fold.steps))
    branch, again = fold.branch(), fold.branch()
    assert [name for name in _FIELDS if getattr(branch, name) != getattr(fold, name)] == []
    apply(branch, happens)
    assert (fold.state, fold.effects) == (before, [])
    apply(again, happens)
    decided = decide(made, before, happens)
    assert branch.state == again.state == decided.state
    assert branch.effects == again.effects == [*decided.effects]
    apply(fold, happens)
    assert fold.state == decided.state
