"""A caller's own transaction, in which a saga can start."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, TypeAlias


class _OfAsyncpg(Protocol):
    def is_in_transaction(self) -> bool: ...


class _OfSqlalchemy(Protocol):
    def in_transaction(self) -> bool: ...
    def close(self) -> Awaitable[None]: ...


class _OfPsycopg(Protocol):
    def set_autocommit(self, value: bool) -> Awaitable[None]: ...


Transaction: TypeAlias = _OfAsyncpg | _OfSqlalchemy | _OfPsycopg
"""A caller's own open transaction, as a type checker sees it without the library: an asyncpg connection, SQLAlchemy's
``AsyncSession`` or ``AsyncConnection``, a psycopg ``AsyncConnection``. The store checks it more closely."""
