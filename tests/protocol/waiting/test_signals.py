"""Signals, approvals and deadlines: what holds, and what each rule is for."""

from __future__ import annotations

from tests.protocol.runs import NO_WAY, Run, breaks, each, holds, search
from tests.protocol.waiting.signals import Faults, Sender, Signals

FIRST, SECOND, BOTH, NEITHER = (0,), (1,), (0, 1), ()
ONE_EACH = (Sender(1, FIRST), Sender(2, SECOND))
APPROVALS = (Sender(1, FIRST, approves=0), Sender(2, FIRST, approves=0))
FILLING = (Sender(1, NEITHER), Sender(2, FIRST), Sender(3, SECOND))
NO_DEADLINE = (False, False)

HOLD = (
    holds("fix-signals", Signals(ONE_EACH, left=Faults(lost_answers=1, pauses=1), ends=True)),
    holds("fix-signals-second", Signals(ONE_EACH, deadlines=(False, True), left=Faults(lost_answers=1, pauses=1), ends=True)),
    holds("fix-signals-together", Signals((Sender(1, BOTH), Sender(2, BOTH)), together=True, left=Faults(1, 1), ends=True)),
    holds(
        "fix-signals-rewind",
        Signals((Sender(1, FIRST), Sender(2, SECOND), Sender(3, BOTH)), left=Faults(lost_answers=1, pauses=1, rewinds=2)),
        small=Signals(ONE_EACH, left=Faults(lost_answers=1, pauses=1, rewinds=1)),
    ),
    holds("fix-signals-cap", Signals(FILLING, kept_max=1, deadlines=NO_DEADLINE, times_max=1, ends=True)),
    holds("fix-signals-drop", Signals(FILLING, kept_max=1, left=Faults(lost_answers=1, drops=2))),
    holds(
        "fix-approvals",
        Signals((*APPROVALS, Sender(3, SECOND, approves=1)), tolerated=True, left=Faults(1, 1, 2)),
        small=Signals((*APPROVALS, Sender(3, SECOND, approves=1)), tolerated=True, left=Faults(rewinds=1)),
    ),
    holds("fix-approvals-together", Signals((Sender(1, BOTH, 0), Sender(2, BOTH, 1)), together=True, left=Faults(1, 0, 1))),
)

BREAK = (
    breaks("lit-repeat-refused", "its repetition is refused", Signals(ONE_EACH, left=Faults(lost_answers=1), id_first=False)),
    breaks(
        "lit-old-approval",
        "an approval of step 0 round 0 serves step 0 round 1",
        Signals(APPROVALS, deadlines=NO_DEADLINE, left=Faults(rewinds=1), names_round=False),
    ),
    breaks(
        "lit-old-approval-late",
        "an approval of step 0 round 0 serves step 0 round 1",
        Signals((Sender(1, FIRST, approves=0), Sender(2, SECOND)), tolerated=True, left=Faults(rewinds=1), names_round=False),
    ),
    breaks("lit-cap", NO_WAY, Signals(FILLING, kept_max=1, deadlines=NO_DEADLINE, times_max=1, ends=True, cap_counts_kept=False)),
    breaks(
        "mut-approval-corrected",
        "an approval of step 0 round 0 serves step 0 round 1",
        Signals(APPROVALS, left=Faults(rewinds=1), door_corrects=True),
    ),
    breaks(
        "mut-approval-names-no-step",
        "an approval of step 0 round 0 serves step 1 round 0",
        Signals((Sender(1, BOTH, approves=0),), tolerated=True, names_step=False),
    ),
    breaks("mut-not-kept", "its signal is nowhere", Signals(ONE_EACH, deadlines=NO_DEADLINE, keeps=False)),
    breaks(
        "mut-kept-not-looked-at",
        "a signal that serves a waiting step is kept",
        Signals(ONE_EACH, deadlines=NO_DEADLINE, takes_kept=False),
    ),
    breaks("mut-no-dedupe", "signal 1 was taken twice", Signals((Sender(1, BOTH),), deadlines=NO_DEADLINE, known_ids=False)),
    breaks(
        "mut-other-data",
        "its signal is nowhere",
        Signals((Sender(1, FIRST), Sender(1, BOTH)), deadlines=NO_DEADLINE, compares=False),
    ),
    breaks("mut-ids-before-append", "its signal is nowhere", Signals(ONE_EACH, left=Faults(crashes=1), ids_in_append=False)),
    breaks("mut-signal-no-guard", "an accepted signal was overwritten", Signals(ONE_EACH, guard=False)),
    breaks("mut-deadline-early", "a deadline fired early", Signals(ONE_EACH, due_guard=False)),
    breaks("mut-deadline-while-paused", "while its saga was paused", Signals(ONE_EACH, left=Faults(pauses=1), timer_rests=False)),
    breaks("mut-resume-no-wake", "wake_at is null", Signals(ONE_EACH, left=Faults(pauses=1), resume_wakes=False)),
    breaks("mut-wake-not-set", "wake_at is null", Signals(ONE_EACH, deadlines=(False, True), wakes=False)),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)
