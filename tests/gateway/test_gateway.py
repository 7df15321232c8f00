"""The gateway itself, where several come at once or the store refuses something."""

from __future__ import annotations

import asyncio

import pytest

from goconductor.errors import RequestRefusedError, RightsError
from goconductor.gateway import gateway as gateways
from goconductor.gateway.protocol import GatewayFullError, OfferedStep, Registration
from tests.gateway.conftest import Server, eventually

WORKER = Registration(participant="payments", steps=(OfferedStep(name="charge"),), credit=1)


async def test_who_comes_at_the_same_time_finds_no_more_room_than_there_is(server: Server) -> None:
    object.__setattr__(server.settings.gateway, "sessions_max", 2)
    joined = await asyncio.gather(*(server.gateway.join(WORKER) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(each, GatewayFullError) for each in joined) == 3
    assert len(list(server.gateway.sessions)) == 2


async def test_workers_of_a_name_that_turns_out_to_be_one_of_code_are_let_go(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, found = 0, asyncio.Event()

    async def registered(name: str) -> list[object]:
        nonlocal looks
        looks += 1
        if looks == 2:
            await found.wait()
            raise RequestRefusedError(f"participant {name!r} has its steps in code")
        return []

    monkeypatch.setattr(server.gateway, "_registered", registered)
    first = asyncio.create_task(server.gateway.join(WORKER))
    await eventually(lambda: looks == 2)
    session, _ = await server.gateway.join(WORKER)
    found.set()
    with pytest.raises(RequestRefusedError):
        await first
    assert await session.told(session.connection, 300.0) is None
    assert list(server.gateway.sessions) == []


async def test_silent_workers_are_noticed_though_the_store_refuses_what_others_offer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateways, "LOOK_SECONDS", 0.01)
    refused = 0

    async def offer(serial: int, steps: object) -> None:
        nonlocal refused
        refused += 1
        raise RightsError(f"the role may not change instance {serial} to {steps}")

    async with Server(*Server.leaves(), grace_seconds=0.01).running() as server:
        await server.gateway.join(WORKER)
        (hosted,) = server.gateway._hosted.values()
        monkeypatch.setattr(hosted, "_offered", {})
        monkeypatch.setattr(server.store.instances, "offer", offer)
        await eventually(lambda: refused > 1)
        monkeypatch.setattr(gateways, "SILENCE_SECONDS", 0.0)
        await eventually(lambda: not list(server.gateway.sessions))
