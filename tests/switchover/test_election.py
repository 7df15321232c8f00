"""The election is changed for another: the leader stops, then resigns, and the next one is elected in the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest

from goconductor.control.actor import Actor
from goconductor.control.installation import changes
from goconductor.control.models import ChangeDetail
from goconductor.errors import ConfigurationError, ElectionError
from goconductor.ports.store import Term, Terms
from goconductor.ports.store.leading.choices import ELECTION
from goconductor.recovery.leadership import Leadership, LeadTerm
from goconductor.stores.memory import MemoryStore
from goconductor.switchover.election import SwitchableElection
from goconductor.switchover.follower import Follower
from goconductor.testing.clock import ManualClock

TERM_SECONDS = 9.0


@dataclass
class Lock:
    """What the candidates of one election race for."""

    holder: str | None = None
    away: bool = False
    opened: set[str] = field(default_factory=set)


class LockElection:
    """An election by a lock in memory."""

    def __init__(self, terms: Terms, *, lock: Lock, candidate: str) -> None:
        self._terms, self._lock, self._me = terms, lock, candidate

    async def open(self) -> None:
        if self._lock.away:
            raise ElectionError("nobody answers at lock:2379")
        self._lock.opened.add(self._me)

    async def close(self) -> None:
        self._lock.opened.discard(self._me)

    async def campaign(self, candidate: str, term_seconds: float) -> Term | None:
        if self._lock.holder not in {None, candidate}:
            return None
        term = await self._terms.raise_epoch(candidate, term_seconds)
        self._lock.holder = candidate if term is not None else None
        return term

    async def renew(self, term: Term, term_seconds: float) -> Term | None:
        return await self._terms.renew(term, term_seconds)

    async def resign(self, term: Term) -> None:
        if self._lock.holder == term.holder:
            self._lock.holder = None
        await self._terms.resign(term)


class Installation:
    """Candidates on one store, and two elections."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.locks = {"old": Lock(), "new": Lock()}
        self.told: list[str] = []
        self.stopping = asyncio.Event()
        self.stopping.set()
        self._running: list[asyncio.Task[None]] = []
        self._elections: list[SwitchableElection] = []

    async def candidate(
        self, name: str, *, names: Sequence[str] = ("old", "new"), unfit: Callable[[], bool] = lambda: False
    ) -> Leadership:
        serial = (await self.store.instances.register("service", name, {})).serial
        makes = {each: partial(LockElection, lock=self.locks[each], candidate=name) for each in names}
        follower = Follower(ELECTION, names, choices=self.store.choices, instance=lambda: serial, clock=self.clock, strict=True)
        election = SwitchableElection(makes, terms=self.store.terms, follower=follower, unfit=unfit)

        async def lead(term: LeadTerm) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                self.told.append(f"{name} stops its work")
                await self.stopping.wait()

        def changed(term: LeadTerm | None) -> None:
            self.told.append(f"{name} stepped down" if term is None else f"{name} leads in {term.term.election}")

        leadership = Leadership(
            election,
            candidate=name,
            lead=election.while_chosen(lead),
            clock=self.clock,
            term_seconds=TERM_SECONDS,
            on_change=changed,
        )
        self._elections.append(election)
        await leadership.open()
        self._running.append(asyncio.create_task(leadership.run()))
        await self.clock.advance(0)
        return leadership

    async def close(self) -> None:
        self.stopping.set()
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for election in self._elections:
            await election.close()

    async def ask(self, to: str) -> ChangeDetail:
        return await changes.change(Actor("ann"), self.store, ELECTION, to=to, named=["old", "new"])

    async def until_done(self, to: str) -> ChangeDetail:
        for _ in range(60):
            found = await self.ask(to)
            if found.done:
                return found
            await self.clock.advance(0.5)
        raise AssertionError(found)


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    made = Installation()
    yield made
    await made.close()


async def test_the_leader_stops_its_work_then_resigns_and_the_next_leads_in_the_other_election(
    installation: Installation,
) -> None:
    await installation.candidate("anna")
    await installation.candidate("bert")
    found = await installation.until_done("new")
    assert (found.chosen, found.phase) == ("new", "settled")
    assert installation.told[:3] == ["anna leads in old", "anna stops its work", "anna stepped down"]
    assert [told for told in installation.told if "leads" in told][1].endswith("leads in new")
    assert (installation.locks["old"].holder, installation.locks["old"].opened) == (None, set())
    await installation.until_done("old")
    assert [told.split()[-1] for told in installation.told if "leads" in told] == ["old", "new", "old"]


async def test_a_leader_that_nobody_reads_any_more_steps_down_and_does_not_come_back(installation: Installation) -> None:
    left_behind = asyncio.Event()
    await installation.candidate("anna", unfit=left_behind.is_set)
    await installation.candidate("bert")
    left_behind.set()
    await installation.clock.advance(3 * TERM_SECONDS)
    assert installation.told == ["anna leads in old", "anna stops its work", "anna stepped down", "bert leads in old"]
    left_behind.clear()
    await installation.clock.advance(3 * TERM_SECONDS)
    assert installation.told[4:] == []


async def test_nobody_leads_before_the_old_leader_has_stopped(installation: Installation) -> None:
    installation.stopping.clear()
    await installation.candidate("anna")
    await installation.candidate("bert")
    await installation.ask("new")
    await installation.clock.advance(1.5)
    assert (await installation.ask("new")).phase == "draining"
    await installation.clock.advance(2)
    assert installation.told == ["anna leads in old", "anna stops its work"]
    installation.stopping.set()
    await installation.clock.advance(2)
    assert installation.told[2] == "anna stepped down"
    assert installation.told[3].endswith("leads in new")


async def test_nobody_is_chosen_whom_somebody_cannot_reach(installation: Installation) -> None:
    installation.locks["new"].away = True
    await installation.candidate("anna")
    await installation.ask("new")
    await installation.clock.advance(5)
    found = await installation.ask("new")
    assert (found.phase, found.chosen) == ("joining", "old")
    assert found.waits_for == ["service 1 (anna): 'new': nobody answers at lock:2379"]
    assert installation.told == ["anna leads in old"]
    assert (await installation.until_done("old")).chosen == "old"
    assert installation.told == ["anna leads in old"]


async def test_who_comes_with_old_settings_cannot_be_a_candidate(installation: Installation) -> None:
    await installation.candidate("anna")
    await installation.until_done("new")
    with pytest.raises(ConfigurationError, match=r"add it to election\.others"):
        await installation.candidate("bert", names=["old"])
    term = await installation.store.terms.current()
    assert term is not None
    assert (term.holder, term.election) == ("anna", "new")
