"""What stands in the address and the headers, read strictly: a filter that is mistyped must not answer with everything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, get_args, get_origin
from uuid import UUID

from fastapi import Depends, Path, Request

from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.sagas.requests import expected_of
from goconductor.control.sagas.starting import key_faults
from goconductor.engine.log.folding import Expected
from goconductor.errors import SagaChangedError, nearest
from goconductor.saga.growth import NAME_CHARACTERS_MAX

SagaId = Annotated[UUID, Path(description="the saga's id")]
StepId = Annotated[str, Path(description="the step's id in its saga", min_length=1, max_length=NAME_CHARACTERS_MAX)]

ENTITY_TAG = r'(W/)?"[!#-~]*"'
_ENTITY_TAG = re.compile(ENTITY_TAG)


def _only_known(request: Request) -> None:
    """Refuse what the path would not read: query parameters that it does not have or that stand twice, and a body."""
    known = {field.alias: field.field_info.annotation for field in request.scope["route"].dependant.query_params}
    given = request.query_params.multi_items()
    found = [
        Fault(f"query.{name[:63]}", f"is unknown; {nearest(name, known)}")
        for name in dict.fromkeys(name for name, _ in given)
        if name not in known
    ]
    found += [
        Fault(f"query.{name}", "stands twice; send one")
        for name, annotation in known.items()
        if not _is_list(annotation) and sum(other == name for other, _ in given) > 1
    ]
    if has_body(request) and "requestBody" not in (request.scope["route"].openapi_extra or {}):
        there = f"what it takes stands in the address: {', '.join(known)}" if known else "leave it out"
        found.append(Fault("body", f"is not read here; {there}"))
    if found:
        raise RequestInvalidError("the request", found)


def has_body(request: Request) -> bool:
    """Return whether anything is sent with a request."""
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


STRICT = [Depends(_only_known)]
"""The dependencies of every router."""


@contextmanager
def in_query() -> Iterator[None]:
    """Arguments that were given as query parameters: a fault names its place as such."""
    try:
        yield
    except RequestInvalidError as error:
        raise RequestInvalidError(error.what, [Fault(f"query.{fault.path}", fault.problem) for fault in error.faults]) from None


def if_match(request: Request) -> Expected | None:
    """Return what the client has seen of the saga, by ``If-Match``; None if there is none, or if any state will do.

    Raises:
        RequestInvalidError: the header cannot be read.
        SagaChangedError: it names an entity tag that no saga has, or a weak one, which never matches (RFC 9110, 13.1.1).
    """
    given = [text.strip() for text in request.headers.getlist("if-match")]
    if not given or given == ["*"]:
        return None
    if len(given) > 1 or not _ENTITY_TAG.fullmatch(given[0]):
        problem = 'should be one ETag in quotes as you got it, such as "7-1f", or *'
        raise RequestInvalidError("the request", [Fault("header.if-match", problem)])
    try:
        return expected_of(given[0].strip('"'))
    except RequestInvalidError:
        raise SagaChangedError from None


def idempotency_key(request: Request) -> str | None:
    """Return the client's id of its request, with which it can repeat the request.

    Raises:
        RequestInvalidError: the header comes twice, or cannot be such an id.
    """
    given = request.headers.getlist("idempotency-key")
    if len(given) > 1:
        raise RequestInvalidError("the request", [Fault("header.idempotency-key", "stands twice; send one")])
    if given and (found := key_faults("header.idempotency-key", given[0])):
        raise RequestInvalidError("the request", found)
    return given[0] if given else None


def etag(revision: str) -> dict[str, str]:
    """Return a saga's revision as a header."""
    return {"ETag": f'"{revision}"'}


def below(request: Request, path: str) -> str:
    """Return a path of ours as the client sees it, wherever the application is mounted."""
    return f"{request.scope.get('root_path', '').rstrip('/')}{path}"


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))
