"""What people ask of schedules, and what is refused when one is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from goconductor import InputRefusedError, RequestInvalidError, Saga, ScheduleExistsError, ScheduleNotFoundError, Schedules
from goconductor.control.doctor.leading.schedules import of_schedules
from goconductor.control.models import moment
from goconductor.control.sagas.starting import DefinitionNotFoundError, start_fire
from goconductor.control.schedules import requests
from goconductor.engine.node import Node
from goconductor.recovery.scheduling import Scheduling
from goconductor.stores.memory.reading.sagas import MemorySagas
from goconductor.testing.world import World

NIGHTLY: dict[str, Any] = {"cron": "30 2 * * *", "time_zone": "Europe/Berlin"}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


@pytest.fixture
async def node(world: World) -> Node:
    node = await world.node()
    wait: Saga[int, Any] = Saga("wait", input=int)
    wait.delay("1h", id="hour")
    await node.definitions.register(wait.definition)
    return node


@pytest.fixture
def schedules(node: Node) -> Schedules:
    return Schedules(node)


async def fire_due(world: World, node: Node) -> None:
    async def start(saga: str, input: Any, *, key: str, labels: Any) -> UUID:
        return await start_fire(node, saga, input, key=key, labels=labels)

    term = await world.store.terms.raise_epoch("leader", 1e9)
    assert term is not None
    await Scheduling(node, start, sagas_days=0.0).fire_once(term.epoch)


async def test_a_schedule_is_shown_as_it_was_made(world: World, schedules: Schedules) -> None:
    made = await schedules.create("nightly", "wait", 5, **NIGHTLY, labels={"team": "night"}, overlap="queue", by="ann")
    assert await schedules.show("nightly") == made
    assert (made.saga, made.input, made.cron, made.time_zone, made.every_seconds) == (
        "wait",
        5,
        "30 2 * * *",
        "Europe/Berlin",
        None,
    )
    assert (made.fires, made.overlap, made.labels, made.changed_by) == (
        "At 02:30 every day (Europe/Berlin)",
        "queue",
        {"team": "night"},
        "ann",
    )
    assert made.changed_at == moment(world.clock.now())
    assert made.next_fires[:2] == [datetime(2027, 1, 16, 1, 30, tzinfo=UTC), datetime(2027, 1, 17, 1, 30, tzinfo=UTC)]
    assert (made.next_at, made.last, made.last_fires) == (made.next_fires[0], None, [])


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({}, "cron or every_seconds is wanted"),
        ({**NIGHTLY, "every_seconds": 5}, "one of the two"),
        ({"cron": "0 0 * * *"}, "time_zone is missing"),
        ({"every_seconds": 5, "time_zone": "UTC"}, "time_zone is for cron"),
        ({"cron": "0 0 30 2 *", "time_zone": "UTC"}, "never fires"),
        ({"cron": "0 0 * * *", "time_zone": "Mars/Base"}, "time_zone 'Mars/Base' is not known here"),
        ({"cron": "0 0 * *", "time_zone": "UTC"}, "has 4 fields"),
        ({"every_seconds": 0}, "every_seconds is 0"),
        ({**NIGHTLY, "catch_up": 101}, "catch_up is 101; give 0 to 100"),
        ({**NIGHTLY, "overlap": "never"}, "overlap should be 'skip', 'queue' or 'allow'"),
        ({**NIGHTLY, "labels": {"-": "x"}}, "labels have a name"),
        ({**NIGHTLY, "labels": {"goconductor/schedule": "x"}}, "labels.goconductor/schedule is reserved"),
        *(
            ({"cron": "0 0 * * *", "time_zone": zone}, f"time_zone '{zone}' is not known here")
            for zone in ("", "localtime", "posixrules", "Factory", "posix/Europe/Berlin", "right/UTC")
        ),
        ({"every_seconds": 5, "time_zone": ""}, "time_zone is for cron"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(schedules: Schedules, facts: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestInvalidError, match=told):
        await schedules.create("nightly", "wait", 5, **facts)
    assert (await schedules.list()).schedules == []


async def test_a_saga_that_could_not_be_started_is_refused(schedules: Schedules) -> None:
    with pytest.raises(DefinitionNotFoundError):
        await schedules.create("nightly", "nothing", **NIGHTLY)
    with pytest.raises(InputRefusedError):
        await schedules.create("nightly", "wait", "no number", **NIGHTLY)
    with pytest.raises(RequestInvalidError, match="name is"):
        await schedules.create("no name", "wait", 5, **NIGHTLY)


async def test_a_name_is_taken_once_and_an_unknown_one_is_told(schedules: Schedules) -> None:
    await schedules.create("nightly", "wait", 5, **NIGHTLY)
    with pytest.raises(ScheduleExistsError):
        await schedules.create("nightly", "wait", 6, **NIGHTLY)
    for ask in (schedules.show, schedules.pause, schedules.resume, schedules.delete, schedules.fire):
        with pytest.raises(ScheduleNotFoundError, match="there is no schedule 'weekly'"):
            await ask("weekly")
    with pytest.raises(ScheduleNotFoundError):
        await schedules.replace("weekly", "wait", 5, **NIGHTLY)


async def test_what_is_caught_up_must_be_younger_than_the_keys_get(node: Node) -> None:
    schedules = Schedules(node, sagas_days=30.0)
    with pytest.raises(RequestInvalidError, match=r"catch_up reaches at least 3\d\.\d days back, .* for 30 days only"):
        await schedules.create("nightly", "wait", 5, **NIGHTLY, catch_up=31)
    await schedules.create("nightly", "wait", 5, **NIGHTLY, catch_up=29)


async def test_fires_are_shown_with_what_became_of_them(world: World, node: Node, schedules: Schedules) -> None:
    made = await schedules.create("often", "wait", 5, every_seconds=600, overlap="allow")
    assert made.next_at is not None
    await world.clock.advance(made.next_at.timestamp() - world.clock.now())
    await fire_due(world, node)
    (first,) = (await schedules.show("often")).last_fires
    assert (first.at, first.status, first.problem) == (made.next_at, "waiting", "")
    assert first.saga_id is not None
    await world.end_of(first.saga_id)
    shown = await schedules.show("often")
    assert [fire.status for fire in shown.last_fires] == ["completed"]
    (row,) = (await schedules.list()).schedules
    assert row.last == shown.last_fires[0]


async def test_a_paused_schedule_fires_nothing_and_a_resumed_one_catches_nothing_up(
    world: World, node: Node, schedules: Schedules
) -> None:
    await schedules.create("often", "wait", 5, every_seconds=600)
    paused = await schedules.pause("often", by="ann")
    assert (paused.paused, paused.next_at, paused.next_fires, paused.changed_by) == (True, None, [], "ann")
    await world.clock.advance(6_000)
    await fire_due(world, node)
    resumed = await schedules.resume("often", by="bob")
    assert resumed.next_at is not None
    assert 0 < resumed.next_at.timestamp() - world.clock.now() <= 600
    await fire_due(world, node)
    assert ((await schedules.show("often")).started, resumed.changed_by) == (0, "bob")
    assert await schedules.resume("often", by="carl") == resumed  # it was not paused


async def test_fired_by_hand_it_starts_a_saga_also_while_it_is_paused(world: World, schedules: Schedules) -> None:
    made = await schedules.create("nightly", "wait", 5, **NIGHTLY, paused=True)
    await schedules.fire("nightly", by="ann")
    fired = await schedules.fire("nightly", by="ann")
    assert [(fire.status, fire.by) for fire in fired.last_fires] == [("waiting", "ann")] * 2
    assert len({fire.saga_id for fire in fired.last_fires}) == 2
    assert (fired.started, fired.paused, fired.changed_at) == (2, True, made.changed_at)


async def test_fired_by_hand_again_with_its_id_it_starts_nothing_more(world: World, schedules: Schedules) -> None:
    await schedules.create("nightly", "wait", 5, **NIGHTLY)
    first = await schedules.fire("nightly", request_id="monday")
    await world.clock.advance(5)
    again = await schedules.fire("nightly", request_id="monday")
    assert (again.saga_id, again.started, again.last_fires) == (first.saga_id, 1, first.last_fires)
    assert first.saga_id is not None
    assert (await schedules.show("nightly")).saga_id is None
    other = await schedules.fire("nightly", request_id="tuesday")
    assert other.saga_id != first.saga_id
    for wrong in ("", "\u00e4", "x" * 256):
        with pytest.raises(RequestInvalidError, match="request_id should be 1 to 255 printable"):
            await schedules.fire("nightly", request_id=wrong)


async def test_a_fire_that_has_started_its_saga_says_so_though_the_schedule_is_deleted_meanwhile(
    world: World, node: Node, schedules: Schedules, monkeypatch: pytest.MonkeyPatch
) -> None:
    await schedules.create("nightly", "wait", 5, **NIGHTLY)

    async def start_then_deleted(*args: Any, **kwargs: Any) -> UUID:
        saga_id = await start_fire(*args, **kwargs)
        await schedules.delete("nightly")
        return saga_id

    monkeypatch.setattr(requests, "start_fire", start_then_deleted)
    fired = await schedules.fire("nightly", by="ann")
    assert fired.saga_id is not None
    assert fired.last is not None
    assert (fired.last.saga_id, fired.last.by, fired.started) == (fired.saga_id, "ann", 1)
    assert await world.store.sagas.head(fired.saga_id) is not None
    with pytest.raises(ScheduleNotFoundError):
        await schedules.show("nightly")


async def test_a_replaced_schedule_keeps_its_counts_and_fires_by_the_new_rule(
    world: World, node: Node, schedules: Schedules
) -> None:
    await schedules.create("often", "wait", 5, every_seconds=600)
    await schedules.fire("often")
    await world.clock.advance(650)
    replaced = await schedules.replace("often", "wait", 6, every_seconds=900)
    assert (replaced.started, replaced.input, replaced.every_seconds) == (1, 6, 900)
    await fire_due(world, node)  # what had come before is left out
    assert (await schedules.show("often")).started == 1


async def test_a_deleted_schedule_is_gone_and_its_sagas_go_on(world: World, schedules: Schedules) -> None:
    await schedules.create("nightly", "wait", 5, **NIGHTLY)
    fire = (await schedules.fire("nightly")).last
    assert fire is not None
    assert fire.saga_id is not None
    await schedules.delete("nightly")
    assert (await schedules.list()).schedules == []
    assert (await world.end_of(fire.saga_id)).status == "completed"


async def test_of_many_who_change_it_at_once_all_are_heard(schedules: Schedules) -> None:
    await schedules.create("nightly", "wait", 5, **NIGHTLY)
    await asyncio.gather(*(schedules.fire("nightly", by=str(number)) for number in range(5)))
    shown = await schedules.show("nightly")
    assert (shown.started, {fire.by for fire in shown.last_fires}) == (5, set("01234"))


async def test_lists_come_in_pages(schedules: Schedules) -> None:
    for name in ("b", "a", "c"):
        await schedules.create(name, "wait", 5, **NIGHTLY)
    page = await schedules.list(limit=2)
    assert ([row.name for row in page.schedules], page.after) == (["a", "b"], "b")
    rest = await schedules.list(after="b", limit=2)
    assert ([row.name for row in rest.schedules], rest.after) == (["c"], None)
    with pytest.raises(RequestInvalidError, match="limit is 0"):
        await schedules.list(limit=0)
    with pytest.raises(RequestInvalidError, match="after"):
        await schedules.list(after="\N{SNOWMAN}")


async def test_what_became_of_the_last_fires_is_read_at_once(schedules: Schedules, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        await schedules.create(name, "wait", 5, **NIGHTLY)
    fired = [(await schedules.fire(name)).saga_id for name in ("a", "c", "c")]
    asked: list[list[UUID]] = []
    real = MemorySagas.statuses

    async def counted(self: MemorySagas, saga_ids: Collection[UUID]) -> dict[UUID, str]:
        asked.append([*saga_ids])
        return await real(self, saga_ids)

    monkeypatch.setattr(MemorySagas, "statuses", counted)
    page = await schedules.list()
    assert [row.last and (row.last.saga_id, row.last.status) for row in page.schedules] == [
        (fired[0], "waiting"),
        None,
        (fired[2], "waiting"),
    ]
    assert asked == [[fired[0], fired[2]]]
    assert [fire.saga_id for fire in (await schedules.show("c")).last_fires] == [fired[2], fired[1]]
    assert len(asked) == 2


async def test_the_doctor_finds_schedules_that_nobody_fires_or_whose_start_is_refused(
    world: World, node: Node, schedules: Schedules
) -> None:
    made = await schedules.create("often", "wait", 5, every_seconds=600)
    assert (await of_schedules(world.store, world.clock.now())).findings == []
    assert made.next_at is not None
    late = await of_schedules(world.store, made.next_at.timestamp() + 90)
    assert [finding.what for finding in late.findings] == ["schedule 'often' should have been fired 90 s ago"]
    strict: Saga[str, Any] = Saga("wait", input=str)
    strict.delay("1h", id="hour")
    await world.clock.advance(made.next_at.timestamp() - world.clock.now())
    await (await world.node()).definitions.register(strict.definition)
    await fire_due(world, node)
    (refused,) = (await of_schedules(world.store, world.clock.now())).findings
    assert "the last fire of schedule 'often' started nothing: the input does not fit saga 'wait'" in refused.what
