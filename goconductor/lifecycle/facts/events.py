"""What happened to a saga, in the past tense; never refused once stored.

An event carries its own time (``at``, seconds since 1970 by the database's clock), which is fixed before the decision, so that a
replay gives the same answer. For the same reason it carries the answers of conditions at the decision (``answers``, by step;
:mod:`goconductor.lifecycle.answers` describes how they are read). A failure or an unknown outcome counts only for the attempt
that it names; a success counts for any attempt of its round.

How they are kept is said in :mod:`goconductor.lifecycle.facts.bodies`. A default here never changes, as a body leaves it out.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import msgspec

from goconductor.lifecycle.facts.lock import Held
from goconductor.lifecycle.facts.parent import Parent
from goconductor.lifecycle.facts.restart import Restart
from goconductor.lifecycle.facts.state import PATIENCE_SECONDS, Answer, Failure
from goconductor.saga.ids import Direction
from goconductor.saga.retry import Retry


class LoggedEvent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What every event may carry: answers of conditions that no event before it holds."""

    answers: dict[str, Answer] | None = None


class SagaEvent(LoggedEvent, frozen=True, omit_defaults=True, kw_only=True):
    """An event about the saga as a whole."""

    at: float = 0.0


class StepEvent(LoggedEvent, frozen=True, omit_defaults=True):
    """An event about one step of one round."""

    step: str
    attempt: int = 1
    round: int = 0
    at: float = 0.0


