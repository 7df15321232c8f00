"""Flows over REST: edited step by step, executed, and stopped."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import httpx

from goconductor.rest.app import create_app
from tests.doors.conftest import Shop

URN = "urn:goconductor:problem:"
RESERVE: dict[str, Any] = {
    "id": "reserve",
    "run": "shop.reserve",
    "inputs": {"sku": {"ref": "$.input.sku"}, "quantity": {"value": 1}},
}
CHARGE: dict[str, Any] = {
    "id": "charge",
    "run": "shop.charge",
    "inputs": {"card": {"ref": "$.input.card"}},
    "after": ["reserve"],
}
INPUT = {"sku": "tea", "card": "4242"}


async def create(shop: Shop, step: dict[str, Any], **fields: Any) -> Any:
    answer = await shop.client.post("/v1/flows/basket/steps", json={"step": step, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_steps_are_added_between_others_looked_up_replaced_and_taken_out(shop: Shop) -> None:
    await create(shop, RESERVE)
    await create(shop, {"id": "ship", "run": "shop.ship", "after": ["reserve"]})
    made = await create(shop, {**CHARGE, "before": ["ship"]}, by="ann")
    assert [(step["id"], sorted(step["after"]), step["before"]) for step in made["steps"]] == [
        ("reserve", [], ["charge", "ship"]),
        ("charge", ["reserve"], ["ship"]),
        ("ship", ["charge", "reserve"], []),
    ]
    assert (await shop.client.get("/v1/flows/basket")).json() == made
    assert (await shop.client.get("/v1/flows/basket/steps/charge")).json()["step"] == CHARGE
    replaced = await shop.client.put("/v1/flows/basket/steps/charge", json={"step": {"run": "bank.debit"}})
    assert [step["after"] for step in replaced.json()["steps"] if step["id"] == "charge"] == [["reserve"]]
    left = await shop.client.delete("/v1/flows/basket/steps/charge?by=ann")
    assert [step["id"] for step in left.json()["steps"]] == ["reserve", "ship"]
    old = await shop.client.get("/v1/flows/basket", params={"version": made["version"]})
    assert old.json() == made


async def test_a_flow_has_a_priority_and_a_timeout_of_its_own(shop: Shop) -> None:
    made = await create(shop, RESERVE)
    assert (made["priority"], made["timeout_seconds"]) == (0, None)
    changed = await shop.client.patch("/v1/flows/basket", json={"priority": 7, "timeout_seconds": 600, "by": "ann"})
    assert (changed.json()["priority"], changed.json()["timeout_seconds"]) == (7, 600)
    assert (await create(shop, CHARGE))["priority"] == 7
    only = await shop.client.patch("/v1/flows/basket", json={"timeout_seconds": None})
    assert (only.json()["priority"], only.json()["timeout_seconds"]) == (7, None)
    late = await shop.client.patch("/v1/flows/basket", json={"priority": 1, "made_of": made["version"]})
    assert (late.status_code, late.json()["type"]) == (409, f"{URN}flow-changed")
    for given, taken in ((0, 7), (-3, -3)):
        body = {"input": INPUT, "priority": given}
        execution = (await shop.client.post("/v1/flows/basket/executions?wait_seconds=300", json=body)).json()
        assert execution["status"] == "success"
        assert (await shop.server.wait_for_end(UUID(execution["saga_id"]), 300)).priority == taken


async def test_an_edit_that_came_second_is_told_what_came_first(shop: Shop) -> None:
    seen = (await create(shop, RESERVE))["version"]
    now = await create(shop, CHARGE, made_of=seen)
    assert await create(shop, CHARGE, made_of=seen) == now
    late = await shop.client.post(
        "/v1/flows/basket/steps", json={"step": {"id": "ship", "run": "shop.ship", "after": ["reserve"]}, "made_of": seen}
    )
    assert (late.status_code, late.json()["type"]) == (409, f"{URN}flow-changed")
    assert [place["problem"] for place in late.json()["errors"]] == ["step 'charge' is new, after 'reserve'"]
    deleted = await shop.client.delete(f"/v1/flows/basket/steps/charge?made_of={seen}")
    assert (deleted.status_code, now["version"] in deleted.json()["detail"]) == (409, True)


REFUSED: list[tuple[str, str, Any, int, str]] = [
    ("POST", "basket/steps", {"step": {**RESERVE, "run": "shop.other"}}, 409, "step-exists"),
    ("POST", "basket/steps", {"step": {"id": "late", "run": "shop.work", "after": ["nowhere"]}}, 422, "definition-refused"),
    ("POST", "basket/steps", {"step": {"id": "late", "flow": "other"}}, 422, "definition-refused"),
    ("POST", "basket/steps", {"step": 1}, 400, "invalid-request"),
    ("POST", "basket/steps", {}, 400, "invalid-request"),
    ("POST", "basket/steps", {"step": RESERVE, "made_of": "none"}, 404, "definition-not-found"),
    ("POST", "bas.ket/steps", {"step": RESERVE}, 422, "definition-refused"),
    ("PATCH", "basket", {"priority": 101}, 400, "invalid-request"),
    ("PATCH", "basket", {"timeout_seconds": 0}, 400, "invalid-request"),
    ("PATCH", "basket", {"steps": []}, 400, "invalid-request"),
    ("PATCH", "other", {"priority": 1}, 404, "definition-not-found"),
    ("PUT", "basket/steps/ship", {"step": {"run": "shop.ship"}}, 404, "step-not-found"),
    ("PUT", "basket/steps/reserve", {"step": {"id": "ship", "run": "shop.ship"}}, 400, "invalid-request"),
    ("DELETE", "basket/steps/ship", None, 404, "step-not-found"),
    ("DELETE", "other/steps/ship", None, 404, "definition-not-found"),
    ("GET", "other", None, 404, "definition-not-found"),
    ("POST", "other/executions", {}, 404, "definition-not-found"),
    ("POST", "basket/executions", {"from_step": "ship"}, 422, "definition-refused"),
    ("POST", "basket/executions", {"retry": {"attempts_max": 0}}, 400, "invalid-request"),
    ("POST", "basket/executions", {"retry": {"tries": 3}}, 400, "invalid-request"),
    ("POST", "basket/executions", {"timeout_seconds": -1}, 400, "invalid-request"),
    ("POST", "basket/executions", {"timeout_seconds": 1e12}, 400, "invalid-request"),
    ("POST", "basket/executions", {"labels": {"": "x"}}, 400, "invalid-request"),
]


async def test_what_cannot_be_is_refused(shop: Shop) -> None:
    await create(shop, RESERVE)
    for method, path, body, status, kind in REFUSED:
        answer = await shop.client.request(method, f"/v1/flows/{path}", json=body)
        assert (answer.status_code, answer.json()["type"]) == (status, f"{URN}{kind}"), f"{method} {path}: {answer.text}"


async def test_an_execution_is_waited_for(shop: Shop) -> None:
    await create(shop, RESERVE)
    await create(shop, CHARGE)
    answer = await shop.client.post("/v1/flows/basket/executions?wait_seconds=60", json={"input": INPUT, "by": "ann"})
    assert (answer.status_code, answer.json()["status"]) == (200, "success")
    assert [step["status"] for step in answer.json()["steps"]] == ["success", "success"]
    assert (await shop.client.get(answer.headers["location"])).json() == answer.json()
    result = await shop.client.get(f"{answer.headers['location']}/steps/reserve")
    assert result.json() == {"id": "reserve", "output": {"sku": "tea", "quantity": 1}}


async def test_an_execution_has_options_of_its_own(shop: Shop) -> None:
    await create(shop, RESERVE)
    await create(shop, CHARGE)
    asked = {
        "input": INPUT,
        "from_step": "charge",
        "concurrency": 1,
        "timeout_seconds": 600,
        "retry": {"attempts_max": 2},
        "labels": {"team": "tea"},
    }
    once = await shop.client.post("/v1/flows/basket/executions?wait_seconds=60", json=asked, headers={"Idempotency-Key": "a"})
    assert [step["status"] for step in once.json()["steps"]] == ["success", "success"]
    assert shop.reserved == []
    again = await shop.client.post("/v1/flows/basket/executions", json=asked, headers={"Idempotency-Key": "a"})
    assert (again.json(), again.headers["idempotent-replayed"]) == (once.json(), "true")


async def test_an_execution_is_paused_resumed_aborted_and_stopped(shop: Shop) -> None:
    await create(shop, RESERVE)
    await create(shop, CHARGE)
    await create(shop, {"id": "ship", "run": "shop.ship", "after": ["charge"], "inputs": {"receipt": {"value": "r"}}})
    started = await shop.client.post("/v1/flows/basket/executions", json={"input": {**INPUT, "card": "slow"}})
    assert started.status_code == 202
    place = started.headers["location"]
    await shop.at_gate.wait()

    async def ask(request: str, **body: Any) -> tuple[int, str]:
        answer = await shop.client.post(f"{place}/{request}", json=body)
        return answer.status_code, answer.json().get("status")

    assert await ask("pause", reason="lunch", by="ann") == (200, "paused")
    assert await ask("resume") == (200, "pending")
    assert await ask("stop?wait_seconds=0", reason="the end") == (202, "paused")
    shop.open_gate.set()
    assert await ask("stop", reason="the end", by="ann") == (200, "stopped")
    assert (await ask("abort"))[0] == 409
    assert (await ask("stop"))[0] == 400
    assert (await shop.client.get(f"{place}/steps/charge")).json()["output"] == "receipt for slow"
    assert (await shop.client.get(f"{place}/steps/ship")).status_code == 409
    assert (await shop.client.get(f"{place}/steps/wrap")).status_code == 404
    stranger = place.replace("basket", "other")
    assert (await shop.client.get(stranger)).json()["type"] == f"{URN}saga-not-found"


async def test_an_aborted_execution_is_compensated(shop: Shop) -> None:
    await create(shop, RESERVE)
    await create(shop, {**CHARGE, "wait": {"event": "paid"}, "run": "", "inputs": {}})
    started = await shop.client.post("/v1/flows/basket/executions", json={"input": INPUT})
    place = started.headers["location"]
    aborted = await shop.client.post(f"{place}/abort", json={"reason": "no more"})
    assert aborted.status_code == 200
    await shop.server.wait_for_end(UUID(started.json()["saga_id"]), 60)
    assert (await shop.client.get(place)).json()["status"] == "aborted"
    assert shop.reserved == []


async def test_a_stop_is_told_as_done_only_once_the_execution_has_ended(shop: Shop) -> None:
    await create(shop, RESERVE)
    await create(shop, {"id": "fly", "run": "airline.fly", "after": ["reserve"]})
    started = await shop.client.post("/v1/flows/basket/executions", json={"input": INPUT})
    place = started.headers["location"]

    async def is_out() -> bool:
        return str((await shop.step(started.json()["saga_id"], "fly"))["status"]) == "waiting"

    await shop.until(is_out)
    for _ in range(2):
        pending = await shop.client.post(f"{place}/stop?wait_seconds=0.05", json={"reason": "nobody flies"})
        assert (pending.status_code, pending.json()["status"]) == (202, "pending")
    stopped = await shop.client.post(f"{place}/stop", json={"reason": "nobody flies", "forced": True})
    assert (stopped.status_code, stopped.json()["status"]) == (200, "stopped")


async def test_a_server_that_stops_answers_who_stops_an_execution(shop: Shop) -> None:
    await create(shop, RESERVE)
    await create(shop, CHARGE)
    stopping = asyncio.Event()
    app = create_app(shop.server, shop.settings, stopping=stopping)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080") as client:
        started = await client.post("/v1/flows/basket/executions", json={"input": {**INPUT, "card": "slow"}})
        await shop.at_gate.wait()
        place = started.headers["location"]
        waiting = asyncio.ensure_future(client.post(f"{place}/stop?wait_seconds=300", json={"reason": "the end"}))

        async def is_paused() -> bool:
            return str((await client.get(place)).json()["status"]) == "paused"

        await shop.until(is_paused)
        stopping.set()
        answer = await waiting
    assert (answer.status_code, answer.json()["status"]) == (202, "paused")
