"""The core: leases, the guard of an append, the sweep, the journal's two keys, leaders and their epochs."""

from __future__ import annotations

from tests.protocol.core.rules import Faults
from tests.protocol.core.world import Core
from tests.protocol.runs import NO_WAY, Run, breaks, each, holds, search

QUIET = Faults(failures=0)
STANDS_0 = "compensated, but the effect of step 0 stands"
TWICE = "took effect twice"
ONE_TRANSACTION, ONE_STATEMENT = "one transaction", "one statement"

HOLD = (
    holds(
        "base-par",
        Core(Faults(crashes=1, lost_leases=1, database_crashes=1, aborts=1)),
        small=Core(Faults(lost_leases=1)),
    ),
    holds(
        "base-seq",
        Core(Faults(crashes=1, lost_leases=1, database_crashes=1, aborts=1), parallel=False),
        small=Core(Faults(crashes=1, lost_leases=1), parallel=False),
    ),
    holds(
        "base-par-zombie",
        Core(Faults(crashes=1, lost_leases=1), leaders=1),
        small=Core(Faults(lost_leases=1), leaders=1, attempts_max=1),
    ),
    holds(
        "base-par-expire2",
        Core(Faults(lost_leases=2, database_crashes=1, aborts=1)),
        small=Core(Faults(lost_leases=2, failures=0)),
    ),
    holds(
        "base-par-retry",
        Core(Faults(crashes=1, lost_leases=2), attempts_max=2),
        small=Core(Faults(lost_leases=1), attempts_max=2),
    ),
    holds(
        "base-onetx",
        Core(Faults(crashes=1, lost_leases=1, database_crashes=1, aborts=1), acquire=ONE_TRANSACTION),
        small=Core(Faults(database_crashes=1), acquire=ONE_TRANSACTION),
    ),
    holds(
        "base-headfirst",
        Core(Faults(crashes=1, lost_leases=1, database_crashes=1, aborts=1), acquire=ONE_STATEMENT),
        small=Core(Faults(database_crashes=1), acquire=ONE_STATEMENT),
    ),
    holds(
        "live-par",
        Core(Faults(lost_messages=1, crashes=1, database_crashes=1), messages="set", ends=True),
        small=Core(Faults(crashes=1, lost_messages=1), messages="set", ends=True),
    ),
    holds(
        "live-par-expire",
        Core(Faults(lost_messages=1, lost_leases=1), messages="set", ends=True),
        small=Core(Faults(lost_leases=1), messages="set", ends=True),
    ),
    holds(
        "live-seq",
        Core(Faults(lost_messages=1, crashes=1, lost_leases=1, aborts=1), messages="set", parallel=False, ends=True),
        small=Core(Faults(lost_messages=1, crashes=1), messages="set", parallel=False, ends=True),
    ),
    holds("quiet-nojournal", Core(Faults(aborts=1), journal=False, effects_once=True)),
    holds("literal-twotx-quiet", Core(Faults(aborts=1), without_outcome="lease", journal=False)),
    holds(
        "nojournal-late-reopen", Core(Faults(0, 1, 0, 0), journal=False, effects_once=False, again="reopen", judged_at_rest=True)
    ),
    holds("ctl-dirty-fail", Core(journal=False, late_failures=True)),
    holds("ctl-guard", Core()),
    holds(
        "ctl-fence",
        Core(Faults(0, 2, 0, 0), leaders=1, attempts_max=2),
        small=Core(Faults(0, 1, 0, 0), leaders=1, attempts_max=2),
    ),
    holds("ctl-suspend", Core(Faults(0, 1, 0, 0))),
    holds("ctl-sweep", Core(Faults(lost_messages=1), messages="set", ends=True)),
    holds(
        "ctl-nofence-no-i7",
        Core(Faults(lost_leases=1), fence=False, epochs_checked=False, leaders=1),
        small=Core(Faults(0, 1, 0, 0), fence=False, epochs_checked=False, leaders=1),
    ),
    holds("ctl-acklast-nosweep", Core(Faults(crashes=1), messages="queue", sweep=False, ends=True)),
    holds("ctl-ackfirst-sweep", Core(Faults(crashes=1), messages="queue", acknowledged_last=False, ends=True)),
    holds("ctl-failed-step", Core(Faults(lost_leases=1))),
    holds("mut-attempt-not-named", Core(Faults(lost_leases=1), attempt_named=False, attempts_max=2, may_fail=(True, True))),
    holds(
        "mut-anyrelease",
        Core(Faults(lost_leases=1, aborts=1), own_release=False, attempts_max=2),
        small=Core(Faults(lost_leases=1), own_release=False),
    ),
    holds("ctl-leasecheck", Core(Faults(1, 0, 0, 0), journal=False, crash_before_effect=True)),
)

