"""Webhooks over each door."""

from __future__ import annotations

import json

import pytest

from goconductor.control.settings.settings import Settings
from goconductor.stores.postgres import migrate
from tests.doors.conftest import Shop
from tests.doors.over_grpc import Caller
from tests.doors.prompt import Prompt

URL = "https://example.com/hooks"
URN = "urn:goconductor:problem:"
ENVIRON = {"GOCONDUCTOR_DATABASE_URL": "postgresql://nobody@nowhere/nothing", "GOCONDUCTOR_WEBHOOKS_ENABLED": "true"}


@pytest.fixture
def enabled(shop: Shop) -> Shop:
    shop.settings = Settings.load(environ=ENVIRON)
    return shop


async def test_over_rest(enabled: Shop) -> None:
    client = enabled.client
    made = await client.post("/v1/webhooks/orders", json={"url": URL, "statuses": ["stuck"], "by": "ann"})
    assert (made.status_code, made.headers["location"]) == (201, "/v1/webhooks/orders")
    secret, detail = made.json()["secret"], made.json()["detail"]
    assert secret.startswith("whsec_")
    assert (detail["url"], detail["statuses"], detail["changed_by"], detail["state"]) == (URL, ["stuck"], "ann", "active")
    shown = await client.get("/v1/webhooks/orders")
    assert shown.json() == detail
    assert [row["name"] for row in (await client.get("/v1/webhooks")).json()["webhooks"]] == ["orders"]
    again = await client.post("/v1/webhooks/orders", json={"url": URL})
    assert (again.status_code, again.json()["type"]) == (409, f"{URN}webhook-exists")
    replaced = await client.put("/v1/webhooks/orders", json={"url": f"{URL}/2", "by": "bob"})
    assert (replaced.json()["url"], replaced.json()["statuses"], replaced.json()["changed_by"]) == (f"{URL}/2", [], "bob")
    assert (await client.post("/v1/webhooks/orders/pause")).json()["state"] == "paused"
    refused = await client.post("/v1/webhooks/orders/test")
    assert (refused.status_code, refused.json()["type"]) == (409, f"{URN}refused")
    assert (await client.post("/v1/webhooks/orders/resume", json={"by": "ann"})).json()["state"] == "active"
    assert (await client.post("/v1/webhooks/orders/test")).json()["message_id"].startswith("test_")
    assert (await client.get("/v1/webhooks/orders")).json()["waiting"] == 1
    rotated = await client.post("/v1/webhooks/orders/rotate", json={"overlap_seconds": 60})
    assert rotated.json()["secret"] != secret
    assert len(rotated.json()["detail"]["secrets"]) == 2
    assert (await client.get("/v1/webhooks/orders/dead-letters")).json() == {"dead_letters": [], "after": None}
    assert (await client.post("/v1/webhooks/orders/redrive")).json() == {"redriven": 0}
    missing = await client.post("/v1/webhooks/orders/redrive", json={"delivery_id": 5})
    assert (missing.status_code, missing.json()["type"]) == (404, f"{URN}delivery-not-found")
    wrong = await client.post("/v1/webhooks/other", json={"url": "http://example.com/", "statuses": ["done"]})
    assert [each["path"] for each in wrong.json()["errors"]] == ["url", "statuses"]
    large = await client.post("/v1/webhooks/other", json={"url": URL, "description": "x" * 100_000})
    assert large.status_code == 413
    assert (await client.delete("/v1/webhooks/orders", params={"by": "ann"})).status_code == 204
    gone = await client.get("/v1/webhooks/orders")
    assert (gone.status_code, gone.json()["type"]) == (404, f"{URN}webhook-not-found")


async def test_where_they_are_not_enabled_none_is_registered(shop: Shop) -> None:
    answer = await shop.client.post("/v1/webhooks/orders", json={"url": URL})
    assert (answer.status_code, answer.json()["type"]) == (409, f"{URN}refused")
    assert "webhooks.enabled" in answer.json()["detail"]


