"""Runs of dataflows over REST."""

from __future__ import annotations

from goconductor import Builder, Dataflow
from tests.doors.conftest import Shop

URN = "urn:goconductor:problem:"


def sale() -> Dataflow:
    charge = Builder("shop.charge", produces="receipt", consumes=["card"])
    ship = Builder("shop.ship", produces="parcel", consumes=["receipt"])
    return Dataflow("sale", target="parcel", builders=[charge, ship], given=["card"])


async def test_data_come_in_requests_and_each_answer_says_what_is_missing(shop: Shop) -> None:
    await shop.server.definitions.register(sale().definition, activate=True)
    runs = "/v1/dataflows/sale/runs"
    first = await shop.client.post(runs, json={"id": "s-1"})
    assert (first.status_code, first.json()["missing"]) == (200, {"card": ["shop.charge"]})
    second = await shop.client.post(runs, json={"id": "s-1", "data": {"card": "4242"}, "close": True, "by": "ann"})
    answer = second.json()
    assert (answer["target"], answer["new"]) == ({"parcel": "p-1", "receipt": "receipt for 4242"}, ["receipt", "parcel"])
    assert (answer["closed"], answer["status"], answer["saga_id"]) == (True, "completed", first.json()["saga_id"])
    late = await shop.client.post(runs, json={"id": "s-1", "data": {"card": "11"}})
    assert (late.status_code, late.json()["type"]) == (409, f"{URN}refused")


async def test_a_failed_builder_is_named_and_tried_again_by_the_next_run(shop: Shop) -> None:
    await shop.server.definitions.register(sale().definition, activate=True)
    runs = "/v1/dataflows/sale/runs"
    failed = (await shop.client.post(runs, json={"id": "s-1", "data": {"card": "declined"}})).json()
    assert failed["failed"] == {"receipt": "PermanentError: the card was declined"}
    mended = (await shop.client.post(runs, json={"id": "s-1", "data": {"card": "4242"}})).json()
    assert mended["target"] == {"parcel": "p-1", "receipt": "receipt for 4242"}


async def test_without_a_wait_it_says_what_is_being_made(shop: Shop) -> None:
    await shop.server.definitions.register(sale().definition, activate=True)
    answer = await shop.client.post("/v1/dataflows/sale/runs?wait_seconds=0", json={"id": "s-1", "data": {"card": "slow"}})
    assert (answer.status_code, answer.json()["running"]) == (200, ["receipt"])
    shop.open_gate.set()


async def test_what_does_not_fit_is_refused_with_its_place(shop: Shop) -> None:
    await shop.server.definitions.register(sale().definition, activate=True)
    runs = "/v1/dataflows/sale/runs"
    for body, place in (
        ({}, "$.id"),
        ({"id": ""}, "$.id"),
        ({"id": "s-1", "data": []}, "$.data"),
        ({"id": "s-1", "dat": {}}, "$.dat"),
        ({"id": "s-1", "data": {"crd": 1}}, "data.crd"),
        ({"id": "s-1", "data": {"card": None}}, "data.card"),
        ({"id": "s-1", "data": {"receipt": "r"}}, "data.receipt"),
    ):
        answer = await shop.client.post(runs, json=body)
        assert (answer.status_code, [each["path"] for each in answer.json()["errors"]]) == (400, [place])
    assert (await shop.client.post("/v1/dataflows/sael/runs", json={"id": "s-1"})).status_code == 404
    saga = await shop.client.post("/v1/dataflows/order/runs", json={"id": "s-1"})
    assert (saga.status_code, "is a saga, and no dataflow" in saga.json()["detail"]) == (409, True)
