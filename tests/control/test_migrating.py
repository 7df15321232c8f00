"""Sagas that are moved to another version of their definition while they run, where it is proven that nothing changes."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest

from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.definitions import loading, versions
from goconductor.control.sagas import bulk as bulks
from goconductor.control.sagas import requests
from goconductor.control.sagas.bulk import Selected, read_bulk
from goconductor.control.sagas.queries import history, saga_status
from goconductor.control.sagas.requests import Precautions, RequestIdReusedError, expected_of
from goconductor.control.sagas.story import saga_story
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import RequestRefusedError, SagaChangedError, SagaNotFoundError
from goconductor.lifecycle.facts.events import PauseRequested, SagaMigrated
from goconductor.lifecycle.requests.migration import refusals
from goconductor.saga.features import KNOWN, MIGRATION
from goconductor.testing.clock import settle
from goconductor.testing.world import World


class Shop:
    """A shop whose first step takes as long as the test wants."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.may_reserve = asyncio.Event()
        self.ran: list[str] = []
        self.registry = StepRegistry("shop")

        @self.registry.step
        async def reserve() -> str:
            self.ran.append("reserve")
            await self.may_reserve.wait()
            return "one"

        @self.registry.step
        async def wrap() -> str:
            self.ran.append("wrap")
            return "wrapped"

        @self.registry.step
        async def charge() -> str:
            self.ran.append("charge")
            return "paid"

    async def begun(self) -> tuple[UUID, str, str]:
        """A saga that reserves, its version, and the version that it is to have."""
        node = await self.world.node(self.registry)
        new = await self.register(WITH_WRAPPING)
        old = await self.register(FIRST)
        saga_id = (await node.starting.start(await node.definitions.plan("order", old), {}, key=None)).saga_id
        await settle()
        return saga_id, old, new

    async def register(self, document: bytes) -> str:
        return (await versions.register(ANYBODY, self.world.nodes[0], loading.load_definition(document))).version

    async def migrate(self, saga_id: UUID, version: str, **precautions: Any) -> None:
        asked = SagaMigrated(version=version, reason="a new version")
        await requests.ask(Actor("ann"), self.world.nodes[0], saga_id, asked, Precautions(**precautions))

    async def events(self, saga_id: UUID) -> list[str]:
        return [entry.event for entry in (await history(ANYBODY, self.world.nodes[0], saga_id)).entries]


FIRST = b"""
name: order
steps:
  - {id: reserve, run: shop.reserve, undo: none}
  - {id: charge, run: shop.charge, after: [reserve], pivot: true}
"""
WITH_WRAPPING = b"""
name: order
steps:
  - {id: reserve, run: shop.reserve, undo: none}
  - {id: wrap, run: shop.wrap, undo: none, after: [reserve]}
  - {id: charge, run: shop.charge, after: [wrap], pivot: true}
"""
IN_ANOTHER_ORDER = b"""
name: order
steps:
  - {id: wrap, run: shop.wrap, undo: none}
  - {id: reserve, run: shop.reserve, undo: none, after: [wrap]}
  - {id: charge, run: shop.charge, after: [reserve], pivot: true}
"""


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


async def test_a_saga_goes_on_by_the_new_version_while_a_step_of_it_runs(world: World, shop: Shop) -> None:
    saga_id, old, new = await shop.begun()
    await shop.migrate(saga_id, new)
    seen = await saga_status(ANYBODY, world.nodes[0], saga_id)
    assert (seen.version, [step.id for step in seen.steps]) == (new, ["reserve", "wrap", "charge"])
    shop.may_reserve.set()
    await world.end_of(saga_id)
    assert shop.ran == ["reserve", "wrap", "charge"]
    story = await saga_story(ANYBODY, world.nodes[0], saga_id)
    assert f"ann let the saga go on by version {new}, after {old}: a new version." in [line.text for line in story.lines]
    assert story.version == new


async def test_other_processes_carry_on_with_what_they_know_of_it(world: World, shop: Shop) -> None:
    """One has an older state in its memory, and one is asked by a message that was sent before."""
    saga_id, _, new = await shop.begun()
    other = await world.node()
    await other.view(saga_id)
    await shop.migrate(saga_id, new)
    await other.request(saga_id, PauseRequested(reason="wait"))
    assert (await other.view(saga_id)).state.version == new
    detail = await saga_status(ANYBODY, other, saga_id)
    assert (detail.status, detail.version) == ("paused", new)


