"""A caller's own open transaction, in which a saga starts: where it is, and what its errors mean.

:mod:`goconductor.postgres.callers` knows the libraries. The port's ``Transaction`` has the shapes of these: asyncpg's connection
answers ``is_in_transaction``, SQLAlchemy's sessions and connections ``in_transaction``, and psycopg's sets autocommit.

The database must be the saga log's. The server's start, to the microsecond, and the database's number tell one from
another without any right that a service may lack.
"""

from __future__ import annotations

from typing import Any

from goconductor.errors import ConfigurationError
from goconductor.postgres.callers.libraries import caller_of
from goconductor.postgres.callers.transactions import Caller, Fault
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address

_PLACE = """SELECT CAST(current_database() AS text), CAST(extract(epoch FROM pg_postmaster_start_time()) AS float8),
    (SELECT CAST(oid AS bigint) FROM pg_database WHERE datname = current_database())"""


class Callers:
    """Looks at what callers hand over.

    Args:
        sessions: ours, to the saga log.
        address: the saga log's.
    """

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address
        self._place: tuple[Any, ...] = ()

    async def enter(self, transaction: object) -> Caller:
        """Return what a start needs of this transaction.

        Raises:
            TypeError: it is nothing that we know.
            ValueError: no transaction is open.
            ConfigurationError: it is in another database than the saga log.
            StoreError: PostgreSQL refuses it, by the meaning of its error.
        """
        caller = await caller_of(transaction)
        try:
            (place,) = await caller.fetch(_PLACE, ())
        except caller.failures as error:
            raise self.meaning_of(caller.fault(error)) from error
        if tuple(place) != self._place and tuple(place) != await self._find_place():
            raise ConfigurationError(
                f"this transaction is in database {place[0]!r}, the saga log is in {self._address.where}, which is another "
                "database or server: start the saga "
                "through an outbox (goconductor.outbox), or commit first, and start it with a key afterwards"
            )
        return caller

    def meaning_of(self, fault: Fault) -> Exception:
        """Our error for a driver's."""
        return self._address.meaning_of(fault.sqlstate, fault.text)

    async def _find_place(self) -> tuple[Any, ...]:
        """Return where the saga log is now; the server may have been started again since the last look."""
        async with self._sessions.use() as connection:
            self._place = tuple(await connection.fetchrow(_PLACE) or ())
        return self._place
