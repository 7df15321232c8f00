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
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from uuid import UUID

from goconductor.aio.reminders import Reminder
from goconductor.engine.facts.definitions import Definitions
from goconductor.engine.facts.log import View
from goconductor.engine.facts.orphans import Orphans
from goconductor.engine.facts.views import Views
from goconductor.engine.log.batch import Batcher
from goconductor.engine.log.continuation import Continuation, Room, still_due
from goconductor.engine.log.folding import (
    Appended,
    AppendResult,
    EventRefusedError,
    Folded,
    Results,
    SignalKnownError,
    Submission,
    TryAgain,
    fold,
    gather,
    tell_late,
)
from goconductor.engine.log.newest import Newest
from goconductor.engine.log.outbox import Outbox
from goconductor.engine.log.resting import Resting
from goconductor.engine.observer import SILENT, Observer
from goconductor.engine.work.granted import Granted, effect_of
from goconductor.errors import (
    ConfigurationError,
    FencedError,
    GoConductorError,
    PoolerError,
    SagaChangedError,
    SchemaError,
    StoreUnavailableError,
)
from goconductor.lifecycle.facts.effects import Effect, EndSaga, SeeToChildren, SeeToLocks, SetTimer, Work
from goconductor.lifecycle.facts.events import TimerFired
from goconductor.lifecycle.pending_work import is_of_child, pending_work, waits, work_of_children
from goconductor.ports.clock import Clock
from goconductor.ports.store import BATCHES_AT_ONCE, Log, Outcome, Verdict
from goconductor.redaction import logger_of
from goconductor.saga.plan import Plan

logger = logger_of("goconductor.engine")

RECENT_MAX, RECENT_BYTES_MAX = 10_000, 32 * 1024 * 1024
"""Number and bytes of the views kept of sagas that this process appended to, so that its parallel branches do not conflict."""
STORE_PAUSE_SECONDS = 0.25
"""Seconds between two attempts to append while the store is unavailable."""
REFUSED_PAUSE_SECONDS = 1.0
"""Seconds between two attempts to append while the store is there and refuses us."""
AWAY_SECONDS = 5.0
"""Seconds between two log lines about an unavailable store."""
AWAY = (StoreUnavailableError, ConfigurationError, SchemaError, PoolerError)
"""Errors that do not come from the events: the database is absent, or takes nothing from us at present."""


