"""What the log in PostgreSQL holds: answers of conditions, and what stands there of an output that the database refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from goconductor import CompensatedError, Conductor, Participant, Saga, Settings
from goconductor.app import migrate

pytestmark = pytest.mark.postgres

UNWILLING = """
    CREATE FUNCTION goconductor.no_seven() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.event = 'ActionSucceeded' AND NEW.data::text LIKE '%"lucky seven"%' THEN RAISE EXCEPTION 'no seven here'; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER no_seven BEFORE INSERT ON goconductor.saga_log FOR EACH ROW EXECUTE FUNCTION goconductor.no_seven();
"""


class Shop:
    def __init__(self, url: str) -> None:
        self.url = url
        self.participant = Participant("shop")
        self.ran: list[str] = []

        @self.participant.step
        async def pack() -> None:
            self.ran.append("pack")

        @self.participant.step
        async def draw() -> str:
            self.ran.append("draw")
            return "lucky seven"

        @draw.compensation
        async def lay_back() -> None:
            self.ran.append("lay back")

        self.pack, self.draw = pack, draw

    async def log(self, saga_id: Any) -> list[tuple[str, Any]]:
        connection = await asyncpg.connect(self.url)
        try:
            rows = await connection.fetch(
                "SELECT event, data::text AS data FROM goconductor.saga_log WHERE saga_id = $1 ORDER BY seq", saga_id
            )
        finally:
            await connection.close()
        return [(row["event"], json.loads(row["data"])) for row in rows]


@pytest.fixture
async def shop(postgres_url: str) -> Shop:
    shop = Shop(postgres_url)
    await migrate(Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url}))
    return shop


@pytest.fixture
async def conductor(shop: Shop) -> AsyncIterator[Conductor]:
    async with shop.participant.running(Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": shop.url})) as conductor:
        yield conductor


async def test_answers_stand_in_the_log_with_the_event_that_asked(shop: Shop, conductor: Conductor) -> None:
    saga: Saga[Any] = Saga("answers")
    begun = saga.step(shop.pack, id="first", when="input.cents > 3")
    gift = saga.step(shop.pack, id="gift", after=[begun], when="input.cents > 1000")
    saga.step(shop.pack, id="ship", after=[gift])
    handle = await conductor.start(saga, {"cents": 7})
    await handle.result(timeout_seconds=300)
    log = await shop.log(handle.saga_id)
    assert [(event, data.get("answers")) for event, data in log] == [
        ("SagaStarted", {"first": True}),
        ("ActionSucceeded", {"gift": False}),
        ("ActionSucceeded", None),
    ]
    connection = await asyncpg.connect(shop.url)
    async with connection.transaction():
        other = await conductor.start(saga, {"cents": 2}, transaction=connection)
    await connection.close()
    await other.result(timeout_seconds=300)
    assert [data.get("answers") for _, data in await shop.log(other.saga_id)] == [{"first": False, "gift": False}, None]


async def test_an_output_that_a_trigger_refuses_is_no_reason_to_run_again(shop: Shop, conductor: Conductor) -> None:
    connection = await asyncpg.connect(shop.url)
    await connection.execute(UNWILLING)
    await connection.close()
    saga: Saga[Any] = Saga("unlucky")
    saga.step(shop.draw)
    handle = await conductor.start(saga, None)
    with pytest.raises(CompensatedError, match="no seven here"):
        await handle.result(timeout_seconds=300)
    assert (await handle.view()).status == "compensated"
    assert shop.ran == ["draw", "lay back"]
