"""Parents and children: start, end, compensation, pause, terminate; and the locks of a whole tree."""

from __future__ import annotations

from tests.protocol.runs import NO_WAY, Run, breaks, each, holds, search
from tests.protocol.trees.world import Faults, Trees

SWEEP, MESSAGES = "sweep", "messages"
TERMINATED = Faults(crashes=1, terminates=1, aborts=1)
FORCED = Faults(crashes=1, lost_messages=1, terminates=1, aborts=1, failures=1)
HOLDS_THE_LOCK = "holds the lock"

HOLD = (
    holds("fix-child", Trees("child", Faults(crashes=1, lost_messages=1, aborts=1, failures=1), count_on=SWEEP)),
    holds("fix-child-free", Trees("child", Faults(aborts=1, failures=1), count_on=MESSAGES)),
    holds("fix-child-term-kids", Trees("child", TERMINATED, children_too=True, count_on=SWEEP)),
    holds("fix-child-term-left", Trees("child", TERMINATED, count_on=SWEEP)),
    holds("fix-child-term-itself", Trees("child", TERMINATED, terminates_child=True, count_on=SWEEP)),
    holds("fix-child-pause", Trees("child", Faults(crashes=1, pauses=1, aborts=1), count_on=SWEEP)),
    holds("fix-child-own-pause", Trees("child", Faults(pauses=1, child_pauses=1, aborts=1), count_on=SWEEP)),
    holds("fix-child-pause-stale", Trees("child", Faults(crashes=1, pauses=1, aborts=1), stale_look=True, count_on=SWEEP)),
    holds(
        "fix-child-term-stale",
        Trees("childlock", Faults(terminates=1), children_too=True, stale_look=True, count_on=SWEEP),
        small=Trees("childlock", Faults(terminates=1), children_too=True, stale_look=True, count_on=SWEEP, processes=1),
    ),
    holds(
        "fix-child-rewound",
        Trees("rewound", Faults(crashes=1, rewinds=1, aborts=1, failures=1), count_on=SWEEP),
        small=Trees("rewound", Faults(crashes=1, rewinds=1, aborts=1, failures=0), count_on=SWEEP),
    ),
    holds("fix-child-tries", Trees("tries", Faults(crashes=1, lost_messages=1, failures=1), count_on=SWEEP)),
    holds("fix-child-tries-term", Trees("tries", Faults(failures=1, terminates=1), children_too=True, count_on=SWEEP)),
    holds("fix-grand", Trees("grand", Faults(crashes=1, aborts=1, failures=1), count_on=SWEEP)),
    holds("fix-grand-term", Trees("grand", Faults(crashes=1, terminates=1), children_too=True, count_on=SWEEP)),
    holds("fix-grand-term-left", Trees("grand", Faults(terminates=1, aborts=1), count_on=SWEEP)),
    holds("fix-child-forced", Trees("child", FORCED, forced=True, count_on=SWEEP)),
    holds("fix-grand-forced", Trees("grand", Faults(crashes=1, terminates=1), forced=True, count_on=SWEEP)),
    holds(
        "fix-childlock",
        Trees("childlock", Faults(crashes=1, aborts=1), count_on=SWEEP),
        small=Trees("childlock", Faults(crashes=1, aborts=1), count_on=SWEEP, processes=1),
    ),
    holds(
        "fix-childlock-term-kids",
        Trees("childlock", Faults(terminates=1, aborts=1), children_too=True, count_on=SWEEP),
        small=Trees("childlock", Faults(terminates=1), children_too=True, count_on=SWEEP, processes=1),
    ),
    holds("fix-childlock-term-left", Trees("childlock", Faults(terminates=1), free="tree", count_on=SWEEP)),
    holds("fix-childlock-rest", Trees("childlock", Faults(terminates=1), terminates_child=True, count_on=SWEEP)),
    holds(
        "fix-relock",
        Trees("relock", Faults(rewinds=1, crashes=1), count_on=SWEEP),
        small=Trees("relock", Faults(rewinds=1), count_on=SWEEP, processes=1),
    ),
    holds(
        "fix-again",
        Trees("again", Faults(aborts=1), count_on=SWEEP),
        small=Trees("again", Faults(aborts=1), count_on=SWEEP, processes=1),
    ),
    holds(
        "fix-again-free",
        Trees("again", Faults(aborts=1), count_on=MESSAGES),
        small=Trees("again", count_on=MESSAGES, processes=1),
    ),
    holds("lit-orphan-rewind", Trees("rewound", Faults(rewinds=1, aborts=1), count_on=SWEEP)),
    holds("ctl-start-guard", Trees("child", TERMINATED, start="guard", count_on=SWEEP)),
    holds("ctl-no-tombstone-guard", Trees("child", Faults(aborts=1), tombstones=False, start="guard", count_on=SWEEP)),
    holds(
        "ctl-spread-not-lost",
        Trees(
            "child",
            Faults(terminates=1),
            terminate="at once",
            children_too=True,
            spreads="process",
            start="guard",
            late_child_checked=False,
        ),
    ),
)

