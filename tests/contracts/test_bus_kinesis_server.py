"""Kinesis breaks, and what is Kinesis's own. kinesis-local keeps nothing over a restart and checks no credentials."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

import asyncpg
import pytest
from botocore.exceptions import ClientError

from goconductor.buses.kinesis import KinesisBus, leases
from goconductor.buses.kinesis.assignment import share_of
from goconductor.buses.shared import amazon
from goconductor.errors import ConfigurationError, PoolerError
from goconductor.messages.topics import replies_topic
from goconductor.ports.bus import Delivery, Message, pass_on
from goconductor.postgres.setup import end
from goconductor.testing.contracts.inbox import Inbox
from goconductor.testing.contracts.payloads import SENSITIVE
from tests.contracts.amazon_rights import AmazonRights
from tests.contracts.bus_on_a_server import BusOnAServer, Counting, OpenAt, in_thread, messages, send_surely, until
from tests.servers.fixtures.pooler import Pooler
from tests.servers.kinesis import KinesisServer

pytestmark = [pytest.mark.kinesis, pytest.mark.postgres]

CODES = ("ExpiredIteratorException", "ProvisionedThroughputExceededException", "ExpiredIteratorException")
OPTIONS: dict[str, Any] = {
    "poll_seconds": 0.2,
    "tick_seconds": 0.3,
    "lease_seconds": 30.0,  # a machine that is busy must not make anybody look dead
    "drain_seconds": 60.0,
    "shards": 2,
    "connect_timeout_seconds": 5.0,
    "send_timeout_seconds": 60.0,
}


class TestKinesisBusOnAServer(BusOnAServer):
    kind = KinesisBus
    many = 4_000  # the server takes longer for each that it has already
    backlog = 600, 5_000
    many_topics: ClassVar[Mapping[str, Any]] = {"shards": 1, "poll_seconds": 0.5}
    competitors, shared = 2, 500  # a shard has one reader
    dies_soon: ClassVar[Mapping[str, Any]] = {"lease_seconds": 8.0}
    takes_over: ClassVar[Mapping[str, Any]] = {"lease_seconds": 2.0}  # so long it waits for its share
    counts_over_a_death = False

    @pytest.fixture(autouse=True)
    def sent_once(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a busy server has not answered in time would be sent again."""
        if "get_each_message_once" in request.node.name:
            monkeypatch.setattr("goconductor.buses.kinesis.sending.ANSWER_SECONDS", 240.0)

    @pytest.fixture
    def server(self, kinesis_to_break: KinesisServer) -> KinesisServer:
        return kinesis_to_break

    @pytest.fixture
    def options(self, amazon_prefix: str, postgres_url: str) -> dict[str, Any]:
        return {"prefix": amazon_prefix, "database_url": postgres_url, **OPTIONS}

    @pytest.fixture(autouse=True)
    def small_reads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In proportion to the backlog of the slow consumer."""
        monkeypatch.setattr("goconductor.buses.kinesis.reading.READ_BYTES", 64 * 1024)

    async def test_the_server_restarts_with_nothing_and_new_messages_flow_by_themselves(
        self, server: KinesisServer, open_at: OpenAt
    ) -> None:
        sender, receiver = await open_at(), Counting()
        await (await open_at()).subscribe(["orders"], "group", receiver, prefetch=50)
        await sender.send(messages("orders", [f"before {number}" for number in range(100)]))
        await receiver.has(100)
        await in_thread(server.kill)
        await in_thread(server.start)
        after = [f"after {number}" for number in range(100)]
        await send_surely(sender, messages("orders", after))
        await until(lambda: {name.encode() for name in after} <= receiver.counts.keys())


@pytest.fixture
async def bus_with(kinesis_url: str, postgres_url: str, amazon_prefix: str) -> AsyncIterator[OpenAt]:
    opened: list[KinesisBus] = []

    async def open_one(**others: Any) -> KinesisBus:
        bus = KinesisBus(kinesis_url, **{"prefix": amazon_prefix, "database_url": postgres_url, **OPTIONS, **others})
        await bus.open()
        opened.append(bus)
        return bus

    yield open_one
    await asyncio.gather(*(bus.close() for bus in opened))


@pytest.fixture
async def operator(kinesis_url: str) -> AsyncIterator[amazon.Client]:
    """Somebody who reshards."""
    address = amazon.parse_url("kinesis", kinesis_url, region=None, endpoint_url=None, profile=None, role_arn=None, session=None)
    client = await amazon.connect("kinesis", address, connect_timeout_seconds=5.0)
    yield client
    await amazon.close(client)


async def test_what_can_never_be_taken_here_goes_on_to_another_instance(
    bus_with: OpenAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a rolling upgrade: one instance lacks the step, the other has it. What only waits would wait here for a day."""
    monkeypatch.setattr("goconductor.buses.kinesis.taking.LOCAL_FOR_SECONDS", 86_400.0)
    refused, able = set[str](), Inbox()

    async def unable(delivery: Delivery) -> None:
        refused.add(delivery.message.key)
        pass_on(delivery, 0.01)

    lacking, having = await bus_with(), await bus_with()
    await lacking.subscribe(["orders"], "group", unable, prefetch=10)
    await having.subscribe(["orders"], "group", able, prefetch=10)
    sent = {f"key {number}": SENSITIVE[number % len(SENSITIVE)] for number in range(40)}
    await lacking.send([Message(topic="orders", key=key, payload=payload) for key, payload in sent.items()])
    await able.has_until(lambda: {each.message.key for each in able.deliveries} == sent.keys())
    assert all(each.message.payload == sent[each.message.key] for each in able.deliveries)
    assert refused  # else it had no shard, and nothing was passed on


