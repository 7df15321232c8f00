"""The events of all sagas as they happen: server-sent, over gRPC and at the command line, from any cursor on."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import grpc
import pytest

from goconductor.control.actor import ANYBODY
from goconductor.control.faults import RequestInvalidError
from goconductor.control.models import FeedEvent
from goconductor.control.watching import everything
from goconductor.errors import CursorLostError, StoreUnavailableError
from tests.doors.conftest import Shop
from tests.doors.over_grpc import Caller, Refusal
from tests.doors.test_rest_events import frames, served


async def first_events(shop: Shop, number: int, **wishes: Any) -> list[FeedEvent]:
    """Return so many events behind the beginning."""
    wishes.setdefault("after", await shop.server.store.feed.beginning())
    told = await everything.watch_all(ANYBODY, shop.server, asyncio.Event(), **wishes)
    found: list[FeedEvent] = []
    async with aclosing(told):
        async for each in told:
            if isinstance(each, FeedEvent):
                found.append(each)
            if len(found) == number:
                break
    return found


async def test_server_sent_events_go_on_where_the_browser_was(shop: Shop) -> None:
    async with served(shop, asyncio.Event()) as client:
        async with client.stream("GET", "/v1/events") as answer:
            coming = frames(answer)
            assert [*await anext(coming)] == ["id"]  # at once, so that the browser knows its place
            saga_id = (await shop.start())["saga_id"]
            seen = []
            async for frame in coming:
                seen.append((frame["id"], json.loads(frame["data"])))
                if seen[-1][1]["status"] == "completed":
                    break
        assert {event["saga_id"] for _, event in seen} == {saga_id}
        assert [event["entry"]["seq"] for _, event in seen] == [*range(1, len(seen) + 1)]
        assert all(cursor == event["cursor"] for cursor, event in seen)
        async with client.stream("GET", "/v1/events", headers={"Last-Event-ID": seen[0][0]}) as answer:
            again = [json.loads(frame["data"]) async for frame in _some(frames(answer), len(seen) - 1)]
        assert again == [event for _, event in seen[1:]]
        for query, status, kind in (
            ("after=nonsense", 410, "cursor-lost"),
            ("status=done", 400, "invalid-request"),
            ("label=x", 400, "invalid-request"),
            ("sagas=order", 400, "invalid-request"),
        ):
            refused = await client.get(f"/v1/events?{query}")
            assert (refused.status_code, refused.json()["type"]) == (status, f"urn:goconductor:problem:{kind}")
        assert (await client.head("/v1/events")).status_code == 200


async def _some(coming: Any, number: int) -> Any:
    while number:
        frame = await anext(coming)
        if "data" in frame:
            number -= 1
            yield frame


async def test_a_stream_ends_when_the_server_stops(shop: Shop) -> None:
    stopping = asyncio.Event()
    async with served(shop, stopping) as client, client.stream("GET", "/v1/events") as answer:
        coming = frames(answer)
        await anext(coming)
        stopping.set()
        assert [frame async for frame in coming if "data" in frame] == []


async def test_a_stream_over_grpc_has_the_same_events(shop: Shop, caller: Caller) -> None:
    watch = caller.call("WatchAll", saga="order")
    start = (await watch.read()).reached
    saga_id = (await shop.start())["saga_id"]
    seen: list[Any] = []
    while not seen or seen[-1].status != "completed":
        event = (await watch.read()).event
        if event.saga_id:
            seen.append(event)
    watch.cancel()
    shown = await first_events(shop, len(seen), after=start)
    assert [(each.cursor, each.saga_id, each.entry.seq, each.status) for each in seen] == [
        (each.cursor, saga_id, each.entry.seq, each.status) for each in shown
    ]
    refusal = Refusal(await _error(caller.call("WatchAll", after="nonsense")))
    assert (refusal.code, refusal.kind) == (grpc.StatusCode.OUT_OF_RANGE, "cursor-lost")


async def _error(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    return caught.value


async def test_only_what_is_wished_for_is_told(shop: Shop) -> None:
    first = (await shop.start())["saga_id"]
    second = (await shop.start())["saga_id"]
    ended = await first_events(shop, 2, status=["completed"])
    assert {str(each.saga_id) for each in ended} == {first, second}
    assert all(each.status == "completed" for each in ended)
    assert str((await first_events(shop, 1, after=ended[0].cursor, saga="order", status="completed"))[0].saga_id) != str(
        ended[0].saga_id
    )
    with pytest.raises(RequestInvalidError):
        await first_events(shop, 1, status="done")


async def test_a_watch_lives_through_trouble_with_the_database(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everything, "POLL_SECONDS", (0.001, 0.001))
    monkeypatch.setattr(everything, "HEARTBEAT_SECONDS", 0.002)
    feed, failures = shop.server.store.feed, [StoreUnavailableError(), CursorLostError("1")]
    told = await everything.watch_all(ANYBODY, shop.server, asyncio.Event())
    start = await anext(told)
    assert await anext(told) == start  # a sign of life
    read = feed.read

    async def fails(after: str, *, limit: int) -> Any:
        if len(failures) == 2:
            raise failures.pop(0)
        return await read(after, limit=limit)

    monkeypatch.setattr(feed, "read", fails)
    saga_id = (await shop.start())["saga_id"]
    while isinstance(event := await anext(told), str):
        pass
    assert (str(event.saga_id), event.entry.seq) == (saga_id, 1)

    async def lost(after: str, *, limit: int) -> Any:
        raise failures[0]

    monkeypatch.setattr(feed, "read", lost)
    with pytest.raises(CursorLostError):
        [each async for each in told]
