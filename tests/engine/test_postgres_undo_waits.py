"""Undos that wait for somebody outside, and for a person: they outlive every process, and PostgreSQL keeps when to look again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from goconductor import Conductor, Participant, RefusedError, Saga, Settings, StepContext, Undo, connect
from goconductor.stores.postgres import migrate

pytestmark = pytest.mark.postgres


async def waits_for(handle: Any, step: str) -> Any:
    """Return what a step waits for, as soon as it does."""
    while True:
        found = next(each.waits_for for each in (await handle.view()).steps if each.id == step)
        if found is not None:
            return found
        await asyncio.sleep(0.02)


async def test_they_outlive_the_process(postgres_url: str) -> None:
    await migrate(postgres_url)
    tokens: list[str] = []

    def shop() -> Participant:
        offered = Participant("shop")

        @offered.step
        async def write_cheque() -> int:
            return 7

        @offered.step
        async def charge() -> None: ...

        @charge.compensation
        async def refund(context: StepContext) -> None:
            tokens.append(context.task_token)
            context.hand_out()

        @offered.step
        async def ship() -> None:
            raise RefusedError("no van")

        return offered

    saga: Saga[Any] = Saga("order")
    cheque = saga.step("shop.write_cheque", id="cheque", undo=Undo.approval("Is the cheque torn up?"))
    charge = saga.step("shop.charge", id="charge", after=[cheque])
    saga.step("shop.ship", after=[charge])
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    async with asyncio.timeout(300), connect(settings) as client:
        assert isinstance(client, Conductor)
        async with shop().running(settings) as conductor:
            saga_id = (await conductor.start(saga, None)).saga_id
            await waits_for(client.saga(saga_id), "charge")
        await client.report(tokens[0], by="bank")  # nobody runs that has the code
        asked = await waits_for(client.saga(saga_id), "cheque")
        assert (asked.approval, asked.round) == ("Is the cheque torn up?", 0)
        await client.saga(saga_id).approve("cheque", reason="torn up", round=asked.round)
        assert (await client.saga(saga_id).view()).status == "compensated"