async def test_over_grpc(enabled: Shop, caller: Caller) -> None:
    made = await caller.call("CreateWebhook", name="orders", url=URL, definitions=["order"], by="ann")
    assert made.secret.startswith("whsec_")
    assert (made.detail.url, list(made.detail.definitions), made.detail.changed_by) == (URL, ["order"], "ann")
    assert (await caller.refused("CreateWebhook", name="orders", url=URL)).kind == "webhook-exists"
    assert list((await caller.refused("CreateWebhook", name="other", url="")).places) == ["url"]
    assert (await caller.call("ReplaceWebhook", name="orders", url=f"{URL}/2")).url == f"{URL}/2"
    assert [each.name for each in (await caller.call("ListWebhooks")).webhooks] == ["orders"]
    assert (await caller.call("PauseWebhook", name="orders")).state == "paused"
    assert (await caller.refused("TestWebhook", name="orders")).kind == "refused"
    assert (await caller.call("ResumeWebhook", name="orders")).state == "active"
    assert (await caller.call("TestWebhook", name="orders")).message_id.startswith("test_")
    assert len((await caller.call("RotateWebhook", name="orders")).detail.secrets) == 2
    assert list((await caller.refused("RotateWebhook", name="orders", overlap_seconds=-1)).places) == ["overlap_seconds"]
    assert (await caller.call("GetWebhook", name="orders")).waiting == 1
    assert len((await caller.call("ListWebhookDeadLetters", name="orders")).dead_letters) == 0
    assert (await caller.call("RedriveWebhook", name="orders")).redriven == 0
    assert (await caller.refused("RedriveWebhook", name="orders", delivery_id=5)).kind == "delivery-not-found"
    await caller.call("DeleteWebhook", name="orders", by="ann")
    assert (await caller.refused("GetWebhook", name="orders")).kind == "webhook-not-found"


async def test_from_the_command_line(command_line: Prompt, postgres_url: str) -> None:
    command_line.environ["GOCONDUCTOR_WEBHOOKS_ENABLED"] = "true"
    await migrate(postgres_url)
    early = await command_line.ask("webhooks", "create", "orders", URL)
    assert (early.code, "run `goconductor migrate`" in early.err) == (2, True)  # nothing could be told to it
    await migrate(postgres_url, feed=True)
    made = await command_line.ask("webhooks", "create", "orders", URL, "--status", "stuck", "--by", "ann")
    assert made.code == 0, made.err
    assert made.out.startswith("whsec_")
    assert made.err == ""
    secret = made.out.strip()
    shown = await command_line.ask("webhooks", "show", "orders")
    assert "all sagas: stuck" in shown.out
    assert "active, changed by ann, secrets that sign: 1" in shown.out
    listed = json.loads((await command_line.ask("webhooks", "list", "--json")).out)
    assert [each["name"] for each in listed["webhooks"]] == ["orders"]
    assert "orders" in (await command_line.ask("webhooks", "list")).out
    assert "paused" in (await command_line.ask("webhooks", "pause", "orders")).out
    assert (await command_line.ask("webhooks", "test", "orders")).code == 1
    assert "active" in (await command_line.ask("webhooks", "resume", "orders")).out
    assert (await command_line.ask("webhooks", "test", "orders")).out.startswith("queued test_")
    rotated = await command_line.ask("webhooks", "rotate", "orders", "--overlap", "60")
    assert rotated.out.startswith("whsec_")
    assert "all ends" in (await command_line.ask("webhooks", "replace", "orders", f"{URL}/2")).out
    assert (await command_line.ask("webhooks", "dead-letters", "orders")).code == 0
    assert (await command_line.ask("webhooks", "redrive", "orders")).out == "0 are sent again\n"
    assert (await command_line.ask("webhooks", "redrive", "orders", "--delivery", "5")).code == 4
    wrong = await command_line.ask("webhooks", "create", "other", "http://example.com/")
    assert (wrong.code, "webhooks.plaintext" in wrong.err) == (2, True)
    audit = (await command_line.ask("audit", "list", "--json")).out
    assert "webhooks.requests.rotate" in audit
    assert secret not in audit
    assert (await command_line.ask("webhooks", "delete", "orders")).out == "orders  deleted\n"
    assert (await command_line.ask("webhooks", "show", "orders")).code == 4
