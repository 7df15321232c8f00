"""Health of a process without REST, asked over HTTP."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from goconductor.control.doors import health
from goconductor.control.doors.health import answering
from goconductor.control.settings.sections import HealthSettings
from goconductor.engine.node import Node
from goconductor.errors import StoreUnavailableError
from goconductor.testing.world import World

LOOPBACK = HealthSettings(port=0)


def always(node: Node) -> Callable[[], Node]:
    return lambda: node


async def asked(port: int | None, path: str, method: str = "GET") -> tuple[int, str]:
    async with httpx.AsyncClient(timeout=300) as client:
        answer = await client.request(method, f"http://127.0.0.1:{port}{path}")
    return answer.status_code, answer.text


async def test_a_process_that_is_well_says_so() -> None:
    async with World() as world, answering(always(await world.node()), LOOPBACK) as port:
        assert await asked(port, "/livez") == (200, "ready\n")
        assert await asked(port, "/readyz?verbose") == (200, "ready\n")
        assert await asked(port, "/readyz", "HEAD") == (200, "")
        assert (await asked(port, "/metrics"))[0] == 404
        assert (await asked(port, "/livez", "POST"))[0] == 501


async def test_a_database_that_is_away_makes_it_not_ready_but_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    async with World() as world:
        node = await world.node()

        async def away(**_: Any) -> None:
            raise StoreUnavailableError("postgresql://secret@host is away")

        monkeypatch.setattr(node.store.sagas, "heads", away)
        async with answering(always(node), LOOPBACK) as port:
            assert await asked(port, "/readyz") == (503, "store: away\n")
            assert await asked(port, "/livez") == (200, "ready\n")


async def test_a_process_that_opens_or_closes_lives_and_is_not_ready_and_its_store_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with World() as world:
        monkeypatch.setattr((await world.node()).store, "sagas", None)
        async with answering(lambda: None, LOOPBACK) as port:
            assert await asked(port, "/readyz") == (503, "process: waits for its database or its bus, or stops\n")
            assert await asked(port, "/livez") == (200, "ready\n")


async def test_a_loop_that_is_blocked_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOP_SECONDS", 0.05)
    answered = threading.Event()
    found: list[tuple[int, str]] = []

    def ask(port: int | None) -> None:
        answer = httpx.get(f"http://127.0.0.1:{port}/livez", timeout=300)
        found.append((answer.status_code, answer.text))
        answered.set()

    async with World() as world, answering(always(await world.node()), LOOPBACK) as port:
        asking = threading.Thread(target=ask, args=(port,))
        asking.start()
        assert answered.wait(300)  # in the loop, so that it is blocked until the answer has come
        await asyncio.to_thread(asking.join)
    assert found == [(503, "event loop: blocked\n")]


async def test_a_port_that_another_worker_has_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with World() as world:
        node = await world.node()
        async with answering(always(node), LOOPBACK) as port, answering(always(node), HealthSettings(port=port)) as other:
            assert other is None
            assert await asked(port, "/livez") == (200, "ready\n")
    (said,) = [each for each in caplog.records if each.levelno == logging.WARNING and "health" in each.getMessage()]
    assert "this process works on without" in said.getMessage()


async def test_without_a_port_nothing_is_served() -> None:
    async with World() as world, answering(always(await world.node()), HealthSettings()) as port:
        assert port is None
