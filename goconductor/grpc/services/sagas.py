"""Sagas: start, look, list, tell."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

from goconductor.aio.first_of import first_of
from goconductor.control.actor import ANYBODY, asked_by
from goconductor.control.diagrams.drawing import saga_diagram
from goconductor.control.doors.limits import (
    HISTORY_MAX,
    PAGE_MAX,
    SIGNAL_CHARACTERS_MAX,
    STARTS_MAX,
    TOKEN_CHARACTERS_MAX,
    WAIT_SECONDS_MAX,
)
from goconductor.control.doors.problems import URN, kind_of
from goconductor.control.sagas import queries, signals, starting
from goconductor.control.settings.settings import Settings
from goconductor.engine.log.start import Started
from goconductor.engine.node import Node
from goconductor.errors import GoConductorError
from goconductor.grpc.calls import patience
from goconductor.grpc.documents import message, read_value
from goconductor.grpc.fields import SEQ_MAX, given, precautions, saga_id, text, where, within
from goconductor.grpc.problems import MESSAGE_BYTES_MAX, shortened
from goconductor.grpc.services.diagrams import drawn, form_of
from goconductor.grpc.v1 import sagas_pb2 as pb
from goconductor.grpc.v1.values_pb2 import Diagram
from goconductor.saga.growth import NAME_CHARACTERS_MAX

ROUND_MAX = 2**31 - 1


class SagaCalls:
    """The methods of ``Sagas`` that are no request of the catalogue.

    Args:
        node: the engine.
        settings: has the limits.
        stopping: set when the server stops: who waits for a saga's end is then answered at once.
    """

    def __init__(self, node: Node, settings: Settings, stopping: asyncio.Event) -> None:
        self._node = node
        self._settings = settings
        self._stopping = stopping

    async def start_saga(self, request: pb.StartSagaRequest, context: Any) -> pb.StartSagaResponse:
        """Start a saga, and wait for its end, if wanted."""
        wait_seconds = within("wait_seconds", request.wait_seconds, 0, WAIT_SECONDS_MAX)
        started = await self._start(request, reply=wait_seconds > 0)
        await self._end(started.saga_id, patience(context, wait_seconds))
        detail = await queries.saga_status(ANYBODY, self._node, started.saga_id)
        return pb.StartSagaResponse(saga=message(pb.SagaDetail, detail), existing=started.existing)

    async def start_sagas(self, request: pb.StartSagasRequest, _context: Any) -> pb.StartSagasResponse:
        """Start many at once; each is started or refused for itself."""
        within("starts", len(request.starts), 1, STARTS_MAX)
        return pb.StartSagasResponse(outcomes=await asyncio.gather(*map(self._outcome, request.starts)))

    async def get_saga(self, request: pb.GetSagaRequest, _context: Any) -> pb.SagaDetail:
        """Return a saga with its steps."""
        return await self._detail(saga_id(request))

    async def find_saga(self, request: pb.FindSagaRequest, _context: Any) -> pb.SagaDetail:
        """Return the saga that a key has started."""
        return await self._detail(await queries.saga_of_key(ANYBODY, self._node, request.saga, request.key))

    async def get_result(self, request: pb.GetResultRequest, context: Any) -> pb.SagaDetail:
        """Wait for a saga's end, and return it as it then is."""
        wanted = saga_id(request)
        wait_seconds = within("wait_seconds", request.wait_seconds, 0, WAIT_SECONDS_MAX)
        await self._end(wanted, patience(context, wait_seconds))
        return await self._detail(wanted)

    async def list_sagas(self, request: pb.ListSagasRequest, _context: Any) -> pb.SagaPage:
        """Return sagas, newest first."""
        limit = within("limit", given(request, "limit", 50), 1, PAGE_MAX)
        page = await queries.list_sagas(
            ANYBODY,
            self._node,
            **where(request.where),
            key=given(request, "key"),
            cursor=given(request, "cursor"),
            limit=limit,
        )
        return message(pb.SagaPage, page)

    async def get_history(self, request: pb.GetHistoryRequest, _context: Any) -> pb.History:
        """Return the events of a saga, oldest first."""
        after = within("after", request.after, 0, SEQ_MAX)
        limit = within("limit", given(request, "limit", HISTORY_MAX), 1, HISTORY_MAX)
        return message(pb.History, await queries.history(ANYBODY, self._node, saga_id(request), after=after, limit=limit))

    async def get_saga_diagram(self, request: pb.GetSagaDiagramRequest, _context: Any) -> Diagram:
        """Return a diagram of a saga."""
        form = form_of(request)
        return drawn(await saga_diagram(ANYBODY, self._node, saga_id(request), form=form), form)

    async def signal(self, request: pb.SignalRequest, _context: Any) -> pb.SagaDetail:
        """Tell a saga that something has happened."""
        detail = await signals.signal(
            asked_by(request.by),
            self._node,
            saga_id(request),
            text("name", request.name, SIGNAL_CHARACTERS_MAX),
            read_value(request, "payload"),
            precautions=precautions(request),
        )
        return message(pb.SagaDetail, detail)

    async def approve(self, request: pb.ApproveRequest, _context: Any) -> pb.SagaDetail:
        """Approve a step that waits for that."""
        detail = await signals.approve(
            asked_by(request.by),
            self._node,
            saga_id(request),
            text("step", request.step, NAME_CHARACTERS_MAX),
            reason=request.reason,
            round=within("round", request.round, 0, ROUND_MAX),
            precautions=precautions(request),
        )
        return message(pb.SagaDetail, detail)

    async def report(self, request: pb.ReportRequest, _context: Any) -> pb.SagaDetail:
        """Report how a step has ended that was handed out."""
        detail = await signals.report(
            asked_by(request.by),
            self._node,
            text("token", request.token, TOKEN_CHARACTERS_MAX),
            output=read_value(request, "output"),
            failure=request.failure,
            refused=request.refused,
            final=not request.again,
        )
        return message(pb.SagaDetail, detail)

    async def _detail(self, wanted: UUID) -> pb.SagaDetail:
        return message(pb.SagaDetail, await queries.saga_status(ANYBODY, self._node, wanted))

    async def _start(self, request: pb.StartSagaRequest | pb.StartOfMany, *, reply: bool) -> Started:
        return await starting.start(
            asked_by(),
            self._node,
            request.saga,
            read_value(request, "input"),
            key=given(request, "key"),
            labels=dict(request.labels),
            version=given(request, "version"),
            reply=reply,
            priority=given(request, "priority"),
        )

    async def _outcome(self, request: pb.StartOfMany) -> pb.StartOutcome:
        try:
            started = await self._start(request, reply=False)
        except GoConductorError as error:
            if (kind := kind_of(error)) is None:
                raise
            detail = shortened(str(error), MESSAGE_BYTES_MAX)
            return pb.StartOutcome(problem=pb.Problem(type=f"{URN}{kind.name}", title=kind.title, detail=detail))
        return pb.StartOutcome(saga_id=str(started.saga_id), existing=started.existing)

    async def _end(self, wanted: UUID, seconds: float) -> None:
        """Wait until a saga has ended, the time is over, or this server stops."""
        if seconds > 0:
            with suppress(TimeoutError):
                await first_of(self._node.wait_for_end(wanted, seconds), self._stopping.wait())
