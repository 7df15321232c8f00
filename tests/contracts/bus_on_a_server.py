"""What every bus on a broker must stand: its server restarts, its network breaks, its consumers die, its users are shut out."""

import asyncio
import gc
import json
import logging
import os
import secrets
import sys
import tracemalloc
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Protocol

import pytest

from goconductor.errors import BusUnavailableError, ConfigurationError, PayloadError
from goconductor.ports.bus import Bus, Delivery, Message
from goconductor.testing.contracts.inbox import TIMEOUT_SECONDS, Inbox
from goconductor.testing.faults import CuttableProxy
from goconductor.testing.loopback import LOOPBACK

COUNT_VARIABLE = "GOCONDUCTOR_TEST_MESSAGES"
"""How many messages none of which may be lost, instead of what fits into CI."""
PATIENCE_SECONDS = 900.0
"""For what waits for a server on a busy machine, in seconds: below the limit of pytest, which says less."""


class BreakableServer(Protocol):
    """A broker of our own."""

    port: int

    @property
    def url(self) -> str: ...
    def url_through(self, port: int) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


class ServerWithUsers(BreakableServer, Protocol):
    """One that lets in whom it knows."""

    def url_of(self, user: str, password: str) -> str: ...
    def add_user(self, user: str, password: str) -> None: ...
    def remove_user(self, user: str) -> None: ...


OpenAt = Callable[..., Awaitable[Bus]]

HOLDER = """
import asyncio, importlib, json, sys

module, kind, arguments, topic = sys.argv[1:]

async def main():
    async def hold(delivery):
        print(delivery.message.payload.decode(), flush=True)

    bus = getattr(importlib.import_module(module), kind)(**json.loads(arguments))
    await bus.open()
    await bus.subscribe([topic], "group", hold, prefetch=10)
    await asyncio.Event().wait()

asyncio.run(main())
"""

STARTER = ThreadPoolExecutor(1)
"""A server dies with the thread that started it; this one stays."""


async def in_thread(do: Callable[..., None], *arguments: str) -> None:
    await asyncio.get_running_loop().run_in_executor(STARTER, do, *arguments)


def messages(topic: str, payloads: Sequence[str | bytes]) -> list[Message]:
    return [
        Message(topic=topic, key=f"key {number}", payload=payload if isinstance(payload, bytes) else payload.encode())
        for number, payload in enumerate(payloads)
    ]


class Counting:
    """A receiver that acknowledges and counts."""

    def __init__(self) -> None:
        self.counts: Counter[bytes] = Counter()
        self._came = asyncio.Condition()

    async def __call__(self, delivery: Delivery) -> None:
        delivery.acknowledge()
        self.counts[delivery.message.payload] += 1
        async with self._came:
            self._came.notify_all()

    async def has(self, distinct: int, within_seconds: float = PATIENCE_SECONDS) -> None:
        async with asyncio.timeout(within_seconds), self._came:
            await self._came.wait_for(lambda: len(self.counts) >= distinct)


