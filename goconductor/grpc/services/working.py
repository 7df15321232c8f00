"""Remote workers over one stream: what a worker says goes to the gateway, what the gateway has for it goes out.

A task reads what the worker sends, while the stream itself writes. Where a worker takes nothing, reading it stops as well, so
that it cannot make the server keep answers without end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from goconductor.aio.tasks import create_guarded_task, end
from goconductor.control.actor import asked_by
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.installation.workers import credit_faults, join, outcome_of, registration_of
from goconductor.control.settings.doors import GatewaySettings
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.errors import GoConductorError
from goconductor.gateway.gateway import Gateway
from goconductor.gateway.protocol import (
    ALIVE_SECONDS,
    Acknowledged,
    Cancelled,
    Draining,
    GatewayClosedError,
    Registration,
    SessionGoneError,
    Side,
    Task,
    Told,
)
from goconductor.gateway.session import Session
from goconductor.grpc.documents import JSON, read_value
from goconductor.grpc.fields import given
from goconductor.grpc.v1 import workers_pb2 as pb
from goconductor.grpc.v1.values_pb2 import Nothing, Value

BACKLOG_MAX = 2_000
"""Messages that wait for a worker, beyond its credit, from which on it is not read."""
PAUSE_SECONDS = 0.1
"""Seconds between two looks at a backlog that is too long to read on."""


class WorkCalls:
    """The method of ``Workers``.

    Args:
        node: the engine of this server.
        gateway: has the workers' tasks; None takes no workers.
        settings: has its limits.
    """

    def __init__(self, node: Node, gateway: Gateway | None, settings: Settings) -> None:
        self._node = node
        self._gateway = gateway
        self._settings = settings.gateway
        self._output_bytes_max = settings.limits.payload_bytes_max

    async def work(self, requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[pb.ToWorker]:
        """Serve one worker for as long as its stream lasts."""
        first = await anext(requests, None)
        if first is None:
            return
        if first.WhichOneof("said") != "hello":
            raise RequestInvalidError("the worker's stream", [Fault("hello", "should be the first message")])
        session, welcome = await join(asked_by(), self._node, self._gateway, _registration(first.hello, self._settings))
        assert self._gateway is not None  # noqa: S101  (join would have refused)
        connection = session.connection
        reading = _Reading(self._gateway, session, connection, self._settings)
        task = create_guarded_task(reading.read(requests), name="reading a worker")
        try:
            yield pb.ToWorker(
                welcome=pb.Welcome(session=welcome.session, over=welcome.over, output_bytes_max=self._output_bytes_max)
            )
            while not reading.is_over and (told := await session.told(connection, ALIVE_SECONDS)) is not None:
                for each in told:
                    yield _said(each)
                if not told:
                    yield pb.ToWorker(alive=Nothing())
        finally:
            has_ended = reading.is_over
            await end(task)
            self._gateway.lost(session, connection)
        if reading.error is not None:
            raise reading.error
        if self._gateway.is_closed:
            raise GatewayClosedError
        if not has_ended and session.connection == connection:
            raise SessionGoneError


class _Reading:
    """Reads one worker's stream.

    Attributes:
        is_over: whether the worker says nothing more.
        error: what was wrong with what it said.
    """

    def __init__(self, gateway: Gateway, session: Session, connection: int, settings: GatewaySettings) -> None:
        self._gateway = gateway
        self._session = session
        self._connection = connection
        self._settings = settings
        self.is_over = False
        self.error: GoConductorError | None = None

    async def read(self, requests: AsyncIterator[Any]) -> None:
        try:
            async for each in requests:
                self._heard(each)
                while self._session.backlog > self._session.credit + BACKLOG_MAX:  # noqa: ASYNC110  (it hardly ever is)
                    await asyncio.sleep(PAUSE_SECONDS)
        except GoConductorError as error:
            self.error = error
        finally:
            self.is_over = True
            self._session.wake()

    def _heard(self, each: Any) -> None:
        gateway, session = self._gateway, self._session
        if session.connection != self._connection:
            return  # it goes on over another one
        gateway.heard(session)
        match each.WhichOneof("said"):
            case "outcome":
                gateway.outcome(session, _outcome(each.outcome))
            case "credit":
                if faults := credit_faults(each.credit, self._settings):
                    raise RequestInvalidError("the worker's credit", faults)
                gateway.credit(session, each.credit)
            case "drain":
                gateway.drain(session)
            case "alive":
                pass
            case other:
                raise RequestInvalidError(
                    "the worker's stream", [Fault(other or "said", "is not expected after the first message")]
                )


def _registration(hello: pb.Hello, settings: GatewaySettings) -> Registration:
    told = {
        "participant": hello.participant,
        "credit": hello.credit,
        "worker": hello.worker,
        "session": given(hello, "session"),
    }
    return registration_of(told, [_step(each) for each in hello.steps], settings, hello.holding)


def _step(offered: Any) -> dict[str, Any]:
    inputs = None
    if offered.HasField("inputs"):
        inputs = {each.name: {"required": each.required, "schema": read_value(each, "schema")} for each in offered.inputs.inputs}
    return {
        "name": offered.name,
        "compensation": offered.compensation,
        "inputs": inputs,
        "timeout_seconds": given(offered, "timeout_seconds"),
        "retry": read_value(offered, "retry"),
        "compensation_retry": read_value(offered, "compensation_retry"),
    }


def _outcome(outcome: pb.Outcome) -> Any:
    told: dict[str, Any] = {"fence": outcome.fence}
    if outcome.HasField("failure"):
        failure = outcome.failure
        told |= {
            "kind": failure.kind or "none",
            "message": failure.message,
            "type": failure.type,
            "traceback": failure.traceback,
            "retry_after_seconds": given(failure, "retry_after_seconds"),
        }
    return outcome_of(told, outcome.output.data)


def _said(told: Told) -> pb.ToWorker:
    match told:
        case Task():
            return pb.ToWorker(task=_task(told))
        case Acknowledged():
            return pb.ToWorker(acknowledged=pb.Acknowledged(fence=told.fence, recorded=told.recorded))
        case Cancelled():
            return pb.ToWorker(cancelled=pb.Cancelled(fence=told.fence, reason=told.reason))
        case Draining():
            return pb.ToWorker(drain=Nothing())


def _task(task: Task) -> pb.Task:
    return pb.Task(
        fence=task.fence,
        step=task.step,
        compensation=task.side is Side.COMPENSATION,
        saga_id=task.saga_id,
        saga=task.saga,
        saga_step=task.saga_step,
        attempt=task.attempt,
        round=task.round,
        idempotency_key=task.idempotency_key,
        action_key=task.action_key,
        input=Value(data=task.input, content_type=JSON),
        output=None if task.output is None else Value(data=task.output, content_type=JSON),
        timeout_seconds=task.timeout_seconds,
        reason=task.reason,
        refused=task.refused,
        traceparent=task.traceparent,
    )