async def readers_of(postgres_url: str) -> Counter[str]:
    """How many shards each reader has."""
    connection = await asyncpg.connect(postgres_url)
    try:
        rows = await connection.fetch(
            "SELECT reader, count(*) AS shards FROM goconductor_kinesis.shards WHERE reader IS NOT NULL AND NOT drained"
            " AND expires_at > clock_timestamp() GROUP BY reader"
        )
        return Counter({row["reader"]: row["shards"] for row in rows})
    finally:
        await connection.close()


async def test_a_parent_is_drained_before_its_children_are_read(
    bus_with: OpenAt, operator: amazon.Client, amazon_prefix: str
) -> None:
    bus, inbox = await bus_with(shards=1), Inbox(hold=True)
    subscription = await bus.subscribe(["orders"], "group", inbox, prefetch=100)
    await bus.send([Message(topic="orders", key="saga", payload=b"parent")])
    (parent,) = await inbox.has(1)
    stream = f"{amazon_prefix}.orders"
    (shard,) = (await operator.list_shards(StreamName=stream))["Shards"]
    await operator.split_shard(StreamName=stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(1 << 127))

    async def is_split() -> bool:
        described = await operator.describe_stream_summary(StreamName=stream)
        return bool(described["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE")

    await until(is_split)
    await bus.send([Message(topic="orders", key=f"saga {number}", payload=b"child") for number in range(10)])
    other = Inbox()
    second = await (await bus_with()).subscribe(["orders"], "group", other, prefetch=100)
    assert inbox.payloads == [b"parent"]
    assert not other.payloads
    parent.acknowledge()
    await until(lambda: len(inbox.payloads) + len(other.payloads) == 11)
    assert {*inbox.payloads[1:], *other.payloads} == {b"child"}
    await subscription.stop()
    await second.stop()


async def test_each_reader_hears_of_the_children_of_a_split_from_who_drained_the_parent(
    bus_with: OpenAt, operator: amazon.Client, amazon_prefix: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goconductor.buses.kinesis.assignment.SHARDS_SECONDS", 86_400.0)  # nobody looks without a reason
    for _ in range(2):
        await (await bus_with(shards=1)).subscribe(["orders"], "group", Inbox(), prefetch=10)
    stream = f"{amazon_prefix}.orders"
    (shard,) = (await operator.list_shards(StreamName=stream))["Shards"]
    await operator.split_shard(StreamName=stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(1 << 127))

    async def shared() -> bool:
        return sorted((await readers_of(postgres_url)).values()) == [1, 1]

    await until(shared)


async def test_shards_are_shared_evenly_and_taken_over_when_an_instance_leaves(bus_with: OpenAt, postgres_url: str) -> None:
    buses = [await bus_with(shards=4) for _ in range(2)]
    for bus in buses:
        await bus.subscribe(["orders"], "group", Inbox(), prefetch=10)

    async def shared() -> bool:
        return sorted((await readers_of(postgres_url)).values()) == [2, 2]

    await until(shared)
    await buses[0].close()

    async def taken_over() -> bool:
        return sorted((await readers_of(postgres_url)).values()) == [4]

    await until(taken_over)


@pytest.mark.parametrize(
    ("held", "shards", "shares"),
    [
        ({"a": 0, "b": 0}, 0, {"a": 0, "b": 0}),
        ({"a": 0, "b": 0}, 3, {"a": 2, "b": 1}),
        ({"a": 1, "b": 2}, 3, {"a": 1, "b": 2}),  # who has more keeps it
        ({"a": 2, "b": 2, "c": 0}, 4, {"a": 2, "b": 1, "c": 1}),  # a third one gets its share
        ({"a": 0, "b": 0, "c": 1}, 1, {"a": 0, "b": 0, "c": 1}),
    ],
)
def test_shares_are_as_even_as_can_be_and_move_no_more_than_they_must(
    held: dict[str, int], shards: int, shares: dict[str, int]
) -> None:
    assert {reader: share_of(reader, held, shards) for reader in held} == shares


async def test_leases_are_renewed_while_kinesis_is_silent(
    bus_with: OpenAt, kinesis_url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    async def silent(client: Any, operation: str, within_seconds: float, **arguments: Any) -> dict[str, Any]:
        looks.append(operation)
        await asyncio.Event().wait()
        raise AssertionError

    bus = await bus_with()
    await bus.subscribe(["orders"], "group", Inbox(), prefetch=10)
    monkeypatch.setattr("goconductor.buses.kinesis.assignment.SHARDS_SECONDS", 0.0)
    monkeypatch.setattr("goconductor.buses.kinesis.streams.call", silent)
    await until(lambda: bool(looks))
    connection = await asyncpg.connect(postgres_url)
    ends = set()

    async def is_renewed() -> bool:
        ends.add(await connection.fetchval("SELECT min(expires_at) FROM goconductor_kinesis.shards WHERE reader IS NOT NULL"))
        return len(ends) > 3

    await until(is_renewed)
    await connection.close()


async def test_an_iterator_that_expired_is_renewed_after_the_record_read_last(
    bus_with: OpenAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, inbox = await bus_with(shards=1), Inbox()
    await bus.subscribe(["orders"], "group", inbox, prefetch=10)
    await bus.send(messages("orders", ["one"]))
    await inbox.has(1)
    refused: list[str] = []

    async def expiring(client: Any, operation: str, within_seconds: float, **arguments: Any) -> dict[str, Any]:
        if operation == "get_records" and len(refused) < 3:
            refused.append(operation)
            raise ClientError(
                {"Error": {"Code": CODES[len(refused) - 1]}, "ResponseMetadata": {"HTTPStatusCode": 400}}, operation
            )
        return await amazon.call(client, operation, within_seconds, **arguments)

    monkeypatch.setattr("goconductor.buses.kinesis.reading.call", expiring)
    await until(lambda: len(refused) == 3)
    await bus.send(messages("orders", ["two"]))
    await inbox.has(2)
    assert inbox.payloads == [b"one", b"two"]


async def test_of_a_request_that_was_taken_in_part_only_the_rest_is_sent_again(
    bus_with: OpenAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, receiver = await bus_with(), Counting()
    await bus.subscribe(["orders"], "group", receiver, prefetch=10)
    sizes = []

    async def in_part(client: Any, operation: str, within_seconds: float, **arguments: Any) -> dict[str, Any]:
        if operation != "put_records":
            return await amazon.call(client, operation, within_seconds, **arguments)
        records = arguments.pop("Records")
        sizes.append(len(records))
        taken = records if len(sizes) > 1 else records[::2]
        answer = await amazon.call(client, operation, within_seconds, Records=taken, **arguments)
        if len(sizes) == 1:
            refused = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "too fast"}
            answer["Records"] = [each for taken in answer["Records"] for each in (taken, refused)]
        return answer

    monkeypatch.setattr("goconductor.buses.kinesis.sending.call", in_part)
    await bus.send(messages("orders", [f"{number}" for number in range(20)]))
    await receiver.has(20)
    assert sizes == [20, 10]
    assert set(receiver.counts.values()) == {1}


async def test_a_stream_that_is_there_is_written_to_without_asking_for_it(
    bus_with: OpenAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, asked = Counting(), []
    await (await (await bus_with()).subscribe(["orders"], "group", receiver, prefetch=10)).stop()

    async def noting(client: Any, operation: str, within_seconds: float, **arguments: Any) -> dict[str, Any]:
        asked.append(operation)
        return await amazon.call(client, operation, within_seconds, **arguments)

    bus = await bus_with()
    monkeypatch.setattr("goconductor.buses.kinesis.streams.call", noting)
    await bus.send(messages("orders", ["one"]))
    assert asked == []
    await bus.send(messages("parcels", ["one"]))
    assert "create_stream" in asked


async def test_streams_are_made_with_patience_where_amazon_rations_what_it_says_of_them(
    bus_with: OpenAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttled = set()

    async def rationed(client: Any, operation: str, within_seconds: float, **arguments: Any) -> dict[str, Any]:
        if operation not in throttled:
            throttled.add(operation)
            raise ClientError({"Error": {"Code": "LimitExceededException"}}, operation)
        return await amazon.call(client, operation, within_seconds, **arguments)

    monkeypatch.setattr("goconductor.buses.kinesis.streams.call", rationed)
    bus, inbox = await bus_with(retention_hours=48), Inbox()
    await bus.subscribe(["orders"], "group", inbox, prefetch=10)
    await bus.send(messages("orders", ["one"]))
    await inbox.has(1)
    assert throttled == {"list_shards", "describe_stream_summary", "create_stream", "increase_stream_retention_period"}


async def test_replies_to_all_processes_share_a_stream_and_leave_nothing_behind(
    bus_with: OpenAt, operator: amazon.Client, amazon_prefix: str, postgres_url: str
) -> None:
    inboxes = [Inbox(), Inbox()]
    subscriptions = [
        await (await bus_with(short_lived_prefixes=["goconductor.replies."])).subscribe(
            [replies_topic(f"payments-{number}")], "payments", inbox, prefetch=1
        )
        for number, inbox in enumerate(inboxes)
    ]
    await (await bus_with()).send(
        [Message(topic=replies_topic(f"payments-{each}"), key="k", payload=b"%d" % each) for each in range(2)]
    )
    for number, inbox in enumerate(inboxes):
        await inbox.has(1)
        assert inbox.payloads == [b"%d" % number]
    streams = (await operator.list_streams())["StreamNames"]
    assert [name for name in streams if name.startswith(amazon_prefix)] == [f"{amazon_prefix}.goconductor.replies"]
    for subscription in subscriptions:
        await subscription.stop()
    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval("SELECT count(*) FROM goconductor_kinesis.shards") == 0
    await connection.close()


@pytest.mark.postgres
async def test_leases_live_behind_a_session_pooler_and_refuse_another_by_its_name(pooler: Pooler) -> None:
    async with pooler("session") as url:
        connection = await leases.set_up(leases.address_of(url), "pooled_leases", connect_timeout_seconds=20).dial()
        assert await connection.fetchval("SHOW search_path") == "pooled_leases"
        await end(connection)
    async with pooler("transaction") as url:
        with pytest.raises(PoolerError, match="straight to the server"):
            await leases.set_up(leases.address_of(url), "pooled_leases", connect_timeout_seconds=20).dial()


async def test_a_database_url_that_cannot_be_read_is_told_without_its_password(kinesis_url: str) -> None:
    with pytest.raises(ConfigurationError, match="database_url") as raised:
        await KinesisBus(kinesis_url, database_url="postgresql://user:hunter2@localhost:x/db").open()
    assert "hunter2" not in str(raised.value)


class TestKinesisBusAndItsRights(AmazonRights):
    kind = KinesisBus
    service = "kinesis"

    @pytest.fixture
    def options(self, postgres_url: str) -> dict[str, Any]:
        return {"database_url": postgres_url, **OPTIONS, "shards": 1}
