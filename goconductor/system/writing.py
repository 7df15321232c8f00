"""Steps of :mod:`goconductor.system` in sagas that are written in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import msgspec

from goconductor.errors import ArgumentError
from goconductor.saga.writing.builder import Saga
from goconductor.saga.writing.steps import Step, StepOptions
from goconductor.system.http_inputs import RESERVED


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
    undo: Mapping[str, Any] | None = None,
    **options: Unpack[StepOptions],
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
        options: what :class:`StepOptions` lists; ``inputs`` has the placeholders' values: ``inputs={"order": order.input.id}``.

    Returns:
        The step; its output is a :class:`HttpAnswer`.

    Raises:
        ArgumentError: there is no such option, something is of a wrong type, or a placeholder has the name of an argument.
    """
    values = options.pop("inputs", {})
    if taken := sorted(RESERVED & values.keys()):
        raise ArgumentError(
            f"inputs has {taken[0]!r}, which is an argument of http_step; give it there, or name the value otherwise"
        )
    given = {"headers": headers, "query": query, "expected": expected, "final": final, "undo": undo}
    own: dict[str, object] = {"method": method, "url": url} | {name: each for name, each in given.items() if each is not None}
    if body is not msgspec.UNSET:
        own["body"] = body
    if idempotency_header != "Idempotency-Key":
        own["idempotency_header"] = idempotency_header
    options["inputs"] = own | dict(values)
    return saga.step("system.http", output=HttpAnswer, **options)
