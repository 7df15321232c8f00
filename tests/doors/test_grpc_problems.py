"""Errors over gRPC: the kinds that REST has, as codes, with details that fit on their way. Health and reflection."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from hypothesis import given, settings
from hypothesis import strategies as st

from goconductor.control.doors.problems import KINDS
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.settings.doors import GrpcSettings
from goconductor.errors import ConfigurationError
from goconductor.grpc import problems
from goconductor.grpc.door import Door
from goconductor.grpc.v1 import SERVICES
from goconductor.grpc.v1.values_pb2 import SagaFilter, Value
from goconductor.lifecycle.requests.catalogue import CATALOGUE, Operation
from tests.doors.conftest import INPUT, Shop
from tests.doors.over_grpc import METHODS, NOT_SERVING, SERVING, Caller, Refusal, value
from tests.doors.test_catalogue import said

BYTES_MAX = 8_000
"""What clients take of metadata is 8 KiB; some of it is gRPC's own."""


async def test_a_refusal_has_its_kind_its_places_and_its_remedy(caller: Caller) -> None:
    refused = await caller.refused("StartSaga", saga="order", input=value({**INPUT, "quantity": 0, "card": 1}))
    assert (refused.code, refused.kind) == (grpc.StatusCode.INVALID_ARGUMENT, "input-refused")
    assert (refused.info.reason, refused.info.domain) == ("INPUT_REFUSED", "goconductor")
    assert set(refused.places) == {"$.quantity", "$.card"}
    assert not refused.again


@pytest.mark.parametrize(
    ("method", "fields", "code", "kind"),
    [
        ("GetSaga", {"saga_id": str(uuid.uuid4())}, "NOT_FOUND", "saga-not-found"),
        ("GetSaga", {"saga_id": "7"}, "INVALID_ARGUMENT", "invalid-request"),
        ("FindSaga", {"saga": "order", "key": "none"}, "NOT_FOUND", "saga-not-found"),
        ("GetHistory", {"saga_id": str(uuid.uuid4())}, "NOT_FOUND", "saga-not-found"),
        ("StartSaga", {"saga": "nothing"}, "NOT_FOUND", "definition-not-found"),
        ("StartSaga", {"saga": "order", "input": {"data": b"{"}}, "INVALID_ARGUMENT", "invalid-payload"),
        ("StartSaga", {"saga": "order", "input": {"data": b'{"a":1,"a":2}'}}, "INVALID_ARGUMENT", "invalid-payload"),
        ("StartSaga", {"saga": "order", "input": {"content_type": "text/plain"}}, "INVALID_ARGUMENT", "invalid-request"),
        ("StartSaga", {"saga": "order", "key": "é"}, "INVALID_ARGUMENT", "invalid-request"),
        ("StartSaga", {"saga": "order", "wait_seconds": float("nan")}, "INVALID_ARGUMENT", "invalid-request"),
        ("StartSagas", {}, "INVALID_ARGUMENT", "invalid-request"),
        ("ListSagas", {"limit": 0}, "INVALID_ARGUMENT", "invalid-request"),
        ("ListSagas", {"where": SagaFilter(started_after="soon")}, "INVALID_ARGUMENT", "invalid-request"),
        ("ListSagas", {"where": SagaFilter(status=["done"])}, "INVALID_ARGUMENT", "invalid-request"),
    ],
)
async def test_what_cannot_be_answered_says_so_by_its_code(
    caller: Caller, method: str, fields: dict[str, Any], code: str, kind: str
) -> None:
    refused = await caller.refused(method, **fields)
    assert (refused.code.name, refused.kind) == (code, kind)


async def test_a_key_with_other_input_is_taken(caller: Caller) -> None:
    await caller.call("StartSaga", saga="order", input=value(INPUT), key="a-1")
    refused = await caller.refused("StartSaga", saga="order", input=value({**INPUT, "quantity": 7}), key="a-1")
    assert (refused.code, refused.kind) == (grpc.StatusCode.ALREADY_EXISTS, "key-taken")


