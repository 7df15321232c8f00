"""The outbox's table for migrations of your own: as a table of your metadata, and as a filter for Alembic's autogenerate."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Identity, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from goconductor.journals.migrating import leaving
from goconductor.journals.table import TABLE as EFFECTS
from goconductor.journals.table import checked_name
from goconductor.outbox.table import TABLE

NOW = text("clock_timestamp()")


def starts_table(metadata: MetaData, table: str = TABLE) -> Table:
    """Add the outbox's table to your metadata: ``metadata.create_all`` and Alembic's autogenerate then know it.

    Args:
        metadata: your metadata, such as ``Base.metadata``.
        table: the table's name, perhaps with its schema; the outbox's own argument ``table``.

    Raises:
        ConfigurationError: the table's name is not one or two identifiers.
    """
    *schema, name = checked_name(table)
    return Table(
        name,
        metadata,
        Column("id", BigInteger, Identity(always=False), primary_key=True),
        Column("saga", Text, nullable=False),
        Column("version", Text),
        Column("key", Text, nullable=False),
        Column("input", JSON, nullable=False),
        Column("labels", JSON, nullable=False, server_default=text("'{}'")),
        Column("priority", Integer, nullable=False, server_default=text("0")),
        Column("written_at", TIMESTAMP(timezone=True), nullable=False, server_default=NOW),
        Column("due_at", TIMESTAMP(timezone=True), nullable=False, server_default=NOW),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("reason", Text),
        Index(f"{name}_due", "due_at", "id"),
        schema=schema[0] if schema else None,
    )


include_object = leaving(TABLE, EFFECTS)
"""An ``include_object`` of Alembic under which autogenerate leaves this table, a journal's and a saga log's alone."""
