"""What operators ask of sagas: one method for each request of the catalogue, and one for many sagas."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from uuid import UUID

from goconductor.control.actor import ANYBODY, Actor, asked_by
from goconductor.control.doors.limits import TEXT_CHARACTERS_MAX
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.sagas import bulk
from goconductor.control.sagas.bulk import Selected
from goconductor.control.sagas.requests import ask, preview_restart
from goconductor.engine.node import Node
from goconductor.grpc.documents import message, read_object, read_value
from goconductor.grpc.fields import given, precautions, saga_id, text, where
from goconductor.grpc.v1 import sagas_pb2 as pb
from goconductor.lifecycle.requests.catalogue import CATALOGUE, Kind, Operation, Parameter
from goconductor.saga.growth import NAME_CHARACTERS_MAX


class RequestCalls:
    """The methods of ``Sagas`` that ask something.

    Args:
        node: the engine.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def of_catalogue(self) -> dict[str, Callable[..., Awaitable[pb.SagaDetail]]]:
        """Return a method for each request of the catalogue, by its name."""
        return {operation.request.value: partial(self._ask, operation) for operation in CATALOGUE}

    async def ask_in_bulk(self, request: pb.AskInBulkRequest, _context: Any) -> pb.BulkReport:
        """Ask the same of many sagas."""
        values = read_object(request, "values")
        asked = bulk.read_bulk(request.request, step=given(request, "step"), reason=request.reason, values=values)
        actor = asked_by(request.by)
        sagas = await self._selected(actor, request)
        report = await bulk.bulk(
            actor, self._node, asked, sagas, request_id=given(request, "request_id"), dry_run=request.dry_run
        )
        return message(pb.BulkReport, report)

    async def preview_restart(self, request: pb.PreviewRestartRequest, _context: Any) -> pb.RestartPreview:
        """Tell what a restart would do."""
        inputs = read_object(request, "inputs") if request.HasField("inputs") else None
        found = await preview_restart(ANYBODY, self._node, saga_id(request), from_step=request.from_step, inputs=inputs)
        return message(pb.RestartPreview, found)

    async def _ask(self, operation: Operation, request: Any, _context: Any) -> pb.SagaDetail:
        step = text("step", request.step, NAME_CHARACTERS_MAX) if operation.about_step else ""
        reason = request.reason if operation.takes_reason else ""
        values = {each.name: _value(operation, each, request) for each in operation.parameters}
        asked = operation.asked(step=step, reason=reason, values=values)
        detail = await ask(asked_by(request.by), self._node, saga_id(request), asked, precautions(request))
        return message(pb.SagaDetail, detail)

    async def _selected(self, actor: Actor, request: pb.AskInBulkRequest) -> list[Selected]:
        if request.HasField("where") == bool(request.sagas):
            raise _invalid("sagas", "or where must be given, and not both")
        if not request.HasField("where"):
            return [
                Selected(saga_id=_id(number, each.saga_id), revision=given(each, "revision"))
                for number, each in enumerate(request.sagas)
            ]
        if not request.dry_run:
            raise _invalid("where", "is for a dry run, whose answer has the sagas; send those, so that the same ones are asked")
        return await bulk.select(actor, self._node, **where(request.where))


def _id(number: int, given_id: str) -> UUID:
    try:
        return UUID(given_id)
    except ValueError:
        raise _invalid(f"sagas[{number}].saga_id", "should be a saga's id, a UUID") from None


def _value(operation: Operation, parameter: Parameter, request: Any) -> Any:
    name = parameter.name
    if not request.HasField(name):
        if parameter.required:
            raise _invalid(name, f"is missing: {parameter.about}")
        return operation.default(parameter)
    match parameter.kind:
        case Kind.VALUE:
            return read_value(request, name)
        case Kind.VALUES:
            return read_object(request, name)
        case Kind.TEXT:
            return text(name, getattr(request, name), TEXT_CHARACTERS_MAX)
        case Kind.FLAG | Kind.STEP:
            return getattr(request, name)


def _invalid(name: str, problem: str) -> RequestInvalidError:
    return RequestInvalidError("the request", [Fault(name, problem)])
