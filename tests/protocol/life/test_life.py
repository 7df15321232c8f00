"""The life of a saga: what holds, and what each rule is for."""

from __future__ import annotations

from tests.protocol.life.child import ParentAndChild
from tests.protocol.life.rules import Faults
from tests.protocol.life.world import Life
from tests.protocol.runs import NO_WAY, Run, breaks, each, holds, search

HOLD = (
    holds(
        "local",
        Life(Faults(crashes=1, lost_leases=1, database_crashes=1, failures=1, aborts=1)),
        small=Life(Faults(crashes=1, failures=1)),
    ),
    holds("local-quiet-nojournal", Life(Faults(aborts=1), journal=False)),
    holds(
        "retry",
        Life(Faults(crashes=1, lost_leases=1, failures=2, aborts=1), attempts_max=2),
        small=Life(Faults(lost_leases=1, failures=1), attempts_max=2),
    ),
    holds(
        "retry-comp",
        Life(
            Faults(crashes=1, lost_leases=1, failed_compensations=2, aborts=1, database_crashes=1), roles="c", undo_attempts_max=2
        ),
        small=Life(Faults(crashes=1, failed_compensations=2, aborts=1), roles="c", undo_attempts_max=2),
    ),
    holds(
        "exempt-journal",
        Life(Faults(lost_leases=1, crashes=1, database_crashes=1, failures=2), attempts_max=2, proof="journal"),
        small=Life(Faults(database_crashes=1, failures=2), attempts_max=2, proof="journal"),
    ),
    holds(
        "lit-exempt-refused-checked",
        Life(Faults(lost_leases=1, crashes=1, failures=1), proof="refused, checked"),
        small=Life(Faults(lost_leases=1, failures=1), proof="refused, checked"),
    ),
    holds(
        "pivot",
        Life(Faults(crashes=1, lost_leases=1, failures=1, aborts=1), roles="cpr"),
        small=Life(Faults(lost_leases=1, failures=1), roles="cpr"),
    ),
    holds(
        "pivot-retry",
        Life(Faults(lost_leases=1, crashes=1, database_crashes=1, failures=1, aborts=1), roles="cp", attempts_max=2),
        small=Life(Faults(lost_leases=1, failures=1), roles="cp", attempts_max=2),
    ),
    holds(
        "pivot-abort-settles",
        Life(Faults(lost_leases=1, crashes=1, failures=1, aborts=1), roles="cp", attempts_max=2, abort_at_pivot="settle"),
        small=Life(Faults(lost_leases=1, aborts=1), roles="cp", attempts_max=2, abort_at_pivot="settle"),
    ),
    holds(
        "pivot-failure-journalled",
        Life(Faults(lost_leases=1, crashes=1, database_crashes=1, failures=1), roles="cp", pivot_failed="turn", proof="journal"),
        small=Life(Faults(lost_leases=1, failures=1), roles="cp", pivot_failed="turn", proof="journal"),
    ),
    holds(
        "pivot-pause",
        Life(Faults(pauses=1, lost_leases=1, crashes=1, failures=1, aborts=1), roles="cp"),
        small=Life(Faults(pauses=1, lost_leases=1, aborts=1), roles="cp"),
    ),
    holds("retriable-stuck", Life(Faults(crashes=1, lost_leases=1, failures=1), roles="pr", losses_max=2)),
    holds("retriable-limit", Life(Faults(crashes=1, lost_leases=1, failures=2), roles="r", failures_max=1)),
    holds(
        "pause",
        Life(Faults(pauses=1, aborts=1, lost_leases=1, failures=1), attempts_max=2),
        small=Life(Faults(pauses=1, aborts=1, failures=1), attempts_max=2),
    ),
    holds("pause-quiet-nojournal", Life(Faults(pauses=2, aborts=1), journal=False)),
    holds("timer-paused-dropped", Life(Faults(pauses=1, failures=1, crashes=1), attempts_max=2, timer_paused="drop")),
    holds(
        "skip-fenced",
        Life(Faults(lost_leases=1, crashes=1, failed_compensations=1, aborts=1), skip_checked=True),
        small=Life(Faults(lost_leases=1, failed_compensations=1, aborts=0), skip_checked=True),
    ),
    holds("restart-settled", Life(Faults(restarts=1, lost_leases=1, failures=1)), small=Life(Faults(restarts=1, failures=1))),
    holds(
        "restart-settled-abort",
        Life(Faults(restarts=1, lost_leases=1, crashes=1, failures=1, aborts=1), roles="c"),
        small=Life(Faults(restarts=1, lost_leases=1, failures=1, aborts=0), roles="c"),
    ),
    holds(
        "restart-ended",
        Life(Faults(restarts=1, lost_leases=1, aborts=1, failures=1), restart="ended"),
        small=Life(Faults(restarts=1, aborts=1, failures=1), restart="ended"),
    ),
    holds("restart-ended-pivot", Life(Faults(restarts=1, lost_leases=1, failures=1), roles="cp", restart="ended")),
    holds("parent-and-child", ParentAndChild(faults=4)),
)

