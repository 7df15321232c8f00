"""Signs of life, with real processes."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.database.dial import Connection
from goconductor.stores.postgres.leading.instances import LOCK_CLASS
from goconductor.testing.contracts.store.material import begin, eventually, hold, lead
from tests.servers.pausing import pause

pytestmark = pytest.mark.postgres

PROGRAM = """
import asyncio, sys
from goconductor.stores.postgres import PostgresStore
async def main():
    store = PostgresStore(sys.argv[1])
    await store.open()
    instance = await store.instances.register("payments", "pod-0", {})
    print(instance.serial, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.fixture
async def process(store: PostgresStore, postgres_url: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, postgres_url, stdout=PIPE)
    yield process
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def serial_of(process: Process, hand: Connection) -> int:
    """The instance that the process registered, now an hour old."""
    assert process.stdout is not None
    serial = int(await process.stdout.readline())
    await age(hand)
    return serial


async def age(hand: Connection) -> None:
    await hand.execute("UPDATE goconductor.participants SET started_at = started_at - interval '1 hour'")


async def missing(store: PostgresStore) -> list[int]:
    return [instance.serial for instance in await store.instances.missing()]


async def holders(hand: Connection, serial: int) -> list[int]:
    """The backends that hold an instance's lock."""
    rows = await hand.fetch(
        f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = {LOCK_CLASS} AND objid::int4 = $1",
        serial,
    )
    return [row["pid"] for row in rows]


async def pid_of_acquire(store: PostgresStore) -> int:
    async with store._for_acquire.use() as connection:
        return connection.get_server_pid()


async def test_11_a_killed_process_is_missing(store: PostgresStore, process: Process, hand: Connection) -> None:
    """Hole 17."""
    serial = await serial_of(process, hand)
    assert await missing(store) == []
    process.kill()

    async def is_missing() -> bool:
        return await missing(store) == [serial]

    await eventually(is_missing)


async def test_11_a_stopped_process_is_not_missing(store: PostgresStore, process: Process, hand: Connection) -> None:
    """Hole 15: it keeps its lock; only its leases' end tells."""
    await serial_of(process, hand)
    pause(process.pid)
    assert await missing(store) == []


async def test_11_a_lost_lock_alone_is_no_death(store: PostgresStore, hand: Connection, postgres_url: str) -> None:
    other = PostgresStore(postgres_url)
    await other.open()
    instance = await other.instances.register("payments", "pod-0", {})
    await age(hand)
    await other._for_acquire.close()

    async def lock_is_free() -> bool:
        return await holders(hand, instance.serial) == []

    await eventually(lock_is_free)
    assert await missing(store) == []
    await other.close()

    async def is_missing() -> bool:
        return await missing(store) == [instance.serial]

    await eventually(is_missing)


async def test_11_the_session_of_another_thread_is_a_sign_of_life(
    store: PostgresStore, hand: Connection, postgres_url: str
) -> None:
    """Hole 46: a process whose loop is blocked while the server restarts comes back by its renewals alone."""
    other = PostgresStore(postgres_url)
    await other.open()
    instance = await other.instances.register("payments", "pod-0", {})
    await age(hand)
    renewing = other.beside()
    await other.close()

    async def is_missing() -> bool:
        return await missing(store) == [instance.serial]

    await eventually(is_missing)
    await renewing.open()
    assert await missing(store) == []
    assert await store.instances.mark_dead(instance.serial, epoch=await lead(store)) == ([], [])
    assert [one.dead_at for one in await store.instances.registered()] == [None]
    await renewing.close()
    await eventually(is_missing)


async def test_2_the_lock_is_taken_again_on_a_new_connection(store: PostgresStore, hand: Connection) -> None:
    first, second = (
        await store.instances.register("payments", "pod-0", {}),
        await store.instances.register("inventory", "pod-0", {}),
    )
    old = await pid_of_acquire(store)
    assert await hand.fetchval("SELECT pg_terminate_backend($1)", old)

    async def has_both_again() -> bool:
        held = await holders(hand, first.serial) + await holders(hand, second.serial)
        return len(held) == 2 and len(set(held)) == 1 and old not in held

    await eventually(has_both_again)


async def test_2_what_is_left_of_an_old_connection_is_ended(store: PostgresStore, hand: Connection, postgres_url: str) -> None:
    """A cut wire: the server still believes in our old connection, which holds the lock."""
    instance = await store.instances.register("payments", "pod-0", {})
    await store.close()
    name = store._address.application_name
    ghost = await asyncpg.connect(postgres_url, server_settings={"application_name": name})
    gone = asyncio.Event()
    ghost.add_termination_listener(lambda _: gone.set())
    await ghost.execute(f"SELECT pg_advisory_lock({LOCK_CLASS}::int4, {instance.serial})")
    await store.open()
    await gone.wait()
    assert await holders(hand, instance.serial) == [await pid_of_acquire(store)]


async def test_12_who_was_declared_dead_and_lives_is_alive_again(
    store: PostgresStore, hand: Connection, postgres_url: str
) -> None:
    zombie = PostgresStore(postgres_url)
    await zombie.open()
    instance = await zombie.instances.register("payments", "pod-0", {})
    await age(hand)
    await zombie.close()

    async def is_missing() -> bool:
        return await missing(store) == [instance.serial]

    await eventually(is_missing)
    epoch = await lead(store)
    await store.instances.mark_dead(instance.serial, epoch=epoch)
    assert [one.dead_at is not None for one in await store.instances.registered()] == [True]
    await zombie.open()
    assert [one.dead_at for one in await store.instances.registered()] == [None]
    saga = await begin(store, instance=instance.serial)
    await hold(zombie, saga.lease(instance=instance.serial))
    assert await store.instances.mark_dead(instance.serial, epoch=epoch) == ([], [])
    await zombie.close()


async def test_2_two_schemas_in_one_database_do_not_meet(store: PostgresStore, hand: Connection, postgres_url: str) -> None:
    await migrate(postgres_url, schema="second")
    second = PostgresStore(postgres_url, schema="second")
    await second.open()
    ours, theirs = (
        await store.instances.register("payments", "pod-0", {}),
        await second.instances.register("payments", "pod-0", {}),
    )
    assert ours.serial == theirs.serial
    saga = await begin(second)
    assert await store.sagas.head(saga.saga_id) is None
    await second.close()


async def test_11_an_instance_may_have_any_name(store: PostgresStore, hand: Connection, postgres_url: str) -> None:
    """The server changes what is not ASCII and cuts what is long, and then would not know it again."""
    other = PostgresStore(postgres_url, name="bücherei-" * 20)
    await other.open()
    await other.instances.register("payments", "pod-0", {})
    await age(hand)
    assert await hand.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name IN (SELECT application_name FROM goconductor.participants)"
    )
    await other.close()


@pytest.mark.parametrize(("found", "kept"), [("off", "on"), ("local", "on"), ("on", "on"), ("remote_apply", "remote_apply")])
async def test_a_registration_waits_for_the_disk_and_for_no_less_than_the_database_says(
    hand: Connection, postgres_url: str, found: str, kept: str
) -> None:
    """Its session waits for nothing; a serial that a crash or a failover took back would be given twice."""
    await hand.execute("CREATE TABLE waited (setting text)")
    await hand.execute(
        """CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.waited VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$"""
    )
    await hand.execute("CREATE TRIGGER note BEFORE INSERT ON goconductor.participants FOR EACH ROW EXECUTE FUNCTION note()")
    await hand.execute(f'ALTER DATABASE "{urlsplit(postgres_url).path[1:]}" SET synchronous_commit = {found}')
    store = PostgresStore(postgres_url)
    await store.open()
    await store.instances.register("payments", "pod-0", {})
    assert await hand.fetchval("SELECT setting FROM waited") == kept
    async with store._for_acquire.use() as connection:
        assert await connection.fetchval("SHOW synchronous_commit") == "off"
    await store.close()
