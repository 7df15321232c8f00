"""Declared undo: the fence, the skip, what it reads."""

from __future__ import annotations

from tests.protocol.rewind.graph import PIVOT, mapped, undone, undone_and_tolerated
from tests.protocol.rewind.world import Faults, Rewind
from tests.protocol.runs import Run, breaks, each, holds, search

HOLD = (
    holds(
        "fix-undo",
        Rewind(undone(), Faults(failures=1, lost_leases=1, failed_compensations=1, aborts=1, pauses=1)),
        small=Rewind(undone(), Faults(failures=1, lost_leases=1, failed_compensations=1)),
    ),
    holds(
        "fix-undo-rewind",
        Rewind(undone(), Faults(rewinds=1, failures=1, lost_leases=1, crashes=1, failed_compensations=1)),
        small=Rewind(undone(), Faults(rewinds=1, failures=1, failed_compensations=1)),
    ),
    holds(
        "fix-undo-unsure",
        Rewind(undone(), Faults(rewinds=1, failures=1, lost_leases=1, crashes=1, aborts=1), fences="unsure"),
        small=Rewind(undone(), Faults(rewinds=1, failures=1, lost_leases=1), fences="unsure"),
    ),
    holds(
        "fix-undo-tolerated",
        Rewind(undone_and_tolerated(), Faults(failures=2, lost_leases=1, failed_compensations=1, aborts=1, pauses=1)),
    ),
    holds(
        "fix-undo-any",
        Rewind(
            mapped(2, 1, PIVOT, steps=1, declared_undo=True),
            Faults(failures=1, failed_compensations=1, lost_leases=1, aborts=1, pauses=1),
        ),
        small=Rewind(mapped(2, 1, PIVOT, steps=1, declared_undo=True), Faults(failures=1, failed_compensations=1, aborts=1)),
    ),
    holds("fix-undo-nojournal", Rewind(undone(), Faults(failures=1, failed_compensations=1, aborts=1, rewinds=1), journal=False)),
)

BREAK = (
    breaks(
        "lit-undo-skip-at-owner",
        "runs after it was skipped",
        Rewind(undone(), Faults(lost_leases=1, failed_compensations=1, failures=1), skip_fenced_by="owner"),
    ),
    breaks(
        "lit-undo-null-without-journal",
        "runs with a null output",
        Rewind(undone(), Faults(failures=1), undo_reads="null", journal=False),
    ),
    breaks(
        "mut-no-fence",
        "though its step never happened",
        Rewind(undone(), Faults(failures=1, lost_leases=1, aborts=1), fence=False),
    ),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)
