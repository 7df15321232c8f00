"""Schedules over REST."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doors.conftest import INPUT, Shop

WANTED: dict[str, Any] = {"saga": "order", "input": INPUT, "cron": "@daily", "time_zone": "Europe/Berlin"}
URN = "urn:goconductor:problem:"


async def test_a_schedule_is_made_shown_listed_and_deleted(shop: Shop) -> None:
    made = await shop.client.post("/v1/schedules/nightly", json=WANTED | {"by": "ann"})
    assert (made.status_code, made.headers["location"]) == (201, "/v1/schedules/nightly")
    detail = made.json()
    assert (detail["name"], detail["input"], detail["changed_by"], detail["overlap"]) == ("nightly", INPUT, "ann", "skip")
    assert (await shop.client.get("/v1/schedules/nightly")).json() == detail
    page = (await shop.client.get("/v1/schedules")).json()
    assert ([row["name"] for row in page["schedules"]], page["after"]) == (["nightly"], None)
    again = await shop.client.post("/v1/schedules/nightly", json=WANTED)
    assert (again.status_code, again.json()["type"]) == (409, f"{URN}schedule-exists")
    gone = await shop.client.delete("/v1/schedules/nightly")
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (await shop.client.get("/v1/schedules/nightly"), await shop.client.delete("/v1/schedules/nightly")):
        assert (answer.status_code, answer.json()["type"]) == (404, f"{URN}schedule-not-found")


async def test_it_is_replaced_paused_resumed_and_fired(shop: Shop) -> None:
    missing = await shop.client.put("/v1/schedules/nightly", json=WANTED)
    assert missing.status_code == 404
    await shop.client.post("/v1/schedules/nightly", json=WANTED)
    replaced = await shop.client.put("/v1/schedules/nightly", json={"saga": "order", "input": INPUT, "every_seconds": 60})
    assert (replaced.status_code, replaced.json()["fires"]) == (200, "every 60 s")
    paused = (await shop.client.post("/v1/schedules/nightly/pause", json={"by": "bob"})).json()
    assert (paused["next_at"], paused["changed_by"]) == (None, "bob")
    headers = {"Idempotency-Key": "monday"}
    fired = (await shop.client.post("/v1/schedules/nightly/fire", json={"by": "ann"}, headers=headers)).json()
    again = (await shop.client.post("/v1/schedules/nightly/fire", json={"by": "ann"}, headers=headers)).json()
    assert (again["saga_id"], again["started"]) == (fired["saga_id"], 1)
    assert fired["saga_id"] == fired["last"]["saga_id"]
    saga = (await shop.client.get(f"/v1/sagas/{fired['last']['saga_id']}")).json()
    assert (saga["saga"], saga["labels"], fired["last"]["by"]) == ("order", {"goconductor/schedule": "nightly"}, "ann")
    assert (await shop.client.post("/v1/schedules/nightly/resume")).json()["next_at"] is not None


@pytest.mark.parametrize(
    ("change", "status", "kind", "told"),
    [
        ({"cron": "0 0 30 2 *"}, 400, "invalid-request", "never fires"),
        ({"time_zone": "Mars/Base"}, 400, "invalid-request", "not known here"),
        ({"crom": "* * * * *"}, 400, "invalid-request", "did you mean cron?"),
        ({"catch_up": "1"}, 400, "invalid-request", "$.catch_up"),
        ({"saga": "nothing"}, 404, "definition-not-found", "nothing"),
        ({"input": {"sku": 5}}, 422, "input-refused", "sku"),
    ],
)
async def test_what_cannot_be_is_refused(shop: Shop, change: dict[str, Any], status: int, kind: str, told: str) -> None:
    answer = await shop.client.post("/v1/schedules/nightly", json=WANTED | change)
    assert (answer.status_code, answer.json()["type"]) == (status, f"{URN}{kind}")
    assert told in answer.text


async def test_who_asks_stands_where_other_requests_have_it_and_nowhere_else(shop: Shop) -> None:
    await shop.client.post("/v1/schedules/nightly", json=WANTED)
    in_query = await shop.client.post("/v1/schedules/nightly/pause", params={"by": "ann"})
    assert (in_query.status_code, "query.by is unknown" in in_query.json()["detail"]) == (400, True)
    unread = await shop.client.request("DELETE", "/v1/schedules/nightly", json={"by": "ann"})
    assert (unread.status_code, "body is not read here; what it takes stands in the address: by" in unread.text) == (400, True)
    assert (await shop.client.delete("/v1/schedules/nightly", params={"by": "ann"})).status_code == 204
