"""NATS breaks, and what is NATS's own."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

import nats
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from goconductor.buses.nats import NatsBus
from goconductor.buses.nats.topology import Topology
from goconductor.buses.shared import subscription as subscription_module
from goconductor.errors import ConfigurationError
from goconductor.messages.topics import replies_topic
from goconductor.ports.bus import Message
from goconductor.testing.contracts.bus import opening
from goconductor.testing.contracts.inbox import TIMEOUT_SECONDS, Inbox
from tests.contracts.bus_on_a_server import ChecksPasswords, KeepsItsMessages, OpenAt, messages, until
from tests.contracts.one_try import OneTry
from tests.servers.nats import NatsServer

pytestmark = pytest.mark.nats

OPTIONS: dict[str, Any] = {"connect_timeout_seconds": 5.0, "send_timeout_seconds": 60.0}


class TestNatsBusOnAServer(KeepsItsMessages, ChecksPasswords):
    kind = NatsBus
    notices_silence: ClassVar[Mapping[str, Any]] = {"heartbeat_seconds": 1.0}
    dies_soon: ClassVar[Mapping[str, Any]] = {"visibility_seconds": 5.0}
    takes_over = dies_soon  # the consumer is one for all who take from it

    @pytest.fixture
    def server(self, nats_to_break: NatsServer) -> NatsServer:
        return nats_to_break

    @pytest.fixture
    def options(self, nats_prefix: str) -> dict[str, Any]:
        return {"prefix": nats_prefix, **OPTIONS}


@pytest.fixture
async def operator(nats_url: str) -> AsyncIterator[JetStreamContext]:
    """Somebody who looks at streams and consumers."""
    client = await nats.connect(nats_url)
    yield client.jetstream()
    await client.close()


@pytest.fixture
async def bus_with(nats_url: str, nats_prefix: str) -> AsyncIterator[OpenAt]:
    def make(**options: Any) -> NatsBus:
        return NatsBus(nats_url, **{"prefix": nats_prefix, **OPTIONS, **options})

    async with opening(make) as open_one:
        yield open_one


async def consumers(operator: JetStreamContext, prefix: str) -> set[str]:
    return {consumer.name for consumer in await operator.consumers_info(prefix)}


async def test_a_topic_that_has_a_group_has_no_waiting_consumer(
    bus_with: OpenAt, operator: JetStreamContext, nats_prefix: str
) -> None:
    bus, inbox = await bus_with(), Inbox()
    await bus.send(messages("orders", ["early"]))
    assert await consumers(operator, nats_prefix) == {"orders~"}
    await bus.subscribe(["orders"], "group", inbox, prefetch=1)
    await inbox.has(1)
    await (await bus_with()).send(messages("orders", ["late"]))
    await inbox.has(2)
    assert await consumers(operator, nats_prefix) == {"orders~group"}


async def test_what_every_group_has_acknowledged_is_gone(bus_with: OpenAt, operator: JetStreamContext, nats_prefix: str) -> None:
    bus, stock, audit = await bus_with(), Inbox(), Inbox()
    await bus.subscribe(["orders"], "stock", stock, prefetch=10)
    await bus.subscribe(["orders"], "audit", audit, prefetch=10)
    await bus.send(messages("orders", ["one", "two"]))
    await stock.has(2)
    await audit.has(2)

    async def done() -> bool:
        return not ((await operator.stream_info(nats_prefix)).state.messages)

    await until(done)


async def test_the_consumers_of_a_process_that_is_gone_go_too(
    bus_with: OpenAt, operator: JetStreamContext, nats_prefix: str
) -> None:
    bus = await bus_with(short_lived_retention_seconds=0.5)
    stays = await bus.subscribe(["orders"], "payments", Inbox(), prefetch=1)
    leaves = await bus.subscribe([replies_topic("payments-1")], "payments", Inbox(), prefetch=1)
    await leaves.stop()
    await stays.stop()

    async def done() -> bool:
        return await consumers(operator, nats_prefix) == {"orders~payments"}

    await until(done)


async def test_a_consumer_that_was_deleted_is_made_again(bus_with: OpenAt, operator: JetStreamContext, nats_prefix: str) -> None:
    bus, inbox = await bus_with(), Inbox()
    await bus.subscribe(["orders"], "group", inbox, prefetch=1)
    await bus.send(messages("orders", ["before"]))
    await inbox.has(1)
    await operator.delete_consumer(nats_prefix, "orders~group")

    async def done() -> bool:
        return "orders~group" in await consumers(operator, nats_prefix)

    await until(done)
    await bus.send(messages("orders", ["after"]))
    await inbox.has(2)


@pytest.fixture
async def watcher(nats_url: str) -> AsyncIterator[Client]:
    """Somebody who hears what is asked of the server."""
    client = await nats.connect(nats_url)
    yield client
    await client.close()


@pytest.mark.parametrize("deleted", [("",), ("-groups",), ("", "-groups")])
async def test_streams_that_were_deleted_are_made_again(
    bus_with: OpenAt, operator: JetStreamContext, nats_prefix: str, deleted: tuple[str, ...]
) -> None:
    sender, taker, inbox = await bus_with(), await bus_with(), Inbox()
    await taker.subscribe(["orders"], "group", inbox, prefetch=1)
    await sender.send(messages("orders", ["before"]))
    await inbox.has(1)
    for each in deleted:
        await operator.delete_stream(f"{nats_prefix}{each}")
    await sender.send(messages("orders", ["after"]))
    await inbox.has_until(lambda: b"after" in inbox.payloads)


async def test_what_is_sent_before_the_groups_are_back_waits_for_them(
    bus_with: OpenAt, operator: JetStreamContext, nats_prefix: str
) -> None:
    sender, taker, inbox = await bus_with(), await bus_with(), Inbox()
    await (await taker.subscribe(["orders"], "group", inbox, prefetch=1)).stop()
    await sender.send(messages("orders", ["before"]))
    await operator.delete_stream(nats_prefix)
    await sender.send(messages("orders", ["meanwhile"]))
    assert await consumers(operator, nats_prefix) == {"orders~"}
    await taker.subscribe(["orders"], "group", inbox, prefetch=1)
    await inbox.has(1)
    assert inbox.payloads == [b"meanwhile"]


async def test_what_is_refused_at_once_is_not_tried_again_at_once(
    bus_with: OpenAt, operator: JetStreamContext, watcher: Client, nats_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription_module, "Patience", OneTry)
    tries = await watcher.subscribe(f"$JS.API.STREAM.CREATE.{nats_prefix}")
    subscription = await (await bus_with()).subscribe(["orders"], "group", Inbox(), prefetch=1)
    first = await tries.next_msg(timeout=TIMEOUT_SECONDS)
    assert first.subject.endswith(nats_prefix)
    await operator.add_stream(name=f"{nats_prefix}-other", subjects=[f"{nats_prefix}-other"])
    await operator.delete_stream(nats_prefix)
    await operator.update_stream(name=f"{nats_prefix}-other", subjects=[f"{nats_prefix}.topic.*"])
    await tries.next_msg(timeout=TIMEOUT_SECONDS)
    for _ in range(20):  # news, each of which it could take for a reason
        subscription.resume()
        await operator.account_info()
    assert tries.pending_msgs == 0


async def test_headers_that_mean_something_to_the_server_are_only_carried(bus_with: OpenAt) -> None:
    bus, inbox = await bus_with(), Inbox()
    await bus.subscribe(["orders"], "group", inbox, prefetch=10)
    headers = {"Nats-Msg-Id": "1", "nats-ttl": "1s", "Status": "503", "Goconductor-Key": "no", "ce-type": "x", "a": " b "}
    sent = [Message(topic="orders", key=f"{number}", payload=b"", headers=headers) for number in range(2)]
    await bus.send(sent)
    assert sorted((delivery.message for delivery in await inbox.has(2)), key=lambda message: message.key) == sent


async def test_a_server_that_takes_less_than_the_bus_sends_is_told_at_once(nats_url: str, nats_prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="payload_bytes_max to 983040"):
        await NatsBus(nats_url, prefix=nats_prefix, payload_bytes_max=64 << 20).open()


async def test_many_servers_may_be_named_and_one_that_answers_is_taken(nats_url: str, nats_prefix: str) -> None:
    bus = NatsBus(f"nats://127.0.0.1:1,{nats_url}", prefix=nats_prefix)
    await bus.open()
    await bus.close()


@pytest.mark.parametrize("url", ["localhost", "http://user:hunter2@localhost", "nats://user:hunter2@localhost:x"])
def test_a_url_that_cannot_be_read_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="nats://") as raised:
        NatsBus(url)
    assert "hunter2" not in str(raised.value)


async def test_only_the_topics_used_last_are_remembered(bus_with: OpenAt, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server answers thousands of processes, each under a topic of its own."""
    asked, is_marked = list[str](), Topology._is_marked

    async def noting(topology: Topology, client: Client, topic: str) -> bool:
        asked.append(topic)
        return await is_marked(topology, client, topic)

    monkeypatch.setattr(Topology, "_is_marked", noting)
    monkeypatch.setattr("goconductor.buses.shared.bounds.TOPICS_KNOWN_MAX", 2)
    bus = await bus_with()

    async def asks_for(topic: str) -> bool:
        asked.clear()
        await bus.send(messages(topic, ["one"]))
        return bool(asked)

    asks = [await asks_for(topic) for topic in ("one", "two", "one", "three", "one", "two")]
    assert asks == [True, True, False, True, False, True]
