"""Bodies in, documents out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from goconductor.control.doors.bodies import decoded
from goconductor.control.doors.problems import TOO_LARGE, UNSUPPORTED_MEDIA_TYPE
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.errors import nearest
from goconductor.rest.http.parameters import has_body
from goconductor.rest.http.problems import BodyRefusedError
from goconductor.saga.data.values import place
from goconductor.saga.types.complaints import unfit

Kind = TypeVar("Kind", bound=BaseModel)

ENVELOPE_BYTES = 64 * 1024
"""Room in a body for all but the values that are kept, in bytes: those have a limit of their own."""


async def read_json(request: Request, bytes_max: int) -> Any:
    """Read the body as JSON values. No more than the limit is ever held, whatever length the client announces.

    Args:
        request: the request with the body.
        bytes_max: greatest size of the body, in bytes.

    Raises:
        BodyRefusedError: it is too large, or not JSON by its type.
        PayloadError: it is not JSON, or holds what cannot be kept.
    """
    _check_type(request)
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() else 0
    body = bytearray()
    if size <= bytes_max:
        async for chunk in request.stream():
            body += chunk
            if (size := len(body)) > bytes_max:
                break
    if size > bytes_max:
        raise BodyRefusedError(TOO_LARGE, f"it is more than {bytes_max:,} bytes; keep it elsewhere and send a reference to it")
    return decoded(bytes(body))


async def read_body(request: Request, kind: type[Kind], bytes_max: int) -> Kind:
    """Read the body as a document of ours; without a body, the empty document.

    Args:
        request: the request with the body.
        kind: the document's class.
        bytes_max: greatest size of the body, in bytes.

    Raises:
        BodyRefusedError, PayloadError: as :func:`read_json`.
        RequestInvalidError: it is JSON of another shape; names every place.
    """
    body = await read_json(request, bytes_max) if has_body(request) else {}
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        found = [_fault(kind, each) for each in error.errors(include_url=False, include_input=False)]
        raise RequestInvalidError("the body", found) from None


def body_of(kind: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return the description of such a body for OpenAPI."""
    content = {"application/json": {"schema": kind.model_json_schema()}}
    return {"requestBody": {"required": required, "description": kind.__doc__, "content": content}}


def document(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a document."""
    return Response(model.model_dump_json(), status, dict(headers or {}), "application/json")


def _fault(kind: type[BaseModel], error: ErrorDetails) -> Fault:
    path = "$"
    for part in error["loc"]:
        path = place(path, part)
    if error["type"] == "extra_forbidden":
        return Fault(path, f"is unknown; {nearest(str(error['loc'][-1]), kind.model_fields)}")
    return Fault(path, unfit(error))


def _check_type(request: Request) -> None:
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise BodyRefusedError(UNSUPPORTED_MEDIA_TYPE, "send JSON, and the header 'Content-Type: application/json'")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if parameters.strip().lower().startswith("charset=") and charset not in ("utf-8", "utf8", "us-ascii"):
        raise BodyRefusedError(UNSUPPORTED_MEDIA_TYPE, "send JSON as UTF-8")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise BodyRefusedError(UNSUPPORTED_MEDIA_TYPE, "send the body as it is, without Content-Encoding")
