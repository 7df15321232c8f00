"""REST with authentication: who is there, what each role may do, and how a key ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from goconductor.control.actor import Actor
from goconductor.control.authority import authenticating
from goconductor.control.authority.keys import revoke_key
from goconductor.control.authority.roles import GIVES, NEEDS
from goconductor.control.roles import Role
from goconductor.observe.metrics import Metrics
from goconductor.rest.app import create_app
from goconductor.rest.http.gate import OPEN
from goconductor.rest.http.permissions import FUNCTIONS, function_of
from tests.doors.auth import asking, bearer, key_of
from tests.doors.conftest import INPUT, Shop

URL = "http://sagas.example"


def client_of(app: Any, key: str | None = None) -> httpx.AsyncClient:
    headers = bearer(key) if key else {}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL, headers=headers)


@pytest.fixture
async def app(shop: Shop) -> Any:
    return create_app(shop.server, asking(shop.settings))


@pytest.fixture
async def stranger(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


def operations(app: Any) -> list[tuple[str, str, tuple[str, ...]]]:
    """Method, template and tags of every operation, as the document has them."""
    paths = app.openapi()["paths"].items()
    found = [(method.upper(), path, tuple(about.get("tags", ()))) for path, methods in paths for method, about in methods.items()]
    return [each for each in found if each[1] not in OPEN]


async def test_a_worker_may_look_at_nothing_and_at_no_document_of_what_there_is(app: Any, shop: Shop) -> None:
    async with client_of(app, await key_of(shop.server, "worker")) as worker:
        for path in ("/openapi.json", "/v1/sagas", "/v1/definition-schema"):
            answer = await worker.get(path)
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:goconductor:problem:forbidden")


async def test_a_request_without_a_key_is_refused_wherever_it_goes(app: Any, stranger: httpx.AsyncClient) -> None:
    for method, path, _ in [*operations(app), ("GET", "/openapi.json", ()), ("GET", "/metrics", ()), ("GET", "/nowhere", ())]:
        answer = await stranger.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json"), path
        assert answer.json()["type"] == "urn:goconductor:problem:unauthenticated"
        assert answer.headers["www-authenticate"] == 'Bearer realm="goconductor"'
    assert (await stranger.get("/livez")).status_code == 200
    assert (await stranger.get("/readyz")).status_code == 200
    assert (await stranger.head("/readyz")).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/sagas/livez", "/livez/", "/x/readyz", "//livez", "/livez/../v1/sagas", "/v1/sagas?x=/livez", "/LIVEZ"),
        *("/v1/sagas/order/readyz", "/v1/sagas#/livez", "/v1/sagas/health", "/livez%00", "/livez%2f..%2fv1"),
    ],
)
async def test_only_the_very_paths_of_probes_are_open(stranger: httpx.AsyncClient, path: str) -> None:
    """Prefect let through whatever ended in health or ready (CVE-2026-3514)."""
    assert (await stranger.get(path)).status_code == 401


async def test_a_websocket_finds_no_way_around_the_gate(app: Any) -> None:
    """Prefect's events came in over a WebSocket that nobody guarded (CVE-2026-7723)."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/livez", "headers": [], "query_string": b"", "root_path": "", "subprotocols": []}
    await app(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_each_operation_calls_a_function_that_somebody_may_call(app: Any) -> None:
    functions = {(method, path): function_of(method, path, tags) for method, path, tags in operations(app)}
    unknown = sorted(" ".join(each) for each, function in functions.items() if function not in NEEDS)
    assert not unknown, f"name the function behind {unknown} in goconductor/rest/http/permissions.py; its need in roles.py"
    gone = set(FUNCTIONS) - {f"{method} {path}" for method, path in functions} - {"GET /metrics"}
    assert not gone, f"take {sorted(gone)} out of goconductor/rest/http/permissions.py"


@pytest.mark.parametrize("role", Role)
async def test_a_role_opens_what_it_gives_and_nothing_else(shop: Shop, app: Any, role: Role) -> None:
    async with client_of(app, await key_of(shop.server, role)) as client:
        for method, path, tags in operations(app):
            endless = "?after=nowhere" if path == "/v1/events" else ""  # which is refused, once it is permitted
            answer = await client.request(method, path.replace("{", "").replace("}", "") + endless)
            function = function_of(method, path, tags)
            assert function is not None
            allowed = NEEDS[function] in GIVES[role]
            assert (answer.status_code != 403) == allowed, (method, path, answer.text)
            assert answer.status_code not in (401, 500)
            if not allowed:
                assert answer.headers["www-authenticate"] == 'Bearer realm="goconductor", error="insufficient_scope"'
                assert answer.json()["type"] == "urn:goconductor:problem:forbidden"


async def test_a_path_that_nobody_has_put_into_the_table_is_closed_even_to_an_admin(shop: Shop, app: Any) -> None:
    @app.get("/v1/forgotten")  # type: ignore[untyped-decorator]
    async def forgotten() -> str:
        return "secret"

    async with client_of(app, await key_of(shop.server)) as client:
        answer = await client.get("/v1/forgotten")
    assert (answer.status_code, "secret" in answer.text) == (403, False)


async def test_the_history_has_the_name_of_the_key_and_what_the_body_says_beside_it(shop: Shop, app: Any) -> None:
    async with client_of(app, await key_of(shop.server, "operator", name="night-shift")) as client:
        saga_id = (await client.post("/v1/sagas/order", json={**INPUT, "card": "busy"})).json()["saga_id"]
        for body in ({}, {"by": "night-shift"}, {"by": "bob"}):
            await client.post(f"/v1/sagas/{saga_id}/pause", json=body)
            await client.post(f"/v1/sagas/{saga_id}/resume", json=body)
        entries = (await client.get(f"/v1/sagas/{saga_id}/history")).json()["entries"]
    names = [each["data"]["by"] for each in entries if each["data"].get("by")]
    assert names == ["night-shift"] * 4 + ["night-shift on behalf of bob"] * 2


async def test_requests_in_bulk_are_checked_before_any_of_them(shop: Shop, app: Any) -> None:
    """Temporal's batches trusted what they carried (CVE-2026-5199): here all of them are one actor's."""
    running = await shop.start(card="busy")
    async with client_of(app, await key_of(shop.server, "deployer")) as client:
        body = {"request": "abort", "sagas": [{"saga_id": running["saga_id"]}]}
        assert (await client.post("/v1/requests", json=body)).status_code == 403
    assert (await shop.client.get(f"/v1/sagas/{running['saga_id']}")).json()["status"] == "running"


async def test_a_stream_ends_soon_after_its_key(shop: Shop, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticating, "READ_SECONDS", 0.0)
    monkeypatch.setattr(authenticating, "LOOK_SECONDS", 0.01)
    saga_id = (await shop.start(card="busy"))["saga_id"]
    key = await key_of(shop.server, "viewer")
    sent: list[dict[str, Any]] = []
    begun = asyncio.Event()

    async def receive() -> dict[str, Any]:
        return await asyncio.Future()  # the client stays

    async def send(message: Any) -> None:
        sent.append(message)
        if message.get("body"):
            begun.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "method": "GET",
        "path": f"/v1/sagas/{saga_id}/events",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "server": ("sagas.example", 80),
        "headers": [(b"host", b"sagas.example"), (b"authorization", f"Bearer {key}".encode())],
    }
    streaming = asyncio.create_task(app(scope, receive, send))
    await begun.wait()
    await revoke_key(Actor("root"), shop.server, key)
    await streaming
    assert sent[0]["status"] == 200
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    async with client_of(app, key) as client:
        answer = await client.get(f"/v1/sagas/{saga_id}/events")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="goconductor", error="invalid_token"'


