"""Secrets over REST and gRPC: set, listed, deleted, wrapped anew, verified; and no answer, error or log has a value."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest

from goconductor.control.settings.doors import GrpcSettings
from goconductor.control.settings.sections import SecretSettings
from goconductor.control.settings.settings import Settings
from goconductor.grpc.door import Door
from goconductor.keyrings.environment import VARIABLE
from goconductor.rest.app import create_app
from tests.contracts.wrapping_keys import text_of
from tests.doors.auth import asking, key_of
from tests.doors.conftest import Shop
from tests.doors.over_grpc import Caller
from tests.doors.prompt import CANARY
from tests.doors.test_rest_auth import client_of


@pytest.fixture
def settings(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv(VARIABLE, text_of(["k1"]))
    return asking(shop.settings).model_copy(update={"secrets": SecretSettings(kind="environment")})


@pytest.fixture
async def admin(shop: Shop, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(shop.server, settings), await key_of(shop.server, name="boss")) as client:
        yield client


@pytest.fixture
async def caller(shop: Shop, settings: Settings) -> AsyncIterator[Caller]:
    door = Door(settings.model_copy(update={"grpc": GrpcSettings(port=0)}))
    await door.start()
    door.serve(shop.server)
    caller = Caller(door.address, await key_of(shop.server, name="boss"))
    yield caller
    await caller.channel.close()
    await door.stop(0)


async def test_over_rest(shop: Shop, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [await admin.put("/v1/secrets/bus", json={"value": CANARY, "by": "ann"}) for _ in range(2)]
    answers.append(await admin.get("/v1/secrets"))
    (listed,) = answers[-1].json()["secrets"]
    assert listed == answers[1].json()
    assert (listed["name"], listed["version"], listed["key_id"], listed["created_by"]) == (
        *("bus", 2, "k1", "boss on behalf of ann"),
    )
    monkeypatch.setenv(VARIABLE, text_of(["k1", "k2"]))
    answers.append(await admin.get("/v1/keyring/verification"))
    assert answers[-1].json() == {"sound": ["bus"], "older": ["bus"], "problems": []}
    answers.append(await admin.post("/v1/keyring/rewrap", json={}))
    assert answers[-1].json() == {"key_id": "k2", "rewrapped": ["bus"], "problems": []}
    answers.append(await admin.delete("/v1/secrets/bus"))
    assert answers[-1].status_code == 200
    answers.append(await admin.delete("/v1/secrets/bus"))
    assert (answers[-1].status_code, answers[-1].json()["type"]) == (404, "urn:goconductor:problem:secret-not-found")
    audit = await admin.get("/v1/audit")
    assert [(each["function"], each["door"]) for each in audit.json()["entries"] if each["outcome"] == "done"][:4] == [
        ("secrets.keeping.delete_secret", "rest"),
        ("secrets.keeping.rewrap_secrets", "rest"),
        ("secrets.keeping.set_secret", "rest"),
        ("secrets.keeping.set_secret", "rest"),
    ]
    assert CANARY not in "".join(each.text for each in (*answers, audit))


BAD: list[tuple[str, Any]] = [
    ("a b", {"value": CANARY}),
    ("bus", {"value": f"{CANARY}\0"}),
    ("bus", {"value": CANARY * 10_000}),
    ("bus", {"value": [CANARY]}),
    ("bus", {"value": {CANARY: CANARY}}),
    ("bus", {"value": 7}),
    ("bus", {"valeu": CANARY}),
    ("bus", {"value": CANARY, "more": 1}),
    ("bus", CANARY),
    ("bus", [CANARY]),
    ("bus", {}),
]


async def test_a_bad_request_is_refused_and_not_quoted(
    shop: Shop, admin: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name, body in BAD:
        answer = await admin.put(f"/v1/secrets/{name}", json=body)
        assert answer.status_code == 400, (name, answer.text)
        assert CANARY not in answer.text
    raw = {"content-type": "application/json"}
    texts = [f'{{"value": "{CANARY}', f'{{"value": "{CANARY}", "value": "x"}}', f'{{"value": "\\ud800{CANARY}"}}']
    for text in texts:
        answer = await admin.put("/v1/secrets/bus", content=text, headers=raw)
        assert answer.status_code == 400, text
        assert CANARY not in answer.text
    large = await admin.put("/v1/secrets/bus", content=json.dumps({"value": CANARY * 100_000}), headers=raw)
    assert large.status_code == 413
    assert CANARY not in caplog.text
    assert await shop.server.store.secrets.every() == []


async def test_without_a_wrapping_key_none_is_set_and_the_answer_says_what_is_missing(
    admin: httpx.AsyncClient, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    answer = await admin.put("/v1/secrets/bus", json={"value": CANARY})
    assert (answer.status_code, VARIABLE in answer.json()["detail"]) == (503, True)
    refused = await caller.refused("SetSecret", name="bus", value=CANARY)
    assert (refused.code, VARIABLE in refused.message) == (grpc.StatusCode.UNAVAILABLE, True)
    assert CANARY not in answer.text + refused.message + str(refused.info)


async def test_who_is_no_admin_is_refused(shop: Shop, settings: Settings) -> None:
    app = create_app(shop.server, settings)
    for role in ("viewer", "operator", "deployer", "worker"):
        async with client_of(app, await key_of(shop.server, role)) as client:
            assert (await client.put("/v1/secrets/bus", json={"value": CANARY})).status_code == 403
            assert (await client.get("/v1/secrets")).status_code == 403


async def test_over_grpc(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await caller.call("SetSecret", name="bus", value=CANARY, by="ann")
    assert (made.name, made.version, made.key_id, made.created_by) == ("bus", 1, "k1", "boss on behalf of ann")
    monkeypatch.setenv(VARIABLE, text_of(["k1", "k2"]))
    listed = await caller.call("ListSecrets")
    assert [each.name for each in listed.secrets] == ["bus"]
    verified = await caller.call("VerifySecrets")
    assert (list(verified.sound), list(verified.older), list(verified.problems)) == (["bus"], ["bus"], [])
    rewrapped = await caller.call("RewrapSecrets")
    assert (rewrapped.key_id, list(rewrapped.rewrapped)) == ("k2", ["bus"])
    assert (await caller.call("DeleteSecret", name="bus")).version == 1
    refused = await caller.refused("DeleteSecret", name="bus")
    assert (refused.code, refused.kind) == (grpc.StatusCode.NOT_FOUND, "secret-not-found")
    wrong = await caller.refused("SetSecret", name="b s", value=f"{CANARY}\0")
    assert (wrong.kind, list(wrong.places)) == ("invalid-request", ["name", "value"])
    shown = (made, listed, verified, rewrapped, refused.message, refused.info, wrong.message, wrong.places, wrong.info)
    assert CANARY not in "".join(map(str, shown))
