"""Rewind and savepoints: what holds, and what each rule is for."""

from __future__ import annotations

from tests.protocol.rewind.graph import (
    PIVOT,
    chain,
    optional_input,
    parallel,
    savepoints_in_a_row,
    ways,
    ways_in_a_branch,
    ways_parallel,
    ways_with_child,
    ways_with_map,
    with_child,
)
from tests.protocol.rewind.world import Faults, Rewind
from tests.protocol.runs import NO_WAY, Run, breaks, each, holds, search

HOLD = (
    holds(
        "fix-par",
        Rewind(parallel(), Faults(rewinds=1, lost_leases=1, failures=1, aborts=1)),
        small=Rewind(parallel(), Faults(rewinds=1, lost_leases=1)),
    ),
    holds(
        "fix-par-stuck",
        Rewind(parallel(), Faults(rewinds=1, failed_compensations=1, lost_leases=1)),
        small=Rewind(parallel(), Faults(rewinds=1, failed_compensations=1)),
    ),
    holds(
        "fix-par-pause",
        Rewind(parallel(), Faults(rewinds=1, pauses=1, aborts=1, lost_leases=1)),
        small=Rewind(parallel(), Faults(rewinds=1, pauses=1, aborts=1)),
    ),
    holds(
        "fix-par-twice",
        Rewind(parallel(), Faults(rewinds=2, repeated_requests=1, failures=1)),
        small=Rewind(parallel(), Faults(rewinds=2, repeated_requests=1)),
    ),
    holds("fix-par-crash", Rewind(parallel(), Faults(rewinds=1, crashes=1, failures=1))),
    holds(
        "fix-par-nojournal",
        Rewind(parallel(), Faults(rewinds=1, failures=1, aborts=1, pauses=1), journal=False),
        small=Rewind(parallel(), Faults(rewinds=1, failures=1, pauses=1), journal=False),
    ),
    holds(
        "fix-chain",
        Rewind(chain(), Faults(rewinds=1, lost_leases=1, crashes=1, failures=1, aborts=1, pauses=1)),
        small=Rewind(chain(), Faults(rewinds=1, lost_leases=1, failures=1)),
    ),
    holds(
        "fix-chain-retry",
        Rewind(chain(), Faults(rewinds=1, lost_leases=1, failures=2), attempts_max=2, proof=True),
        small=Rewind(chain(), Faults(rewinds=1, failures=2), attempts_max=2, proof=True),
    ),
    holds(
        "fix-child",
        Rewind(with_child(), Faults(rewinds=1, failures=1, aborts=1, lost_leases=1, pauses=1)),
        small=Rewind(with_child(), Faults(rewinds=1, failures=1, aborts=1, pauses=1)),
    ),
    holds(
        "fix-optional",
        Rewind(optional_input(), Faults(rewinds=1, lost_leases=1, failures=1)),
        small=Rewind(optional_input(), Faults(rewinds=1)),
    ),
    holds(
        "fix-ways",
        Rewind(ways(), Faults(failures=3, lost_leases=1, aborts=1, pauses=1)),
        small=Rewind(ways(), Faults(failures=3, lost_leases=1)),
    ),
    holds(
        "fix-ways-pivot",
        Rewind(ways(PIVOT), Faults(failures=2, lost_leases=1, aborts=1, crashes=1)),
        small=Rewind(ways(PIVOT), Faults(failures=2, lost_leases=1)),
    ),
    holds(
        "fix-ways-parallel",
        Rewind(ways_parallel(), Faults(failures=2, lost_leases=1, rewinds=1)),
        small=Rewind(ways_parallel(), Faults(failures=2, rewinds=1)),
    ),
    holds(
        "fix-ways-branches",
        Rewind(ways_in_a_branch(), Faults(failures=2, rewinds=1, lost_leases=1)),
        small=Rewind(ways_in_a_branch(), Faults(failures=2, rewinds=1)),
    ),
    holds(
        "fix-ways-nested",
        Rewind(savepoints_in_a_row(), Faults(failures=2, rewinds=1, lost_leases=1, aborts=1)),
        small=Rewind(savepoints_in_a_row(), Faults(failures=2, rewinds=1, aborts=1)),
    ),
    holds("fix-ways-nested-anew", Rewind(savepoints_in_a_row(), Faults(failures=3), ways_reset=True)),
    holds("fix-ways-child", Rewind(ways_with_child(), Faults(failures=2, rewinds=1, aborts=1))),
    holds(
        "fix-ways-map",
        Rewind(ways_with_map(), Faults(failures=3, rewinds=1)),
        small=Rewind(ways_with_map(), Faults(failures=2, rewinds=1)),
    ),
    holds("fix-ways-map-lost", Rewind(ways_with_map(), Faults(failures=2, lost_leases=1))),
)

