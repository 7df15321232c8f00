"""The journal's table for migrations of your own: as a table of your metadata, and as a filter for Alembic's autogenerate.

Alembic proposes to drop what stands in the database and not in the metadata. Either is enough against that: the table becomes
one of yours, and Alembic creates it; or it is not looked at, and ``journal.create_table()`` creates it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from goconductor.journals.table import TABLE, checked_name

SCHEMAS = ("goconductor", "goconductor_bus", "goconductor_kinesis")

IncludeObject = Callable[[Any, str | None, str, bool, Any], bool]
"""The type of ``context.configure(include_object=…)``."""


def effects_table(metadata: MetaData, table: str = TABLE) -> Table:
    """Add the journal's table to your metadata: ``metadata.create_all`` and Alembic's autogenerate then know it.

    Args:
        metadata: your metadata, such as ``Base.metadata``.
        table: the table's name, perhaps with its schema; the journal's own argument ``table``.

    Raises:
        ConfigurationError: the table's name is not one or two identifiers.
    """
    *schema, name = checked_name(table)
    return Table(
        name,
        metadata,
        Column("key", Text, primary_key=True),
        Column("state", Text, nullable=False),
        Column("result", LargeBinary),
        Column("at", TIMESTAMP(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
        CheckConstraint("state IN ('open', 'done', 'failed', 'refused')", name=f"{name}_state_check"),
        Index(f"{name}_at", "at", postgresql_using="brin"),
        schema=schema[0] if schema else None,
    )


def leaving(*tables: str, schemas: Iterable[str] = SCHEMAS) -> IncludeObject:
    """Return an ``include_object`` under which autogenerate leaves these tables alone, except those in your metadata.

    Args:
        tables: names of journals' tables, perhaps with their schemas.
        schemas: schemas whose tables are all left alone: by default those of a saga log in the same database.

    Raises:
        ConfigurationError: a table's name is not one or two identifiers.
    """
    journals = {(schema[0] if schema else None, name) for *schema, name in map(checked_name, tables)}
    left = set(schemas)

    def include_object(thing: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:
        if type_ != "table" or not reflected or compare_to is not None:
            return True
        return thing.schema not in left and (thing.schema, name) not in journals

    return include_object


include_object = leaving(TABLE)
"""For a journal's table with its default name, and a saga log in its default schema."""
