"""By whose transaction a caller comes: each library's is recognised without importing what its owner has not."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, cast

import asyncpg

from goconductor.postgres.callers.transactions import AsyncpgCaller, BlockingPsycopgCaller, Caller, PsycopgCaller
from goconductor.postgres.dialling import Connection

if TYPE_CHECKING:
    from sqlalchemy import Connection as BlockingConnection
    from sqlalchemy.ext.asyncio import AsyncConnection

ACCEPTED = (
    "an asyncpg connection inside `async with connection.transaction()`, a psycopg AsyncConnection, or SQLAlchemy's "
    "AsyncSession or AsyncConnection over one of them; in code that blocks a connection of psycopg 3, SQLAlchemy's Session or "
    "Connection over it, or Django's connection over it, inside `with transaction.atomic()`"
)


async def caller_of(transaction: object) -> Caller:
    """Return what a statement needs of a transaction.

    Args:
        transaction: a connection or session of a known library, also one that blocks.

    Raises:
        TypeError: it is nothing that we know.
        ValueError: no transaction is open.
    """
    thing: Any = transaction
    if isinstance(transaction, asyncpg.Connection | asyncpg.pool.PoolConnectionProxy):
        caller: Caller = AsyncpgCaller(cast("Connection", transaction))  # or a pool's proxy of one
    elif _is(thing, "psycopg", "AsyncConnection"):
        caller = PsycopgCaller(thing)
    elif _is(thing, "sqlalchemy.ext.asyncio", "AsyncSession"):
        caller = await _below(await thing.connection())
    elif _is(thing, "sqlalchemy.ext.asyncio", "AsyncConnection"):
        caller = await _below(thing)
    elif _is(thing, "sqlalchemy.orm", "Session") or _is(thing, "sqlalchemy", "Connection"):
        caller = await asyncio.to_thread(_blocking, thing)
    else:
        caller = _blocking(thing)
    return _open(caller)


def blocking_caller_of(transaction: object) -> BlockingPsycopgCaller:
    """Return the same of a transaction that blocks, on its own thread.

    Args:
        transaction: a connection or session of a library that blocks.

    Raises:
        TypeError: it is nothing that we know, or does not block.
        ValueError: no transaction is open.
    """
    caller = _blocking(transaction)
    _open(caller)
    return caller


def _open(caller: Caller) -> Caller:
    if not caller.is_open:
        raise ValueError(
            "no transaction is open on this connection: use `async with connection.transaction():`, and no autocommit"
        )
    return caller


def _blocking(transaction: object) -> BlockingPsycopgCaller:
    thing: Any = transaction
    if _is(thing, "psycopg", "Connection"):
        return BlockingPsycopgCaller(thing)
    if _is(thing, "sqlalchemy.orm", "Session"):
        return _below_blocking(thing.connection())
    if _is(thing, "sqlalchemy", "Connection"):
        return _below_blocking(thing)
    if _is(thing, "django.db.backends.base.base", "BaseDatabaseWrapper"):
        return _below_django(thing)
    kind = type(transaction)
    raise TypeError(f"a saga cannot start in a {kind.__module__}.{kind.__qualname__}: hand over {ACCEPTED}")


def _is(thing: object, module: str, name: str) -> bool:
    """Return whether it is an instance of a class, without importing what its owner has not."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(thing, kind)


async def _below(connection: AsyncConnection) -> Caller:
    """Return what SQLAlchemy stands on, inside its transaction."""
    from sqlalchemy import text  # noqa: PLC0415

    raw = (await connection.get_raw_connection()).driver_connection
    if _is(raw, "psycopg", "AsyncConnection"):
        caller: Caller = PsycopgCaller(raw)  # type: ignore[arg-type]
    elif isinstance(raw, asyncpg.Connection):
        caller = AsyncpgCaller(raw)
    else:
        raise TypeError(f"a saga cannot start over SQLAlchemy's driver {connection.dialect.driver!r}: hand over {ACCEPTED}")
    if not connection.in_transaction() or not caller.is_open:
        await connection.execute(text("SELECT 1"))  # it begins with the first statement
    return caller


def _below_blocking(connection: BlockingConnection) -> BlockingPsycopgCaller:
    """Return the same of SQLAlchemy where it blocks."""
    from sqlalchemy import text  # noqa: PLC0415

    raw: Any = connection.connection.driver_connection
    if not _is(raw, "psycopg", "Connection"):
        raise TypeError(f"a saga cannot start over SQLAlchemy's driver {connection.dialect.driver!r}: hand over {ACCEPTED}")
    caller = BlockingPsycopgCaller(raw)
    if not connection.in_transaction() or not caller.is_open:
        connection.execute(text("SELECT 1"))
    return caller


def _below_django(wrapper: Any) -> BlockingPsycopgCaller:
    """Return what Django's connection stands on, inside its ``atomic``."""
    raw = wrapper.connection
    if raw is not None and not _is(raw, "psycopg", "Connection"):
        kind = type(raw)
        raise TypeError(f"a saga cannot start over Django's {kind.__module__}.{kind.__qualname__}: hand over {ACCEPTED}")
    if raw is None or not wrapper.in_atomic_block:
        raise ValueError("no transaction is open on Django's connection: start the saga inside `with transaction.atomic():`")
    if wrapper.needs_rollback:
        raise ValueError(
            "Django will roll this transaction back, as an error was caught inside it: put what may fail into an `atomic()` of "
            "its own, or let the error out"
        )
    return BlockingPsycopgCaller(raw)
