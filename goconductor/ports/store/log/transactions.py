"""A caller's own transaction, in which a saga can start."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, TypeAlias


class _AnswersIsInTransaction(Protocol):
    def is_in_transaction(self) -> bool: ...


class _AnswersInTransaction(Protocol):
    def in_transaction(self) -> bool: ...
    def close(self) -> Awaitable[None]: ...


class _SetsAutocommit(Protocol):
    def set_autocommit(self, value: bool) -> Awaitable[None]: ...


Transaction: TypeAlias = _AnswersIsInTransaction | _AnswersInTransaction | _SetsAutocommit
"""A caller's own open transaction: a connection or session, as a type checker sees it without its library. A store checks it more
closely, and its error names what it accepts."""


class BlockingTransaction(Protocol):
    """The same in code that blocks: a connection of psycopg or Django, SQLAlchemy's ``Session``, ``scoped_session`` or
    ``Connection``, as a type checker sees it without its library.
    """

    def commit(self) -> None: ...
    def close(self) -> None: ...
