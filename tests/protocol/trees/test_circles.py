"""Circles: who looks, whom one waits for, who falls."""

from __future__ import annotations

from tests.protocol.runs import NO_WAY, Run, breaks, each, holds, search
from tests.protocol.trees.world import Faults, Trees

SWEEP, MESSAGES = "sweep", "messages"

HOLD = (
    holds(
        "fix-two",
        Trees("two", Faults(crashes=1, aborts=1), count_on=SWEEP),
        small=Trees("two", Faults(aborts=1), count_on=SWEEP, processes=1),
    ),
    holds("fix-two-free", Trees("two", count_on=MESSAGES)),
    holds(
        "fix-mixed",
        Trees("mixed", Faults(crashes=1, aborts=1), count_on=SWEEP),
        small=Trees("mixed", Faults(aborts=1), count_on=SWEEP, processes=1),
    ),
    holds("fix-twist", Trees("twist", Faults(rewinds=1), count_on=SWEEP)),
    holds("fix-queue", Trees("queue", count_on=SWEEP), small=Trees("queue", count_on=SWEEP, processes=1)),
    holds(
        "fix-queue-crash",
        Trees("queue", Faults(crashes=1), count_on=SWEEP),
        small=Trees("queue", Faults(crashes=1), count_on=SWEEP, processes=1),
    ),
    holds("fix-queue-free", Trees("queue", count_on=MESSAGES), small=Trees("queue", count_on=MESSAGES, processes=1)),
    holds(
        "fix-queue-next",
        Trees("queue", count_on=SWEEP, edges="next", searches="all"),
        small=Trees("queue", count_on=SWEEP, edges="next", searches="all", processes=1),
    ),
    holds(
        "fix-queue-all",
        Trees("queue", count_on=SWEEP, edges="all", searches="all"),
        small=Trees("queue", count_on=SWEEP, edges="all", searches="all", processes=1),
    ),
    holds("fix-between", Trees("between", count_on=SWEEP), small=Trees("between", count_on=SWEEP, processes=1)),
    holds("fix-between-free", Trees("between", count_on=MESSAGES), small=Trees("between", count_on=MESSAGES, processes=1)),
    holds(
        "fix-between-next",
        Trees("between", count_on=SWEEP, edges="next", searches="all"),
        small=Trees("between", count_on=SWEEP, edges="next", searches="all", processes=1),
    ),
    holds(
        "ctl-first-only-sweep",
        Trees("queue", searches="first", count_on=SWEEP),
        small=Trees("queue", searches="first", count_on=SWEEP, processes=1),
    ),
    holds("fix-childtwo", Trees("childtwo", count_on=SWEEP)),
    holds(
        "ctl-finder-falls-guarded",
        Trees("two", Faults(crashes=1, aborts=1), victim="finder", count_on=SWEEP),
        small=Trees("two", Faults(aborts=1), victim="finder", count_on=SWEEP, processes=1),
    ),
    holds(
        "ctl-leader-search",
        Trees("two", Faults(crashes=1), leader_searches=True, searches="all", count_on=SWEEP),
        small=Trees("two", leader_searches=True, searches="all", count_on=SWEEP),
    ),
)

BREAK = (
    breaks(
        "lit-victim-between",
        "nobody is freed",
        Trees("between", victim="youngest"),
        small=Trees("between", victim="youngest", processes=1),
    ),
    breaks(
        "lit-victim-between-next",
        "nobody is freed",
        Trees("between", victim="youngest", edges="next", searches="all"),
        small=Trees("between", victim="youngest", edges="next", searches="all", processes=1),
    ),
    breaks(
        "lit-twice",
        "needless victim",
        Trees("twice", free="tree", one_place=False, victim="youngest", edges="all", searches="all", granted="after"),
    ),
    breaks(
        "lit-first-only",
        NO_WAY,
        Trees("queue", searches="first", count_on=MESSAGES),
        small=Trees("queue", searches="first", count_on=MESSAGES, processes=1),
    ),
    breaks("lit-circle-before-commit", NO_WAY, Trees("two", asks="before", searches="all", count_on=MESSAGES)),
    breaks(
        "lit-holders-only",
        NO_WAY,
        Trees("queue", edges="none", count_on=SWEEP),
        small=Trees("queue", edges="none", count_on=SWEEP, processes=1),
    ),
    breaks("lit-circle-steps", "needless victim", Trees("twist", Faults(rewinds=1), circle_read="by saga", guard="own")),
    breaks("lit-circle-snap-victim", "needless victim", Trees("twist", Faults(rewinds=1), guard="own")),
    breaks("mut-no-circle", NO_WAY, Trees("two", searches="none", count_on=SWEEP)),
    breaks("mut-finder-falls", "a second victim", Trees("two", victim="finder", guard="own", needless_checked=False)),
    breaks("mut-no-guard", "needless victim", Trees("twist", Faults(rewinds=1), guard="none")),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)
