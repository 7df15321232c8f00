"""The sweep: a level-triggered, fair reconciler.

It looks at each due saga (``wake_at``), compares what the state still wants (:mod:`goconductor.lifecycle.pending_work`) with the
leases, and repairs the difference. The cause of a difference does not matter: a message that the bus lost, a process that was
killed, a commit whose answer never came.

- Work on which nobody holds a lease is sent again, ever more seldom.
- Work whose lease has expired, or whose holder is dead, is declared unknown: *a process that declares a step lost takes its lease
  first*, like any acquirer, also where no row is there; then it appends, then it frees. The leases of a dead process expire at
  once, and are not freed: an acquirer that came in between could not know that another had begun. On the way back every action
  that was sent and has no outcome is declared unknown in the same way, lease or not: "never started" is never inferred.
- Sagas that wait for locks look at them again: the process that freed one may be gone.
- Sub-sagas are started, asked to end, and their ends reported to their parents: the process that was to do it may be gone.
- Timers and deadlines that are due are appended.

:mod:`goconductor.recovery.burials` decides which processes are dead. After the database was away, locks and leases prove nothing
for one lease's life, and no process is judged. Then all live sagas are walked through once, since messages and leases may be gone
without a ``wake_at`` that shows it. The loss is acknowledged only at the end of that walk, so that a successor begins it again if
this leader does not get there.

Its writes are guarded by the head's seq, and by the leader's epoch. One saga that cannot be read never stops the others; a saga
written by a newer version is left to newer instances.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from uuid import UUID

from goconductor.aio.reminders import Reminder
from goconductor.engine.facts import log
from goconductor.engine.facts.log import View
from goconductor.engine.log.batch import Batcher
from goconductor.engine.log.folding import Submission
from goconductor.engine.node import Node
from goconductor.engine.work.granted import random_number
from goconductor.errors import FencedError, GoConductorError, StoreUnavailableError
from goconductor.lifecycle.facts.effects import Work
from goconductor.lifecycle.facts.events import Event, OutcomeUnknown
from goconductor.lifecycle.facts.status import PausedWith
from goconductor.ports.portions import portions
from goconductor.ports.store import Acquire, Acquired, Known, Lease, LeaseKey, Tail
from goconductor.recovery.burials import DEATH_SECONDS, Burials
from goconductor.recovery.leadership import LeadTerm
from goconductor.recovery.resending import FIRST_SECONDS, SECONDS_MAX, Resending
from goconductor.recovery.resent import Resent
from goconductor.recovery.sweep_report import SweepReport
from goconductor.recovery.triage import CHILD_LOOK_SECONDS_MAX, LOCK_LOOK_SECONDS_MAX, Look, key_of, triage
from goconductor.redaction import logger_of
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan

logger = logger_of("goconductor.recovery")

QUARANTINE_SECONDS = 60.0
"""Seconds for which a saga is left alone that cannot be read."""
PAUSED_LOOK_SECONDS_MAX = 60.0
"""Greatest seconds between two looks at the saga that another one was paused with. It resumes that one itself, unless it dies."""
LOOK_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of logs, as they are stored, that are read in one go. They are compressed, and grow in memory."""


