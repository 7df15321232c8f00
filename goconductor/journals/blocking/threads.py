"""Transactions of libraries that block, in a journal that does not: each has a thread, on which all that uses it runs.

Django's connections belong to their thread, and SQLAlchemy's sessions to one thread at a time. So a thread is taken before the
transaction is begun, and what the journal does, the step's own code included, runs there one after the other. Everything else is
:mod:`goconductor.journals.table`. Both libraries stand on psycopg 3 here; the journal's statements go to its connection directly,
inside of the library's transaction.

**A thread cannot be stopped.** A step may be given up while its function runs, because its time is over or its process leaves.
Then the connection is cut: nothing that the function does there can be committed any more, and the server rolls back. The thread
is *lost* until the function returns, and its connection with it. So the journal's pool is smaller by one until then, and fewer
steps are granted.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, Literal, TypeVar

import psycopg
from psycopg.rows import tuple_row

from goconductor.errors import ConfigurationError
from goconductor.journals.keys import RESULT_BYTES_MAX
from goconductor.journals.table import Opened, TableJournal
from goconductor.journals.wires import PsycopgWire, Wire
from goconductor.ports import journal as ports
from goconductor.redaction import logger_of

Lib = TypeVar("Lib")
"""What a step gets: the library's session or connection."""
T = TypeVar("T")

logger = logger_of("goconductor.journals")

CONNECTIONS_MAX = 10
"""Number of transactions at once, each on a thread of its own, where the user says nothing."""


class Held(ABC, Generic[Lib]):
    """A library's transaction. Its methods block, and are called on its thread.

    Args:
        tx: what the step gets.
        raw: psycopg's connection below it.
    """

    def __init__(self, tx: Lib, raw: psycopg.Connection[Any]) -> None:
        self.tx = tx
        self.raw = raw

    @abstractmethod
    def commit(self) -> None: ...

    @abstractmethod
    def undo(self) -> None: ...

    @abstractmethod
    def drop(self) -> None:
        """See to it that nobody gets this connection again. Raises nothing."""

    @abstractmethod
    def release(self) -> None:
        """Give the connection back; the last call. Raises nothing."""

    def end(self) -> None:
        """End a transaction of which nobody knows how far it is. Raises nothing."""
        self.drop()
        self.release()