async def send_surely(bus: Bus, what: Sequence[Message]) -> None:
    """As the sweep does: again, until the bus has taken it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                await bus.send(what)
            except BusUnavailableError:
                await asyncio.sleep(0.05)
            else:
                return


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Ask until it says yes."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.02)


class BusOnAServer(ABC):
    """Subclass it as ``TestMyBusOnAServer`` and give the fixtures."""

    counts_over_a_death = True
    """Whether the broker, not the process, counts deliveries."""
    competitors, shared = 4, 2_000
    """So many consumers of one group compete for so many messages."""
    dies_soon: ClassVar[Mapping[str, Any]] = {}
    """Options by which what a dead consumer had in hand comes again soon; a busy machine must not make it look dead."""
    takes_over: ClassVar[Mapping[str, Any]] = {}
    """Options of who takes over from it."""
    notices_silence: ClassVar[Mapping[str, Any]] = {}
    """Options by which a connection that fell silent is noticed soon; a busy machine must not make one look silent."""
    many_topics: ClassVar[Mapping[str, Any]] = {}
    """Options by which many topics cost less."""
    backlog = 2_000, 20_000
    """So many messages wait for a slow consumer, of so many bytes each."""
    load = 2_000
    """So many messages go through a server before it is restarted: long enough to have written down what it has."""
    many = 100_000
    """So many messages are sent of which none may be lost; fewer where a stand-in for a service takes its time."""

    @pytest.fixture
    @abstractmethod
    def server(self) -> BreakableServer:
        """A running server that the tests may break."""

    @pytest.fixture
    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Options of the leaf: short times, and names that make the server empty for this test."""

    @property
    @abstractmethod
    def kind(self) -> type[Any]:
        """The leaf."""

    @pytest.fixture
    async def open_at(self, server: BreakableServer, options: dict[str, Any]) -> AsyncIterator[OpenAt]:
        opened: list[Bus] = []

        async def open_one(url: str | None = None, **others: Any) -> Bus:
            bus: Bus = self.kind(url or server.url, **{**options, **others})
            await bus.open()
            opened.append(bus)
            return bus

        yield open_one
        await asyncio.gather(*(bus.close() for bus in opened))

    @pytest.fixture
    async def proxy(self, server: BreakableServer) -> AsyncIterator[CuttableProxy]:
        async with CuttableProxy(LOOPBACK, server.port) as proxy:
            yield proxy
            proxy.heal()

    async def test_a_connection_that_was_cut_comes_back_and_the_log_says_both_once(
        self, server: BreakableServer, open_at: OpenAt, proxy: CuttableProxy, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, logger="goconductor")
        bus, receiver = await open_at(server.url_through(proxy.port), send_timeout_seconds=1.0), Counting()
        await bus.subscribe(["orders"], "group", receiver, prefetch=10)
        await send_surely(bus, messages("orders", ["before"]))
        await receiver.has(1)
        proxy.cut()
        with pytest.raises(BusUnavailableError):
            await bus.send(messages("orders", ["lost"]))
        proxy.heal()
        await send_surely(bus, messages("orders", ["after"]))
        await until(lambda: b"after" in receiver.counts)
        for words in ("is away", "is back"):
            said = Counter(record.getMessage().split(" is ")[0] for record in caplog.records if words in record.getMessage())
            assert said
            assert set(said.values()) == {1}

    async def test_a_connection_that_fell_silent_is_noticed(
        self, server: BreakableServer, open_at: OpenAt, proxy: CuttableProxy
    ) -> None:
        impatient = {"send_timeout_seconds": 2.0, **self.notices_silence}
        bus, receiver = await open_at(server.url_through(proxy.port), **impatient), Counting()
        await bus.subscribe(["orders"], "group", receiver, prefetch=10)
        accepted = proxy.accepted
        proxy.hold()
        with pytest.raises(BusUnavailableError, match="confirmed"):
            await bus.send(messages("orders", ["into the silence"]))
        direct = await open_at()
        await direct.send(messages("orders", ["meanwhile"]))
        await until(lambda: proxy.accepted > accepted)  # it has given up the old connections, and tries new ones
        proxy.heal()
        await until(lambda: b"meanwhile" in receiver.counts)
        await send_surely(bus, messages("orders", ["after"]))
        await until(lambda: b"after" in receiver.counts)

    async def test_a_slow_consumer_holds_no_more_than_its_prefetch(self, open_at: OpenAt) -> None:
        (count, size), prefetch = self.backlog, 10
        sender = await open_at()
        consumer, inbox = await open_at(), Inbox(hold=True)
        await (await consumer.subscribe(["orders"], "group", Inbox(), prefetch=1)).stop()
        for start in range(0, count, 100):
            await send_surely(sender, messages("orders", [f"{number:{size}}" for number in range(start, start + 100)]))
        gc.collect()
        tracemalloc.start()
        try:
            await consumer.subscribe(["orders"], "group", inbox, prefetch=prefetch)
            for taken in range(50):
                await inbox.has(prefetch + taken)
                assert len(inbox.deliveries) == prefetch + taken
                inbox.deliveries[taken].acknowledge()
            held, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 5 * size * (prefetch + 50)
        assert most < size * min(count / 2, 500)

    @pytest.mark.slow
    async def test_of_many_messages_none_is_lost(self, open_at: OpenAt) -> None:
        count, batch, receiver = int(os.environ.get(COUNT_VARIABLE) or self.many), 500, Counting()
        for _ in range(2):
            await (await open_at()).subscribe(["orders"], "group", receiver, prefetch=500)
        sender = await open_at(send_timeout_seconds=60.0)
        for start in range(0, count, batch):
            await sender.send(messages("orders", [f"{number}" for number in range(start, start + batch)]))
        await receiver.has(count)
        assert set(receiver.counts) == {f"{number}".encode() for number in range(count)}

    async def test_competing_consumers_get_each_message_once_and_all_of_them_some(self, open_at: OpenAt) -> None:
        receivers = [Counting() for _ in range(self.competitors)]
        for receiver in receivers:
            await (await open_at()).subscribe(["orders"], "group", receiver, prefetch=5)
        await (await open_at()).send(messages("orders", [f"{number}" for number in range(self.shared)]))
        await until(lambda: sum(len(receiver.counts) for receiver in receivers) >= self.shared)
        together = sum((receiver.counts for receiver in receivers), Counter[bytes]())
        assert together == Counter({f"{number}".encode(): 1 for number in range(self.shared)})
        assert all(receiver.counts for receiver in receivers)

    async def test_what_a_killed_consumer_had_in_hand_comes_again(
        self, server: BreakableServer, options: dict[str, Any], open_at: OpenAt
    ) -> None:
        arguments = json.dumps({"url": server.url, **options, **self.dies_soon})
        command = [sys.executable, "-c", HOLDER, self.kind.__module__, self.kind.__name__, arguments, "orders"]
        holder = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert holder.stdout is not None
        bus, inbox = await open_at(**self.takes_over), Inbox()
        await bus.send(messages("orders", ["one", "two", "three"]))
        async with asyncio.timeout(PATIENCE_SECONDS):
            held = [(await holder.stdout.readline()).decode().strip() for _ in range(3)]
        assert sorted(held) == ["one", "three", "two"]
        await bus.subscribe(["orders"], "group", inbox, prefetch=10)
        assert not inbox.deliveries
        holder.kill()
        await holder.wait()
        await inbox.has(3)
        assert sorted(inbox.payloads) == [b"one", b"three", b"two"]
        assert {delivery.deliveries for delivery in inbox.deliveries} == {2 if self.counts_over_a_death else 1}

    async def test_a_message_larger_than_the_server_takes_harms_no_other(self, open_at: OpenAt) -> None:
        try:
            bus = await open_at(payload_bytes_max=64 << 20)
        except ConfigurationError as error:
            assert "payload" in str(error)  # noqa: PT017  (a leaf that knows the server's limit says so at once)
            return
        receiver = Counting()
        await bus.subscribe(["orders"], "group", receiver, prefetch=10)
        answers = await asyncio.gather(
            bus.send(messages("orders", ["one", b"\x00" * (8 << 20), "two"])),
            *(bus.send(messages("orders", [f"beside {number}"])) for number in range(5)),
            return_exceptions=True,
        )
        assert isinstance(answers[0], PayloadError)
        assert answers[0].path == "$[1].payload"
        assert answers[1:] == [None] * 5
        await receiver.has(7)
        assert set(receiver.counts) == {b"one", b"two", *(f"beside {number}".encode() for number in range(5))}

    async def test_names_that_a_broker_may_not_like_are_kept_apart(self, open_at: OpenAt) -> None:
        topics = [".", "..", "a.b", "a..b", "a_b", "a-b", "A.B", ".a", "a.", "-", "_", "x" * 249, "x" * 248 + "y", "a.b.c"]
        groups = ["g", "g.h", "g_h", "G", "y" * 249]
        bus = await open_at(**self.many_topics)
        inboxes = {(topic, group): Inbox() for topic in topics for group in groups[: 5 if topic in {"a.b", "x" * 249} else 1]}
        for (topic, group), inbox in inboxes.items():
            await bus.subscribe([topic], group, inbox, prefetch=5)
        await bus.send([Message(topic=topic, key="k", payload=topic.encode()) for topic in topics])
        for inbox in inboxes.values():
            await inbox.has(1)
        assert {key: inbox.payloads for key, inbox in inboxes.items()} == {key: [key[0].encode()] for key in inboxes}
        assert {delivery.message.topic for inbox in inboxes.values() for delivery in inbox.deliveries} == set(topics)

    async def test_a_server_that_is_not_there_is_waited_for_no_longer_than_said(
        self, server: BreakableServer, options: dict[str, Any]
    ) -> None:
        async with CuttableProxy(LOOPBACK, server.port) as proxy:
            for break_it in (proxy.cut, proxy.hold):
                break_it()
                bus = self.kind(server.url_through(proxy.port), **{**options, "open_timeout_seconds": 0.5})
                with pytest.raises(BusUnavailableError, match=r"0\.5 s"):
                    await bus.open()
                proxy.heal()


