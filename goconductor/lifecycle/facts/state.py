"""The state of one saga: the fold of its events. Frozen; a decision makes a new one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from goconductor.lifecycle.facts.lock import Held, Wish
from goconductor.lifecycle.facts.parent import Parent
from goconductor.lifecycle.facts.rewind import Rewind, Way
from goconductor.lifecycle.facts.signal import Signal
from goconductor.lifecycle.facts.status import (
    DONE_ACTIONS,
    OPEN_ACTIONS,
    OPEN_COMPENSATIONS,
    ActionStatus,
    CompensationStatus,
    PausedWith,
    SagaStatus,
    status_of,
)
from goconductor.saga.features import (
    CHILD,
    HANDED_OUT,
    HANDED_OUT_UNDO,
    HELD,
    MIGRATION,
    PAUSE_OF_CHILDREN,
    REWIND,
    REWIND_OF_MAP,
    TERMINATION,
    UNDO_SAGA,
)
from goconductor.saga.growth import Items
from goconductor.saga.ids import Direction

PATIENCE_SECONDS = 20.0
"""Default when the starter gives no value: twice the default lease time, in seconds. Logs leave it out, so it never changes."""


class Computed(msgspec.Struct, frozen=True):
    """What an expression has given that is no condition."""

    value: Any


Answer: TypeAlias = bool | str | Computed
"""The answer of an expression; text gives the reason why it could not be evaluated."""


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why something did not work, as it crosses the bus: never a pickled exception.

    Args:
        type: the exception's class name.
        message: its text.
        retryable: False where trying again would not help.
        called: False where the step's code was not called, since its arguments could not be made: this run had no effect.
        traceback: where it was raised, bounded; empty where it was an answer, or an older version wrote it.
    """

    type: str
    message: str = ""
    retryable: bool = True
    called: bool = True
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


SideStatus = TypeVar("SideStatus", ActionStatus, CompensationStatus)


class Side(msgspec.Struct, Generic[SideStatus], frozen=True, omit_defaults=True):
    """Where one side of a step stands: its action, or its compensation.

    Args:
        status: what it is doing.
        attempt: the number of the present attempt, from 1; 0 where it was never sent.
        unknowns: how many outcomes were lost, one after the other.
        lost_at: when the first of them was reported, in seconds since 1970.
        due_at: when the next attempt may begin, or when waiting ends, in seconds since 1970; None where time ends nothing.
        failure: why its last attempt did not work.
        since: when it began to wait, in seconds since 1970; None where it does not wait.
        ends_at: when the time of all its attempts is over, in seconds since 1970; None where that has no end.
        asked: how many of its attempts only asked what became of the one before, which was handed out.
        over: the last attempt of which a failure from outside counts no more, as what it had begun there has failed.
    """

    status: SideStatus
    attempt: int = 0
    unknowns: int = 0
    lost_at: float | None = None
    due_at: float | None = None
    failure: Failure | None = None
    since: float | None = None
    ends_at: float | None = None
    asked: int = 0
    over: int = 0

    def to(self, status: SideStatus, **changes: Any) -> Side[SideStatus]:
        """Return the side with another status, and no timer."""
        return msgspec.structs.replace(self, status=status, due_at=None, since=None, **changes)


NOT_SENT = Side(ActionStatus.PENDING)
NOT_COMPENSATED = Side(CompensationStatus.NONE)


