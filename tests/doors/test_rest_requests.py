"""What operators ask over REST: the buttons, what a refusal offers instead, and that nobody acts on what has changed."""

from __future__ import annotations

import asyncio
import runpy
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from goconductor import Saga
from goconductor.control.definitions.loading import load_definition
from tests.doors.conftest import ORDER, Shop

URN = "urn:goconductor:problem:"
CHARGE = {"id": "charge", "run": "shop.charge"}
UNKNOWN = "01920000-0000-7000-8000-000000000000"


async def stuck(shop: Shop) -> str:
    """A saga whose compensation gave up."""
    detail = await shop.start(sku="glued", card="declined", wait_seconds=300)
    assert detail["status"] == "stuck"
    saga_id: str = detail["saga_id"]
    return saga_id


async def waiting(shop: Shop) -> str:
    """A saga whose second step will be tried again in an hour."""
    saga_id: str = (await shop.start(card="busy"))["saga_id"]

    async def backs_off() -> bool:
        return (await shop.step(saga_id, "charge"))["error"] is not None

    await shop.until(backs_off)
    return saga_id


async def ask(shop: Shop, saga_id: str, request: str, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return await shop.client.post(f"/v1/sagas/{saga_id}/{request}", json=body, headers=headers)


async def last(shop: Shop, saga_id: str) -> dict[str, Any]:
    entry: dict[str, Any] = (await shop.client.get(f"/v1/sagas/{saga_id}/history")).json()["entries"][-1]
    return entry


async def test_a_saga_is_paused_resumed_aborted_and_its_history_says_by_whom(shop: Shop) -> None:
    saga_id = await waiting(shop)
    paused = await ask(shop, saga_id, "pause", reason="stocktaking", by="ann")
    assert (paused.status_code, paused.json()["status"], paused.json()["reason"]) == (200, "paused", "stocktaking")
    assert (await last(shop, saga_id))["data"] == {"reason": "stocktaking", "by": "ann"}
    assert paused.json()["allowed"] == ["resume", "abort", "restart", "terminate", "retry", "declare", "edit_input"]
    assert (await ask(shop, saga_id, "resume")).json()["status"] == "running"
    assert (await ask(shop, saga_id, "abort", reason="the customer left", by="ann")).status_code == 200
    await shop.server.wait_for_end(UUID(saga_id), 300)
    assert (await shop.client.get(f"/v1/sagas/{saga_id}")).json()["reason"] == "aborted: the customer left"


async def test_a_request_that_is_sent_again_under_its_key_is_answered_like_the_first(shop: Shop) -> None:
    saga_id = await waiting(shop)
    key = {"Idempotency-Key": "abort-1"}
    assert (await ask(shop, saga_id, "abort", key, reason="the customer left")).status_code == 200
    await shop.server.wait_for_end(UUID(saga_id), 300)
    again = await ask(shop, saga_id, "abort", key, reason="the customer left")
    assert (again.status_code, again.json()["status"]) == (200, "compensated")
    other = await ask(shop, saga_id, "terminate", key, reason="the customer left")
    assert (other.status_code, other.json()["type"]) == (409, f"{URN}request-id-taken")
    unnamed = await ask(shop, saga_id, "abort", reason="the customer left")
    assert (unnamed.status_code, unnamed.json()["type"]) == (409, f"{URN}refused")


async def test_a_saga_that_has_ended_is_restarted_as_a_new_one(shop: Shop) -> None:
    old = (await shop.start(card="declined", wait_seconds=300))["saga_id"]
    key = {"Idempotency-Key": "monday"}
    first, again = [await ask(shop, old, "restart-as-new", key, reason="so", inputs={"card": "4242"}) for _ in range(2)]
    assert (first.status_code, again.status_code, first.json()["restarted_as"]) == (200, 200, again.json()["restarted_as"])
    new = first.json()["restarted_as"]
    await shop.server.wait_for_end(UUID(new), 300)
    listed = (await shop.client.get("/v1/sagas", params={"label": f"goconductor/restarted-from={old}"})).json()["sagas"]
    assert [(each["saga_id"], each["status"], each["restarted_from"]) for each in listed] == [(new, "completed", old)]
    other = await ask(shop, old, "restart-as-new", reason="so")
    assert (other.status_code, other.json()["type"], other.json()["allowed"]) == (409, f"{URN}refused", [])


async def test_a_request_needs_no_body_where_it_needs_no_reason(shop: Shop) -> None:
    saga_id = await waiting(shop)
    assert (await shop.client.post(f"/v1/sagas/{saga_id}/pause")).json()["status"] == "paused"
    assert (await shop.client.post(f"/v1/sagas/{saga_id}/resume")).json()["status"] == "running"


async def test_a_stuck_step_gets_another_input_and_is_retried(shop: Shop) -> None:
    saga_id = await stuck(shop)
    reserve = await shop.step(saga_id, "reserve")
    assert reserve["allowed"] == ["retry", "skip", "declare", "edit_input"]
    shop.reserved.append("tea")
    edited = await ask(shop, saga_id, "steps/reserve/input", inputs={"sku": "tea"}, reason="it was soaked off", by="ann")
    assert (edited.status_code, edited.json()["steps"][0]["edited"]) == (200, {"sku": "tea"})
    assert (await ask(shop, saga_id, "steps/reserve/retry", by="ann")).status_code == 200
    assert (await shop.server.wait_for_end(UUID(saga_id), 300)).phase == "compensated"


async def test_a_stuck_step_is_skipped_by_force_and_the_saga_says_that_effects_may_land(shop: Shop) -> None:
    answer = await ask(shop, await stuck(shop), "steps/reserve/skip", reason="written off", forced=True)
    assert (answer.status_code, answer.json()["status"], answer.json()["late_effects"]) == (200, "compensated", True)


async def test_a_stuck_step_is_declared_as_done(shop: Shop) -> None:
    answer = await ask(shop, await stuck(shop), "steps/reserve/declare", happened=True, reason="seen on the shelf", by="bob")
    assert (answer.status_code, answer.json()["status"], answer.json()["late_effects"]) == (200, "compensated", False)


async def test_aborting_a_completed_saga_is_refused_with_what_is_allowed(shop: Shop) -> None:
    done = (await shop.start(wait_seconds=300))["saga_id"]
    answer = await ask(shop, done, "abort")
    assert (answer.status_code, answer.json()["type"], answer.json()["allowed"]) == (409, f"{URN}refused", ["restart_as_new"])
    answer = await ask(shop, await waiting(shop), "resume")
    assert (answer.status_code, answer.json()["allowed"]) == (
        409,
        ["pause", "abort", "restart", "terminate", "retry", "declare", "edit_input"],
    )


@pytest.mark.parametrize(
    ("request_", "body", "status", "kind", "place"),
    [
        ("terminate", {}, 400, "invalid-request", "$.reason"),
        ("terminate", {"reason": ""}, 400, "invalid-request", "$.reason"),
        ("terminate", {"reason": " "}, 400, "invalid-request", "$.reason"),
        ("steps/reserve/skip", {"forced": True}, 400, "invalid-request", "$.reason"),
        ("steps/reserve/skip", {"reason": "so", "forced": "yes"}, 400, "invalid-request", "$.forced"),
        ("steps/reserve/declare", {"reason": "so"}, 400, "invalid-request", "$.happened"),
        ("steps/reserve/input", {"reason": "so", "inputs": {}}, 400, "invalid-request", "$.inputs"),
        ("pause", {"reson": "x"}, 400, "invalid-request", "$.reson"),
        ("pause", {"by": "x" * 256}, 400, "invalid-request", "$.by"),
        ("steps/reserv/retry", {}, 404, "step-not-found", None),
        ("steps/reserve/input", {"reason": "so", "inputs": {"skew": 1}}, 409, "refused", None),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_place(
    shop: Shop, request_: str, body: dict[str, Any], status: int, kind: str, place: str | None
) -> None:
    saga_id = await stuck(shop)
    answer = await ask(shop, saga_id, request_, **body)
    assert (answer.status_code, answer.json()["type"]) == (status, URN + kind), answer.text
    assert [fault["path"] for fault in answer.json().get("errors", [])] == ([place] if place else [])


async def test_an_unknown_key_is_answered_with_the_nearest(shop: Shop) -> None:
    answer = await ask(shop, await waiting(shop), "pause", reson="x")
    assert "did you mean reason?" in answer.json()["detail"]


@pytest.mark.parametrize("request_", ["pause", "resume", "abort", "steps/reserve/retry"])
async def test_an_unknown_saga_is_not_found(shop: Shop, request_: str) -> None:
    answer = await ask(shop, UNKNOWN, request_)
    assert (answer.status_code, answer.json()["type"]) == (404, f"{URN}saga-not-found")


async def test_of_two_operators_who_saw_the_same_saga_the_second_is_told_to_look_again(shop: Shop) -> None:
    saga_id = await waiting(shop)
    seen = {"If-Match": (await shop.client.get(f"/v1/sagas/{saga_id}")).headers["etag"]}
    first, second = await asyncio.gather(ask(shop, saga_id, "pause", seen, by="ann"), ask(shop, saga_id, "abort", seen, by="bob"))
    assert sorted((first.status_code, second.status_code)) == [200, 412]
    lost = first if first.status_code == 412 else second
    assert lost.json()["type"] == f"{URN}changed"
    won = second if lost is first else first
    assert won.headers["etag"] not in ("", seen["If-Match"])


async def test_the_etag_of_an_answer_serves_for_the_next_request(shop: Shop) -> None:
    saga_id = await waiting(shop)
    paused = await ask(shop, saga_id, "pause")
    resumed = await ask(shop, saga_id, "resume", {"If-Match": paused.headers["etag"]})
    assert (resumed.status_code, resumed.json()["status"]) == (200, "running")


@pytest.mark.parametrize(
    ("given", "status"),
    [("*", 200), ('"1-ab"', 412), ('W/"1-ab"', 412), ('"another-servers"', 412), ("1-ab", 400), ('"1-a", "2-b"', 400), ("", 400)],
)
async def test_an_if_match_of_any_kind_is_answered(shop: Shop, given: str, status: int) -> None:
    assert (await ask(shop, await waiting(shop), "pause", {"If-Match": given})).status_code == status


async def test_a_weak_etag_of_the_present_does_not_match(shop: Shop) -> None:
    saga_id = await waiting(shop)
    etag = (await shop.client.get(f"/v1/sagas/{saga_id}")).headers["etag"]
    assert (await ask(shop, saga_id, "pause", {"If-Match": f"W/{etag}"})).status_code == 412


async def test_diagrams_of_a_saga_and_of_its_definition(shop: Shop) -> None:
    saga_id = await stuck(shop)
    answer = await shop.client.get(f"/v1/sagas/{saga_id}/diagram")
    assert answer.headers["content-type"] == "text/vnd.mermaid; charset=utf-8"
    assert "stuck" in answer.text
    for path in (f"/v1/sagas/{saga_id}/diagram", "/v1/definitions/order/active/diagram"):
        answer = await shop.client.get(path, params={"form": "svg"})
        assert answer.headers["content-type"] == "image/svg+xml; charset=utf-8"
        assert answer.text.startswith("<svg")
        assert "shop.reserve" in answer.text


async def test_a_definition_is_written_in_the_language_that_is_asked_for(shop: Shop, tmp_path: Path) -> None:
    steps = [
        {
            "id": "pay",
            "switch": [{"case": "card", "when": "input.card != null", "steps": [{"id": "charge", "run": "shop.charge"}]}],
        },
        {"id": "ship", "run": "shop.ship", "after": ["pay"]},
    ]
    version = (await shop.register({"name": "ways", "steps": steps}))["version"]
    for language, media_type in (("json", "application/json"), ("yaml", "application/yaml"), ("python", "text/x-python")):
        answer = await shop.client.get("/v1/definitions/ways/active/text", params={"as": language})
        assert answer.headers["content-type"].startswith(media_type)
        file = tmp_path / f"ways.{language}"
        file.write_text(answer.text, encoding="utf-8")
        if language == "python":
            made = next(each for each in runpy.run_path(str(file)).values() if isinstance(each, Saga)).definition
        else:
            made = load_definition(file.read_bytes())
        assert made.version == version
    assert (await shop.client.get(f"/v1/definitions/ways/{version}/text")).json()["steps"] == steps  # JSON, as it was written
    compiled = await shop.client.get("/v1/definitions/ways/active/text", params={"as": "yaml", "compiled": "true"})
    assert "switch" not in compiled.text
    drawn = await shop.client.get("/v1/definitions/ways/active/text", params={"as": "mermaid"})
    assert drawn.headers["content-type"] == "text/vnd.mermaid; charset=utf-8"
    assert drawn.text.startswith("flowchart TD")
    for query, word in (({"as": "jsno"}, "did you mean json?"), ({"as": "mermaid", "compiled": "true"}, "leave it out")):
        refused = await shop.client.get("/v1/definitions/ways/active/text", params=query)
        assert (refused.status_code, word in refused.text) == (400, True), refused.text
    assert (await shop.client.get("/v1/definitions/wasy/active/text")).status_code == 404


async def test_what_cannot_be_written_in_python_says_why(shop: Shop) -> None:
    await shop.register({"name": "small", "steps": [CHARGE]})
    await shop.register({"name": "around", "steps": [{"id": "inside", "saga": {"name": "small"}}]})
    refused = await shop.client.get("/v1/definitions/around/active/text", params={"as": "python"})
    assert (refused.status_code, refused.json()["type"]) == (422, f"{URN}definition-refused")
    assert "cannot be written in Python" in refused.json()["detail"]


async def test_versions_are_listed_shown_and_activated(shop: Shop) -> None:
    (first,) = (await shop.client.get("/v1/definitions/order")).json()["definitions"]
    second = await shop.register({**ORDER, "timeout_seconds": 600})
    shown = (await shop.client.get(f"/v1/definitions/order/{second['version']}")).json()
    assert (shown["document"]["timeout_seconds"], shown["active"]) == (600, True)
    answer = await shop.client.post(f"/v1/definitions/order/{first['version']}/activate")
    assert (answer.status_code, answer.json()["active"]) == (200, True)
    assert (await shop.start())["version"] == first["version"]
    assert (await shop.client.get("/v1/definitions/order/active")).json()["version"] == first["version"]
    for path in ("/v1/definitions/ordre", "/v1/definitions/order/1234", "/v1/definitions/order/1234/diagram"):
        answer = await shop.client.get(path)
        assert (answer.status_code, answer.json()["type"]) == (404, f"{URN}definition-not-found")
    assert (await shop.client.post("/v1/definitions/order/active/activate")).status_code == 404


async def test_two_versions_are_compared(shop: Shop) -> None:
    old = (await shop.client.put("/v1/definitions/order", json=ORDER)).json()["version"]
    steps = [*ORDER["steps"], {"id": "mail", "run": "shop.mail", "after": ["ship"]}]
    new = (await shop.client.put("/v1/definitions/order", json={**ORDER, "steps": steps})).json()["version"]
    found = (await shop.client.get(f"/v1/definitions/order/{old}/diff", params={"to": new})).json()
    assert found == {
        "saga": "order",
        "old": old,
        "new": new,
        "changes": ["step 'mail' is new, after 'ship'"],
        "holding": [],
        "stays": None,
        "summary": "A running saga could go on under the new version, wherever it stands.",
    }
    assert (await shop.client.get(f"/v1/definitions/order/{old}/diff", params={"to": "0" * 32})).status_code == 404


async def test_a_step_of_a_map_is_asked_by_its_name_however_long(shop: Shop) -> None:
    cards, card = "m" * 99, "c" * 99
    inputs = {"sku": {"value": "tea"}, "quantity": {"value": 1}}
    charges = {"over": "$.input.cards", "do": [{"id": card, "run": "shop.charge", "inputs": {"card": {"ref": "$.item"}}}]}
    steps = [
        {"id": "reserve", "run": "shop.reserve", "inputs": inputs, "pivot": True},
        {"id": cards, "after": ["reserve"], "map": charges},
    ]
    await shop.register({"name": "shared", "steps": steps})
    started = await shop.client.post("/v1/sagas/shared", params={"wait_seconds": 300}, json={"cards": ["declined"]})
    saga_id, name = started.json()["saga_id"], f"{cards}[0].{card}"
    assert (started.json()["status"], name in {each["id"] for each in started.json()["steps"]}) == ("stuck", True)
    skipped = await ask(shop, saga_id, f"steps/{name}/skip", reason="paid in cash")
    assert skipped.status_code == 200, skipped.text
    history = (await shop.client.get(f"/v1/sagas/{saga_id}/history")).json()["entries"]
    assert [entry["step"] for entry in history if entry["event"] == "SkipRequested"] == [name]
    beyond = await ask(shop, saga_id, f"steps/{'x' * 256}/skip", reason="paid in cash")
    assert (beyond.status_code, "at most 255 characters" in beyond.json()["detail"]) == (400, True)


async def test_an_id_that_can_be_none_is_refused_whatever_the_saga_has_done_since(shop: Shop) -> None:
    saga_id = await stuck(shop)
    answer = await ask(shop, saga_id, "pause", {"Idempotency-Key": "", "If-Match": '"y"'})
    assert (answer.status_code, answer.json()["type"]) == (400, f"{URN}invalid-request")
    assert answer.json()["errors"][0]["path"] == "header.idempotency-key"
