"""Flows over gRPC: edited and executed by the messages, and by the client."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from goconductor import Retry
from goconductor.control.flows.editing import FlowChangedError
from goconductor.control.flows.edits import StepExistsError
from goconductor.control.flows.statuses import FlowStatus
from goconductor.control.sagas.requests import RefusedNowError, StepNotFoundError
from goconductor.errors import ArgumentError, DefinitionError, RequestRefusedError, SagaNotFoundError
from goconductor.grpc import Client, Flow
from goconductor.grpc.door import Door
from tests.doors.conftest import Shop
from tests.doors.over_grpc import Caller, value
from tests.doors.test_rest_flows import CHARGE, INPUT, RESERVE

SHIP: dict[str, Any] = {
    "id": "ship",
    "run": "shop.ship",
    "inputs": {"receipt": {"ref": "$.steps.charge.output"}},
    "pivot": True,
}


async def test_a_flow_is_edited_and_executed_by_a_client(shop: Shop, door: Door) -> None:
    async with Client(door.address) as client:
        flow = Flow(client, "basket")
        made = [await flow.create_step(each, by="ann") for each in (RESERVE, CHARGE, SHIP)]
        assert await flow.create_step(CHARGE) == made[-1]
        with pytest.raises(StepExistsError):
            await flow.create_step({**CHARGE, "run": "shop.other"})
        own = await flow.change(priority=7, timeout="10m", made_of=made[-1].version)
        assert (own.priority, own.timeout_seconds, own.version != made[-1].version) == (7, 600.0, True)
        with pytest.raises(FlowChangedError) as late:
            await flow.delete_step("charge", made_of=made[-1].version)
        assert (late.value.flow, late.value.version, len(late.value.changes)) == ("basket", own.version, 2)
        assert await flow.lookup(made[-1].version) == made[-1]
        assert (await flow.lookup_step("charge")).before == ["ship"]
        assert (await flow.change(timeout=0)).timeout_seconds is None
        with pytest.raises(DefinitionError, match="charge"):
            await flow.delete_step("charge")

        done = await flow.execute(INPUT, key="k", retry=Retry(attempts_max=2), timeout="5m", concurrency=1, wait_seconds=300)
        assert (done.status, done.output["ship"]["parcel"]) == (FlowStatus.SUCCESS, "p-1")
        assert (await flow.execute(INPUT, key="k")).saga_id == done.saga_id
        assert await flow.step_result(done.saga_id, "charge") == "receipt for 4242"
        skipped = await flow.execute(INPUT, from_step="charge", wait_seconds=300)
        with pytest.raises(RequestRefusedError, match="no result"):
            await flow.step_result(skipped.saga_id, "reserve")
        with pytest.raises(StepNotFoundError):
            await flow.step_result(done.saga_id, "pack")
        with pytest.raises(SagaNotFoundError, match="no execution"):
            await Flow(client, "other").ended(done.saga_id)
        with pytest.raises(ArgumentError):
            await flow.create_step("shop.reserve")  # type: ignore[arg-type]

        slow = (await flow.execute({**INPUT, "card": "slow"}, labels={"who": "ann"})).saga_id
        await shop.at_gate.wait()
        assert (await flow.pause(slow, reason="look")).status is FlowStatus.PAUSED
        assert (await flow.resume(slow)).status is FlowStatus.PENDING
        waiting = await flow.stop(slow, reason="enough", wait_seconds=0)
        assert waiting.status is FlowStatus.PAUSED
        shop.open_gate.set()
        assert (await flow.stop(slow, reason="enough", wait_seconds=300)).status is FlowStatus.STOPPED
        assert (await flow.ended(slow)).status is FlowStatus.STOPPED
        with pytest.raises(RefusedNowError):
            await flow.abort(slow, reason="too late")


async def test_a_request_about_an_execution_is_safe_to_repeat_and_bad_fields_have_their_place(shop: Shop, caller: Caller) -> None:
    for step in (RESERVE, CHARGE):
        await caller.call("CreateStep", name="basket", step=value(step))
    started = await caller.call("Execute", name="basket", input=value({**INPUT, "card": "slow"}), key="k")
    again = await caller.call("Execute", name="basket", input=value({**INPUT, "card": "slow"}), key="k")
    assert (started.existing, again.existing, again.execution.saga_id) == (False, True, started.execution.saga_id)
    which = {"name": "basket", "saga_id": started.execution.saga_id}
    await shop.at_gate.wait()
    for _ in range(2):
        assert (await caller.call("PauseExecution", **which, by="ann", request_id="p-1")).status == "paused"
    await caller.call("ResumeExecution", **which)
    shop.open_gate.set()
    ended = await caller.call("GetExecution", **which, wait_seconds=300)
    assert (ended.status, json.loads(ended.output.data)["charge"]) == ("success", "receipt for slow")

    places: dict[str, tuple[dict[str, Any], str]] = {
        "CreateStep": ({"name": "basket", "step": value([])}, "step"),
        "ChangeFlow": ({"name": "basket", "priority": 101}, "priority"),
        "Execute": ({"name": "basket", "concurrency": 0}, "concurrency"),
        "ResumeExecution": ({**which, "reason": "because"}, "reason"),
        "GetExecution": ({"name": "basket", "saga_id": "17"}, "saga_id"),
        "StopExecution": ({**which, "wait_seconds": 301}, "wait_seconds"),
    }
    for method, (fields, place) in places.items():
        assert list((await caller.refused(method, **fields)).places) == [place], method
    assert list((await caller.refused("Execute", name="basket", timeout_seconds=0)).places) == ["timeout_seconds"]
    assert list((await caller.refused("Execute", name="basket", retry=value({"attempts_max": 0}))).places)
    absent = await caller.refused("GetFlow", name="other")
    assert (absent.code, absent.kind) == (grpc.StatusCode.NOT_FOUND, "definition-not-found")
