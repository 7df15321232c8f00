"""What becomes of the rows: each saga once, whoever dies, and what cannot be started is kept and holds up nobody."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from goconductor import Conductor, OutboxUnavailableError, Saga, SagaNotFoundError, Settings, connect
from goconductor.control.doctor.sagas import of_outboxes
from goconductor.control.doors.conductor import engine
from goconductor.outbox import Outbox
from goconductor.saga.writing.builder import Saga as Written
from tests.outbox.conftest import Connection
from tests.outbox.service import order, shop_of

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parents[2]
LEFT = "SELECT count(*) FROM goconductor_starts"


async def found(conductor: Conductor, saga: Written[Any, Any] | str, key: str) -> Any:
    """A saga, once it has started."""
    while True:
        try:
            return await conductor.find(saga, key=key)
        except SagaNotFoundError:
            await asyncio.sleep(0.01)


async def emptied(connection: Connection, left: int = 0) -> None:
    while await connection.fetchval(LEFT) > left:  # noqa: ASYNC110  (it happens in the database)
        await asyncio.sleep(0.01)


async def test_sagas_start_soon_after_the_commit_each_once(settings: Settings, shop_url: str, shop_db: Connection) -> None:
    outbox = Outbox(shop_url, sagas=[order], poll_seconds=300.0)  # by notifications alone
    async with asyncio.timeout(300), shop_of(outbox).running(settings) as conductor:
        await emptied(shop_db)
        async with shop_db.transaction():
            await outbox.start(order, None, key="17", labels={"customer": "1"}, transaction=shop_db)
        handle = await found(conductor, order, "17")
        assert await handle.result(timeout_seconds=300) == {"sold": "sold"}
        assert len((await conductor.sagas(saga=order, labels={"customer": "1"})).sagas) == 1
        async with shop_db.transaction():
            for number in range(500):
                await outbox.start("order", None, key=f"many-{number}", transaction=shop_db)
            await outbox.start(order, None, key="17", transaction=shop_db)
        await emptied(shop_db)
        assert engine(conductor).counts["outbox_started"] == 502
        assert engine(conductor).counts["sagas_started"] == 501


async def test_what_cannot_be_started_is_kept_and_holds_up_nobody(
    settings: Settings, shop_url: str, shop_db: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(shop_url, sagas=[order], poll_seconds=0.05)
    schema = Saga("strict", input=int)
    schema.step("shop.sell", id="sold")
    async with asyncio.timeout(300), shop_of(outbox).running(settings) as conductor:
        await (await conductor.start(schema, 1)).result(timeout_seconds=300)
        await conductor.start(order, None, key="taken")
        async with shop_db.transaction():
            await outbox.start("strict", "one", key="unfit", transaction=shop_db)
            await outbox.start("nobody", None, key="unknown", transaction=shop_db)
            await outbox.start("order", {"other": 1}, key="taken", transaction=shop_db)
            await shop_db.execute("INSERT INTO goconductor_starts (saga, key, input, labels) VALUES ('order', 'a', '1', '[]')")
            await shop_db.execute("INSERT INTO goconductor_starts (saga, key, input) VALUES ('order', E'a\\nb', '1')")
            await outbox.start(order, None, key="good", transaction=shop_db)
        await (await found(conductor, order, "good")).result(timeout_seconds=300)
        await emptied(shop_db, 5)
        kept = {each.key: each for each in await outbox.kept()}
        assert {key: each.refused for key, each in kept.items()} == {
            "unfit": True,
            "unknown": False,
            "taken": True,
            "a": True,
            "a\nb": True,
        }
        assert "does not fit" in kept["unfit"].reason
        assert "register it" in kept["unknown"].reason
        store = engine(conductor).store
        while True:
            check = of_outboxes(await store.instances.registered(), await store.terms.database_time())
            if check.findings and "4 rows are refused and 1 wait" in check.findings[0].what:
                break
            await asyncio.sleep(0.05)
        nobody = Saga[Any]("nobody")
        nobody.step("shop.sell", id="sold")
        await (await conductor.start(nobody, None)).result(timeout_seconds=300)
        assert await outbox.retry(kept["unknown"].id) == 1
        await (await found(conductor, nobody, "unknown")).result(timeout_seconds=300)
        await shop_db.execute("UPDATE goconductor_starts SET key = 'fresh' WHERE key = 'taken'")
        assert await outbox.retry() == 4
        await found(conductor, order, "fresh")
        await emptied(shop_db, 3)
    assert shop_url.partition("@")[0] not in caplog.text


async def test_either_database_may_be_away(settings: Settings, shop_url: str, shop_db: Connection) -> None:
    outbox = Outbox(shop_url, sagas=[order], poll_seconds=0.05)
    await shop_db.execute("ALTER TABLE goconductor_starts RENAME TO elsewhere")
    async with asyncio.timeout(300), shop_of(outbox).running(settings) as conductor:
        store = engine(conductor).store
        while True:
            check = of_outboxes(await store.instances.registered(), await store.terms.database_time())
            if check.findings:
                break
            await asyncio.sleep(0.05)
        assert "create_table" in check.findings[0].remedy
        with pytest.raises(OutboxUnavailableError):
            await Outbox("postgresql://nobody:secret@127.0.0.1:1/shop").kept()
        await shop_db.execute("ALTER TABLE elsewhere RENAME TO goconductor_starts")
        async with shop_db.transaction():
            await outbox.start(order, None, key="17", transaction=shop_db)
        await found(conductor, order, "17")
        readers = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'goconductor outbox'"
        await shop_db.execute(f"{readers} AND datname = current_database()")
        async with shop_db.transaction():
            await outbox.start(order, None, key="18", transaction=shop_db)
        await found(conductor, order, "18")


async def test_processes_are_killed_and_no_start_is_lost_or_doubled(
    settings: Settings, postgres_url: str, shop_url: str, shop_db: Connection
) -> None:
    outbox, count, kills = Outbox(shop_url, sagas=[order]), 600, 4
    command = [sys.executable, "-m", "tests.outbox.service", postgres_url, shop_url]
    async with asyncio.timeout(600), connect(settings) as conductor:
        running = [await asyncio.create_subprocess_exec(*command, cwd=ROOT) for _ in range(2)]
        try:
            for number in range(count):
                async with shop_db.transaction():
                    await outbox.start(order, None, key=f"order-{number}", transaction=shop_db)
                if number % (count // kills) == count // kills - 1:
                    await emptied(shop_db, number)  # it reads
                    victim = running.pop(0)
                    victim.send_signal(signal.SIGKILL)
                    await victim.wait()
                    running.append(await asyncio.create_subprocess_exec(*command, cwd=ROOT))
            await emptied(shop_db)
            for number in range(count):
                await (await conductor.find(order, key=f"order-{number}")).result(timeout_seconds=300)
        finally:
            for each in running:
                each.send_signal(signal.SIGKILL)
                await each.wait()
        heads = await shop_log(postgres_url)
    assert heads == count


async def shop_log(url: str) -> int:
    """How many sagas there are."""
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM goconductor.sagas"))
    finally:
        await connection.close()
