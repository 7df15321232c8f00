"""The events of one saga within one batch, folded into one append.

They are folded in one fold, since a fold costs as much as the saga has steps: of ten thousand parallel steps hundreds end
in one batch. An event that cannot be taken spoils the fold; it is made again from those before, which happens seldom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec

from goconductor.errors import GoConductorError, RequestRefusedError, SagaChangedError, UnexpectedEventError
from goconductor.lifecycle.decide import apply
from goconductor.lifecycle.effects import Effect, EndSaga, RunCompensation, SetTimer, Work, direction_of
from goconductor.lifecycle.events import ActionSucceeded, CompensationSucceeded, Event
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.pending_work import is_pending, timer_due_at
from goconductor.lifecycle.state import CompensationStatus, SagaState
from goconductor.participant import log
from goconductor.participant.log import View
from goconductor.participant.places import Place
from goconductor.participant.work import Granted, attempt_of, lease_for, new_event_id, random_number
from goconductor.ports.store import Append, Lease, LogEntry, Take
from goconductor.redaction import logger_of
from goconductor.saga.plan import Plan

logger = logger_of("goconductor.participant")

FOLDED_BYTES_MAX = 4 * 1024 * 1024
"""So much of one saga's events goes in one append, which the store cannot part; what is above it goes in the next."""


class Room(Protocol):
    """Says which work this process can run at once, and keeps a place for it."""

    def reserve(self, plan: Plan, work: Work) -> Place | None:
        """Keep a place for this work, if it is ours and there is one."""
        ...

    def spawn(self, works: Sequence[Granted]) -> None:
        """Run granted work, whose places are reserved; or hand it on, if nothing more is begun here."""
        ...

    def undoes_nothing(self, plan: Plan, step: str) -> bool:
        """Whether the step is ours, and compensating it would run no code and note nothing down."""
        ...


class Expected(NamedTuple):
    """The place in a saga's log that somebody saw when asking: an append on top of anything else is refused."""

    seq: int
    tag: int


class Submission(msgspec.Struct):
    """An event on its way into the log.

    Attributes:
        view: what is known of the saga; None if nothing is.
        lease: the lease that this event ends.
        epoch: the leader's epoch, where it is the leader who writes.
        expected: append only right after this place; None appends wherever the log is by then.
        follows: whether the submitter itself runs the work that is handed back; else the appender sees to it.
        alone: what it was folded with was refused, so it goes into an append of its own.
        stale: the head has moved since ``view``: read the tail first.
        doubtful: the answer to the event's commit was lost: look for its id in the tail.
    """

    saga_id: UUID
    saga: str
    event: Event
    view: View | None = None
    lease: Lease | None = None
    epoch: int = 0
    expected: Expected | None = None
    event_id: UUID = msgspec.field(default_factory=new_event_id)
    follows: bool = False
    alone: bool = False
    stale: bool = False
    doubtful: bool = False


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


class TryAgain(Exception):  # noqa: N818  (an answer within a batch, never raised)
    """The submission must go into another batch, its fields brought up to date."""

    def __init__(self, *, doubtful: bool = False, alone: bool = False, wait_seconds: float = 0.0) -> None:
        self.doubtful = doubtful
        self.alone = alone
        self.wait_seconds = wait_seconds
        super().__init__()


Answer = Appended | Exception


