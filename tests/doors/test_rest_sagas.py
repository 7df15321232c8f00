"""Sagas over REST: started, looked at, listed, by a server beside a real participant."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from goconductor.control.definitions.json_schema import definition_schema
from tests.doors.conftest import INPUT, ORDER, Shop

WAIT = {"wait_seconds": 300}


async def test_a_saga_that_completes_in_time_is_answered_with_its_output(shop: Shop) -> None:
    answer = await shop.client.post("/v1/sagas/order", params=WAIT, json=INPUT)
    detail = answer.json()
    assert answer.status_code == 200
    assert answer.headers["location"] == f"/v1/sagas/{detail['saga_id']}"
    assert (detail["status"], detail["output"]) == ("completed", {"parcel": "p-1", "receipt": "receipt for 4242"})
    assert [(step["id"], step["status"], step["attempt"]) for step in detail["steps"]] == [
        ("reserve", "succeeded", 1),
        ("charge", "succeeded", 1),
        ("ship", "succeeded", 1),
    ]
    assert detail["steps"][0]["output"] == {"sku": "tea", "quantity": 2}
    assert detail["input"] == INPUT


async def test_a_saga_that_compensates_in_time_is_answered_with_the_reason(shop: Shop) -> None:
    detail = await shop.start(wait_seconds=300, card="declined")
    assert detail["status"] == "compensated"
    assert detail["reason"] == "step 'charge': PermanentError: the card was declined"
    assert detail["output"] is None
    assert {step["id"]: step["status"] for step in detail["steps"]} == {
        "reserve": "compensated",
        "charge": "compensated",
        "ship": "pending",
    }
    assert (await shop.step(detail["saga_id"], "charge"))["error"] == "PermanentError: the card was declined"
    assert shop.reserved == []


async def test_a_saga_that_is_stuck_in_time_is_answered_as_not_ended(shop: Shop) -> None:
    answer = await shop.client.post("/v1/sagas/order", params=WAIT, json={**INPUT, "sku": "glued", "card": "declined"})
    assert (answer.status_code, answer.json()["status"]) == (202, "stuck")
    step = await shop.step(answer.json()["saga_id"], "reserve")
    assert (step["status"], step["error"]) == ("stuck", "PermanentError: it cannot be put back")


async def test_without_waiting_the_saga_is_accepted_and_its_place_told(shop: Shop) -> None:
    answer = await shop.client.post("/v1/sagas/order", json={**INPUT, "card": "slow"})
    assert answer.status_code == 202
    assert answer.json()["status"] in ("queued", "running")
    assert (await shop.client.get(answer.headers["location"])).json()["saga_id"] == answer.json()["saga_id"]


async def test_when_the_time_runs_out_the_saga_goes_on(shop: Shop) -> None:
    answer = await shop.client.post("/v1/sagas/order", params={"wait_seconds": 0.05}, json={**INPUT, "card": "slow"})
    assert answer.status_code == 202
    shop.open_gate.set()
    await shop.server.wait_for_end(UUID(answer.json()["saga_id"]), 300)
    assert (await shop.client.get(answer.headers["location"])).json()["status"] == "completed"


async def test_a_running_step_shows_its_owner_and_what_waits_for_it_says_so(shop: Shop) -> None:
    saga_id = (await shop.start(card="slow"))["saga_id"]
    await shop.at_gate.wait()
    charge, ship = await shop.step(saga_id, "charge"), await shop.step(saga_id, "ship")
    assert (charge["status"], charge["owner"], charge["attempt"]) == ("running", shop.participant.name, 1)
    assert (ship["status"], ship["reason"], ship["after"]) == ("waiting", "waits for charge", ["charge"])


async def test_a_step_that_will_be_tried_again_says_when_and_why(shop: Shop) -> None:
    saga_id = (await shop.start(card="busy"))["saga_id"]

    async def backs_off() -> bool:
        return (await shop.step(saga_id, "charge"))["error"] is not None

    await shop.until(backs_off)
    step = await shop.step(saga_id, "charge")
    assert step["status"] == "waiting"
    assert step["reason"].startswith("retry in 3")
    assert step["reason"].endswith("s after TemporaryError: the bank is busy")


async def test_a_step_that_nobody_offers_says_who_is_missing(shop: Shop) -> None:
    await shop.register({"name": "lonely", "steps": [{"id": "wave", "run": "island.wave"}]})
    step = await shop.step((await shop.start("lonely"))["saga_id"], "wave")
    assert (step["status"], step["reason"]) == ("waiting", "island has no live instance")


async def test_a_step_whose_participant_is_busy_is_queued(shop: Shop) -> None:
    await shop.participant.close()
    await shop.store.instances.register("shop", "shop-that-does-not-answer", {"reserve": {}})
    step = await shop.step((await shop.start())["saga_id"], "reserve")
    assert (step["status"], step["reason"], step["owner"]) == ("queued", None, None)
    await shop.participant.open()


async def test_the_same_key_and_input_find_the_same_saga(shop: Shop) -> None:
    headers = {"Idempotency-Key": "order-17"}
    first, second = [await shop.client.post("/v1/sagas/order", params=WAIT, json=INPUT, headers=headers) for _ in range(2)]
    assert second.json()["saga_id"] == first.json()["saga_id"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert len((await shop.client.get("/v1/sagas")).json()["sagas"]) == 1


async def test_labels_are_kept(shop: Shop) -> None:
    params = {"label": ["team=checkout", "note=a=b"]}
    answer = await shop.client.post("/v1/sagas/order", params=params, json=INPUT)
    assert answer.json()["labels"] == {"team": "checkout", "note": "a=b"}
    assert (await shop.client.get("/v1/sagas")).json()["sagas"][0]["labels"] == {"team": "checkout", "note": "a=b"}


async def test_a_saga_keeps_its_version_and_a_start_may_name_one(shop: Shop) -> None:
    old = (await shop.start(wait_seconds=300))["version"]
    new = (await shop.register({**ORDER, "timeout_seconds": 600}))["version"]
    assert (await shop.start(wait_seconds=300))["version"] == new
    answer = await shop.client.post("/v1/sagas/order", params={"version": old}, json=INPUT)
    assert answer.json()["version"] == old


async def test_the_history_is_the_log_and_comes_in_parts(shop: Shop) -> None:
    path = f"/v1/sagas/{(await shop.start(wait_seconds=300))['saga_id']}/history"
    whole = (await shop.client.get(path)).json()
    assert [entry["event"] for entry in whole["entries"]] == ["SagaStarted", *["ActionSucceeded"] * 3]
    assert [entry["step"] for entry in whole["entries"]] == [None, "reserve", "charge", "ship"]
    assert whole["entries"][0]["data"]["input"] == INPUT
    assert whole["after"] is None
    part = (await shop.client.get(path, params={"limit": 3})).json()
    rest = (await shop.client.get(path, params={"limit": 3, "after": part["after"]})).json()
    assert part["entries"] + rest["entries"] == whole["entries"]
    assert rest["after"] is None


async def test_the_list_is_newest_first_comes_in_pages_and_is_filtered(shop: Shop) -> None:
    await shop.register({"name": "lonely", "steps": [{"id": "wave", "run": "island.wave"}]})
    done = [(await shop.start(wait_seconds=300))["saga_id"] for _ in range(3)]
    open_one = (await shop.start("lonely"))["saga_id"]

    async def ids(**params: Any) -> list[str]:
        return [saga["saga_id"] for saga in (await shop.client.get("/v1/sagas", params=params)).json()["sagas"]]

    assert await ids() == sorted([*done, open_one], reverse=True)
    assert await ids(saga="lonely") == [open_one]
    assert await ids(status="completed") == sorted(done, reverse=True)
    page = (await shop.client.get("/v1/sagas", params={"limit": 3})).json()
    assert len(page["sagas"]) == 3
    assert await ids(limit=3, cursor=page["cursor"]) == [min([*done, open_one])]


async def test_an_output_that_cannot_be_told_is_explained(shop: Shop) -> None:
    await shop.register({**ORDER, "name": "broken", "output": {"ref": "$.steps.ship.output.nothing"}})
    detail = await shop.start("broken", wait_seconds=300)
    assert (detail["status"], detail["output"]) == ("completed", None)
    assert "its output cannot be shown: $.steps.ship.output" in detail["reason"]


async def test_definitions_are_listed_with_the_active_version(shop: Shop) -> None:
    (first,) = (await shop.client.get("/v1/definitions")).json()["definitions"]
    await shop.client.put("/v1/definitions/order", params={"activate": False}, json={**ORDER, "timeout_seconds": 5})
    assert (await shop.register(ORDER)) == first
    listed = (await shop.client.get("/v1/definitions")).json()["definitions"]
    assert len(listed) == 2
    assert [each["version"] for each in listed if each["active"]] == [first["version"]]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_the_server_is_alive_and_ready(shop: Shop, path: str) -> None:
    answer = await shop.client.get(path)
    assert (answer.status_code, answer.json()["ready"]) == (200, True)


async def test_the_schema_of_definitions_is_served(shop: Shop) -> None:
    answer = await shop.client.get("/v1/definition-schema")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/schema+json")
    assert answer.json() == definition_schema()
