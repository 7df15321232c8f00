"""A saga's events as they happen, in one stream, which goes on from any seq.

A client that has lost its stream opens another one after the last seq that it got. While nothing happens a sign of life comes now
and then, so that each side notices when the other is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from goconductor.control.actor import ANYBODY
from goconductor.control.models import HistoryEntry
from goconductor.control.sagas.queries import saga_status
from goconductor.control.sagas.requests import expected_of
from goconductor.control.settings.settings import Settings
from goconductor.control.watching.everything import watch_all
from goconductor.control.watching.streaming import stream
from goconductor.engine.node import Node
from goconductor.errors import ConfigurationError
from goconductor.grpc.documents import message
from goconductor.grpc.fields import SEQ_MAX, given, saga_id, within
from goconductor.grpc.places import Places
from goconductor.grpc.v1 import sagas_pb2 as pb
from goconductor.grpc.v1.values_pb2 import Nothing
from goconductor.lifecycle.facts.status import SagaStatus


class WatchCalls:
    """The methods of ``Sagas`` that stream.

    Args:
        node: the engine.
        settings: has the limits.
        stopping: set when the server stops.
    """

    def __init__(self, node: Node, settings: Settings, stopping: asyncio.Event) -> None:
        self._node = node
        self._places = Places(settings.grpc.watches_max)
        self._stopping = stopping

    async def watch_saga(self, request: pb.WatchSagaRequest, _context: Any) -> AsyncIterator[pb.SagaEvent]:
        """Yield the saga's events, and those to come, until it has ended."""
        after, wanted = within("after", request.after, 0, SEQ_MAX), saga_id(request)
        with self._places.taken():
            detail = await saga_status(ANYBODY, self._node, wanted)
            after = min(after, expected_of(detail.revision).seq)
            async with aclosing(stream(ANYBODY, self._node, wanted, after, self._stopping)) as told:
                async for each in told:
                    yield _said(each)
                    if isinstance(each, SagaStatus):
                        return
        raise ConfigurationError("the server stops; watch again after the last seq that you got")

    async def watch_all(self, request: pb.WatchAllRequest, _context: Any) -> AsyncIterator[pb.FeedSignal]:
        """Yield the events of all sagas, and those to come."""
        with self._places.taken():
            told = await watch_all(
                ANYBODY,
                self._node,
                self._stopping,
                after=given(request, "after"),
                saga=given(request, "saga"),
                status=list(request.status),
                labels=dict(request.labels),
            )
            async with aclosing(told):
                async for each in told:
                    yield (
                        pb.FeedSignal(reached=each) if isinstance(each, str) else pb.FeedSignal(event=message(pb.FeedEvent, each))
                    )
        raise ConfigurationError("the server stops; watch again after the last cursor that you got")


def _said(each: HistoryEntry | SagaStatus | None) -> pb.SagaEvent:
    match each:
        case None:
            return pb.SagaEvent(alive=Nothing())
        case SagaStatus():
            return pb.SagaEvent(ended=each.value)
        case HistoryEntry():
            return pb.SagaEvent(entry=message(pb.HistoryEntry, each))
