"""What becomes of the rows: each saga once, whoever dies, and what cannot be started is kept and holds up nobody."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from goconductor import Conductor, OutboxUnavailableError, Saga, SagaNotFoundError, Settings, StoreUnavailableError, connect
from goconductor.control.doctor.sagas import of_outboxes
from goconductor.control.doors.conductor import engine
from goconductor.outbox import Outbox
from goconductor.outbox.reading import Reader, Row, Standing, reading
from goconductor.saga.writing.builder import Saga as Written
from tests.outbox.conftest import Connection
from tests.outbox.service import order, shop_of
from tests.servers.fixtures.pooler import Pooler

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


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  (it is told by another task)
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


async def test_a_key_that_an_open_transaction_holds_is_its_row_s_own_trouble(
    settings: Settings, postgres_url: str, shop_url: str, shop_db: Connection
) -> None:
    outbox = Outbox(shop_url, sagas=[order], poll_seconds=0.05)
    async with asyncio.timeout(300), shop_of(outbox).running(settings) as conductor:
        log = await asyncpg.connect(postgres_url)
        async with log.transaction():
            await conductor.start(order, None, key="held", transaction=log)
            async with shop_db.transaction():
                await outbox.start(order, None, key="held", transaction=shop_db)
            while not (kept := await outbox.kept()):  # noqa: ASYNC110  (it happens in the database)
                await asyncio.sleep(0.05)
            assert [(each.key, each.refused) for each in kept] == [("held", False)]
            assert "is held by a transaction" in kept[0].reason
        await log.close()
        await outbox.retry()
        await emptied(shop_db)


async def test_a_reader_tells_the_lag_while_the_saga_log_is_away_and_outlives_whom_it_tells(
    shop_url: str, shop_db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goconductor.outbox.reading.LOOK_SECONDS", 0.0)
    outbox, told, is_away = Outbox(shop_url, poll_seconds=0.01), list[Standing](), True
    await shop_db.execute("ALTER TABLE goconductor_starts RENAME TO elsewhere")

    async def start(row: Row) -> None:
        if is_away:
            raise StoreUnavailableError("the saga log is away")

    async def tell(standing: Standing) -> None:
        told.append(standing)
        raise RuntimeError("nobody can be told")

    async with asyncio.timeout(60), reading([Reader(outbox, start, lambda *_: None, tell)]):
        await until(lambda: bool(told) and "create_table" in told[-1].trouble)
        await shop_db.execute("ALTER TABLE elsewhere RENAME TO goconductor_starts")
        async with shop_db.transaction():
            await outbox.start("order", None, key="17", transaction=shop_db)
        await until(lambda: told[-1].lag_seconds > 0.3 and "is away" in told[-1].trouble)
        is_away = False
        await emptied(shop_db)
        await until(lambda: not told[-1].trouble and not told[-1].lag_seconds)


async def test_what_is_refused_is_not_read_again_with_each_look(shop_url: str, shop_db: Connection) -> None:
    await shop_db.execute(
        "INSERT INTO goconductor_starts (saga, key, input, due_at, reason) "
        "SELECT 'order', g, '1', 'infinity', 'refused' FROM generate_series(1, 1000) AS g"
    )
    await shop_db.execute("ANALYZE goconductor_starts")
    async with shop_db.transaction():
        plan = await shop_db.fetch(f"EXPLAIN ANALYZE {Outbox(shop_url).statements.take}")
    text = "\n".join(line[0] for line in plan)
    assert "Index Cond: (due_at <= " in text
    assert "Removed by Filter" not in text


async def test_two_databases_with_a_table_of_one_name_are_told_apart(
    settings: Settings, postgres_url: str, shop_url: str, shop_db: Connection
) -> None:
    shop = shop_of(Outbox(shop_url, sagas=[order], poll_seconds=0.05))
    shop.outboxes += (Outbox(postgres_url, poll_seconds=0.05),)  # it has no table
    async with asyncio.timeout(300), shop.running(settings) as conductor:
        store = engine(conductor).store
        while True:
            reports = [report for each in await store.instances.registered() for report in each.reports.values() if report.at]
            if len(reports) == 2:
                break
            await asyncio.sleep(0.05)
        assert sorted(bool(each.problem) for each in reports) == [False, True]


async def test_behind_a_transaction_pooler_commits_of_others_stay_durable(pooler: Pooler) -> None:
    async with pooler("transaction", default_pool_size="1") as url:
        outbox = Outbox(url)
        await outbox.create_table()
        assert await outbox.kept() == []
        other = await asyncpg.connect(url, statement_cache_size=0)
        assert await other.fetchval("SHOW synchronous_commit") == "on"
        await other.close()
