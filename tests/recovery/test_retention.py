"""The leader lets go of what is old, in small steps, for as long as it leads."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from goconductor import Saga, SagaNotFoundError, Undo
from goconductor.engine.node import Node
from goconductor.engine.observer import Observer
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import FencedError, StoreUnavailableError
from goconductor.lifecycle.facts.events import (
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    SignalReceived,
    TerminationRequested,
)
from goconductor.ports.store import DeadLetter, Forgettable, Forgotten
from goconductor.recovery.beside import beside
from goconductor.recovery.leadership import LeadTerm
from goconductor.recovery.retention import DAY_SECONDS, INTERVAL_SECONDS, Retaining
from goconductor.saga.ids import CHILDREN_NAMESPACE, child_key
from goconductor.stores.memory.data import Data
from goconductor.stores.memory.leading.retention import MemoryRetention
from goconductor.testing.world import World

SECOND = 1 / DAY_SECONDS
"""A day, in these tests."""


class Asked(MemoryRetention):
    """Notes what it was asked to forget, and may be away."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.kinds: list[Forgettable] = []
        self.away = False

    async def forget(self, kind: Forgettable, **facts: Any) -> Forgotten:
        self.kinds.append(kind)
        if self.away:
            raise StoreUnavailableError("away")
        return await super().forget(kind, **facts)


@pytest.fixture
async def asked(world: World) -> Asked:
    asked = world.store.retention = Asked(world.store.data)
    return asked


async def lead(world: World) -> LeadTerm:
    term = await world.store.terms.raise_epoch("me", 1e9)
    assert term is not None
    return LeadTerm(term, world.clock, 1e12)


def retaining(node: Node, *, limit: int = 100, sagas_days: float = 30 * SECOND) -> Retaining:
    return Retaining(
        node,
        sagas_days=sagas_days,
        dead_letters_days=20 * SECOND,
        instances_days=10 * SECOND,
        audit_days=10 * SECOND,
        limit=limit,
    )


async def some_of_each(world: World, observer: Observer | None = None) -> tuple[Node, list[UUID]]:
    shop = StepRegistry("shop")

    @shop.step
    async def pack() -> None: ...

    node = await world.node(shop, observer=observer or Observer())
    saga: Saga[Any] = Saga("one")
    saga.step(pack)
    sagas = [await world.start(saga, key=f"k{number}") for number in range(5)]
    for saga_id in sagas:
        await world.end_of(saga_id)
    await world.store.dead_letters.put(DeadLetter(topic="t", payload=b"", reason="r"))
    await world.store.instances.unregister((await world.store.instances.register("command", "line", {})).serial)
    return node, sagas


async def passed(world: World, keeping: Retaining, term: LeadTerm) -> dict[str, int]:
    """What one pass lets go of; its pauses take time."""
    passing = asyncio.create_task(keeping.pass_once(term.epoch))
    await world.clock.advance(1.0)
    return dict(await passing)


async def test_each_kind_goes_after_its_days(world: World, asked: Asked, caplog: pytest.LogCaptureFixture) -> None:
    told: Counter[str] = Counter()

    class Told(Observer):
        def forgot(self, kind: str, count: int) -> None:
            told[kind] += count

    node, sagas = await some_of_each(world, Told())
    term = await lead(world)
    keeping = retaining(node, limit=2)
    caplog.set_level("INFO", "goconductor.recovery")
    assert await passed(world, keeping, term) == {}
    assert "retention" not in caplog.text
    await world.clock.advance(11.0)
    assert await passed(world, keeping, term) == {"instances": 1}
    await world.clock.advance(10.0)
    assert await passed(world, keeping, term) == {"dead_letters": 1}
    await world.clock.advance(10.0)
    assert await passed(world, keeping, term) == {"start_keys": 5, "sagas": 5, "entries": 10}
    assert "retention: 5 start keys, 5 sagas, 10 log entries are gone" in caplog.text
    assert told == {"instances": 1, "dead_letters": 1, "start_keys": 5, "sagas": 5, "entries": 10}
    with pytest.raises(SagaNotFoundError):
        await node.view(sagas[0])
    assert [one.serial for one in await world.store.instances.registered()] == [node.instance.serial]


