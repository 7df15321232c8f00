"""What went wrong, as RFC 9457 has it: ``application/problem+json`` with a type that names the kind for ever.

No stack trace and no text of an unforeseen exception leaves the process; such a one is logged under the id that the problem
names.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from goconductor.control.doors.problems import (
    FORBIDDEN,
    INPUT_REFUSED,
    INTERNAL,
    INVALID_REQUEST,
    URN,
    Kind,
    kind_of,
    places_of,
)
from goconductor.control.sagas.requests import RefusedNowError
from goconductor.errors import meant
from goconductor.lifecycle.requests.catalogue import Request as Allowed
from goconductor.redaction import logger_of
from goconductor.saga.types.complaints import unfit

logger = logger_of("goconductor.rest")

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = {"Retry-After": "1"}


def challenge(error: str | None = None) -> dict[str, str]:
    """Return the header that says what is wanted of who asks, by RFC 6750.

    Args:
        error: what was wrong with what came, by its code there; None where nothing came.
    """
    return {"WWW-Authenticate": 'Bearer realm="goconductor"' + (f', error="{error}"' if error else "")}


class ProblemPlace(BaseModel):
    """One of several things that are wrong."""

    path: Annotated[
        str | None, Field(description="where: a JSONPath, a parameter, or a part of the server", examples=["$.quantity"])
    ] = None
    problem: str = Field(description="what is wrong there, and the remedy", examples=["should be a whole number"])


class Problem(BaseModel):
    """A problem, by RFC 9457."""

    type: str = Field(description="the kind, the same for ever", examples=[f"{URN}input-refused"])
    title: str = Field(examples=[INPUT_REFUSED.title])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["the input does not fit saga 'order': $.quantity should be a whole number"])
    instance: str = Field(description="the path asked for, or the id under which it was logged", examples=["/v1/sagas/order"])
    errors: Annotated[list[ProblemPlace] | None, Field(description="every place, where there are several")] = None
    allowed: Annotated[list[Allowed] | None, Field(description="what the saga would accept instead")] = None


class BodyRefusedError(Exception):
    """The body cannot be read as it was sent.

    Args:
        kind: too large, or of another type.
        detail: why, and the remedy.
    """

    def __init__(self, kind: Kind, detail: str) -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(detail)


def response(
    kind: Kind,
    detail: str,
    instance: str,
    *,
    errors: Iterable[ProblemPlace] = (),
    allowed: Iterable[Allowed] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer with a problem.

    Args:
        kind: its type, status and title.
        detail: this occurrence, and the remedy.
        instance: the path asked for, or the id under which it was logged.
        errors: the places.
        allowed: the requests that the saga would accept instead.
        headers: headers of the response.
    """
    body = Problem(
        type=f"{URN}{kind.name}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=instance,
        errors=list(errors) or None,
        allowed=None if allowed is None else list(allowed),
    )
    return Response(body.model_dump_json(exclude_none=True), kind.status, dict(headers or {}), MEDIA_TYPE)


def unforeseen(error: BaseException, method: str, path: str) -> Response:
    """Answer with an unforeseen problem. It is logged in full under an id, and the answer has nothing but that id."""
    number = uuid.uuid4()
    logger.error("%s %s failed unforeseen, problem %s", method, path, number, exc_info=error)
    return response(INTERNAL, f"it was logged as {number}; tell the operator of this server that id", f"urn:uuid:{number}")


async def on_error(request: Request, error: Exception) -> Response:
    """Answer with one of our own errors."""
    kind = kind_of(error)
    if kind is None:
        return unforeseen(error, request.method, request.url.path)
    headers = RETRY_AFTER if kind.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    if kind is FORBIDDEN:
        headers = challenge("insufficient_scope")
    allowed = error.allowed if isinstance(error, RefusedNowError) else None
    return response(
        kind,
        str(error),
        request.url.path,
        errors=[ProblemPlace(path=fault.path or None, problem=fault.problem) for fault in places_of(error)],
        allowed=allowed,
        headers=headers,
    )


async def on_body(request: Request, error: Exception) -> Response:
    """Answer to a body that is too large, or of another type."""
    assert isinstance(error, BodyRefusedError)  # noqa: S101  (as it was registered)
    return response(error.kind, error.detail, request.url.path)


async def on_invalid(request: Request, error: Exception) -> Response:
    """Answer to a parameter that does not fit."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  (as it was registered)
    places = [ProblemPlace(path=_path(each["loc"]), problem=unfit(each) + _meant(each)) for each in error.errors()]
    detail = "; ".join(f"{place.path} {place.problem}" for place in places)
    return response(INVALID_REQUEST, detail, request.url.path, errors=places)


async def on_http(request: Request, error: Exception) -> Response:
    """Answer to an unknown path, or another method."""
    assert isinstance(error, HTTPException)  # noqa: S101  (as it was registered)
    status = HTTPStatus(error.status_code)
    kind = Kind(status.phrase.lower().replace(" ", "-"), status.value, status.phrase)
    headers = {"Allow": ", ".join(_served(request))} if status is HTTPStatus.METHOD_NOT_ALLOWED else dict(error.headers or {})
    return response(kind, f"{request.method} is not served here; see /openapi.json", request.url.path, headers=headers)


def _served(request: Request) -> list[str]:
    """Return the methods of a path. The router has those of the first of several routes with that path; the document has all."""
    path = request.url.path.removeprefix(request.scope.get("root_path", "").rstrip("/"))
    served = {"OPENAPI": ["GET"]} if path == request.app.openapi_url else {}
    for template, operations in request.app.openapi()["paths"].items():
        if compile_path(template)[0].fullmatch(path):
            served[template] = [method.upper() for method in operations]
    methods = {method for each in served.values() for method in each}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def _meant(found: Mapping[str, Any]) -> str:
    """Return the nearest of the allowed values, if there are such and one is near."""
    known = re.findall(r"'([^']*)'", str(found.get("ctx", {}).get("expected", "")))
    near = meant(str(found.get("input"))[:100], known)
    return f"; did you mean {near}?" if near else ""


def _path(parts: Sequence[int | str]) -> str:
    """Return a parameter's place; of one that may be repeated, without its number."""
    return ".".join(str(part) for part in parts if not (parts[0] == "query" and isinstance(part, int)))
