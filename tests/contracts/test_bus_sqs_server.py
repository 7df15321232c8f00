"""SQS breaks, and what is SQS's own. ElasticMQ keeps its messages over a restart; it checks no credentials, which moto does."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

import pytest

from goconductor.buses.shared import amazon
from goconductor.buses.sqs import SqsBus
from goconductor.buses.sqs.topology import Topology
from goconductor.ports.bus import Delivery
from goconductor.testing.contracts.bus import opening
from goconductor.testing.contracts.inbox import TIMEOUT_SECONDS
from tests.contracts.amazon_rights import AmazonRights
from tests.contracts.bus_on_a_server import KeepsItsMessages, OpenAt, messages, until
from tests.servers.elasticmq import ElasticmqServer

pytestmark = pytest.mark.sqs

OPTIONS: dict[str, Any] = {
    "wait_seconds": 1,
    "groups_cache_seconds": 0.2,
    "connect_timeout_seconds": 5.0,
    "send_timeout_seconds": 60.0,
}


class TestSqsBusOnAServer(KeepsItsMessages):
    kind = SqsBus
    many = 5_000
    backlog = 600, 20_000
    load = 500
    dies_soon: ClassVar[Mapping[str, Any]] = {"visibility_seconds": 6}

    @pytest.fixture(autouse=True)
    def sent_once(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a busy server has not answered in time would be sent again."""
        if "get_each_message_once" in request.node.name:
            monkeypatch.setattr("goconductor.buses.sqs.sending.ANSWER_SECONDS", 240.0)

    @pytest.fixture
    def server(self, sqs_to_break: ElasticmqServer) -> ElasticmqServer:
        return sqs_to_break

    @pytest.fixture
    def options(self, amazon_prefix: str) -> dict[str, Any]:
        return {"prefix": amazon_prefix, **OPTIONS}


class TestSqsBusAndItsRights(AmazonRights):
    kind = SqsBus
    service = "sqs"

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {**OPTIONS}


@pytest.fixture
async def bus_with(sqs_url: str, amazon_prefix: str) -> AsyncIterator[OpenAt]:
    def make(**options: Any) -> SqsBus:
        return SqsBus(sqs_url, **{"prefix": amazon_prefix, **OPTIONS, **options})

    async with opening(make) as open_one:
        yield open_one


@pytest.fixture
async def operator(sqs_url: str) -> AsyncIterator[amazon.Client]:
    """Somebody who looks at queues."""
    address = amazon.parse_url("sqs", sqs_url, region=None, endpoint_url=None, profile=None, role_arn=None, session=None)
    client = await amazon.connect("sqs", address, connect_timeout_seconds=5.0)
    yield client
    await amazon.close(client)


def topology_of(prefix: str) -> Topology:
    return Topology(
        prefix=prefix,
        fifo=False,
        visibility_seconds=30,
        retention_seconds=3600,
        deliveries_max=None,
        groups_cache_seconds=3600.0,
        short_lived_prefixes=("replies.",),
        short_lived_retention_seconds=3600.0,
    )


async def test_senders_that_come_together_look_for_their_queue_once(operator: amazon.Client, amazon_prefix: str) -> None:
    topology = topology_of(amazon_prefix)
    looks: list[str] = []
    operator.meta.events.register("before-call.sqs.GetQueueUrl", lambda params, **_: looks.append(str(params["body"])))
    found = await asyncio.gather(*(topology.queues(operator, "orders") for _ in range(200)))
    assert len(looks) == 1
    assert {tuple(queues) for queues in found} == {tuple(found[0])}
    assert len(found[0]) == 1


async def test_only_the_topics_used_last_are_remembered(
    operator: amazon.Client, amazon_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server answers thousands of processes, each under a topic of its own."""
    monkeypatch.setattr("goconductor.buses.shared.bounds.TOPICS_KNOWN_MAX", 2)
    topology = topology_of(amazon_prefix)
    looks: list[str] = []
    operator.meta.events.register("before-call.sqs.GetQueueUrl", lambda params, **_: looks.append(str(params["body"])))

    async def looks_for(topic: str) -> int:
        looks.clear()
        await topology.queues(operator, topic)
        return len(looks)

    assert [await looks_for(topic) for topic in ("one", "two", "one", "three", "one", "two")] == [1, 1, 0, 1, 0, 1]


async def test_a_request_whose_client_is_given_up_fails_as_any_other(
    sqs_url: str, amazon_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool that is closed cancels whoever waits in it. Nobody cancelled the sender, so it tries again."""
    monkeypatch.setattr(amazon, "CONNECTIONS_MAX", 1)
    address = amazon.parse_url("sqs", sqs_url, region=None, endpoint_url=None, profile=None, role_arn=None, session=None)
    client = await amazon.connect("sqs", address, connect_timeout_seconds=60.0)
    queue = (await client.create_queue(QueueName=f"{amazon_prefix}-quiet"))["QueueUrl"]
    taken, waits = asyncio.Event(), asyncio.Event()
    client.meta.events.register("before-send.sqs.ReceiveMessage", lambda **_: taken.set())
    client.meta.events.register("before-send.sqs.ListQueues", lambda **_: waits.set())
    first = asyncio.create_task(amazon.call(client, "receive_message", 60.0, QueueUrl=queue, WaitTimeSeconds=20))
    await taken.wait()
    second = asyncio.create_task(amazon.call(client, "list_queues", 60.0, QueueNamePrefix=amazon_prefix))
    await waits.wait()
    await amazon.close(client)
    with pytest.raises(ConnectionAbortedError, match="given up"):
        await second
    await asyncio.gather(first, return_exceptions=True)


async def dead_letters(operator: amazon.Client, prefix: str, *, fifo: bool) -> int:
    queue = (await operator.get_queue_url(QueueName=f"{prefix}-dead{'.fifo' if fifo else ''}"))["QueueUrl"]
    answer = await operator.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


@pytest.mark.parametrize("fifo", [False, True])
async def test_what_nobody_has_time_for_is_no_dead_letter(
    bus_with: OpenAt, operator: amazon.Client, amazon_prefix: str, *, fifo: bool
) -> None:
    bus, counts, done = await bus_with(deliveries_max=4, fifo=fifo), list[int](), asyncio.Event()

    async def busy(delivery: Delivery) -> None:
        assert delivery.message == sent
        counts.append(delivery.deliveries)
        if len(counts) < 12:
            delivery.give_back()
        else:
            delivery.acknowledge()
            done.set()

    (sent,) = messages("orders", ["one"])
    subscription = await bus.subscribe(["orders"], "group", busy, prefetch=1)
    await bus.send([sent])
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await done.wait()
    await subscription.stop()
    assert counts == list(range(1, 13))
    assert await dead_letters(operator, amazon_prefix, fifo=fifo) == 0


async def test_what_fails_too_often_is_a_dead_letter(bus_with: OpenAt, operator: amazon.Client, amazon_prefix: str) -> None:
    bus = await bus_with(deliveries_max=2)

    async def fail(_: Delivery) -> None:
        raise ZeroDivisionError

    await bus.subscribe(["orders"], "group", fail, prefetch=1)
    await bus.send(messages("orders", ["poison"]))

    async def is_dead() -> bool:
        return await dead_letters(operator, amazon_prefix, fifo=False) == 1

    await until(is_dead)
