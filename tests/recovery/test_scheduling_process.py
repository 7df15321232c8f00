"""A participant's process, with its real clock, leads and fires."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from goconductor import Participant, Saga, Settings
from goconductor.app import migrate

pytestmark = pytest.mark.postgres


async def test_a_process_that_leads_fires_what_is_due(postgres_url: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url, "GOCONDUCTOR_BUS": "postgres"})
    await migrate(settings)
    shop = Participant("shop")
    fired = asyncio.Event()

    @shop.step
    async def report(day: str) -> None:
        fired.set()

    saga: Saga[Any, Any] = Saga("report", input=dict)
    saga.step(report, inputs={"day": saga.input["day"]})
    async with shop.running(settings) as conductor:
        await conductor.start(saga, {"day": "before"})  # registers it
        async with asyncio.timeout(600):
            await fired.wait()
            fired.clear()
            await conductor.schedules.create("often", "report", {"day": "today"}, every_seconds=1)
            await fired.wait()
        assert (await conductor.schedules.show("often")).name == "often"