BREAK = (
    breaks("literal-onetx-quiet", "compensated, but", Core(Faults(aborts=1), without_outcome="lease", acquire=ONE_TRANSACTION)),
    breaks("literal-headfirst-quiet", "compensated, but", Core(Faults(aborts=1), without_outcome="lease", acquire=ONE_STATEMENT)),
    breaks("literal-dbcrash", STANDS_0, Core(Faults(database_crashes=1), without_outcome="lease")),
    breaks("literal-expiry", STANDS_0, Core(Faults(lost_leases=1, aborts=1, failures=0), without_outcome="lease")),
    breaks("log-onetx-quiet-nojournal", STANDS_0, Core(Faults(aborts=1), acquire=ONE_TRANSACTION, journal=False)),
    breaks("nojournal-twice", TWICE, Core(Faults(0, 1, 0, 0), journal=False, effects_once=True, attempts_max=2)),
    breaks("nojournal-late", "stands", Core(Faults(0, 1, 0, 0), journal=False, effects_once=False)),
    breaks(
        "nojournal-late-recomp",
        "stands",
        Core(Faults(0, 1, 0, 0), journal=False, effects_once=False, again="again", judged_at_rest=True),
    ),
    breaks(
        "nojournal-late-reopen-crash",
        "stands",
        Core(Faults(1, 1, 0, 0), journal=False, effects_once=False, again="reopen", judged_at_rest=True),
    ),
    breaks("nojournal-dirty-fail", "stands", Core(journal=False, late_failures=True, failed_compensated=False)),
    breaks(
        "failover-tag",
        "completed, but step 0 has no effect",
        Core(Faults(aborts=1, failovers=1), attempts_max=2),
        small=Core(Faults(aborts=1, failures=0, failovers=1)),
    ),
    breaks("failover-seqonly", "has no effect", Core(Faults(failovers=1), tag=False, effects_once=True)),
    breaks("mut-noguard", "was overwritten", Core(guard=False)),
    breaks(
        "mut-nofence",
        "a write of epoch 1 is accepted after one of epoch 2",
        Core(Faults(0, 2, 0, 0), fence=False, leaders=1, attempts_max=2),
    ),
    breaks("mut-nosuspend", "stands", Core(Faults(0, 1, 0, 0), null_writes_key=False)),
    breaks("mut-headfirst", TWICE, Core(acquire=ONE_STATEMENT, journal=False, effects_once=True)),
    breaks(
        "mut-ackfirst-nosweep", NO_WAY, Core(Faults(crashes=1), messages="queue", sweep=False, acknowledged_last=False, ends=True)
    ),
    breaks("mut-nosweep", NO_WAY, Core(Faults(lost_messages=1), messages="set", sweep=False, ends=True)),
    breaks("literal-failed-step", "the effect of step 1 stands", Core(Faults(lost_leases=1), failed_compensated=False)),
    breaks(
        "mut-noleasecheck", "stands", Core(Faults(1, 0, 0, 0), lost_takes_lease=False, journal=False, crash_before_effect=True)
    ),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)
