"""Steps of :mod:`goconductor.system` in sagas that are written in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

import msgspec

from goconductor.errors import ArgumentError
from goconductor.saga.writing.builder import Saga
from goconductor.saga.writing.steps import CodeOptions, Step
from goconductor.saga.writing.undo import Undo
from goconductor.system.given import own_names
from goconductor.system.http.inputs import HttpInputs
from goconductor.system.publish import PublishInputs


class PublishedMessage(msgspec.Struct, frozen=True):
    """The output of a step that :func:`publish_step` adds.

    Args:
        topic: where it was sent to.
        id: of the event: the step's idempotency key.
        source: of the event.
    """

    topic: str
    id: str
    source: str


class HttpAnswer(msgspec.Struct, frozen=True):
    """The output of a step that :func:`http_step` adds.

    Args:
        status: of the answer, such as 201.
        headers: by their names in small letters; those that set cookies are left out.
        body: JSON values where the answer is JSON, else its text; None where there is none.
    """

    status: int
    headers: dict[str, str]
    body: Any = None


def http_step(
    saga: Saga[Any, Any],
    method: str,
    url: str,
    /,
    *,
    headers: Mapping[str, str] | None = None,
    query: object = None,
    body: object = msgspec.UNSET,
    expected: Sequence[int | str] | None = None,
    final: Sequence[int | str] | None = None,
    idempotency_header: str | None = "Idempotency-Key",
    undo: Mapping[str, Any] | Undo | Literal["none"] | None = None,
    **options: Unpack[CodeOptions],
) -> Step[HttpAnswer]:
    """Add a step that sends an HTTP request and needs no participant of yours: ``system.http``.

    Args:
        saga: the saga that it is added to.
        method: GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.
        url: what is called. Path and query may have placeholders: ``https://api.example.com/orders/{order}``.
        headers: name → text, with placeholders and secrets: ``"Bearer ${secret:token}"``.
        query: added to the url: a dict of name → text, number, true or false, or a list of them; or the place of one.
        body: what is sent as JSON: a place (``order.input``) or a constant.
        expected: statuses of success: numbers, or texts such as ``"2xx"``, which is the default.
        final: statuses after which nothing is tried again. None: those below 500 but 408, 425 and 429.
        idempotency_header: the header that has the idempotency key; None sends none.
        undo: the request that undoes this one: a dict of ``url``, and of ``method``, ``headers``, ``query``, ``body``,
            ``expected`` and ``final`` as above. Its texts may have the placeholders ``{output.body.id}`` and ``{action_key}``.
            Or a declared undo, or ``"none"``, as any step may have.
        options: what :class:`CodeOptions` lists; ``inputs`` has the placeholders' values: ``inputs={"order": order.input.id}``.

    Returns:
        The step; its output is a :class:`HttpAnswer`.

    Raises:
        ArgumentError: there is no such option, something is of a wrong type, or a placeholder has the name of an argument.
    """
    values = _values(options, own_names(HttpInputs), "http_step")
    given = {"headers": headers, "query": query, "expected": expected, "final": final, "undo": _request(undo)}
    own: dict[str, object] = {"method": method, "url": url} | {name: each for name, each in given.items() if each is not None}
    if body is not msgspec.UNSET:
        own["body"] = body
    if idempotency_header != "Idempotency-Key":
        own["idempotency_header"] = idempotency_header
    options["inputs"] = own | values
    return saga.step("system.http", output=HttpAnswer, undo=_declared(undo), **options)


def publish_step(
    saga: Saga[Any, Any],
    topic: str,
    type: str,
    /,
    *,
    data: object = None,
    subject: str | None = None,
    key: str | None = None,
    undo: Mapping[str, Any] | Undo | Literal["none"] | None = None,
    **options: Unpack[CodeOptions],
) -> Step[PublishedMessage]:
    """Add a step that sends a CloudEvent over the bus in use and needs no participant of yours: ``system.publish``.

    Args:
        saga: the saga that it is added to.
        topic: letters, digits, ``.``, ``_`` and ``-``; it does not begin with ``goconductor``.
        type: what has happened, such as ``"com.example.order.placed"``.
        data: of the event: a place (``order.input``) or a constant.
        subject: what it is about: a text that may have placeholders.
        key: messages with the same key stay in order where the bus can: a text that may have placeholders. None takes the
            saga's id.
        undo: the message that takes this one back: a dict of ``topic``, ``type``, ``data``, ``subject`` and ``key``. Its texts
            may have the placeholder ``{action_key}``, which is the id of this one. Or a declared undo, or ``"none"``.
        options: what :class:`CodeOptions` lists; ``inputs`` has the placeholders' values.

    Returns:
        The step; its output is a :class:`PublishedMessage`.

    Raises:
        ArgumentError: there is no such option, something is of a wrong type, or a placeholder has the name of an argument.
    """
    values = _values(options, own_names(PublishInputs), "publish_step")
    given = {"data": data, "subject": subject, "key": key, "undo": _request(undo)}
    own: dict[str, object] = {"topic": topic, "type": type} | {name: each for name, each in given.items() if each is not None}
    options["inputs"] = own | values
    return saga.step("system.publish", output=PublishedMessage, undo=_declared(undo), **options)


def _request(undo: Mapping[str, Any] | Undo | Literal["none"] | None) -> Mapping[str, Any] | None:
    """Return the undo that the system's own compensation sends."""
    return None if isinstance(undo, Undo | str) else undo


def _declared(undo: Mapping[str, Any] | Undo | Literal["none"] | None) -> Undo | Literal["none"] | None:
    """Return the undo that stands in the definition, in place of that."""
    return undo if isinstance(undo, Undo | str) else None


def _values(options: CodeOptions, own: frozenset[str], function: str) -> dict[str, object]:
    """Return the values of placeholders, which are not arguments of the function."""
    values = dict(options.pop("inputs", {}))
    if taken := sorted(own & values.keys()):
        raise ArgumentError(f"inputs has {taken[0]!r}, which is an argument of {function}; give it there, or rename the value")
    return values
