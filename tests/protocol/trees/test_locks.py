"""Locks: who takes a key, who waits, who is woken, and when a key is free."""

from __future__ import annotations

from tests.protocol.runs import NO_WAY, Run, breaks, each, holds, search
from tests.protocol.trees.world import Faults, Trees

SWEEP, MESSAGES = "sweep", "messages"
HOLDS_THE_LOCK = "holds the lock"

HOLD = (
    holds("fix-one", Trees("one", Faults(crashes=1, lost_messages=1, aborts=1), count_on=SWEEP)),
    holds("fix-one-apart", Trees("one", Faults(crashes=1, aborts=1), count_on=SWEEP, granted="after")),
    holds("fix-one-term", Trees("one", Faults(crashes=1, terminates=1), count_on=SWEEP)),
    holds("fix-one-forced", Trees("one", Faults(crashes=1, terminates=1), count_on=SWEEP, forced=True)),
    holds("fix-one-free", Trees("one", Faults(aborts=1, failures=1), count_on=MESSAGES)),
    holds("fix-paused", Trees("one", Faults(crashes=1, pauses=1), count_on=SWEEP)),
    holds(
        "fix-three",
        Trees("three", Faults(crashes=1, aborts=1), count_on=SWEEP),
        small=Trees("three", Faults(crashes=1, aborts=0), count_on=SWEEP, processes=1),
    ),
    holds(
        "fix-three-free",
        Trees("three", Faults(aborts=1), count_on=MESSAGES),
        small=Trees("three", Faults(aborts=1), count_on=MESSAGES, processes=1),
    ),
    holds(
        "fix-three-first",
        Trees("three", Faults(aborts=1), aborts=1, count_on=MESSAGES),
        small=Trees("three", Faults(aborts=1), aborts=1, count_on=MESSAGES, processes=1),
    ),
    holds(
        "fix-three-wish",
        Trees("three", Faults(aborts=1), aborts=1, count_on=MESSAGES, drops="wish"),
        small=Trees("three", Faults(aborts=1), aborts=1, count_on=MESSAGES, drops="wish", processes=1),
    ),
    holds(
        "fix-readers-free",
        Trees("readers", Faults(aborts=1), count_on=MESSAGES),
        small=Trees("readers", count_on=MESSAGES, processes=1),
    ),
    holds(
        "fix-readers-paused",
        Trees("readers", Faults(pauses=1), pauses=1, stays_paused=True, count_on=MESSAGES),
        small=Trees("readers", Faults(pauses=1), pauses=1, stays_paused=True, count_on=MESSAGES, processes=1),
    ),
    holds(
        "fix-paused-first",
        Trees("three", Faults(pauses=1), stays_paused=True, count_on=MESSAGES),
        small=Trees("three", Faults(pauses=1), stays_paused=True, count_on=MESSAGES, processes=1),
    ),
    holds(
        "fix-twice", Trees("twice", free="tree", count_on=SWEEP), small=Trees("twice", free="tree", count_on=SWEEP, processes=1)
    ),
    holds(
        "fix-twice-free",
        Trees("twice", free="tree", count_on=MESSAGES),
        small=Trees("twice", free="tree", count_on=MESSAGES, processes=1),
    ),
    holds(
        "fix-joined",
        Trees("joined", Faults(crashes=1), free="tree", count_on=SWEEP),
        small=Trees("joined", Faults(crashes=1), free="tree", count_on=SWEEP, processes=1),
    ),
    holds("fix-stronger", Trees("stronger", count_on=SWEEP)),
    holds(
        "fix-stale",
        Trees("stale", Faults(rewinds=1), rewinds=1, count_on=SWEEP),
        small=Trees("stale", Faults(rewinds=1), rewinds=1, count_on=SWEEP, processes=1),
    ),
    holds(
        "fix-stale-crash",
        Trees("stale", Faults(crashes=1, rewinds=1), rewinds=1, count_on=SWEEP),
        small=Trees("stale", Faults(rewinds=1), rewinds=1, count_on=SWEEP, processes=1),
    ),
    holds("lit-queue-before-commit-sweep", Trees("one", count_on=SWEEP, asks="before", searches="all")),
    holds(
        "lit-readers-one-wake",
        Trees("readers", count_on=MESSAGES, shared_wakes=False),
        small=Trees("readers", count_on=MESSAGES, shared_wakes=False, processes=1),
    ),
)

BREAK = (
    breaks("lit-terminate-lock", HOLDS_THE_LOCK, Trees("one", Faults(terminates=1), terminate="at once")),
    breaks("mut-forced-no-until", HOLDS_THE_LOCK, Trees("one", Faults(terminates=1), forced=True, until_kept=False)),
    breaks(
        "lit-dead-entry",
        NO_WAY,
        Trees("three", Faults(aborts=1), aborts=1, drops="none", withdraws=False, count_on=SWEEP),
        small=Trees("three", Faults(aborts=1), aborts=1, drops="none", withdraws=False, count_on=SWEEP, processes=1),
    ),
    breaks(
        "lit-stale-entry",
        NO_WAY,
        Trees("stale", Faults(rewinds=1), rewinds=1, drops="ended", withdraws=False, edges="none", count_on=SWEEP),
        small=Trees(
            "stale", Faults(rewinds=1), rewinds=1, drops="ended", withdraws=False, edges="none", count_on=SWEEP, processes=1
        ),
    ),
    breaks("lit-queue-before-commit", NO_WAY, Trees("one", count_on=MESSAGES, asks="before", searches="all")),
    breaks(
        "lit-withdraw-no-wake",
        NO_WAY,
        Trees("three", Faults(aborts=1), aborts=1, withdraws=False, drop_wakes=False, count_on=MESSAGES),
        small=Trees("three", Faults(aborts=1), aborts=1, withdraws=False, drop_wakes=False, count_on=MESSAGES, processes=1),
    ),
    breaks(
        "lit-twice-free",
        NO_WAY,
        Trees("twice", free="tree", one_place=False, searches="none", count_on=MESSAGES),
        small=Trees("twice", free="tree", one_place=False, searches="none", count_on=MESSAGES, processes=1),
    ),
    breaks(
        "lit-paused-first",
        NO_WAY,
        Trees("three", Faults(pauses=1), paused_passed=False, stays_paused=True, count_on=SWEEP),
        small=Trees("three", Faults(pauses=1), paused_passed=False, stays_paused=True, count_on=SWEEP, processes=1),
    ),
    breaks("mut-drop-no-wake", NO_WAY, Trees("one", Faults(aborts=1), drop_wakes=False, count_on=MESSAGES, granted="after")),
    breaks("mut-no-end-wake", NO_WAY, Trees("one", wakes=False, count_on=MESSAGES)),
    breaks("mut-row-only", NO_WAY, Trees("one", free="row", count_on=SWEEP)),
    breaks("mut-no-fifo", "overtaken in the queue", Trees("three", in_order=False)),
    breaks("mut-stronger-granted", HOLDS_THE_LOCK, Trees("stronger", stronger_fails=False)),
    breaks(
        "mut-granted-no-round",
        HOLDS_THE_LOCK,
        Trees("stale", Faults(rewinds=1), rewinds=1, granted="after", granted_round=False),
    ),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)
