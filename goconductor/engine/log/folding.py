"""The events of one saga within one batch, folded into one append.

Three values, one after the other. A :class:`SagaBatch` gathers what was submitted. A :class:`Folded` is what that adds up to, on
top of the newest state. A continuation (:mod:`goconductor.engine.log.continuation`) is what goes on here after the commit.

They are folded in one :class:`Fold`, since one costs as much as the saga has steps: of ten thousand parallel steps hundreds end
in one batch. An event that cannot be taken spoils it; it is made again from those before, which happens seldom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias
from uuid import UUID

import msgspec

from goconductor.engine.facts import log
from goconductor.engine.facts.log import View
from goconductor.engine.log.continuation import Room
from goconductor.engine.work.granted import Granted, new_event_id, random_number
from goconductor.errors import GoConductorError, RequestRefusedError, SagaChangedError, UnexpectedEventError
from goconductor.lifecycle.decide import apply
from goconductor.lifecycle.facts.effects import Effect, RunCompensation
from goconductor.lifecycle.facts.events import ActionSucceeded, CompensationSucceeded, Event, SignalReceived
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import CompensationStatus, SagaStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.pending_work import looked_at, timer_due_at
from goconductor.ports.store import Append, Known, Lease, LogEntry, Note, SignalId, Take
from goconductor.redaction import logger_of
from goconductor.saga.plan import Plan

logger = logger_of("goconductor.engine")

FOLDED_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of one saga's events in one append, which the store cannot part; what is above it goes in the next."""


class Expected(NamedTuple):
    """The place in a saga's log that somebody saw when asking: an append on top of anything else is refused."""

    seq: int
    tag: int


class Submission(msgspec.Struct):
    """An event on its way into the log.

    Attributes:
        plan: the saga's definition; None if it is not at hand.
        view: what is known of the saga; None if nothing is.
        lease: the lease that this event ends.
        epoch: the leader's epoch, where it is the leader who writes.
        expected: append only right after this place; None appends wherever the log is by then.
        unchanged: heads, this saga's included, that must not have moved; such an event goes ``alone``.
        follows: whether the submitter itself runs the work that is handed back; else the appender sees to it.
        alone: what it was folded with was refused, so it goes into an append of its own.
        stale: the head has moved since ``view``: read the tail first.
        doubtful: the answer to the event's commit was lost: look for its id in the tail.
        note: of the request that wants it; the audit log has it with the event.
    """

    saga_id: UUID
    plan: Plan | None
    event: Event
    view: View | None = None
    lease: Lease | None = None
    epoch: int = 0
    expected: Expected | None = None
    unchanged: tuple[Known, ...] = ()
    event_id: UUID = msgspec.field(default_factory=new_event_id)
    follows: bool = False
    alone: bool = False
    stale: bool = False
    doubtful: bool = False
    note: Note | None = None


class Appended(msgspec.Struct, frozen=True):
    """What became of a submission.

    Attributes:
        view: the newest view; None if a timer was not due.
        works: work whose leases were taken with the append, to be run at once by a submitter who follows.
        dropped: why the event was no longer legal; empty if it was appended.
    """

    view: View | None
    works: tuple[Granted, ...] = ()
    dropped: str = ""


class EventRefusedError(GoConductorError):
    """The database refuses this event, and will refuse it again."""


class SignalKnownError(RequestRefusedError):
    """A signal of this id has reached the saga before."""


class TryAgain(msgspec.Struct, frozen=True):
    """The submission must go into another batch, its fields brought up to date.

    Attributes:
        doubtful: whether its event may have been committed.
        alone: whether what it was folded with was refused.
        wait_seconds: how long to wait before.
    """

    doubtful: bool = False
    alone: bool = False
    wait_seconds: float = 0.0


AppendResult: TypeAlias = Appended | TryAgain | Exception
"""What a batch says of each submission. An exception is for its submitter alone."""

Results: TypeAlias = list[AppendResult | None]
"""The same, by the index in the batch, while it is worked out. Of what goes into the next batch it says nothing: None."""


class SagaBatch(msgspec.Struct):
    """One saga's submissions within a batch.

    Attributes:
        saga_id: the saga's.
        base: the newest view that anybody here has.
        plan: its definition; None if nobody has it at hand.
        stale: whether the log has to be read first: its head has moved, or somebody knows too little of the saga.
        doubtful: whether an event may have been committed before.
        members: the submissions, by their index in the batch.
    """

    saga_id: UUID
    base: View | None
    plan: Plan | None = None
    stale: bool = False
    doubtful: bool = False
    members: dict[int, Submission] = {}


