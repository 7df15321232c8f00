"""Tolerated failure: a step that fails for good is settled, or compensated, and then given up."""

from __future__ import annotations

from tests.protocol.rewind.graph import PIVOT, mapped, tolerant, tolerant_child, ways_with_tolerated
from tests.protocol.rewind.world import Faults, Rewind
from tests.protocol.runs import NO_WAY, Run, breaks, each, holds, search

HOLD = (
    holds(
        "fix-tolerated",
        Rewind(tolerant(), Faults(failures=2, lost_leases=1, crashes=1, aborts=1, rewinds=1)),
        small=Rewind(tolerant(), Faults(failures=1, lost_leases=1, aborts=1)),
    ),
    holds("fix-tolerated-stuck", Rewind(tolerant(), Faults(failures=2, failed_compensations=1, rewinds=1, pauses=1), proof=True)),
    holds(
        "fix-tolerated-nojournal",
        Rewind(tolerant(), Faults(failures=2, failed_compensations=1, rewinds=1, aborts=1, pauses=1), journal=False),
        small=Rewind(tolerant(), Faults(failures=2, failed_compensations=1, aborts=1), journal=False),
    ),
    holds("fix-tolerated-dirty", Rewind(tolerant(), Faults(failures=1, aborts=1), journal=False, late_failures="c")),
    holds(
        "fix-tolerated-journal-away",
        Rewind(tolerant(), Faults(failures=1, lost_leases=1, aborts=1, rewinds=1, journals_away=2)),
        small=Rewind(tolerant(), Faults(failures=1, lost_leases=1, aborts=1, journals_away=1)),
    ),
    holds(
        "fix-tolerated-skipped",
        Rewind(tolerant(), Faults(failures=1, failed_compensations=1, aborts=1), journal=False, late_failures="c"),
    ),
    holds(
        "fix-tolerated-map-slots",
        Rewind(mapped(1, tolerated=True), Faults(failures=1, aborts=1)),
    ),
    holds(
        "fix-tolerated-child",
        Rewind(tolerant_child(), Faults(failures=2, aborts=1, rewinds=1, lost_leases=1)),
        small=Rewind(tolerant_child(), Faults(failures=2, aborts=1, rewinds=1)),
    ),
    holds(
        "fix-tolerated-map",
        Rewind(mapped(2, tolerated=True, last=PIVOT), Faults(failures=2, lost_leases=1, aborts=1)),
        small=Rewind(mapped(2, tolerated=True, last=PIVOT), Faults(failures=2, aborts=1)),
    ),
    holds("fix-tolerated-map-rewind", Rewind(mapped(1, tolerated=True), Faults(failures=1, rewinds=1, pauses=1))),
    holds(
        "fix-tolerated-map-any",
        Rewind(mapped(2, 1, tolerated=True, steps=1), Faults(failures=3, lost_leases=1, aborts=1)),
        small=Rewind(mapped(2, 1, tolerated=True, steps=1), Faults(failures=3, aborts=1)),
    ),
    holds("fix-ways-tolerated", Rewind(ways_with_tolerated(), Faults(failures=4, lost_leases=1, aborts=1))),
    holds("fix-tolerated-map-nested", Rewind(mapped(1, tolerated=True, inner=(2, 2, 1)), Faults(failures=2))),
)

BREAK = (
    breaks("lit-fallback-no-edge", "began before its fallback was done", Rewind(tolerant(edge=False), Faults(failures=1))),
    breaks(
        "mut-given-up-at-once",
        "stands: order",
        Rewind(tolerant(), Faults(failures=1), failed_undone=False, journal=False, late_failures="c"),
    ),
    breaks("mut-given-up-not-settled", "stands", Rewind(tolerant(), Faults(failures=1, lost_leases=1), failed_undone=False)),
    breaks("mut-tolerated-map-at-once", "stands", Rewind(mapped(2, tolerated=True), Faults(failures=1), construct_undone=False)),
    breaks("mut-construct-keeps-slots", NO_WAY, Rewind(mapped(1, tolerated=True), Faults(failures=1), construct_slots=False)),
    breaks(
        "mut-left-not-said",
        "nothing says",
        Rewind(tolerant(), Faults(failures=1, failed_compensations=1), journal=False, late_failures="c", says_left=False),
    ),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)
