"""The sweep reads sagas by their bytes, and one that cannot be read for its size never stops the others."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from goconductor import Saga
from goconductor.errors import StoreUnavailableError
from goconductor.ports.portions import portions
from goconductor.ports.store import Known, Tail
from goconductor.recovery import sweep
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.contracts.store import material
from goconductor.testing.contracts.store.material import begin, event
from goconductor.testing.world import World

IDS = [UUID(int=number) for number in range(6)]


@pytest.mark.parametrize(
    ("weights", "lengths"),
    [([1, 1, 1, 1, 1, 1], [6]), ([5, 5, 5, 5, 5, 5], [2, 2, 2]), ([99, 1, 1, 99, 99, 1], [1, 2, 1, 1, 1]), ([10] * 6, [1] * 6)],
)
def test_sagas_are_parted_by_their_bytes_in_their_order(weights: list[int], lengths: list[int]) -> None:
    found = list(portions(IDS, weights, 10))
    assert [len(each) for each in found] == lengths
    assert [saga for each in found for saga in each] == IDS


class Reads:
    """What a store was asked to read, in bytes; some sagas cannot be read."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.unreadable: set[UUID] = set()
        self.count_max: int | None = None
        self._read = world.store.log.read
        monkeypatch.setattr(world.store.log, "read", self.read)

    async def read(self, known: Sequence[Known]) -> list[Tail]:
        too_many = self.count_max is not None and len(known) > self.count_max
        if too_many or any(one.saga_id in self.unreadable for one in known):
            raise StoreUnavailableError("canceling statement due to statement timeout")
        tails = await self._read(known)
        self.sizes.append(sum(len(entry.data) for tail in tails for entry in tail.entries))
        return tails


def waiting() -> Saga[Any]:
    saga: Saga[Any] = Saga("one")
    saga.step("shop.nobody")
    return saga


async def test_large_sagas_that_are_due_are_read_a_few_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "LOOK_BYTES_MAX", 250_000)
    client = await world.node()
    for size in [100_000] * 12 + [400_000] + [10] * 30:
        await world.start(waiting(), "x" * size, node=client)
    await world.sweep()
    await world.clock.advance(30)
    reads = Reads(world, monkeypatch)
    before = client.counts["sweep_resent"] + sum(node.counts["sweep_resent"] for node in world.nodes)
    await world.sweep()
    assert sum(node.counts["sweep_resent"] for node in world.nodes) - before == 43
    assert sum(reads.sizes) > 1_600_000
    assert sorted(reads.sizes)[-2] < 250_000 < max(reads.sizes) < 401_000


async def test_a_saga_that_cannot_be_read_is_put_off_and_the_others_are_swept(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sweep, "LOOK_BYTES_MAX", 50_000)
    client = await world.node()
    huge = await world.start(waiting(), "x" * 100_000, node=client)
    small = [await world.start(waiting(), "x", node=client) for _ in range(5)]
    await world.sweep()
    await world.clock.advance(30)
    reads = Reads(world, monkeypatch)
    reads.unreadable.add(huge)
    caplog.set_level(logging.ERROR, "goconductor.recovery")
    await world.sweep()
    assert caplog.text == ""  # once may be a connection that broke: it is still due
    assert [head.saga_id for head in await world.store.recovery.due(10)] == [huge]
    await world.sweep()
    assert f"saga {huge} cannot be read and is left alone for a while: canceling statement" in caplog.text
    assert sum(node.counts["sweep_resent"] for node in world.nodes) == len(small)
    assert [head.saga_id for head in await world.store.recovery.due(10)] == []
    head = await world.store.sagas.head(huge)
    assert head is not None
    assert head.wake_at is not None
    assert head.wake_at >= world.clock.now() + 50
    reads.unreadable.clear()
    await world.live(100)
    assert sum(node.counts["sweep_resent"] for node in world.nodes) > len(small)


async def test_what_the_store_does_not_read_at_once_is_read_in_halves(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = await world.node()
    sagas = [await world.start(waiting(), "x", node=client) for _ in range(11)]
    await world.sweep()
    await world.clock.advance(30)
    reads = Reads(world, monkeypatch)
    reads.count_max = 2
    caplog.set_level(logging.WARNING, "goconductor.recovery")
    await world.sweep()
    assert sum(node.counts["sweep_resent"] for node in world.nodes) == len(sagas)
    assert (await world.store.recovery.due(20), caplog.text) == ([], "")


async def test_a_store_that_is_away_is_asked_no_more_for_halves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await world.node()
    for _ in range(8):
        await world.start(waiting(), "x", node=client)
    await world.sweep()
    await world.clock.advance(30)
    reads, asked = Reads(world, monkeypatch), list[int]()

    async def read(known: Sequence[Known]) -> list[Tail]:
        asked.append(len(known))
        monkeypatch.setattr(world.store.recovery, "leases_truncated", away)
        raise StoreUnavailableError("the server closed the connection")

    async def away() -> bool:
        raise StoreUnavailableError("connection refused")

    monkeypatch.setattr(world.store.log, "read", read)
    with pytest.raises(StoreUnavailableError, match="connection refused"):
        await world.sweep()
    assert (asked, reads.sizes) == ([8], [])


@pytest.fixture
async def slow(postgres_url: str) -> AsyncIterator[PostgresStore]:
    """A real database in which each row of the log takes a while to read, and a statement may take only that of a few."""
    await migrate(postgres_url)
    store = PostgresStore(postgres_url, hot_timeout_seconds=2.0)
    await store.open()
    yield store
    await store.close()


async def slow_down(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("""
        ALTER TABLE goconductor.saga_log RENAME TO all_events;
        CREATE VIEW goconductor.saga_log AS SELECT * FROM goconductor.all_events WHERE pg_sleep(0.3) IS NOT NULL
    """)
    await connection.close()


@pytest.mark.postgres
async def test_what_takes_too_long_to_read_at_once_is_read_in_halves(slow: PostgresStore, postgres_url: str) -> None:
    sagas = [await begin(slow) for _ in range(6)]
    whole = material.Saga()
    await slow.starts.start([whole.start(entries=[event("SagaStarted"), *(event(data=b"%d" % number) for number in range(7))])])
    expected = [await slow.sagas.history(saga.saga_id) for saga in (*sagas, whole)]
    await slow_down(postgres_url)
    tails = await slow.log.read([Known(saga.saga_id) for saga in (*sagas, whole)])
    assert [tail.entries for tail in tails] == expected
    assert [len(tail.entries) for tail in tails] == [1] * 6 + [8]
