"""Real processes are killed around the start and the end of a sub-saga: it is started once, and its parent learns of its end."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import pytest

from goconductor import CompensatedError, Participant, RefusedError, Saga, Settings, Undo, connect
from goconductor.app import migrate

pytestmark = pytest.mark.postgres

KILLED = """
import asyncio, os, signal, sys
from goconductor import Participant, RefusedError
from goconductor.engine.children import Children

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[1] in ("see_to", "has_ended"):
    setattr(Children, sys.argv[1], die)

async def main():
    shop = Participant("shop")

    @shop.step
    async def pay():
        pass

    @shop.step
    async def pack(name: str) -> str:
        if sys.argv[1] == "pack":
            die()
        return "box of " + name

    @shop.step
    async def back(name: str) -> None:
        pass

    @shop.step
    async def refused():
        raise RefusedError("no")

    await shop.run()

asyncio.run(main())
"""


@pytest.mark.parametrize("point", ["see_to", "pack", "has_ended"])
async def test_a_child_is_started_once_and_its_end_is_told_whoever_is_killed(postgres_url: str, point: str) -> None:
    environ = {"GOCONDUCTOR_DATABASE_URL": postgres_url, "GOCONDUCTOR_PARTICIPANT_LEASE_SECONDS": "2"}
    settings = Settings.load(environ=environ)
    await migrate(settings)
    parcel: Saga[Any, Any] = Saga("parcel")
    parcel.returns(parcel.step("shop.pack", inputs={"name": parcel.input.name}).output)
    order: Saga[Any, Any] = Saga("order")
    paid = order.step("shop.pay", pivot=True)
    order.returns(order.saga(parcel, inputs={"name": order.input.name}, after=[paid]).output)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, point, env={**os.environ, **environ})
    async with connect(settings) as conductor:
        handle = await conductor.start(order, {"name": "lamp"})
        assert await process.wait() == -9
        shop = Participant("shop")

        @shop.step
        async def pay() -> None:
            pass

        @shop.step
        async def pack(name: str) -> str:
            return f"box of {name}"

        async with shop.running(settings):
            assert await handle.result(timeout_seconds=300) == "box of lamp"
        (child,) = (await conductor.sagas(saga="parcel")).sagas
        (step,) = (step for step in (await handle.view()).steps if step.id == "parcel")
        assert (step.started, step.attempt) == (child.saga_id, 1)


@pytest.mark.parametrize("point", ["see_to", "has_ended"])
async def test_a_saga_that_undoes_a_step_is_started_once_whoever_is_killed(postgres_url: str, point: str) -> None:
    environ = {"GOCONDUCTOR_DATABASE_URL": postgres_url, "GOCONDUCTOR_PARTICIPANT_LEASE_SECONDS": "2"}
    settings = Settings.load(environ=environ)
    await migrate(settings)
    refund: Saga[Any, Any] = Saga("refund")
    refund.step("shop.back", inputs={"name": refund.input.name})
    order: Saga[Any, Any] = Saga("order")
    paid = order.step("shop.pay", undo=Undo.saga(refund, inputs={"name": order.input.name}))
    order.step("shop.refused", after=[paid], pivot=True)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, point, env={**os.environ, **environ})
    async with connect(settings) as conductor:
        handle = await conductor.start(order, {"name": "lamp"})
        assert await process.wait() == -9
        shop, undone = Participant("shop"), list[str]()

        @shop.step
        async def pay() -> None:
            pass

        @shop.step
        async def back(name: str) -> None:
            undone.append(name)

        @shop.step
        async def refused() -> None:
            raise RefusedError("no")

        async with shop.running(settings):
            with pytest.raises(CompensatedError):
                await handle.result(timeout_seconds=300)
        (child,) = (await conductor.sagas(saga="refund")).sagas
        (step,) = (step for step in (await handle.view()).steps if step.id == "pay")
        assert (child.status, step.started, step.compensation_attempt) == ("completed", child.saga_id, 1)
        assert undone == (["lamp"] if point == "see_to" else [])