class Appender:
    """Brings events into the log, many sagas at a time.

    Args:
        log: the sagas' logs.
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
        on_child: called for what is asked of a saga that a step starts.
        on_locks: called when the locks of a saga are to be seen to.
        on_end: called when an append of ours ended a saga.
        resting: told when one left a saga with nothing to do.
        counts: where what happened is counted.
        observer: called for each append and each batch.
    """

    def __init__(
        self,
        *,
        log: Log,
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
        on_child: Callable[[Plan, View, Work], None],
        on_locks: Callable[[Plan, View], None],
        on_end: Callable[[Plan, View], None],
        resting: Resting,
        counts: Counter[str],
        observer: Observer = SILENT,
    ) -> None:
        self._log = log
        self._outbox = outbox
        self._clock = clock
        self._room = room
        self._instance = instance
        self._participant = participant
        self._lease_seconds = lease_seconds
        self._on_acknowledged = on_acknowledged
        self._on_timer = on_timer
        self._on_child = on_child
        self._on_locks = on_locks
        self._on_end = on_end
        self._resting = resting
        self._counts = counts
        self._observer = observer
        self._recent = Views(count_max=RECENT_MAX, bytes_max=RECENT_BYTES_MAX)
        self._away = Reminder(AWAY_SECONDS, AWAY_SECONDS, monotonic=clock.monotonic)
        self._orphans = orphans
        self._newest = Newest(log, definitions, orphans, on_committed=self.catch_up)
        self._batcher: Batcher[Submission, AppendResult] = Batcher(
            self._flush,
            lanes=BATCHES_AT_ONCE,
            subject=attrgetter("saga_id.int"),
            on_flushed=partial(observer.flushed, "append"),
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
        effects: Sequence[Effect],
        due: Sequence[Work],
        taken: Sequence[Granted],
        *,
        cause: UUID | None = None,
    ) -> None:
        """Do what follows a commit: remember, send what is due and was not taken here, set timers, report the end.

        Args:
            plan: the saga's.
            view: its state after the commit.
            effects: what was decided.
            due: the work among it that the state still wants.
            taken: what of that runs here.
            cause: the id of the event that it follows from.
        """
        self._on_acknowledged(view)
        state = view.state
        if state.phase.ended or (not due and waits(state)):  # for days perhaps: whoever goes on with it reads it again
            self._recent.drop(state.saga_id)
            if self._resting.followers:
                self._resting.tell(view)
        else:
            self._recent.keep(view)
        if plan.starts_sagas:
            for work in due:
                if is_of_child(plan, work):
                    self._on_child(plan, view, work)
            due = [work for work in due if not is_of_child(plan, work)]
        if len(due) > len(taken):
            here = {(work.step, work.direction) for work in taken}
            elsewhere = [work for work in due if (work.step, work.direction) not in here]
            self._outbox.work(plan, view, elsewhere, cause="" if cause is None else str(cause))
        for effect in effects:
            match effect:  # any other was due, or is no more
                case SetTimer():
                    self._on_timer(plan, view, effect)
                case EndSaga():
                    self._on_end(plan, view)
                case SeeToLocks():
                    self._on_locks(plan, view)
                case SeeToChildren():
                    for work in work_of_children(plan, state.steps):
                        self._on_child(plan, view, work)

    def hand_on(self, work: Granted) -> None:
        """Ask whoever offers the step to run this, since it cannot be begun here any more; its lease is free by now."""
        effect = effect_of(work)
        if still_due([effect], work.view):
            self._outbox.work(work.plan, work.view, [effect])

    def latest(self, saga_id: UUID) -> View | None:
        """Return the newest view of a saga that this process appended to lately and that has not ended since."""
        return self._recent.get(saga_id)

    def forget(self) -> None:
        """Forget all views, as the log may have gone back: by a lost one an event that is due would count as superfluous."""
        self._recent.clear()

    async def close(self) -> None:
        """Wait for what is in flight."""
        await self._batcher.close()

    def _unclaimed(self, _: Submission, answer: AppendResult) -> None:
        """Run what a submission has taken whose submitter is gone; its saga goes on all the same."""
        if isinstance(answer, Appended) and answer.works:
            self._room.spawn(answer.works)

    async def _flush(self, batch: list[Submission]) -> Sequence[AppendResult]:
        results: Results = [None] * len(batch)
        gathered = gather(batch, self._recent.get)
        prepared: list[tuple[Folded, Continuation]] = []
        try:
            for each, plan, view in await self._newest.bring_up(gathered, results):
                folded = fold(
                    each.members,
                    plan,
                    view,
                    self._room,
                    results,
                    now=self._clock.now,
                    participant=self._participant,
                    counts=self._counts,
                )
                if folded is not None:
                    prepared.append((folded, Continuation(plan, folded.new, still_due(folded.effects, folded.new))))
            sent_at = self._clock.monotonic()
            outcomes = await self._append(prepared) if prepared else []
        except BaseException as error:
            for _, continuation in prepared:
                self._orphans.add(continuation.let_go())
            for each in gathered:
                self._recent.drop(each.saga_id)
            if not isinstance(error, AWAY):
                raise
            return self._while_away(error, batch, results)
        self._counts["append_batches"] += bool(prepared)
        for (folded, continuation), outcome in zip(prepared, outcomes, strict=True):
            if outcome.verdict is Verdict.WON:
                self._won(folded, continuation, outcome, sent_at, results)
            else:
                self._lost(folded, continuation, outcome, results)
        return [result or TryAgain() for result in results]

    async def _append(self, prepared: Sequence[tuple[Folded, Continuation]]) -> list[Outcome]:
        instance, seconds = self._instance(), self._lease_seconds
        return await self._log.append(
            [folded.append(instance, continuation.reserve(self._room, instance, seconds)) for folded, continuation in prepared]
        )

    def _while_away(self, error: GoConductorError, batch: Sequence[Submission], results: Results) -> list[AppendResult]:
        """Outcomes wait until the log takes them. Where it is there but refuses us, others are told so."""
        self._counts["store_unavailable"] += 1
        if self._away.is_due():
            logger.warning("the saga store is away, events wait: %s", error)
        absent = isinstance(error, StoreUnavailableError)
        again = TryAgain(doubtful=True, wait_seconds=STORE_PAUSE_SECONDS if absent else REFUSED_PAUSE_SECONDS)
        return [
            result or (again if absent or submission.lease is not None else error)
            for result, submission in zip(results, batch, strict=True)
        ]

    def catch_up(self, plan: Plan, view: View) -> None:
        """Ask for all that the state asks for: nobody acted on it, as the answer was lost, or it was not committed then."""
        state = view.state
        asked = list(pending_work(state.steps))
        ends: list[Effect] = [EndSaga(state.phase)] if state.phase.done else []
        if plan.locks:
            ends.append(SeeToLocks())
        self.act(plan, view, [*asked, *ends], still_due(asked, view), ())

    def _won(self, folded: Folded, continuation: Continuation, outcome: Outcome, sent_at: float, results: Results) -> None:
        self._counts["appends"] += 1
        self._counts["events"] += len(folded.entries)
        if folded.new.state.late_effects:
            for submission in folded.accepted.values():
                tell_late(submission.event, folded.new.state, self._counts)
        self._observer.appended(folded.plan, folded.base, folded.new)
        continuation.vacate(kept=outcome.took)
        works = continuation.works(sent_at)
        self.act(folded.plan, folded.new, folded.effects, continuation.due, works, cause=folded.entries[-1].event_id)
        *others, last = folded.accepted
        for index in others:
            results[index] = Appended(folded.new)
        if works and not folded.accepted[last].follows:
            self._room.spawn(works)
            works = ()
        results[last] = Appended(folded.new, works)

    def _lost(self, folded: Folded, continuation: Continuation, outcome: Outcome, results: Results) -> None:
        saga_id = folded.new.state.saga_id
        self._counts[f"append_{outcome.verdict}"] += 1
        continuation.vacate()
        self._recent.drop(saga_id)
        for index, submission in folded.accepted.items():
            match outcome.verdict:
                case Verdict.NOT_DUE if isinstance(submission.event, TimerFired):
                    results[index] = Appended(None, dropped="not due")
                case Verdict.FENCED if submission.epoch == folded.epoch:
                    results[index] = FencedError()
                case Verdict.CONFLICT if submission.unchanged:
                    results[index] = SagaChangedError()
                case Verdict.REJECTED | Verdict.KNOWN_SIGNAL if len(folded.accepted) > 1:
                    results[index] = TryAgain(alone=True)  # one of them is at fault, and the others are not
                case Verdict.KNOWN_SIGNAL:
                    results[index] = SignalKnownError()
                case Verdict.REJECTED:
                    event = type(submission.event).__name__
                    results[index] = EventRefusedError(
                        f"the database refuses an event of saga {saga_id} ({event}): {outcome.problem}"
                    )
                case Verdict.HELD_UP:
                    results[index] = TryAgain(wait_seconds=STORE_PAUSE_SECONDS)
                case _:
                    results[index] = TryAgain()
