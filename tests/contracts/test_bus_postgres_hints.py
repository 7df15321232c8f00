"""Hints of the PostgreSQL bus are few, go with what is sent while little is said, and are never needed."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from goconductor.buses.postgres import hints, statements
from goconductor.buses.postgres.hints import Hints
from goconductor.errors import BusUnavailableError
from goconductor.ports.bus import Message
from goconductor.testing.contracts.inbox import TIMEOUT_SECONDS, Inbox
from tests.contracts.buses_on_postgres import Connection, OnPostgres, OpenBus, orders
from tests.contracts.one_try import OneTry

pytestmark = pytest.mark.postgres

BY_PID = "SELECT application_name FROM pg_stat_activity WHERE pid = $1"


class TestHints(OnPostgres):
    async def test_hints_are_few(self, open_bus: OpenBus, watcher: Connection) -> None:
        heard: list[int] = []
        await watcher.add_listener("goconductor_bus", lambda _connection, pid, _channel, _text: heard.append(pid))
        inbox, loop = Inbox(), asyncio.get_running_loop()
        await (await open_bus()).subscribe(["orders"], "group", inbox, prefetch=500)
        sender = await open_bus(hints_per_second_max=5)
        began = loop.time()
        for crowd in range(30):
            await asyncio.gather(*(sender.send(orders(f"{crowd} {number}")) for number in range(10)))
        await inbox.has(300)
        await watcher.execute("SELECT 1")
        # five a second; were this machine so slow that each send came alone, ten times as many
        assert 1 <= len(heard) <= 10 * 5 * (loop.time() - began) + 2

    @pytest.mark.parametrize(("quiet", "speaker"), [(1000, "goconductor bus sending"), (1, "goconductor bus hints")])
    async def test_where_much_is_said_no_hint_is_in_a_sending_transaction(
        self, open_bus: OpenBus, watcher: Connection, monkeypatch: pytest.MonkeyPatch, quiet: int, speaker: str
    ) -> None:
        monkeypatch.setattr(hints, "QUIET_HINTS", quiet)
        heard: asyncio.Queue[int] = asyncio.Queue()
        await watcher.add_listener("goconductor_bus", lambda _connection, pid, _channel, _text: heard.put_nowait(pid))
        inbox = Inbox()
        await (await open_bus()).subscribe(["orders"], "group", inbox, prefetch=500)
        sender = await open_bus(hints_per_second_max=1000)
        await sender.subscribe(["replies"], "sender", Inbox(), prefetch=10)  # who subscribes to nothing does not listen
        speakers: list[str] = []
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while speakers[-3:] != [speaker] * 3:  # if one hint a second is much, this is so once the sender has heard of one
                await sender.send(orders(f"{len(speakers)}"))
                await inbox.has(len(speakers) + 1)
                speakers.append(await watcher.fetchval(BY_PID, await heard.get()))

    async def test_a_hint_that_fails_costs_no_message(
        self, open_bus: OpenBus, watcher: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As when the queue of notifications is full, by a session that listens and never ends its transaction."""
        monkeypatch.setattr(statements, "SEND_AND_HINT", "SELECT no_such_function($1::text[], $2::bytea[], $3::text[], $4)")
        heard: asyncio.Queue[int] = asyncio.Queue()
        await watcher.add_listener("goconductor_bus", lambda _connection, pid, _channel, _text: heard.put_nowait(pid))
        inbox = Inbox()
        await (await open_bus()).subscribe(["orders"], "group", inbox, prefetch=500)
        sender = await open_bus()
        for number in range(3):
            await sender.send(orders(f"{number}"))
            await inbox.has(number + 1)
            async with asyncio.timeout(TIMEOUT_SECONDS):
                pid = await heard.get()
            assert await watcher.fetchval(BY_PID, pid) == "goconductor bus hints"

    async def test_no_hint_when_the_same_bus_object_takes_the_messages(self, open_bus: OpenBus, watcher: Connection) -> None:
        heard: asyncio.Queue[object] = asyncio.Queue()
        await watcher.add_listener("goconductor_bus", lambda _connection, _pid, _channel, text: heard.put_nowait(text))
        inbox, bus = Inbox(), await open_bus()
        await bus.subscribe(["orders"], "group", inbox, prefetch=10)
        for number in range(20):
            await bus.send(orders(f"{number}"))
            await inbox.has(number + 1)
        await bus.send([Message(topic="elsewhere", key="", payload=b"")])
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert await heard.get() == "elsewhere"


async def test_what_is_refused_at_once_is_not_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: asyncio.Queue[None] = asyncio.Queue()

    class Refused(AbstractAsyncContextManager[Connection]):
        def use(self) -> Refused:
            return self

        async def __aenter__(self) -> Connection:
            tries.put_nowait(None)
            raise BusUnavailableError

        async def __aexit__(self, *_: object) -> None: ...

    monkeypatch.setattr(hints, "Patience", OneTry)
    hints_away = Hints(Refused(), channel="test", per_second_max=1000, on_news=lambda _: None)
    hints_away.start()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        for _ in range(2):
            hints_away.notify(["orders"])
            await tries.get()
    for number in range(20):  # news, each of which it could take for a reason
        hints_away.notify([f"{number}"])
        await asyncio.sleep(0)
    assert tries.empty()
    await hints_away.close()