class OwnThread:
    """A thread for one transaction at a time. It is a daemon: a process that leaves waits for none.

    Args:
        name: how it is called.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._running = 0
        threading.Thread(target=self._work, name=name, daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether something runs on it, awaited or not."""
        return self._running > 0

    async def run(self, function: Callable[[], T]) -> T:
        """Call a function on the thread, and return its answer. Where the waiter is cancelled, it runs on."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def end(result: Any, error: BaseException | None) -> None:
            self._running -= 1
            if answer.done():
                return
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        def call() -> None:
            try:
                result, error = function(), None
            except BaseException as raised:  # noqa: BLE001  (it is the waiter's)
                result, error = None, raised
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(end, result, error)

        self._running += 1
        self._calls.put(call)
        return await answer

    def finish(self, last: Callable[[], None]) -> None:
        """Let the thread end after what it runs, and after a last call, which raises nothing."""
        self._calls.put(last)
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call


class ThreadTransaction(Generic[Lib]):
    """A :class:`goconductor.ports.journal.ThreadTransaction`."""

    def __init__(self, thread: OwnThread, held: Held[Lib]) -> None:
        self.thread = thread
        self.held = held

    async def run(self, function: Callable[[Lib], T]) -> T:
        """Call a function with the transaction, on its thread."""
        return await self.thread.run(lambda: function(self.held.tx))


class ThreadJournal(TableJournal[ThreadTransaction[Lib]]):
    """A journal of a library that blocks.

    Args:
        table: the table's name, perhaps with its schema.
        result_bytes_max: the largest output that is stored, in bytes.
        connections_max: how many transactions may be open at once.

    Raises:
        ConfigurationError: the table's name is not one or two identifiers.
        ValueError: there may be no connection.
    """

    on_threads: Literal[True] = True

    def __init__(self, *, table: str, result_bytes_max: int = RESULT_BYTES_MAX, connections_max: int = CONNECTIONS_MAX) -> None:
        super().__init__(table=table, result_bytes_max=result_bytes_max)
        if connections_max < 1:
            raise ValueError("connections_max must be at least 1")
        self._connections_max = connections_max
        self._room = asyncio.Semaphore(connections_max)
        self._idle: list[OwnThread] = []
        self._lost = 0

    @property
    def pool(self) -> ports.Pool:
        return ports.Pool(self, self._connections_max - self._lost)

    async def close(self) -> None:
        """End the threads that have nothing to do, and what they have opened; may be called twice."""
        while self._idle:
            thread = self._idle.pop()
            await thread.run(self._leave_thread)
            thread.finish(lambda: None)

    @abstractmethod
    def _open(self) -> Held[Lib]:
        """Begin a transaction in READ COMMITTED. Runs on its thread; what it raises leaves nothing open."""

    @abstractmethod
    def _raw(self, tx: Lib) -> psycopg.Connection[Any]:
        """Return psycopg's connection inside of the transaction. Runs on its thread.

        Raises:
            Exception: one of ``failures``, where there is none any more.
        """

    def _check(self, tx: Lib) -> None:
        """Look at what the step has left, before its result is stored. Runs on its thread; may raise."""

    def _leave_thread(self) -> None:
        """Close what the library keeps for this thread. Raises nothing."""

    async def _begin(self, timeout_seconds: float) -> Opened[ThreadTransaction[Lib]]:
        async with asyncio.timeout(timeout_seconds):
            await self._room.acquire()
        thread = self._idle.pop() if self._idle else OwnThread("goconductor journal")
        opened: list[Held[Lib]] = []
        try:
            async with asyncio.timeout(timeout_seconds):
                await thread.run(lambda: opened.append(self._open()))
        except BaseException:

            def end() -> None:
                for each in opened:
                    each.end()

            self._lose(thread, end)
            raise
        return _Opened(ThreadTransaction(thread, opened[0]), self)

    async def _fetch(self, tx: ThreadTransaction[Lib], statement: str, *arguments: object) -> Sequence[Any]:
        def fetch(library: Lib) -> Sequence[Any]:
            with psycopg.RawCursor(self._raw(library), row_factory=tuple_row) as cursor:
                cursor.execute(statement.encode(), arguments or None)
                return cursor.fetchall() if cursor.description is not None else []

        return await tx.run(fetch)

    async def _finish(self, tx: ThreadTransaction[Lib], key: str, result: bytes | None) -> None:
        await tx.run(self._check)
        await super()._finish(tx, key, result)

    def _take_back(self, thread: OwnThread) -> None:
        """Take back a thread that runs nothing."""
        self._idle.append(thread)
        self._room.release()

    def _lose(self, thread: OwnThread, last: Callable[[], None]) -> None:
        """Let a thread end, after what it still runs and a last call; until then there is one less."""
        self._lost += 1
        loop = asyncio.get_running_loop()

        def found() -> None:
            self._lost -= 1
            self._room.release()

        def end() -> None:
            last()
            self._leave_thread()
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(found)

        thread.finish(end)


class _Opened(Opened[ThreadTransaction[Lib]]):
    def __init__(self, tx: ThreadTransaction[Lib], journal: ThreadJournal[Lib]) -> None:
        super().__init__(tx)
        self._thread = tx.thread
        self._held = tx.held
        self._journal = journal

    @property
    def wire(self) -> Wire:
        return PsycopgWire(self._held.raw)

    async def commit(self) -> None:
        await self._thread.run(self._held.commit)

    async def undo(self) -> None:
        if self._thread.busy:
            raise TimeoutError("the step's function runs on")  # so the connection is cut
        await self._thread.run(self._held.undo)

    async def drop(self) -> None:
        with suppress(psycopg.Error):  # it was closed meanwhile
            self.wire.cut()
        if not self._thread.busy:
            await self._thread.run(self._held.drop)

    async def release(self) -> None:
        journal, thread = self._journal, self._thread
        if thread.busy:
            journal._lose(thread, self._held.end)  # noqa: SLF001  (ours)
            logger.warning(
                "a function was given up and runs on, with a connection of the journal: %d are left until it returns; give what "
                "it calls a time limit of its own",
                journal.pool.size,
            )
            return
        try:
            await thread.run(self._held.release)
        except BaseException:
            journal._lose(thread, self._held.end)  # noqa: SLF001
            raise
        journal._take_back(thread)  # noqa: SLF001


def psycopg_connection(raw: Any, library: str) -> psycopg.Connection[Any]:
    """Return a library's driver's connection, which must be psycopg's.

    Raises:
        ConfigurationError: it is another driver's.
    """
    if not isinstance(raw, psycopg.Connection):
        kind = type(raw)
        raise ConfigurationError(
            f"{library} uses {kind.__module__}.{kind.__qualname__} here, and the effect journal needs psycopg 3: install "
            "psycopg, and name it as the driver"
        )
    return raw
