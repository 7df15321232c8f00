"""Runs of dataflows."""

from __future__ import annotations

import asyncio
from typing import Any

from goconductor.control.actor import asked_by
from goconductor.control.dataflows import runs
from goconductor.control.doors.limits import WAIT_SECONDS_MAX
from goconductor.control.sagas.starting import KEY_CHARACTERS_MAX
from goconductor.engine.node import Node
from goconductor.grpc.calls import patience
from goconductor.grpc.documents import message, read_object
from goconductor.grpc.fields import given, text, within
from goconductor.grpc.v1 import dataflows_pb2 as pb
from goconductor.saga.growth import NAME_CHARACTERS_MAX


class DataflowCalls:
    """The methods of ``Dataflows``.

    Args:
        node: the engine.
        stopping: set when the server stops: who waits is then answered at once.
    """

    def __init__(self, node: Node, stopping: asyncio.Event) -> None:
        self._node = node
        self._stopping = stopping

    async def run(self, request: pb.RunRequest, context: Any) -> pb.DataflowRun:
        """Give a dataflow data and let run what can."""
        wait_seconds = within("wait_seconds", given(request, "wait_seconds", runs.TIMEOUT_SECONDS), 0, WAIT_SECONDS_MAX)
        answer = await runs.run(
            asked_by(request.by),
            self._node,
            text("name", request.name, NAME_CHARACTERS_MAX),
            text("id", request.id, KEY_CHARACTERS_MAX),
            read_object(request, "data"),
            close=request.close,
            timeout_seconds=patience(context, wait_seconds),
            stopping=self._stopping,
        )
        return message(pb.DataflowRun, answer)
