"""How a process leads, and notices in time that it no longer does.

**Lease.** The leader's right is a *term*. It has a number, the epoch, and an end, both in the database. It is renewed every third
of its length and ends by itself otherwise (Gray & Cheriton 1989: a lock that can be taken away without an answer from its
holder). When the election knows that the leader's process is dead, a follower raises the epoch at once. When the leader is only
silent, the follower waits for the term's end, since silence has many causes and most of them pass.

**Trust window.** The leader cannot ask before everything it does, so it trusts itself for a while: until ``trusted_until``. That
moment is counted from *before* the renewal was sent, on a clock of this machine that goes on while it sleeps (CLOCK_BOOTTIME).
The database began to count later, when the renewal arrived, so by its own clock the term ends later too. The window is five
sixths of a term. The rest is for stopping, and for clocks whose seconds differ a little. Two clocks are never compared, only
lengths; a wall clock that jumps changes nothing. When trust ends, or the renewal is denied, the work is cancelled and the leader
*steps down* by itself, whether or not anybody follows. (The term is from River's leadership documentation; Joshi's *Patterns of
Distributed Systems* 2023, "Lease", has the same two clocks.)

**Fencing.** Neither is enough. A process may be stopped between looking at its trust and writing: a long garbage collection,
SIGSTOP, a virtual machine that is moved. Then two lead, each in good faith, and no clock and no lock service can prevent it: a
lock is evidence of the past, in etcd and ZooKeeper as well. So the *store* decides. A write of the leader without a guard of its
own names its epoch and takes the epoch's row FOR SHARE in the same statement. After a successor has raised the epoch, the old
leader's write is refused (:class:`FencedError`), however sure of itself that leader is. (Kleppmann, *Designing Data-Intensive
Applications* 2017, chapter 8: the fencing token. An EXISTS without the lock reads a snapshot, and lets an old epoch write.)

It follows that lock and lease are for liveness, and so that one sweeps and not ten. Trust makes a living leader stop early. Only
the fencing token makes a mistake of either harmless. And the sweep itself may be done twice: its appends are guarded by each
saga's head.

Not promised: that there is a leader at every moment, or that at most one process believes itself to be one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from goconductor.aio.backoff import doubled
from goconductor.aio.first_of import first_of
from goconductor.aio.reminders import Reminder
from goconductor.errors import ElectionError, FencedError, StoreError
from goconductor.ports.clock import Clock
from goconductor.ports.election import Election
from goconductor.ports.store import Term
from goconductor.redaction import logger_of

log = logger_of("goconductor.recovery")

TRUST = 5 / 6
"""Part of a term during which a leader trusts itself."""


class LeadTerm:
    """A term as its leader knows it, growing with each renewal."""

    def __init__(self, term: Term, clock: Clock, trusted_until: float) -> None:
        self.term = term
        self.trusted_until = trusted_until
        """The end of trust in seconds, by the machine's clock (:meth:`Clock.monotonic`)."""
        self._clock = clock

    @property
    def epoch(self) -> int:
        """The fencing token: pass it with every write that has no guard of its own."""
        return self.term.epoch

    @property
    def trusted(self) -> bool:
        """False when the leader may no longer believe itself; look before beginning something that cannot be fenced."""
        return self._clock.monotonic() < self.trusted_until


