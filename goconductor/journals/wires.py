"""The connection below a transaction: how to leave a commit that does not end, and the server's warnings.

**A COMMIT is never cancelled.** A primary with a synchronous standby has the commit on its own disk first, and then waits for the
standby. A cancel at that moment, by the client or by the server's ``statement_timeout``, ends the wait. The commit then is on the
primary alone, everybody sees it, and a promoted standby does not have it. The server sends a WARNING about it and then answers as
always. All drivers send a cancel when the waiting task is cancelled (asyncpg 0.32, psycopg 3.3). So the COMMIT has a task that
nobody cancels, and its socket is closed at the time limit: the server goes on waiting, and until then nobody sees the key or the
effect.

**A commit with a warning is in doubt**, like one without an answer. The reader of a key locks its row, which is a write. The
commit of this lock is behind the key's in the server's log. Once the server has answered it without a warning, the standby has
both.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import asyncpg

Hear = Callable[[str], None]
"""Called with the SQLSTATE of a warning."""


class Wire(Protocol):
    """A driver's connection to PostgreSQL."""

    connection: Any

    def cut(self) -> None:
        """Close the socket; the server is not asked to cancel anything. May be called when it is closed."""
        ...

    def warnings(self, hear: Hear) -> contextlib.AbstractContextManager[None]:
        """Enter a context in which ``hear`` gets the server's warnings."""
        ...


def wire_of(connection: Any) -> Wire:
    """Return the wire of an asyncpg or a psycopg connection."""
    return AsyncpgWire(connection) if isinstance(connection, asyncpg.Connection) else PsycopgWire(connection)


class AsyncpgWire:
    """A :class:`Wire` of asyncpg.

    Args:
        connection: a connection, perhaps a pool's.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def cut(self) -> None:
        with contextlib.suppress(asyncpg.InterfaceError):  # the pool has it back already
            self.connection.terminate()

    @contextlib.contextmanager
    def warnings(self, hear: Hear) -> Iterator[None]:
        def listen(_connection: Any, message: Any) -> None:
            if message.severity_en == "WARNING":
                hear(message.sqlstate)

        with contextlib.suppress(asyncpg.InterfaceError):  # it is closed, as the commit will find
            self.connection.add_log_listener(listen)
        try:
            yield
        finally:
            with contextlib.suppress(asyncpg.InterfaceError):
                self.connection.remove_log_listener(listen)


class PsycopgWire:
    """A :class:`Wire` of psycopg 3.

    Args:
        connection: an asynchronous connection of psycopg 3.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def cut(self) -> None:
        # libpq must not lose its descriptor while the loop waits for it; an end of the stream it understands
        if not self.connection.closed:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.connection.fileno())) as copy:
                copy.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def warnings(self, hear: Hear) -> Iterator[None]:
        def listen(diagnostic: Any) -> None:
            if diagnostic.severity_nonlocalized == "WARNING":
                hear(diagnostic.sqlstate or "")

        self.connection.add_notice_handler(listen)
        try:
            yield
        finally:
            self.connection.remove_notice_handler(listen)