async def test_a_wait_for_an_end_is_refused_when_its_key_ends(shop: Shop, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticating, "READ_SECONDS", 0.0)
    monkeypatch.setattr(authenticating, "LOOK_SECONDS", 0.01)
    key = await key_of(shop.server, "operator")
    async with client_of(app, key) as client:
        waiting = asyncio.create_task(client.post("/v1/sagas/order?wait_seconds=300", json={**INPUT, "card": "slow"}))
        await shop.at_gate.wait()
        await revoke_key(Actor("root"), shop.server, key)
        assert (await waiting).status_code == 401


async def test_keys_are_made_and_revoked_by_admins(shop: Shop, app: Any) -> None:
    async with client_of(app, await key_of(shop.server, name="boss")) as boss:
        made = await boss.post("/v1/keys", json={"name": "ci", "roles": ["viewer"], "expires_days": 1})
        assert made.status_code == 201
        key, detail = made.json()["key"], made.json()["detail"]
        assert (detail["created_by"], detail["roles"]) == ("boss", ["viewer"])
        async with client_of(app, key) as viewer:
            assert (await viewer.get("/v1/sagas")).status_code == 200
            assert (await viewer.get("/v1/keys")).status_code == 403
        assert key not in (listed := await boss.get("/v1/keys")).text
        assert [each["name"] for each in listed.json()["keys"]].count("ci") == 1
        assert (await boss.delete(f"/v1/keys/{detail['key_id']}")).json()["revoked_by"] == "boss"
        assert (await boss.delete("/v1/keys/none")).status_code == 404
        refused = await boss.post("/v1/keys", json={"name": "ci", "roles": ["root"]})
        assert (refused.status_code, refused.json()["errors"][0]["path"]) == (400, "roles")


async def test_metrics_and_the_document(shop: Shop) -> None:
    metrics_open = create_app(shop.server, asking(shop.settings, metrics_open=True), metrics=Metrics())
    async with client_of(metrics_open) as stranger:
        assert (await stranger.get("/metrics")).status_code == 200
        assert (await stranger.get("/v1/sagas")).status_code == 401
    metrics_closed = create_app(shop.server, asking(shop.settings), metrics=Metrics())
    for role, status in (("viewer", 200), ("worker", 403)):
        async with client_of(metrics_closed, await key_of(shop.server, role)) as client:
            assert (await client.get("/metrics")).status_code == status
    async with client_of(metrics_closed) as stranger:
        assert (await stranger.get("/metrics")).status_code == 401
    async with client_of(metrics_open, await key_of(shop.server, "viewer")) as viewer:
        document = (await viewer.get("/openapi.json")).json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["paths"]["/v1/sagas"]["get"]["security"] == [{"key": []}]
    assert {"401", "403"} <= document["paths"]["/v1/sagas"]["get"]["responses"].keys()
    assert document["paths"]["/livez"]["get"]["security"] == []