async def test_keys_go_before_the_sagas_that_they_name(world: World, asked: Asked) -> None:
    node, _ = await some_of_each(world)
    await world.clock.advance(60.0)
    await passed(world, retaining(node, limit=2), await lead(world))
    order = list(dict.fromkeys(asked.kinds))
    assert order == list(Forgettable)
    assert order.index(Forgettable.START_KEYS) < order.index(Forgettable.SAGAS)
    assert len(asked.kinds) > 6  # in steps of two


async def test_zero_days_is_for_ever(world: World, asked: Asked) -> None:
    node, sagas = await some_of_each(world)
    await world.clock.advance(60.0)
    await passed(world, retaining(node, sagas_days=0), await lead(world))
    assert set(asked.kinds) == set(Forgettable) - {Forgettable.START_KEYS, Forgettable.SAGAS}
    assert (await world.state(sagas[0])).status == "completed"


async def test_it_lasts_as_long_as_the_leading_beside_it_and_survives_a_store_that_is_away(
    world: World, asked: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    node, sagas = await some_of_each(world)
    await world.clock.advance(60.0)
    asked.away = True
    ended = asyncio.Event()

    async def sweep(_: LeadTerm) -> None:
        await ended.wait()

    leading = asyncio.ensure_future(beside(sweep, retaining(node).keep)(await lead(world)))
    await world.clock.advance(1.0)
    assert "retention could not go on" in caplog.text
    asked.away = False
    await world.clock.advance(INTERVAL_SECONDS)
    assert await world.store.sagas.head(sagas[0]) is None
    ended.set()
    await leading
    before = len(asked.kinds)
    await world.clock.advance(2 * INTERVAL_SECONDS)
    assert len(asked.kinds) == before


async def test_a_leader_of_the_past_keeps_nothing_and_its_sweep_finds_out_by_itself(world: World, asked: Asked) -> None:
    node, sagas = await some_of_each(world)
    await world.clock.advance(60.0)
    old, _ = await lead(world), await lead(world)
    await retaining(node).keep(old)
    with pytest.raises(FencedError):
        await retaining(node).pass_once(old.epoch)
    assert await world.store.sagas.head(sagas[0]) is not None


async def test_a_saga_that_a_step_started_is_kept_until_its_parent_ends_so_that_what_it_did_is_undone(world: World) -> None:
    shop = StepRegistry("shop")
    packed: list[str] = []
    returned: list[str | None] = []

    @shop.step
    async def pack() -> str:
        packed.append("box")
        return "box"

    @shop.step
    async def sell() -> None: ...

    @shop.step
    async def take_back(box: str | None) -> None:
        returned.append(box)

    node = await world.node(shop)
    parcel: Saga[Any, Any] = Saga("parcel")
    parcel.returns(parcel.step(pack, after=[parcel.approval("Pack it?")]).output)
    order: Saga[Any, Any] = Saga("order")
    sent = order.saga(parcel, undo=Undo("shop.take_back", inputs={"box": order.later("parcel").output}))
    order.step("shop.sell", after=[sent], pivot=True)
    saga_id = await world.start(order)
    await world.live(1.0)
    key = child_key(saga_id, "parcel", 0, 1)
    child = await node.store.sagas.started(CHILDREN_NAMESPACE, "parcel", key)
    assert child is not None
    await node.request(saga_id, PauseRequested())
    await node.request(saga_id, RestartRequested(from_step="parcel", reason="another box"))
    await node.request(child, SignalReceived(name="approval", id="1", approves="approval", by="me", reason="yes"))
    await world.live(60.0)
    assert (await world.state(child)).status == "completed"
    # the parent, which goes back and is paused, is told nothing of that end
    term = await lead(world)
    world._epoch = term.epoch
    assert await passed(world, retaining(node), term) == {}
    assert await node.store.sagas.started(CHILDREN_NAMESPACE, "parcel", key) == child
    await node.request(saga_id, ResumeRequested())
    await world.live(60.0)
    assert (packed, returned) == (["box"], ["box"])
    await node.request(saga_id, TerminationRequested(reason="enough"))
    await world.live(60.0)
    assert (await world.state(saga_id)).status == "terminated"
    await world.live(60.0)
    gone = await passed(world, retaining(node), term)
    assert (gone["start_keys"], gone["sagas"]) == (2, 3)