class Sweeper:
    """Does the leader's sweep.

    Args:
        node: the engine of this process.
        interval_seconds: seconds between two looks for due sagas.
        lease_seconds: the life of a lease, during which no process is judged after the database was away.
        batch: number of sagas that are looked at in one go.
        on_sweep: called after each round with the number of its sagas; for tests and metrics.
    """

    def __init__(
        self,
        node: Node,
        *,
        interval_seconds: float = 1.0,
        lease_seconds: float = 10.0,
        batch: int = 200,
        on_sweep: Callable[[int], None] | None = None,
    ) -> None:
        self._node = node
        self._store = node.store
        self._clock = node.clock
        self._interval_seconds = interval_seconds
        self._lease_seconds = lease_seconds
        self._batch = batch
        self._on_sweep = on_sweep
        self._resending = Resending()
        self._burials = Burials(self._store, self._clock, lease_seconds=lease_seconds, batch=batch)
        self._acquires: Batcher[Acquire, Acquired] = Batcher(
            node.store.leases.acquire, on_flushed=partial(node.observer.flushed, "acquire"), unclaimed=self._unclaimed
        )
        self._judge_from = 0.0
        self._walking = False
        self._walked: UUID | None = None
        self._leases_lost = False
        self._unread: set[UUID] = set()
        """Sagas that could not be read one by one at the last look."""
        self._report = SweepReport(node)
        self.resent = Resent(node.clock)

    async def lead(self, term: LeadTerm) -> None:
        """Sweep until cancelled.

        Raises:
            FencedError: another one leads.
        """
        self._burials.begin()
        self._walking = self._leases_lost = False
        next_bury = next_sweep = self._clock.monotonic()
        away = Reminder(monotonic=self._clock.monotonic)
        while True:
            full = False
            try:
                may_judge = await self.may_judge(term.epoch)
                if may_judge and (self._burials.left or self._clock.monotonic() >= next_bury):
                    await self.bury(term.epoch)
                    next_bury = self._clock.monotonic() + DEATH_SECONDS
                if self._clock.monotonic() >= next_sweep:
                    began = self._clock.monotonic()
                    swept = await self.sweep_once(term.epoch)
                    self._node.observer.swept(swept, self._clock.monotonic() - began)
                    await self._report.swept(swept, epoch=term.epoch)
                    if self._on_sweep is not None:
                        self._on_sweep(swept)
                    full = swept >= self._batch
                    next_sweep = self._clock.monotonic() + (0.0 if full else self._interval_seconds)
                full = full or self._burials.left
                away.end()
            except StoreUnavailableError as error:
                if away.is_due():
                    logger.warning("the saga store is away, the sweep waits: %s", error)
                self._judge_from = self._clock.monotonic() + self._lease_seconds
            if full:
                await asyncio.sleep(0)
            else:
                await self._clock.sleep(min(DEATH_SECONDS, self._interval_seconds))

    async def may_judge(self, epoch: int) -> bool:
        """Return whether locks and leases prove anything: not within one lease's life after the database was away.

        That life is counted from the database's own start or promotion, or from what a leader wrote down, and not from this
        leader's begin: otherwise no process would ever be judged where leaders change often.
        """
        lost = await self._store.recovery.leases_truncated()
        silent_seconds = self._lease_seconds - await self._store.recovery.calm_seconds(epoch=epoch)
        now = self._clock.monotonic()
        if lost and not self._leases_lost:
            logger.warning("the lease table was emptied, by a crash or a failover: nobody is judged, then all are looked at")
            self._walking, self._walked = True, None
            self._resending.forget()  # who waited for a permit, for minutes perhaps, stood in a queue that is gone
        if silent_seconds > 0:
            self._judge_from = max(self._judge_from, now + silent_seconds)
            self._walking, self._walked = True, None
        self._leases_lost = lost
        return now >= self._judge_from

    async def bury(self, epoch: int) -> None:
        """Take over what dead instances held, and send what they left unsent: a batch at each call, so that the sweep goes on
        beside it.
        """
        if (batch := await self._burials.next_batch(epoch)) is not None:
            serial, sagas = batch
            await self._look_at(sagas, epoch, dead={serial})

    async def sweep_once(self, epoch: int) -> int:
        """Run one round over the due sagas, and one step of a walk through all; return how many were looked at."""
        heads = await self._store.recovery.due(self._batch)
        await self._look_at([head.saga_id for head in heads], epoch)
        walked = 0
        if self._walking and self._clock.monotonic() >= self._judge_from:
            walked = await self._walk_on(epoch)
        return max(len(heads), walked)

    async def _walk_on(self, epoch: int) -> int:
        heads = await self._store.recovery.live(self._batch, after=self._walked)
        await self._look_at([head.saga_id for head in heads], epoch)
        if len(heads) == self._batch:
            self._walked = heads[-1].saga_id
            return len(heads)
        if self._leases_lost:
            await self._store.recovery.acknowledge_truncation(epoch=epoch)
            logger.info("all live sagas have been looked at since the database's crash")
        self._walking = False  # only now: where that fails, the end of the walk comes again
        return len(heads)

    async def _look_at(self, sagas: Sequence[UUID], epoch: int, dead: Iterable[int] = ()) -> None:
        """Repair these sagas side by side, so that their writes share transactions, and set when to look at each again."""
        if sagas:
            await self._in_halves(sagas, epoch, partial(self._look_at_weighed, epoch=epoch, dead=dead))

    async def _look_at_weighed(self, sagas: Sequence[UUID], *, epoch: int, dead: Iterable[int]) -> None:
        look = partial(self._look_at_some, epoch=epoch, dead=dead)
        for some in portions(sagas, await self._store.recovery.weigh(sagas), LOOK_BYTES_MAX):
            await self._in_halves(some, epoch, look)

    async def _in_halves(self, sagas: Sequence[UUID], epoch: int, look: Callable[[Sequence[UUID]], Awaitable[None]]) -> None:
        """Look at sagas, and where the store is there but does not answer for so many, at half of them at a time: a statement
        over them takes too long for it, or is too large. One that cannot be read alone is put off.

        Raises:
            StoreUnavailableError: the store is away.
        """
        try:
            await look(sagas)
        except StoreUnavailableError as error:
            if len(sagas) == 1:
                await self._put_off(sagas[0], epoch, error)
                return
            await self.may_judge(epoch)  # raises where the store is away; it may have been, and then leases prove nothing
            middle = len(sagas) // 2
            for half in (sagas[:middle], sagas[middle:]):
                await self._in_halves(half, epoch, look)

    async def _look_at_some(self, sagas: Sequence[UUID], *, epoch: int, dead: Iterable[int]) -> None:
        tails = await self._store.log.read([Known(saga) for saga in sagas])
        leases = {lease.key: lease for lease in await self._store.recovery.leases(sagas)}
        now = await self._store.terms.database_time()
        self._clock.observe(now)
        may_judge = self._clock.monotonic() >= self._judge_from
        look = Look(now, epoch, leases, frozenset(dead), may_judge, self._lease_seconds)
        heads = [tail.head for tail in tails]
        next_looks = await asyncio.gather(*(self._look_at_one(saga, tail, look) for saga, tail in zip(sagas, tails, strict=True)))
        again = [
            (Known(head.saga_id, head.seq, head.tag), next_look)
            for head, next_look in zip(heads, next_looks, strict=True)
            if head is not None and next_look is not None
        ]
        await self._store.recovery.postpone(again, epoch=epoch)
        self._unread.difference_update(sagas)

    async def _put_off(self, saga: UUID, epoch: int, error: StoreUnavailableError) -> None:
        """Put off one saga that cannot be read, perhaps for its size, so that it does not stop the others. Once, a connection may
        have broken.
        """
        now = await self._store.terms.database_time()  # raises where the store is away
        if saga not in self._unread:
            self._unread.add(saga)
            return
        self._unread.discard(saga)
        head = await self._store.sagas.head(saga)
        logger.error("saga %s cannot be read and is left alone for a while: %s", saga, error, extra={"saga_id": str(saga)})
        if head is not None and head.wake_at is not None:
            await self._store.recovery.postpone([(Known(saga, head.seq, head.tag), now + QUARANTINE_SECONDS)], epoch=epoch)

    async def _look_at_one(self, saga: UUID, tail: Tail, look: Look) -> float | None:
        """Repair one saga. Return when to look again; None if an append has set that, or if nothing can happen to it."""
        if tail.head is None or tail.head.wake_at is None:
            return None
        try:
            plan = await self._node.definitions.plan(tail.head.saga, tail.head.version)
            view = log.brought_up(plan, None, saga, tail)
            return None if view is None else await self._repair(plan, view, look)
        except (FencedError, StoreUnavailableError):
            raise
        except Exception as error:  # noqa: BLE001  (a bug of ours in one saga must not stop the others)
            about = error if isinstance(error, GoConductorError) else f"{type(error).__name__}: {error}"
            logger.error(  # noqa: TRY400
                "saga %s cannot be swept by this version and is left alone for a while: %s",
                saga,
                about,
                extra={"saga_id": str(saga)},
            )
            return look.now + QUARANTINE_SECONDS

    async def _repair(self, plan: Plan, view: View, look: Look) -> float | None:
        """Put one saga right. When to look again; None if an append has set that."""
        if view.state.phase.done:
            return self._tell_end(plan, view, look)
        repairs = triage(view.state, look, plan if plan.starts_sagas else None)
        for lease in repairs.free:
            await self._store.recovery.free([lease], epoch=look.epoch)
        resend: list[Work] = []
        next_looks: list[float] = []
        for work in repairs.unheld:
            key = key_of(view.state.saga_id, work)
            self.resent.saw(key, plan.owners_of[work.direction][work.step])
            due_at = self._resending.due_at(key, look.now, at_once=bool(look.dead))
            if due_at <= look.now:
                resend.append(work)
            next_looks.append(max(due_at, look.now + FIRST_SECONDS))
        for work in repairs.children:
            see_to = partial(self._node.children.see_to, plan, view, work, again=True)
            key = key_of(view.state.saga_id, work)
            if view.state.paused_with:  # they were asked to pause, perhaps after a day, so the looks begin anew
                key = LeaseKey(key.saga_id, key.step, key.direction, -view.seq)
            next_looks.append(self._ever_more_seldom(see_to, key, look, CHILD_LOOK_SECONDS_MAX, at_once=bool(look.dead)))
        if view.state.paused_with is PausedWith.PARENT:
            see_to = partial(self._node.children.look_up, view)
            key = LeaseKey(view.state.saga_id, "", Direction.ACTION)
            next_looks.append(self._ever_more_seldom(see_to, key, look, PAUSED_LOOK_SECONDS_MAX, at_once=bool(look.dead)))
        if repairs.locks:
            see_to = partial(self._node.locks.see_to, plan, view)
            key = LeaseKey(view.state.saga_id, "", Direction.ACTION)
            next_looks.append(self._ever_more_seldom(see_to, key, look, LOCK_LOOK_SECONDS_MAX, at_once=False))
        # side by side, so that a thousand timers, or steps that a process had in hand, of one saga become a few appends
        appended = await asyncio.gather(*(self._append(plan, view, event, look.epoch) for event in repairs.due))
        declared = await asyncio.gather(*(self._declare_unknown(plan, view, work, lease, look) for work, lease in repairs.lost))
        if resend:
            self._node.send(plan, view, resend)
            self._node.counts["sweep_resent"] += len(resend)
        if any(appended) or any(declared) or repairs.next_look is None:
            return None
        return min([repairs.next_look, *next_looks])

    def _tell_end(self, plan: Plan, view: View, look: Look) -> float:
        """Have the end of a saga told to the one whose step has started it: whoever was to do it may be gone.

        One that is held looks at that one as well, which may have ended.
        """
        seconds_max = SECONDS_MAX if view.state.phase.ended else CHILD_LOOK_SECONDS_MAX
        tell = partial(self._node.children.has_ended, plan, view)
        key = LeaseKey(view.state.saga_id, "", Direction.ACTION)
        return self._ever_more_seldom(tell, key, look, seconds_max, at_once=bool(look.dead))

    def _ever_more_seldom(
        self, see_to: Callable[[], None], key: LeaseKey, look: Look, seconds_max: float, *, at_once: bool
    ) -> float:
        """Have something seen to again, if that is due, and return when to look next.

        Args:
            see_to: begins it.
            key: what it is about.
            look: what was found.
            seconds_max: greatest time between two looks.
            at_once: whether it is due because a process has died.
        """
        due_at = partial(self._resending.due_at, key, look.now, seconds_max=seconds_max)
        if due_at(at_once=at_once) <= look.now:
            see_to()
        return max(due_at(at_once=False), look.now + FIRST_SECONDS)

    async def _declare_unknown(self, plan: Plan, view: View, work: Work, lease: Lease | None, look: Look) -> bool:
        """Take the lease, then append. Where it cannot be had, somebody is at it after all."""
        died = lease is not None and lease.instance in look.dead
        key = key_of(view.state.saga_id, work)
        ours = Lease(key=key, instance=self._node.instance.serial, token=random_number())
        request = Acquire(lease=ours, lease_seconds=self._lease_seconds, known=view.known)
        acquired = await self._acquires.ask(request)
        if not acquired.granted:
            return False
        reason = "its instance died" if died else "its lease ran out" if lease is not None else "nobody holds a lease on it"
        unknown = OutcomeUnknown(work.step, work.attempt, work.round, direction=key.direction, reason=reason)
        self._node.counts["sweep_unknown"] += 1
        try:
            appended = await self._append(plan, view, unknown, look.epoch, ours)
            if not appended:  # the event was superseded
                await self._store.leases.release([ours], told=True)
        except BaseException:  # our term is over, or we were stopped: it ends, and its row remembers
            self._node.orphans.add([ours])
            raise
        return appended

    def _unclaimed(self, request: Acquire, acquired: Acquired) -> None:
        """Free the lease of a look that was stopped meanwhile."""
        if acquired.granted:
            self._node.orphans.add([request.lease])

    async def _append(self, plan: Plan, view: View, event: Event, epoch: int, lease: Lease | None = None) -> bool:
        """Append under our epoch. Return False if the saga had moved on, so that the event is superseded."""
        submission = Submission(view.state.saga_id, plan, event, view=view, lease=lease, epoch=epoch)
        return await self._node.submit(submission)
