"""RabbitMQ breaks, and what is RabbitMQ's own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection
from aiormq.exceptions import ChannelInvalidStateError, ChannelNotFoundEntity

from goconductor.buses.rabbitmq import RabbitmqBus
from goconductor.buses.rabbitmq.connection import cancelled_or_unavailable
from goconductor.errors import BusUnavailableError, ConfigurationError, PayloadError
from goconductor.messages.topics import replies_topic
from goconductor.ports.bus import Delivery, Message
from goconductor.testing.contracts.bus import opening
from goconductor.testing.contracts.inbox import Inbox
from tests.contracts.bus_on_a_server import ChecksPasswords, KeepsItsMessages, OpenAt, in_thread, messages, send_surely, until
from tests.servers.rabbitmq import RabbitmqServer

pytestmark = pytest.mark.rabbitmq

OPTIONS: dict[str, Any] = {"connect_timeout_seconds": 5.0, "send_timeout_seconds": 60.0}


class TestRabbitmqBusOnAServer(KeepsItsMessages, ChecksPasswords):
    kind = RabbitmqBus
    notices_silence: ClassVar[Mapping[str, Any]] = {"heartbeat_seconds": 1}

    @pytest.fixture
    def server(self, rabbitmq_to_break: RabbitmqServer) -> RabbitmqServer:
        return rabbitmq_to_break

    @pytest.fixture
    def options(self, rabbitmq_prefix: str) -> dict[str, Any]:
        return {"prefix": rabbitmq_prefix, **OPTIONS}

    async def test_a_queue_that_answers_nobody_holds_up_no_other(
        self, server: RabbitmqServer, open_at: OpenAt, rabbitmq_prefix: str
    ) -> None:
        bus, stuck, well = await open_at(send_timeout_seconds=2.0), Inbox(), Inbox()
        await bus.subscribe(["orders"], "group", stuck, prefetch=10)
        await bus.subscribe(["payments"], "group", well, prefetch=10)
        await send_surely(bus, messages("orders", ["before"]))
        await stuck.has(1)
        await in_thread(server.hold_queue, f"{rabbitmq_prefix}:orders:group")
        with pytest.raises(BusUnavailableError, match="not confirmed within 2 s"):
            await bus.send(messages("orders", ["one"]))
        await send_surely(bus, messages("payments", ["one"]))
        await well.has(1)
        await in_thread(server.let_queue_go, f"{rabbitmq_prefix}:orders:group")
        await send_surely(bus, messages("orders", ["one", "two"]))  # whoever was told that it is not confirmed sends it again
        await stuck.has_until(lambda: {b"one", b"two"} <= set(stuck.payloads))

    async def test_an_alarm_stops_who_publishes_and_nobody_who_takes(self, server: RabbitmqServer, open_at: OpenAt) -> None:
        bus, inbox = await open_at(send_timeout_seconds=1.0), Inbox(hold=True)
        await bus.subscribe(["orders"], "group", inbox, prefetch=2)
        await (await open_at()).send(messages("orders", ["later", "done", "waits", "waits too"]))
        later, done = await inbox.has(2)
        await in_thread(server.raise_alarm)
        try:
            later.give_back(delay_seconds=0.1)
            done.acknowledge()
            for count in (3, 4):  # there is room for the fourth when the third has been acknowledged
                (await inbox.has(count))[-1].acknowledge()
            with pytest.raises(BusUnavailableError, match="an alarm is on"):
                await bus.send(messages("orders", ["not now"]))
        finally:
            await in_thread(server.end_alarm)
        await inbox.has_until(lambda: inbox.payloads.count(b"later") > 1)


@pytest.fixture
async def operator(rabbitmq_url: str) -> AsyncIterator[AbstractConnection]:
    """Somebody with the rights to look at queues, and to delete them."""
    connection = await aio_pika.connect(rabbitmq_url)
    yield connection
    await connection.close()


@pytest.fixture
async def bus_with(rabbitmq_url: str, rabbitmq_prefix: str) -> AsyncIterator[OpenAt]:
    def make(**options: Any) -> RabbitmqBus:
        return RabbitmqBus(rabbitmq_url, **{"prefix": rabbitmq_prefix, **OPTIONS, **options})

    async with opening(make) as open_one:
        yield open_one


async def queue_length(operator: AbstractConnection, name: str) -> int | None:
    try:
        async with operator.channel() as channel:
            return (await channel.declare_queue(name, passive=True)).declaration_result.message_count
    except ChannelNotFoundEntity:
        return None


async def test_what_is_delivered_too_often_becomes_a_dead_letter(
    bus_with: OpenAt, operator: AbstractConnection, rabbitmq_prefix: str
) -> None:
    bus = await bus_with(deliveries_max=3)
    counts: list[int] = []

    async def refuse(delivery: Delivery) -> None:
        counts.append(delivery.deliveries)
        delivery.give_back()

    await bus.subscribe(["orders"], "group", refuse, prefetch=1)
    await bus.send(messages("orders", ["poison"]))

    async def done() -> bool:
        return bool(await queue_length(operator, f"{rabbitmq_prefix}.dead"))

    await until(done)
    assert counts == [1, 2, 3, 4]


async def test_a_queue_that_was_deleted_is_made_again(
    bus_with: OpenAt, operator: AbstractConnection, rabbitmq_prefix: str
) -> None:
    bus, inbox = await bus_with(), Inbox()
    await bus.subscribe(["orders"], "group", inbox, prefetch=1)
    name = f"{rabbitmq_prefix}:orders:group"
    async with operator.channel() as channel:
        await (await channel.get_queue(name)).delete(if_unused=False, if_empty=False)

    async def done() -> bool:
        return await queue_length(operator, name) is not None

    await until(done)
    await bus.send(messages("orders", ["after"]))
    await inbox.has(1)


async def test_the_queues_of_a_process_that_is_gone_go_too(
    bus_with: OpenAt, operator: AbstractConnection, rabbitmq_prefix: str
) -> None:
    topic = replies_topic("payments-1")
    bus = await bus_with(short_lived_retention_seconds=0.5)
    stays = await bus.subscribe(["orders"], "payments", Inbox(), prefetch=1)
    leaves = await bus.subscribe([topic], "payments", Inbox(), prefetch=1)
    assert await queue_length(operator, f"{rabbitmq_prefix}:{topic}:payments") == 0
    await leaves.stop()
    await stays.stop()

    async def done() -> bool:
        return not (await queue_length(operator, f"{rabbitmq_prefix}:{topic}:payments") is not None)

    await until(done)
    assert await queue_length(operator, f"{rabbitmq_prefix}:orders:payments") == 0


async def test_a_delayed_message_keeps_its_count_and_its_headers(bus_with: OpenAt) -> None:
    bus, inbox = await bus_with(), Inbox(hold=True)
    await bus.subscribe(["orders"], "group", inbox, prefetch=1)
    (sent,) = messages("orders", ["one"])
    await bus.send([sent])
    for count in range(1, 4):
        delivery = (await inbox.has(count))[-1]
        assert (delivery.message, delivery.deliveries) == (sent, count)
        delivery.give_back(delay_seconds=0.01)


async def test_headers_that_mean_something_to_the_broker_are_only_carried(bus_with: OpenAt) -> None:
    bus, orders, others = await bus_with(), Inbox(), Inbox()
    await bus.subscribe(["orders"], "group", orders, prefetch=10)
    await bus.subscribe(["others"], "group", others, prefetch=10)
    headers = {"CC": "others", "BCC": "others", "x-death": "1", "goconductor-key": "not the key", "ce-type": "x"}
    sent = [Message(topic="orders", key="k", payload=b"", headers=headers), Message(topic="others", key="k", payload=b"last")]
    await bus.send(sent)
    assert [delivery.message for delivery in await orders.has(1)] == sent[:1]
    assert [delivery.message for delivery in await others.has(1)] == sent[1:]


async def test_key_and_headers_that_are_too_large_are_refused_alone(bus_with: OpenAt) -> None:
    bus, inbox = await bus_with(), Inbox()
    await bus.subscribe(["orders"], "group", inbox, prefetch=10)
    large = Message(topic="orders", key="k", payload=b"", headers={"name": "x" * 70_000})
    with pytest.raises(PayloadError, match="headers"):
        await bus.send([*messages("orders", ["one"]), large, *messages("orders", ["two"])])
    await inbox.has(2)
    assert sorted(inbox.payloads) == [b"one", b"two"]


async def test_many_brokers_may_be_named_and_the_first_that_answers_is_taken(rabbitmq_url: str, rabbitmq_prefix: str) -> None:
    bus = RabbitmqBus(f"amqp://a:b@127.0.0.1:1/,{rabbitmq_url}", prefix=rabbitmq_prefix)
    await bus.open()
    await bus.close()


@pytest.mark.parametrize("url", ["localhost", "http://user:hunter2@localhost", "amqp://user:hunter2@localhost:x"])
def test_a_url_that_cannot_be_read_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="amqp://") as raised:
        RabbitmqBus(url)
    assert "hunter2" not in str(raised.value)


class TestOfTheDriversEndings:
    async def test_what_the_driver_cancels_is_tried_again(self) -> None:
        with pytest.raises(BusUnavailableError, match="ended meanwhile"), cancelled_or_unavailable():
            raise asyncio.CancelledError

    async def test_a_limit_holds_though_the_driver_makes_another_error_of_it(self) -> None:
        async def call_the_driver() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ChannelInvalidStateError from None

        async def within_a_limit() -> None:
            async with asyncio.timeout(0.001):
                with cancelled_or_unavailable():
                    await call_the_driver()

        with pytest.raises(TimeoutError):
            await within_a_limit()

    async def test_other_errors_of_the_driver_pass(self) -> None:
        with pytest.raises(ChannelInvalidStateError), cancelled_or_unavailable():
            raise ChannelInvalidStateError
