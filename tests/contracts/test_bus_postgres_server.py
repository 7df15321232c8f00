"""What the contract cannot ask of every bus: the server breaks, its clients die, and its plans and locks stay cheap."""

import asyncio
import socket
import sys
import traceback
from random import Random
from typing import Any

import pytest

from goconductor.buses.postgres import PostgresBus, schedule, session, statements
from goconductor.buses.postgres import bus as bus_module
from goconductor.errors import BusUnavailableError, ConfigurationError, PoolerError
from goconductor.ports.bus import Delivery, Message
from goconductor.testing.contracts.inbox import TIMEOUT_SECONDS, Inbox
from goconductor.testing.postgres import PostgresServer
from tests.contracts.buses_on_postgres import Connection, OnPostgres, OpenBus, orders
from tests.servers.fixtures.pooler import Pooler

pytestmark = pytest.mark.postgres


async def until(watcher: Connection, condition: str) -> None:
    """Ask the database until it says yes."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not await watcher.fetchval(f"SELECT {condition}"):
            pass


OURS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'goconductor bus %'"


async def end_backends(watcher: Connection, purpose: str) -> int:
    ended = await watcher.fetch(
        "SELECT pid, pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = $1",
        f"goconductor bus {purpose}",
    )
    return len(ended)


async def run_python(code: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, *arguments, stdout=asyncio.subprocess.PIPE)


class TestOpening(OnPostgres):
    async def test_a_server_that_is_not_there_is_waited_for_no_longer_than_said(self) -> None:
        bus = PostgresBus("postgresql://someone@127.0.0.1:1/nowhere", open_timeout_seconds=0.2)
        with pytest.raises(BusUnavailableError, match=r"0\.2 s"):
            await bus.open()

    async def test_nor_is_one_that_never_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:  # it never accepts
            bus = PostgresBus(f"postgresql://someone@127.0.0.1:{silent.getsockname()[1]}/nowhere", open_timeout_seconds=0.2)
            with pytest.raises(BusUnavailableError, match=r"0\.2 s"):
                await bus.open()

    async def test_a_session_pooler_will_do(self, pooler: Pooler, open_bus: OpenBus) -> None:
        """PgBouncer refuses our settings at start-up, which are then set by statements."""
        async with pooler("session") as url:
            bus, inbox = await open_bus(url), Inbox()
            await bus.subscribe(["orders"], "group", inbox, prefetch=10)
            await bus.send(orders("1"))
            await inbox.has(1)
            await bus.close()

    async def test_a_transaction_pooler_is_refused_by_its_name(self, pooler: Pooler) -> None:
        async with pooler("transaction") as url:
            with pytest.raises(PoolerError, match="straight to the server"):
                await PostgresBus(url).open()

    @pytest.mark.parametrize("wrong", ["role", "database", "port", "scheme"])
    async def test_wrong_credentials_are_said_at_once_without_the_password(self, postgres_url: str, wrong: str) -> None:
        address = postgres_url.split("@", 1)[1]
        url = {
            "role": f"postgresql://nobody_of_that_name:hunter2@{address}",
            "database": f"postgresql://postgres:hunter2@{address}_of_no_such_name",
            "port": "postgresql://postgres:hunter2@localhost:fivefourthreetwo/x",
            "scheme": "mysql://postgres:hunter2@localhost/x",
        }[wrong]
        with pytest.raises(ConfigurationError) as raised:
            await PostgresBus(url).open()
        assert "hunter2" not in "".join(traceback.format_exception(raised.value))

    async def test_without_the_right_to_create_tables_it_says_what_to_grant(self, postgres_url: str, watcher: Connection) -> None:
        role = f"bus_guest_{await watcher.fetchval('SELECT current_database()')}"
        await watcher.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'guest'")
        try:
            with pytest.raises(ConfigurationError, match="grant CREATE"):
                await PostgresBus(f"postgresql://{role}:guest@{postgres_url.split('@', 1)[1]}").open()
        finally:
            await watcher.execute(f"DROP ROLE {role}")

    def test_a_schema_of_a_strange_name_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="schema"):
            PostgresBus("postgresql://localhost/x", schema='bus"; drop')

    async def test_many_processes_create_the_schema_at_once(self, postgres_url: str, watcher: Connection) -> None:
        code = (
            "import asyncio, sys\n"
            "from goconductor.buses.postgres import PostgresBus\n"
            "async def main():\n"
            "    buses = [PostgresBus(sys.argv[1]) for _ in range(4)]\n"
            "    await asyncio.gather(*(bus.open() for bus in buses))\n"
            "    await asyncio.gather(*(bus.close() for bus in buses))\n"
            "asyncio.run(main())\n"
        )
        processes = [await run_python(code, postgres_url) for _ in range(2)]
        assert [await process.wait() for process in processes] == [0, 0]
        assert (
            await watcher.fetchval("SELECT relpersistence FROM pg_class WHERE oid = 'goconductor_bus.messages'::regclass") == b"u"
        )


class TestBreaking(OnPostgres):
    async def test_what_a_killed_process_had_in_hand_comes_again(self, open_bus: OpenBus, postgres_url: str) -> None:
        code = (
            "import asyncio, sys\n"
            "from goconductor.buses.postgres import PostgresBus\n"
            "from goconductor.testing.contracts.inbox import Inbox\n"
            "async def main():\n"
            "    bus, inbox = PostgresBus(sys.argv[1], visibility_seconds=600), Inbox(hold=True)\n"
            "    await bus.open()\n"
            "    await bus.subscribe(['orders'], 'group', inbox, prefetch=10)\n"
            "    await inbox.has(3)\n"
            "    print('holding', flush=True)\n"
            "    await asyncio.Event().wait()\n"
            "asyncio.run(main())\n"
        )
        bus, inbox = await open_bus(), Inbox()
        await bus.send(orders("one", "two", "three"))
        process = await run_python(code, postgres_url)
        assert process.stdout is not None
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert await process.stdout.readline() == b"holding\n"
        process.kill()
        await process.wait()
        await bus.subscribe(["orders"], "group", inbox, prefetch=10)
        assert [delivery.deliveries for delivery in await inbox.has(3)] == [2, 2, 2]
        assert sorted(inbox.payloads) == [b"one", b"three", b"two"]

    async def test_who_is_too_slow_is_overtaken_and_can_no_longer_give_back(self, open_bus: OpenBus, watcher: Connection) -> None:
        slow, other = Inbox(hold=True), Inbox(hold=True)
        bus = await open_bus(visibility_seconds=0.2)
        subscription = await bus.subscribe(["orders"], "group", slow, prefetch=1)
        await bus.send(orders("one"))
        (late,) = await slow.has(1)
        await (await open_bus(visibility_seconds=600)).subscribe(["orders"], "group", other, prefetch=1)
        assert [delivery.deliveries for delivery in await other.has(1)] == [2]
        late.give_back()
        await subscription.stop()
        assert await watcher.fetchval("SELECT visible_at > now() + '300 s' FROM goconductor_bus.messages")

    async def test_taking_goes_on_when_its_backend_is_ended(self, open_bus: OpenBus, watcher: Connection) -> None:
        inbox = Inbox(hold=True)
        bus = await open_bus()
        await bus.subscribe(["orders"], "group", inbox, prefetch=10)
        await bus.send(orders("before"))
        (before,) = await inbox.has(1)
        assert await end_backends(watcher, "taking") == 1
        before.acknowledge()
        await bus.send(orders("after"))
        await inbox.has(2)
        assert inbox.payloads == [b"before", b"after"]
        await until(watcher, "count(*) = 1 FROM goconductor_bus.messages")  # the acknowledgement went by the new session

    async def test_an_acknowledgement_whose_session_dies_goes_by_the_next(
        self, open_bus: OpenBus, watcher: Connection, rival: Connection
    ) -> None:
        inbox = Inbox(hold=True)
        bus = await open_bus()
        await bus.subscribe(["orders"], "group", inbox, prefetch=10)
        await bus.send(orders("one"))
        (delivery,) = await inbox.has(1)
        async with rival.transaction():
            await rival.execute("SELECT FROM goconductor_bus.messages FOR UPDATE")
            delivery.acknowledge()
            await until(watcher, "count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%DELETE%'")
            await end_backends(watcher, "taking")
        await until(watcher, "count(*) = 0 FROM goconductor_bus.messages")

    async def test_a_message_that_somebody_has_locked_does_not_hold_up_others(self, open_bus: OpenBus, rival: Connection) -> None:
        inbox, bus = Inbox(), await open_bus()
        await bus.send(orders("locked", "free"))
        async with rival.transaction():
            await rival.execute("SELECT FROM goconductor_bus.messages ORDER BY message_id LIMIT 1 FOR UPDATE")
            await bus.subscribe(["orders"], "group", inbox, prefetch=10)
            await inbox.has(1)
        await inbox.has(2)
        assert inbox.payloads == [b"free", b"locked"]

    async def test_sending_goes_on_when_its_backend_is_ended(self, open_bus: OpenBus, watcher: Connection) -> None:
        inbox = Inbox()
        bus = await open_bus()
        await bus.subscribe(["orders"], "group", inbox, prefetch=10)
        await bus.send(orders("before"))
        assert await end_backends(watcher, "sending") == 1
        await bus.send(orders("after"))
        assert [delivery.message.payload for delivery in await inbox.has(2)] == [b"before", b"after"]

    async def test_what_is_sent_after_the_tables_were_dropped_finds_new_ones(
        self, open_bus: OpenBus, watcher: Connection
    ) -> None:
        inbox, bus = Inbox(), await open_bus()
        await bus.send(orders("lost"))
        await watcher.execute("DROP SCHEMA goconductor_bus CASCADE")
        await bus.send(orders("kept"))
        await bus.subscribe(["orders"], "group", inbox, prefetch=10)
        assert [delivery.message.payload for delivery in await inbox.has(1)] == [b"kept"]

    async def test_without_hints_polling_delivers(self, open_bus: OpenBus, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(statements, "HINT", "SELECT no_such_function($1)")
        monkeypatch.setattr(statements, "SEND_AND_HINT", "SELECT no_such_function($1::text[], $2::bytea[], $3::text[], $4)")
        inbox = Inbox()
        await (await open_bus()).subscribe(["orders"], "group", inbox, prefetch=10)
        sender = await open_bus()
        for number in range(5):
            await sender.send(orders(f"{number}"))
            await inbox.has(number + 1)
        assert inbox.payloads == [b"0", b"1", b"2", b"3", b"4"]

    async def test_a_subscription_whose_session_ends_hears_of_it_at_once(self, open_bus: OpenBus, watcher: Connection) -> None:
        """It polls once in an hour."""
        inbox = Inbox()
        await (await open_bus(poll_interval_seconds=3600.0)).subscribe(["orders"], "group", inbox, prefetch=10)
        sender = await open_bus()
        for number in range(3):
            assert await end_backends(watcher, "taking") == 1
            await sender.send(orders(f"{number}"))
            await inbox.has(number + 1)
            await until(watcher, "count(*) = 1 FROM pg_stat_activity WHERE application_name = 'goconductor bus taking'")
        assert inbox.payloads == [b"0", b"1", b"2"]

    async def test_while_it_is_quiet_a_bus_holds_one_connection_for_each_subscription(
        self, open_bus: OpenBus, watcher: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bus_module, "REST_SECONDS", 0.01)
        inbox, bus = Inbox(), await open_bus()
        await bus.subscribe(["orders"], "group", inbox, prefetch=10)
        for number in range(2):  # also after something was sent, and a hint given by itself
            await until(watcher, "array_agg(application_name) = '{goconductor bus taking}' " + OURS)
            await bus.send([*orders(f"{number}"), Message(topic="elsewhere", key="", payload=b"")])
            await inbox.has(number + 1)

    @pytest.mark.parametrize("mode", ["fast", "immediate"])
    async def test_a_restarted_server_finds_its_groups_again(
        self, open_bus: OpenBus, postgres_to_break: PostgresServer, mode: Any
    ) -> None:
        url = postgres_to_break.create_database("bus")
        inbox, bus = Inbox(), await open_bus(url)
        await bus.subscribe(["orders"], "group", inbox, prefetch=10)
        postgres_to_break.restart(mode)
        await bus.send(orders("after"))
        assert [delivery.message.payload for delivery in await inbox.has(1)] == [b"after"]

    async def test_send_says_when_the_server_is_gone(self, open_bus: OpenBus, postgres_to_break: PostgresServer) -> None:
        bus = await open_bus(postgres_to_break.create_database("bus"))
        postgres_to_break.stop()
        with pytest.raises(BusUnavailableError):
            await bus.send(orders("into the void"))

    async def test_a_row_that_this_bus_did_not_write_is_delivered_as_it_is_for_the_receiver_to_judge(
        self, open_bus: OpenBus, watcher: Connection
    ) -> None:
        inbox, bus = Inbox(), await open_bus()
        await bus.send(orders("one"))
        await watcher.execute(
            "INSERT INTO goconductor_bus.messages (queue_id, message) SELECT queue_id, 'garbage' FROM goconductor_bus.queues"
        )
        await bus.send(orders("two"))
        await bus.subscribe(["orders"], "group", inbox, prefetch=10)
        assert {delivery.message.payload for delivery in await inbox.has(3)} == {b"one", b"garbage", b"two"}
        await until(watcher, "count(*) = 0 FROM goconductor_bus.messages")


class TestStayingCheap(OnPostgres):
    async def test_while_it_is_paused_what_is_done_with_goes_soon(self, open_bus: OpenBus, watcher: Connection) -> None:
        held: asyncio.Queue[Delivery] = asyncio.Queue()

        async def keep(delivery: Delivery) -> None:
            held.put_nowait(delivery)

        bus = await open_bus(poll_interval_seconds=3600.0)
        subscription = await bus.subscribe(["orders"], "group", keep, prefetch=10)
        await bus.send(orders("first", "second"))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            first, second = await held.get(), await held.get()
        subscription.pause()
        first.give_back(3600.0)
        await until(watcher, "count(*) = 1 FROM goconductor_bus.messages WHERE taker = 0")
        second.acknowledge()
        await until(watcher, "count(*) = 1 FROM goconductor_bus.messages")

    @pytest.mark.parametrize("rows", [0, 5000])
    async def test_no_hot_statement_scans_a_table(self, open_bus: OpenBus, postgres_url: str, rows: int) -> None:
        bus = await open_bus()
        await bus.send(orders(*(f"{number}" for number in range(rows))))
        connection = await session.set_up(session.address_of(postgres_url), "goconductor_bus", "explaining").dial()
        hot: dict[str, tuple[Any, ...]] = {
            statements.SEND: (["orders"], [b"x"], ["orders"]),
            statements.SEND_AND_HINT: (["orders"], [b"x"], ["orders"], "orders"),
            statements.READING: (["orders"], ""),
            statements.QUEUES: (["orders"], ""),
            statements.TAKE: ([1, 2], [0, 0], 100, 15.0, [1, 1], [1, 2], [3, 4]),
            statements.FLOORS: ([1, 2],),
            statements.ACKNOWLEDGE: ([1, 1], [1, 2]),
            statements.GIVE_BACK: ([1, 1], [1, 2], [1, 1], [0.0, 1.0]),
        }
        for statement, arguments in hot.items():
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}", *arguments))
            assert "Index Scan" in plan or "Index Only Scan" in plan
            for costly in ("Seq Scan", "Hash Join", "Merge Join", "Bitmap"):
                assert costly not in plan, plan
        await connection.close()

    async def test_takings_and_acknowledgements_of_many_never_deadlock(self, open_bus: OpenBus, watcher: Connection) -> None:
        async def subscribe(seed: int) -> PostgresBus:
            bus, order, held = await open_bus(visibility_seconds=0.001), Random(seed), list[Delivery]()

            async def receiver(delivery: Delivery) -> None:
                held.append(delivery)
                if len(held) == 100:  # all that this one may have in hand, which by now others have as well
                    order.shuffle(held)
                    for each in held:
                        each.acknowledge()
                    held.clear()

            await bus.subscribe(["orders", "others"], "group", receiver, prefetch=100)
            return bus

        bus, *_ = [await subscribe(seed) for seed in range(3)]
        sent = orders(*(f"{number}" for number in range(1000)))
        await bus.send([*sent, *(Message(topic="others", key=each.key, payload=each.payload) for each in sent)])
        await until(watcher, "count(*) = 0 FROM goconductor_bus.messages")
        assert await watcher.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0

    async def test_floors_hide_nothing(self, open_bus: OpenBus, watcher: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schedule, "SLOW_TAKE_SECONDS", 0.0)  # look for floors always
        inbox, arrived = Inbox(), set[bytes]()
        bus = await open_bus()
        async with watcher.transaction(isolation="repeatable_read"):
            await watcher.fetchval("SELECT count(*) FROM goconductor_bus.messages")  # from now on dead rows stay
            await bus.subscribe(["orders"], "group", inbox, prefetch=50)
            for hundred in range(20):
                names = [f"{hundred}-{number}" for number in range(100)]
                await asyncio.gather(*(bus.send([message]) for message in orders(*names)))
                arrived.update(name.encode() for name in names)
                await inbox.has_until(lambda: set(inbox.payloads) == arrived)

    async def test_who_never_reads_again_is_forgotten(self, open_bus: OpenBus, watcher: Connection) -> None:
        bus = await open_bus()
        for group in ("gone", "gone-too"):
            await (await bus.subscribe(["orders"], group, Inbox(), prefetch=1)).stop()
        await bus.send(orders("for nobody"))
        await open_bus(retention_seconds=0.001)
        await until(watcher, "count(*) = 0 FROM goconductor_bus.queues")
        await until(watcher, "count(*) = 0 FROM goconductor_bus.messages")
        await bus.send(orders("a topic needs no preparation"))
        inbox = Inbox()
        await bus.subscribe(["orders"], "new", inbox, prefetch=1)
        await inbox.has(1)

    async def test_groups_that_come_at_once_share_what_waits_without_loss(self, open_bus: OpenBus) -> None:
        bus = await open_bus()
        await bus.send(orders("early"))
        inboxes = [Inbox() for _ in range(4)]
        await asyncio.gather(
            *(bus.subscribe(["orders"], f"group-{number}", inbox, prefetch=1) for number, inbox in enumerate(inboxes))
        )
        await bus.send(orders("late"))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not all(b"late" in inbox.payloads for inbox in inboxes):
                await asyncio.gather(*(inbox.has(1) for inbox in inboxes))
        assert sum(inbox.payloads.count(b"early") for inbox in inboxes) == 1
