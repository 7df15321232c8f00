"""The leader fires schedules: each nominal time once, whoever leads, and in whatever order it dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from goconductor import Saga
from goconductor.control.sagas.starting import KEY, start_fire
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import FencedError, StoreUnavailableError
from goconductor.ports.store import ScheduleRow
from goconductor.recovery.leadership import LeadTerm
from goconductor.recovery.scheduling import ASIDE_SECONDS, POLL_SECONDS, Scheduling
from goconductor.schedules.schedule import LABEL, Kept, Overlap, Progress, Schedule, key_of, read
from goconductor.testing.world import World

HOUR = 3_600.0


class Shop:
    """A saga that is started by schedules, and the leaders that do it."""

    def __init__(self, world: World, node: Node, gate: asyncio.Event) -> None:
        self.world, self.node, self.gate = world, node, gate

    async def epoch(self, name: str = "leader") -> int:
        term = await self.world.store.terms.raise_epoch(name, 1e9)
        assert term is not None
        return term.epoch

    def leader(self, *, sagas_days: float = 0.0, start: Any = None) -> Scheduling:
        return Scheduling(self.node, start or partial(start_fire, self.node), sagas_days=sagas_days)

    async def keep(self, name: str = "nightly", *, ago: float = 0.0, **facts: Any) -> float:
        """Keep a schedule whose first time was so long ago; return that time."""
        first = self.world.clock.now() - ago
        given: dict[str, Any] = {"saga": "pack", "input": msgspec.Raw(b'{"sku": "tea"}'), "every_seconds": 3600}
        kept = Kept(schedule=Schedule(**(given | facts)), progress=Progress(next_at=first))
        row = ScheduleRow(namespace="default", name=name, tag=1, look_at=kept.look_at(first), body=kept.written())
        assert await self.world.store.schedules.create(row)
        return first

    async def progress(self, name: str = "nightly") -> Progress:
        row = await self.world.store.schedules.get("default", name)
        assert row is not None
        return read(row.body).progress

    async def end(self, saga_id: UUID | None) -> None:
        assert saga_id is not None
        self.gate.set()
        await self.world.end_of(saga_id)
        self.gate.clear()


@pytest.fixture
async def shop(world: World) -> AsyncIterator[Shop]:
    registry, gate = StepRegistry("shop"), asyncio.Event()

    @registry.step
    async def pack(sku: str) -> str:
        await gate.wait()
        return sku

    node = await world.node(registry)
    saga: Saga[Any] = Saga("pack")
    saga.step(pack, inputs={"sku": saga.input["sku"]})
    await node.definitions.register(saga.definition)
    await world.clock.advance(HOUR - world.clock.now() % HOUR)
    yield Shop(world, node, gate)
    gate.set()


async def test_a_fire_starts_a_saga_with_its_input_and_labels(shop: Shop) -> None:
    at = await shop.keep(labels={"team": "night"})
    await shop.leader().fire_once(await shop.epoch())
    progress = await shop.progress()
    (fire,) = progress.fires
    assert (fire.at, fire.problem, progress.started, progress.next_at) == (at, "", 1, at + HOUR)
    assert fire.saga_id is not None
    head = await shop.world.store.sagas.head(fire.saga_id)
    assert head is not None
    assert head.labels == {"team": "night", LABEL: "nightly"}
    await shop.end(fire.saga_id)
    assert (await shop.world.state(fire.saga_id)).input == {"sku": "tea"}


async def test_nothing_is_fired_before_its_time_or_twice(shop: Shop) -> None:
    at = await shop.keep(ago=-60.0)
    leader, epoch = shop.leader(), await shop.epoch()
    assert await leader.fire_once(epoch) == POLL_SECONDS
    assert (await shop.progress()).fires == ()
    await shop.world.clock.advance(58.0)
    assert await leader.fire_once(epoch) == pytest.approx(2.0)
    await shop.world.clock.advance(2.0)
    for _ in range(3):
        await leader.fire_once(epoch)
    assert [fire.at for fire in (await shop.progress()).fires] == [at]
    assert len(shop.world.store.data.keys) == 1


async def test_a_key_is_one_that_no_user_can_give() -> None:
    key = key_of("nightly", 1_800_000_000.0)
    assert key.endswith("schedule/nightly/2027-01-15T08:00:00+00:00")
    assert not KEY.fullmatch(key)


async def test_a_leader_that_dies_between_the_start_and_the_note_starts_nothing_twice(shop: Shop) -> None:
    at = await shop.keep()
    begun: list[UUID] = []

    async def dies(saga: str, input: Any, *, key: str, labels: Mapping[str, str]) -> UUID:
        begun.append(await start_fire(shop.node, saga, input, key=key, labels=labels))
        raise StoreUnavailableError("killed")

    with pytest.raises(StoreUnavailableError):
        await shop.leader(start=dies).fire_once(await shop.epoch())
    assert (await shop.progress()).fires == ()
    await shop.leader().fire_once(await shop.epoch("another"))
    assert [(fire.at, fire.saga_id) for fire in (await shop.progress()).fires] == [(at, begun[0])]
    assert len(shop.world.store.data.heads) == 1


async def test_of_two_who_lead_one_is_fenced_and_a_fire_is_started_once(shop: Shop) -> None:
    await shop.keep()
    old = await shop.epoch()
    stopped, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(saga: str, input: Any, *, key: str, labels: Mapping[str, str]) -> UUID:
        stopped.set()
        await goes_on.wait()
        return await start_fire(shop.node, saga, input, key=key, labels=labels)

    stale = asyncio.create_task(shop.leader(start=slow).fire_once(old))
    await stopped.wait()
    await shop.leader().fire_once(await shop.epoch("another"))
    goes_on.set()
    with pytest.raises(FencedError):
        await stale
    assert len(shop.world.store.data.heads) == 1
    assert (await shop.progress()).started == 1


async def test_the_last_missed_fires_are_caught_up_to_the_limit(shop: Shop) -> None:
    await shop.keep(ago=10 * HOUR + 120, catch_up=2, overlap=Overlap.ALLOW)
    now = shop.world.clock.now()
    await shop.leader().fire_once(await shop.epoch())
    progress = await shop.progress()
    # the row's first time is off the hours; all others are on them, and the last one is on time
    assert [fire.at for fire in progress.fires] == [now - 2 * HOUR, now - HOUR, now]
    assert (progress.missed, progress.next_at) == (9, now + HOUR)
    assert shop.node.counts["schedule_fires_missed"] == 9


async def test_with_a_limit_of_0_only_what_is_on_time_is_fired(shop: Shop) -> None:
    now = shop.world.clock.now()
    await shop.keep("late", ago=120.0, catch_up=0)
    await shop.keep("on-time", ago=30.0, catch_up=0)
    await shop.leader().fire_once(await shop.epoch())
    assert [fire.at for fire in (await shop.progress("late")).fires] == [now]
    assert (await shop.progress("late")).missed == 1
    assert (await shop.progress("on-time")).fires[0].at == now - 30


async def test_what_is_older_than_keys_are_kept_is_not_started(shop: Shop) -> None:
    await shop.keep(ago=30 * HOUR, catch_up=100, overlap=Overlap.ALLOW)
    now = shop.world.clock.now()
    await shop.leader(sagas_days=0.5).fire_once(await shop.epoch())
    progress = await shop.progress()
    assert progress.fires[-1].at == now
    assert (progress.started, progress.missed) == (12, 19)  # the present hour, and 11 that are younger than 12 hours


@pytest.mark.parametrize(("overlap", "running"), [(Overlap.SKIP, 1), (Overlap.QUEUE, 1), (Overlap.ALLOW, 3)])
async def test_while_the_saga_before_has_not_ended(shop: Shop, overlap: Overlap, running: int) -> None:
    at = await shop.keep(overlap=overlap)
    leader, epoch = shop.leader(), await shop.epoch()
    for _ in range(3):
        await leader.fire_once(epoch)
        await shop.world.clock.advance(HOUR)
    progress = await shop.progress()
    assert progress.started == running
    if overlap is Overlap.ALLOW:
        return
    await shop.end(progress.last_saga)
    await leader.fire_once(epoch)
    progress = await shop.progress()
    times = [fire.at for fire in progress.fires]
    if overlap is Overlap.SKIP:  # the next one that comes is started
        assert (times, progress.skipped) == ([at, at + 3 * HOUR], 2)
    else:  # the one that waited is started; the one after it was left out, and the present one waits now
        assert (times, progress.skipped, progress.waiting_at) == ([at, at + HOUR], 1, at + 3 * HOUR)


async def test_a_queue_is_looked_at_each_second(shop: Shop) -> None:
    await shop.keep(overlap=Overlap.QUEUE)
    leader, epoch = shop.leader(), await shop.epoch()
    await leader.fire_once(epoch)
    await shop.world.clock.advance(HOUR)
    await leader.fire_once(epoch)
    assert await leader.fire_once(epoch) == pytest.approx(1.0)
    await shop.end((await shop.progress()).last_saga)
    await shop.world.clock.advance(1.0)
    await leader.fire_once(epoch)
    assert (await shop.progress()).started == 2


@pytest.mark.parametrize(
    ("facts", "told"),
    [({"saga": "gone"}, "no definition"), ({"saga": "strict"}, "does not fit")],
)
async def test_a_start_that_is_refused_is_noted_logged_and_counted(
    shop: Shop, facts: dict[str, Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    strict: Saga[Any] = Saga("strict")
    strict.delay("1s", id="wait")
    definition = msgspec.structs.replace(strict.definition, input_schema={"type": "object", "required": ["amount"]})
    await shop.node.definitions.register(definition)
    at = await shop.keep(**facts)
    leader, epoch = shop.leader(), await shop.epoch()
    await leader.fire_once(epoch)
    progress = await shop.progress()
    (fire,) = progress.fires
    assert (fire.at, fire.saga_id, progress.refused, progress.next_at) == (at, None, 1, at + HOUR)
    assert told in fire.problem
    assert shop.node.counts["schedule_fires_refused"] == 1
    assert "schedule 'nightly'" in caplog.text


async def test_one_schedule_that_cannot_be_read_does_not_stop_the_others(shop: Shop) -> None:
    broken = ScheduleRow(namespace="default", name="broken", tag=1, look_at=1.0, body='{"schedule": 5}')
    zone = await shop.keep("moved", every_seconds=None, cron="0 0 * * *", time_zone="Europe/Atlantis")
    await shop.world.store.schedules.create(broken)
    await shop.keep()
    await shop.leader().fire_once(await shop.epoch())
    assert (await shop.progress()).started == 1
    row = await shop.world.store.schedules.get("default", "broken")
    assert row == replace(broken, tag=row.tag if row else 0, look_at=zone + ASIDE_SECONDS)
    assert (await shop.progress("moved")).started == 0


async def test_while_the_store_is_away_the_leader_goes_on_and_fires_afterwards(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    away = True

    async def start(saga: str, input: Any, *, key: str, labels: Mapping[str, str]) -> UUID:
        if away:
            raise StoreUnavailableError("away")
        return await start_fire(shop.node, saga, input, key=key, labels=labels)

    at = await shop.keep()
    term = await shop.world.store.terms.raise_epoch("leader", 1e9)
    assert term is not None
    firing = asyncio.create_task(shop.leader(start=start).fire(LeadTerm(term, shop.world.clock, 1e12)))
    await shop.world.clock.advance(20.0)
    assert (await shop.progress()).fires == ()
    assert "schedules cannot be fired now" in caplog.text
    away = False
    await shop.world.clock.advance(20.0)
    assert [fire.at for fire in (await shop.progress()).fires] == [at]
    await shop.epoch("another")  # it ends by itself when another one leads
    await shop.world.clock.advance(HOUR)
    await firing


async def test_a_year_away_starts_the_last_missed_ones_only(shop: Shop) -> None:
    await shop.keep(ago=366 * 24 * HOUR, catch_up=3, overlap=Overlap.ALLOW, every_seconds=None, cron="*/5 * * * *")
    now = shop.world.clock.now()
    await shop.leader().fire_once(await shop.epoch())
    progress = await shop.progress()
    assert [fire.at for fire in progress.fires] == [now - 900, now - 600, now - 300, now]
    assert progress.missed > 1_000


async def test_a_paused_schedule_is_not_looked_at(shop: Shop) -> None:
    await shop.keep(paused=True)
    await shop.leader().fire_once(await shop.epoch())
    assert (await shop.progress()).fires == ()
