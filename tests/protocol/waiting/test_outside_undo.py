"""Compensations that are handed out: what holds, and what each rule is for."""

from __future__ import annotations

from tests.protocol.runs import NO_WAY, Run, breaks, each, holds, search
from tests.protocol.waiting.outside_undo import Faults, OutsideUndo

HOLD = (
    holds(
        "fix-outside-undo",
        OutsideUndo(Faults(crashes=1, failures=1, repeats=1, restarts=1), ends=True),
        small=OutsideUndo(Faults(repeats=1, restarts=1), ends=True),
    ),
    holds("fix-outside-undo-lost", OutsideUndo(Faults(crashes=1, lost_leases=1, failures=1, skips=1), ends=True)),
    holds("fix-outside-undo-silent", OutsideUndo(Faults(crashes=1, repeats=1), ends=True, asked=False)),
)

BREAK = (
    breaks(
        "mut-outside-undo-round", "the effect of round 1 stands", OutsideUndo(Faults(repeats=1, restarts=1), names_round=False)
    ),
    breaks("lit-outside-undo-early", NO_WAY, OutsideUndo(ends=True, early=False, asked=False)),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)