class Folded(msgspec.Struct, frozen=True):
    """What one saga's submissions add up to.

    Attributes:
        plan: the saga's.
        base: the place in its log that the append has to follow.
        new: its state after the append.
        status: its status then.
        entries: what is appended.
        effects: what was decided.
        releases: the leases that end.
        accepted: the submissions that are in it, by their index in the batch.
        due_at: the moment before which the append must not be; None where it may be at once.
        epoch: of the leader who writes; 0 where nobody does so as a leader.
        signals: the ids of the signals among the entries.
        unchanged: heads that must not have moved.
    """

    plan: Plan
    base: View
    new: View
    status: SagaStatus
    entries: list[LogEntry]
    effects: list[Effect]
    releases: list[Lease]
    accepted: dict[int, Submission]
    due_at: float | None
    epoch: int
    signals: list[SignalId]
    unchanged: list[Known] = []

    def append(self, instance: int, takes: list[Take]) -> Append:
        """Return what the store is asked.

        Args:
            instance: this process's serial.
            takes: the leases of what goes on here.
        """
        state = self.new.state
        return Append(
            saga_id=state.saga_id,
            seq=self.base.seq,
            tag=self.base.tag,
            new_tag=self.new.tag,
            entries=self.entries,
            status=self.status,
            instance=instance,
            wake_at=state.wake_at if state.parent is None else looked_at(state),
            due_at=self.due_at,
            release=self.releases,
            take=takes,
            epoch=self.epoch,
            signals=self.signals,
            unchanged=self.unchanged,
            notes=[each.note for each in self.accepted.values() if each.note is not None],
        )


def gather(batch: Sequence[Submission], recent: Callable[[UUID], View | None]) -> list[SagaBatch]:
    """Part a batch by saga, each with the newest view that anybody here has.

    Args:
        batch: what was submitted.
        recent: finds a view that this process remembers.
    """
    by_saga: dict[int, SagaBatch] = {}
    for index, submission in enumerate(batch):
        number = submission.saga_id.int
        gathered = by_saga.get(number)
        if gathered is None:
            gathered = by_saga[number] = SagaBatch(submission.saga_id, recent(submission.saga_id))
        gathered.members[index] = submission
        gathered.plan = gathered.plan or submission.plan
        gathered.stale = gathered.stale or submission.stale or submission.plan is None
        gathered.doubtful = gathered.doubtful or submission.doubtful
        if submission.view is not None and (gathered.base is None or gathered.base.seq < submission.view.seq):
            gathered.base = submission.view
    return list(by_saga.values())


