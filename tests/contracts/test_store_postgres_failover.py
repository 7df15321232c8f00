"""A standby that lagged behind was promoted: what it took is told again where it can be, and told of where it cannot."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from goconductor import Saga
from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.control.doctor.failovers import of_failovers
from goconductor.engine.facts.clock import SystemClock
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import FencedError
from goconductor.ports.store import Instance, Loss
from goconductor.ports.store.leading.choices import BUS, Choice, Report
from goconductor.postgres.dialling import Connection
from goconductor.postgres.servers.timelines import TIMELINES
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.saga.writing.builder import Saga as SagaOf
from goconductor.stores.postgres import PostgresStore
from goconductor.switchover.follower import Follower
from goconductor.testing.contracts.store.material import begin, eventually, lead
from goconductor.testing.postgres import PostgresServer
from tests.servers.fixtures.primaries import Primaries

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("nobody_looks")]


@asynccontextmanager
async def opened(url: str, name: str = "goconductor") -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url, name=name)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def ask(server: PostgresServer, statement: str) -> Any:
    connection = await asyncpg.connect(server.url())
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def replicate(primaries: Primaries, timeline: int) -> None:
    """The new one knows that there was an old one, as a standby does unless it never received anything."""
    system = await ask(primaries.new, "SELECT system_identifier::text FROM pg_control_system()")
    await ask(primaries.new, f"INSERT INTO goconductor.timelines VALUES ('{system}', {timeline}, '2020-01-01')")


async def test_both_sides_of_a_split_raise_other_epochs(primaries: Primaries) -> None:
    """Hole 55: from the same row to the same number. A leader of the one side is none on the other."""
    async with opened(primaries.old.url()) as old:
        of_old = await lead(old)
        assert of_old == 1
        async with opened(primaries.new.url()) as new:
            of_new = await lead(new)
            assert of_new == 1 << 32
            with pytest.raises(FencedError):
                await new.recovery.free([], epoch=of_old)
            await new.recovery.free([], epoch=of_new)
            assert await lead(new) == of_new + 1


async def test_a_promotion_without_a_start_begins_the_silence(primaries: Primaries) -> None:
    """Hole 54: start times do not change by it, and all leases are gone."""
    async with opened(primaries.old.url()) as old:
        [first] = await old.failovers.timelines()
        assert first.replayed_until is None
    await replicate(primaries, first.number)
    started = await ask(primaries.new, "SELECT extract(epoch FROM pg_postmaster_start_time())::float8")
    async with opened(primaries.new.url()) as new:
        before, promoted = await new.failovers.timelines()
        assert (before.number, promoted.number) == (first.number, first.number + 1)
        epoch = await lead(new)
        assert await new.recovery.leases_truncated()
        asked_at = await new.terms.database_time()
        calm_seconds = await new.recovery.calm_seconds(epoch=epoch)
        answered_at = await new.terms.database_time()
        assert asked_at - calm_seconds - 0.001 <= promoted.seen_at <= answered_at - calm_seconds + 0.001
        assert promoted.seen_at > started
    async with opened(primaries.new.url()) as later:
        assert await later.failovers.timelines() == [before, promoted]


async def test_a_lost_registration_is_made_again_under_whatever_serial_is_free(primaries: Primaries) -> None:
    """Hole 56: two processes with one serial: the loser waited for the other's lock for ever, and nobody knew of it."""
    told: list[Instance] = []
    async with opened(primaries.url) as store:
        mine = await store.instances.register("payments", "mine", {"charge": {}}, on_rewind=told.append)
        async with opened(primaries.new.url(), "another") as another:
            theirs = await another.instances.register("payments", "theirs", {})
            assert theirs.serial == mine.serial
            primaries.old.stop()

            async def is_told() -> bool:
                return bool(told)

            await eventually(is_told)
            [again] = told
            assert again.serial != theirs.serial
            assert (again.name, again.steps) == ("mine", {"charge": {}})
            present = [(one.serial, presence.alive) for one, presence in await store.instances.presence(dead_since=0.0)]
            assert sorted(present) == sorted([(theirs.serial, True), (again.serial, True)])
            await store.instances.unregister(mine.serial)  # which is the other's by now
            assert [one.dead_at for one in await store.instances.registered()] == [None, None]


async def test_a_process_is_told_that_the_log_may_have_gone_back_though_the_first_new_connection_breaks(
    primaries: Primaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Instance] = []
    async with opened(primaries.old.url()) as store:
        await store.instances.register("payments", "ours", {}, on_rewind=told.append)
        noted, breaks = store.failovers.note_connected, True

        async def promoted(connection: Connection) -> int:
            return await noted(connection) + 1

        take_again = store.instances._take_again

        async def taken_again(connection: Connection, serials: list[int]) -> None:
            nonlocal breaks
            if breaks:
                breaks = False
                raise ConnectionResetError
            await take_again(connection, serials)

        monkeypatch.setattr(store.instances._timelines, "note_connected", promoted)
        monkeypatch.setattr(store.instances, "_take_again", taken_again)
        async with store.instances.session.use() as connection:
            connection.terminate()

        async def is_back() -> bool:
            return not breaks and store.instances.session.is_connected

        await eventually(is_back)
        assert [one.name for one in told] == ["ours"]