async def test_a_saga_whose_past_would_differ_is_refused_and_says_why(world: World, shop: Shop) -> None:
    saga_id, old, new = await shop.begun()
    other = await shop.register(IN_ANOTHER_ORDER)
    before = await shop.events(saga_id)
    with pytest.raises(RequestRefusedError, match="step 'reserve' has begun, and would come after other steps"):
        await shop.migrate(saga_id, other)
    with pytest.raises(RequestRefusedError, match=f"runs by version {old} already"):
        await shop.migrate(saga_id, old)
    with pytest.raises(RequestRefusedError, match="there is no definition of version 'nothing' of saga 'order'"):
        await shop.migrate(saga_id, "nothing")
    with pytest.raises(SagaNotFoundError):
        await shop.migrate(UUID(int=7), new)
    assert await shop.events(saga_id) == before
    shop.may_reserve.set()
    await world.end_of(saga_id)
    with pytest.raises(RequestRefusedError, match="it has ended"):
        await shop.migrate(saga_id, new)


async def test_a_request_is_made_once_and_only_of_what_was_seen(world: World, shop: Shop) -> None:
    saga_id, old, new = await shop.begun()
    seen = (await saga_status(ANYBODY, world.nodes[0], saga_id)).revision
    await shop.migrate(saga_id, new, request_id="monday")
    await shop.migrate(saga_id, new, request_id="monday")
    assert (await shop.events(saga_id)).count("SagaMigrated") == 1
    with pytest.raises(RequestIdReusedError):
        await shop.migrate(saga_id, old, request_id="monday")
    with pytest.raises(SagaChangedError):
        await shop.migrate(saga_id, old, expected=expected_of(seen))
    await shop.migrate(saga_id, old)
    assert (await saga_status(ANYBODY, world.nodes[0], saga_id)).version == old
    shop.may_reserve.set()
    await world.end_of(saga_id)
    assert shop.ran == ["reserve", "charge"]


async def test_many_sagas_are_tried_and_then_moved(world: World, shop: Shop) -> None:
    first, _, new = await shop.begun()
    node = world.nodes[0]
    second = (await node.starting.start(await node.definitions.plan("order", None), {}, key=None)).saga_id
    other = await shop.register(IN_ANOTHER_ORDER)
    sagas = [Selected(saga_id=each) for each in (first, second)]
    refused = await bulks.bulk(ANYBODY, node, read_bulk("migrate", values={"version": other}), sagas, dry_run=True)
    assert {each.outcome for each in refused.sagas} == {"refused"}
    assert "step 'reserve' has begun" in (refused.sagas[0].problem or "")
    asked = read_bulk("migrate", reason="a new version", values={"version": new})
    tried = await bulks.bulk(ANYBODY, node, asked, sagas, dry_run=True)
    assert {each.outcome for each in tried.sagas} == {"allowed"}
    assert "SagaMigrated" not in await shop.events(first)
    for _ in range(2):
        done = await bulks.bulk(ANYBODY, node, asked, sagas, request_id="monday")
        assert {each.outcome for each in done.sagas} == {"done"}
    assert (await shop.events(second)).count("SagaMigrated") == 1


async def test_it_waits_until_every_instance_knows_of_migrations(world: World, shop: Shop) -> None:
    saga_id, _, new = await shop.begun()
    instances = world.store.data.instances
    for serial, instance in [*instances.items()]:
        instances[serial] = msgspec.structs.replace(instance, features=tuple(sorted(KNOWN - {MIGRATION})))
    with pytest.raises(RequestRefusedError, match="cannot run a saga that was migrated"):
        await shop.migrate(saga_id, new)


async def test_a_saga_that_moves_on_meanwhile_is_proven_again(world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    saga_id, _, new = await shop.begun()
    node = world.nodes[0]
    proofs = 0

    def slow(*args: Any) -> list[str]:
        nonlocal proofs
        proofs += 1
        found = refusals(*args)
        if proofs == 1:  # somebody appends between the proof and the event
            head = world.store.data.heads[saga_id]
            world.store.data.heads[saga_id] = msgspec.structs.replace(head, tag=head.tag + 1)
        return found

    monkeypatch.setattr("goconductor.engine.log.migrating.refusals", slow)
    await shop.migrate(saga_id, new)
    assert proofs == 2
    assert (await saga_status(ANYBODY, node, saga_id)).version == new
