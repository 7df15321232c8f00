"""Signals and approvals over REST: what a saga waits for, who told it what, and that nothing is told twice."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.doors.conftest import Shop

URN = "urn:goconductor:problem:"
PAYOUT: dict[str, Any] = {
    "name": "payout",
    "steps": [
        {"id": "paid", "wait": {"event": "payment", "where": "payload.cents > 5", "timeout_seconds": 3600}},
        {"id": "release", "wait": {"approval": "Release the money?"}, "after": ["paid"]},
    ],
    "output": {"ref": "$.steps.release.output"},
}


async def started(shop: Shop) -> str:
    await shop.register(PAYOUT)
    answer = await shop.client.post("/v1/sagas/payout", json={})
    assert (answer.status_code, answer.json()["status"]) == (202, "waiting")
    saga_id: str = answer.json()["saga_id"]
    return saga_id


async def test_a_saga_shows_what_it_waits_for_and_ends_by_a_signal_and_an_approval(shop: Shop) -> None:
    saga_id = await started(shop)
    waits_for = (await shop.step(saga_id, "paid"))["waits_for"]
    assert (waits_for["event"], waits_for["since"] < waits_for["until"]) == ("payment", True)
    few = await shop.client.post(f"/v1/sagas/{saga_id}/signals/payment", json={"payload": {"cents": 5}, "by": "bank"})
    assert (few.status_code, [(each["name"], each["by"]) for each in few.json()["signals"]]) == (200, [("payment", "bank")])
    paid = await shop.client.post(f"/v1/sagas/{saga_id}/signals/payment", json={"payload": {"cents": 6}})
    question = paid.json()["steps"][1]
    assert (question["waits_for"]["approval"], question["waits_for"]["round"]) == ("Release the money?", 0)
    path = f"/v1/sagas/{saga_id}/steps/release/approve"
    stale = await shop.client.post(path, json={"reason": "fine", "by": "ann", "round": 1})
    assert (stale.status_code, stale.json()["type"]) == (409, f"{URN}refused")
    assert (await shop.client.post(path, json={"by": "ann"})).status_code == 400
    approved = await shop.client.post(path, json={"reason": "the invoice is right", "by": "ann", "round": 0})
    assert (approved.status_code, approved.json()["status"]) == (200, "completed")
    await shop.server.wait_for_end(UUID(saga_id), 300)
    assert approved.json()["output"] == {"by": "ann", "reason": "the invoice is right"}


async def test_a_signal_that_is_sent_again_under_its_key_is_answered_as_before(shop: Shop) -> None:
    saga_id = await started(shop)
    path, key = f"/v1/sagas/{saga_id}/signals/payment", {"Idempotency-Key": "bank-17"}
    first = await shop.client.post(path, json={"payload": {"cents": 1}}, headers=key)
    again = await shop.client.post(path, json={"payload": {"cents": 1}}, headers=key)
    assert (again.status_code, again.headers["etag"]) == (200, first.headers["etag"])
    other = await shop.client.post(path, json={"payload": {"cents": 2}}, headers=key)
    assert (other.status_code, other.json()["type"]) == (409, f"{URN}request-id-taken")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("signals/paymint", {}, 409),
        ("signals/release", {}, 409),
        ("signals/payment", {"paylod": 1}, 400),
        ("signals/payment", {"by": "x" * 300}, 400),
        ("steps/paid/approve", {"reason": "fine"}, 409),
        ("steps/relaese/approve", {"reason": "fine"}, 404),
        ("steps/release/approve", {"reason": "fine", "round": -1}, 400),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_logged(shop: Shop, path: str, body: dict[str, Any], status: int) -> None:
    saga_id = await started(shop)
    answer = await shop.client.post(f"/v1/sagas/{saga_id}/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert len((await shop.client.get(f"/v1/sagas/{saga_id}/history")).json()["entries"]) == 1


async def test_who_approves_what_nobody_approves_is_told_what_to_do_instead(shop: Shop) -> None:
    saga_id = await started(shop)

    async def told(step: str) -> tuple[str, str]:
        answer = await shop.client.post(f"/v1/sagas/{saga_id}/steps/{step}/approve", json={"reason": "fine"})
        return answer.json()["type"].removeprefix(URN), answer.json()["detail"]

    kind, detail = await told("paid")
    assert (kind, detail) == (
        "refused",
        "step 'paid' of saga 'payout' is not one that a person approves; it waits for the signal 'payment': send that",
    )
    assert await told("relaese") == ("step-not-found", "saga 'payout' has no step 'relaese'; did you mean release?")


async def test_a_signal_and_an_approval_that_depend_on_what_was_seen_are_refused_when_the_saga_has_moved_on(shop: Shop) -> None:
    saga_id = await started(shop)
    path = f"/v1/sagas/{saga_id}/signals/payment"
    seen = (await shop.client.get(f"/v1/sagas/{saga_id}")).headers["etag"]
    paid = await shop.client.post(path, json={"payload": {"cents": 6}}, headers={"If-Match": seen, "Idempotency-Key": "b1"})
    assert paid.status_code == 200
    for late in (path, f"/v1/sagas/{saga_id}/steps/release/approve"):
        refused = await shop.client.post(late, json={"reason": "fine"} if "approve" in late else {}, headers={"If-Match": seen})
        assert (refused.status_code, refused.json()["type"]) == (412, f"{URN}changed")
    again = await shop.client.post(path, json={"payload": {"cents": 6}}, headers={"If-Match": seen, "Idempotency-Key": "b1"})
    assert (again.status_code, again.headers["etag"]) == (200, paid.headers["etag"])
    approve = {"If-Match": paid.headers["etag"]}
    done = await shop.client.post(f"/v1/sagas/{saga_id}/steps/release/approve", json={"reason": "fine"}, headers=approve)
    assert (done.status_code, done.json()["status"]) == (200, "completed")


async def test_a_payload_may_be_as_large_as_the_limit_and_no_larger(shop: Shop) -> None:
    saga_id, limit = await started(shop), shop.settings.limits.payload_bytes_max
    path = f"/v1/sagas/{saga_id}/signals/payment"
    for payload, status, kind in (
        ("x" * (limit - 1), 413, f"{URN}too-large"),  # two quotes are part of it
        ("x" * (2 * limit), 413, f"{URN}too-large"),
        ("x" * (limit - 2), 409, f"{URN}refused"),  # of what no step takes a saga keeps less
    ):
        answer = await shop.client.post(path, json={"payload": payload, "by": "bank"})
        assert (answer.status_code, answer.json()["type"]) == (status, kind)