def fold(
    members: Mapping[int, Submission],
    plan: Plan,
    base: View,
    room: Room,
    results: Results,
    *,
    now: Callable[[], float],
    participant: str,
    counts: Counter[str],
) -> Folded | None:
    """Fold the events of one saga, one after the other.

    Args:
        members: the submissions, by their index in the batch.
        plan: the saga's.
        base: its newest state that is known.
        room: says what would be undone by doing nothing.
        results: has those that were committed before, which are left out; and gets why others cannot be taken.
        now: the database's time, in seconds since 1970.
        participant: who writes, for the record.
        counts: where dropped events are counted.

    Returns:
        None if none of them changes anything.
    """
    draft, folded = Fold(plan, base.state), list[Event]()
    entries, effects, releases = list[LogEntry](), list[Effect](), list[Lease]()
    accepted: dict[int, Submission] = {}
    signals: dict[str, SignalId] = {}
    first: Submission | None = None
    last_due_at: float | None = None
    epoch = size = 0
    for index, submission in members.items():
        if results[index] is not None:
            continue
        apart = first is not None and (submission.alone or first.alone or _repeats(submission, signals))
        if size >= FOLDED_BYTES_MAX or apart:
            continue  # it goes into the next batch
        due_at = timer_due_at(draft.state, submission.event)
        if due_at is not None and entries and due_at > now():
            continue  # the guard of an append names one moment, the latest: who is not yet due must not hold up the others
        if submission.doubtful and any(entry.event_id == submission.event_id for entry in entries):
            accepted[index] = msgspec.structs.replace(submission, note=None)  # the same request twice in one batch is one event
            continue
        if submission.expected is not None and (entries or submission.expected != (base.seq, base.tag)):
            results[index] = SagaChangedError()
            continue
        event = msgspec.structs.replace(submission.event, at=max(now(), draft.state.at, due_at or 0.0))
        try:
            apply(draft, event)
            event = draft.keep(event)
            nulls = _undo_nothing(draft, room) if draft.backward or draft.rewound or plan.tolerated or plan.loses else []
        except Exception as error:  # noqa: BLE001  (of a bug of ours the other sagas of this batch have no part)
            draft = _fold_of(plan, base.state, folded)
            seen = msgspec.structs.replace(draft.state, steps=dict(draft.steps))
            results[index] = _refusal(event, error, View(seen, base.seq, base.tag), counts)
            continue
        folded += [event, *nulls]
        effects += draft.effects
        draft.effects = []
        token = submission.lease.token if submission.lease is not None else 0
        entries.append(log.entry(event, submission.event_id, participant=participant, token=token))
        for null in nulls:
            entries.append(log.entry(null, new_event_id(), participant=participant))
        for entry in entries[-1 - len(nulls) :]:
            size += len(entry.data)
        accepted[index] = submission
        if isinstance(event, SignalReceived):
            signals[event.id] = log.signal_id(event)
        first = first or submission
        epoch = epoch or submission.epoch
        if due_at is not None:
            last_due_at = due_at if last_due_at is None else max(last_due_at, due_at)
        if submission.lease is not None:
            releases.append(submission.lease)
    if not entries:
        return None
    new = View(draft.state, base.seq + len(entries), random_number(), base.bytes + size)
    return Folded(
        plan,
        base,
        new,
        draft.status,
        entries,
        effects,
        releases,
        accepted,
        last_due_at,
        epoch,
        [*signals.values()],
        [*first.unchanged] if first else [],
    )


def _repeats(submission: Submission, signals: Mapping[str, SignalId]) -> bool:
    """Return whether this is a signal whose id is among those accepted: the store knows it at the next try."""
    return isinstance(submission.event, SignalReceived) and submission.event.id in signals


def _refusal(event: Event, error: Exception, view: View, counts: Counter[str]) -> AppendResult:
    """Return the answer to a submission whose event cannot be folded."""
    saga_id = view.state.saga_id
    if isinstance(error, UnexpectedEventError):
        counts["events_dropped"] += 1
        tell_late(event, view.state, counts)
        return Appended(view, dropped=str(error))
    if isinstance(error, RequestRefusedError):
        return error
    name = type(event).__name__
    logger.error("saga %s cannot take %s", saga_id, name, exc_info=error, extra={"saga_id": str(saga_id)})
    return GoConductorError(f"saga {saga_id} cannot take {name}: {error}")


def tell_late(event: Event, state: SagaState, counts: Counter[str]) -> None:
    """Report a success that came after its compensation had begun, or after that of its round had ended."""
    if not isinstance(event, ActionSucceeded):
        return
    step = state.step(event.step)
    if step.compensation.status is not CompensationStatus.NONE or event.round < step.round:
        counts["late_effects"] += 1
        logger.warning(
            "the action of step %r of saga %s succeeded only after its compensation had begun%s; "
            "without a journal its effect may stand: look, and undo it by hand",
            event.step,
            state.saga_id,
            f", in round {event.round}, and the step is in round {step.round}" if event.round < step.round else "",
            extra={"saga_id": str(state.saga_id), "step": event.step},
        )


def _fold_of(plan: Plan, state: SagaState, folded: Iterable[Event]) -> Fold:
    """Return a fold with events that were taken before."""
    fold = Fold(plan, state)
    for event in folded:
        apply(fold, event)
    fold.effects = []
    return fold


def _undo_nothing(fold: Fold, room: Room) -> list[Event]:
    """Fold at once the compensations asked for that would do nothing: another append for each would say no more.

    With the last of them a step may be given up whose failure is tolerated. Then the saga goes on, and conditions are asked.
    """
    asked, nulls, left = fold.effects, list[Event](), list[Effect]()
    for effect in asked:  # which grows
        if isinstance(effect, RunCompensation) and room.undoes_nothing(fold.plan, effect.step):
            null = CompensationSucceeded(effect.step, effect.attempt, effect.round, at=fold.state.at, null=True)
            fold.effects = []
            apply(fold, null)
            asked += fold.effects
            nulls.append(fold.keep(null))
        else:
            left.append(effect)
    fold.effects = left
    return nulls
