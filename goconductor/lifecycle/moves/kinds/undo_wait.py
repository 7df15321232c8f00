"""A declared undo that nobody runs: it is done when a signal says so, or when the person who did it approves.

Some things are undone by hand: a cheque is torn up, a warehouse puts a pallet back. The saga turns back, comes to the step,
and waits until somebody says that it is done. That costs nothing. The steps before it are undone afterwards.

- A signal or an approval counts only while the undo waits. An earlier signal was sent before anybody had asked, and cannot be
  about this. So it is not kept, but refused; its sender sends it again later.
- An approval names the round in which its question was shown, as each approval does.
- When its time limit is over, the undo is stuck, and an operator is told. A signal or an approval that comes then still ends
  it.
- No code runs that could have a late effect. So a skip needs no fence, and leaves the effect standing. A termination ends the
  wait.
"""

from __future__ import annotations

from collections.abc import Mapping

from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.facts.effects import SetTimer
from goconductor.lifecycle.facts.events import SignalReceived
from goconductor.lifecycle.facts.state import Failure, Side, StepState
from goconductor.lifecycle.facts.status import CompensationStatus
from goconductor.lifecycle.fold import Fold
from goconductor.saga.definition import Undo, Wait, every_step
from goconductor.saga.growth import template
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan

TIMED_OUT = "WaitTimedOutError"
"""Type of the failure of an undo of which no word has come in time."""

_WAITS = (CompensationStatus.WAITING, CompensationStatus.STUCK)


def begin(fold: Fold, name: str, cause: type[object]) -> None:
    """Begin to wait, or to wait again."""
    limit = fold.plan.undo_waits[name].timeout_seconds
    due_at = None if limit is None else fold.at + limit
    attempt = fold.step(name).compensation.attempt + 1
    waits = Side(CompensationStatus.WAITING, attempt, due_at=due_at, since=fold.at)
    step = fold.set_compensation(name, cause, waits)
    if due_at is not None:
        fold.set_timer(SetTimer(name, Direction.COMPENSATION, attempt, step.round, due_at))


def timed_out(fold: Fold, name: str, cause: type[object]) -> None:
    """Leave an undo to an operator, of which no word has come in time."""
    wait = fold.plan.undo_waits[name]
    what = f"no signal {wait.event!r}" if wait.event is not None else "no approval"
    failure = Failure(TIMED_OUT, f"{what} came within {wait.timeout_seconds:g} s", retryable=False)
    stuck = fold.step(name).compensation.to(CompensationStatus.STUCK, failure=failure)
    fold.set_compensation(name, cause, stuck)


def taker(fold: Fold, event: SignalReceived) -> str | None:
    """Return the step of which a signal says that it is undone; None where it is no word about an undo.

    Raises:
        RequestRefusedError: it is one, and nobody has asked, or asks no more.
    """
    waits = fold.plan.undo_waits
    if event.approves:
        name = event.approves
        if name not in waits or waits[name].approval is None or name not in fold.steps:
            return None
        if event.seen_round != (round := fold.step(name).round):
            raise RequestRefusedError(
                f"the approval of the undo of step {name!r} is for its round {event.seen_round}, and the step is in round "
                f"{round}: look at the question again, and approve that"
            )
        if (status := fold.step(name).compensation.status) not in _WAITS:
            raise RequestRefusedError(f"nobody asks whether step {name!r} is undone: its compensation is {status}")
        return name
    asked = of_signal(fold.plan, fold.steps, event.name)
    if asked:
        return min(asked, key=lambda name: fold.step(name).compensation.since or 0.0)
    if template(event.name) not in fold.plan.signals and event.name in signals(fold.plan):
        raise RequestRefusedError(
            f"no undo waits for signal {event.name!r} now, and what is said before it is asked is not kept: send it again then"
        )
    return None


def of_signal(plan: Plan, steps: Mapping[str, StepState], signal: str) -> list[str]:
    """Return the steps whose undo waits for a signal, in the order in which they began."""
    found = [name for name, step in steps.items() if step.compensation.status in _WAITS and name in plan.undo_waits]
    return [name for name in found if plan.undo_waits[name].event == signal]


def signals(plan: Plan) -> frozenset[str]:
    """Return the names of the signals by which undos end."""
    return frozenset(wait.event for wait in _all(plan) if wait.event is not None)


def _all(plan: Plan) -> list[Wait]:
    undos = [step.undo for step in every_step(plan.definition.steps)]
    return [undo.wait for undo in undos if isinstance(undo, Undo) and undo.wait is not None]