def shop() -> tuple[StepRegistry, SagaOf[Any]]:
    registry = StepRegistry("shop")

    @registry.step
    async def pack() -> str:
        return "packed"

    saga: SagaOf[Any] = Saga("order")
    saga.step(pack)
    return registry, saga


async def test_what_living_processes_know_to_be_missing_is_told(primaries: Primaries, caplog: pytest.LogCaptureFixture) -> None:
    registry, saga = shop()
    node = Node(store=PostgresStore(primaries.url), bus=MemoryBus(MemoryBroker()), registry=registry)
    await node.open()
    try:
        first = node.instance
        plan = await node.definitions.register(saga.definition)
        lost = [(await node.starting.start(plan.name, None)).saga_id for _ in range(3)]
        for saga_id in lost:
            await node.wait_for_end(saga_id, 300)
        caplog.set_level(logging.ERROR, "goconductor.engine")
        await replicate(primaries, 1)
        primaries.old.stop()

        async def all_noted() -> bool:
            try:
                known = await node.store.definitions.get(DEFAULT_NAMESPACE, plan.name)
                return node.counts["commits_missing"] == 3 and bool(known)
            except Exception:  # noqa: BLE001  (it is away)
                return False

        await eventually(all_noted)
        assert "a failover lost 3 acknowledged commits" in caplog.text
        assert str(lost[0]) in caplog.text
        losses = await node.store.failovers.losses(10)
        assert {one.saga_id for one in losses} == set(lost)
        assert {(one.status, one.known_by) for one in losses} == {("completed", node.name)}
        stored = await node.store.definitions.get(DEFAULT_NAMESPACE, plan.name)
        assert stored is not None
        assert (stored.version, stored.active) == (plan.version, True)
        assert [one.name for one in await node.store.instances.registered() if one.serial == node.instance.serial] == [first.name]
        again = (await node.starting.start(plan.name, None)).saga_id
        assert (await node.wait_for_end(again, 300)).outputs() == {"pack": "packed"}
        check = await of_failovers(node.store, await node.store.terms.database_time())
        assert "3 acknowledged commits" in check.findings[0].what
        assert str(losses[0].saga_id) in check.findings[0].what
    finally:
        await node.close()


async def test_a_late_message_of_a_saga_that_retention_took_is_no_loss(primaries: Primaries) -> None:
    async with opened(primaries.old.url()) as store:
        saga = await begin(store)
        present = Loss(saga_id=saga.saga_id, seq=saga.seq, tag=saga.tag, status="running", at=1e9, known_by="me")
        other = Loss(saga_id=saga.saga_id, seq=1, tag=4711, status="running", at=1e9, known_by="me")
        gone = Loss(saga_id=(await begin(store)).saga_id, seq=1, tag=4711, status="completed", at=1e9, known_by="me")
        connection = await asyncpg.connect(primaries.old.url())
        await connection.execute("DELETE FROM goconductor.sagas WHERE saga_id = $1", gone.saga_id)
        await connection.close()
        assert await store.failovers.lost([present, other, gone]) == [other, gone]
        assert await store.failovers.note([present, other, gone]) == 1
        assert await store.failovers.note([other]) == 0
        assert [one.tag for one in await store.failovers.losses(10)] == [4711]
        assert TIMELINES.highest(store._address.cluster) == 1


async def test_a_choice_that_nobody_made_any_more_is_forgotten(primaries: Primaries) -> None:
    """What a failover took is as if it had never been: also that another bus was chosen."""
    choices: list[Choice] = []
    instance: list[Instance] = []
    async with opened(primaries.url) as store:
        instance.append(await store.instances.register("shop", "one", {}, on_rewind=instance.append))
        assert await store.choices.choose(Choice(kind=BUS, chosen="b", number=1))
        follower = Follower(
            BUS, ["a", "b"], choices=store.choices, instance=lambda: instance[-1].serial, clock=SystemClock(), strict=True
        )
        await follower.begin()
        assert follower.choice.chosen == "b"

        async def arrive(choice: Choice) -> Report:
            choices.append(choice)
            return follower.report(choice.chosen, problem="", quiet=False)

        follower.follow(arrive)

        async def says(uses: str) -> bool:
            try:
                found = [one for one in await store.instances.registered() if one.name == "one"]
            except Exception:  # noqa: BLE001  (it is away)
                return False
            return any(BUS in one.reports and one.reports[BUS].uses == uses for one in found)

        await eventually(lambda: says("b"))
        primaries.old.stop()
        await eventually(lambda: says("a"))
        await follower.close()
        assert [choice.chosen for choice in choices][-1] == "a"
