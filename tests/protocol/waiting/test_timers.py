"""Timers that are kept in memories and in the log: what holds, and what each rule is for."""

from __future__ import annotations

from tests.protocol.runs import Run, breaks, each, holds, search
from tests.protocol.waiting.timers import CALL, DELAY, OPEN_WAIT, WAIT, Faults, Timers

EVERYTHING = Faults(failures=2, pauses=1, rewinds=1, crashes=1)
RETRIED = Faults(failures=2, pauses=1, rewinds=1)

HOLD = (
    holds("fix-backoff", Timers((CALL,), left=Faults(failures=2, pauses=1, crashes=1))),
    holds("fix-delay", Timers((DELAY, CALL), left=EVERYTHING)),
    holds("fix-deadline", Timers((WAIT, CALL), left=EVERYTHING)),
    holds("fix-open-wait", Timers((OPEN_WAIT, DELAY), left=EVERYTHING, signals_come=False)),
    holds("fix-saga-deadline", Timers((OPEN_WAIT, CALL), deadline=True, left=EVERYTHING)),
    holds(
        "fix-undo-outside",
        Timers((CALL, WAIT), deadline=True, undone_outside=(0,), left=EVERYTHING),
        small=Timers((CALL, WAIT), deadline=True, undone_outside=(0,), left=Faults(failures=1, pauses=1)),
    ),
    # a timer that is named may go by its own due time, and one that goes by the head's needs no name
    holds("ctl-timer-own-due", Timers((CALL, DELAY), left=RETRIED, due_of="memory")),
    holds("ctl-timer-no-name", Timers((CALL, DELAY), left=RETRIED, names_attempt=False, names_round=False)),
    holds(
        "fix-three",
        Timers((WAIT, DELAY, CALL), deadline=True, left=EVERYTHING),
        small=Timers((WAIT, DELAY, CALL), left=Faults(failures=1, pauses=1)),
    ),
)

BREAK = (
    breaks("mut-timer-no-due-guard", "fired early", Timers((DELAY,), due_of="nothing")),
    breaks("mut-timer-no-attempt", "fired early", Timers((CALL,), left=Faults(failures=2), names_attempt=False, due_of="memory")),
    breaks("mut-timer-no-round", "fired early", Timers((DELAY,), left=Faults(rewinds=1), names_round=False, due_of="memory")),
    breaks("mut-timer-twice", "fired twice", Timers((CALL,), left=Faults(failures=1), fires_once=False)),
    breaks("mut-wake-of-first-step", "wake_at is null", Timers((OPEN_WAIT, DELAY), wake="first")),
    breaks("mut-wake-never", "wake_at is null", Timers((CALL,), left=Faults(failures=1), wake="never")),
    breaks("mut-wake-not-computed", "wake_at", Timers((CALL, WAIT), left=Faults(failures=1), wake_keeps=True)),
    breaks("mut-timer-resume-no-wake", "wake_at is null", Timers((DELAY,), left=Faults(pauses=1), resume_wakes=False)),
    breaks(
        "mut-wait-times-out-paused", "while its saga was paused", Timers((WAIT,), left=Faults(pauses=1), wait_rests_paused=False)
    ),
    breaks(
        "mut-deadline-in-undo",
        "a saga that turns back has a deadline",
        Timers((CALL, WAIT), deadline=True, undone_outside=(0,), deadline_in_undo=True),
    ),
)


@each(HOLD)
def test_no_schedule_breaks(run: Run) -> None:
    search(run)


@each(BREAK)
def test_each_rule_is_needed(run: Run) -> None:
    search(run)
