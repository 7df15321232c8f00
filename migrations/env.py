"""Alembic's environment: it works on the connection and in the schema that it is given, within that connection's transaction."""

from __future__ import annotations

from alembic import context

attributes = context.config.attributes

context.configure(
    connection=attributes["connection"],
    target_metadata=attributes.get("metadata"),
    version_table_schema=attributes["schema"],
)
context.run_migrations()
