"""gRPC with authentication: who calls, what each role may do, and how a key ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from goconductor.control.actor import Actor
from goconductor.control.authority import authenticating
from goconductor.control.authority.authenticating import UnauthenticatedError
from goconductor.control.authority.keys import revoke_key
from goconductor.control.authority.roles import GIVES, NEEDS, ForbiddenError
from goconductor.control.roles import Role
from goconductor.control.settings.doors import GrpcSettings
from goconductor.grpc import Client
from goconductor.grpc.door import Door
from goconductor.grpc.gate.permissions import FUNCTIONS, OPEN
from goconductor.grpc.v1 import SERVICES
from tests.doors.auth import asking, key_of
from tests.doors.conftest import INPUT, Shop
from tests.doors.over_grpc import SERVING, Caller, Refusal

METHODS = [method for service in SERVICES for method in service.methods]


@pytest.fixture
async def door(shop: Shop) -> AsyncIterator[Door]:
    door = Door(asking(shop.settings).model_copy(update={"grpc": GrpcSettings(port=0)}))
    await door.start()
    door.serve(shop.server)
    yield door
    await door.stop(0)


@pytest.fixture
async def channel(door: Door) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(door.address) as channel:
        yield channel


async def code_of(channel: Any, method: Any, *keys: str) -> grpc.StatusCode:
    """How a call with an empty request ends, by its code. A stream without an end is asked for a place that is none."""
    request = GetMessageClass(method.input_type)(**({"after": "nowhere"} if method.name == "WatchAll" else {}))
    make = channel.unary_stream if method.server_streaming else channel.unary_unary
    call = make(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )(request, metadata=tuple(("authorization", f"Bearer {key}") for key in keys))
    code: grpc.StatusCode = await call.code()
    return code


async def test_a_call_without_a_key_is_refused_whatever_it_calls(channel: Any, shop: Shop) -> None:
    for method in METHODS:
        assert await code_of(channel, method) is grpc.StatusCode.UNAUTHENTICATED, method.full_name
    key = await key_of(shop.server)
    assert await code_of(channel, METHODS[0], key, key) is grpc.StatusCode.UNAUTHENTICATED
    assert await code_of(channel, METHODS[0], key[:-1]) is grpc.StatusCode.UNAUTHENTICATED
    unknown = channel.unary_unary("/goconductor.v1.Sagas/Nothing")(b"")
    assert await unknown.code() is grpc.StatusCode.UNAUTHENTICATED
    almost = channel.unary_unary("/x/grpc.health.v1.Health/Check")(b"")
    assert await almost.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_probes_need_no_key(channel: Any) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    assert (await stub.Check(health_pb2.HealthCheckRequest())).status == SERVING
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == SERVING
    watch.cancel()


async def test_reflection_shows_nothing_to_a_stranger(channel: Any, shop: Shop) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    assert await stub.ServerReflectionInfo(iter([asked])).code() is grpc.StatusCode.UNAUTHENTICATED
    key = await key_of(shop.server, "viewer")
    call = stub.ServerReflectionInfo(iter([asked]), metadata=(("authorization", f"Bearer {key}"),))
    shown = await call.read()
    assert "goconductor.v1.Sagas" in [each.name for each in shown.list_services_response.service]
    call.cancel()


def test_each_method_calls_a_function_that_somebody_may_call() -> None:
    names = {method.full_name for method in METHODS}
    reflection = "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo"
    unknown = sorted(name for name in names if FUNCTIONS.get(name) not in NEEDS)
    assert not unknown, f"name the function behind {unknown} in goconductor/grpc/gate/permissions.py; its need in roles.py"
    assert FUNCTIONS.keys() == names | {reflection}
    assert {"grpc.health.v1.Health.Check", "grpc.health.v1.Health.Watch"} == OPEN


@pytest.mark.parametrize("role", Role)
async def test_a_role_opens_what_it_gives_and_nothing_else(channel: Any, shop: Shop, role: Role) -> None:
    key = await key_of(shop.server, role)
    for method in METHODS:
        code = await code_of(channel, method, key)
        allowed = NEEDS[FUNCTIONS[method.full_name]] in GIVES[role]
        assert (code is not grpc.StatusCode.PERMISSION_DENIED) == allowed, method.full_name
        assert code is not grpc.StatusCode.UNAUTHENTICATED


async def test_the_client_sends_its_key_and_raises_what_the_door_refuses(
    door: Door, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = await key_of(shop.server, "operator", name="night-shift")
    async with Client(door.address, api_key=operator) as client:
        saga = await client.start("order", {**INPUT, "card": "busy"})
        await client.ask("pause", saga.saga_id, by="bob")
        last = (await client.history(saga.saga_id)).entries[-1]
        assert last.data["by"] == "night-shift on behalf of bob"
        with pytest.raises(ForbiddenError, match="it needs one of: admin, deployer"):
            await client.register({"name": "other", "steps": [{"id": "a", "run": "shop.reserve"}]})
    async with Client(door.address) as client:
        with pytest.raises(UnauthenticatedError):
            await client.saga(saga.saga_id)
    monkeypatch.setenv("GOCONDUCTOR_API_KEY", operator)
    async with Client(door.address) as client:
        assert (await client.saga(saga.saga_id)).saga_id == saga.saga_id


async def test_a_watch_and_a_wait_end_soon_after_their_key(channel: Any, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticating, "READ_SECONDS", 0.0)
    monkeypatch.setattr(authenticating, "LOOK_SECONDS", 0.01)
    saga_id = (await shop.start(card="busy"))["saga_id"]
    key = await key_of(shop.server, "viewer")
    methods = {method.name: method for method in METHODS}

    def begin(name: str, **fields: Any) -> Any:
        method = methods[name]
        make = channel.unary_stream if method.server_streaming else channel.unary_unary
        return make(
            f"/{method.containing_service.full_name}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )(GetMessageClass(method.input_type)(**fields), metadata=(("authorization", f"Bearer {key}"),))

    watch, wait = begin("WatchSaga", saga_id=saga_id), begin("GetResult", saga_id=saga_id, wait_seconds=300)
    await watch.read()
    await revoke_key(Actor("root"), shop.server, key)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _to_its_end(watch)
    assert (refused.value.code(), Refusal(refused.value).kind) == (grpc.StatusCode.UNAUTHENTICATED, "unauthenticated")
    assert await wait.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_keys_are_made_and_revoked_by_admins(door: Door, shop: Shop) -> None:
    boss = await key_of(shop.server, name="boss")
    caller = Caller(door.address, boss)
    made = await caller.call("CreateKey", name="ci", roles=["viewer", "worker:shop"], expires_days=1)
    assert (made.detail.created_by, list(made.detail.roles)) == ("boss", ["viewer", "worker:shop"])
    assert made.detail.HasField("expires_at")
    assert not made.detail.HasField("revoked_at")
    mine = Caller(door.address, made.key)
    await mine.call("ListSagas")
    assert (await mine.refused("ListKeys")).code is grpc.StatusCode.PERMISSION_DENIED
    listed = await caller.call("ListKeys")
    assert [each.name for each in listed.keys].count("ci") == 1
    assert made.key.split("_")[2] not in str(listed)
    assert (await caller.call("RevokeKey", key_id=made.detail.key_id, by="bob")).revoked_by == "boss on behalf of bob"
    assert (await caller.refused("RevokeKey", key_id="none")).kind == "api-key-not-found"
    wrong = await caller.refused("CreateKey", name="c i", roles=["root"], expires_days=-1)
    assert (wrong.kind, list(wrong.places)) == ("invalid-request", ["name", "roles", "expires_days"])
    for each in (caller, mine):
        await each.channel.close()


async def _to_its_end(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_before_its_node_is_open_the_door_knows_nobody(shop: Shop) -> None:
    door = Door(asking(shop.settings).model_copy(update={"grpc": GrpcSettings(port=0)}))
    await door.start()
    async with grpc.aio.insecure_channel(door.address) as channel:
        assert await code_of(channel, METHODS[0], await key_of(shop.server)) is grpc.StatusCode.UNAVAILABLE
    await door.stop(0)


async def test_refusals_are_noted_with_who_asked_and_what_is_done_is_listed(channel: Any, shop: Shop) -> None:
    admin, viewer = await key_of(shop.server, "admin"), await key_of(shop.server, "viewer")
    by_name = {method.full_name: method for method in METHODS}
    migrate, audit = by_name["goconductor.v1.Operations.Migrate"], by_name["goconductor.v1.Operations.ListAudit"]
    assert await code_of(channel, migrate) is grpc.StatusCode.UNAUTHENTICATED
    assert await code_of(channel, migrate, viewer) is grpc.StatusCode.PERMISSION_DENIED
    assert await code_of(channel, audit, viewer) is grpc.StatusCode.PERMISSION_DENIED
    assert await code_of(channel, migrate, admin) is grpc.StatusCode.INVALID_ARGUMENT
    call = channel.unary_unary(
        "/goconductor.v1.Operations/ListAudit",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(audit.output_type).FromString,
    )
    page = await call(GetMessageClass(audit.input_type)(limit=3), metadata=(("authorization", f"Bearer {admin}"),))
    assert [(row.function, row.problem, row.detail, row.means) for row in page.entries] == [
        ("audit.reading.entries", "forbidden", audit.full_name, f"key {viewer.split('_')[1]}"),
        ("installation.changes.change", "forbidden", migrate.full_name, f"key {viewer.split('_')[1]}"),
        ("installation.changes.change", "unauthenticated", migrate.full_name, ""),
    ]
    assert {(row.door, row.address) for row in page.entries} == {("grpc", "127.0.0.1")}
    assert page.HasField("before")