BREAK = (
    breaks(
        "lit-round-at-begin", "the key of a round 1 was used before", Rewind(parallel(), Faults(rewinds=1), rounds_change="begin")
    ),
    breaks(
        "lit-skip-in-rewind",
        "the effect of b round 0 stands",
        Rewind(parallel(), Faults(rewinds=1, failed_compensations=1), skip_in_rewind="go"),
    ),
    breaks(
        "lit-optional-no-edge",
        "an optional output of an old round",
        Rewind(optional_input(), Faults(rewinds=1), optional_edge=False),
    ),
    breaks(
        "lit-optional-read-from-R",
        "an optional output of an old round",
        Rewind(optional_input(), Faults(rewinds=1), optional_absent=False),
    ),
    breaks("mut-not-closed", "stands: order", Rewind(parallel(), Faults(rewinds=1), closed=False)),
    breaks("mut-no-new-round", "was used before", Rewind(parallel(), Faults(rewinds=1), new_round=False)),
    breaks("mut-event-round", "is missing", Rewind(parallel(), Faults(rewinds=1, lost_leases=1), event_round=False)),
    breaks("mut-event-round-child", "is missing", Rewind(with_child(), Faults(rewinds=1), event_round=False)),
    breaks("mut-message-round", "took effect twice", Rewind(chain(), Faults(rewinds=1), message_round=False, journal=False)),
    breaks(
        "mut-request-id", "rewound more often", Rewind(parallel(), Faults(rewinds=1, repeated_requests=1), request_kept=False)
    ),
    breaks("mut-not-awaited", "stands: order", Rewind(parallel(), Faults(rewinds=1, lost_leases=1), awaits=False)),
    breaks("mut-not-awaited-nojournal", "stands: order", Rewind(parallel(), Faults(rewinds=1), awaits=False, journal=False)),
    breaks("mut-no-order", "stands: order", Rewind(parallel(), Faults(rewinds=1), ordered=False)),
    breaks("mut-R-starts", "stands: order", Rewind(chain(), Faults(rewinds=1), nothing_starts=False)),
    breaks("mut-second-replaces", "stands: order", Rewind(parallel(), Faults(rewinds=2), one_at_a_time=False)),
    breaks("mut-no-overtaking", NO_WAY, Rewind(parallel(), Faults(rewinds=1, failures=1), overtakes=False)),
    breaks("mut-rewind-past-pivot", "stands: order", Rewind(chain(), Faults(rewinds=1), pivot_refuses=False)),
    breaks(
        "mut-pause-new-round",
        "began while the saga is paused",
        Rewind(parallel(), Faults(rewinds=1, pauses=1), pause_holds=False),
    ),
    breaks("mut-child-not-awaited", "stands: order", Rewind(with_child(), Faults(rewinds=1, aborts=1), child_awaited=False)),
    breaks("mut-rewind-no-tombstone", "stands: order", Rewind(with_child(), Faults(rewinds=1, aborts=1), tombstones=False)),
    breaks(
        "lit-pivot-way-without-proof",
        "the effect of z (round 0) stands: order",
        Rewind(ways(PIVOT), Faults(failures=1), journal=False, late_failures="p", pivot_needs_proof=False),
    ),
    breaks(
        "lit-pivot-takes-no-way", "a savepoint had a way left", Rewind(ways(PIVOT), Faults(failures=1), pivot_takes_way=False)
    ),
    breaks("lit-savepoints-both", "a way was passed over", Rewind(savepoints_in_a_row(), Faults(failures=1), savepoints="all")),
    breaks("lit-second-failure", "a way was passed over", Rewind(ways_parallel(2), Faults(failures=2), failure_in_rewind=False)),
    breaks(
        "mut-automatic-replaces", "stands: order", Rewind(ways_in_a_branch(), Faults(rewinds=1, failures=1), automatic_adds=False)
    ),
    breaks("mut-way-again", "a way was taken twice", Rewind(ways(), Faults(failures=3), way_once=False)),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)
