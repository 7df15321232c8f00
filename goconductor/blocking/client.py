"""The client behind the blocking methods: an asynchronous one on an event loop in a thread of its own.

One client serves all threads of a process. Each call hands a coroutine to that loop and waits for the answer, so there is one
engine, the asynchronous one.

Threads do not survive a fork. Servers that load the application and then fork their workers are common. So a client opens with
its first use, and not when it is created: if it was created before the fork, each worker opens it for itself. A client that was
*open* at the fork cannot be used in the child, and its calls raise an error. It shares sockets with its parent, so it cannot be
closed there either.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar
from weakref import WeakSet

from anyio.from_thread import BlockingPortal, start_blocking_portal

from goconductor import app
from goconductor.control.doors.conductor import Conductor
from goconductor.control.settings.settings import Settings, check_settings
from goconductor.errors import StoreUnavailableError, check_seconds

P = ParamSpec("P")
T = TypeVar("T")

CLOSE_SECONDS = 30.0
"""Seconds that the connections may take to end."""


class _Running(NamedTuple):
    """What lives on the loop's thread, and how it ends."""

    portal: BlockingPortal
    conductor: Conductor
    ending: ExitStack


class BlockingClient:
    """Opens and closes the asynchronous client, and asks it. It runs no steps.

    Every method blocks, and raises ``RuntimeError`` where it must not be called: in a child of the process that opened it,
    on a thread with a running event loop, or after :meth:`close`.

    Args:
        settings: None loads them when it opens.
        open_timeout_seconds: how long opening waits for the database; the next use then tries again.
    """

    def __init__(self, settings: Settings | None = None, *, open_timeout_seconds: float = 10.0) -> None:
        check_settings(settings)
        check_seconds("open_timeout_seconds", open_timeout_seconds)
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
        self._conductor()

    def close(self) -> None:
        """End the connections and the thread. A call that waits for an answer raises; closing twice is no error."""
        if self._pid not in (None, os.getpid()):
            return
        with self._lock:
            self._closed, running, self._running = True, self._running, None
            waiting, self._waiting = self._waiting, set()
        for future in waiting:
            future.cancel()
        if running is not None:
            running.ending.close()

    def _conductor(self) -> Conductor:
        self._check()
        with self._lock:
            return self._opened().conductor

    def _ask(self, ask: Callable[[Conductor], Coroutine[Any, Any, T]]) -> T:
        self._check()
        with self._lock:
            running = self._opened()
            future: Future[T] = running.portal.start_task_soon(ask, running.conductor)
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
        """Return what runs, and start it if need be; the lock is held."""
        if self._closed:
            raise RuntimeError("this client is closed; make a new one by connect()")
        if self._running is None:
            self._pid = os.getpid()
            with ExitStack() as stack:
                portal = stack.enter_context(start_blocking_portal())
                conductor = stack.enter_context(portal.wrap_async_context_manager(self._connected()))
                self._running = _Running(portal, conductor, stack.pop_all())
            _OPEN.add(self)
        return self._running

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Conductor]:
        asyncio.get_running_loop().set_default_executor(_Daemons())
        async with AsyncExitStack() as stack:
            connecting = app.connect(self._settings, open_timeout_seconds=self._open_timeout_seconds)
            try:
                conductor = await stack.enter_async_context(connecting)
            except StoreUnavailableError as error:
                raise StoreUnavailableError(f"{error}; the next use of this client tries again") from None
            yield conductor
            async with asyncio.timeout(CLOSE_SECONDS):
                await stack.aclose()


class _Daemons(ThreadPoolExecutor):
    """Runs each call on a daemon thread, also while the interpreter ends: then the standard library's pools take nothing more.

    The engine hands little to threads, most of it when it closes.
    """

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start a thread for a call."""
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(*args, **kwargs))
                except BaseException as error:  # noqa: BLE001  (whatever it is, its waiter gets it)
                    future.set_exception(error)

        threading.Thread(target=run, name="goconductor blocking call", daemon=True).start()
        return future


_OPEN: WeakSet[BlockingClient] = WeakSet()


@atexit.register
def _close_all() -> None:
    for client in list(_OPEN):
        client.close()
