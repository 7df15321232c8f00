"""The leader publishes events: each at least once, those of a saga in the order of its log, whoever leads."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from goconductor import PermanentError, Saga
from goconductor.control.sagas.starting import start_fire
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import BusUnavailableError, CursorLostError, FencedError, PayloadError
from goconductor.lifecycle.facts.events import PauseRequested, ResumeRequested
from goconductor.ports.bus import Bus, Delivery, Message
from goconductor.recovery.feed.cloud_events import CONTENT_TYPE, Wish
from goconductor.recovery.feed.publishing import NAME, Publishing
from goconductor.recovery.feed.telling import Teller
from goconductor.recovery.leadership import LeadTerm
from goconductor.recovery.retention import Retaining
from goconductor.testing.clock import settle
from goconductor.testing.world import World

TOPIC = "orders.events"
SECRET = "canary-4711"


class Reader:
    """Who reads the topic."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def receive(self, delivery: Delivery) -> None:
        self.messages.append(delivery.message)
        delivery.acknowledge()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(message.payload) for message in self.messages]

    def of(self, saga_id: UUID) -> list[str]:
        return [each["type"].removeprefix("goconductor.") for each in self.events if each["subject"] == str(saga_id)]

    def firsts(self, saga_id: UUID) -> list[str]:
        """What came of a saga, without repetitions."""
        return [*dict.fromkeys(each["id"] for each in self.events if each["subject"] == str(saga_id))]


class Shop:
    def __init__(self, world: World, node: Node, reader: Reader) -> None:
        self.world, self.node, self.reader = world, node, reader

    async def epoch(self, name: str = "leader") -> int:
        term = await self.world.store.terms.raise_epoch(name, 1e9)
        assert term is not None
        return term.epoch

    def publishing(self, *types: str, bodies: bool = False, limit: int = 500) -> Publishing:
        return Publishing(self.node, TOPIC, Wish(types, bodies=bodies), limit=limit)

    async def sell(self, sku: str = "tea") -> UUID:
        saga: Saga[Any] = Saga("order")
        paid = saga.step("shop.pay", inputs={"sku": saga.input["sku"]})
        saga.step("shop.pack", inputs={"sku": saga.input["sku"], "receipt": paid.output})
        await self.node.definitions.register(saga.definition)
        saga_id = await start_fire(self.node, "order", {"sku": sku}, key=str(uuid4()), labels={"team": "a"})
        await self.world.end_of(saga_id)
        return saga_id

    async def all_of(self, publishing: Publishing, epoch: int = 0, bus: Bus | None = None) -> None:
        """Publish all that there is. Each time another one leads, as the world's own sweep does in between."""
        epoch = epoch or await self.epoch()
        while (await publishing.publish_once(epoch, bus or self.node.bus))[1]:
            pass
        await settle()


@pytest.fixture
async def shop(world: World) -> AsyncIterator[Shop]:
    registry = StepRegistry("shop")

    @registry.step
    async def pay(sku: str) -> str:
        return f"{SECRET} for {sku}"

    @pay.compensation
    async def pay_back(sku: str) -> None: ...

    @registry.step
    async def pack(sku: str, receipt: str) -> None:
        if sku == "nothing":
            raise PermanentError(f"no {SECRET}")

    reader, bus = Reader(), world.bus()
    await bus.open()
    reading = await bus.subscribe([TOPIC], "analytics", reader.receive, prefetch=10_000)
    yield Shop(world, await world.node(registry), reader)
    await reading.stop()
    await bus.close()


async def test_a_saga_is_told_from_its_start_to_its_end(shop: Shop) -> None:
    publishing = shop.publishing()
    await shop.all_of(publishing)
    saga_id = await shop.sell()
    await shop.all_of(publishing)
    assert shop.reader.of(saga_id) == [
        *("event.SagaStarted", "saga.queued", "event.ActionSucceeded", "saga.running"),
        *("event.ActionSucceeded", "saga.completed"),
    ]
    first = shop.reader.events[0]
    entry = (await shop.world.store.sagas.history(saga_id))[0]
    data = first.pop("data")
    assert first == {
        "specversion": "1.0",
        "id": f"{saga_id}.{entry.event_id}",
        "source": "/goconductor/sagas/order",
        "type": "goconductor.event.SagaStarted",
        "subject": str(saga_id),
        "time": "2027-01-15T08:00:00Z",
        "partitionkey": str(saga_id),
        "correlationid": str(saga_id),
        "sequence": "00000000000000000001",
    }
    assert data == {
        "saga_id": str(saga_id),
        "saga": "order",
        "labels": {"team": "a"},
        "seq": 1,
        "event": "SagaStarted",
        "status": "queued",
        "participant": data["participant"],
        "version": data["version"],
    }
    assert {message.key for message in shop.reader.messages} == {str(saga_id)}
    assert {message.headers["content-type"] for message in shop.reader.messages} == {CONTENT_TYPE}
    assert len({each["id"] for each in shop.reader.events}) == len(shop.reader.events)
    assert [each["sequence"] for each in shop.reader.events] == sorted(each["sequence"] for each in shop.reader.events)
    assert SECRET not in str(shop.reader.messages)


