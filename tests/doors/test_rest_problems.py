"""What the REST door refuses: one problem by RFC 9457 for each kind, which names the place and the remedy."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from goconductor.control.settings.settings import Settings
from goconductor.rest.app import create_app
from tests.doors.conftest import INPUT, ORDER, Shop

JSON = {"content-type": "application/json"}
SPECIAL = {
    "Get Events": {"text/event-stream"},
    "Watch All": {"text/event-stream"},
    "Get Diagram": {"text/vnd.mermaid", "image/svg+xml"},
    "Get Definition Schema": {"application/schema+json"},
    "Get Definition Text": {"application/json", "application/yaml", "text/x-python", "text/vnd.mermaid"},
}
UNKNOWN = "01920000-0000-7000-8000-000000000000"


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem, if the answer is one of that kind and well-formed."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:goconductor:problem:{kind}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["instance"].startswith(("/", "urn:uuid:"))
    assert "Traceback" not in answer.text
    return body


@pytest.mark.parametrize(
    ("body", "place", "says"),
    [
        pytest.param(b"", "$", "is not JSON", id="nothing"),
        pytest.param(b'{"sku": ', "$", "is not JSON", id="cut-off"),
        pytest.param(b"{'sku': 1}", "$", "is not JSON", id="python"),
        pytest.param(b'{"sku": NaN}', "$", "is not JSON", id="nan"),
        pytest.param(b'{"sku": Infinity}', "$", "is not JSON", id="infinity"),
        pytest.param(b'{"sku": 1e999}', "$", "", id="number-out-of-range"),
        pytest.param(b'{"sku": "a\\u0000b"}', "$.sku", "NUL", id="nul"),
        pytest.param(b'{"a\\u0000": 1}', "$", "NUL", id="nul-in-key"),
        pytest.param(b'{"sku": "\\ud800"}', "$", "is not JSON", id="lone-surrogate"),
        pytest.param(b'{"sku": "\xff"}', "$", "UTF-8", id="not-utf-8"),
        pytest.param(b'{"quantity": 9223372036854775808}', "$.quantity", "64 bits", id="beyond-64-bits"),
        pytest.param(b"[" * 10_000 + b"]" * 10_000, "$", "nested deeper", id="nested-10000"),
        pytest.param(b'{"a": ' * 65 + b"1" + b"}" * 65, "$" + ".a" * 64, "nested deeper", id="nested-65"),
        pytest.param(b"{} {}", "$", "is not JSON", id="two-values"),
    ],
)
async def test_a_body_that_cannot_be_kept_is_one_clear_400(shop: Shop, body: bytes, place: str, says: str) -> None:
    answer = await shop.client.post("/v1/sagas/order", content=body, headers=JSON)
    (error,) = problem(answer, 400, "invalid-payload")["errors"]
    assert error["path"] == place
    assert says in error["problem"]
    assert len(answer.content) < 2_000


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/xml"]
)
async def test_a_body_of_another_type_is_refused(shop: Shop, kind: str) -> None:
    answer = await shop.client.post("/v1/sagas/order", content=b"{}", headers={"content-type": kind})
    assert "Content-Type: application/json" in problem(answer, 415, "unsupported-media-type")["detail"]


@pytest.mark.parametrize("headers", [{"content-type": "application/json; charset=latin-1"}, {**JSON, "content-encoding": "gzip"}])
async def test_a_body_that_is_encoded_is_refused(shop: Shop, headers: dict[str, str]) -> None:
    problem(await shop.client.post("/v1/sagas/order", content=b"{}", headers=headers), 415, "unsupported-media-type")


@pytest.mark.parametrize("kind", ["application/json; charset=UTF-8", "Application/JSON", "application/vnd.shop+json"])
async def test_json_may_be_called_by_its_other_names(shop: Shop, kind: str) -> None:
    answer = await shop.client.post("/v1/sagas/order", json=INPUT, headers={"content-type": kind})
    assert answer.status_code == 202


async def test_a_body_that_says_it_is_too_large_is_not_read(shop: Shop) -> None:
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"x"

    headers = {**JSON, "content-length": str(1024 * 1024 + 1)}
    answer = await shop.client.post("/v1/sagas/order", content=chunks(), headers=headers)
    assert "1,048,576 bytes" in problem(answer, 413, "too-large")["detail"]
    assert read == 0


async def test_a_body_that_grows_too_large_is_read_no_further(shop: Shop) -> None:
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(1_000):
            read += 1
            yield b"x" * 65_536

    answer = await shop.client.post("/v1/sagas/order", content=chunks(), headers=JSON)
    problem(answer, 413, "too-large")
    assert read == 17


async def test_an_input_that_does_not_fit_its_schema_is_told_all_places(shop: Shop) -> None:
    answer = await shop.client.post("/v1/sagas/order", json={"sku": 3, "quantity": 0, "colour": "red"})
    body = problem(answer, 422, "input-refused")
    assert {(error["path"], error["problem"]) for error in body["errors"]} == {
        ("$.sku", "should be a string"),
        ("$.quantity", "does not fit: 0 is less than the minimum of 1"),
        ("$", "lacks 'card'; add it"),
        ("$", "has an unknown key 'colour'; there are: card, quantity, sku"),
    }
    assert (await shop.client.get("/v1/sagas")).json()["sagas"] == []


async def test_the_same_key_with_other_input_is_a_conflict(shop: Shop) -> None:
    headers = {"Idempotency-Key": "order-17"}
    await shop.client.post("/v1/sagas/order", json=INPUT, headers=headers)
    answer = await shop.client.post("/v1/sagas/order", json={**INPUT, "quantity": 3}, headers=headers)
    assert "'order-17'" in problem(answer, 409, "key-taken")["detail"]


@pytest.mark.parametrize("key", ["", "k" * 256, "caf\xe9", "a\tb"])
async def test_a_key_that_cannot_be_one_is_refused(shop: Shop, key: str) -> None:
    answer = await shop.client.post("/v1/sagas/order", json=INPUT, headers={b"Idempotency-Key": key.encode("latin-1")})
    assert problem(answer, 400, "invalid-request")["errors"][0]["path"] == "header.idempotency-key"


async def test_two_keys_are_refused(shop: Shop) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await shop.client.post("/v1/sagas/order", json=INPUT, headers=headers)
    problem(answer, 400, "invalid-request")


@pytest.mark.parametrize("label", ["team", "=x", "a b=x", "team=\0", "team=a\nb", f"team={'x' * 256}", f"{'t' * 64}=x"])
async def test_a_label_that_cannot_be_one_is_refused(shop: Shop, label: str) -> None:
    problem(await shop.client.post("/v1/sagas/order", params={"label": label}, json=INPUT), 400, "invalid-request")


async def test_too_many_labels_or_one_twice_are_refused(shop: Shop) -> None:
    for labels in ([f"l{number}=x" for number in range(21)], ["a=1", "a=2"]):
        problem(await shop.client.post("/v1/sagas/order", params={"label": labels}, json=INPUT), 400, "invalid-request")


@pytest.mark.parametrize(
    "params",
    [
        {"wait_seconds": "soon"},
        {"wait_seconds": "-1"},
        {"wait_seconds": "301"},
        {"wait_seconds": "nan"},
        {"wait_seconds": "inf"},
    ],
)
async def test_a_wait_that_makes_no_sense_is_refused(shop: Shop, params: dict[str, str]) -> None:
    answer = await shop.client.post("/v1/sagas/order", params=params, json=INPUT)
    assert problem(answer, 400, "invalid-request")["errors"][0]["path"] == "query.wait_seconds"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/v1/sagas?limit=0", "query.limit"),
        ("/v1/sagas?limit=501", "query.limit"),
        ("/v1/sagas?status=done", "query.status"),
        ("/v1/sagas?cursor=x", "query.cursor"),
        ("/v1/sagas/not-an-id", "path.saga"),
        ("/v1/sagas/not-an-id/history", "path.saga_id"),
        (f"/v1/sagas/{UNKNOWN}/history?after=-1", "query.after"),
        (f"/v1/sagas/{UNKNOWN}/history?after=99999999999999999999", "query.after"),
    ],
)
async def test_a_parameter_that_does_not_fit_is_named(shop: Shop, path: str, place: str) -> None:
    assert problem(await shop.client.get(path), 400, "invalid-request")["errors"][0]["path"] == place


@pytest.mark.parametrize("path", [f"/v1/sagas/{UNKNOWN}", f"/v1/sagas/{UNKNOWN}/history"])
async def test_an_unknown_saga_is_not_found(shop: Shop, path: str) -> None:
    assert UNKNOWN in problem(await shop.client.get(path), 404, "saga-not-found")["detail"]


@pytest.mark.parametrize(
    "path", ["/v1/sagas/ordre", "/v1/sagas/a%00b", "/v1/sagas/order?version=1234", "/v1/sagas/order?version=%00"]
)
async def test_an_unknown_definition_is_not_found(shop: Shop, path: str) -> None:
    problem(await shop.client.post(path, json=INPUT), 404, "definition-not-found")


async def test_an_unknown_path_or_method_is_a_problem_as_well(shop: Shop) -> None:
    problem(await shop.client.get("/v2/sagas"), 404, "not-found")
    answer = await shop.client.delete("/v1/sagas")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD"
    assert (await shop.client.delete(f"/v1/sagas/{UNKNOWN}")).headers["allow"] == "GET, HEAD, POST"
    assert (await shop.client.get(f"/v1/sagas/{UNKNOWN}/pause")).headers["allow"] == "POST"


async def test_a_definition_that_cannot_run_is_told_all_its_faults(shop: Shop) -> None:
    steps = [{"id": "a", "run": "shop"}, {"id": "b", "run": "shop.b", "after": ["z"]}, {"id": "b", "run": "shop.b"}]
    answer = await shop.client.put("/v1/definitions/bad", json={"name": "bad", "steps": steps})
    assert len(problem(answer, 422, "definition-refused")["errors"]) == 3


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "$ should be an object"),
        ({"name": "bad", "stepps": []}, "$ has an unknown key 'stepps'; did you mean steps?"),
        ({**ORDER, "name": "other"}, "it is called 'other' and was sent to 'bad'; use one name"),
        ({**ORDER, "name": "bad", "input_schema": {"type": "objekt"}}, "its input_schema: $.type"),
        ({**ORDER, "name": "bad", "input_schema": {"$ref": "http://127.0.0.1/x"}}, "nothing is fetched"),
    ],
)
async def test_a_document_that_is_no_definition_is_refused(shop: Shop, document: Any, says: str) -> None:
    answer = await shop.client.put("/v1/definitions/bad", json=document)
    assert says in problem(answer, 422, "definition-refused")["detail"]


async def test_an_unforeseen_error_is_logged_under_the_id_that_is_told_and_nothing_else_is(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("CANARY")

    monkeypatch.setattr(shop.store.sagas, "heads", broken)
    with caplog.at_level(logging.ERROR, "goconductor.rest"):
        answer = await shop.client.get("/v1/sagas")
    body = problem(answer, 500, "internal")
    assert "CANARY" not in answer.text
    assert body["instance"].removeprefix("urn:uuid:") in caplog.text
    assert "CANARY" in caplog.text


async def test_every_answer_carries_the_security_headers(shop: Shop) -> None:
    for path in ("/livez", "/v1/sagas", "/nowhere", "/openapi.json"):
        headers = (await shop.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1"]
)
async def test_a_name_that_is_not_of_this_machine_is_turned_away(shop: Shop, host: str) -> None:
    problem(await shop.client.get("/v1/sagas", headers={"host": host}), 421, "misdirected")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1", "[::1]:8080"])
async def test_the_names_of_this_machine_are_answered(shop: Shop, host: str) -> None:
    assert (await shop.client.get("/v1/sagas", headers={"host": host})).status_code == 200


async def test_a_server_that_was_opened_on_purpose_answers_to_any_name(shop: Shop) -> None:
    environ = {"GOCONDUCTOR_DATABASE_URL": "postgresql://nowhere/x", "GOCONDUCTOR_REST_INSECURE": "true"}
    app = create_app(shop.server, Settings.load(environ=environ))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sagas.example") as client:
        assert (await client.get("/v1/sagas")).status_code == 200


async def test_openapi_describes_every_answer(shop: Shop) -> None:
    document = (await shop.client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/v1/sagas",
        "/v1/sagas/{saga}",
        "/v1/sagas/{saga_id}/history",
        "/v1/sagas/{saga_id}/events",
        "/v1/sagas/{saga_id}/diagram",
        *("/v1/events", "/v1/audit", "/v1/audit/proof"),
        *(
            f"/v1/sagas/{{saga_id}}/{request}"
            for request in ("pause", "resume", "abort", "terminate", "restart", "restart-as-new", "drop-signal", "migrate")
        ),
        "/v1/sagas/{saga_id}/restart/preview",
        *("/v1/workers", "/v1/workers/{session}", "/v1/workers/{session}/poll", "/v1/keys", "/v1/keys/{key_id}", "/v1/outcomes"),
        *(f"/v1/sagas/{{saga_id}}/steps/{{step}}/{request}" for request in ("retry", "skip", "declare", "input")),
        "/v1/definition-schema",
        "/v1/definitions",
        "/v1/definitions/{name}",
        "/v1/definitions/{name}/{version}",
        "/v1/definitions/{name}/active/unpin",
        "/v1/definitions/{name}/{version}/activate",
        "/v1/definitions/{name}/{version}/diagram",
        "/v1/definitions/{name}/{version}/text",
        "/v1/definitions/{name}/{version}/diff",
        "/v1/dataflows/{name}/runs",
        *(f"/v1/flows/{{name}}{part}" for part in ("", "/steps", "/steps/{step}", "/executions")),
        *(f"/v1/flows/{{name}}/executions/{{saga_id}}{part}" for part in ("", "/steps/{step}")),
        *(f"/v1/flows/{{name}}/executions/{{saga_id}}/{request}" for request in ("pause", "resume", "abort", "stop")),
        "/v1/requests",
        *("/flow", "/flow/execute", "/flow/{saga_id}/events/{event}"),
        "/v1/sagas/{saga_id}/signals/{name}",
        "/v1/sagas/{saga_id}/steps/{step}/approve",
        "/v1/schedules",
        "/v1/schedules/{name}",
        *(f"/v1/schedules/{{name}}/{request}" for request in ("pause", "resume", "fire")),
        "/v1/participants",
        "/v1/leader",
        "/v1/locks",
        *(f"/v1/{kind}{request}" for kind in ("bus", "election") for request in ("", "/migrate")),
        "/v1/dead-letters",
        "/v1/dead-letters/{letter_id}",
        "/v1/dead-letters/{letter_id}/redrive",
        *("/v1/secrets", "/v1/secrets/{name}", "/v1/keyring/rewrap", "/v1/keyring/verification"),
        *("/v1/webhooks", "/v1/webhooks/{name}"),
        *(f"/v1/webhooks/{{name}}/{part}" for part in ("pause", "resume", "rotate", "test", "dead-letters", "redrive")),
        "/livez",
        "/readyz",
    }
    for path in document["paths"].values():
        for operation in path.values():
            summary = operation["summary"]
            for status, answer in operation["responses"].items():
                media = {"application/problem+json"} if status >= "400" else SPECIAL.get(summary, {"application/json"})
                assert set(answer.get("content", ())) == (set() if status == "204" else media)
    start = document["paths"]["/v1/sagas/{saga}"]["post"]
    assert {"200", "202", "400", "404", "409", "413", "415", "422", "503"} <= set(start["responses"])
    assert start["requestBody"]["content"]["application/json"]["example"]
    assert document["components"]["schemas"]["Problem"]["properties"]["detail"]["examples"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def operations() -> list[tuple[str, str, list[str]]]:
    """Each route of the document: its method, its path with something in place of each name, and its query parameters."""
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": "postgresql://nobody@nowhere/nothing"})
    document = create_app(Shop().server, settings).openapi()
    return [
        (
            method,
            re.sub(r"\{\w*id\}|\{saga\}", UNKNOWN, re.sub(r"\{letter_id\}", "1", path)).replace("{", "").replace("}", ""),
            [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"],
        )
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.parametrize(("method", "path", "known"), operations())
async def test_every_route_refuses_a_parameter_that_it_does_not_have(
    shop: Shop, method: str, path: str, known: list[str]
) -> None:
    answer = await shop.client.request(method, path, params={"misspelt_entirely": "1"}, json={})
    says = "is unknown; there are: " if known else "is unknown; there are: none"
    assert says in problem(answer, 400, "invalid-request")["detail"]
    for name in known:
        answer = await shop.client.request(method, path, params={f"{name}x": "1"}, json={})
        assert f"query.{name}x is unknown; did you mean {name}?" in problem(answer, 400, "invalid-request")["detail"]


@pytest.mark.parametrize(
    ("path", "params", "says"),
    [
        ("/v1/sagas", {"status": "compleetd"}, "query.status should be 'queued', "),
        ("/v1/sagas", {"status": "compleetd"}, "; did you mean completed?"),
        (f"/v1/sagas/{UNKNOWN}/diagram", {"form": "svgg"}, "; did you mean svg?"),
    ],
)
async def test_a_misspelt_word_is_told_the_nearest(shop: Shop, path: str, params: dict[str, str], says: str) -> None:
    assert says in problem(await shop.client.get(path, params=params), 400, "invalid-request")["detail"]
