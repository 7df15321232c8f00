"""An outbox as services use it: they write into it, and a participant reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, overload

import msgspec

from goconductor.errors import ConfigurationError, DefinitionError, OutboxUnavailableError, check_is_number, check_type
from goconductor.outbox.table import TABLE
from goconductor.outbox.written import Writer, WrittenStart
from goconductor.ports.store.log.transactions import Transaction
from goconductor.postgres.callers.libraries import caller_of
from goconductor.postgres.dialling import Address, Connection
from goconductor.postgres.session import transaction as in_transaction
from goconductor.postgres.setup import Limits, Setup, end
from goconductor.saga.writing.builder import Saga

I = TypeVar("I")  # noqa: E741

POLL_SECONDS = 1.0
"""Seconds between two looks for what waits, where nothing reports it."""
LIMITS = Limits(statement_seconds=15.0, lock_seconds=10.0, idle_in_transaction_seconds=60.0, grace_seconds=5.0)
KEPT_MAX = 500
"""Greatest number of refused rows that are shown."""


class Outbox(Writer):
    """Starts sagas in a service's own transactions, through a table of the service's own database.

    Give it to the service's participant as well (``Participant("shop", outboxes=[outbox])``), which reads the table.

    Args:
        url: the service's own database, as a PostgreSQL URL, straight to the server; who only writes need not give one.
        sagas: the sagas written in Python that are started through it.
        table: the table's name, perhaps with its schema.
        poll_seconds: the longest time between two looks into the table.
        refused_days: days for which a row that was refused is kept; 0 is for ever.

    Raises:
        ArgumentError: an argument is of a wrong type.
        ConfigurationError: the URL or the table's name cannot be used.
    """

    def __init__(
        self,
        url: str = "",
        *,
        sagas: Sequence[Saga[Any, Any]] = (),
        table: str = TABLE,
        poll_seconds: float = POLL_SECONDS,
        refused_days: float = 30.0,
    ) -> None:
        super().__init__(sagas=sagas, table=table)
        check_type("url", url, str, "a PostgreSQL URL")
        for name, value in (("poll_seconds", poll_seconds), ("refused_days", refused_days)):
            check_type(name, value, (int, float), "a number")
            check_is_number(name, value)
        self.poll_seconds = max(0.01, poll_seconds)
        self.refused_days = refused_days
        self._read_from = _address_of(url) if url else None

    @property
    def _address(self) -> Address:
        if self._read_from is None:
            raise ConfigurationError("this outbox has no url, so it can be written and not read: give it Outbox(url)")
        return self._read_from

    @property
    def where(self) -> str:
        """The table's name and its database, without user and password."""
        return f"{self.statements.table} at {self._address.where}"

    @overload
    async def start(
        self,
        saga: Saga[I, Any],
        input: I,
        *,
        transaction: Transaction,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: int = 0,
    ) -> str: ...
    @overload
    async def start(
        self,
        saga: str,
        input: Any,
        *,
        transaction: Transaction,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: int = 0,
    ) -> str: ...
    async def start(
        self,
        saga: Saga[Any, Any] | str,
        input: Any,
        *,
        transaction: Transaction,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: int = 0,
    ) -> str:
        """Write a start. The saga is started soon after the transaction's commit, or never.

        Args:
            saga: one of ``sagas``, or the name of a registered one.
            input: its input.
            transaction: your own open transaction in the database of the outbox: an asyncpg connection, SQLAlchemy's
                ``AsyncSession`` or ``AsyncConnection``, or a psycopg ``AsyncConnection``.
            key: the same key again finds the same saga; up to 255 printable ASCII characters. None draws one.
            labels: up to 20 words to find it by, each name and value a text.
            priority: of its steps where they wait for room in a process; from -100 to 100, greater ones come first.

        Returns:
            the key, by which ``conductor.find(saga, key=key)`` finds the saga once it has started.

        Raises:
            ArgumentError: this is neither a saga nor a name.
            ConfigurationError: the saga is none of ``sagas``.
            PayloadError: the input cannot be kept, or does not fit the saga's input type.
            RequestInvalidError: the key, a label or the priority cannot be one.
            OutboxError: the row cannot be written; the transaction has to be rolled back.
            TypeError: the transaction is of an unknown kind; the error names the known ones.
            ValueError: the connection is in no transaction.
        """
        key, values = self._written(saga, input, key, labels, priority)
        caller = await caller_of(transaction)
        try:
            await caller.fetch(self._statement(), values)
        except caller.failures as error:
            raise self._meaning(caller, error) from error
        return key

    async def create_table(self) -> None:
        """Create the outbox's table if it is absent. Many processes may do it at once, and a role without the right to create
        may do it where the table is there already.

        Raises:
            OutboxUnavailableError: the database cannot be reached.
            ConfigurationError: it has no URL, the database refuses us, or the role may not create tables.
        """

        async def create(connection: Connection) -> None:
            async with in_transaction(connection):
                await connection.execute(self.statements.lock)
                if not await connection.fetchval(self.statements.exists, self.statements.quoted):
                    for statement in self.statements.create:
                        await connection.execute(statement)

        await self._once(create)

    async def kept(self, limit: int = 100) -> list[WrittenStart]:
        """Return rows that could not be started, with the reasons.

        Args:
            limit: at most so many, up to 500.

        Raises:
            OutboxUnavailableError: the database cannot be reached, or the table is absent.
        """
        check_type("limit", limit, int, "a whole number of rows")
        found: list[WrittenStart] = []

        async def look(connection: Connection) -> None:
            rows = await connection.fetch(self.statements.kept, max(1, min(limit, KEPT_MAX)))
            found.extend(msgspec.convert(dict(row), WrittenStart) for row in rows)

        await self._once(look)
        return found

    async def retry(self, *ids: int) -> int:
        """Have rows tried again at once that could not be started, also those that were refused.

        Args:
            ids: their numbers; without any, all of them.

        Returns:
            how many.

        Raises:
            OutboxUnavailableError: the database cannot be reached, or the table is absent.
        """
        for number in ids:
            check_type("ids", number, int, "numbers of rows")
        counts: list[int] = []

        async def again(connection: Connection) -> None:
            counts.append(len(await connection.fetch(self.statements.again, list(ids) or None)))
            await connection.execute(self.statements.notify)

        await self._once(again)
        return counts[0]

    def setup(self) -> Setup:
        """Return how sessions to its database are set up."""
        # a row whose deletion is lost finds its saga again; but behind a transaction pooler a session that gives up durability
        # does so for whoever has that session of the server next
        return Setup(address=self._address, limits=LIMITS)

    async def _once(self, act: Any) -> None:
        connection = await self.setup().dial()
        try:
            with self._address.meaning():
                await act(connection)
        finally:
            await end(connection)

    def saga_of(self, version: str | None) -> Saga[Any, Any] | None:
        """Return the saga written in Python that has a version; None if there is none."""
        if version is not None:
            for saga in self.sagas:
                try:
                    if saga.definition.version == version:
                        return saga
                except DefinitionError:  # it cannot be written either
                    continue
        return None


def _address_of(url: str) -> Address:
    return Address(
        url,
        application_name="goconductor outbox",
        setting="the outbox's url",
        unavailable=OutboxUnavailableError,
    )
