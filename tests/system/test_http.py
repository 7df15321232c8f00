"""A call over HTTP: what is sent, what of the answer is kept, and what a failure means."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from goconductor.errors import PermanentError, RefusedError, TemporaryError
from goconductor.saga.ids import Direction
from goconductor.system.guard import Guard
from goconductor.system.http import exchange
from goconductor.system.http.steps import QUOTED_CHARACTERS_MAX, HttpSteps
from goconductor.system.secrets import Secrets
from goconductor.testing.world import step_context
from tests.certificates import Authority
from tests.system.conftest import CANARY
from tests.system.server import Asked, Server, answer, serving

CONTEXT = step_context("order")
CHUNKED = (
    b"HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n"
)


async def refused(http: HttpSteps, kind: type[Exception], **inputs: Any) -> str:
    with pytest.raises(kind) as raised:
        await http.call(inputs, CONTEXT)
    assert type(raised.value) is kind
    assert CANARY not in str(raised.value)
    return str(raised.value)


async def test_a_request_is_sent_and_its_answer_is_the_output(http: HttpSteps, server: Server) -> None:
    server.answers = [answer(201, '{"id": 7}', "X-Limit: 10", "X-Limit: 20", "Set-Cookie: a=b")]
    output = await http.call(
        {
            "url": f"{server.url}/customers/{{customer}}/orders?dry=no",
            "customer": "Ü/1?",
            "headers": {"X-Shop": "tea-{customer_id}"},
            "customer_id": 17,
            "query": {"page": 2, "tag": ["a b", "c&d"], "new": True},
            "body": {"sku": "tea", "n": 2**60},
        },
        CONTEXT,
    )
    (asked,) = server.asked
    assert asked.method == "POST"
    assert asked.target == "/customers/%C3%9C%2F1%3F/orders?dry=no&page=2&tag=a+b&tag=c%26d&new=true"
    assert json.loads(asked.body) == {"sku": "tea", "n": 2**60}
    assert asked.headers["host"] == f"localhost:{server.port}"
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["x-shop"] == "tea-17"
    assert asked.headers["idempotency-key"] == CONTEXT.idempotency_key
    assert output["status"] == 201
    assert output["body"] == {"id": 7}
    assert output["headers"]["x-limit"] == "10, 20"
    assert "set-cookie" not in output["headers"]


async def test_the_idempotency_key_goes_into_the_header_that_is_named(http: HttpSteps, server: Server) -> None:
    await http.call({"url": server.url, "idempotency_header": "X-Request-Id"}, CONTEXT)
    await http.call({"url": server.url, "idempotency_header": None}, CONTEXT)
    assert server.asked[0].headers["x-request-id"] == CONTEXT.idempotency_key
    assert CONTEXT.idempotency_key not in str(server.asked[1])


async def test_a_text_of_another_type_is_sent_as_it_is(http: HttpSteps, server: Server) -> None:
    await http.call({"url": server.url, "headers": {"content-type": "text/csv"}, "body": "a,b\n"}, CONTEXT)
    assert (server.asked[0].body, server.asked[0].headers["content-type"]) == (b"a,b\n", "text/csv")
    problem = await refused(http, RefusedError, url=server.url, headers={"content-type": "text/csv"}, body=[1])
    assert "must be a text" in problem


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (answer(200, "hello", kind="text/plain"), "hello"),
        (answer(200, '"x"', kind="application/problem+json; charset=utf-8"), "x"),
        (answer(200, ""), None),
        (b"HTTP/1.1 204 none\r\n\r\n", None),
        (b"HTTP/1.1 103 early\r\n\r\n" + answer(200, "1"), 1),
        (CHUNKED, [1, 2]),
        (b"HTTP/1.0 200 ok\r\nContent-Type: text/plain\r\n\r\nuntil the end", "until the end"),
    ],
)
async def test_answers_of_every_form_are_read(http: HttpSteps, server: Server, sent: bytes, body: Any) -> None:
    server.answers = [sent]
    assert (await http.call({"url": server.url, "method": "GET"}, CONTEXT))["body"] == body


async def test_a_secret_goes_into_a_header_and_nowhere_else(
    http: HttpSteps, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async def echo(asked: Asked, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, json.dumps({"you": asked.headers, asked.headers["authorization"]: 1}), f"X-Echo: {CANARY}"))

    server.answers = [echo]
    output = await http.call({"url": server.url, "headers": {"authorization": "Bearer ${secret:token}"}}, CONTEXT)
    assert server.asked[0].headers["authorization"] == f"Bearer {CANARY}"
    assert CANARY not in json.dumps(output)
    assert output["body"]["you"]["authorization"] == "Bearer **********"
    server.answers = [answer(500, f"what is {CANARY}?", kind="text/plain")]
    problem = await refused(http, TemporaryError, url=server.url, headers={"authorization": "Bearer ${secret:token}"})
    assert "what is **********?" in problem
    assert CANARY not in caplog.text


async def test_a_secret_is_hidden_before_an_answer_is_shortened(http: HttpSteps, server: Server) -> None:
    spaces = 4 * QUOTED_CHARACTERS_MAX - len("bad") - len(CANARY) // 2  # a cut by bytes would go through the secret
    server.answers = [answer(401, "bad" + " " * spaces + CANARY, kind="text/plain")]
    problem = await refused(http, RefusedError, url=server.url, headers={"authorization": "Bearer ${secret:token}"})
    assert problem.endswith("401: bad **********")


async def test_what_cannot_be_kept_of_an_answer_is_told_without_secrets(http: HttpSteps, server: Server) -> None:
    server.answers = [answer(200, f'{{"{CANARY}": 18446744073709551616}}')]
    problem = await refused(http, PermanentError, url=server.url, headers={"authorization": "Bearer ${secret:token}"})
    assert "the answer cannot be kept: " in problem


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("${secret:tokem}", "there is no secret 'tokem' in system.secrets of this process; did you mean token?"),
        ("${secret:bank}", "the secret 'bank' may not go to localhost:{port}; add that to system.secrets.bank.hosts if it may"),
        (
            "${secret:over_tls}",
            (
                "the secret 'over_tls' may not go to localhost without TLS, where others can read it on its way; "
                "call localhost over TLS, or set system.secrets.over_tls.plaintext to true"
            ),
        ),
    ],
)
async def test_a_secret_that_may_not_be_sent_is_not(http: HttpSteps, server: Server, header: str, problem: str) -> None:
    assert await refused(http, RefusedError, url=server.url, headers={"x": header}) == problem.format(port=server.port)
    assert server.asked == []


async def test_a_value_cannot_name_a_secret(http: HttpSteps, server: Server) -> None:
    await http.call({"url": server.url, "headers": {"x": "{who}"}, "who": "${secret:token}"}, CONTEXT)
    assert server.asked[0].headers["x"] == "${secret:token}"


@pytest.mark.parametrize("value", ["", ".", ".."])
async def test_a_value_cannot_lead_to_another_place(http: HttpSteps, server: Server, value: str) -> None:
    problem = await refused(http, RefusedError, url=f"{server.url}/orders/{{order}}/x", order=value)
    assert "which means another place" in problem
    await http.call({"url": f"{server.url}/orders/{{order}}", "order": "../admin"}, CONTEXT)
    assert [asked.target for asked in server.asked] == ["/orders/..%2Fadmin"]


async def test_a_value_cannot_add_a_header(http: HttpSteps, server: Server) -> None:
    problem = await refused(http, RefusedError, url=server.url, headers={"x": "{who}"}, who="a\r\nY: b")
    assert "other than printable ASCII" in problem
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, RefusedError) for status in (400, 401, 404, 409, 422)),
        *((status, PermanentError) for status in (301, 303, 307)),  # the usual answer to a POST that was done, as well
        *((status, TemporaryError) for status in (408, 425, 429, 500, 502, 503, 504)),
    ],
)
async def test_a_status_says_whether_to_try_again(http: HttpSteps, server: Server, status: int, kind: type[Exception]) -> None:
    server.answers = [answer(status, '{"why": "so"}')]
    problem = await refused(http, kind, url=server.url)
    assert problem.startswith(f'POST {server.url} was answered with {status}: {{"why": "so"}}')


async def test_the_definition_may_say_otherwise(http: HttpSteps, server: Server) -> None:
    server.answers = [answer(404)]
    assert (await http.call({"url": server.url, "expected": ["2xx", 404]}, CONTEXT))["status"] == 404
    server.answers = [answer(409)]
    await refused(http, TemporaryError, url=server.url, final=[400])
    server.answers = [answer(503)]
    await refused(http, PermanentError, url=server.url, final=["5xx"])
    server.answers = [answer(202)]
    assert "answered with 202" in await refused(http, PermanentError, url=server.url, expected=[201])


async def test_redirects_are_not_followed(http: HttpSteps, server: Server) -> None:
    server.answers = [answer(302, "", f"Location: {server.url}/elsewhere")]
    assert "redirects are not followed" in await refused(http, PermanentError, url=server.url)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("7", 7, 7),
        ("999999", 3600, 3600),
        ("99999999999999999999", 3600, 3600),
        ("Wed, 01 Jan 2200 00:00:00 GMT", 3600, 3600),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 0, 0),
        ("soon", None, None),
        ("-3", None, None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None, None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", None, None),
    ],
)
async def test_an_answer_may_ask_to_wait(
    http: HttpSteps, server: Server, header: str, low: float | None, high: float | None
) -> None:
    server.answers = [answer(503, "", f"Retry-After: {header}")]
    with pytest.raises(TemporaryError) as raised:
        await http.call({"url": server.url}, CONTEXT)
    delay = raised.value.delay_seconds
    assert delay is None if low is None or high is None else delay is not None and low <= delay <= high


async def test_an_answer_of_a_gigabyte_is_cut_off(http: HttpSteps, server: Server) -> None:
    cut = asyncio.Event()

    async def gigabyte(_: Asked, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 ok\r\nContent-Length: 1073741824\r\n\r\n")
        try:
            for _megabyte in range(1024):
                writer.write(bytes(1_048_576))
                await writer.drain()
        except ConnectionError:
            cut.set()

    server.answers = [gigabyte]
    problem = await refused(http, PermanentError, url=server.url)
    assert "more than 10,000 bytes, and was cut off" in problem
    await asyncio.wait_for(cut.wait(), 120)


async def test_an_answer_that_never_ends_ends_with_the_time_limit(http: HttpSteps, server: Server) -> None:
    begun, cut = asyncio.Event(), asyncio.Event()

    async def endless(_: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await writer.drain()
        begun.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()  # until the other side closes
        cut.set()

    server.answers = [endless]
    call = asyncio.create_task(http.call({"url": server.url}, CONTEXT))
    await asyncio.wait_for(begun.wait(), 120)
    call.cancel()  # as the engine does at the time limit
    await asyncio.wait([call])
    assert call.cancelled()
    await asyncio.wait_for(cut.wait(), 120)


@pytest.mark.parametrize(
    ("sent", "kind", "problem"),
    [
        (b"", TemporaryError, "closed the connection before it had answered"),
        (b"HTTP/1.1 200 ok\r\nContent-Length: 10\r\n\r\nabc", TemporaryError, "cannot be read as HTTP/1.1"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", TemporaryError, "cannot be read as HTTP/1.1"),
        (b"HTTP/1.1 200 ok\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", TemporaryError, "cannot be read as HTTP/1.1"),
        (answer(200, '{"a": NaN}'), PermanentError, "the answer cannot be kept: $: is not JSON"),
        (
            answer(200, '{"a": 18446744073709551616}'),
            PermanentError,
            "the answer cannot be kept: $.a: is an integer beyond 64 bits",
        ),
        (answer(200, b"\xff\xfe", kind="image/png"), PermanentError, "neither JSON nor text in UTF-8"),
        (answer(200, b"xx", "Content-Encoding: gzip"), PermanentError, "the answer is packed (gzip)"),
    ],
)
async def test_an_answer_of_no_use_is_a_clear_failure(
    http: HttpSteps, server: Server, sent: bytes, kind: type[Exception], problem: str
) -> None:
    server.answers = [sent]
    assert problem in await refused(http, kind, url=server.url)


async def test_a_server_that_answers_before_it_has_read_all_is_heard(http: HttpSteps, server: Server) -> None:
    server.answers = [answer(413, "too much", kind="text/plain")]
    assert "answered with 413: too much" in await refused(http, RefusedError, url=server.url, body="x" * 1_000_000)


async def test_a_server_that_is_away_may_be_back_later(http: HttpSteps, server: Server) -> None:
    async with serving() as gone:
        pass
    http = HttpSteps(gone.guard(), Secrets({}), answer_bytes_max=10_000)
    assert "takes no connection" in await refused(http, TemporaryError, url=gone.url)


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({"url": "http://localhost:1/"}, "port 1 of localhost may not be called; add 'localhost:1' to system.hosts"),
        ({"url": "http://127.0.0.1/"}, "127.0.0.1 may not be called: it is not among system.hosts"),
        ({"url": "ftp://localhost/"}, "its url begins with neither https:// nor http://"),
        ({"url": "http://{host}/", "host": "localhost"}, "its url has a placeholder in its host"),
        ({"url": "http://localhost/", "method": "FETCH"}, "its inputs do not fit: Invalid enum value 'FETCH'"),
        ({}, "its inputs do not fit: Object missing required field `url`"),
        ({"url": "http://localhost/", "headers": {"Host": "x"}}, "its headers have 'Host', which is set for each request"),
    ],
)
async def test_what_may_not_be_called_is_not(http: HttpSteps, server: Server, inputs: dict[str, Any], problem: str) -> None:
    assert problem in await refused(http, RefusedError, **inputs)
    assert server.asked == []


async def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, own = Authority(tmp_path), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(authority.pair("server").both)
    exchange.tls.cache_clear()
    async with serving(own) as server:
        guard = Guard([f"localhost:{server.port}", f"other.example:{server.port}"], [ip_network("127.0.0.0/8")])
        http = HttpSteps(guard, Secrets({}), answer_bytes_max=10_000)
        url = server.url.replace("http", "https")
        assert "takes no connection" in await refused(http, TemporaryError, url=url)  # nobody trusts that authority
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        exchange.tls.cache_clear()
        try:
            assert (await http.call({"url": url}, CONTEXT))["status"] == 200
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            other = url.replace("localhost", "other.example")  # which the certificate does not bear
            assert "takes no connection" in await refused(http, TemporaryError, url=other)
        finally:
            exchange.tls.cache_clear()


async def test_an_address_that_does_not_answer_leaves_time_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, own = Authority(tmp_path), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(authority.pair("server").both)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    exchange.tls.cache_clear()
    async with serving(own) as server:
        with socket.socket() as silent:
            silent.bind(("127.0.0.2", server.port))
            silent.listen()  # it takes connections, and nobody speaks TLS there
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, server.port)) for each in ("127.0.0.2", "127.0.0.1")]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            http = HttpSteps(server.guard(), Secrets({}), answer_bytes_max=10_000)
            try:
                call = http.call({"url": server.url.replace("http", "https")}, step_context("order", timeout_seconds=0.2))
                assert (await asyncio.wait_for(call, 45))["status"] == 200  # before the handshake would have ended by itself
            finally:
                exchange.tls.cache_clear()


UNDO = step_context("order", direction=Direction.COMPENSATION)


async def test_an_undo_names_what_the_action_has_answered(http: HttpSteps, server: Server) -> None:
    inputs = {
        "url": server.url,
        "shop": "tea",
        "undo": {
            "method": "DELETE",
            "url": f"{server.url}/{{shop}}/orders/{{output.body.id}}",
            "query": {"key": "{action_key}"},
            "body": {"lines": "{output.body.lines}", "why": "undo of {output.status}"},
            "expected": [204, 404],
        },
    }
    server.answers = [b"HTTP/1.1 404 gone\r\nContent-Length: 0\r\n\r\n"]
    await http.undo(inputs, UNDO, {"status": 201, "headers": {}, "body": {"id": "a/b", "lines": [1]}})
    (asked,) = server.asked
    assert asked.method == "DELETE"
    assert asked.target == f"/tea/orders/a%2Fb?key={UNDO.action_key.replace('/', '%2F')}"
    assert json.loads(asked.body) == {"lines": [1], "why": "undo of 201"}
    assert asked.headers["idempotency-key"] == UNDO.idempotency_key != CONTEXT.idempotency_key


async def test_an_undo_that_needs_an_output_which_is_not_known_says_so(http: HttpSteps, server: Server) -> None:
    inputs = {"url": server.url, "undo": {"url": f"{server.url}/{{output.body.id}}"}}
    with pytest.raises(RefusedError, match="needs the action's output, which is not known"):
        await http.undo(inputs, UNDO, None)
    assert server.asked == []


async def test_without_an_undo_nothing_is_sent(http: HttpSteps, server: Server) -> None:
    await http.undo({"url": server.url}, UNDO, None)
    assert server.asked == []