class StepState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where one step stands in the present round."""

    action: Side[ActionStatus] = NOT_SENT
    compensation: Side[CompensationStatus] = NOT_COMPENSATED
    output: Any = None
    skipping: bool = False
    """Whether an operator's skip requested the settlement."""
    span: str = ""
    """The id of the action's last span, if it was traced."""
    round: int = 0
    """The number of this run of the step. Events, messages, leases and idempotency keys of other rounds do not concern it."""
    edited: dict[str, Any] | None = None
    """Inputs given by an operator; they replace those of the definition."""
    undo_edited: dict[str, Any] | None = None  # the same for the inputs of a declared undo
    length: int | None = None
    """Of a map that has grown: how many items it has."""
    lost: frozenset[int] = frozenset()
    """Of such a map: the places of items that failed as a whole, or were not needed any more."""
    undoing: frozenset[int] = frozenset()  # those of them that are still being undone
    wishes: tuple[Wish, ...] = ()
    """The locks that it waits for before it begins, in the order in which they are taken."""

    @property
    def stuck(self) -> bool:
        """Whether it waits for an operator."""
        return self.action.status is ActionStatus.STUCK or self.compensation.status is CompensationStatus.STUCK

    @property
    def due_at(self) -> float | None:
        """When the side that backs off may be tried again, or the action has waited enough; at most one of them has a time."""
        return self.compensation.due_at if self.action.due_at is None else self.action.due_at

    @property
    def failure(self) -> Failure | None:
        """The failure that people want to see: the compensation's, else the action's."""
        return self.action.failure if self.compensation.failure is None else self.compensation.failure

    def side(self, direction: Direction) -> Side[ActionStatus] | Side[CompensationStatus]:
        """Return the side that a lease, a message or an event is about; a settlement is about the action."""
        return self.compensation if direction is Direction.COMPENSATION else self.action


NOT_STARTED = StepState()
SENT_ONCE = Side(ActionStatus.SENT, 1)
BEGUN = StepState(SENT_ONCE)
"""Where nearly every step stands that is at work. All of them share it: a process may run ten thousand."""


NOTHING: dict[str, Any] = {}
"""Stands in a new state for what few sagas ever have. It is never written to; a dict of its own for each would be 64 bytes."""


