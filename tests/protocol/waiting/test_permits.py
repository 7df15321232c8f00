"""Permits: what holds, and what each rule is for."""

from __future__ import annotations

from tests.protocol.runs import NO_WAY, Run, breaks, each, holds, search
from tests.protocol.waiting.permits import Faults, Permits

BELOW = "the count is below nothing"

HOLD = (
    holds("fix-permits", Permits(Faults(1, 1, 1, 1), count_on="sweep")),
    holds("fix-permits-that-end", Permits(Faults(1, 1, 1, 1), count_on="sweep", ends_with_lease=True)),
    holds("fix-permits-free", Permits(count_on="messages")),
    holds("ctl-permits-counter", Permits(Faults(1, 1, 0, 1), permits="counter", count_on="sweep")),
)

BREAK = (
    breaks("lit-permits-counter-crash", NO_WAY, Permits(Faults(database_crashes=1), permits="counter", count_on="sweep")),
    breaks(
        "lit-permits-unlogged-crash",
        BELOW,
        Permits(Faults(database_crashes=1), permits="unlogged", given_back_with_lease=False, silence=False),
    ),
    breaks("lit-permits-double-free", BELOW, Permits(Faults(lost_leases=1), permits="counter", given_back_with_lease=False)),
    breaks("lit-permits-no-wake", NO_WAY, Permits(count_on="messages", wakes=False)),
    breaks("mut-permits-no-silence", "two run under a limit of one", Permits(Faults(database_crashes=1), silence=False)),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)
