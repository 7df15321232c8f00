"""What is to be done because of a decision, in the imperative; done only after the events are durable."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

from goconductor.lifecycle.facts.events import Event
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.saga.ids import Direction


class RunAction(msgspec.Struct, frozen=True):
    """Run the action. ``direction``, here and below: which lease and which topic it belongs to."""

    direction: ClassVar[Direction] = Direction.ACTION
    step: str
    attempt: int = 1
    round: int = 0


class RunCompensation(msgspec.Struct, frozen=True):
    """Run the compensation."""

    direction: ClassVar[Direction] = Direction.COMPENSATION
    step: str
    attempt: int = 1
    round: int = 0


class Settle(msgspec.Struct, frozen=True):
    """Have the owner write the step's keys in its journal, and answer what had happened. Its attempts are not counted."""

    direction: ClassVar[Direction] = Direction.SETTLE
    step: str
    round: int = 0
    attempt: int = 1


class SettleUndo(Settle, frozen=True):
    """Have the owner of a declared undo write the compensation's key in its journal, and answer whether the undo had run."""

    direction: ClassVar[Direction] = Direction.SETTLE_UNDO


class SetTimer(msgspec.Struct, frozen=True):
    """Let the attempt begin at ``due_at``."""

    step: str
    direction: Direction
    attempt: int
    round: int
    due_at: float


class EndSaga(msgspec.Struct, frozen=True):
    """Notify the waiters that the saga ended."""

    status: SagaStatus


class SeeToLocks(msgspec.Struct, frozen=True):
    """Ask for what the saga's steps wish, withdraw what they wish no more, and at its end give back what it holds."""


class SeeToChildren(msgspec.Struct, frozen=True):
    """Have the sagas paused that steps have started, as this one was paused with them."""


Work: TypeAlias = RunAction | RunCompensation | Settle
Effect: TypeAlias = Work | SetTimer | EndSaga | SeeToLocks | SeeToChildren


class Decision(msgspec.Struct, frozen=True):
    """The new state and its status, the event as it is to be kept, and what is to be done once it is durable."""

    state: SagaState
    status: SagaStatus
    event: Event
    effects: tuple[Effect, ...] = ()
