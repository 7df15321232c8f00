"""The outbox of code that blocks: it writes, and a participant in another process reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, overload

from goconductor.blocking.transactions import of_this_thread
from goconductor.outbox.written import Writer
from goconductor.ports.store.log.transactions import BlockingTransaction
from goconductor.postgres.callers.libraries import blocking_caller_of
from goconductor.saga.writing.builder import Saga

I = TypeVar("I")  # noqa: E741


class BlockingOutbox(Writer):
    """Starts sagas in a service's own transactions, through a table of the service's own database, from code that blocks.

    A participant reads the table: give it a :class:`goconductor.outbox.Outbox` of the same table and the same sagas.

    Args:
        sagas: the sagas written in Python that are started through it.
        table: the table's name, perhaps with its schema.

    Raises:
        ArgumentError: one of these is no saga.
        ConfigurationError: the table's name is not one or two identifiers.
    """

    @overload
    def start(
        self,
        saga: Saga[I, Any],
        input: I,
        *,
        transaction: BlockingTransaction,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: int = 0,
    ) -> str: ...
    @overload
    def start(
        self,
        saga: str,
        input: Any,
        *,
        transaction: BlockingTransaction,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: int = 0,
    ) -> str: ...
    def start(
        self,
        saga: Saga[Any, Any] | str,
        input: Any,
        *,
        transaction: BlockingTransaction,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: int = 0,
    ) -> str:
        """Write a start. The saga is started soon after the transaction's commit, or never.

        Args:
            saga: one of ``sagas``, or the name of a registered one.
            input: its input.
            transaction: your own open transaction in the database of the outbox, over psycopg 3: a connection of psycopg,
                SQLAlchemy's ``Session``, ``scoped_session`` or ``Connection``, or Django's ``connection`` inside of
                ``transaction.atomic()``.
            key: the same key again finds the same saga; up to 255 printable ASCII characters. None draws one.
            labels: up to 20 words to find it by, each name and value a text.
            priority: of its steps where they wait for room in a process; from -100 to 100, greater ones come first.

        Returns:
            the key, by which a client's ``find(saga, key=key)`` finds the saga once it has started.

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
        caller = blocking_caller_of(of_this_thread(transaction))
        try:
            caller.fetch_here(self._statement(), values)
        except caller.failures as error:
            raise self._meaning(caller, error) from error
        return key
