"""Watches over gRPC: a saga's events as they happen, from any seq on, until it has ended."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import grpc
import pytest

from goconductor.control.settings.doors import GrpcSettings
from goconductor.control.watching import streaming
from goconductor.grpc.door import Door
from tests.doors.conftest import INPUT, Shop
from tests.doors.over_grpc import Caller, Refusal, value


async def started(caller: Caller, **input: Any) -> str:
    answer = await caller.call("StartSaga", saga="order", input=value({**INPUT, **input}))
    saga_id: str = answer.saga.saga_id
    return saga_id


async def test_a_watch_tells_every_event_once_and_then_the_status(shop: Shop, caller: Caller) -> None:
    saga_id = await started(caller, card="slow")
    told: list[int] = []
    async for event in caller.call("WatchSaga", saga_id=saga_id):
        match event.WhichOneof("said"):
            case "entry":
                told.append(event.entry.seq)
                if event.entry.event == "SagaStarted":
                    shop.open_gate.set()
            case "ended":
                assert event.ended == "completed"
    history = (await caller.call("GetHistory", saga_id=saga_id)).entries
    assert told == [each.seq for each in history]


async def test_a_watch_goes_on_after_the_last_seq_that_was_seen(shop: Shop, caller: Caller) -> None:
    saga_id = await started(caller, card="slow")
    first = caller.call("WatchSaga", saga_id=saga_id)
    assert (await first.read()).WhichOneof("said") == "alive"  # at once, so that the client knows that it is connected
    seen = (await first.read()).entry.seq
    first.cancel()
    shop.open_gate.set()
    events = [event async for event in caller.call("WatchSaga", saga_id=saga_id, after=seen)]
    seqs = [event.entry.seq for event in events if event.WhichOneof("said") == "entry"]
    assert seqs == list(range(seen + 1, seqs[-1] + 1))
    assert events[-1].ended == "completed"
    over = [event async for event in caller.call("WatchSaga", saga_id=saga_id, after=10**9)]
    assert [event.WhichOneof("said") for event in over] == ["alive", "ended"]


async def test_a_quiet_watch_shows_signs_of_life(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.01)
    watch = caller.call("WatchSaga", saga_id=await started(caller, card="slow"))
    alive = 0
    while alive < 3:
        alive += (await watch.read()).WhichOneof("said") == "alive"
    watch.cancel()


async def test_a_server_that_stops_ends_its_watches_so_that_they_are_opened_again(shop: Shop, door: Door, caller: Caller) -> None:
    watch = caller.call("WatchSaga", saga_id=await started(caller, card="slow"))
    await watch.read()
    stopping = asyncio.ensure_future(door.stop(300))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await _read_on(watch)
    refused = Refusal(error.value)
    assert (refused.code, refused.again) == (grpc.StatusCode.UNAVAILABLE, True)
    assert "after the last seq" in refused.message
    await stopping


async def _read_on(watch: Any) -> None:
    while True:
        await watch.read()


async def test_there_are_only_so_many_watches_and_one_that_was_given_up_makes_room(shop: Shop) -> None:
    door = Door(shop.settings.model_copy(update={"grpc": GrpcSettings(port=0, watches_max=1)}))
    await door.start()
    door.serve(shop.server)
    caller = Caller(door.address)
    try:
        saga_id = await started(caller, card="slow")
        first = caller.call("WatchSaga", saga_id=saga_id)
        await first.read()
        refused = await asked(caller, saga_id)
        assert refused is not None
        assert (refused.code, refused.kind) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")
        assert "grpc.watches_max" in refused.message
        first.cancel()
        while await asked(caller, saga_id) is not None:
            pass
    finally:
        await caller.channel.close()
        await door.stop(0)


async def asked(caller: Caller, saga_id: str) -> Refusal | None:
    """How a watch is refused; None where it is not."""
    watch = caller.call("WatchSaga", saga_id=saga_id)
    try:
        await watch.read()
    except grpc.aio.AioRpcError as error:
        return Refusal(error)
    watch.cancel()
    return None


async def test_there_is_nothing_to_watch_of_a_saga_that_is_not_there(caller: Caller) -> None:
    refused = await asked(caller, str(uuid.uuid4()))
    assert refused is not None
    assert refused.kind == "saga-not-found"


async def test_a_hundred_watch_the_same_saga_and_none_is_lost(shop: Shop, caller: Caller) -> None:
    saga_id = await started(caller, card="slow")
    watches = [caller.call("WatchSaga", saga_id=saga_id) for _ in range(100)]
    assert {(await watch.read()).WhichOneof("said") for watch in watches} == {"alive"}
    shop.open_gate.set()

    async def ended(watch: Any) -> str:
        while True:
            event = await watch.read()
            if event.WhichOneof("said") == "ended":
                return str(event.ended)

    assert set(await asyncio.gather(*map(ended, watches))) == {"completed"}
