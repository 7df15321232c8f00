"""What a saga is doing, and where the two sides of its steps stand."""

from __future__ import annotations

import enum


class SagaStatus(enum.StrEnum):
    """What a saga is doing, the one set everywhere.

    Attributes:
        ended: whether nothing can happen any more.
        done: the same, or all steps are done, and only the saga whose step has started this one may have it undone.
    """

    ended: bool
    done: bool

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    """Nothing of it is open but steps that wait for time to pass."""
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    STUCK = "stuck"
    TERMINATING = "terminating"
    """To be ended as it stands; the owners of what is out write its keys before."""
    TERMINATED = "terminated"
    HELD = "held"
    """All its steps are done. The saga whose step has started it may have it undone until that one ends."""

    def __init__(self, value: str) -> None:
        self.ended = value in {"completed", "compensated", "terminated"}
        self.done = self.ended or value == "held"


class PausedWith(enum.StrEnum):
    """How far a pause reaches."""

    ITSELF = ""
    CHILDREN = "children"
    """The sagas that its steps have started are paused as well, and resumed with it."""
    PARENT = "parent"
    """It was paused with the saga whose step has started it, and so are its own children."""


ENDED = frozenset(status for status in SagaStatus if status.ended)


def status_of(phase: SagaStatus, *, paused: bool, stuck: bool, waits: bool) -> SagaStatus:
    """Return the status that people see: an end counts before a pause, a pause before a stuck step, that before a wait.

    Args:
        phase: on which way the saga is.
        paused: whether an operator has paused it.
        stuck: whether a step of it waits for an operator.
        waits: whether all that is open of it waits.
    """
    if phase.ended or phase in (SagaStatus.TERMINATING, SagaStatus.HELD):
        return phase
    if paused:
        return SagaStatus.PAUSED
    return SagaStatus.STUCK if stuck else SagaStatus.WAITING if waits else phase


class ActionStatus(enum.StrEnum):
    """Where a step's action stands."""

    PENDING = "pending"
    """Not sent: it has certainly not run in this round."""
    SENT = "sent"
    """Due; a message for it was or will be sent, so it may have run."""
    BACKOFF = "backoff"
    """Waits for its timer before the next attempt."""
    WAITING = "waiting"
    """Nobody runs it: it ends by one event, such as its timer."""
    GROWN = "grown"
    """It has become several steps, and ends when they are done."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Reported its last failure. It may have had an effect all the same, so it is compensated."""
    PREVENTED = "prevented"
    """It has no effect and never will have one: its journal has its key as failed or refused, or nobody runs it."""
    UNKNOWN = "unknown"
    """Nobody knows whether it ran; it is compensated as if it had."""
    SETTLING = "settling"
    """Its owner is asked to write its key in the journal, and to answer whether it happened."""
    STUCK = "stuck"
    """Given up; an operator must decide."""
    SKIPPED = "skipped"
    """Not wanted: its condition was false, or an operator skipped it."""
    GIVEN_UP = "given_up"
    """Failed for good, which its definition tolerates, and has no effect that was not undone or left by an operator."""


DONE_ACTIONS = frozenset({ActionStatus.SUCCEEDED, ActionStatus.SKIPPED, ActionStatus.GIVEN_UP})
"""Statuses after which the next steps have their turn."""


class CompensationStatus(enum.StrEnum):
    """Where a step's compensation stands."""

    NONE = "none"
    SENT = "sent"
    BACKOFF = "backoff"
    DONE = "done"
    STUCK = "stuck"
    WAITING = "waiting"
    """Nobody runs it: it ends by one event from outside."""
    FENCING = "fencing"
    """To be skipped: its owner is first asked to write both keys in the journal."""
    SETTLING = "settling"
    """Before a declared undo: the action's owner is asked to write its key, and to answer whether it happened."""
    FENCING_UNDO = "fencing_undo"
    """A declared undo is to be skipped: the owner of the undo is first asked to write its key in its journal."""
    SKIPPED = "skipped"


OPEN_ACTIONS = frozenset({ActionStatus.SENT, ActionStatus.BACKOFF, ActionStatus.SETTLING})
"""Statuses in which somebody is at an action, or will be. One that waits is not among them."""

OPEN_COMPENSATIONS = frozenset(
    {
        *(CompensationStatus.SENT, CompensationStatus.BACKOFF, CompensationStatus.FENCING),
        *(CompensationStatus.SETTLING, CompensationStatus.FENCING_UNDO, CompensationStatus.WAITING),
    }
)

MAY_HAVE_RUN = frozenset({ActionStatus.SUCCEEDED, ActionStatus.FAILED, ActionStatus.UNKNOWN})
CLOSED_COMPENSATIONS = frozenset({CompensationStatus.DONE, CompensationStatus.SKIPPED})
ACTION_SUCCEEDED, ACTION_BACKOFF, ACTION_STUCK = ActionStatus.SUCCEEDED, ActionStatus.BACKOFF, ActionStatus.STUCK
NO_COMPENSATION, COMPENSATION_BACKOFF = CompensationStatus.NONE, CompensationStatus.BACKOFF
COMPENSATION_DONE, COMPENSATION_STUCK = CompensationStatus.DONE, CompensationStatus.STUCK
COMPENSATION_WAITING = CompensationStatus.WAITING
PENDING, COMPENSATING = ActionStatus.PENDING, SagaStatus.COMPENSATING
ACTION_WAITING, ACTION_GROWN = ActionStatus.WAITING, ActionStatus.GROWN
"""Module-level aliases: looking up a member of an enumeration is ten times slower."""