class Group(msgspec.Struct):
    """One saga's submissions, by their index in the batch, and what they add up to."""

    saga_id: UUID
    members: list[int] = []
    plan: Plan | None = None
    base: View | None = None
    new: View | None = None
    entries: list[LogEntry] = []
    effects: list[Effect] = []
    due: list[Work] = []
    releases: list[Lease] = []
    takes: list[tuple[Take, Work, Place]] = []
    accepted: list[int] = []
    due_at: float | None = None
    epoch: int = 0
    bytes: int = 0

    def fold(
        self,
        batch: Sequence[Submission],
        answers: list[Answer | None],
        room: Room,
        *,
        now: Callable[[], float],
        participant: str,
        counts: Counter[str],
    ) -> bool:
        """Fold the events, one after the other. False if none of them changes anything; then ``answers`` says why."""
        if self.base is None or self.plan is None:
            return False
        fold, folded = Fold(self.plan, self.base.state), list[Event]()
        for member in self.members:
            submission = batch[member]
            if self.accepted and (submission.alone or batch[self.accepted[0]].alone):
                continue  # it goes into the next batch
            due_at = timer_due_at(fold.state, submission.event)
            if answers[member] is not None or self.bytes >= FOLDED_BYTES_MAX:
                continue
            if due_at is not None and self.entries and due_at > now():
                continue  # the guard of an append names one moment, the latest: who is not yet due must not hold up the others
            if submission.doubtful and any(entry.event_id == submission.event_id for entry in self.entries):
                self.accepted.append(member)  # the same request twice in one batch is one event
                continue
            if submission.expected is not None and (self.entries or submission.expected != (self.base.seq, self.base.tag)):
                answers[member] = SagaChangedError()
                continue
            event = msgspec.structs.replace(submission.event, at=max(now(), fold.state.at, due_at or 0.0))
            try:
                apply(fold, event)
                event = fold.keep(event)
                nulls = _undo_nothing(fold, room) if fold.backward else []
            except Exception as error:  # noqa: BLE001  (of a bug of ours the other sagas of this batch have no part)
                fold = _fold_of(self.plan, self.base.state, folded)
                seen = msgspec.structs.replace(fold.state, steps=dict(fold.steps))
                answers[member] = self._refusal(event, error, seen, counts)
                continue
            folded += [event, *nulls]
            self.effects += fold.effects
            fold.effects = []
            token = submission.lease.token if submission.lease is not None else 0
            self.entries.append(log.entry(event, submission.event_id, participant=participant, token=token))
            self.entries += [log.entry(null, new_event_id(), participant=participant) for null in nulls]
            self.accepted.append(member)
            self.epoch = self.epoch or submission.epoch
            self.due_at = max(filter(None, (self.due_at, due_at)), default=None)
            self.bytes += sum(len(entry.data) for entry in self.entries[-1 - len(nulls) :])
            if submission.lease is not None:
                self.releases.append(submission.lease)
        if not self.entries:
            return False
        self.new = View(fold.state, self.base.seq + len(self.entries), random_number(), self.base.bytes + self.bytes)
        return True

    def _refusal(self, event: Event, error: Exception, state: SagaState, counts: Counter[str]) -> Answer:
        """What a submission is told whose event cannot be folded."""
        assert self.base is not None  # noqa: S101  (our caller has seen to it)
        if isinstance(error, UnexpectedEventError):
            counts["events_dropped"] += 1
            if isinstance(event, ActionSucceeded) and state.step(event.step).compensation.status is not CompensationStatus.NONE:
                counts["late_effects"] += 1
                logger.warning(
                    "the action of step %r of saga %s succeeded only after its compensation had begun; "
                    "without a journal its effect may stand: look, and undo it by hand",
                    event.step,
                    self.saga_id,
                    extra={"saga_id": str(self.saga_id), "step": event.step},
                )
            return Appended(View(state, self.base.seq, self.base.tag), dropped=str(error))
        if isinstance(error, RequestRefusedError):
            return error
        name = type(event).__name__
        logger.error("saga %s cannot take %s", self.saga_id, name, exc_info=error, extra={"saga_id": str(self.saga_id)})
        return GoConductorError(f"saga {self.saga_id} cannot take {name}: {error}")

    def take(self, room: Room, instance: int, lease_seconds: float) -> None:
        """Work out what is due now, and reserve places for what can go on here at once: local continuation."""
        if self.plan is None or self.new is None:
            return
        self.due = still_due(self.effects, self.new)
        for work in self.due:
            place = room.reserve(self.plan, work)
            if place is not None:
                take = Take(lease=lease_for(self.saga_id, work, instance), lease_seconds=lease_seconds)
                self.takes.append((take, work, place))

    def vacate(self, kept: Iterable[int] = ()) -> None:
        """Give back the places of leases that were not taken; ``kept`` are the tokens of those that were."""
        held = set(kept)
        if len(held) == len(self.takes):
            return
        for take, _, place in self.takes:
            if take.lease.token not in held:
                place.vacate()
        self.takes = [taken for taken in self.takes if taken[0].lease.token in held]

    def let_go(self) -> list[Lease]:
        """Nobody knows what became of the append: give all places back. The leases, which may have been taken, are answered."""
        leases = [take.lease for take, _, _ in self.takes]
        self.vacate()
        return leases

    def works(self, sent_at: float) -> tuple[Granted, ...]:
        """The work whose leases are held now; ``sent_at`` is when they were asked for, on the monotonic clock."""
        if self.plan is None or self.new is None:
            return ()
        return tuple(
            Granted(self.plan, self.new, take.lease, attempt_of(work), sent_at + take.lease_seconds, place)
            for take, work, place in self.takes
        )

    def append(self, instance: int) -> Append:
        """What the store is asked."""
        assert self.base is not None  # noqa: S101  (only folded groups get here)
        assert self.new is not None  # noqa: S101
        return Append(
            saga_id=self.saga_id,
            seq=self.base.seq,
            tag=self.base.tag,
            new_tag=self.new.tag,
            entries=self.entries,
            status=self.new.state.status.value,
            instance=instance,
            wake_at=self.new.state.wake_at,
            due_at=self.due_at,
            release=self.releases,
            take=[take for take, _, _ in self.takes],
            epoch=self.epoch,
        )


def grouped(batch: Sequence[Submission], recent: Callable[[UUID], View | None]) -> list[Group]:
    """A batch by saga, each with the newest view that anybody here has."""
    groups: dict[int, Group] = {}
    for index, submission in enumerate(batch):
        number = submission.saga_id.int
        group = groups.get(number)
        if group is None:
            group = groups[number] = Group(submission.saga_id, base=recent(submission.saga_id))
        group.members.append(index)
        if submission.view is not None and (group.base is None or group.base.seq < submission.view.seq):
            group.base = submission.view
    return list(groups.values())


def _fold_of(plan: Plan, state: SagaState, folded: Iterable[Event]) -> Fold:
    """A fold with events that were taken before."""
    fold = Fold(plan, state)
    for event in folded:
        apply(fold, event)
    fold.effects = []
    return fold


def _undo_nothing(fold: Fold, room: Room) -> list[Event]:
    """Fold at once the compensations asked for that would do nothing: another append for each would say no more."""
    asked, nulls, left = fold.effects, list[Event](), list[Effect]()
    for effect in asked:  # which grows
        if isinstance(effect, RunCompensation) and room.undoes_nothing(fold.plan, effect.step):
            null = CompensationSucceeded(effect.step, effect.attempt, effect.round, at=fold.state.at, null=True)
            fold.effects = []
            apply(fold, null)
            asked += fold.effects
            nulls.append(null)
        else:
            left.append(effect)
    fold.effects = left
    return nulls


def still_due(effects: Iterable[Effect], view: View) -> list[Work]:
    """Of the work that several decisions asked for, what the last state still wants."""
    state = view.state
    return [
        effect
        for effect in effects
        if not isinstance(effect, SetTimer | EndSaga)
        and is_pending(state, effect.step, direction_of(effect), attempt_of(effect), effect.round)
    ]