class SagaStarted(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """The saga was accepted, with this input.

    ``reply_to`` is the topic on which its end is awaited, if it is; ``patience_seconds`` how long a lost message may hold it up;
    ``traceparent`` the trace that all its steps belong to (W3C trace context), if there is one; ``parent`` the step that started
    it, if one did. ``never`` says why the saga has ended before it began, so that only its key is taken. ``priority`` orders its
    steps where they wait for room in a process. ``restart`` names the saga in whose place it begins, where there is one.
    """

    input: Any = None
    reply_to: str = ""
    patience_seconds: float = PATIENCE_SECONDS
    traceparent: str = ""
    parent: Parent | None = None
    never: str = ""
    priority: int = 0
    restart: Restart | None = None


class ActionEvent(StepEvent, frozen=True, omit_defaults=True, kw_only=True):
    """An action ran. ``span`` is the id of its span, if it was traced: what undoes it is linked to that."""

    span: str = ""


class ActionSucceeded(ActionEvent, frozen=True, omit_defaults=True):
    """The action ran, or had run before under its key."""

    output: Any = None


class ActionFailed(ActionEvent, frozen=True, omit_defaults=True):
    """The action raised, timed out, or was refused by its journal.

    ``proven``: the failure stands in the journal under the action's key, so it has no effect and never will have one. ``retry``
    is the owner's policy, for where the definition leaves it open; ``delay_seconds`` a wait that the step itself asked for.
    """

    failure: Failure = Failure("Error")
    proven: bool = False
    retry: Retry | None = None
    delay_seconds: float | None = None
    late_effects: bool = False  # of a saga that the step has started


class ActionHandedOut(ActionEvent, frozen=True, omit_defaults=True):
    """The action has handed its work to somebody outside, who will report the outcome. ``ask_after_seconds``: the action is run
    again, to ask, where no outcome has come until then; None asks nobody.
    """

    ask_after_seconds: float | None = None


class OutcomeReported(StepEvent, frozen=True, omit_defaults=True):
    """Somebody outside reported how an action that was handed out has ended: with an output, or with a failure.

    A failure counts only for the attempt that it names. A success counts for any attempt of its round.
    """

    verb: ClassVar[str] = "told an outcome"
    proven: ClassVar[bool] = False
    retry: ClassVar[Retry | None] = None
    delay_seconds: ClassVar[float | None] = None
    output: Any = None
    failure: Failure | None = None
    by: str = ""


class OutputRejected(ActionEvent, frozen=True, omit_defaults=True):
    """The action ran, but what it returned cannot be kept; ``failure`` has the reason. Its effect stands; another run repeats it.

    An event of its own, and no kind of failure, since a version that does not know it must leave the saga alone: it could take a
    failed pivot back, whose effect stands.
    """

    failure: Failure = Failure("Error")


class CompensationSucceeded(StepEvent, frozen=True, omit_defaults=True):
    """The compensation ran, had run before, or found nothing to compensate (``null``)."""

    null: bool = False


class CompensationFailed(StepEvent, frozen=True, omit_defaults=True):
    """The compensation raised or timed out."""

    failure: Failure = Failure("Error")
    retry: Retry | None = None
    delay_seconds: float | None = None


class CompensationHandedOut(StepEvent, frozen=True, omit_defaults=True):
    """The compensation has handed its work to somebody outside, who will report the outcome. ``ask_after_seconds``: as above."""

    ask_after_seconds: float | None = None


class CompensationReported(StepEvent, frozen=True, omit_defaults=True):
    """Somebody outside reported how a compensation that was handed out has ended; a failure has a reason.

    A failure counts only for the attempt that it names. A success counts for any attempt of its round.
    """

    verb: ClassVar[str] = "told an outcome"
    retry: ClassVar[Retry | None] = None
    delay_seconds: ClassVar[float | None] = None
    failure: Failure | None = None
    by: str = ""


class OutcomeUnknown(StepEvent, frozen=True, omit_defaults=True):
    """The process of this attempt has gone silent; appended by the leader, which holds the lease by now."""

    direction: Direction = Direction.ACTION
    reason: str = ""


class TimerFired(StepEvent, frozen=True, omit_defaults=True):
    """The wait before an attempt is over; ``attempt`` is the one that may begin."""

    direction: Direction = Direction.ACTION


class ActionSettled(StepEvent, frozen=True, omit_defaults=True):
    """The owner has written the action's key. ``happened``: it had succeeded, with this output; else it never will."""

    happened: bool = False
    output: Any = None


class CompensationSettled(StepEvent, frozen=True, omit_defaults=True):
    """The owner has written both keys. ``happened``: the compensation had succeeded; else it never will."""

    happened: bool = False


class SettleUnavailable(StepEvent, frozen=True, omit_defaults=True):
    """The owner has no journal for this step, and settles nothing. ``direction``: who was asked; ``late_effects``: as above."""

    reason: str = "the step has no journal"
    direction: Direction = Direction.SETTLE
    late_effects: bool = False


class DeadlinePassed(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """The saga's own time is over."""


class SignalReceived(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """Somebody told the saga that something has happened outside, or approved a step.

    ``approves`` and ``seen_round`` name the step that is approved, and its round as the question was shown with.
    """

    name: str
    id: str
    payload: Any = None
    approves: str = ""
    seen_round: int = 0
    reason: str = ""
    by: str = ""


class Released(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """The saga whose step has started this one has ended: what this one did stays."""


class UndoRequested(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """The saga whose step has started this one turns back, and has this one undo what it did. ``reason`` names the step."""

    reason: str = ""


class PausedWithParent(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """The saga whose step has started this one was paused with its children. ``reason`` names the step."""

    reason: str = ""


class ResumedWithParent(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """That saga is not paused any more, or has ended, or the step goes another way."""


class LocksGranted(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """The saga holds these keys by now, and keeps them to its end."""

    keys: dict[str, Held]


class DeadlockFound(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """The saga waits for locks in a circle with others, and was chosen to give way. ``reason`` names the circle."""

    reason: str


class PauseRequested(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """An operator paused the saga: nothing new starts."""

    verb: ClassVar[str] = "paused"
    children: bool = False  # also the sagas that its steps have started, or start while it is paused
    reason: str = ""
    by: str = ""


class ResumeRequested(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """An operator lifted the pause."""

    verb: ClassVar[str] = "resumed"
    by: str = ""


class AbortRequested(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """An operator asked for compensation."""

    verb: ClassVar[str] = "aborted"
    reason: str = ""
    by: str = ""


class RestartRequested(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """An operator asked that a step, and all that comes after it, be undone and begun again; without a step, everything.

    ``inputs`` are values for inputs of ``from_step`` in its new round.
    """

    verb: ClassVar[str] = "restarted"
    from_step: str = ""
    inputs: dict[str, Any] | None = None
    reason: str = ""
    by: str = ""


class TerminateRequested(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """An operator ended the saga at once, as it stood. Nobody writes this any more: see :class:`TerminationRequested`."""

    reason: str
    by: str = ""


class TerminationRequested(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """An operator asked for the saga's end as it stands, without compensation, once nothing of it can land any more.

    ``forced``: at once, without the journals' word, so effects may still land. It is an event of its own, since versions that
    knew only the one before take the saga for ended.
    """

    verb: ClassVar[str] = "terminated"
    reason: str
    forced: bool = False
    by: str = ""


class SignalDropped(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """An operator dropped a signal that no step had taken; ``signal`` is its id, which stays known."""

    verb: ClassVar[str] = "rid of a signal"
    signal: str
    reason: str = ""
    by: str = ""


class SagaMigrated(SagaEvent, frozen=True, omit_defaults=True, kw_only=True):
    """The saga goes on by another version of its definition, under which all of its log before this means the same.

    ``version`` is the new one, ``version_before`` the one until now. Nothing is decided by them: the head names the version by
    which the whole log is read (:mod:`goconductor.lifecycle.requests.migration` has the reason).
    """

    verb: ClassVar[str] = "migrated"
    version: str
    version_before: str = ""
    reason: str = ""
    by: str = ""


class RetryRequested(StepEvent, frozen=True, omit_defaults=True):
    """An operator asked for another attempt of a stuck step."""

    verb: ClassVar[str] = "retried"
    by: str = ""


class SkipRequested(StepEvent, frozen=True, omit_defaults=True):
    """An operator asked to go on without a stuck step. ``forced``: without its journal's word, so effects may still land."""

    verb: ClassVar[str] = "skipped"
    reason: str = ""
    forced: bool = False
    by: str = ""


class OutcomeDeclared(StepEvent, frozen=True, omit_defaults=True):
    """An operator found out by hand whether a stuck action happened."""

    verb: ClassVar[str] = "declared"
    happened: bool = False
    output: Any = None
    reason: str = ""
    by: str = ""


class InputEdited(StepEvent, frozen=True, omit_defaults=True):
    """An operator gave other values for some inputs of a step that gave up, or waits to try again.

    They stand in for what the definition refers to, in every later attempt of this round, the compensation's as well.
    """

    verb: ClassVar[str] = "given other inputs"
    inputs: dict[str, Any] = {}
    reason: str = ""
    by: str = ""


ForwardEvent: TypeAlias = (
    ActionSucceeded | ActionFailed | ActionHandedOut | OutcomeReported | OutputRejected | ActionSettled | DeadlinePassed
)
"""Events that :mod:`goconductor.lifecycle.moves.forward` decides."""

BackwardEvent: TypeAlias = (
    CompensationSucceeded | CompensationFailed | CompensationHandedOut | CompensationReported | CompensationSettled
)
"""Events that :mod:`goconductor.lifecycle.moves.backward` decides."""

OF_COMPENSATION: tuple[type[StepEvent], ...] = BackwardEvent.__args__

Report: TypeAlias = OutcomeReported | CompensationReported
"""Outcomes that somebody outside reports."""

SideEvent: TypeAlias = OutcomeUnknown | TimerFired | SettleUnavailable
"""Events that can happen to either side of a step; the file of that side decides them."""

StepRequest: TypeAlias = RetryRequested | SkipRequested | OutcomeDeclared | InputEdited
"""Requests of operators about one step: no outcomes of something that was asked of it."""

STEP_REQUESTS: tuple[type[StepEvent], ...] = StepRequest.__args__

SagaRequest: TypeAlias = (
    PauseRequested | ResumeRequested | AbortRequested | RestartRequested | TerminationRequested | SignalDropped | SagaMigrated
)
"""Requests of operators about the saga as a whole."""

OperatorRequest: TypeAlias = SagaRequest | StepRequest
"""Events that :mod:`goconductor.lifecycle.moves.requests` decides. ``verb`` completes "a saga can be …"."""

LockEvent: TypeAlias = LocksGranted | DeadlockFound
"""Events that :mod:`goconductor.lifecycle.moves.locking` decides."""

OtherEvent: TypeAlias = SagaStarted | Released | UndoRequested | PausedWithParent | ResumedWithParent | TerminateRequested
Event: TypeAlias = OtherEvent | LockEvent | SignalReceived | ForwardEvent | BackwardEvent | SideEvent | OperatorRequest

EVENTS: dict[str, type[Any]] = {event.__name__: event for event in Event.__args__}
