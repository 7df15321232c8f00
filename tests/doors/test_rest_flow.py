"""Orchy's paths over REST: a document is sent, executed and told of events."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

from tests.doors.conftest import Shop

EXAMPLES = Path(__file__).parents[1] / "examples/orchy"
URN = "urn:goconductor:problem:"
DOCUMENT = json.loads((EXAMPLES / "an-event.json").read_text("utf-8"))["document"]
FOR_THE_SHOP = {
    "name": "signed",
    "rootAction": 1,
    "actions": [
        {"id": 1, "type": "system", "name": "wait", "event": "signed", "next": {"default": 2}},
        {"id": 2, "type": "system", "name": "switch", "expression": "$1.output.by", "next": {"ann": 3}},
        {"id": 3, "type": "system", "name": "delay", "delaySeconds": 0},
    ],
}


async def test_a_document_is_sent_executed_and_told_of_an_event(shop: Shop) -> None:
    sent = await shop.client.post("/flow", json=FOR_THE_SHOP)
    assert (sent.status_code, sent.json()["saga"], sent.json()["active"]) == (200, "signed", True)
    answer = await shop.client.post(
        "/flow/execute", json={"name": "signed", "input": {"n": 1}}, headers={"Idempotency-Key": "one"}
    )
    assert answer.status_code == 202
    saga_id = UUID(answer.json())
    assert answer.headers["location"] == f"/v1/sagas/{saga_id}"
    again = await shop.client.post(
        "/flow/execute", json={"name": "signed", "input": {"n": 1}}, headers={"Idempotency-Key": "one"}
    )
    assert again.json() == answer.json()
    told = await shop.client.post(f"/flow/{saga_id}/events/signed", json={"by": "ann"})
    assert (told.status_code, told.content) == (204, b"")
    detail = (await shop.client.get(f"/v1/sagas/{saga_id}")).json()
    assert detail["status"] == "completed"
    outputs = {step["id"]: step["output"] for step in detail["steps"]}
    assert outputs == {"1": {"by": "ann"}, "2": {"case": "ann", "value": "ann"}, "3": None}


async def test_an_action_that_no_worker_has_waits_visibly(shop: Shop) -> None:
    await shop.client.post("/flow?participant=nobody", json=DOCUMENT)
    saga_id = (await shop.client.post("/flow/execute", json={"name": "an-event"})).json()
    [first, *_] = (await shop.client.get(f"/v1/sagas/{saga_id}")).json()["steps"]
    assert (first["id"], first["status"]) == ("1", "waiting")
    assert first["reason"] == "nobody has no live instance"


async def test_what_cannot_be_is_refused(shop: Shop) -> None:
    endless = {"name": "endless", "rootAction": 1, "actions": [{"id": 1, "type": "user", "name": "go", "next": {"default": 1}}]}
    refused = await shop.client.post("/flow", json=endless)
    assert (refused.status_code, refused.json()["type"]) == (422, f"{URN}definition-refused")
    assert "$.actions[0] is action 1, which begins a circle that nothing leaves" in refused.text
    unknown = await shop.client.post("/flow/execute", json={"name": "nothing"})
    assert (unknown.status_code, unknown.json()["type"]) == (404, f"{URN}definition-not-found")
    lacking = await shop.client.post("/flow/execute", json={"input": 1})
    assert (lacking.status_code, lacking.json()["type"]) == (400, f"{URN}invalid-request")
    await shop.client.post("/flow", json=FOR_THE_SHOP)
    saga_id = (await shop.client.post("/flow/execute", json={"name": "signed"})).json()
    stranger = await shop.client.post(f"/flow/{saga_id}/events/married")
    assert stranger.status_code == 409
    assert "signed" in stranger.text
