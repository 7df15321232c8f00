"""``system.http``: an HTTP request as a step, and another one that undoes it.

What is raised says whether anything can have happened. :class:`~goconductor.errors.RefusedError`: it was not sent, or the other
side has said no. :class:`~goconductor.errors.TemporaryError`: nobody knows, and it may be sent again.
:class:`~goconductor.errors.PermanentError`: it was answered, and the answer is of no use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from goconductor.engine.steps.context import StepContext
from goconductor.errors import PayloadError, PermanentError, RefusedError, StepError, TemporaryError
from goconductor.saga.data import values
from goconductor.system.given import action_values, read_inputs, undo_values
from goconductor.system.guard import Guard
from goconductor.system.http.exchange import Answer, Request, exchange
from goconductor.system.http.inputs import Call, HttpInputs, faults, templates_of, url_of
from goconductor.system.secrets import Secrets, without
from goconductor.system.templates import Template, Values

RETRY_AFTER_SECONDS_MAX = 3600.0
"""Longest wait that an answer can ask for, in seconds."""
QUOTED_CHARACTERS_MAX = 300
"""Characters of an answer that stand in a failure's text."""
USER_AGENT = "goconductor"
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json", re.IGNORECASE)
_UNKEPT = frozenset({"set-cookie", "set-cookie2", "proxy-authenticate", "www-authenticate"})
"""Headers of an answer that may be secret, and are not kept."""


class HttpSteps:
    """Calls over HTTP.

    Args:
        guard: decides whom.
        secrets: that headers name.
        answer_bytes_max: greatest size of an answer's body, in bytes.
    """

    def __init__(self, guard: Guard, secrets: Secrets, *, answer_bytes_max: int) -> None:
        self._guard = guard
        self._secrets = secrets
        self._answer_bytes_max = answer_bytes_max

    async def call(self, inputs: dict[str, Any], context: StepContext, output: Any = None) -> dict[str, Any]:
        """Send the request.

        Args:
            inputs: of the step, by name.
            context: of the step.
            output: of an action there is none yet.

        Raises:
            RefusedError: it was not sent, or the other side refused it.
            TemporaryError: it may be sent again.
            PermanentError: the answer cannot be kept.
        """
        del output
        read, given = read_inputs(HttpInputs, inputs, faults)
        return await self._send(read, read, action_values(given, context), context, read.query, read.body)

    async def undo(self, inputs: dict[str, Any], context: StepContext, output: Any = None) -> None:
        """Send the request that undoes an action, if the step has one.

        Args:
            inputs: of the action, by name.
            context: of the step.
            output: of the action; None where it is not known.

        Raises:
            RefusedError, TemporaryError, PermanentError: as :meth:`call`.
        """
        read, given = read_inputs(HttpInputs, inputs, faults)
        if (undo := read.undo) is None:
            return
        known = undo_values(given, context, output, templates_of(undo, constant_data=True))
        if known is None:
            return
        body = msgspec.UNSET if undo.body is msgspec.UNSET else known.within(undo.body)
        await self._send(read, undo, known, context, known.within(undo.query), body)

    async def _send(
        self, inputs: HttpInputs, call: Call, known: Values, context: StepContext, query: dict[str, Any], body: Any
    ) -> dict[str, Any]:
        what = f"{call.method} {call.url}"
        secure, host, port, path = url_of(call.url)
        used: list[str] = []

        def secret_of(name: str) -> str:
            used.append(self._secrets.value_of(name, host, port, secure=secure))
            return used[-1]

        headers = {name: _header(name, text, known, secret_of) for name, text in call.headers.items()}
        target = _target(path, known, query)
        data, kind = _body(body, headers)
        names = {name.lower() for name in headers}
        added = {"User-Agent": USER_AGENT, "Accept": "application/json, text/plain;q=0.5, */*;q=0.1", "Content-Type": kind}
        if inputs.idempotency_header is not None:
            added[inputs.idempotency_header] = context.idempotency_key
        if context.traceparent:
            added["traceparent"] = context.traceparent
        headers |= {name: text for name, text in added.items() if text and name.lower() not in names}
        addresses = await self._guard.addresses(host, port)
        request = Request(call.method, secure, host, port, target, [*headers.items()], data)
        try:
            answer = await exchange(request, addresses, body_bytes_max=self._answer_bytes_max, seconds_left=context.seconds_left)
        except TemporaryError as error:
            raise TemporaryError(f"{what}: {without(used, str(error))}") from None
        except PermanentError as error:
            raise PermanentError(f"{what}: {error}") from None
        if not call.is_expected(answer.status):
            raise _unexpected(call, what, answer, used)
        return _output(what, answer, used)


