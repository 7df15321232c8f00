"""Sagas over gRPC: started, looked at, listed, told something, by a real server and a real channel."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import grpc
import msgspec
import pytest

from goconductor.control.models import History, SagaDetail, SagaPage
from goconductor.grpc.calls import patience
from goconductor.grpc.door import Door
from goconductor.grpc.v1.values_pb2 import SagaFilter, Value
from tests.doors.conftest import INPUT, Shop
from tests.doors.over_grpc import NOT_SERVING, SERVING, Caller, value

WAIT = 300.0


async def test_a_saga_that_completes_in_time_is_answered_with_its_output(caller: Caller) -> None:
    answer = await caller.call("StartSaga", saga="order", input=value(INPUT), wait_seconds=WAIT)
    assert (answer.saga.status, answer.existing) == ("completed", False)
    assert json.loads(answer.saga.output.data) == {"parcel": "p-1", "receipt": "receipt for 4242"}
    assert [(step.id, step.status, step.attempt) for step in answer.saga.steps] == [
        ("reserve", "succeeded", 1),
        ("charge", "succeeded", 1),
        ("ship", "succeeded", 1),
    ]
    assert json.loads(answer.saga.steps[0].output.data) == {"sku": "tea", "quantity": 2}


async def test_a_saga_over_grpc_is_the_one_that_rest_shows_field_by_field(shop: Shop, caller: Caller) -> None:
    saga_id = (await caller.call("StartSaga", saga="order", input=value(INPUT), wait_seconds=WAIT)).saga.saga_id
    for name, kind, path in (("GetSaga", SagaDetail, ""), ("GetHistory", History, "/history")):
        shown = kind.model_validate((await shop.client.get(f"/v1/sagas/{saga_id}{path}")).json())
        assert plain(await caller.call(name, saga_id=saga_id)) == as_said(shown.model_dump(mode="json"))
    page = SagaPage.model_validate((await shop.client.get("/v1/sagas")).json())
    assert plain(await caller.call("ListSagas")) == as_said(page.model_dump(mode="json"))


def plain(message: Any) -> Any:
    """What a message says, as JSON; what is not said is left out."""
    said: dict[str, Any] = {}
    for field, given in message.ListFields():
        each = [plain_one(one) for one in given] if field.is_repeated and not hasattr(given, "items") else None
        said[field.name] = each if each is not None else dict(given) if hasattr(given, "items") else plain_one(given)
    return said


def plain_one(given: Any) -> Any:
    if isinstance(given, Value):
        return json.loads(given.data)
    if hasattr(given, "ToDatetime"):
        return given.ToJsonString().replace("000Z", "Z") if given.nanos % 1_000_000 == 0 else given.ToJsonString()
    return plain(given) if hasattr(given, "ListFields") else given


def as_said(document: Any) -> Any:
    """A document without what a message leaves out: what is null, empty, zero or false."""
    if isinstance(document, dict):
        return {name: as_said(each) for name, each in document.items() if each not in (None, [], {}, 0, "", False)}
    return [as_said(each) for each in document] if isinstance(document, list) else document


async def test_numbers_stay_what_they_were(shop: Shop, caller: Caller) -> None:
    await shop.register({"name": "lonely", "steps": [{"id": "wave", "run": "island.wave"}]})
    data = b'{"whole":3,"double":3.0,"large":9007199254740993}'
    answer = await caller.call("StartSaga", saga="lonely", input=Value(data=data))
    assert answer.saga.input.data == data
    assert answer.saga.input.content_type == "application/json"


async def test_the_same_key_finds_the_same_saga(caller: Caller) -> None:
    first, second = [await caller.call("StartSaga", saga="order", input=value(INPUT), key="a-1") for _ in range(2)]
    assert (first.existing, second.existing) == (False, True)
    assert second.saga.saga_id == first.saga.saga_id
    assert (await caller.call("FindSaga", saga="order", key="a-1")).saga_id == first.saga.saga_id


async def test_many_are_started_at_once_and_each_is_refused_for_itself(caller: Caller) -> None:
    wanted = [{"saga": "order", "input": value({**INPUT, "quantity": quantity})} for quantity in (1, 0, 2)]
    answer = await caller.call("StartSagas", starts=[*wanted, {"saga": "nothing"}])
    started = [each.saga_id for each in answer.outcomes]
    assert [bool(each) for each in started] == [True, False, True, False]
    kinds = [each.problem.type.rpartition(":")[2] for each in answer.outcomes if each.HasField("problem")]
    assert kinds == ["input-refused", "definition-not-found"]
    assert "$.quantity" in answer.outcomes[1].problem.detail
    for saga_id in filter(None, started):
        assert (await caller.call("GetResult", saga_id=saga_id, wait_seconds=WAIT)).status == "completed"


@pytest.mark.parametrize(("remaining", "waits"), [(None, 60.0), (1000.0, 60.0), (10.0, 9.0), (-1.0, 0.0)])
def test_a_wait_ends_before_the_clients_deadline(remaining: float | None, waits: float) -> None:
    class Context:
        def time_remaining(self) -> float | None:
            return remaining

    assert patience(Context(), 60.0) == waits


async def test_a_wait_that_is_over_is_answered_with_the_saga_as_it_is(shop: Shop, caller: Caller) -> None:
    saga_id = (await caller.call("StartSaga", saga="order", input=value({**INPUT, "card": "slow"}))).saga.saga_id
    await shop.at_gate.wait()
    assert (await caller.call("GetResult", saga_id=saga_id, wait_seconds=0.05)).status == "running"


async def test_a_server_that_stops_answers_who_waits_and_is_not_serving_any_more(shop: Shop, door: Door, caller: Caller) -> None:
    saga_id = (await caller.call("StartSaga", saga="order", input=value({**INPUT, "card": "slow"}))).saga.saga_id
    await shop.at_gate.wait()
    waiting = asyncio.ensure_future(caller.call("GetResult", saga_id=saga_id, wait_seconds=WAIT))
    health = caller.health_watch()
    assert (await health.read()).status == SERVING
    await door.stop(WAIT)
    assert (await waiting).status == "running"
    assert (await health.read()).status == NOT_SERVING


async def test_a_call_that_is_given_up_leaves_nothing_behind_and_the_saga_goes_on(shop: Shop, caller: Caller) -> None:
    call = caller.call("StartSaga", saga="order", input=value({**INPUT, "card": "slow"}), key="given-up", wait_seconds=WAIT)
    begun = asyncio.ensure_future(call.wait_for_connection())
    await shop.at_gate.wait()
    begun.cancel()
    call.cancel()
    shop.open_gate.set()
    found = await caller.call("FindSaga", saga="order", key="given-up")
    assert (await caller.call("GetResult", saga_id=found.saga_id, wait_seconds=WAIT)).status == "completed"


async def test_sagas_are_found_by_filters_and_pages(caller: Caller) -> None:
    for number in range(3):
        await caller.call("StartSaga", saga="order", input=value(INPUT), labels={"number": str(number)}, wait_seconds=WAIT)
    one = await caller.call("ListSagas", where=SagaFilter(labels={"number": "1"}))
    assert [dict(each.labels) for each in one.sagas] == [{"number": "1"}]
    where = SagaFilter(saga="order", status=["completed"])
    first = await caller.call("ListSagas", where=where, limit=2)
    rest = await caller.call("ListSagas", where=where, limit=2, cursor=first.cursor)
    assert [each.labels["number"] for each in (*first.sagas, *rest.sagas)] == ["2", "1", "0"]
    assert not rest.HasField("cursor")
    other = await caller.refused("ListSagas", where=SagaFilter(saga="order"), cursor=first.cursor)
    assert (other.code, list(other.places)) == (grpc.StatusCode.INVALID_ARGUMENT, ["cursor"])


async def test_a_diagram_is_drawn(caller: Caller) -> None:
    saga_id = (await caller.call("StartSaga", saga="order", input=value(INPUT))).saga.saga_id
    assert (await caller.call("GetSagaDiagram", saga_id=saga_id)).text.startswith("flowchart")
    assert (await caller.call("GetSagaDiagram", saga_id=saga_id, form="svg")).content_type == "image/svg+xml"
    assert list((await caller.refused("GetSagaDiagram", saga_id=saga_id, form="png")).places) == ["form"]


async def test_a_step_that_waits_gets_its_signal_and_its_approval(shop: Shop, caller: Caller) -> None:
    steps = [{"id": "paid", "wait": {"event": "paid"}}, {"id": "look", "wait": {"approval": "Ship it?"}, "after": ["paid"]}]
    await shop.register({"name": "waits", "steps": steps})
    saga_id = (await caller.call("StartSaga", saga="waits")).saga.saga_id
    told = await caller.call("Signal", saga_id=saga_id, name="paid", payload=value(17), by="ann", request_id="s-1")
    again = await caller.call("Signal", saga_id=saga_id, name="paid", payload=value(17), by="ann", request_id="s-1")
    assert told.steps[0].status == again.steps[0].status == "succeeded"
    assert msgspec.json.decode(told.steps[0].output.data) == 17
    assert (await caller.refused("Approve", saga_id=saga_id, step="look")).kind == "invalid-request"
    done = await caller.call("Approve", saga_id=saga_id, step="look", reason="looks well", by="bob")
    assert done.status == "completed"


async def test_many_sagas_are_asked_at_once(shop: Shop, caller: Caller) -> None:
    slow = value({**INPUT, "card": "slow"})
    ids = [(await caller.call("StartSaga", saga="order", input=slow)).saga.saga_id for _ in range(2)]
    nobody = str(uuid.uuid4())
    tried = await caller.call("AskInBulk", request="pause", where=SagaFilter(saga="order"), dry_run=True)
    assert dict(tried.counts) == {"allowed": 2}
    report = await caller.call("AskInBulk", request="pause", sagas=[{"saga_id": each} for each in (*ids, nobody)], by="ann")
    assert [each.outcome for each in report.sagas] == ["done", "done", "not_found"]
    both = await caller.refused("AskInBulk", request="pause")
    assert list(both.places) == ["sagas"]
