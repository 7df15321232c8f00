"""Effect journals: leaves of :class:`goconductor.ports.Journal`, one per database library.

The rules of the two keys are in :mod:`.keys`, the statements for PostgreSQL in :mod:`.table`.
"""

from typing import TYPE_CHECKING

from goconductor.public import lazily

if TYPE_CHECKING:
    from goconductor.journals.asyncpg import AsyncpgJournal
    from goconductor.journals.asyncpg import Connection as AsyncpgConnection
    from goconductor.journals.blocking.django import DjangoJournal
    from goconductor.journals.blocking.sqlalchemy import BlockingSqlalchemyJournal
    from goconductor.journals.memory import MemoryJournal, MemoryTransaction
    from goconductor.journals.migrating import effects_table, include_object, leaving
    from goconductor.journals.psycopg import Connection as PsycopgConnection
    from goconductor.journals.psycopg import PsycopgJournal
    from goconductor.journals.sqlalchemy import SqlalchemyJournal

__all__ = [
    "AsyncpgConnection",
    "AsyncpgJournal",
    "BlockingSqlalchemyJournal",
    "DjangoJournal",
    "MemoryJournal",
    "MemoryTransaction",
    "PsycopgConnection",
    "PsycopgJournal",
    "SqlalchemyJournal",
    "effects_table",
    "include_object",
    "leaving",
]

# Each needs a library of its own; nobody needs all of them.
__getattr__ = lazily(
    __name__,
    {
        "AsyncpgConnection": "goconductor.journals.asyncpg:Connection",
        "AsyncpgJournal": "goconductor.journals.asyncpg",
        "BlockingSqlalchemyJournal": "goconductor.journals.blocking.sqlalchemy",
        "DjangoJournal": "goconductor.journals.blocking.django",
        "MemoryJournal": "goconductor.journals.memory",
        "MemoryTransaction": "goconductor.journals.memory",
        "PsycopgConnection": "goconductor.journals.psycopg:Connection",
        "PsycopgJournal": "goconductor.journals.psycopg",
        "SqlalchemyJournal": "goconductor.journals.sqlalchemy",
        "effects_table": "goconductor.journals.migrating",
        "include_object": "goconductor.journals.migrating",
        "leaving": "goconductor.journals.migrating",
    },
)
