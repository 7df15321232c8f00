"""Outcomes from outside: what holds, and what each rule is for."""

from __future__ import annotations

from tests.protocol.runs import NO_WAY, Run, breaks, each, holds, search
from tests.protocol.waiting.outside import Faults, Outside

ONE_OF_EACH = Faults(crashes=1, lost_leases=1, aborts=1, failures=1)
STANDS = "compensated, and what the outside did stands"

HOLD = (
    holds("fix-external", Outside(ONE_OF_EACH, ends=True)),
    holds("fix-external-undo", Outside(ONE_OF_EACH, ends=True, revokes=False, undoes=True)),
)

BREAK = (
    breaks("lit-external-late", STANDS, Outside(Faults(aborts=1), revokes=False)),
    breaks("lit-external-early", NO_WAY, Outside(ends=True, early=False)),
    breaks("lit-external-failure", "ends attempt 2", Outside(Faults(lost_leases=1, failures=1), names_attempt=False)),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)