class SagaState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run of a saga.

    ``remaining`` counts the steps that must still end going forward; ``pending_compensations`` those that must still be
    compensated. Steps that were never touched are absent from ``steps``.
    """

    saga_id: UUID
    version: str
    phase: SagaStatus = SagaStatus.QUEUED
    paused: bool = False
    steps: dict[str, StepState] = {}
    input: Any = None
    remaining: int = 0
    reason: str = ""
    """Why the saga turned back or was terminated."""
    pause_reason: str = ""
    paused_with: PausedWith = PausedWith.ITSELF
    """How far a pause reaches; it has no other meaning while the saga is not paused."""
    reply_to: str = ""
    started_at: float = 0.0
    at: float = 0.0
    """Time of the last event."""
    deadline_at: float | None = None
    deadline_passed: bool = False
    patience_seconds: float = PATIENCE_SECONDS
    """Greatest seconds between two looks of the sweep at a live saga; a shorter saga never moves its ``wake_at``."""
    late_effects: bool = False
    """Whether an effect may stand that nobody undoes: a skip was forced past the journal, or an action succeeded only after its
    compensation had begun."""
    wake_at: float | None = None
    traceparent: str = ""
    """The trace of its steps (W3C trace context), if there is one."""
    signals: tuple[Signal, ...] = ()
    """Those that no step has taken, in the order of the log."""
    signals_received: int = 0
    """How many there were in all."""
    rewind: Rewind | None = None
    """What goes back while the saga goes forward; None on the way back as a whole, and where nothing does."""
    parent: Parent | None = None
    """The step of another saga that started this one, and ends with it."""
    handed_out: bool = False
    """Whether an action of it was ever handed to somebody outside."""
    undo_handed_out: bool = False
    """The same of a compensation."""
    priority: int = 0
    """Orders its steps where they wait for room in a process; greater ones first."""
    locks: dict[str, Held] = {}
    """The locks that the saga holds, by their keys."""
    rounds: int = 0
    """How many rewinds have begun. A step that was rewound takes this number as its round."""
    migrated: bool = False
    """Whether it has gone on by another version than the one that it started with."""
    ways: dict[str, Way] = {}
    """The savepoints that have given up a way."""
    regrown: dict[str, int] = {}
    """The maps that had grown when they were rewound, each with the round of what it grows since."""
    unkept: dict[str, Answer] | None = None
    """Answers of conditions, by step, that no event of the log holds yet; the next event does. None where the saga has no
    conditions,
    or where this state was made by a version that kept no answers."""

    def step(self, step: str) -> StepState:
        """Return where a step stands."""
        return self.steps.get(step, NOT_STARTED)

    @property
    def status(self) -> SagaStatus:
        """The saga's status, as people see it."""
        if self.phase.ended:
            return self.phase
        return status_of(self.phase, paused=self.paused, stuck=bool(self.stuck_steps), waits=self.waits)

    @property
    def next_deadline_at(self) -> float | None:
        """When the saga's own time will be over; None where that has passed, or changes nothing any more."""
        return None if self.deadline_passed or self.phase in (SagaStatus.TERMINATING, SagaStatus.HELD) else self.deadline_at

    @property
    def waits(self) -> bool:
        """Whether nothing is open but steps that wait."""
        found = False
        for step in self.steps.values():
            if step.action.status in OPEN_ACTIONS or step.compensation.status in OPEN_COMPENSATIONS:
                return False
            found = found or step.action.status is ActionStatus.WAITING
        return found

    @property
    def features(self) -> tuple[str, ...]:
        """What older code does not know of this state, beside what its definition uses (:mod:`goconductor.saga.features`)."""
        rewound = () if not self.rounds else (REWIND, REWIND_OF_MAP) if self.regrown else (REWIND,)
        found = rewound if self.parent is None else (*rewound, CHILD, HELD) if self.parent.held else (*rewound, CHILD)
        if self.parent is not None and self.parent.undoes:
            found = (*found, UNDO_SAGA)
        if self.handed_out:
            found = (*found, HANDED_OUT)
        if self.undo_handed_out:
            found = (*found, HANDED_OUT_UNDO)
        if self.migrated:
            found = (*found, MIGRATION)
        if self.paused_with is not PausedWith.ITSELF:
            found = (*found, PAUSE_OF_CHILDREN)
        return (*found, TERMINATION) if self.phase is SagaStatus.TERMINATING else found

    @property
    def stuck_steps(self) -> list[str]:
        """Return the steps that wait for an operator."""
        return [name for name, step in self.steps.items() if step.stuck]

    @property
    def left_standing(self) -> list[str]:
        """Return the steps whose compensation was skipped, so that their effects may stand."""
        return [name for name, step in self.steps.items() if step.compensation.status is CompensationStatus.SKIPPED]

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of all steps that succeeded."""
        return {name: step.output for name, step in self.steps.items() if step.action.status is ActionStatus.SUCCEEDED}

    def referable(self) -> Mapping[str, Any]:
        """Return what a reference may see: outputs, and None for steps that were skipped."""
        return Referable(self.steps)


_WITHOUT_ITEMS = (ActionStatus.GIVEN_UP, ActionStatus.SKIPPED)


class Referable(Mapping[str, Any]):
    """What a reference may see of steps. It looks only where it is asked: a step of ten thousand refers to a few others.

    Of a map that has grown it has the length, also before the end: the items read their list by it.

    Args:
        steps: where they stand.
        undone: the step whose declared undo asks. It sees that one's output as well, None where nobody knows it.
    """

    def __init__(self, steps: Mapping[str, StepState], undone: str | None = None) -> None:
        self._steps = steps
        self._undone = undone

    def __getitem__(self, name: str) -> Any:
        step = self._steps[name]
        if step.length is not None and step.output is None and step.action.status not in _WITHOUT_ITEMS:
            return Items(step.length, (step.edited or {}).get("over"), step.lost)
        if step.action.status not in DONE_ACTIONS and name != self._undone:
            raise KeyError(name)
        return step.output

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, step in self._steps.items() if step.action.status in DONE_ACTIONS])

    def __len__(self) -> int:
        return sum(1 for _ in self)
