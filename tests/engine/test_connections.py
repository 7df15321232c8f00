"""How many connections a participant holds is what the documentation says."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import asyncpg
import pytest

from goconductor import Participant, Saga, Settings
from goconductor.app import migrate
from goconductor.postgres import pool
from tests.docs.page import DOCS

ROW = re.compile(r"\| participant, bus on PostgreSQL \| (\d+) \| (\d+) \|")
COUNT = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
SAGAS = 300


@pytest.mark.postgres
async def test_a_participant_holds_no_more_connections_than_its_page_says(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = ROW.search((DOCS / "how-to" / "postgresql-failover.md").read_text("utf-8"))
    assert stated is not None
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    shop = Participant("shop")

    @shop.step
    async def pack() -> str:
        return "packed"

    saga: Saga[Any] = Saga("order")
    saga.step(pack)
    onlooker = await asyncpg.connect(postgres_url)
    monkeypatch.setattr(pool, "PATIENCE_SECONDS", 300.0)  # the delays of a busy machine are no burst of work
    async with shop.running(settings) as conductor:
        async with asyncio.timeout(300):  # opening the bus looks for a pooler, and drops what is old, over sessions that end
            while await onlooker.fetchval(COUNT) > int(stated[1]):
                pass
        monkeypatch.undo()
        handles = await asyncio.gather(*(conductor.start(saga, None) for _ in range(SAGAS)))
        await asyncio.gather(*(handle.result(timeout_seconds=300) for handle in handles))
        worked = await onlooker.fetchval(COUNT)
    await onlooker.close()
    assert int(stated[1]) == 5
    assert worked <= int(stated[2])
