"""A unary call over gRPC as a step, to a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from goconductor import ConfigurationError, DefinitionError, PermanentError, RefusedError, TemporaryError, load_definition
from goconductor.saga.ids import Direction
from goconductor.system.grpc.steps import GrpcSteps
from goconductor.system.guard import Guard
from goconductor.system.secrets import Secret, Secrets
from goconductor.testing.world import step_context
from tests.certificates import Authority
from tests.system.conftest import CANARY
from tests.system.test_checking import definition

CONTEXT = step_context("order")
UNDO = step_context("order", direction=Direction.COMPENSATION)
INSIDE = [ip_network("127.0.0.0/8"), ip_network("::1/128")]


def described() -> descriptor_pb2.FileDescriptorSet:
    """What ``protoc`` would write of a service with two methods."""
    file = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3")
    order = file.message_type.add(name="Order")
    order.field.add(name="sku_name", number=1, type=9, label=1)
    order.field.add(name="number", number=2, type=3, label=1)
    service = file.service.add(name="Orders")
    for name in ("Place", "Cancel"):
        service.method.add(name=name, input_type=".shop.Order", output_type=".shop.Order")
    service.method.add(name="Watch", input_type=".shop.Order", output_type=".shop.Order", server_streaming=True)
    return descriptor_pb2.FileDescriptorSet(file=[file])


@pytest.fixture
def descriptors(tmp_path: Path) -> str:
    path = tmp_path / "shop.binpb"
    path.write_bytes(described().SerializeToString())
    return str(path)


@dataclass
class Orders:
    """A server, and what it was asked."""

    port: int = 0
    code: grpc.StatusCode | None = None
    padding: str = ""
    raw: bytes | None = None
    plaintext: bool = True
    asked: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)

    @property
    def target(self) -> str:
        return f"localhost:{self.port}"

    def steps(self, descriptors: str, *, answer_bytes_max: int = 10_000) -> GrpcSteps:
        secrets = Secrets({"token": Secret(("localhost",), variable="SHOP_TOKEN", plaintext=self.plaintext)})
        return GrpcSteps(Guard([self.target], INSIDE), secrets, [descriptors], answer_bytes_max=answer_bytes_max)


@asynccontextmanager
async def serving(credentials: grpc.ServerCredentials | None = None) -> AsyncIterator[Orders]:
    orders, pool = Orders(), descriptor_pool.DescriptorPool()
    pool.Add(described().file[0])
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))

    def handler(name: str) -> grpc.RpcMethodHandler:
        async def handle(request: Any, context: grpc.aio.ServicerContext) -> Any:
            orders.asked.append((name, request, {key: str(value) for key, value in context.invocation_metadata()}))
            if orders.code is not None:
                await context.abort(orders.code, f"no {CANARY}")
            return kind(sku_name=request.sku_name + orders.padding, number=request.number + 1)

        def written(answer: Any) -> bytes:
            data: bytes = kind.SerializeToString(answer)
            return data if orders.raw is None else orders.raw

        return grpc.unary_unary_rpc_method_handler(handle, kind.FromString, written)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("shop.Orders", {name: handler(name) for name in ("Place", "Cancel")})]
    )
    where = "127.0.0.1:0"
    orders.port = server.add_insecure_port(where) if credentials is None else server.add_secure_port(where, credentials)
    await server.start()
    try:
        yield orders
    finally:
        await server.stop(None)


@pytest.fixture
async def orders(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Orders]:
    monkeypatch.setenv("SHOP_TOKEN", CANARY)
    async with serving() as orders:
        yield orders


def placed(orders: Orders, **more: Any) -> dict[str, Any]:
    message = {"sku_name": "tea", "number": 2**60}
    return {"target": orders.target, "method": "shop.Orders/Place", "plaintext": True, "message": message} | more


async def test_a_call_is_made_and_its_answer_is_the_output(orders: Orders, descriptors: str) -> None:
    metadata = {"Authorization": "Bearer ${secret:token}", "x-shop": "{shop}"}
    output = await orders.steps(descriptors).call(placed(orders, metadata=metadata, shop="tea"), CONTEXT)
    assert output == {"message": {"sku_name": "tea", "number": str(2**60 + 1)}}
    ((name, request, given),) = orders.asked
    assert (name, request.sku_name, request.number) == ("Place", "tea", 2**60)
    assert given["authorization"] == f"Bearer {CANARY}"
    assert given["x-shop"] == "tea"
    assert given["idempotency-key"] == CONTEXT.idempotency_key


async def test_an_undo_names_what_the_action_has_answered(orders: Orders, descriptors: str) -> None:
    undo = {"method": "shop.Orders/Cancel", "message": {"number": "{output.message.number}", "sku_name": "{action_key}"}}
    steps = orders.steps(descriptors)
    await steps.undo(placed(orders, undo=undo), UNDO, {"message": {"number": "7"}})
    ((name, request, given),) = orders.asked
    assert (name, request.number, request.sku_name) == ("Cancel", 7, UNDO.action_key)
    assert given["idempotency-key"] == UNDO.idempotency_key
    with pytest.raises(RefusedError, match="needs the action's output, which is not known"):
        await steps.undo(placed(orders, undo=undo), UNDO, None)
    await steps.undo(placed(orders), UNDO, None)
    assert len(orders.asked) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, RefusedError),
        (grpc.StatusCode.FAILED_PRECONDITION, RefusedError),
        (grpc.StatusCode.UNAVAILABLE, TemporaryError),
        (grpc.StatusCode.INTERNAL, TemporaryError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, TemporaryError),
        (grpc.StatusCode.DATA_LOSS, PermanentError),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_a_code_says_whether_to_try_again(
    orders: Orders, descriptors: str, code: grpc.StatusCode, kind: type[Exception]
) -> None:
    orders.code = code
    with pytest.raises(kind) as failed:
        await orders.steps(descriptors).call(placed(orders, metadata={"x": "${secret:token}"}), CONTEXT)
    assert type(failed.value) is kind
    assert str(failed.value) == f"shop.Orders/Place of {orders.target} was answered with {code.name}: no **********"


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (
            {"method": "shop.Ordesr/Place"},
            "no file of system.grpc describes the service 'shop.Ordesr'; did you mean shop",
        ),
        ({"method": "shop.Orders/Plaec"}, "the service 'shop.Orders' has no unary method 'Plaec'; did you mean Place?"),
        ({"method": "shop.Orders/Watch"}, "the service 'shop.Orders' has no unary method 'Watch'"),
        ({"message": {"sku": "tea"}}, "the message does not fit shop.Order: "),
        ({"message": [1]}, "the message does not fit shop.Order: "),
        ({"target": "localhost:1"}, "port 1 of localhost may not be called"),
        ({"target": "other.example"}, "other.example may not be called: it is not among system.hosts"),
        ({"metadata": {"x": "{who}"}, "who": "a\nb"}, "the metadata 'x' would have other than printable ASCII characters"),
    ],
)
async def test_what_cannot_be_called_is_not(orders: Orders, descriptors: str, more: dict[str, Any], problem: str) -> None:
    with pytest.raises(RefusedError) as refused:
        await orders.steps(descriptors).call(placed(orders) | more, CONTEXT)
    assert str(refused.value).startswith(problem)
    assert orders.asked == []


async def test_a_secret_does_not_go_without_tls_unless_it_is_allowed(orders: Orders, descriptors: str) -> None:
    orders.plaintext = False
    with pytest.raises(RefusedError, match="may not go to localhost without TLS"):
        await orders.steps(descriptors).call(placed(orders, metadata={"x": "${secret:token}"}), CONTEXT)
    assert orders.asked == []


async def test_this_machine_is_not_called_unless_it_is_allowed(orders: Orders, descriptors: str) -> None:
    steps = GrpcSteps(Guard([orders.target]), Secrets({}), [descriptors], answer_bytes_max=10_000)
    with pytest.raises(RefusedError, match="no address that may be called"):
        await steps.call(placed(orders), CONTEXT)


async def test_an_answer_that_is_too_large_is_a_failure(orders: Orders, descriptors: str) -> None:
    orders.padding = "x" * 20_000
    with pytest.raises(PermanentError, match=r"RESOURCE_EXHAUSTED.*; ask for less, or raise limits\.payload_bytes_max"):
        await orders.steps(descriptors).call(placed(orders), CONTEXT)


async def test_an_answer_that_cannot_be_read_is_a_failure(orders: Orders, descriptors: str) -> None:
    orders.raw = b"\xff\xff"
    with pytest.raises(PermanentError, match="the answer cannot be kept: "):
        await orders.steps(descriptors).call(placed(orders), CONTEXT)


async def test_certificates_are_checked(tmp_path: Path, descriptors: str, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    pair = authority.pair("server")
    async with serving(grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.cert.read_bytes())])) as orders:
        steps = orders.steps(descriptors)
        with pytest.raises(TemporaryError, match="UNAVAILABLE"):
            await steps.call(placed(orders, plaintext=False), CONTEXT)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert (await steps.call(placed(orders, plaintext=False), CONTEXT))["message"]["sku_name"] == "tea"


@pytest.mark.parametrize("content", [None, b"no descriptor"])
def test_a_file_that_describes_nothing_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.binpb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"x\.binpb"):
        GrpcSteps(Guard(), Secrets({}), [str(path)], answer_bytes_max=1)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "has no input 'method'; add it."),
    ({"target": "https://x"}, "its target 'https://x' names no host"),
    ({"target": "*.example.com"}, "its target '*.example.com' names no host"),
    ({"method": "Place"}, "its method 'Place' is not valid; write it as package.Service/Method."),
    ({"metadata": {"grpc-timeout": "1"}}, "its metadata name 'grpc-timeout', which is not allowed"),
    ({"metadata": {"x": "{"}}, "its metadata 'x' has a '{' at 0"),
    ({"undo": {"method": "x"}}, "its undo.method 'x' is not valid"),
    ({"undo": {"method": "a.B/C", "message": "${secret:x}"}}, "its undo.message has a secret"),
    ({"messge": {}}, "its input 'messge' is neither one of its own nor named by a placeholder; did you mean message?."),
]


@pytest.mark.parametrize(("inputs", "problem"), REFUSED)
def test_a_step_that_does_not_fit_is_refused(inputs: dict[str, Any], problem: str) -> None:
    whole = {"target": "api.example.com", "method": "shop.Orders/Place"} | inputs if inputs else {}
    with pytest.raises(DefinitionError) as refused:
        load_definition(definition({name: {"value": value} for name, value in whole.items()}, "system.grpc"))
    assert f"step 'call' runs 'system.grpc', but {problem}" in refused.value.problems[0]
