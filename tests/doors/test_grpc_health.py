"""Watches of a server's health: told when it changes, counted, and cheap for the store and for the server."""

from __future__ import annotations

import asyncio
import logging

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from goconductor.control.settings.doors import GrpcSettings
from goconductor.errors import ConfigurationError
from goconductor.grpc import health
from goconductor.grpc.door import Door
from tests.doors.conftest import Shop
from tests.doors.over_grpc import NOT_SERVING, SERVING, Caller, Refusal

ALL = health_pb2.HealthCheckRequest()


class Watched:
    """The health of a server, and how often its store was asked."""

    def __init__(self) -> None:
        self.looks = 0
        self.stopping = asyncio.Event()
        self.health = health.Health(self.serves, [], self.stopping, watches_max=1_000)

    async def serves(self) -> bool:
        self.looks += 1
        await asyncio.sleep(0)
        return True

    async def watch(self) -> None:
        """Watch until the server stops, as a call does."""
        async for _ in self.health.watch(ALL, None):
            pass


async def test_a_watch_that_is_given_up_leaves_nothing_behind() -> None:
    watched, before = Watched(), asyncio.all_tasks()
    watches = [asyncio.ensure_future(watched.watch()) for _ in range(200)]
    for _ in range(500):
        await asyncio.sleep(0)  # each has its turns until it waits
    for watch in watches:
        watch.cancel()
    assert set(map(type, await asyncio.gather(*watches, return_exceptions=True))) == {asyncio.CancelledError}
    assert asyncio.all_tasks() == before


async def test_all_who_watch_share_one_look_at_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "SHARED_SECONDS", 3600.0)
    watched = Watched()
    watches = [watched.health.watch(ALL, None) for _ in range(200)]
    assert {each.status for each in await asyncio.gather(*map(anext, watches))} == {SERVING}
    assert watched.looks == 1
    watched.stopping.set()
    assert {each.status for each in await asyncio.gather(*map(anext, watches))} == {NOT_SERVING}


async def test_a_watch_is_told_what_changes(shop: Shop, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(health, "SHARED_SECONDS", 0.0)
    watch = caller.health_watch()
    assert (await watch.read()).status == SERVING

    async def away(*_: object, **__: object) -> None:
        raise ConfigurationError("it is away")

    with monkeypatch.context() as gone:
        gone.setattr(shop.server.store.sagas, "heads", away)
        assert (await watch.read()).status == NOT_SERVING
    assert (await watch.read()).status == SERVING
    watch.cancel()


async def test_there_are_only_so_many_watches_and_those_of_sagas_take_no_place_of_theirs(shop: Shop) -> None:
    door = Door(shop.settings.model_copy(update={"grpc": GrpcSettings(port=0, watches_max=1)}))
    await door.start()
    door.serve(shop.server)
    caller = Caller(door.address)
    try:
        of_a_saga = caller.call("WatchSaga", saga_id=(await shop.start(card="slow"))["saga_id"])
        await of_a_saga.read()
        first = caller.health_watch()
        assert (await first.read()).status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await caller.health_watch().read()
        assert (error.value.code(), Refusal(error.value).kind) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")
        first.cancel()
        while not await watches(caller):
            pass
    finally:
        await caller.channel.close()
        await door.stop(0)


async def watches(caller: Caller) -> bool:
    """Whether a watch gets a place, which it gives back."""
    watch = caller.health_watch()
    try:
        await watch.read()
    except grpc.aio.AioRpcError:
        return False
    watch.cancel()
    return True


async def test_a_service_that_is_not_there_is_said_and_nothing_is_logged(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await health_pb2_grpc.HealthStub(caller.channel).Check(health_pb2.HealthCheckRequest(service="none"))
        watch = caller.health_watch("none")
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()
    assert (error.value.code(), "no such service" in str(error.value.details())) == (grpc.StatusCode.NOT_FOUND, True)
    assert caplog.text == ""
