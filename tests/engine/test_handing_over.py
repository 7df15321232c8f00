"""While instances are replaced one by one, who lacks a step hands its message to one that has it: in one hop, without a wait."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from contextvars import ContextVar
from typing import Any

import pytest

from goconductor import Participant, Saga, Settings
from goconductor.app import migrate
from goconductor.buses.memory import MemoryBus
from goconductor.engine.facts import registration
from goconductor.engine.facts.colleagues import LOOK_SECONDS, topics_of
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import BusUnavailableError, GoConductorError, RightsError, StoreUnavailableError
from goconductor.messages import codec
from goconductor.ports.bus import Delivery, Message, Receiver, Subscription
from goconductor.ports.store import Instance
from goconductor.saga.features import KNOWN
from goconductor.testing.clock import settle
from goconductor.testing.world import World

SAGAS = 20


def shop(*names: str) -> StepRegistry:
    registry = StepRegistry("shop")
    for name in names:

        @registry.step(name=name)
        async def packed() -> str:
            return "packed"

    return registry


def parcel() -> Saga[Any]:
    saga: Saga[Any] = Saga("parcel")
    saga.step("shop.pack")
    return saga


def handed(*nodes: Node) -> list[int]:
    return [node.counts["messages_handed_over"] for node in nodes]


async def statuses(world: World, sagas: list[Any]) -> set[str]:
    return {str((await world.state(saga_id)).status) for saga_id in sagas}


async def test_all_sagas_end_though_no_time_passes(world: World) -> None:
    old = [await world.node(shop("other")) for _ in range(3)]
    new = [await world.node(shop("other", "pack")) for _ in range(2)]
    sagas = [await world.start(parcel()) for _ in range(SAGAS)]
    for _ in range(SAGAS):
        await settle()
    assert await statuses(world, sagas) == {"completed"}
    assert sum(handed(*old)) > 0
    assert handed(*new) == [0, 0]


async def test_one_that_began_before_us_does_not_hear_us_and_gets_it_as_ever(world: World) -> None:
    """As after a rollback: the older code has started last."""
    new, old = await world.node(shop("pack")), await world.node(shop("other"))
    sagas = [await world.start(parcel()) for _ in range(SAGAS)]
    await world.live(30)
    assert await statuses(world, sagas) == {"completed"}
    assert handed(new, old) == [0, 0]


async def test_what_was_handed_to_one_that_is_gone_comes_again(world: World) -> None:
    old, new = await world.node(shop("other")), await world.node(shop("pack"))
    await new.membership.stop()
    world.kill(new)  # nobody has noticed yet
    sagas = [await world.start(parcel()) for _ in range(SAGAS)]
    await settle()
    assert handed(old) == [SAGAS]
    await world.node(shop("pack"))
    await world.live(120)
    assert await statuses(world, sagas) == {"completed"}


async def test_a_message_stays_where_it_is_while_the_bus_takes_nothing(world: World) -> None:
    bus = world.bus()
    send, away = bus.send, True

    async def refusing(messages: Sequence[Message]) -> None:
        if away:
            raise BusUnavailableError
        await send(messages)

    bus.send = refusing  # type: ignore[method-assign]
    old = await world.node(shop("other"), bus=bus)
    sagas = [await world.start(parcel(), node=await world.node()) for _ in range(SAGAS)]
    await world.node(shop("pack"))
    await settle()
    assert handed(old) == [0]
    away = False
    await world.live(30)
    assert await statuses(world, sagas) == {"completed"}


async def test_one_that_does_not_know_the_features_of_a_saga_hands_it_to_one_that_does(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_here: ContextVar[frozenset[str]] = ContextVar("known_here", default=KNOWN)
    decode, older = codec.decode, KNOWN - {"total_timeout"}

    def decoded(payload: bytes) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(codec, "KNOWN", known_here.get())
            return decode(payload)

    monkeypatch.setattr(codec, "decode", decoded)

    def bus_of(known: frozenset[str]) -> MemoryBus:
        bus = world.bus()
        subscribe = bus.subscribe

        async def subscribed(topics: Sequence[str], group: str, receiver: Receiver, *, prefetch: int) -> Subscription:
            async def receive(delivery: Delivery) -> None:
                known_here.set(known)
                await receiver(delivery)

            return await subscribe(topics, group, receive, prefetch=prefetch)

        bus.subscribe = subscribed  # type: ignore[method-assign, assignment]
        return bus

    with monkeypatch.context() as patched:
        patched.setattr(registration, "KNOWN", older)
        old = await world.node(shop("pack"), bus=bus_of(older))
    new = await world.node(shop("pack"), bus=bus_of(KNOWN))
    saga: Saga[Any] = Saga("parcel")
    saga.step("shop.pack", total_timeout="1h")
    sagas = [await world.start(saga, node=await world.node()) for _ in range(SAGAS)]
    for _ in range(SAGAS):
        await settle()
    assert await statuses(world, sagas) == {"completed"}
    assert old.counts["messages_handed_over"] == old.counts["messages_newer"] > 0
    assert (old.counts["steps_run"], new.counts["steps_run"]) == (0, SAGAS)


async def test_one_that_leaves_offers_nothing_from_the_beginning(world: World) -> None:
    old = await world.node(shop("other"))
    slow, gate = shop("other"), asyncio.Event()

    @slow.step
    async def pack() -> str:
        await gate.wait()
        return "packed"

    leaving = await world.node(slow)
    first = await world.start(parcel(), node=leaving)
    closing = asyncio.create_task(world.leave(leaving))
    await settle()
    living = {each.serial: each for each in await world.store.instances.registered("shop")}[leaving.instance.serial]
    assert (living.steps, living.dead_at) == ({}, None)
    new = await world.node(shop("pack", "other"))
    sagas = [await world.start(parcel(), node=old) for _ in range(SAGAS)]
    for _ in range(SAGAS):
        await settle()
    assert await statuses(world, sagas) == {"completed"}
    assert (leaving.counts["steps_run"], new.counts["steps_run"]) == (1, SAGAS)
    gate.set()
    await closing
    assert (await world.state(first)).status == "completed"
    gone = next(each for each in await world.store.instances.registered("shop") if each.serial == living.serial)
    assert (set(gone.steps), gone.dead_at is None) == ({"pack", "other"}, False)


async def test_what_waits_for_room_in_one_that_leaves_goes_back_to_all(world: World) -> None:
    """More than it has in hand at once, and nobody after it can take them."""
    old, slow, gate = await world.node(shop("other")), shop("other"), asyncio.Event()

    @slow.step(concurrency=2)
    async def pack() -> str:
        await gate.wait()
        return "packed"

    leaving = await world.node(slow, prefetch=20)
    sagas = [await world.start(parcel(), node=old) for _ in range(200)]
    await settle()
    assert handed(old) > [80]
    gate.set()
    closing = asyncio.create_task(world.leave(leaving))
    while not closing.done():
        await world.clock.advance(0.1)
        await asyncio.sleep(0.02)
    assert leaving.counts["steps_run"] + leaving.counts["messages_handed_back"] >= len(sagas)
    await world.node(shop("pack"))
    await world.live(30)
    assert await statuses(world, sagas) == {"completed"}


async def test_one_that_may_not_say_that_it_leaves_leaves_all_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    node = await world.node(shop("pack"))
    instances, bus = node.store.instances, node.bus

    async def refused(serial: int, _: object) -> None:
        raise RightsError(f"the role may not change instance {serial}")

    monkeypatch.setattr(instances, "offer", refused)
    await world.leave(node)
    assert [each.dead_at is None for each in await world.store.instances.registered("shop")] == [False]
    with pytest.raises(GoConductorError):
        await bus.send([])


@pytest.mark.parametrize("others", [0, 1])
async def test_what_is_still_handed_to_one_that_leaves_goes_on_at_once(others: int, world: World) -> None:
    """The other one believes for a second that it is able."""
    slow, gate = shop("other"), asyncio.Event()

    @slow.step
    async def pack() -> str:
        await gate.wait()
        return "packed"

    old, leaving = await world.node(shop("other")), await world.node(slow)
    first = [await world.start(parcel(), node=await world.node()) for _ in range(2)]
    await settle()
    assert handed(old) == [1]  # it knows of the other one now
    new = [await world.node(shop("pack")) for _ in range(others)]
    closing = asyncio.create_task(world.leave(leaving))
    await settle()
    sagas = [await world.start(parcel(), node=old) for _ in range(SAGAS)]
    for _ in range(SAGAS):
        await settle()
    assert handed(old) > [1]
    await world.clock.advance(LOOK_SECONDS)
    gate.set()
    await closing
    new = new or [await world.node(shop("pack"))]
    await world.live(5)
    assert await statuses(world, [*first, *sagas]) == {"completed"}
    assert sum(each.counts["steps_run"] for each in new) == SAGAS
    assert leaving.counts["messages_handed_over" if others else "messages_handed_back"] > 0


@pytest.mark.parametrize(
    ("others", "hears"),
    [
        ([], False),
        ([Instance(serial=1, participant="shop", name="old", steps={"other": {}})], True),
        ([Instance(serial=1, participant="shop", name="same", steps={"pack": {}, "other": {}}, features=("map",))], False),
        ([Instance(serial=1, participant="shop", name="gone", steps={}, dead_at=1.0)], False),
        ([Instance(serial=9, participant="shop", name="later", steps={"other": {}})], False),
        ([Instance(serial=1, participant="shop", name="leaving", steps={})], False),
        ([Instance(serial=1, participant="shop", name="knows less", steps={"pack": {}})], True),
    ],
)
async def test_an_instance_hears_its_own_topic_if_an_older_one_lacks_a_step(others: list[Instance], hears: bool) -> None:
    async def instances(_: str) -> list[Instance]:
        return others

    async def away(_: str) -> list[Instance]:
        raise StoreUnavailableError

    ours = Instance(serial=5, participant="shop", name="ours", steps={"pack": {}}, features=("map",))
    both = ["goconductor.steps.shop", "goconductor.replies.ours"]
    assert await topics_of(ours, instances) == (both if hears else both[:1])
    assert await topics_of(ours, away) == both
    assert await topics_of(Instance(serial=5, participant="client", name="ours"), instances) == []


@pytest.mark.postgres
@pytest.mark.parametrize("kind", [pytest.param("nats", marks=pytest.mark.nats), pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_over_a_broker_too(kind: str, postgres_url: str, request: pytest.FixtureRequest) -> None:
    """Over Kafka a partition belongs to one instance, which gets what it gives back again and again."""
    name = secrets.token_hex(4)
    url = request.getfixturevalue({"nats": "nats_url", "kafka": "kafka_server"}[kind])
    options = {"nats": {"prefix": f"test-{name}"}, "kafka": {"partitions": 4, "group_prefix": f"test-{name}."}}[kind]
    bus = {"kind": kind, "url": url, "options": options}
    settings = Settings.model_validate({"database": {"url": postgres_url}, "bus": bus})
    await migrate(settings)
    old, older, new = (Participant(f"shop-{name}") for _ in range(3))
    for each in (old, older):

        @each.step
        async def other() -> None: ...

    @new.step
    async def pack() -> str:
        return "packed"

    saga: Saga[Any] = Saga("parcel")
    saga.returns(saga.step(pack).output)
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(each.running(settings)) for each in (old, older, new)]
        client = await stack.enter_async_context(Participant("client").running(settings))
        handles = await asyncio.gather(*(client.start(saga, {}) for _ in range(SAGAS)))
        assert await asyncio.gather(*(handle.result(timeout_seconds=600) for handle in handles)) == ["packed"] * SAGAS
        counts = [each._node.counts for each in running]
    assert sum(each["messages_handed_over"] for each in counts) > 0
    assert sum(each["messages_for_others"] for each in counts) == 0