async def test_a_request_that_the_saga_does_not_allow_says_what_it_allows(shop: Shop, caller: Caller) -> None:
    started = await caller.call(
        "StartSaga", saga="order", input=value({**INPUT, "sku": "glued", "card": "declined"}), wait_seconds=300
    )
    refused = await caller.refused("Resume", saga_id=started.saga.saga_id)
    assert (refused.code, refused.kind) == (grpc.StatusCode.FAILED_PRECONDITION, "refused")
    assert "retry" in refused.info.metadata["allowed"].split(", ")
    moved = await caller.refused("Retry", saga_id=started.saga.saga_id, step="reserve", revision="1-1")
    assert (moved.code, moved.kind) == (grpc.StatusCode.ABORTED, "changed")
    missing = await caller.refused("Retry", saga_id=started.saga.saga_id, step="reserv")
    assert (missing.code, missing.kind) == (grpc.StatusCode.NOT_FOUND, "step-not-found")
    unexplained = await caller.refused("Skip", saga_id=started.saga.saga_id, step="reserve")
    assert list(unexplained.places) == ["reason"]
    await caller.call("Skip", saga_id=started.saga.saga_id, step="reserve", reason="thrown away", by="ann", forced=True)
    ended = await caller.call("GetResult", saga_id=started.saga.saga_id, wait_seconds=300)
    assert ended.status == "compensated"


async def test_a_field_that_the_server_does_not_know_is_refused_and_not_passed_over(caller: Caller) -> None:
    later = SagaFilter.FromString(b"\x92\x3e\x03new")  # number 1000 + 2: what a newer filter could have
    refused = await caller.refused("ListSagas", where=later)
    assert refused.kind == "invalid-request"
    ((path, problem),) = refused.places.items()
    assert path.startswith("where.")
    assert "does not know" in problem


async def test_what_is_no_message_at_all_is_refused(door: Door, caller: Caller) -> None:
    call = caller.channel.unary_unary("/goconductor.v1.Sagas/GetSaga")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call(b"\xff\xff\xff")
    assert Refusal(error.value).kind == "invalid-request"


async def test_a_request_beyond_the_limit_is_not_read(caller: Caller) -> None:
    call = caller.call("StartSaga", saga="order", input=Value(data=b" " * 3_000_000))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_value_beyond_the_limit_is_too_large(shop: Shop, caller: Caller) -> None:
    await shop.register({"name": "lonely", "steps": [{"id": "wave", "run": "island.wave"}]})
    refused = await caller.refused("StartSaga", saga="lonely", input=value("x" * (shop.settings.limits.payload_bytes_max + 1)))
    assert (refused.code, refused.kind) == (grpc.StatusCode.INVALID_ARGUMENT, "too-large")


async def test_an_error_with_many_places_arrives_with_its_code_and_says_how_many_it_left_out(caller: Caller) -> None:
    labels = {f"ü{number}{'é' * 60}": "x" for number in range(20)}
    refused = await caller.refused("StartSaga", saga="order", input=value(INPUT), labels=labels)
    assert (refused.code, refused.kind) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid-request")
    many = problems.answer(RequestInvalidError("the request", [Fault(f"a[{n}]", "is wrong " * 99) for n in range(200)]), "m")
    left_out = Refusal(_Raised(many))
    assert int(left_out.info.metadata["left_out"]) + len(left_out.places) == 200
    assert left_out.bytes < BYTES_MAX


class _Raised(grpc.aio.AioRpcError):  # type: ignore[misc]
    """An answer as a client gets it."""

    def __init__(self, answer: problems.Answer) -> None:
        super().__init__(answer.code, grpc.aio.Metadata(), grpc.aio.Metadata(*answer.metadata), answer.message)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.text(), st.text(max_size=400)), max_size=60), st.text(max_size=2000))
def test_no_error_is_too_large_for_its_way(places: list[tuple[str, str]], what: str) -> None:
    answer = problems.answer(RequestInvalidError(what, [Fault(*each) for each in places]), "method")
    (data,) = [each for _, each in answer.metadata]
    on_its_way = sum(1 if 0x20 <= byte <= 0x7E and byte != 0x25 else 3 for byte in answer.message.encode())
    assert on_its_way + len(data) * 4 / 3 < BYTES_MAX


