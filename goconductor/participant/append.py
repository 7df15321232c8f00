"""Decide, append, and only then act: the order that everything rests on.

An event goes into the next batch. There, the events of one saga are folded into its newest known state, and become one append
that is guarded by the head's seq and tag. Who loses reads the tail, decides again, and appends again; an event that is no longer
legal then is dropped. When the answer to a commit is lost, the tail tells by the event's id whether it was won.

After the commit: leases taken in the same statement become work that is run at once (*local continuation*), everything else
that the decision asks for goes out as messages and timers.

What an append has taken, places and leases, belongs to the appender until it runs or is released. Whoever asked may be gone by
then: a request that timed out, a leader that stepped down, a timer of a process that leaves. So the appender itself has the work
run; only a submitter that *follows* its saga gets it back, and where that one is gone the appender runs it after all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter
from uuid import UUID

from goconductor.aio.reminders import Reminder
from goconductor.errors import (
    ConfigurationError,
    FencedError,
    GoConductorError,
    PoolerError,
    SagaNotFoundError,
    SchemaError,
    StoreUnavailableError,
)
from goconductor.lifecycle.effects import Effect, EndSaga, SetTimer, Work, direction_of
from goconductor.lifecycle.events import TimerFired
from goconductor.lifecycle.pending_work import pending_work
from goconductor.participant import log
from goconductor.participant.batch import Batcher
from goconductor.participant.definitions import Definitions
from goconductor.participant.folding import (
    Answer,
    Appended,
    EventRefusedError,
    Group,
    Room,
    Submission,
    TryAgain,
    grouped,
    still_due,
)
from goconductor.participant.log import View
from goconductor.participant.orphans import Orphans
from goconductor.participant.outbox import Outbox
from goconductor.participant.probe import SILENT, Probe
from goconductor.participant.views import Views
from goconductor.participant.work import Granted, effect_of
from goconductor.ports.clock import Clock
from goconductor.ports.store import BATCHES_AT_ONCE, Known, Outcome, SagaStore, Verdict
from goconductor.redaction import logger_of
from goconductor.saga.plan import Plan

logger = logger_of("goconductor.participant")

RECENT_MAX, RECENT_BYTES_MAX = 10_000, 32 * 1024 * 1024
"""Views kept of sagas that this process appended to, so that parallel branches in one process do not conflict."""
STORE_PAUSE_SECONDS = 0.25
REFUSED_PAUSE_SECONDS = 1.0
AWAY_SECONDS = 5.0
"""So often it is said that the store is away."""
AWAY = (StoreUnavailableError, ConfigurationError, SchemaError, PoolerError)
"""What says nothing of the events: the database is absent, or takes nothing from us at present."""


class Appender:
    """Brings events into the log, many sagas at a time.

    Args:
        store: the log.
        definitions: compiled definitions.
        outbox: where messages go after the commit.
        clock: for lease ends.
        room: what can be run here at once, and runs it.
        orphans: frees leases that may have been taken though nobody runs under them.
        instance: tells this process's serial.
        participant: its participant's name, for the record.
        lease_seconds: the life of leases taken with an append.
        on_acknowledged: called with what a commit has made durable.
        on_timer: called for each timer that a decision sets.
        on_end: called when an append of ours ended a saga.
        counts: where what happened is counted.
        probe: told of each append and each batch.
    """

    def __init__(
        self,
        *,
        store: SagaStore,
        definitions: Definitions,
        outbox: Outbox,
        clock: Clock,
        room: Room,
        orphans: Orphans,
        instance: Callable[[], int],
        participant: str,
        lease_seconds: float,
        on_acknowledged: Callable[[View], None],
        on_timer: Callable[[Plan, View, SetTimer], None],
        on_end: Callable[[Plan, View], None],
        counts: Counter[str],
        probe: Probe = SILENT,
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._outbox = outbox
        self._clock = clock
        self._room = room
        self._instance = instance
        self._participant = participant
        self._lease_seconds = lease_seconds
        self._on_acknowledged = on_acknowledged
        self._on_timer = on_timer
        self._on_end = on_end
        self._counts = counts
        self._probe = probe
        self._recent = Views(count_max=RECENT_MAX, bytes_max=RECENT_BYTES_MAX)
        self._away = Reminder(AWAY_SECONDS, AWAY_SECONDS, monotonic=clock.monotonic)
        self._orphans = orphans
        self._batcher: Batcher[Submission, Answer] = Batcher(
            self._flush,
            lanes=BATCHES_AT_ONCE,
            subject=attrgetter("saga_id.int"),
            told=partial(probe.flushed, "append"),
            unclaimed=self._unclaimed,
        )

    async def submit(self, submission: Submission) -> Appended:
        """Bring one event into the log; waits while the store is away.

        Raises:
            SagaNotFoundError: there is no such saga.
            RequestRefusedError: an operator's request that the state does not allow.
            FencedError: the term of the leader who asked is over.
            GoConductorError: the log cannot be read by this version, or the database refuses the event.
        """
        while True:
            answer = await self._batcher.ask(submission)
            if isinstance(answer, Appended):
                return answer
            if not isinstance(answer, TryAgain):
                raise answer
            submission.stale = True
            submission.doubtful = submission.doubtful or answer.doubtful
            submission.alone = submission.alone or answer.alone
            if answer.wait_seconds:
                await self._clock.sleep(answer.wait_seconds)

    def act(
        self,
        plan: Plan,
        view: View,
        effects: Iterable[Effect],
        due: Sequence[Work],
        taken: Sequence[Granted],
        *,
        cause: UUID | None = None,
    ) -> None:
        """What follows a commit: remember, send what is due and was not taken here, set timers, tell of the end.

        Args:
            plan: the saga's.
            view: its state after the commit.
            effects: what was decided.
            due: the work among it that the state still wants.
            taken: what of that runs here.
            cause: the id of the event that it follows from.
        """
        self._on_acknowledged(view)
        if view.state.phase.ended:
            self._recent.drop(view.state.saga_id)
        else:
            self._recent.keep(view)
        if len(due) > len(taken):
            here = {(work.step, work.direction) for work in taken}
            elsewhere = [work for work in due if (work.step, direction_of(work)) not in here]
            self._outbox.work(plan, view, elsewhere, cause="" if cause is None else str(cause))
        for effect in effects:
            if isinstance(effect, SetTimer):
                self._on_timer(plan, view, effect)
            elif isinstance(effect, EndSaga):
                self._on_end(plan, view)

    def hand_on(self, work: Granted) -> None:
        """Ask whoever offers the step to run this, since it cannot be begun here any more; its lease is free by now."""
        effect = effect_of(work)
        if still_due([effect], work.view):
            self._outbox.work(work.plan, work.view, [effect])

    def latest(self, saga_id: UUID) -> View | None:
        """The newest view of a saga that this process appended to lately and that has not ended since."""
        return self._recent.get(saga_id)

    async def close(self) -> None:
        """Wait for what is in flight."""
        await self._batcher.close()

    def _unclaimed(self, _: Submission, answer: Answer) -> None:
        """Who submitted this is gone, and its saga goes on all the same."""
        if isinstance(answer, Appended) and answer.works:
            self._room.spawn(answer.works)

    async def _flush(self, batch: list[Submission]) -> Sequence[Answer]:
        answers: list[Answer | None] = [None] * len(batch)
        groups = grouped(batch, self.latest)
        try:
            await self._bring_up(batch, groups, answers)
            ready = [
                group
                for group in groups
                if group.fold(batch, answers, self._room, now=self._clock.now, participant=self._participant, counts=self._counts)
            ]
            for group in ready:
                group.take(self._room, self._instance(), self._lease_seconds)
            sent_at = self._clock.monotonic()
            outcomes = await self._store.append([group.append(self._instance()) for group in ready]) if ready else []
        except BaseException as error:
            for group in groups:
                self._orphans.add(group.let_go())
                self._recent.drop(group.saga_id)
            if not isinstance(error, AWAY):
                raise
            return self._while_away(error, batch, answers)
        self._counts["append_batches"] += bool(ready)
        for group, outcome in zip(ready, outcomes, strict=True):
            if outcome.verdict is Verdict.WON:
                self._won(group, outcome, batch, answers, sent_at)
            else:
                self._lost(group, outcome, batch, answers)
        return [answer or TryAgain() for answer in answers]

    def _while_away(self, error: GoConductorError, batch: Sequence[Submission], answers: Sequence[Answer | None]) -> list[Answer]:
        """Outcomes wait until the log takes them. Where it is there but refuses us, others are told so."""
        self._counts["store_unavailable"] += 1
        if self._away.is_due():
            logger.warning("the saga store is away, events wait: %s", error)
        absent = isinstance(error, StoreUnavailableError)
        again = TryAgain(doubtful=True, wait_seconds=STORE_PAUSE_SECONDS if absent else REFUSED_PAUSE_SECONDS)
        return [
            answer or (again if absent or submission.lease is not None else error)
            for submission, answer in zip(batch, answers, strict=True)
        ]

    async def _bring_up(self, batch: Sequence[Submission], groups: Sequence[Group], answers: list[Answer | None]) -> None:
        """Read the tails of sagas of which too little is known, whose head had moved, or whose last append is in doubt."""
        stale = [g for g in groups if g.base is None or any(batch[m].stale or not batch[m].saga for m in g.members)]
        for group in stale:
            if any(batch[m].doubtful for m in group.members):
                # somebody else here may know more by now: an event of ours has to be looked for in all of the log
                group.base = None
        await self._orphans.free()
        tails = await self._store.read([g.base.known if g.base else Known(g.saga_id) for g in stale]) if stale else []
        for group, tail in zip(stale, tails, strict=True):
            try:
                if tail.head is None:
                    raise SagaNotFoundError(f"there is no saga {group.saga_id}")
                group.plan = await self._definitions.plan(tail.head.saga, tail.head.version)
                group.base = log.brought_up(group.plan, group.base, group.saga_id, tail)
            except StoreUnavailableError:
                raise
            except GoConductorError as error:
                group.base = None
                for member in group.members:
                    answers[member] = error
                continue
            written = {stored.event_id for stored in tail.entries}
            for member in group.members:
                if batch[member].doubtful and batch[member].event_id in written and group.base is not None:
                    answers[member] = Appended(group.base)
                    self.catch_up(group.plan, group.base)
        for group in groups:
            if group.plan is None and group.base is not None:
                group.plan = await self._definitions.plan(batch[group.members[0]].saga, group.base.state.version)

    def catch_up(self, plan: Plan, view: View) -> None:
        """Nobody acted on what was appended, since its answer was lost, or since it was not committed then: ask for all that the
        state asks for.
        """
        state = view.state
        asked = list(pending_work(state.steps))
        ends: list[Effect] = [EndSaga(state.phase)] if state.phase.ended else []
        self.act(plan, view, [*asked, *ends], still_due(asked, view), ())

    def _won(
        self, group: Group, outcome: Outcome, batch: Sequence[Submission], answers: list[Answer | None], sent_at: float
    ) -> None:
        assert group.plan is not None  # noqa: S101  (only folded groups get here)
        assert group.new is not None  # noqa: S101
        self._counts["appends"] += 1
        self._counts["events"] += len(group.entries)
        self._probe.appended(group.plan, group.base, group.new)
        group.vacate(kept=outcome.took)
        works = group.works(sent_at)
        self.act(group.plan, group.new, group.effects, group.due, works, cause=group.entries[-1].event_id)
        if works and not batch[group.accepted[-1]].follows:
            self._room.spawn(works)
            works = ()
        for member in group.accepted:
            answers[member] = Appended(group.new, works if member == group.accepted[-1] else ())

    def _lost(self, group: Group, outcome: Outcome, batch: Sequence[Submission], answers: list[Answer | None]) -> None:
        self._counts[f"append_{outcome.verdict}"] += 1
        group.vacate()
        self._recent.drop(group.saga_id)
        for member in group.accepted:
            match outcome.verdict:
                case Verdict.NOT_DUE if isinstance(batch[member].event, TimerFired):
                    answers[member] = Appended(None, dropped="not due")
                case Verdict.FENCED if batch[member].epoch == group.epoch:
                    answers[member] = FencedError()
                case Verdict.REJECTED if len(group.accepted) > 1:
                    answers[member] = TryAgain(alone=True)  # one of them is at fault, and the others are not
                case Verdict.REJECTED:
                    event = type(batch[member].event).__name__
                    answers[member] = EventRefusedError(
                        f"the database refuses an event of saga {group.saga_id} ({event}): {outcome.problem}"
                    )
                case Verdict.HELD_UP:
                    answers[member] = TryAgain(wait_seconds=STORE_PAUSE_SECONDS)
                case _:
                    answers[member] = TryAgain()