class Leadership:
    """Campaigns, leads while it may, steps down in time, campaigns again.

    Args:
        election: an open election, or one that :meth:`open` opens.
        candidate: this process's name in it.
        lead: the work of a leader, until it is cancelled. If it returns or raises, the leader resigns and campaigns again.
        clock: the machine's clock.
        term_seconds: duration of a term, and so of the wait for a silent leader.
        campaign_interval_seconds: seconds between two campaigns of a follower; doubled up to ``term_seconds`` while the election
            fails.
        on_change: called with the term when this process begins to lead, and with None when it has stopped.
    """

    def __init__(
        self,
        election: Election,
        *,
        candidate: str,
        lead: Callable[[LeadTerm], Awaitable[None]],
        clock: Clock,
        term_seconds: float = 10.0,
        campaign_interval_seconds: float = 0.5,
        on_change: Callable[[LeadTerm | None], None] | None = None,
    ) -> None:
        self._election = election
        self._candidate = candidate
        self._lead = lead
        self._clock = clock
        self._term_seconds = term_seconds
        self._campaign_interval_seconds = campaign_interval_seconds
        self._on_change = on_change
        self._current: LeadTerm | None = None
        self._opened = True

    async def open(self) -> None:
        """Open the election. Where it is away, this process does without the leader's part, and :meth:`run` goes on trying.

        Raises:
            ConfigurationError, PoolerError: the election cannot work with these settings; another try would not help.
        """
        self._opened = False
        try:
            await self._election.open()
        except ElectionError as error:
            log.warning("%s cannot take part in the election yet: %s", self._candidate, error)
        else:
            self._opened = True

    @property
    def current(self) -> LeadTerm | None:
        """The term that this process leads now, if it does."""
        return self._current

    async def run(self) -> None:
        """Campaign and lead for ever; cancel it to stop: a leader then resigns, so that a follower takes over at once."""
        failures, trouble = 0, Reminder(monotonic=self._clock.monotonic)
        while True:
            try:
                if not self._opened:
                    await self._election.open()
                    self._opened = True
                term = await self._campaign()
                failures = 0
                trouble.end()
                if term is not None:
                    await self._serve(term)
            except (ElectionError, StoreError) as error:
                failures += 1
                if trouble.is_due():
                    log.warning("%s cannot campaign: %s", self._candidate, error)
            except Exception:
                failures += 1
                if trouble.is_due():
                    log.exception("%s cannot campaign", self._candidate)
            longest_seconds = max(self._campaign_interval_seconds, self._term_seconds)
            await self._clock.sleep(doubled(self._campaign_interval_seconds, failures, seconds_max=longest_seconds))

    async def _campaign(self) -> LeadTerm | None:
        trusted_until = self._trust_from_now()
        term = await self._election.campaign(self._candidate, self._term_seconds)
        return None if term is None else LeadTerm(term, self._clock, trusted_until)

    def _trust_from_now(self) -> float:
        return self._clock.monotonic() + self._term_seconds * TRUST

    async def _serve(self, term: LeadTerm) -> None:
        """Lead until the work ends, the renewal is denied, or trust runs out: whichever is first."""
        log.info("%s leads, epoch %d", self._candidate, term.epoch)
        try:
            self._announce(term)
            reason = await first_of(self._work(term), self._keep(term), self._watch(term))
            log.warning("%s steps down from epoch %d: %s", self._candidate, term.epoch, reason)
        finally:
            self._announce(None)
            await self._resign(term)

    def _announce(self, term: LeadTerm | None) -> None:
        self._current = term
        if self._on_change is not None:
            self._on_change(term)

    async def _work(self, term: LeadTerm) -> str:
        try:
            await self._lead(term)
        except FencedError:
            return "another one leads with a higher epoch"
        except Exception:
            log.exception("the leader's work failed")
            return "its work failed"
        return "its work is done"

    async def _keep(self, term: LeadTerm) -> str:
        """Renew every third of a term, and sooner after a failure."""
        pause_seconds = self._term_seconds / 3
        while True:
            await self._clock.sleep(pause_seconds)
            trusted_until = self._trust_from_now()
            try:
                renewed = await self._election.renew(term.term, self._term_seconds)
            except (ElectionError, StoreError) as error:
                log.warning("%s could not renew epoch %d: %s", self._candidate, term.epoch, error)
                pause_seconds = min(self._campaign_interval_seconds, self._term_seconds / 12)
                continue
            if renewed is None:
                return "its term is lost"
            term.term, term.trusted_until = renewed, trusted_until
            pause_seconds = self._term_seconds / 3

    async def _watch(self, term: LeadTerm) -> str:
        while (left := term.trusted_until - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)
        return "its last renewal is too long ago"

    async def _resign(self, term: LeadTerm) -> None:
        """Harmless where the term is lost already; where the store cannot be reached the term ends by itself."""
        try:
            async with asyncio.timeout(self._term_seconds / 3):
                await self._election.resign(term.term)
        except (ElectionError, StoreError, TimeoutError) as error:
            why = str(error) or "no answer in time"
            log.warning("%s could not resign from epoch %d, which ends by itself: %s", self._candidate, term.epoch, why)
