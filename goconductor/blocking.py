"""Start sagas from code that is not asynchronous: a view of Django or Flask, a script, a thread.

::

    sagas = blocking.connect()

    def checkout(request):
        bought = sagas.start("order", {"sku": request.POST["sku"]}, key=request.POST["number"])
        return JsonResponse({"saga": str(bought.saga_id)})

One client serves all threads of a process. Its connections live on an event loop in a thread of its own; each call hands a
coroutine to that loop and waits for the answer, so there is one engine, the asynchronous one.

Threads do not survive a fork. Servers that load the application and then fork their workers are common, so a client opens
with its first use and not when it is made: made before the fork, each worker opens it for itself. One that was *open* at the
fork cannot be used in the child, and says so; it shares sockets with its parent, so it cannot be closed there either.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import (
    CancelledError,
    Future,
    thread,  # noqa: F401  (its own end is registered by this import: before ours, so it comes after it)
)
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar
from uuid import UUID
from weakref import WeakSet

from typing_extensions import TypeVar as DefaultedTypeVar

from goconductor import app
from goconductor.control.conductor import Conductor
from goconductor.control.models import SagaDetail
from goconductor.control.settings import Settings, check_settings
from goconductor.errors import StoreUnavailableError, check_type
from goconductor.saga.builder import Saga
from goconductor.saga.ids import saga_id_of

I = TypeVar("I")  # noqa: E741
O = DefaultedTypeVar("O", default=Any)  # noqa: E741
T = TypeVar("T")

CLOSE_SECONDS = 30.0
"""How long closing waits for the loop's thread."""


@dataclass(frozen=True)
class _Running:
    """What lives on the loop's thread."""

    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    conductor: Conductor
    thread: threading.Thread


def connect(settings: Settings | None = None, *, open_timeout_seconds: float = 10.0) -> BlockingConductor:
    """A client for code that blocks. It opens with ``with``, with :meth:`BlockingConductor.open`, or with its first use.

    Args:
        settings: None loads them from ``goconductor.yaml`` and the environment, when it opens.
        open_timeout_seconds: how long opening waits for the database.
    """
    return BlockingConductor(settings, open_timeout_seconds=open_timeout_seconds)