class KeepsItsMessages(BusOnAServer):
    """Of a server that has on its disk what it acknowledged."""

    @pytest.mark.parametrize("way", ["stop", "kill"])
    async def test_the_server_restarts_under_load_and_nothing_is_lost(
        self, server: BreakableServer, open_at: OpenAt, way: str
    ) -> None:
        sender, receiver = await open_at(), Counting()
        await (await open_at(**self.dies_soon)).subscribe(["orders"], "group", receiver, prefetch=50)
        sent = 0
        enough = asyncio.Event()

        async def keep_sending() -> None:
            nonlocal sent
            while not enough.is_set():
                await send_surely(sender, messages("orders", [f"{sent + number}" for number in range(10)]))
                sent += 10

        async with asyncio.TaskGroup() as group:
            group.create_task(keep_sending())
            await receiver.has(self.load)
            await in_thread(getattr(server, way))
            await in_thread(server.start)
            before = len(receiver.counts)
            await receiver.has(before + 100)
            enough.set()
        await receiver.has(sent)
        assert set(receiver.counts) == {f"{number}".encode() for number in range(sent)}


class ChecksPasswords(BusOnAServer):
    """Of a server that has users."""

    @pytest.fixture
    @abstractmethod
    def server(self) -> ServerWithUsers:
        """A running server that the tests may break."""

    async def test_a_wrong_password_is_told_at_once_and_not_shown(
        self, server: ServerWithUsers, options: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        bus = self.kind(server.url_of("nobody", "hunter2"), **{**options, "open_timeout_seconds": 60.0})
        with pytest.raises(ConfigurationError) as raised:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await bus.open()
        assert "hunter2" not in f"{raised.value}{raised.value.__cause__}{caplog.text}"

    async def test_who_is_shut_out_later_is_told_and_goes_on_when_let_in_again(
        self, server: ServerWithUsers, open_at: OpenAt, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, logger="goconductor")
        user, password = f"user{secrets.token_hex(4)}", "hunter2"
        await in_thread(server.add_user, user, password)
        try:
            bus, receiver = await open_at(server.url_of(user, password), send_timeout_seconds=1.0), Counting()
            await bus.subscribe(["orders"], "group", receiver, prefetch=10)
            await send_surely(bus, messages("orders", ["before"]))
            await receiver.has(1)
            await in_thread(server.remove_user, user)
            await until(lambda: "refuses us" in caplog.text)
            with pytest.raises(BusUnavailableError, match="refuses"):
                await bus.send(messages("orders", ["shut out"]))
            await in_thread(server.add_user, user, password)
            await send_surely(bus, messages("orders", ["after"]))
            await until(lambda: b"after" in receiver.counts)
            assert password not in caplog.text
        finally:
            await in_thread(server.remove_user, user)