BREAK = (
    breaks("lit-orphan-terminate", "orphan", Trees("child", Faults(terminates=1), terminate="at once")),
    breaks(
        "lit-spread-lost",
        "is forgotten",
        Trees(
            "child",
            Faults(terminates=1, crashes=1),
            terminate="at once",
            children_too=True,
            spreads="process",
            start="guard",
            late_child_checked=False,
        ),
    ),
    breaks(
        "lit-spread-late",
        "after its parent was terminated with its children",
        Trees("child", Faults(terminates=1), terminate="at once", children_too=True, start="guard"),
    ),
    breaks("lit-resume-not-spread", NO_WAY, Trees("child", Faults(pauses=1), spreads="no resume", count_on=SWEEP)),
    breaks("lit-resume-lost", NO_WAY, Trees("child", Faults(pauses=1, crashes=1), spreads="process", count_on=SWEEP)),
    breaks(
        "lit-child-terminated",
        NO_WAY,
        Trees("child", Faults(terminates=1, aborts=1), terminates_child=True, terminated_child="hang", count_on=SWEEP),
    ),
    breaks(
        "lit-lock-child-left",
        HOLDS_THE_LOCK,
        Trees("childlock", Faults(terminates=1), terminate="at once", start="guard"),
    ),
    breaks("lit-forced-child-lock", HOLDS_THE_LOCK, Trees("childlock", Faults(terminates=1), forced=True, processes=1)),
    breaks(
        "mut-forced-not-settled", NO_WAY, Trees("child", Faults(terminates=1), forced=True, forced_settles=False, count_on=SWEEP)
    ),
    breaks("lit-lock-child-left-fenced", HOLDS_THE_LOCK, Trees("childlock", Faults(terminates=1))),
    breaks("lit-lock-late-start", "orphan", Trees("childlock", Faults(terminates=1), terminate="at once")),
    breaks(
        "lit-lock-terminated-child",
        "after its parent was compensated",
        Trees("childlock", Faults(terminates=1), terminate="at once", terminates_child=True, start="guard"),
    ),
    breaks("lit-child-same-try", NO_WAY, Trees("tries", Faults(failures=1), try_in_key=False, count_on=SWEEP)),
    breaks(
        "lit-child-paused-in-undo",
        NO_WAY,
        Trees("child", Faults(child_pauses=1, aborts=1), child_pause_refused=False, count_on=SWEEP),
    ),
    breaks(
        "mut-undo-keeps-pause", NO_WAY, Trees("child", Faults(child_pauses=1, aborts=1), undo_lifts_pause=False, count_on=SWEEP)
    ),
    breaks("mut-no-tombstone", "orphan", Trees("child", Faults(aborts=1), tombstones=False)),
    breaks("mut-no-start-key", "is started twice", Trees("child", start_key=False)),
    breaks(
        "mut-child-not-waited",
        "the parent is compensated, and child 1 is R",
        Trees("child", Faults(aborts=1), child_awaited=False),
    ),
    breaks("mut-not-held", NO_WAY, Trees("child", Faults(aborts=1), holds_child=False, count_on=SWEEP)),
    breaks("mut-held-settles", NO_WAY, Trees("grand", Faults(aborts=1), held_settles=True, count_on=SWEEP)),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)
