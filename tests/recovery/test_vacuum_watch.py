"""F33: a transaction that pins the database is told of, with what to do, before anybody has to look for it."""

from __future__ import annotations

import asyncio

import pytest

from goconductor.errors import StoreUnavailableError
from goconductor.ports.health import LongTransaction, StoreHealth
from goconductor.recovery.leadership import LeadTerm
from goconductor.recovery.vacuum_watch import INTERVAL_SECONDS, VacuumWatch
from goconductor.testing.world import World
from goconductor.testing.world.signalling import WorldStore

REPORT = LongTransaction(pid=4711, age_seconds=400.0, state="idle in transaction", application="report", user="bi")


class Pinned(WorldStore):
    """A store in whose database somebody has a transaction open."""

    trouble = ""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock)
        self.open_since = world.clock.now()
        self.away = False

    async def examine(self, *, older_than_seconds: float) -> StoreHealth:
        if self.away:
            raise StoreUnavailableError("away")
        now = self.data.now()
        report = LongTransaction(pid=4711, age_seconds=now - self.open_since, application="report", user="bi")
        old = [report] if report.age_seconds >= older_than_seconds else []
        return StoreHealth(
            where="", version=170002, revision="", revision_needed="", now=now, asked_at=now, connections=1, connections_max=9,
            transactions=old,
        )  # fmt: skip


async def test_the_leader_tells_of_it_once_and_again_when_it_is_twice_as_old(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    store = Pinned(world)
    node = await world.node(store=store)
    term = await store.terms.raise_epoch("me", 1e9)
    assert term is not None
    watching = asyncio.create_task(VacuumWatch(node).watch(LeadTerm(term, world.clock, 1e12)))
    await world.clock.advance(4 * INTERVAL_SECONDS)
    assert caplog.messages == []
    store.away = True
    await world.clock.advance(INTERVAL_SECONDS)
    store.away = False
    await world.clock.advance(2 * INTERVAL_SECONDS)
    [message] = caplog.messages
    assert "'report' (user 'bi', pid 4711) has been open for" in message
    assert "SELECT pg_terminate_backend(4711)" in message
    await world.clock.advance(9 * INTERVAL_SECONDS)
    assert len(caplog.messages) == 2
    watching.cancel()


async def test_what_pins_nothing_is_not_told_and_what_ended_is_forgotten(world: World, caplog: pytest.LogCaptureFixture) -> None:
    watch = VacuumWatch(await world.node())
    watch.log([LongTransaction(pid=1, age_seconds=9_000.0, pins=False)])
    assert caplog.messages == []
    watch.log([REPORT])
    watch.log([])
    watch.log([REPORT])
    watch.log([LongTransaction(pid=0, age_seconds=500.0, state="prepared", user="bi", prepared="tx-1")])
    assert len(caplog.messages) == 3
    assert "ROLLBACK PREPARED 'tx-1'" in caplog.messages[-1]


async def test_a_store_that_cannot_be_examined_is_not_watched(world: World) -> None:
    node = await world.node()
    term = await world.store.terms.raise_epoch("me", 1e9)
    assert term is not None
    await VacuumWatch(node).watch(LeadTerm(term, world.clock, 1e12))