async def test_only_what_is_wished_for_is_sent_and_bodies_where_they_are(shop: Shop) -> None:
    publishing = shop.publishing("saga.comp*", "event.ActionFailed", bodies=True)
    await shop.all_of(publishing)
    sold, failed = await shop.sell(), await shop.sell("nothing")
    await shop.all_of(publishing)
    assert shop.reader.of(sold) == ["saga.completed"]
    assert shop.reader.of(failed) == ["event.ActionFailed", "saga.compensating", "saga.compensated"]
    told = next(each for each in shop.reader.events if each["type"] == "goconductor.event.ActionFailed")
    assert told["data"]["body"]["failure"]["message"] == f"no {SECRET}"
    assert (told["data"]["step"], told["data"]["before"], told["data"]["status"]) == ("pack", "running", "compensating")


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_an_end_is_told_in_pages_of_any_size_also_where_the_saga_went_on(shop: Shop, limit: int) -> None:
    publishing = shop.publishing("saga.*", limit=limit)
    await shop.all_of(publishing)
    saga: Saga[Any] = Saga("slow")
    saga.delay("1h", id="hour")
    saga_id = await shop.world.start(saga)
    for request in (PauseRequested(by="a"), ResumeRequested(by="a")):
        await shop.node.request(saga_id, request)
    await shop.world.end_of(saga_id)
    others = [await shop.sell() for _ in range(3)]
    await shop.all_of(publishing)
    assert shop.reader.of(saga_id) == ["saga.waiting", "saga.paused", "saga.waiting", "saga.completed"]
    assert [shop.reader.of(each) for each in others] == [["saga.queued", "saga.running", "saga.completed"]] * 3


async def test_nothing_is_told_of_the_time_before_somebody_wished_for_it(shop: Shop) -> None:
    await shop.sell()
    await shop.all_of(shop.publishing(), await shop.epoch())
    assert shop.reader.messages == []
    saga_id = await shop.sell()
    await shop.all_of(shop.publishing(), await shop.epoch("the next one"))  # which begins where the one before was
    assert {each["subject"] for each in shop.reader.events} == {str(saga_id)}


class Failing:
    """The bus in use, that breaks off in the middle when it is told to."""

    def __init__(self, bus: Bus) -> None:
        self._bus, self.left = bus, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def send(self, messages: Sequence[Message]) -> None:
        await self._bus.send(messages[: self.left])
        if self.left < len(messages):
            raise BusUnavailableError("the broker is away")


@pytest.mark.parametrize("left", range(7))
async def test_what_breaks_off_in_the_middle_is_sent_again_by_whoever_leads(shop: Shop, left: int) -> None:
    await shop.all_of(shop.publishing(), await shop.epoch())
    saga_id = await shop.sell()
    bus = Failing(shop.node.bus)
    bus.left = left
    try:
        await shop.publishing().publish_once(await shop.epoch("dies"), bus)
    except BusUnavailableError:
        assert left < 6
    await shop.all_of(shop.publishing(), await shop.epoch("the next one"))
    log = await shop.world.store.sagas.history(saga_id)
    events = [name for name in shop.reader.firsts(saga_id) if name.count(".") == 1]
    assert events == [f"{saga_id}.{entry.event_id}" for entry in log]
    assert len(shop.reader.firsts(saga_id)) == 6


async def test_a_leader_of_the_past_keeps_nothing(shop: Shop) -> None:
    old = shop.publishing()
    await shop.all_of(old)
    saga_id = await shop.sell()
    epoch = await shop.epoch()
    new, later = shop.publishing(), await shop.epoch("new")
    await shop.all_of(new, later)
    kept = await shop.world.store.feed.position(NAME)
    await shop.sell()
    with pytest.raises(FencedError):
        await old.publish_once(epoch, shop.node.bus)
    assert await shop.world.store.feed.position(NAME) == kept
    await shop.all_of(new)
    assert len(shop.reader.firsts(saga_id)) == 6


class Narrow(Failing):
    """Takes no large payload."""

    async def send(self, messages: Sequence[Message]) -> None:
        fit = [message for message in messages if len(message.payload) < 70_000]
        await self._bus.send(fit)
        if len(fit) < len(messages):
            raise PayloadError("$", "it is too large")