@pytest.mark.parametrize("kind", sorted(set(KINDS.values())), ids=lambda kind: kind.name)
def test_each_kind_of_problem_has_a_code_that_fits_its_status_over_http(kind: Any) -> None:
    code = problems.code_of(kind)
    family = {"UNAVAILABLE": {503}, "INTERNAL": {500}, "NOT_FOUND": {404}, "ABORTED": {412}, "OUT_OF_RANGE": {410}}
    refused = {"UNAUTHENTICATED": {401}, "PERMISSION_DENIED": {403}, "RESOURCE_EXHAUSTED": {429, 503}}
    conflicts = {"ALREADY_EXISTS": {409}, "FAILED_PRECONDITION": {409}, "INVALID_ARGUMENT": {400, 413, 422}}
    assert kind.status in (family | conflicts | refused)[code.name]


async def test_what_was_not_foreseen_is_logged_and_its_text_stays_here(
    shop: Shop, caller: Caller, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("canary-7")

    monkeypatch.setattr(shop.server.store.log, "read", broken)
    with caplog.at_level(logging.ERROR):
        refused = await caller.refused("GetSaga", saga_id=str(uuid.uuid4()))
    assert (refused.code, refused.kind) == (grpc.StatusCode.INTERNAL, "internal")
    assert "canary-7" not in refused.message
    (number,) = [word for word in refused.message.replace(";", " ").split() if word.count("-") == 4]
    assert number in caplog.text
    assert "canary-7" in caplog.text


async def test_before_the_node_is_open_it_lives_and_serves_nothing(shop: Shop) -> None:
    door = Door(shop.settings.model_copy(update={"grpc": GrpcSettings(port=0)}))
    await door.start()
    caller = Caller(door.address)
    try:
        refused = await caller.refused("ListSagas")
        assert (refused.code, refused.kind, refused.again) == (grpc.StatusCode.UNAVAILABLE, "not-ready", True)
        assert (await health(caller, "")).status == NOT_SERVING
        door.serve(shop.server)
        assert (await health(caller, "")).status == SERVING
        assert len((await caller.call("ListSagas")).sagas) == 0
    finally:
        await caller.channel.close()
        await door.stop(0)


async def health(caller: Caller, service: str) -> Any:
    return await health_pb2_grpc.HealthStub(caller.channel).Check(health_pb2.HealthCheckRequest(service=service))


async def test_health_is_that_of_the_store(shop: Shop, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    for service in SERVICES:
        assert (await health(caller, service.full_name)).status == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await health(caller, "none")
    assert error.value.code() is grpc.StatusCode.NOT_FOUND

    async def away(*_: Any, **__: Any) -> None:
        raise ConfigurationError("it is away")

    monkeypatch.setattr(shop.server.store.sagas, "heads", away)
    assert (await health(caller, "")).status == NOT_SERVING


async def test_more_than_a_thousand_calls_at_once_are_all_answered(caller: Caller) -> None:
    """Of those beyond a thousand the transport drops some by itself, unless it may keep them waiting."""
    calls = int(os.environ.get("GOCONDUCTOR_TEST_CALLS", "1500"))
    answers = await asyncio.gather(*(health(caller, "") for _ in range(calls)), return_exceptions=True)
    assert [str(each) for each in answers if isinstance(each, BaseException)] == []


async def test_clients_without_our_files_learn_of_the_services(caller: Caller) -> None:
    asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
    stub = reflection_pb2_grpc.ServerReflectionStub(caller.channel)
    answers = [answer async for answer in stub.ServerReflectionInfo(iter(asked))]
    names = {service.name for service in answers[0].list_services_response.service}
    assert names == {each.full_name for each in SERVICES} | {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_a_port_that_is_taken_is_said_with_its_setting(door: Door, shop: Shop) -> None:
    port = int(door.address.rpartition(":")[2])
    with pytest.raises(ConfigurationError, match=r"choose another grpc\.host or grpc\.port"):
        Door(shop.settings.model_copy(update={"grpc": GrpcSettings(port=port)}))


@pytest.mark.parametrize("operation", CATALOGUE, ids=lambda operation: operation.request)
def test_each_request_of_the_catalogue_has_a_method_with_its_parameters(operation: Operation) -> None:
    name = operation.request.title().replace("_", "")
    method = METHODS.get(f"Sagas.{name}") or METHODS[name]
    step = {"step"} if operation.about_step else set()
    assert set(method.input_type.fields_by_name) == {"saga_id", "revision", "request_id", *step, *said(operation)}
    for each in operation.parameters:
        assert method.input_type.fields_by_name[each.name].has_presence