BREAK = (
    breaks("mut-local-outside", "took effect twice", Life(Faults(aborts=1), journal=False, local="after")),
    breaks("lit-local-steal", "took effect twice", Life(Faults(failures=1), journal=False, local_steals=True, attempts_max=2)),
    breaks("lit-exempt-refused", "stands", Life(Faults(lost_leases=1, failures=1), proof="refused")),
    breaks(
        "lit-exempt-refused-checked-dbcrash", "stands", Life(Faults(database_crashes=1, failures=1), proof="refused, checked")
    ),
    breaks(
        "mut-stalefail", "stands", Life(Faults(lost_leases=1, failures=1), attempts_max=2, proof="journal", attempt_named=False)
    ),
    breaks("mut-no-due-guard", "fired early", Life(Faults(failures=1), attempts_max=2, due_guard=False)),
    breaks("mut-timer-not-named", "fired early", Life(Faults(failures=2), attempts_max=3, timer_named=False)),
    breaks("mut-timer-not-once", "fired twice", Life(Faults(failures=1), attempts_max=2, timer_once=False)),
    breaks("mut-backoff-no-wake", NO_WAY, Life(Faults(crashes=1, failures=1), attempts_max=2, backoff_wakes=False)),
    breaks(
        "lit-pivot-failed-rolls",
        "compensated after the pivot took effect",
        Life(Faults(lost_leases=1, failures=1), roles="cp", pivot_failed="turn"),
    ),
    breaks(
        "mut-settle-no-write",
        "compensated after the pivot took effect",
        Life(Faults(lost_leases=1), roles="cp", settling_writes=False),
    ),
    breaks(
        "mut-late-pivot",
        "compensated after the pivot took effect",
        Life(Faults(lost_leases=1), roles="cp", refused_pivot_runs=True),
    ),
    breaks(
        "mut-abort-sent", "compensated after the pivot took effect", Life(Faults(aborts=1), roles="cp", abort_at_pivot="sent")
    ),
    breaks(
        "mut-abort-backoff",
        "compensated after the pivot took effect",
        Life(Faults(lost_leases=1, aborts=1), roles="cp", attempts_max=2, abort_at_pivot="back-off"),
    ),
    breaks(
        "lit-retriable-journalled-failure",
        NO_WAY,
        Life(Faults(failures=1), roles="r", failures_max=1, proof="journal", retriable_journals_failure=True),
    ),
    breaks("lit-abort-stays-paused", NO_WAY, Life(Faults(pauses=1, aborts=1), abort_lifts=False)),
    breaks("mut-pause-drops", "took effect twice", Life(Faults(pauses=1), journal=False, paused_completes=False)),
    breaks("mut-paused-resume-no-wake", NO_WAY, Life(Faults(pauses=1), resume_wakes=False)),
    breaks("lit-skip-plain", "order", Life(Faults(lost_leases=1, failed_compensations=1, aborts=1), skip="plain")),
    breaks(
        "lit-skip-plain-late-action",
        "late effect of a skipped step",
        Life(Faults(lost_leases=1, failed_compensations=1, aborts=1), roles="c", skip="plain", skip_checked=True),
    ),
    breaks("mut-skip-after-success", "was overwritten", Life(Faults(failed_compensations=1, aborts=1), skip="late")),
    breaks("lit-restart-live", "stands too", Life(Faults(restarts=1), restart="live")),
    breaks("lit-restart-after-skip", "stands too", Life(Faults(restarts=1, failed_compensations=1), skip_in_restart=True)),
    breaks("mut-restart-key", "is missing", Life(Faults(restarts=1, aborts=1), roles="c", restart="ended", round_in_key=False)),
    breaks(
        "mut-restart-event",
        "is missing",
        Life(Faults(restarts=1, lost_leases=1, aborts=1), restart="ended", round_in_event=False),
    ),
    breaks("mut-start-no-tombstone", "an effect stands in the child", ParentAndChild(tombstones=False)),
    breaks("mut-child-ends-at-once", "a terminal child was changed", ParentAndChild(holds=False)),
    breaks("mut-parent-does-not-wait", "an effect stands in the child", ParentAndChild(awaits=False, reaches=False)),
    breaks("lit-child-release-sent", NO_WAY, ParentAndChild(polls=False)),
    breaks("lit-child-held-abort", "an effect is missing", ParentAndChild(held_aborts=True)),
    breaks("lit-child-pivot", NO_WAY, ParentAndChild(child_pivot=True)),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)
