"""One request about many sagas over REST."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.doors.conftest import Shop
from tests.doors.test_rest_requests import UNKNOWN, last, stuck, waiting


async def ask(shop: Shop, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return await shop.client.post("/v1/requests", json=body, headers=headers)


async def test_a_dry_run_by_a_filter_answers_with_the_sagas_that_are_then_asked(shop: Shop) -> None:
    first, second = await waiting(shop), await stuck(shop)
    where = {"saga": "order", "status": ["stuck"], "started_after": "2020-01-01"}
    dry = (await ask(shop, request="retry", where=where, dry_run=True)).json()
    assert [(each["saga_id"], each["outcome"], each["steps"]) for each in dry["sagas"]] == [(second, "allowed", ["reserve"])]
    named = [{"saga_id": each["saga_id"], "revision": each["revision"]} for each in dry["sagas"]]
    answer = await ask(shop, {"Idempotency-Key": "monday"}, request="retry", sagas=named, by="ann")
    assert answer.status_code == 200
    assert answer.json() | {"sagas": None} == {
        "request": "retry",
        "dry_run": False,
        "request_id": "monday",
        "counts": {"done": 1},
        "sagas": None,
    }
    again = await ask(shop, {"Idempotency-Key": "monday"}, request="retry", sagas=named, by="ann")
    assert again.json()["counts"] == {"done": 1}
    history = (await shop.client.get(f"/v1/sagas/{second}/history")).json()["entries"]
    assert [entry["data"] for entry in history if entry["event"] == "RetryRequested"] == [{"by": "ann"}]
    paused = await ask(shop, request="pause", sagas=[{"saga_id": first}, {"saga_id": UNKNOWN}], reason="stocktaking")
    assert paused.json()["counts"] == {"done": 1, "not_found": 1}
    assert (await last(shop, first))["data"] == {"reason": "stocktaking"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"request": "pause"}, "$.sagas or $.where must be given, and not both"),
        ({"request": "pause", "sagas": [], "where": {}}, "and not both"),
        ({"request": "pause", "where": {"saga": "order"}}, "$.where is for a dry run"),
        ({"request": "pause", "where": {"status": ["stuk"]}, "dry_run": True}, "$.where.status[0]"),
        ({"request": "pause", "where": {"started_after": "noon"}, "dry_run": True}, "$.where.started_after"),
        ({"request": "pause", "where": {"colour": "red"}, "dry_run": True}, "$.where.colour is unknown"),
        ({"request": "paus", "sagas": []}, "$.request"),
        ({"request": "pause", "sagas": []}, "sagas are 0"),
        ({"request": "pause", "sagas": [{"saga_id": "1"}]}, "$.sagas[0].saga_id"),
        ({"request": "skip", "sagas": [{"saga_id": UNKNOWN}]}, "reason is missing"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_place(shop: Shop, body: dict[str, Any], says: str) -> None:
    answer = await ask(shop, **body)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]