class BlockingConductor:
    """Starts sagas and asks after them, from any thread. It runs no steps.

    Every method blocks, and raises ``RuntimeError`` where it must not be called: in a child of the process that opened it,
    on a thread with a running event loop, or after :meth:`close`.

    Args:
        settings: None loads them when it opens.
        open_timeout_seconds: how long opening waits for the database; the next use then tries again.
    """

    def __init__(self, settings: Settings | None = None, *, open_timeout_seconds: float = 10.0) -> None:
        check_settings(settings)
        check_type("open_timeout_seconds", open_timeout_seconds, (int, float), "seconds as a number")
        self._settings = settings
        self._open_timeout_seconds = open_timeout_seconds
        self._lock = threading.RLock()
        self._pid: int | None = None
        self._running: _Running | None = None
        self._waiting: set[Future[Any]] = set()
        self._closed = False

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def open(self) -> None:
        """Open now what otherwise opens with the first use; faults show here. It is closed when the interpreter ends.

        Raises:
            ConfigurationError: a setting is wrong, or the database refuses us.
            SchemaError: the database is not migrated.
            StoreUnavailableError: the database is away.
        """
        self._check()
        with self._lock:
            self._opened()

    def close(self) -> None:
        """End the connections and the thread. Who waits for an answer is told; closing twice is no error."""
        if self._pid not in (None, os.getpid()):
            return
        with self._lock:
            self._closed, running, self._running = True, self._running, None
            waiting, self._waiting = self._waiting, set()
        for future in waiting:
            future.cancel()
        if running is not None:
            running.loop.call_soon_threadsafe(running.stop.set)
            running.thread.join(CLOSE_SECONDS)

    def start(
        self, saga: Saga[I, O] | str, input: I, *, key: str | None = None, labels: Mapping[str, str] | None = None
    ) -> BlockingSaga[O]:
        """Start a saga, as :meth:`goconductor.Conductor.start` does; a transaction of yours cannot be given.

        Args:
            saga: a saga written in Python, which is registered if it is new, or the name of a registered one.
            input: its input.
            key: the same key again finds the same saga; up to 255 printable ASCII characters.
            labels: up to 20 words to find it by, each name and value a text.

        Raises:
            DefinitionError: the saga cannot run.
            PayloadError: the input cannot be kept, or does not fit the saga's input type.
            InputRefusedError: the input does not fit the registered definition's schema.
            SagaAlreadyStartedError: the key has started a saga with other input.
            RequestInvalidError: the key or a label cannot be one.
            RequestRefusedError: there is no definition of that name.
            StoreUnavailableError: the store is away; with a key, the start can be repeated safely.
        """
        started = self._ask(lambda conductor: conductor.start(saga, input, key=key, labels=labels))
        return BlockingSaga(self, started.saga_id, existing=started.existing)

    def saga(self, saga_id: UUID | str) -> BlockingSaga[Any]:
        """A saga that was started elsewhere.

        Raises:
            ArgumentError: this is no saga's id.
        """
        return BlockingSaga(self, saga_id_of(saga_id))

    def _ask(self, ask: Callable[[Conductor], Coroutine[Any, Any, T]]) -> T:
        self._check()
        with self._lock:
            running = self._opened()
            future = asyncio.run_coroutine_threadsafe(ask(running.conductor), running.loop)
            self._waiting.add(future)
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError("this client was closed by another thread before the answer came; make a new one") from None
        finally:
            future.cancel()  # where we were interrupted; else it is done
            self._waiting.discard(future)

    def _check(self) -> None:
        """Refuse what could only hang. Before the lock is taken: at a fork somebody may have held it."""
        if self._pid not in (None, os.getpid()):
            raise RuntimeError(
                f"this client was opened in process {self._pid}, before the fork; make it anew in each child, "
                "or do not use it before the fork: it opens with its first use"
            )
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise RuntimeError("this thread runs an event loop, which would be held up; use goconductor.connect() there")

    def _opened(self) -> _Running:
        """What runs, started if need be; the lock is held."""
        if self._closed:
            raise RuntimeError("this client is closed; make a new one by connect()")
        if self._running is None:
            self._pid = os.getpid()
            ready: Future[_Running] = Future()
            threading.Thread(target=lambda: asyncio.run(self._live(ready)), name="goconductor blocking", daemon=True).start()
            try:
                self._running = ready.result()
            finally:
                ready.cancel()  # where we were interrupted: then nobody will ever stop it
            _OPEN.add(self)
        return self._running

    async def _live(self, ready: Future[_Running]) -> None:
        try:
            async with AsyncExitStack() as stack:
                conductor = await self._connect(stack)
                stop = asyncio.Event()
                if ready.set_running_or_notify_cancel():
                    ready.set_result(_Running(asyncio.get_running_loop(), stop, conductor, threading.current_thread()))
                    await stop.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _connect(self, stack: AsyncExitStack) -> Conductor:
        try:
            async with asyncio.timeout(self._open_timeout_seconds):
                return await stack.enter_async_context(app.connect(self._settings))
        except TimeoutError:
            waited = f"the database did not answer within {self._open_timeout_seconds:g} s"
            raise StoreUnavailableError(f"{waited}; the next use of this client tries again") from None


class BlockingSaga(Generic[O]):
    """One saga that was started.

    Attributes:
        saga_id: its id.
        existing: True if its key had started it before.
    """

    def __init__(self, client: BlockingConductor, saga_id: UUID, *, existing: bool = False) -> None:
        self.saga_id = saga_id
        self.existing = existing
        self._client = client

    def view(self) -> SagaDetail:
        """Read the saga with its steps, as REST and the command line show it.

        Raises:
            SagaNotFoundError: there is no such saga.
        """
        return self._client._ask(lambda conductor: conductor.saga(self.saga_id).view())  # noqa: SLF001

    def result(self, *, timeout_seconds: float = 60.0) -> Any:
        """What the saga answers, once it has completed. A view should not wait long: it holds a thread of its server.

        Raises:
            CompensatedError: it failed and was compensated.
            StuckError: it waits for an operator.
            TerminatedError: an operator ended it.
            TimeoutError: it has not ended by then, and goes on all the same; it says what the saga waits for.
            SagaNotFoundError: there is no such saga.
        """
        return self._client._ask(  # noqa: SLF001
            lambda conductor: conductor.saga(self.saga_id).result(timeout_seconds=timeout_seconds)
        )


_OPEN: WeakSet[BlockingConductor] = WeakSet()


def _close_all() -> None:
    for client in list(_OPEN):
        client.close()


threading._register_atexit(_close_all)  # type: ignore[attr-defined]  # noqa: SLF001
# `atexit` would be too late: the interpreter first waits for the engine's threads, which only end once the engine is closed.
