"""The client over gRPC: the documents and the errors of an installation, by a server that may go away meanwhile."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator

import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

from goconductor import (
    ArgumentError,
    DefinitionError,
    GoConductorError,
    InputRefusedError,
    RefusedNowError,
    RequestInvalidError,
    SagaAlreadyStartedError,
    SagaChangedError,
    SagaNotFoundError,
    StoreUnavailableError,
)
from goconductor.control.actor import ANYBODY
from goconductor.control.doors.problems import KINDS, URN, Kind, kind_of, places_of
from goconductor.control.faults import Fault
from goconductor.control.flows.editing import FlowChangedError
from goconductor.control.sagas.queries import history, saga_status
from goconductor.control.settings.doors import GrpcSettings
from goconductor.errors import PayloadError
from goconductor.grpc import Client
from goconductor.grpc.answers import error_of
from goconductor.grpc.door import Door
from goconductor.grpc.problems import DETAILS_KEY, answer
from goconductor.testing.loopback import free_port
from tests.doors.conftest import INPUT, ORDER, Shop

NOBODY = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
async def client(door: Door) -> AsyncIterator[Client]:
    async with Client(door.address, timeout_seconds=300) as client:
        yield client


async def test_its_documents_are_those_of_the_installation(shop: Shop, client: Client) -> None:
    started = await client.start("order", INPUT, labels={"team": "checkout"}, wait_seconds=300)
    assert started == await saga_status(ANYBODY, shop.server, started.saga_id)
    assert await client.saga(started.saga_id) == started
    assert await client.history(started.saga_id) == await history(ANYBODY, shop.server, started.saga_id)
    (row,) = (await client.sagas(saga="order", status=["completed"], labels={"team": "checkout"})).sagas
    assert (row.saga_id, row.updated_at) == (started.saga_id, started.updated_at)


async def test_its_errors_are_those_of_the_installation(shop: Shop, client: Client) -> None:
    with pytest.raises(InputRefusedError) as refused:
        await client.start("order", {**INPUT, "quantity": 0})
    assert [fault.path for fault in refused.value.faults] == ["$.quantity"]
    await client.start("order", INPUT, key="a-1")
    with pytest.raises(SagaAlreadyStartedError):
        await client.start("order", {**INPUT, "quantity": 9}, key="a-1")
    with pytest.raises(SagaNotFoundError):
        await client.saga(NOBODY)
    with pytest.raises(RequestInvalidError):
        await client.sagas(status=["done"])
    with pytest.raises(DefinitionError) as wrong:
        await client.register({"name": "order", "steps": []})
    assert wrong.value.problems
    with pytest.raises(PayloadError):
        await client.start("order", {"sku": float("nan")})


async def test_a_request_is_made_and_one_that_is_not_allowed_says_what_is(client: Client) -> None:
    stuck = await client.start("order", {**INPUT, "sku": "glued", "card": "declined"}, wait_seconds=300)
    with pytest.raises(RefusedNowError) as refused:
        await client.ask("resume", stuck.saga_id)
    assert refused.value.allowed == tuple(stuck.allowed)
    with pytest.raises(SagaChangedError):
        await client.ask("retry", stuck.saga_id, step="reserve", revision="1-1")
    with pytest.raises(ValueError, match="has no spet"):
        await client.ask("retry", stuck.saga_id, spet="reserve")
    with pytest.raises(ValueError, match="there is no request"):
        await client.ask("get_saga_by_magic", stuck.saga_id)
    await client.ask("skip", stuck.saga_id, step="reserve", reason="thrown away", forced=True, by="ann")
    assert (await client.ended(stuck.saga_id)).status == "compensated"


async def test_a_step_that_waits_gets_its_signal(shop: Shop, client: Client) -> None:
    await client.register({"name": "waits", "steps": [{"id": "paid", "wait": {"event": "paid"}}]})
    saga_id = (await client.start("waits")).saga_id
    assert (await client.signal(saga_id, "paid", {"cents": 17})).steps[0].output == {"cents": 17}
    assert (await client.ended(saga_id)).status == "completed"


async def test_who_waits_too_long_is_told(client: Client) -> None:
    slow = await client.start("order", {**INPUT, "card": "slow"}, key="slow")
    assert (await client.find("order", key="slow")).saga_id == slow.saga_id
    with pytest.raises(TimeoutError):
        await client.ended(slow.saga_id, timeout_seconds=0.05)


async def test_a_watch_outlives_its_server_and_loses_nothing(shop: Shop) -> None:
    port = free_port()
    settings = shop.settings.model_copy(update={"grpc": GrpcSettings(port=port)})

    async def served() -> Door:
        door = Door(settings)
        await door.start()
        door.serve(shop.server)
        return door

    door = await served()
    async with Client(f"127.0.0.1:{port}", timeout_seconds=300) as client:
        saga_id = (await client.start("order", {**INPUT, "card": "slow"})).saga_id
        seqs: list[int] = []
        async for entry in client.watch(saga_id):
            if not seqs:
                await door.stop(0)
                later = asyncio.ensure_future(client.saga(saga_id))  # tried again until there is a server
                door = await served()
                assert (await later).saga_id == saga_id
                shop.open_gate.set()
            seqs.append(entry.seq)
        assert seqs == [each.seq for each in (await client.history(saga_id)).entries]
    await door.stop(0)


async def test_a_server_that_is_not_there_is_named() -> None:
    async with Client(f"127.0.0.1:{(port := free_port())}", timeout_seconds=0.2) as client:
        with pytest.raises(StoreUnavailableError, match=str(port)):
            await client.saga(NOBODY)


async def test_a_definition_is_registered_once(client: Client) -> None:
    first = await client.register({**ORDER, "timeout_seconds": 600})
    assert await client.register({**ORDER, "timeout_seconds": 600}) == first


async def test_a_server_that_accepts_and_is_silent_is_one_that_cannot_be_reached() -> None:
    accepted: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: accepted.append(writer), "127.0.0.1", 0)
    host, port = silent.sockets[0].getsockname()
    async with Client(f"{host}:{port}", timeout_seconds=0.2) as client:
        with pytest.raises(StoreUnavailableError, match=f"{port}.*see that it is up"):
            await client.saga(NOBODY)
    for writer in accepted:
        writer.close()
    silent.close()
    await silent.wait_closed()


async def test_calls_that_are_open_when_the_client_closes_say_so_and_cancel_nobody(shop: Shop, door: Door) -> None:
    async with Client(door.address, timeout_seconds=300) as client:
        slow = await client.start("order", {**INPUT, "card": "slow"})
        await shop.at_gate.wait()
        watch = client.watch(slow.saga_id)
        async for entry in watch:
            if entry.seq == (await client.history(slow.saga_id)).entries[-1].seq:
                break
        waiting = [asyncio.ensure_future(anext(watch)), asyncio.ensure_future(client.ended(slow.saga_id))]
        while len(client._channel._active_calls) < 2:  # noqa: ASYNC110 - until the second call is out, too
            await asyncio.sleep(0)
    for each in waiting:
        with pytest.raises(GoConductorError, match="the client was closed during this call"):
            await each
    with pytest.raises(GoConductorError, match="the client is not open"):
        await client.saga(slow.saga_id)
    with pytest.raises(GoConductorError, match="the client is not open"):
        await anext(client.watch(slow.saga_id))


async def test_who_is_cancelled_himself_is_cancelled(client: Client, shop: Shop) -> None:
    slow = await client.start("order", {**INPUT, "card": "slow"})
    await shop.at_gate.wait()
    waiting = asyncio.ensure_future(client.ended(slow.saga_id))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_argument_that_cannot_be_sent_is_named(client: Client) -> None:
    with pytest.raises(ArgumentError, match="saga is of type int; give a text"):
        await client.start(5)  # type: ignore[arg-type]
    for labels in ({"a": 1}, 5, "ab"):
        with pytest.raises(ArgumentError, match=f"labels is of type {type(labels).__name__}; give a mapping"):
            await client.start("order", INPUT, labels=labels)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="labels is of type dict"):
        await client.sagas(labels={"a": 1})  # type: ignore[dict-item]
    with pytest.raises(ArgumentError, match="status is of type int; give a list, each of it a text"):
        await client.sagas(status=5)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="wait_seconds is of type str; give a number"):
        await client.start("order", INPUT, wait_seconds="long")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="definition is of type int"):
        await client.register(5)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="request is of type int"):
        await client.ask(5, NOBODY)  # type: ignore[arg-type]
    for call in (
        client.saga("\ud800"),
        client.find("order", key="\ud800"),
        client.signal(NOBODY, "\ud800"),
        anext(client.watch("\ud800")),
    ):
        with pytest.raises(RequestInvalidError, match="UTF-8 cannot say"):
            await call
    with pytest.raises(RequestInvalidError, match="after is out of bounds"):
        await client.history(NOBODY, after=2**70)


class _Failed(grpc.aio.AioRpcError):  # type: ignore[misc]
    """A call that failed, with the details that a server gave it."""

    def __init__(self, kind: Kind, *problems: str) -> None:
        info = error_details_pb2.ErrorInfo(metadata={"type": f"{URN}{kind.name}"})
        bad = error_details_pb2.BadRequest()
        for problem in problems:
            bad.field_violations.add(field="$.a", description=problem)
        status = status_pb2.Status()
        for each in (info, bad):
            status.details.add().Pack(each)
        metadata = grpc.aio.Metadata((DETAILS_KEY, status.SerializeToString()))
        super().__init__(grpc.StatusCode.UNKNOWN, grpc.aio.Metadata(), metadata, "a sentence with the remedy")


@pytest.mark.parametrize("kind", sorted({*KINDS.values()}), ids=lambda kind: kind.name)
@pytest.mark.parametrize("problems", [(), ("is wrong",)], ids=["no-place", "a-place"])
def test_every_kind_of_problem_comes_back_as_its_error(kind: Kind, problems: tuple[str, ...]) -> None:
    error = error_of(_Failed(kind, *problems), "127.0.0.1:1")
    assert kind_of(error) == kind
    assert not problems or places_of(error) in ([], [Fault("$.a", "is wrong")], [Fault("", "is wrong")])
    assert any(each in str(error) for each in (*problems, "a sentence"))
    assert pickle.loads(pickle.dumps(error)).args == error.args


def test_who_edits_a_flow_too_late_is_told_which_and_what_it_is_at() -> None:
    too_late = FlowChangedError("checkout", "ab12", ("step 'pay' is new",))
    code, message, metadata = answer(too_late, "/flows/edit")
    error = error_of(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*metadata), message), "127.0.0.1:1")
    assert isinstance(error, FlowChangedError)
    assert (error.flow, error.version, error.changes) == ("checkout", "ab12", ("step 'pay' is new",))
