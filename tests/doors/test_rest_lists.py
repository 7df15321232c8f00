"""Lists over REST: filters that mean something, cursors that belong to their filters, nothing passed over in silence."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from goconductor.rest import create_app
from tests.doors.conftest import INPUT, Shop

URN = "urn:goconductor:problem:"


async def ids(shop: Shop, **params: Any) -> list[str]:
    answer = await shop.client.get("/v1/sagas", params=params)
    assert answer.status_code == 200, answer.text
    return [saga["saga_id"] for saga in answer.json()["sagas"]]


async def started(shop: Shop, *labels: str, **input: Any) -> dict[str, Any]:
    params: dict[str, Any] = {"label": list(labels), "wait_seconds": 300}
    answer = await shop.client.post("/v1/sagas/order", params=params, json={**INPUT, **input})
    detail: dict[str, Any] = answer.json()
    return detail


async def test_sagas_are_found_by_status_label_time_and_error(shop: Shop) -> None:
    done = await started(shop, "team=a", "region=eu")
    failed = await started(shop, "team=a", card="declined")
    stuck = await started(shop, "team=b", card="declined", sku="glued")
    newest_first = [stuck["saga_id"], failed["saga_id"], done["saga_id"]]
    assert await ids(shop) == newest_first
    assert await ids(shop, status=["stuck", "completed"]) == [stuck["saga_id"], done["saga_id"]]
    assert await ids(shop, label="team=a") == newest_first[1:]
    assert await ids(shop, label=["team=a", "region=eu"]) == [done["saga_id"]]
    assert await ids(shop, error="CARD was declined") == newest_first[:2]
    assert await ids(shop, error="PermanentError: it cannot be put back") == [stuck["saga_id"]]
    assert await ids(shop, error="shop.charge") == []
    assert await ids(shop, started_after=failed["started_at"]) == newest_first[:2]
    assert await ids(shop, started_before=failed["started_at"]) == newest_first[2:]
    assert await ids(shop, updated_before="2020-01-01") == []
    assert await ids(shop, updated_after="2020-01-01T00:00:00+02:00", status="stuck", saga="order") == [stuck["saga_id"]]


async def test_a_saga_is_found_by_its_key(shop: Shop) -> None:
    answer = await shop.client.post("/v1/sagas/order", json=INPUT, headers={"Idempotency-Key": "order/17 'x'"})
    await started(shop)
    assert await ids(shop, saga="order", key="order/17 'x'") == [answer.json()["saga_id"]]
    assert await ids(shop, saga="order", key="order/18") == []
    assert await ids(shop, saga="invoice", key="order/17 'x'") == []


async def test_pages_with_a_filter_show_each_saga_once(shop: Shop) -> None:
    wanted = [(await started(shop, "team=a"))["saga_id"] for _ in range(5)]
    await started(shop, "team=b")
    seen: list[str] = []
    params: dict[str, Any] = {"label": "team=a", "limit": 2}
    while True:
        page = (await shop.client.get("/v1/sagas", params=params)).json()
        seen += [saga["saga_id"] for saga in page["sagas"]]
        if page["cursor"] is None:
            break
        params["cursor"] = page["cursor"]
    assert seen == sorted(wanted, reverse=True)


async def test_a_cursor_of_another_list_is_refused(shop: Shop) -> None:
    for _ in range(3):
        await started(shop, "team=a")
    cursor = (await shop.client.get("/v1/sagas", params={"label": "team=a", "limit": 1})).json()["cursor"]
    answer = await shop.client.get("/v1/sagas", params={"label": "team=b", "limit": 1, "cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "query.cursor")
    assert "of a list with other filters" in answer.json()["detail"]
    assert (await shop.client.get("/v1/sagas", params={"label": "team=a", "limit": 2, "cursor": cursor})).status_code == 200


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "01920000-0000-7000-8000-000000000000", "ü", "A" * 34, base64.urlsafe_b64encode(bytes(25)).decode(), "=" * 40],
)
async def test_a_cursor_that_is_none_of_ours_is_refused(shop: Shop, cursor: str) -> None:
    answer = await shop.client.get("/v1/sagas", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "query.cursor")


@pytest.mark.parametrize(
    ("query", "place", "says"),
    [
        ("status=done", "query.status", "should be 'queued'"),
        ("started_after=yesterday", "query.started_after", "write it as 2026-01-31T12:00:00Z"),
        ("updated_before=2026-02-30", "query.updated_before", "is no time"),
        ("started_after=2026-01-01T00:00:00", "query.started_after", "is no time"),
        ("started_before=1790000000", "query.started_before", "is no time"),
        ("label=team", "query.label", "write name=value"),
        ("label==x", "query.label", "write name=value"),
        ("label=a=%00", "query.label", "NUL"),
        ("error=", "query.error", "1 to 200 characters"),
        ("key=order-17", "query.saga", "is missing"),
        ("saga=order&key=order-17&status=stuck", "query.key", "leave out the other filters"),
        ("saga=order&key=", "query.key", "should be 1 to 255"),
        ("saga=order&key=%00", "query.key", "printable ASCII"),
        ("statsu=stuck", "query.statsu", "did you mean status?"),
        ("limit=1&limit=2", "query.limit", "stands twice"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused_by_its_place(shop: Shop, query: str, place: str, says: str) -> None:
    answer = await shop.client.get(f"/v1/sagas?{query}")
    assert answer.status_code == 400, answer.text
    assert (answer.json()["type"], answer.json()["errors"][0]["path"]) == (f"{URN}invalid-request", place)
    assert says in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/livez", "/v1/leader", "/v1/participants", "/v1/dead-letters", "/v1/definitions", "/readyz"])
async def test_no_path_takes_a_parameter_that_it_does_not_know(shop: Shop, path: str) -> None:
    answer = await shop.client.get(path, params={"pretty": "1"})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "query.pretty")


@pytest.mark.parametrize(
    "path", ["/livez", "/v1/sagas", "/v1/definitions/order", "/openapi.json", "/v1/sagas/nothing", "/nowhere"]
)
async def test_head_is_answered_as_get_without_the_body(shop: Shop, path: str) -> None:
    got, head = await shop.client.get(path), await shop.client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert {**head.headers, "date": ""} == {**got.headers, "date": ""}


@pytest.mark.parametrize("body", ['{"sku": "tea", "sku": "rum", "quantity": 1, "card": "x"}', '[{"a": {"b": 1, "b": 1}}]'])
async def test_a_key_that_stands_twice_is_refused(shop: Shop, body: str) -> None:
    answer = await shop.client.post("/v1/sagas/order", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (400, f"{URN}invalid-payload")
    assert "stands twice" in answer.json()["detail"]


async def test_mounted_in_another_application_it_says_where_things_are(shop: Shop) -> None:
    mother = Starlette()
    mother.mount("/ops/sagas", create_app(shop.server, shop.settings))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(mother), base_url="http://127.0.0.1") as client:
        answer = await client.post("/ops/sagas/v1/sagas/order", params={"wait_seconds": 300}, json=INPUT)
        assert answer.status_code == 200, answer.text
        assert answer.headers["location"] == f"/ops/sagas/v1/sagas/{answer.json()['saga_id']}"
        assert (await client.get(answer.headers["location"])).json()["status"] == "completed"
        document = (await client.get("/ops/sagas/openapi.json")).json()
        assert document["servers"] == [{"url": "/ops/sagas"}]
        assert "/v1/sagas" in document["paths"]
        missing = await client.get("/ops/sagas/v1/sagas/not-an-id")
        assert missing.json()["instance"] == "/ops/sagas/v1/sagas/not-an-id"
        assert (await client.get("/ops/sagas/v1/sagas", params={"x": "1"})).status_code == 400


async def test_a_saga_and_its_row_in_a_list_say_the_same_times(shop: Shop) -> None:
    detail = await started(shop)
    (row,) = (await shop.client.get("/v1/sagas")).json()["sagas"]
    assert {name: detail[name] for name in row} == row