def _header(name: str, text: str, known: Values, secret_of: Any) -> str:
    filled = Template.parse(text).filled(known.text_of, secret_of)
    if not filled.isascii() or not filled.isprintable():
        raise RefusedError(f"the header {name!r} would have other than printable ASCII characters; give it other values")
    return filled.strip()


def _target(template: Template, known: Values, query: Mapping[str, Any]) -> str:
    """Return path and query. A value stays within its part of the path: what is a sign there is percent-encoded."""
    filled = template.filled(lambda placeholder: quote(known.text_of(placeholder), safe=""))
    path, mark, own = filled.partition("?")
    written = template.source.partition("?")[0].split("/")
    for before, after in zip(written, path.split("/"), strict=True):
        if before != after and after in ("", ".", ".."):
            raise RefusedError(f"{before} would be {after!r} in the path, which means another place; give it another value")
    pairs = [(name, each) for name, value in query.items() for each in (value if isinstance(value, list) else [value])]
    added = urlencode([(name, _query_text(name, value)) for name, value in pairs])
    return path + mark + own + (("&" if own else "" if mark else "?") + added if added else "")


def _query_text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, list | dict):
        raise RefusedError(f"the query's {name!r} is no text, number, true or false, nor a list of them; give it one of these")
    return msgspec.json.encode(value).decode()


def _body(body: Any, headers: Mapping[str, str]) -> tuple[bytes | None, str]:
    """Return what is sent, and its content type where no header gives one."""
    if body is msgspec.UNSET:
        return None, ""
    kind = next((text for name, text in headers.items() if name.lower() == "content-type"), "application/json")
    if _JSON.match(kind):
        return msgspec.json.encode(body), kind
    if not isinstance(body, str):
        raise RefusedError(f"a body of the type {kind!r} is sent as it is, so it must be a text; give it one, or send JSON")
    return body.encode(), kind


def _unexpected(call: Call, what: str, answer: Answer, secrets: Iterable[str]) -> StepError:
    said = without(secrets, answer.body.decode("utf-8", "replace"))  # all of it: a part of a secret would not be found
    said = " ".join(said.split())[:QUOTED_CHARACTERS_MAX]
    problem = f"{what} was answered with {answer.status}{f': {said}' if said else ''}"
    if 300 <= answer.status < 400:
        problem += "; redirects are not followed: call the place itself"
    if not call.is_final(answer.status):
        return TemporaryError(problem, delay_seconds=retry_after(answer))
    said_no = 400 <= answer.status < 500  # after any other status something may have happened: 303 answers a POST that was done
    return RefusedError(problem) if said_no else PermanentError(problem)


def retry_after(answer: Answer) -> float | None:
    """Return how long an answer asks to wait, in seconds (RFC 9110, section 10.2.3); None where it says nothing readable."""
    text = answer.headers.get("retry-after", "")
    if text.isdecimal():
        return min(float(text[:9]), RETRY_AFTER_SECONDS_MAX)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for numbers that no date has
        return None
    seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(0.0, seconds), RETRY_AFTER_SECONDS_MAX)


def _output(what: str, answer: Answer, secrets: list[str]) -> dict[str, Any]:
    kind, encoding = answer.headers.get("content-type", ""), answer.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise PermanentError(f"{what}: the answer is packed ({encoding}), although it was asked for as it is; it is not unpacked")
    try:
        body = values.decode(answer.body) if _JSON.match(kind) and answer.body else answer.body.decode() or None
        headers = {name: text for name, text in answer.headers.items() if name not in _UNKEPT}
        output = {"status": answer.status, "headers": headers, "body": body}
        values.check_value(output)
    except PayloadError as error:
        raise PermanentError(f"{what}: the answer cannot be kept: {without(secrets, str(error))}") from None
    except UnicodeDecodeError:
        raise PermanentError(f"{what}: the answer is neither JSON nor text in UTF-8; ask for another form by 'accept'") from None
    cleaned: dict[str, Any] = without(secrets, output)
    return cleaned
