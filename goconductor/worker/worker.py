"""A worker over gRPC: one stream to a server, opened again whenever it ends, under the same session."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from msgspec import to_builtins

from goconductor.aio.backoff import Backoff
from goconductor.aio.reminders import Reminder
from goconductor.aio.tasks import create_guarded_task, end
from goconductor.control.authority.bearer import Bearer, Token
from goconductor.engine.steps.action import Action
from goconductor.engine.steps.registry import StepRegistry, check
from goconductor.errors import DefinitionError, check_type
from goconductor.grpc.answers import error_of
from goconductor.grpc.channel import client_options
from goconductor.grpc.documents import value_of
from goconductor.grpc.v1 import workers_pb2 as pb
from goconductor.grpc.v1.values_pb2 import Nothing
from goconductor.redaction import logger_of
from goconductor.worker.tasks import Work

logger = logger_of("goconductor.worker")

METHOD = "/goconductor.v1.Workers/Work"
ALIVE_SECONDS = 5.0
"""Seconds that the server has to answer a sign of life."""
SILENCE_SECONDS = 20.0
"""Seconds without a word of the server after which it is given up for another connection."""
_PAUSES = (0.1, 5.0)
_FINAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
}
"""Answers that would be the same again."""


class Worker(StepRegistry):
    """Steps of a participant, run here for a server that takes workers.

    They are written as those of :class:`goconductor.Participant`, without ``transaction`` and ``concurrency``. All its processes
    may offer the same steps: each task goes to one of them.

    Args:
        target: the server's gRPC address, such as ``localhost:50051``.
        participant: the participant's name; definitions refer to ``participant.step``.
        credit: how many tasks it takes at once.
        name: the worker's name, for people; the machine's and the process's by default.
        credentials: of the channel, where the server, or a proxy before it, speaks TLS; None speaks without.
        api_key: who works; None takes the variable ``GOCONDUCTOR_API_KEY``, if it is there. Its role is ``worker``.
        token: in place of that, where tokens of an identity provider come from: the path of a file, read again when it changes,
            or a function that returns one or is awaited for it. A stream that ends with its token is opened again with the next.
        drain_seconds: how long tasks may take to finish when it stops.

    Raises:
        ArgumentError: an argument is of another type.
        ValueError: the participant's name is not valid, or the credit below 1.
    """

    def __init__(
        self,
        target: str,
        *,
        participant: str,
        credit: int = 32,
        name: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        api_key: str | None = None,
        token: Token | None = None,
        drain_seconds: float = 20.0,
    ) -> None:
        check_type("target", target, str, "the server's address, such as 'localhost:50051'")
        check_type("credit", credit, int, "a whole number of tasks")
        super().__init__(participant, concurrency=credit)
        self._target = target
        self._worker_name = name or f"{socket.gethostname()}-{os.getpid()}"
        self._credentials = credentials
        self._bearer = Bearer(api_key, token)
        self._was_welcome = False
        self._drain_seconds = drain_seconds
        self._session: str | None = None
        self._outbox: asyncio.Queue[pb.FromWorker] | None = None
        self._work: Work | None = None

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; then take nothing more, and finish what there is.

        Raises:
            DefinitionError: a step cannot be called, or has what workers have not.
            GoConductorError: the server refuses this worker; says why.
        """
        asyncio.run(self._until_signalled())

    async def serve(self, stopping: asyncio.Event) -> None:
        """Run inside another program.

        Args:
            stopping: set it to finish what there is, and return.

        Raises:
            DefinitionError: as :meth:`run`.
            GoConductorError: as :meth:`run`.
        """
        _check(self)
        work = self._work = Work(self, self.concurrency, self._send)
        pauses, trouble = Backoff(*_PAUSES, jitter=0.5), Reminder()
        stopped = asyncio.ensure_future(stopping.wait())
        loop, ends = asyncio.get_running_loop(), None
        try:
            while not stopping.is_set() or work.holding:  # without a stream it comes back, so that its outcomes are taken
                if stopping.is_set():
                    ends = loop.time() + self._drain_seconds if ends is None else ends
                    if loop.time() >= ends:
                        break
                try:
                    await self._serve_once(work, stopping, pauses)
                except grpc.aio.AioRpcError as error:
                    renewed = self._was_welcome and self._bearer.renews and error.code() is grpc.StatusCode.UNAUTHENTICATED
                    if error.code() in _FINAL and not renewed:
                        raise error_of(error, self._target) from None
                    if trouble.is_due():
                        logger.warning("no stream to %s (%s), trying again: %s", self._target, error.code().name, error.details())
                except TimeoutError:
                    logger.warning("the server at %s has been silent for %.0f s, connecting anew", self._target, SILENCE_SECONDS)
                pause = pauses.next()
                await (asyncio.sleep(pause) if stopping.is_set() else asyncio.wait([stopped], timeout=pause))
        finally:
            stopped.cancel()
            work.close()

    async def _until_signalled(self) -> None:
        stopping, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await self.serve(stopping)

    async def _serve_once(self, work: Work, stopping: asyncio.Event, pauses: Backoff) -> None:
        """Serve over one stream, until it ends, or this worker stops and has finished."""
        self._was_welcome = False
        metadata = await self._bearer.metadata()
        async with self._channel() as channel:
            call = channel.stream_stream(
                METHOD,
                request_serializer=pb.FromWorker.SerializeToString,
                response_deserializer=pb.ToWorker.FromString,
            )(metadata=metadata)
            tasks: list[asyncio.Task[Any]] = []
            try:
                hello = pb.FromWorker(hello=self._hello(work))
                async with asyncio.timeout(SILENCE_SECONDS):
                    await call.write(hello)
                    first = await call.read()
                if first is grpc.aio.EOF:
                    return
                self._welcomed(work, first.welcome)
                self._was_welcome = True
                pauses.reset()
                tasks.append(create_guarded_task(self._write(call), name="writing to the server"))
                reading = asyncio.create_task(self._read(call, work), name="reading the server")
                tasks += [reading, asyncio.create_task(self._finish(call, work, stopping), name="finishing")]
                await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    reading.result()
            finally:
                call.cancel()
                self._outbox = None
                await end(*tasks)

    @contextlib.asynccontextmanager
    async def _channel(self) -> AsyncIterator[Any]:
        options = client_options()
        channel = (
            grpc.aio.insecure_channel(self._target, options=options)
            if self._credentials is None
            else grpc.aio.secure_channel(self._target, self._credentials, options=options)
        )
        try:
            yield channel
        finally:
            await channel.close()

    def _hello(self, work: Work) -> pb.Hello:
        return pb.Hello(
            participant=self.name,
            steps=[_offered(action) for action in self.steps.values()],
            credit=self.concurrency,
            worker=self._worker_name,
            session=self._session,
            holding=work.holding,
        )

    def _welcomed(self, work: Work, welcome: pb.Welcome) -> None:
        if self._session is None:
            logger.info("worker of %r at %s, with credit for %d", self.name, self._target, self.concurrency)
        self._session = welcome.session
        work.output_bytes_max = welcome.output_bytes_max or None
        for fence in welcome.over:
            work.forget(fence)
        self._outbox = asyncio.Queue()
        for outcome in work.kept.values():
            self._outbox.put_nowait(pb.FromWorker(outcome=outcome))

    def _send(self, message: pb.FromWorker) -> None:
        """Send it on this stream; without one, what is kept is sent on the next."""
        if self._outbox is not None:
            self._outbox.put_nowait(message)

    async def _write(self, call: Any) -> None:
        outbox = self._outbox
        assert outbox is not None  # noqa: S101  (made before)
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # whoever reads is told
            while True:
                message = pb.FromWorker(alive=Nothing())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ALIVE_SECONDS):
                        message = await outbox.get()
                await call.write(message)

    async def _read(self, call: Any, work: Work) -> None:
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                message = await call.read()
            if message is grpc.aio.EOF:
                return
            match message.WhichOneof("said"):
                case "task":
                    work.begin(message.task)
                case "acknowledged":
                    work.acknowledged(message.acknowledged.fence)
                case "cancelled":
                    work.cancel(message.cancelled.fence)
                case "drain":
                    logger.info("the server at %s stops", self._target)

    async def _finish(self, call: Any, work: Work, stopping: asyncio.Event) -> None:
        """Wait for the wish to stop; then let tasks finish, and their outcomes be acknowledged."""
        await stopping.wait()
        self._send(pb.FromWorker(drain=Nothing()))
        try:
            async with asyncio.timeout(self._drain_seconds):
                await work.idle()
        except TimeoutError:
            logger.warning("%d tasks did not finish within %.0f s and are given up", len(work.running), self._drain_seconds)
        else:
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await call.done_writing()


def _check(worker: StepRegistry) -> None:
    check(worker)
    problems = [] if worker.steps else ["it has no steps; declare at least one with @worker.step."]
    for action in worker.steps.values():
        if action.journal is not None:
            problems.append(f"step {action.name!r} has a transaction; a worker has none, so rely on the idempotency key.")
        if action.concurrency is not None:
            problems.append(f"step {action.name!r} has a concurrency of its own; give the worker a credit instead.")
    if problems:
        raise DefinitionError(worker.name, problems)


def _offered(action: Action[..., Any]) -> pb.OfferedStep:
    inputs = [pb.OfferedInput(name=name, required=required) for name, required in action.parameters.items()]
    return pb.OfferedStep(
        name=action.name,
        compensation=action.compensation_function is not None,
        inputs=pb.OfferedInputs(inputs=inputs),
        timeout_seconds=action.timeout_seconds,
        retry=None if action.retry is None else value_of(to_builtins(action.retry)),
        compensation_retry=None if action.compensation_retry is None else value_of(to_builtins(action.compensation_retry)),
    )
