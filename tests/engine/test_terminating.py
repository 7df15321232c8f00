"""Terminate, run by the engine: what is out gets its keys written first, and only then the saga has ended."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from goconductor import RequestRefusedError, Saga
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas import queries
from goconductor.control.sagas.story import saga_story
from goconductor.engine.steps.registry import StepRegistry
from goconductor.journals.memory import MemoryJournal, MemoryTransaction
from goconductor.lifecycle.facts.events import AbortRequested, TerminationRequested
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.testing.clock import settle
from goconductor.testing.world import World

ENOUGH = TerminationRequested(reason="enough")


class Shop:
    """Charges a card, and does not end before it is told; with or without a journal."""

    def __init__(self, journal: MemoryJournal | None = None) -> None:
        self.registry = StepRegistry("shop")
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.shipped = 0
        if journal is None:

            @self.registry.step
            async def charge() -> str:
                self.begun.set()
                await self.may_end.wait()
                return "R-1"

        else:

            @self.registry.step(transaction=journal)
            async def charge(tx: MemoryTransaction) -> str:
                self.begun.set()
                await self.may_end.wait()
                tx["charged"] = tx.get("charged", 0) + 1
                return "R-1"

        @self.registry.step
        async def ship() -> None:
            self.shipped += 1


def order() -> Saga[Any]:
    saga: Saga[Any] = Saga("order")
    saga.step("shop.ship", after=[saga.step("shop.charge")])
    return saga


async def test_what_has_happened_meanwhile_is_recorded_before_the_end() -> None:
    kept: dict[str, Any] = {}
    shop = Shop(MemoryJournal(kept))
    async with World() as world:
        node = await world.node(shop.registry)
        saga_id = await world.start(order(), {})
        await shop.begun.wait()
        await node.request(saga_id, ENOUGH)
        await settle()
        assert (await world.state(saga_id)).status is SagaStatus.TERMINATING
        with pytest.raises(RequestRefusedError, match="is terminating"):
            await node.request(saga_id, AbortRequested())
        shop.may_end.set()
        state = await world.end_of(saga_id)
    assert (state.status, state.step("charge").action.status) == (SagaStatus.TERMINATED, ActionStatus.SUCCEEDED)
    assert (state.step("charge").output, kept) == ("R-1", {"charged": 1})
    assert (shop.shipped, state.late_effects) == (0, False)


async def test_what_was_sent_and_never_ran_never_will() -> None:
    kept: dict[str, Any] = {}
    shop = Shop(MemoryJournal(kept))
    async with World() as world:
        client = await world.node()
        saga_id = await world.start(order(), {})
        await client.request(saga_id, ENOUGH)
        await world.node(shop.registry)
        state = await world.end_of(saga_id)
    assert (state.status, state.step("charge").action.status) == (SagaStatus.TERMINATED, ActionStatus.PREVENTED)
    assert (kept, shop.begun.is_set(), state.late_effects) == ({}, False, False)


async def test_without_a_journal_the_saga_says_that_late_effects_are_possible() -> None:
    shop = Shop()
    async with World() as world:
        node = await world.node(shop.registry)
        saga_id = await world.start(order(), {})
        await shop.begun.wait()
        await node.request(saga_id, ENOUGH)
        state = await world.end_of(saga_id)
        assert (state.status, state.late_effects) == (SagaStatus.TERMINATED, True)
        shop.may_end.set()
        await settle()
        told = "\n".join(line.text for line in (await saga_story(ANYBODY, node, saga_id)).lines)
    assert "shop asked to end the saga as it stands: enough." in told
    assert shop.shipped == 0


async def test_a_saga_whose_owner_is_gone_is_terminated_by_force() -> None:
    shop = Shop()
    async with World() as world:
        node = await world.node()
        saga_id = await world.start(order(), {})
        await node.request(saga_id, ENOUGH)
        await world.live(120)
        detail = await queries.saga_status(ANYBODY, node, saga_id)
        assert (detail.status, [each.value for each in detail.allowed]) == ("terminating", ["terminate"])
        assert [step.reason for step in detail.steps] == ["shop has no live instance", "it never began"]
        await node.request(saga_id, TerminationRequested(reason="it never comes back", forced=True))
        state = await world.end_of(saga_id)
        assert (state.status, state.late_effects) == (SagaStatus.TERMINATED, True)
        detail = await queries.saga_status(ANYBODY, node, saga_id)
        assert detail.steps[0].reason == "the saga was terminated while it was due"
        counts = Counter(step.status.value for step in detail.steps)
    assert counts == {"unknown": 1, "pending": 1}
    assert shop.shipped == 0
