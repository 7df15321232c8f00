"""The tasks of a worker: the code of each, and the outcomes that are kept until they are acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any
from uuid import UUID

from goconductor.engine.facts.clock import SystemClock
from goconductor.engine.steps.action import Action
from goconductor.engine.steps.context import RUNNING, HandedOut, StepContext
from goconductor.engine.steps.failures import answer_in, delay_of, failure_of, is_unexpected
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import GoConductorError, PayloadError, PermanentError, RefusedError
from goconductor.grpc.v1 import workers_pb2 as pb
from goconductor.grpc.v1.values_pb2 import Value
from goconductor.redaction import logger_of
from goconductor.saga.data import values
from goconductor.saga.ids import Direction
from goconductor.saga.types.encoding import to_json_value

logger = logger_of("goconductor.worker")

_HANDED_OUT = (
    "a step of a worker cannot be handed out, as its server waits for the outcome itself: let it wait for whoever ends it, or "
    "make it a step of a participant"
)


class Work:
    """What one worker is at.

    Args:
        registry: its steps.
        threads: how many plain functions may run at once.
        send: sends a message, now or after the next connection.

    Attributes:
        running: the tasks that run, by their fences.
        kept: outcomes that are not acknowledged.
        output_bytes_max: greatest size of an output, in bytes, as the server says it.
    """

    def __init__(self, registry: StepRegistry, threads: int, send: Callable[[pb.FromWorker], None]) -> None:
        self.running: dict[str, asyncio.Task[None]] = {}
        self.kept: dict[str, pb.Outcome] = {}
        self.output_bytes_max: int | None = None
        self._registry = registry
        self._send = send
        self._clock = SystemClock()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"worker-{registry.name}")
        self._changed = asyncio.Event()

    @property
    def holding(self) -> list[str]:
        """The fences of all that it has."""
        return [*self.running, *self.kept]

    def begin(self, task: pb.Task) -> None:
        """Run a task, unless it runs or has run already."""
        if task.fence not in self.running and task.fence not in self.kept:
            self.running[task.fence] = asyncio.create_task(self._run(task), name=f"step {task.step}")

    def acknowledged(self, fence: str) -> None:
        """Forget an outcome."""
        self.kept.pop(fence, None)
        self._changed.set()

    def cancel(self, fence: str) -> None:
        """End a task whose attempt is over, once; its outcome tells the server that there is room again."""
        if (running := self.running.get(fence)) is not None and not running.cancelling():
            running.cancel()

    def forget(self, fence: str) -> None:
        """Have nothing to do with an attempt any more that the server has not."""
        self.cancel(fence)
        self.running.pop(fence, None)
        self.acknowledged(fence)

    async def idle(self) -> None:
        """Wait until nothing runs, and nothing is kept."""
        while self.running or self.kept:
            self._changed.clear()
            await self._changed.wait()

    def close(self) -> None:
        """End what still runs, as far as it can be ended."""
        for running in list(self.running.values()):
            running.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, task: pb.Task) -> None:
        over = pb.TaskFailure(kind="temporary", type="CancelledError", message="its attempt was over")
        outcome = pb.Outcome(fence=task.fence, failure=over)
        try:
            outcome = await self._outcome(task)
        except asyncio.CancelledError:
            pass
        finally:
            if self.running.get(task.fence) is asyncio.current_task():
                del self.running[task.fence]
                self.kept[task.fence] = outcome
                self._send(pb.FromWorker(outcome=outcome))
            self._changed.set()

    async def _outcome(self, task: pb.Task) -> pb.Outcome:
        action = self._registry.steps.get(task.step)
        function = None if action is None else action.compensation_function if task.compensation else action.function
        if action is None or function is None:
            error = GoConductorError(f"this worker has no code for {task.step!r}; offer what it has")
            return pb.Outcome(fence=task.fence, failure=_failure(error, None, task))
        try:
            output = to_json_value(await self._call(task, action, function))
            encoded = values.written(output, bytes_max=self.output_bytes_max)
        except asyncio.CancelledError:
            raise
        except HandedOut:
            return pb.Outcome(fence=task.fence, failure=_failure(PermanentError(_HANDED_OUT), function, task))
        except BaseException as error:  # noqa: BLE001  (whatever user code raises)
            return pb.Outcome(fence=task.fence, failure=_failure(error, function, task))
        return pb.Outcome(fence=task.fence, output=Value(data=encoded))

    async def _call(self, task: pb.Task, action: Action[..., Any], function: Callable[..., Any]) -> Any:
        signature = action.compensation_signature if task.compensation else action.signature
        assert signature is not None  # noqa: S101  (there is a function)
        context = self._context(task)
        output = values.decode(task.output.data) if task.HasField("output") else None
        arguments = signature.arguments(values.decode(task.input.data), context, output)
        RUNNING.set(context)
        if signature.is_async:
            return await function(**arguments)
        run = copy_context().run
        call = asyncio.get_running_loop().run_in_executor(self._threads, lambda: run(lambda: function(**arguments)))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            await asyncio.wait([call])  # a function cannot be ended, and its thread has no room for another one until then
            raise

    def _context(self, task: pb.Task) -> StepContext:
        forward = task.idempotency_key == task.action_key
        return StepContext(
            saga_id=UUID(task.saga_id),
            saga=task.saga,
            step=task.saga_step,
            direction=Direction.ACTION if forward else Direction.COMPENSATION,
            attempt=task.attempt,
            round=task.round,
            deadline=self._clock.monotonic() + task.timeout_seconds,
            clock=self._clock,
            participant=self._registry.name,
            traceparent=task.traceparent,
            reason=task.reason,
            refused=task.refused,
        )


def _failure(error: BaseException, function: Callable[..., Any] | None, task: pb.Task) -> pb.TaskFailure:
    if is_unexpected(error):
        logger.warning("step %r of saga %s raised %s", task.step, task.saga_id, type(error).__name__, exc_info=error)
    failure, answer = failure_of(error, function), answer_in(error)
    kind = "refused" if isinstance(answer, RefusedError) else "temporary"
    if kind != "refused" and isinstance(answer, PermanentError | PayloadError):
        kind = "permanent"
    return pb.TaskFailure(
        kind=kind,
        message=failure.message,
        type=failure.type,
        traceback=failure.traceback,
        retry_after_seconds=delay_of(error),
    )
