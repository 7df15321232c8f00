"""The words of a story: one sentence for each kind of event, and durations, lists and counts in words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import assert_never

from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.events import Event
from goconductor.lifecycle.facts.restart import Restart
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus
from goconductor.lifecycle.pending_work import goes_back
from goconductor.ports.store import Limit, LogEntry, PermitUse
from goconductor.saga.definition import Step, Undo, Wait
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan


def doer(event: Event | None, participant: str) -> str:
    """Return the actor: the operator who is named, else the participant that wrote the event."""
    restart = getattr(event, "restart", None)
    return getattr(event if restart is None else restart.asked, "by", "") or participant or "somebody"


def happened(event: Event | None, entry: LogEntry, took_seconds: float | None, before: SagaState | None, plan: Plan) -> str:
    """Return one event as a sentence. A name stands in it unchanged, also where it begins the sentence.

    Args:
        event: the event; None if this version cannot read it.
        entry: the event as it is stored.
        took_seconds: seconds since it was requested.
        before: the saga before it; None before its start.
        plan: its definition.
    """
    if event is None:
        about = f" about {entry.step}" if entry.step else ""
        return f"{doer(event, entry.participant)} wrote {entry.event}{about}, which this version cannot read."
    return f"{_sentence(event, doer(event, entry.participant), took_seconds, before, plan)}."


def _sentence(event: Event, who: str, took: float | None, before: SagaState | None, plan: Plan) -> str:
    match event:
        case e.SagaStarted():
            return f"{who} {_began(event.restart)}"
        case e.ActionSucceeded():
            return f"{who} ran {event.step}{_details(event, took)}{_late(event, before)}"
        case e.ActionFailed():
            held = "; that is written in its journal, so it has no effect" if event.proven else ""
            return f"{who} failed to run {event.step}{_details(event, took)}: {event.failure}{held}"
        case e.ActionHandedOut() | e.CompensationHandedOut() | e.OutcomeReported() | e.CompensationReported():
            return _of_outside(event, who, took)
        case e.OutputRejected():
            return f"{who} ran {event.step}{_details(event, took)}, but without an output: {event.failure}"
        case e.CompensationSucceeded(null=True):
            return f"{who} found nothing to compensate of {event.step}{_details(event, took)}"
        case e.CompensationSucceeded():
            return f"{who} compensated {event.step}{_details(event, took)}"
        case e.CompensationFailed():
            return f"{who} failed to compensate {event.step}{_details(event, took)}: {event.failure}"
        case e.OutcomeUnknown(direction=Direction.COMPENSATION):
            return (
                f"{who} found that nobody knows whether {event.step} was compensated{_details(event, took)}{_why(event.reason)}"
            )
        case e.OutcomeUnknown():
            return f"{who} found that nobody knows whether {event.step} ran{_details(event, took)}{_why(event.reason)}"
        case e.TimerFired(direction=Direction.COMPENSATION) if before is not None and (
            before.step(event.step).compensation.status is CompensationStatus.WAITING
        ):
            said = "say that" if event.step in plan.undo_waits else "report whether"
            return f"The time in which somebody could {said} {event.step} is compensated was over"
        case e.TimerFired(direction=Direction.COMPENSATION):
            return f"The wait before attempt {event.attempt} to compensate {event.step} was over"
        case e.LocksGranted() | e.DeadlockFound():
            return _about_locks(event)
        case e.TimerFired() if before is not None and before.step(event.step).action.status is ActionStatus.WAITING:
            if event.step in plan.owners:
                return f"The time in which somebody could report how {event.step} has ended was over"
            what = awaited(plan.steps[event.step])
            over = f"The time in which {event.step} waits for {what} was over"
            return f"The time that {event.step} waits for had come" if what is None else over
        case e.TimerFired():
            return f"The wait before attempt {event.attempt} of {event.step} was over"
        case e.ActionSettled(happened=True):
            return f"{who}'s journal reports that {event.step} had happened"
        case e.ActionSettled():
            return f"{who}'s journal reports that {event.step} had not happened, and from now on it cannot"
        case e.CompensationSettled(happened=True):
            return f"{who}'s journal reports that {event.step} had been compensated"
        case e.CompensationSettled():
            return f"{who}'s journal reports that {event.step} had not been compensated, and from now on it cannot be"
        case e.SettleUnavailable():
            return f"{who} does not know what had happened to {event.step}{_why(event.reason)}"
        case e.DeadlinePassed():
            return "The saga's deadline passed"
        case e.SignalReceived():
            return _signal(event, who, plan)
        case e.Released():
            return "The saga whose step had started this one ended, so that what it did stays"
        case e.UndoRequested():
            return f"The saga whose step had started this one has it undone{_why(event.reason)}"
        case e.PauseRequested():
            return f"{who} paused the saga{' with its children' if event.children else ''}{_why(event.reason)}"
        case e.PausedWithParent():
            return f"The saga was paused with the one whose step has started it{_why(event.reason)}"
        case e.ResumeRequested() | e.ResumedWithParent():
            return f"{who} resumed the saga"
        case e.AbortRequested():
            return f"{who} asked to abort the saga{_why(event.reason)}"
        case e.RestartRequested():
            what = f"restart from {event.from_step}" if event.from_step else "restart the saga from its beginning"
            given = f" with another {together(sorted(event.inputs))}" if event.inputs else ""
            return f"{who} asked to {what}{given}{_why(event.reason)}"
        case e.TerminateRequested():
            return f"{who} terminated the saga as it stood{_why(event.reason)}"
        case e.SignalDropped():
            return f"{who} dropped the signal {event.signal}{_why(event.reason)}"
        case e.SagaMigrated():
            return f"{who} let the saga go on by version {event.version}, after {event.version_before}{_why(event.reason)}"
        case e.TerminationRequested():
            forced = " at once, without asking the journals" if event.forced else ""
            return f"{who} asked to end the saga as it stands{forced}{_why(event.reason)}"
        case e.RetryRequested():
            return f"{who} asked for another attempt of {event.step}"
        case e.SkipRequested():
            forced = " without asking its journal, so late effects are possible" if event.forced else ""
            return f"{who} asked to skip {event.step}{forced}{_why(event.reason)}"
        case e.OutcomeDeclared():
            found = "happened" if event.happened else "did not happen"
            return f"{who} declared that {event.step} {found}{_why(event.reason)}"
        case e.InputEdited():
            return f"{who} gave {event.step} another {together(sorted(event.inputs))}{_why(event.reason)}"
        case _:  # pragma: no cover
            assert_never(event)


def _began(restart: Restart | None) -> str:
    if restart is None:
        return "started the saga"
    version = "" if restart.asked.version is None else f" by version {restart.asked.version}"
    given = f" with another {together(sorted(restart.asked.inputs))}" if restart.asked.inputs else ""
    return f"restarted saga {restart.saga_id} as this one{version}{given}{_why(restart.asked.reason)}"


def _signal(event: e.SignalReceived, who: str, plan: Plan) -> str:
    if not event.approves:
        return f"{who} sent the signal {event.name}"
    undone = event.approves in plan.undo_waits
    return f"{who} {'confirmed the undo of' if undone else 'approved'} {event.approves}{_why(event.reason)}"


def _of_outside(event: e.ActionHandedOut | e.CompensationHandedOut | e.Report, who: str, took: float | None) -> str:
    match event:
        case e.ActionHandedOut():
            return f"{who} handed {event.step} out{_details(event, took)}{_asks(event)}"
        case e.CompensationHandedOut():
            return f"{who} handed the compensation of {event.step} out{_details(event, took)}{_asks(event)}"
        case e.OutcomeReported(failure=None):
            return f"{who} reported that {event.step} has succeeded"
        case e.OutcomeReported():
            return f"{who} reported that {event.step} has failed: {event.failure}"
        case e.CompensationReported(failure=None):
            return f"{who} reported that {event.step} is compensated"
        case e.CompensationReported():  # pragma: no branch
            return f"{who} reported that {event.step} is not compensated: {event.failure}"


def _asks(event: e.ActionHandedOut | e.CompensationHandedOut) -> str:
    return "" if event.ask_after_seconds is None else f"; it is asked about after {spell(event.ask_after_seconds)}"


def _about_locks(event: e.LocksGranted | e.DeadlockFound) -> str:
    if isinstance(event, e.DeadlockFound):
        return f"The saga gives way to others: {event.reason}"
    return f"The saga was given the lock{'s' * (len(event.keys) > 1)} {together(sorted(event.keys))}"


def awaited(step: Step) -> str | None:
    """Return what a step waits for from outside: a signal, or an approval; None where it waits for a time."""
    return None if step.wait is None else named(step.wait)


def named(wait: Wait) -> str:
    """Return what is waited for from outside: a signal, or an approval."""
    return "an approval" if wait.event is None else f"the signal {wait.event}"


def undone_by(undo: Undo) -> str:
    """Return what undoes a step: code, a saga, a signal or an approval."""
    if undo.saga is not None:
        return f"saga {undo.saga.name}"
    if undo.wait is None:
        return undo.run
    return f"signal {undo.wait.event}" if undo.wait.approval is None else f"approval: {undo.wait.approval}"


def _details(event: e.StepEvent, took: float | None) -> str:
    """Return the attempt, unless it is the first, and the duration, in brackets."""
    parts = ([f"attempt {event.attempt}"] if event.attempt > 1 else []) + ([] if took is None else [spell(took)])
    return f" ({', '.join(parts)})" if parts else ""


def _late(event: e.ActionSucceeded, before: SagaState | None) -> str:
    if before is None or not goes_back(before, event.step):
        return ""
    if before.step(event.step).compensation.status in (CompensationStatus.NONE, CompensationStatus.SETTLING):
        return ", although it was about to be undone"
    return ", but only after its compensation had begun, which may not have found the effect: look whether it is still there"


def _why(reason: str) -> str:
    return f": {reason}" if reason else ""


def spell(seconds: float) -> str:
    """Return a duration in words: ``12 ms``, ``1.2 s``, ``3 min 5 s``, ``2 h 4 min``, ``3 d 2 h``."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, lesser in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:  # pragma: no branch
            rest = whole % size // smaller
            return f"{whole // size} {unit} {rest} {lesser}" if rest else f"{whole // size} {unit}"
    raise AssertionError  # pragma: no cover


def together(names: Sequence[str]) -> str:
    """Join names: ``a``, ``a and b``, ``a, b and c``; of many, the first and how many more."""
    if not names:
        return "nothing"
    if len(names) > NAMES_MAX:
        return f"{', '.join(names[: NAMES_MAX - 1])} and {len(names) - NAMES_MAX + 1} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


NAMES_MAX = 8
"""Number of names that a sentence lists."""


def in_use(limits: Collection[Limit], use: PermitUse) -> str:
    """Return how much of a step's limit is in use; the greatest counts where instances differ.

    Args:
        limits: the limits that living instances told of the step.
        use: what the store knows of it.
    """
    total = max((each.total for each in limits if each.total is not None), default=None)
    rate = max((each for each in limits if each.rate is not None), key=lambda each: each.rate or 0, default=None)
    parts = [] if total is None else [f"{use.running} of {total} in use"]
    if rate is not None:
        parts.append(f"{use.begun} of {rate.rate} begun within {spell(rate.interval_seconds)}")
    return ", ".join(parts)
