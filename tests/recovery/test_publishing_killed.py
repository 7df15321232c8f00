"""Events on a real PostgreSQL: the leader that publishes them is killed in the middle, and the next one goes on."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from goconductor.ports.store import Store
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.contracts.store.material import advance, begin
from tests.recovery.dying_publisher import publish

pytestmark = pytest.mark.postgres
EVENTS = 3


async def write(store: Store, sagas: int) -> None:
    for _ in range(sagas):
        saga = await begin(store)
        for _ in range(EVENTS - 1):
            await advance(store, saga)


async def test_a_leader_that_is_killed_in_the_middle_loses_nothing(postgres_url: str, tmp_path: Path) -> None:
    await migrate(postgres_url, feed=True)
    store, topic = PostgresStore(postgres_url), tmp_path / "topic"
    await store.open()
    await publish(postgres_url, topic)  # from here on
    await write(store, 4)
    for dies_after in (3, 5):
        command = (sys.executable, "-m", "tests.recovery.dying_publisher", postgres_url, str(topic), str(dies_after))
        killed = await asyncio.create_subprocess_exec(*command, cwd=Path(__file__).parents[2])
        assert await killed.wait() == -signal.SIGKILL
    await write(store, 1)
    await publish(postgres_url, topic)
    await store.close()
    told: dict[str, list[int]] = {}
    for line in topic.read_bytes().splitlines():
        event = msgspec.json.decode(line)
        told.setdefault(event["subject"], []).append(int(event["sequence"]))
    assert len(told) == 5
    assert [[*dict.fromkeys(seqs)] for seqs in told.values()] == [[*range(1, EVENTS + 1)]] * 5
    assert sum(map(len, told.values())) > 5 * EVENTS  # what was in hand came again
