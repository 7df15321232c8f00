"""What becomes of leadership when processes, servers and networks fail: the same cases for every election.

What is checked is what the store accepted, by its witness: never two writers at once, whatever they believed.
"""

from __future__ import annotations

import asyncio
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from goconductor.testing.faults import CuttableProxy
from tests.contracts.candidate import LATE_WRITES
from tests.contracts.electorate import Electorate, Voter, electorate
from tests.servers.child import Child

FAKETIME = "libfaketimeMT.so.1"
FLAP_SECONDS = 2.0


class ElectionProcessFaults(ABC):
    """Subclass it as ``TestMyElectionFaults``."""

    kind: str

    @pytest.fixture
    @abstractmethod
    def options(self) -> Mapping[str, Any]:
        """Of the election, straight to its server."""

    @pytest.fixture
    async def voters(self, postgres_url: str, tmp_path: Path) -> AsyncIterator[Electorate]:
        async with electorate(postgres_url, self.kind, tmp_path) as made:
            yield made

    async def two(self, voters: Electorate, first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[Voter, Voter, int]:
        """Anna leads, and Bert waits; with Anna's epoch."""
        anna = await voters.add("anna", first)
        epoch = int(await anna.says("leads"))
        bert = await voters.add("bert", second)
        return anna, bert, epoch

    async def test_a_holder_that_was_killed_is_followed(
        self, voters: Electorate, options: Mapping[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        anna, bert, epoch = await self.two(voters, options, options)
        killed_at = time.monotonic()
        await anna.end()
        new = await voters.leader_after(epoch, holder="bert")
        seconds = time.monotonic() - killed_at
        with capsys.disabled():
            print(  # noqa: T201 - the figure that the documentation quotes
                f"\n{self.kind}: {seconds:.2f} s without a leader after SIGKILL, terms of {voters.term_seconds:.0f} s"
            )
        await bert.says("leads", above=epoch)
        await voters.writes_go_on(new.epoch)
        assert await voters.violations() == []

    async def test_what_a_holder_writes_that_was_stopped_beyond_its_lease_is_refused_each_time(
        self, voters: Electorate, options: Mapping[str, Any]
    ) -> None:
        anna, _, epoch = await self.two(voters, options, options)
        anna.pause()
        anna.send(signal.SIGUSR1)
        new = await voters.leader_after(epoch, holder="bert")
        await voters.writes_go_on(new.epoch)
        anna.send(signal.SIGCONT)
        late = await anna.says("late")
        assert late["accepted"] == 0
        assert 0 < late["refused"] <= LATE_WRITES
        await anna.says("stopped", above=epoch - 1)
        await voters.writes_go_on(new.epoch)
        assert await voters.writers(new.epoch) == {"bert"}, "its late resignation unseated nobody"
        assert await voters.violations() == []

    async def test_a_clock_that_is_a_day_ahead_changes_nothing(self, voters: Electorate, options: Mapping[str, Any]) -> None:
        tomorrow = {"LD_PRELOAD": faketime(), "FAKETIME": "+1d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        ahead = await voters.add("from tomorrow", options, **tomorrow)
        assert await ahead.says("ready") > time.time() + 80_000
        epoch = int(await ahead.says("leads"))
        bert = await voters.add("bert", options)
        first = await voters.store.terms.current()
        assert first is not None
        assert first.ends_at - await voters.store.terms.database_time() <= voters.term_seconds
        await voters.writes_go_on(epoch)
        async with asyncio.timeout(300):
            while not await voters.prolonged("from tomorrow"):  # its renewals count as anybody's, in time or too late
                await bert.end()
                await voters.leader_after(epoch, holder="from tomorrow")
                bert = await voters.add("bert", options)
        await ahead.end()
        new = await voters.leader_after(epoch, holder="bert")
        await bert.says("leads", above=new.epoch - 1)
        again = await voters.add("from tomorrow", options, **tomorrow)
        await bert.end()
        assert int(await again.says("leads")) > new.epoch
        assert await voters.violations() == []


class ElectionServerFaults(ElectionProcessFaults):
    """For an election by a server that is not the store's."""

    @pytest.fixture
    @abstractmethod
    def server(self) -> Child:
        """A server of this test's own."""

    @abstractmethod
    def options_at(self, port: int) -> Mapping[str, Any]:
        """Of the election, by another port of loopback."""

    @abstractmethod
    def port(self, server: Child) -> int:
        """Where it listens."""

    @abstractmethod
    def forget(self, server: Child) -> None:
        """Remove its data."""

    @pytest.fixture
    def options(self, server: Child) -> Mapping[str, Any]:
        return self.options_at(self.port(server))

    @pytest.fixture
    async def cable(self, server: Child) -> AsyncIterator[CuttableProxy]:
        async with CuttableProxy("127.0.0.1", self.port(server)) as made:
            yield made

    @pytest.mark.parametrize("how", ["stopped", "killed"])
    async def test_a_server_that_is_restarted_is_found_again(
        self, voters: Electorate, server: Child, options: Mapping[str, Any], how: str
    ) -> None:
        _, _, epoch = await self.two(voters, options, options)
        await asyncio.to_thread(server.stop if how == "stopped" else server.kill)
        await asyncio.to_thread(server.start)
        term = await voters.leader_after(epoch - 1)
        await voters.writes_go_on(term.epoch)
        assert await voters.violations() == []

    async def test_a_server_that_stands_still_beyond_the_term_ends_it_and_is_found_again(
        self, voters: Electorate, server: Child, options: Mapping[str, Any]
    ) -> None:
        anna, _, epoch = await self.two(voters, options, options)
        server.pause()
        try:
            await anna.says("stopped", above=epoch - 1)
        finally:
            server.go_on()
        term = await voters.leader_after(epoch)
        await voters.writes_go_on(term.epoch)
        assert await voters.violations() == []

    async def test_a_server_that_lost_its_data_elects_again_with_higher_epochs(
        self, voters: Electorate, server: Child, options: Mapping[str, Any]
    ) -> None:
        anna, _, epoch = await self.two(voters, options, options)
        before = await voters.store.terms.last_evidence()
        await voters.store.terms.raise_epoch("nobody", 0.0, 10_000_000)  # as if there had been many elections
        await asyncio.to_thread(server.stop)
        self.forget(server)
        await asyncio.to_thread(server.start)
        term = await voters.leader_after(epoch + 1)
        assert before is not None
        assert before < 10_000_000
        after = await voters.store.terms.last_evidence()
        assert after is not None
        assert after > 10_000_000
        await voters.writes_go_on(term.epoch)
        await anna.says("stopped", above=epoch - 1)
        assert await voters.violations() == []

    async def test_a_holder_that_is_cut_off_is_followed_and_is_a_candidate_again_when_healed(
        self, voters: Electorate, options: Mapping[str, Any], cable: CuttableProxy
    ) -> None:
        anna, bert, epoch = await self.two(voters, self.options_at(cable.port), options)
        cable.hold()
        new = await voters.leader_after(epoch, holder="bert")
        await anna.says("stopped", above=epoch - 1)
        cable.heal()
        await bert.end()
        assert await anna.says("leads", above=new.epoch)
        assert await voters.violations() == []

    async def test_a_holder_whose_line_flaps_every_two_seconds_never_leads_beside_another(
        self, voters: Electorate, options: Mapping[str, Any], cable: CuttableProxy
    ) -> None:
        _, _, epoch = await self.two(voters, self.options_at(cable.port), options)
        begun = await voters.accepted(0)
        for silently in (True, False, True):
            if silently:
                cable.hold()
            else:
                cable.cut()
            await passed(FLAP_SECONDS)
            cable.heal()
            await passed(FLAP_SECONDS)
        term = await voters.leader_after(epoch - 1)
        await voters.writes_go_on(term.epoch)
        assert await voters.accepted(0) > begun
        assert await voters.violations() == []


async def passed(seconds: float) -> None:
    """A fault of a given length is what is tested: here time itself is waited for."""
    await asyncio.sleep(seconds)


def faketime() -> str:
    """The library that gives a process another clock."""
    found = sorted(Path("/usr/lib").glob(f"**/{FAKETIME}"))
    if not found:
        pytest.fail("this test needs libfaketime: apt-get install libfaketime", pytrace=False)
    return str(found[0])
