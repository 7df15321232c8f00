"""The election is changed from PostgreSQL to etcd, to ZooKeeper and back, under candidates that write all the time."""

from __future__ import annotations

import asyncio
import secrets
import signal
from pathlib import Path

import pytest

from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.installation import changes
from goconductor.control.models import ChangeDetail
from goconductor.ports.store.leading.choices import ELECTION
from tests.contracts.candidate import LATE_WRITES
from tests.contracts.electorate import Electorate, Voter, electorate

pytestmark = [pytest.mark.postgres, pytest.mark.etcd, pytest.mark.zookeeper, pytest.mark.slow]


async def ask(voters: Electorate, to: str) -> ChangeDetail:
    return await changes.change(Actor("ann"), voters.store, ELECTION, to=to, named=["postgres"])


async def change(voters: Electorate, to: str, *, until: str = "") -> None:
    """As the command does; returns when it is done, or in that phase."""
    async with asyncio.timeout(300):
        while True:
            found = await ask(voters, to)
            if found.done or found.phase == until:
                return
            await asyncio.sleep(0.05)


async def joined(voters: Electorate) -> None:
    """All are ready for the other election, and it is not chosen yet."""
    async with asyncio.timeout(300):
        while True:
            if not (await changes.present(ANYBODY, voters.store, ELECTION, named=["postgres"])).waits_for:
                return
            await asyncio.sleep(0.05)


async def leader_in(voters: Electorate, election: str, epoch: int) -> tuple[Voter, int]:
    """Who leads next after that epoch by that election, and under which."""
    while (term := await voters.leader_after(epoch)).election != election:
        epoch = term.epoch
    leader = next(voter for voter in voters.voters if voter.name == term.holder)
    await leader.says("leads", above=epoch)
    await voters.writes_go_on(term.epoch)
    return leader, term.epoch


async def test_there_are_never_two_leaders_while_the_election_is_changed(
    postgres_url: str, etcd_endpoint: str, zookeeper_host: str, tmp_path: Path
) -> None:
    group = f"changing-{secrets.token_hex(4)}"
    options = {
        "postgres": {"group": group},
        "etcd": {"endpoints": etcd_endpoint, "group": group},
        "zookeeper": {"hosts": zookeeper_host, "group": group},
    }
    async with electorate(postgres_url, "several", tmp_path) as voters:
        for name in ("anna", "bert", "carl"):
            await voters.add(name, options)
        leader, epoch = await leader_in(voters, "postgres", 0)

        await change(voters, "etcd")
        leader, epoch = await leader_in(voters, "etcd", epoch)

        await ask(voters, "zookeeper")
        await joined(voters)
        leader.pause()  # it cannot hear that it is to resign, and its term is waited for
        assert (await ask(voters, "zookeeper")).phase == "draining"
        successor, epoch = await leader_in(voters, "zookeeper", epoch)
        assert successor is not leader
        leader.send(signal.SIGUSR1)
        leader.send(signal.SIGCONT)
        late = await leader.says("late")
        assert late == {"accepted": 0, "refused": LATE_WRITES}
        await change(voters, "zookeeper")

        await change(voters, "postgres", until="draining")
        await successor.end()  # killed while it resigns, or before
        _, epoch = await leader_in(voters, "postgres", epoch)
        await change(voters, "postgres")
        await voters.writes_go_on(epoch)

        assert await voters.violations() == []
