"""What ``system.http`` takes, as a definition gives it, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from goconductor.errors import HIDDEN
from goconductor.system.given import own_names
from goconductor.system.guard import HOST
from goconductor.system.templates import Template, templates_in

Method: TypeAlias = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Statuses: TypeAlias = tuple[int | str, ...]

EXPECTED: Statuses = ("2xx",)
PASSING = frozenset({408, 425, 429})
"""Statuses below 500 after which another attempt may succeed: timeout, too early, too many requests (RFC 9110, 8470, 6585)."""

_STATUSES = re.compile(r"[1-5]xx")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_OURS = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
    }
)
"""Headers that say how the message travels."""


class Call(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request.

    Args:
        url: a template; its scheme, host and port are constants.
        method: one of HTTP's.
        headers: name → template, which may name secrets.
        query: name → text, number, true or false, or a list of them; added to the url's own query.
        body: sent as JSON; or a text as it is, if a header gives another content type.
        expected: statuses of success: numbers, or texts such as ``"2xx"``.
        final: statuses after which nothing is tried again; None: those below 500 but 408, 425 and 429.
    """

    url: str
    method: Method = "POST"
    headers: dict[str, str] = {}
    query: dict[str, Any] = {}
    body: Any = msgspec.UNSET
    expected: Statuses = EXPECTED
    final: Statuses | None = None

    def is_expected(self, status: int) -> bool:
        """Return whether a status is success."""
        return _stands_in(self.expected, status)

    def is_final(self, status: int) -> bool:
        """Return whether another attempt would not help."""
        return _stands_in(self.final, status) if self.final is not None else status < 500 and status not in PASSING


class HttpInputs(Call, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All inputs that have a meaning of their own; others are values of placeholders.

    Args:
        idempotency_header: the header that has the idempotency key; None sends none.
        undo: the request that undoes this one.
    """

    idempotency_header: str | None = "Idempotency-Key"
    undo: Call | None = None


CONSTANT = own_names(HttpInputs) - {"query", "body"}
"""Inputs that a saga's data may not give: they decide who is called, and with which secrets."""


def faults(inputs: HttpInputs) -> Iterator[str]:
    """Yield what is wrong with inputs, each with its remedy; names of placeholders are looked at elsewhere."""
    yield from _faults_of(inputs, "")
    if inputs.undo is not None:
        yield from _faults_of(inputs.undo, "undo.")
    header = inputs.idempotency_header
    if header is not None and (not _HEADER.fullmatch(header) or header.lower() in _OURS):
        yield f"its idempotency_header {header[:100]!a} can name no header of yours; use one such as Idempotency-Key, or null"


def templates_of(call: Call, *, constant_data: bool) -> Iterator[Template]:
    """Yield all templates of a request.

    Args:
        call: the request.
        constant_data: whether ``query`` and ``body`` are templates too, as in an ``undo``.

    Raises:
        ValueError: one is no template.
    """
    yield Template.parse(call.url)
    yield from templates_in(call.headers)
    if constant_data:
        yield from templates_in(call.query)
        if call.body is not msgspec.UNSET:
            yield from templates_in(call.body)


def _faults_of(call: Call, where: str) -> Iterator[str]:
    try:
        url_of(call.url)
    except ValueError as error:
        yield f"its {where}url {error}"
    for name, text in call.headers.items():
        if not _HEADER.fullmatch(name):
            yield f"its {where}headers name {name[:100]!a}, which is no header; use letters, digits and '-'"
        elif name.lower() in _OURS:
            yield f"its {where}headers have {name!r}, which is set for each request; leave it out"
        if not text.isascii() or not text.isprintable():
            yield f"its {where}header {name!r} has other than printable ASCII characters; encode it"
        try:
            Template.parse(text)
        except ValueError as error:
            yield f"its {where}header {name!r} {error}"
    for name, statuses in (("expected", call.expected), ("final", call.final or ())):
        for status in statuses:
            if not (_STATUSES.fullmatch(status) if isinstance(status, str) else 100 <= status <= 599):
                yield f"its {where}{name} has {status!r}; write a status such as 201, or all of a kind as '2xx'"
    if where:
        for name, data in (("query", call.query), ("body", call.body)):
            try:
                found = [] if data is msgspec.UNSET else [*templates_in(data)]
            except ValueError as error:
                yield f"its {where}{name} {error}"
            else:
                if any([*template.secrets] for template in found):
                    yield f"its {where}{name} has a secret, which may stand in a header only; put it there"


@lru_cache(maxsize=1_000)
def url_of(text: str) -> tuple[bool, str, int, Template]:
    """Read a URL: whether it is https, its host and port, and the template of path and query.

    Raises:
        ValueError: it is none that may be called; says why.
    """
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("has spaces or other than printable ASCII characters; percent-encode them")
    scheme, mark, rest = text.partition("://")
    if scheme not in ("http", "https") or not mark:
        raise ValueError("begins with neither https:// nor http://; write it in full, such as https://api.example.com/orders")
    end = next((number for number, letter in enumerate(rest) if letter in "/?#"), len(rest))
    authority, path = rest[:end], rest[end:]
    if "@" in authority:
        raise ValueError(f"has a user or password before its host ({HIDDEN}); send it in a header, as a secret")
    if "{" in authority or "}" in authority:
        raise ValueError("has a placeholder in its host; a saga's data may not choose whom a step calls, so write the host out")
    try:
        port = urlsplit(f"//{authority}").port
    except ValueError:
        raise ValueError("has an invalid port; use 1 to 65535") from None
    host = authority.lower().removesuffix(f":{port}")
    if not HOST.fullmatch(host) or host.startswith("*") or port == 0:
        raise ValueError("names no host; write it in full, such as https://api.example.com/orders")
    if "#" in path:
        raise ValueError("has a fragment ('#…'), which is never sent; remove it")
    template = Template.parse(path if path.startswith("/") else f"/{path}")
    if [*template.secrets]:
        raise ValueError("has a secret, which may stand in a header only; put it there")
    return scheme == "https", host.strip("[]"), port or (443 if scheme == "https" else 80), template


def _stands_in(statuses: Statuses, status: int) -> bool:
    return status in statuses or f"{status // 100}xx" in statuses
