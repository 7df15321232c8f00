"""The queues of webhooks on PostgreSQL, where a receiver was away for long."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.database.dial import Connection
from goconductor.stores.postgres.leading import webhooks
from goconductor.testing.contracts.store.leading.hooking import hook, queue

pytestmark = pytest.mark.postgres


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    await migrate(postgres_url, feed=True)
    opened = PostgresStore(postgres_url)
    await opened.open()
    yield opened
    await opened.close()


async def test_a_long_queue_is_deleted_in_parts(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "EMPTY_LIMIT", 2)
    row, parts = await hook(store), []
    await queue(store, row, *"abcde")
    emptied = store.webhooks._emptied

    async def counted(webhook_id: int, tag: int) -> int:
        parts.append(await emptied(webhook_id, tag))
        return parts[-1]

    monkeypatch.setattr(store.webhooks, "_emptied", counted)
    assert await store.webhooks.delete(row.webhook_id, tag=row.tag)
    assert parts == [2, 2, 1]
    assert await store.webhooks.get(row.namespace, row.name) is None


async def test_the_deliveries_of_one_are_found_without_those_of_the_others(store: PostgresStore, hand: Connection) -> None:
    async with hand.transaction():
        await hand.execute("SET LOCAL enable_seqscan = off")
        plan = await hand.fetch("EXPLAIN DELETE FROM goconductor.webhook_deliveries WHERE webhook_id = 1")
    assert "webhook_deliveries_due" in "\n".join(each[0] for each in plan)