async def test_an_event_that_is_too_large_for_the_bus_is_told_without_its_body(shop: Shop) -> None:
    publishing = shop.publishing("event.*", bodies=True)
    await shop.all_of(publishing)
    saga_id = await shop.sell("tea" * 30_000)
    await shop.all_of(publishing, bus=Narrow(shop.node.bus))
    first = next(each for each in shop.reader.events if each["data"]["seq"] == 1)
    assert first["data"]["body_left_out"]
    assert "body" not in first["data"]
    assert len(shop.reader.firsts(saga_id)) == 3
    assert [each["data"]["seq"] for each in shop.reader.events] == [1, 2, 3]  # who knows a repetition by its place loses nothing


async def test_an_event_of_a_newer_version_is_told_without_a_status(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    publishing = shop.publishing()
    await shop.all_of(publishing)
    first, second = await shop.sell(), await shop.sell()
    written = shop.world.store.data.written
    shop.world.store.data.written = [
        (saga_id, msgspec.structs.replace(entry, event="Unheard") if saga_id == first and entry.seq == 2 else entry)
        for saga_id, entry in written
    ]
    await shop.all_of(publishing)
    assert shop.reader.of(first) == ["event.SagaStarted", "saga.queued", "event.Unheard", "event.ActionSucceeded"]
    assert shop.reader.of(second)[-1] == "saga.completed"


async def test_what_ended_stays_until_it_is_told(shop: Shop) -> None:
    publishing = shop.publishing()
    await shop.all_of(publishing)
    retaining = Retaining(shop.node, sagas_days=1.0, dead_letters_days=0.0, instances_days=0.0, told=publishing.reached)
    saga_id = await shop.sell()

    async def keep_house() -> None:
        task = asyncio.ensure_future(retaining.pass_once(await shop.epoch()))
        while not task.done():
            await shop.world.clock.advance(0.1)
        await task

    await shop.world.clock.advance(3 * 86_400)
    await keep_house()
    assert await shop.world.store.sagas.head(saga_id) is not None
    await shop.all_of(publishing)
    await shop.world.clock.advance(86_400)
    await shop.all_of(publishing)
    await keep_house()
    assert await shop.world.store.sagas.head(saga_id) is None
    assert len(shop.reader.firsts(saga_id)) == 6


async def test_it_goes_on_by_itself_through_trouble(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole duty: the bus is away for a while, then the database has failed over, and at last another one leads."""
    await shop.all_of(shop.publishing(), await shop.epoch())
    bus = Failing(shop.world.bus())
    publishing = Publishing(shop.node, TOPIC, Wish(), bus=lambda: bus)
    term = await shop.world.store.terms.raise_epoch("leads", 1e9)
    assert term is not None
    publishes = asyncio.create_task(publishing.publish(LeadTerm(term, shop.world.clock, 1e18)))
    first = await shop.sell()
    await shop.world.clock.advance(100.0)
    assert shop.reader.messages == []
    assert publishing.lag is None or publishing.lag.entries == 0
    bus.left = 10**6
    await shop.world.clock.advance(60.0)
    assert shop.reader.of(first)[-1] == "saga.completed"
    assert publishing.lag is not None
    assert publishing.lag.entries == 0
    read, lost = shop.world.store.feed.read, [1]

    async def fails_over(after: str, *, limit: int) -> Any:
        if lost:
            lost.pop()
            raise CursorLostError(after)
        return await read(after, limit=limit)

    monkeypatch.setattr(shop.world.store.feed, "read", fails_over)
    second = await shop.sell()
    await shop.world.clock.advance(60.0)
    assert shop.reader.of(second)[-1] == "saga.completed"
    await shop.epoch("another one")
    await shop.sell()
    await shop.world.clock.advance(60.0)
    await publishes


async def test_statuses_are_those_of_the_saga_whatever_was_kept(shop: Shop) -> None:
    """Folded page by page or anew, what is told is the same."""
    start = await shop.world.store.feed.end()
    for sku in ("tea", "nothing", "milk"):
        await shop.sell(sku)
    page = await shop.world.store.feed.read(start, limit=1000)
    whole = await Teller(shop.node).tell(page.entries)
    kept = Teller(shop.node)
    alone = [told for each in page.entries for told in await kept.tell([each])]
    anew = [told for each in page.entries for told in await Teller(shop.node).tell([each])]
    assert whole == alone == anew
    last = defaultdict(str)
    for told in whole:
        last[told.entry.saga_id] = told.status
    assert sorted(last.values()) == ["compensated", "completed", "completed"]
