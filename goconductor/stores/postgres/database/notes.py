"""Notes for the audit log, written in the transaction of what they tell."""

# ruff: noqa: S608 - statements are put together from constants of this module

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from goconductor.ports.store import Note
from goconductor.ports.store.log.notes import unwritten, written
from goconductor.postgres.session import Usable, transaction
from goconductor.stores.postgres.database.dial import Address, Connection, Row

NOTE = {name: "int" if name == "left_out" else "text" for name in Note.__struct_fields__}
"""The columns of a note, with their types."""
_WRITE = f"""
    INSERT INTO goconductor.audit ({", ".join(NOTE)}) VALUES ({", ".join(f"${n}" for n in range(1, len(NOTE) + 1))})
"""


def note_row(note: Note) -> list[Any]:
    """Return a note's values in the order of its columns."""
    return [getattr(note, name) for name in NOTE]


def note_rows(notes: Iterable[Note]) -> list[list[Any]]:
    """Return the values of several."""
    return [note_row(note) for note in notes]


async def write(connection: Connection, address: Address, note: Note) -> None:
    """Add a row to the audit log."""
    await connection.execute(address.sql(_WRITE), *note_row(note))


async def note_request(connection: Connection, address: Address) -> None:
    """Write the note of the request that wants what this transaction changes. Once that is committed, it counts as written."""
    if (note := unwritten()) is not None:
        await write(connection, address, note)


async def changed(sessions: Usable, address: Address, statement: str, *arguments: object) -> list[Row]:
    """Run a statement that returns a row of whatever it changes, and note the request that wants it, if it changes something.

    Args:
        sessions: of the table.
        address: the database and our schema.
        statement: with our schema's usual name.
        arguments: its parameters.
    """
    note = unwritten()
    async with sessions.use() as connection:
        if note is None:
            return list(await connection.fetch(address.sql(statement), *arguments))
        async with transaction(connection):
            rows = list(await connection.fetch(address.sql(statement), *arguments))
            if rows:
                await write(connection, address, note)
    if rows:
        written()
    return rows
