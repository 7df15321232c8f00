"""Signals: something has happened outside, or a person has approved.

A signal is accepted in every state in which the saga can still go on. If a step waits for it, and its ``where`` holds, the step
takes it and has ended. Of several steps it is the one that began first, of those that began by one event the first in the
definition. Otherwise the signal is kept. A signal that says that a step is undone goes to that undo
(:mod:`goconductor.lifecycle.moves.kinds.undo_wait`).

What was taken stays taken. When a signal and a deadline race, the order of the log decides.

Two limits hold for a saga. What is *kept* is bounded, since each process carries it; a signal that a waiting step takes at once
does not count. And the number of all signals of a saga is bounded. That an id comes twice does not concern this module: the store
refuses to append one that it knows.
"""

from __future__ import annotations

import msgspec

from goconductor.errors import RequestRefusedError, nearest
from goconductor.lifecycle.facts.events import SignalDropped, SignalReceived
from goconductor.lifecycle.facts.signal import Signal
from goconductor.lifecycle.facts.status import CompensationStatus, SagaStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.grown import exists
from goconductor.lifecycle.moves import beginning, forward
from goconductor.lifecycle.moves.kinds import undo_wait, wait
from goconductor.lifecycle.moves.kinds.wait import RECEIVED_MAX
from goconductor.lifecycle.moves.returning import joining
from goconductor.saga.growth import template

# They are read again in each replay, so they never change.
UNTAKEN_MAX = 100
"""Number of the signals that a saga keeps for steps to come."""
UNTAKEN_BYTES_MAX = 256 * 1024
"""Bytes of these signals."""


def received(fold: Fold, event: SignalReceived) -> None:
    """Give a signal to the step that waits for it, or keep it.

    Raises:
        RequestRefusedError: the definition knows no such signal, the approval is for another round, or a limit is reached.
    """
    undone = undo_wait.taker(fold, event) if fold.plan.undo_waits else None
    if undone is None:
        _check(fold, event)
    if fold.state.signals_received >= RECEIVED_MAX:
        raise RequestRefusedError(f"saga {fold.state.saga_id} has had {RECEIVED_MAX:,} signals; it takes no more in its life")
    fold.fields["signals_received"] = fold.state.signals_received + 1
    if undone is not None:
        side = fold.step(undone).compensation
        fold.set_compensation(undone, SignalReceived, side.to(CompensationStatus.DONE))
        forward.undone(fold, undone, SignalReceived)
        return
    signal = Signal(event.name, event.id, event.payload, event.by, fold.at, 0, event.approves, event.seen_round, event.reason)
    answers = []
    for name in wait.in_turn(fold, event.name):
        answers.append(wait.fits(fold, name, signal))
        if answers[-1] is True:
            _take(fold, name, signal)
            return
    _keep(fold, wait.noted(signal, answers))


def dropped(fold: Fold, event: SignalDropped) -> None:
    """Forget a signal that no step has taken. Its id stays known: sent again, it changes nothing.

    Raises:
        RequestRefusedError: it is not kept, or the reason is missing.
    """
    if not event.reason:
        raise RequestRefusedError("dropping a signal loses what it says: give a reason")
    kept = fold.signals
    left = tuple(signal for signal in kept if signal.id != event.signal)
    if len(left) == len(kept):
        there = nearest(event.signal, [signal.id for signal in kept]) if kept else "it keeps none"
        raise RequestRefusedError(f"saga {fold.state.saga_id} keeps no signal of the id {event.signal[:255]!a}; {there}")
    fold.fields["signals"] = left


def _take(fold: Fold, name: str, signal: Signal) -> None:
    wait.end(fold, name, SignalReceived, signal)
    if fold.phase is SagaStatus.QUEUED:
        fold.phase = SagaStatus.RUNNING
    fold.reason = ""
    beginning.advance(fold, joining.after(fold, name))


def _keep(fold: Fold, signal: Signal) -> None:
    size = len(msgspec.json.encode(signal))
    kept = fold.signals
    if len(kept) >= UNTAKEN_MAX or size + sum(each.size for each in kept) > UNTAKEN_BYTES_MAX:
        raise RequestRefusedError(
            f"saga {fold.state.saga_id} keeps {len(kept)} signals that no step has taken, and this would be one more: at most "
            f"{UNTAKEN_MAX} of {UNTAKEN_BYTES_MAX:,} bytes are kept; send it again when a step waits for it, or drop others first"
        )
    fold.fields["signals"] = (*kept, msgspec.structs.replace(signal, size=size))


def _check(fold: Fold, event: SignalReceived) -> None:
    """Refuse a signal that no step waits for, whatever comes."""
    if event.approves:
        _check_approval(fold, event)
    elif event.name in fold.plan.approvals:
        raise RequestRefusedError(f"step {event.name!r} waits for an approval, not for a signal: approve it")
    if template(event.name) not in fold.plan.signals:
        raise RequestRefusedError(f"saga {fold.plan.name!r} waits for no signal {event.name[:100]!a}; {_known(fold, event.name)}")


def _check_approval(fold: Fold, event: SignalReceived) -> None:
    plan, name = fold.plan, event.approves
    if name not in plan.approvals or not exists(plan, fold.steps, name):
        step = plan.steps.get(name)
        waits_for = None if step is None or step.wait is None else step.wait.event
        instead = f"it waits for the signal {waits_for!r}: send that" if waits_for else _approvals(fold, name)
        raise RequestRefusedError(f"step {name[:100]!a} of saga {plan.name!r} is not one that a person approves; {instead}")
    if event.seen_round != (round := fold.step(name).round):
        raise RequestRefusedError(
            f"the approval of step {name!r} is for its round {event.seen_round}, and the step is in round {round}: "
            "look at the question again, and approve that"
        )


def _approvals(fold: Fold, name: str) -> str:
    return nearest(name, fold.plan.approvals) if fold.plan.approvals else "none of its steps is"


def _known(fold: Fold, name: str) -> str:
    known = fold.plan.signals.keys() - fold.plan.approvals
    return nearest(name, known) if known else "it waits for none at all"