async def test_without_the_setting_nothing_is_asked_on_loopback(shop: Shop) -> None:
    assert (await shop.client.get("/v1/sagas")).status_code == 200
    assert "securitySchemes" not in (await shop.client.get("/openapi.json")).json()["components"]


async def test_a_key_that_asks_too_often_is_told_so(shop: Shop) -> None:
    app = create_app(shop.server, asking(shop.settings, requests_per_second=1e-6))
    async with client_of(app, await key_of(shop.server, "viewer")) as one, client_of(app, await key_of(shop.server)) as other:
        assert (await one.get("/v1/sagas")).status_code == 200
        refused = await one.get("/v1/sagas")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["type"] == "urn:goconductor:problem:too-many-requests"
        assert (await other.get("/v1/sagas")).status_code == 200
        assert (await one.get("/livez")).status_code == 200


async def test_a_namespace_or_roles_that_a_request_names_are_no_part_of_who_asks(shop: Shop, app: Any) -> None:
    """Temporal let an inner request name another namespace than the one that was authorised (CVE-2025-14986, -14987)."""
    saga_id = (await shop.start(card="busy"))["saga_id"]
    async with client_of(app, await key_of(shop.server, "operator")) as client:
        for more in ({"namespace": "other"}, {"roles": ["admin"]}, {"actor": "root"}):
            assert (await client.post(f"/v1/sagas/{saga_id}/pause", json=more)).status_code == 400
            assert (await client.get("/v1/sagas", params=dict.fromkeys(more, "x"))).status_code == 400
        answer = await client.get("/v1/keys", headers={"x-forwarded-user": "root", "x-roles": "admin"})
        assert answer.status_code == 403


async def test_who_was_known_is_forgotten_after_the_request(shop: Shop, app: Any) -> None:
    saga_id = (await shop.start(card="busy"))["saga_id"]
    async with client_of(app, await key_of(shop.server, "viewer")) as client:
        assert (await client.get(f"/v1/sagas/{saga_id}")).status_code == 200
    await shop.client.post(f"/v1/sagas/{saga_id}/pause", json={"by": "ann"})  # of a door that asks nobody, in the same task
    entries = (await shop.client.get(f"/v1/sagas/{saga_id}/history")).json()["entries"]
    assert entries[-1]["data"] == {"by": "ann"}


async def test_what_is_done_and_what_is_refused_is_noted_with_who_asked_and_from_where(app: Any, shop: Shop) -> None:
    admin, viewer = await key_of(shop.server, "admin"), await key_of(shop.server, "viewer")
    async with client_of(app, admin) as asking_admin, client_of(app, viewer) as asking_viewer, client_of(app) as nobody:
        started = await shop.server.store.audit.head()
        assert started is None
        made = await asking_admin.post("/v1/keys", json={"name": "ci", "roles": ["viewer"], "by": "ann"})
        assert (await asking_viewer.delete(f"/v1/keys/{made.json()['detail']['key_id']}")).status_code == 403
        assert (await asking_viewer.get("/v1/audit")).status_code == 403
        assert (await nobody.post("/v1/sagas/order", json={})).status_code == 401
        page = (await asking_admin.get("/v1/audit", params={"limit": 4})).json()
        assert (await asking_admin.get("/v1/audit/proof")).json()["sound"]
        assert (await asking_admin.get("/v1/audit", params={"outcome": "nonsense"})).status_code == 400
        assert (await asking_admin.get("/v1/audit", params={"since": "yesterday"})).status_code == 400
        assert (await asking_admin.get("/v1/audit/proof", params={"against": "x"})).status_code == 400
    shown = [(row["function"], row["detail"], row["outcome"], row["problem"]) for row in page["entries"]]
    assert shown == [
        ("", "POST /v1/sagas/order", "refused", "unauthenticated"),
        ("audit.reading.entries", "GET /v1/audit", "refused", "forbidden"),
        ("authority.keys.revoke_key", "DELETE /v1/keys/{key_id}", "refused", "forbidden"),
        ("authority.keys.create_key", "viewer", "done", ""),
    ]
    assert {row["door"] for row in page["entries"]} == {"rest"}
    assert {row["address"] for row in page["entries"]} == {"127.0.0.1"}
    assert [bool(row["means"]) for row in page["entries"]] == [False, True, True, True]
    assert page["entries"][3]["actor"].endswith("on behalf of ann")
    assert page["entries"][3]["means"] == f"key {admin.split('_')[1]}"
    for key in (admin, viewer, made.json()["key"]):
        assert key.split("_")[2] not in str(page)
