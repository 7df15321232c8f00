"""A saga's events as they happen: server-sent, from where a browser lost them, to the end of the saga or of the server."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from goconductor.control.watching import streaming
from goconductor.rest.app import create_app
from tests.doors.conftest import Shop

UNKNOWN = "01920000-0000-7000-8000-000000000000"


class Quiet(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """This is a test's process."""


@asynccontextmanager
async def served(shop: Shop, stopping: asyncio.Event) -> AsyncIterator[httpx.AsyncClient]:
    """A real server: a transport in memory hands over a stream only when it is over."""
    server = Quiet(
        uvicorn.Config(
            create_app(shop.server, shop.settings, stopping=stopping),
            port=0,
            log_config=None,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=30,
        )
    )
    listener = server.config.bind_socket()
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=300) as client:
            yield client
    finally:
        stopping.set()
        server.should_exit = True
        await running
        listener.close()


async def frames(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """The messages of a stream; a comment counts as an empty one."""
    frame: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            if name:
                frame[name] = value.strip()
        else:
            yield frame
            frame = {}


async def told(client: httpx.AsyncClient, path: str, **headers: str) -> list[dict[str, Any]]:
    async with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        return [frame async for frame in frames(answer) if frame]


async def test_a_saga_is_told_from_its_start_to_its_end_as_it_happens(shop: Shop) -> None:
    async with served(shop, asyncio.Event()) as client:
        saga_id = (await shop.start(card="slow"))["saga_id"]
        seen: list[dict[str, Any]] = []
        async with client.stream("GET", f"/v1/sagas/{saga_id}/events") as answer:
            async for frame in frames(answer):
                if frame:
                    seen.append(frame)
                if len(seen) == 2:
                    shop.open_gate.set()
        events_told = [json.loads(frame["data"]) for frame in seen[:-1]]
        assert [(each["event"], each["step"]) for each in events_told] == [
            ("SagaStarted", None),
            ("ActionSucceeded", "reserve"),
            ("ActionSucceeded", "charge"),
            ("ActionSucceeded", "ship"),
        ]
        assert [frame["id"] for frame in seen[:-1]] == ["1", "2", "3", "4"]
        assert seen[-1] == {"event": "end", "data": '{"status":"completed"}'}


async def test_a_browser_that_lost_the_connection_goes_on_where_it_was(shop: Shop) -> None:
    async with served(shop, asyncio.Event()) as client:
        path = f"/v1/sagas/{(await shop.start(wait_seconds=300))['saga_id']}/events"
        assert [frame.get("id") for frame in await told(client, path, **{"Last-Event-ID": "2"})] == ["3", "4", None]
        assert [frame.get("id") for frame in await told(client, f"{path}?after=3")] == ["4", None]
        assert (await client.get(path, headers={"Last-Event-ID": "4"})).status_code == 204


async def test_while_nothing_happens_a_comment_keeps_the_connection(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.05)
    async with served(shop, asyncio.Event()) as client:
        saga_id = (await shop.start(card="slow"))["saga_id"]
        beats = 0
        async with client.stream("GET", f"/v1/sagas/{saga_id}/events") as answer:
            async for frame in frames(answer):
                beats += not frame
                if beats == 4:
                    break


async def test_when_the_server_stops_its_streams_end_at_once(shop: Shop) -> None:
    stopping = asyncio.Event()
    saga_id = (await shop.start(card="slow"))["saga_id"]
    async with served(shop, stopping) as client, client.stream("GET", f"/v1/sagas/{saga_id}/events") as answer:
        seen = []
        async for frame in frames(answer):
            seen.append(frame)
            stopping.set()
        assert "event" not in seen[-1]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (f"/v1/sagas/{UNKNOWN}/events", {}, 404),
        ("/v1/sagas/not-an-id/events", {}, 400),
        (f"/v1/sagas/{UNKNOWN}/events", {"Last-Event-ID": "x"}, 400),
        (f"/v1/sagas/{UNKNOWN}/events", {"Last-Event-ID": "9" * 40}, 400),
        (f"/v1/sagas/{UNKNOWN}/events?after=-1", {}, 400),
    ],
)
async def test_a_stream_that_cannot_begin_is_a_problem(shop: Shop, path: str, headers: dict[str, str], status: int) -> None:
    answer = await shop.client.get(path, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_head_of_a_stream_ends(shop: Shop) -> None:
    saga_id = (await shop.start(card="slow"))["saga_id"]
    answer = await shop.client.head(f"/v1/sagas/{saga_id}/events")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_uvicorn_ends_though_a_stream_of_a_mounted_application_is_open() -> None:
    """A real process: uvicorn waits for its streams, and tells nobody that it was told to stop."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", MOUNTED, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    port, saga_id = (await process.stdout.readline()).decode().split()
    url = f"http://127.0.0.1:{port}/sagas/v1/sagas/{saga_id}/events"
    async with httpx.AsyncClient(timeout=300) as client, client.stream("GET", url) as answer:
        coming = frames(answer)
        assert await anext(coming) == {}
        assert (await anext(coming))["id"] == "1"
        process.terminate()
        assert [frame async for frame in coming if frame] == []
    assert await process.wait() == -signal.SIGTERM  # uvicorn ends by the signal that it was given, once it has ended in order


MOUNTED = """
import asyncio
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from goconductor import Saga
from goconductor.control.settings.settings import Settings
from goconductor.rest.app import create_app
from goconductor.testing.world import World

@asynccontextmanager
async def lifespan(app):
    async with World() as world:
        node = await world.node()
        saga = Saga("waiting")
        saga.step("nobody.offers")
        saga_id = await world.start(saga)
        app.mount("/sagas", create_app(node, Settings(database={"url": "postgresql://127.0.0.1/unused"})))
        print(listener.getsockname()[1], saga_id, flush=True)
        yield

server = uvicorn.Server(uvicorn.Config(FastAPI(lifespan=lifespan), port=0, log_config=None, ws="none"))
listener = server.config.bind_socket()
listener.listen()  # who reads the port may come before uvicorn listens
server.run(sockets=[listener])
"""
