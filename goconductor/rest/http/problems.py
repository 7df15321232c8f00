"""What went wrong, as RFC 9457 has it: ``application/problem+json`` with a type that names the kind for ever.

No stack trace and no text of an unforeseen exception leaves the process; such a one is logged under the id that the problem
names.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from goconductor.control.faults import RequestInvalidError
from goconductor.control.installation.dead_letters import DeadLetterNotFoundError
from goconductor.control.sagas.requests import RefusedNowError, RequestIdReusedError, StepNotFoundError
from goconductor.control.sagas.starting import DefinitionNotFoundError, InputRefusedError
from goconductor.control.schedules.requests import ScheduleExistsError, ScheduleNotFoundError
from goconductor.errors import (
    BusUnavailableError,
    ConfigurationError,
    DefinitionError,
    GoConductorError,
    PayloadError,
    PayloadTooLargeError,
    PoolerError,
    RequestRefusedError,
    RightsError,
    SagaAlreadyStartedError,
    SagaChangedError,
    SagaNotFoundError,
    SchemaError,
    StoreUnavailableError,
    meant,
)
from goconductor.lifecycle.asked.catalogue import Request as Allowed
from goconductor.redaction import logger_of
from goconductor.saga.types.complaints import unfit

logger = logger_of("goconductor.rest")

MEDIA_TYPE = "application/problem+json"
URN = "urn:goconductor:problem:"
RETRY_AFTER = {"Retry-After": "1"}


class Kind(NamedTuple):
    """A kind of problem."""

    name: str
    status: int
    title: str


INVALID_REQUEST = Kind("invalid-request", 400, "The request cannot be understood")
INVALID_PAYLOAD = Kind("invalid-payload", 400, "The body is not JSON that can be kept")
CROSS_SITE = Kind("cross-site", 403, "A page of another site may not ask for this")
SAGA_NOT_FOUND = Kind("saga-not-found", 404, "There is no such saga")
DEFINITION_NOT_FOUND = Kind("definition-not-found", 404, "There is no such definition")
KEY_TAKEN = Kind("key-taken", 409, "This key has started a saga with other input")
REQUEST_ID_TAKEN = Kind("request-id-taken", 409, "Another request of this saga had this id")
STEP_NOT_FOUND = Kind("step-not-found", 404, "The saga has no such step")
DEAD_LETTER_NOT_FOUND = Kind("dead-letter-not-found", 404, "There is no such dead letter")
SCHEDULE_NOT_FOUND = Kind("schedule-not-found", 404, "There is no such schedule")
SCHEDULE_EXISTS = Kind("schedule-exists", 409, "There is a schedule of this name")
REFUSED = Kind("refused", 409, "The saga's state does not allow this now")
CHANGED = Kind("changed", 412, "The saga has moved on since you looked at it")
TOO_LARGE = Kind("too-large", 413, "The body is too large")
UNSUPPORTED_MEDIA_TYPE = Kind("unsupported-media-type", 415, "The body is not of a type that is read here")
MISDIRECTED = Kind("misdirected", 421, "This server does not go by that name")
INPUT_REFUSED = Kind("input-refused", 422, "The input does not fit the saga's schema")
DEFINITION_REFUSED = Kind("definition-refused", 422, "The definition cannot run")
INTERNAL = Kind("internal", 500, "Something unforeseen went wrong")
UNAVAILABLE = Kind("unavailable", 503, "The saga store cannot be reached now")
BUS_UNAVAILABLE = Kind("bus-unavailable", 503, "The bus cannot be reached now")
RIGHTS_MISSING = Kind("rights-missing", 503, "The database's role lacks a right")
NOT_READY = Kind("not-ready", 503, "Requests cannot be served yet")

KINDS: dict[type[GoConductorError], Kind] = {
    PayloadError: INVALID_PAYLOAD,
    PayloadTooLargeError: TOO_LARGE,
    DefinitionError: DEFINITION_REFUSED,
    RequestRefusedError: REFUSED,
    RequestInvalidError: INVALID_REQUEST,
    InputRefusedError: INPUT_REFUSED,
    SagaNotFoundError: SAGA_NOT_FOUND,
    DefinitionNotFoundError: DEFINITION_NOT_FOUND,
    StepNotFoundError: STEP_NOT_FOUND,
    DeadLetterNotFoundError: DEAD_LETTER_NOT_FOUND,
    ScheduleNotFoundError: SCHEDULE_NOT_FOUND,
    ScheduleExistsError: SCHEDULE_EXISTS,
    SagaAlreadyStartedError: KEY_TAKEN,
    RequestIdReusedError: REQUEST_ID_TAKEN,
    SagaChangedError: CHANGED,
    StoreUnavailableError: UNAVAILABLE,
    BusUnavailableError: BUS_UNAVAILABLE,
    RightsError: RIGHTS_MISSING,
    ConfigurationError: NOT_READY,
    PoolerError: NOT_READY,
    SchemaError: NOT_READY,
}
"""Kinds of problems by the nearest class; an error that is under none of these is unforeseen."""


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
    kind = next((KINDS[each] for each in type(error).__mro__ if each in KINDS), None)
    if kind is None:
        return unforeseen(error, request.method, request.url.path)
    headers = RETRY_AFTER if kind.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    allowed = error.allowed if isinstance(error, RefusedNowError) else None
    return response(kind, str(error), request.url.path, errors=_places(error), allowed=allowed, headers=headers)


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


def _places(error: Exception) -> list[ProblemPlace]:
    match error:
        case PayloadError():
            return [ProblemPlace(path=error.path, problem=error.problem)]
        case RequestInvalidError():
            return [ProblemPlace(path=fault.path, problem=fault.problem) for fault in error.faults]
        case DefinitionError():
            return [ProblemPlace(problem=problem) for problem in error.problems]
        case _:
            return []
