"""Namespaces: the key of a definition and of a start begins with one. All that is there is in the default one.

The code before knows no namespace and cannot write these tables any more: end its processes first. The keys are indexed anew
under a lock that keeps everybody out, which takes some seconds for each million of start keys.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEYS = {
    "definitions": "saga, version",
    "active_definitions": "saga",
    "offers": "saga, version, serial",
    "start_keys": "saga, key",
}
"""The tables, each with its primary key without a namespace."""


def upgrade() -> None:
    """Add the column, first in the key. There is no default, so that no statement can leave it out."""
    for table, key in KEYS.items():
        op.execute(f"ALTER TABLE {table} ADD COLUMN namespace text NOT NULL DEFAULT 'default'")
        op.execute(
            f"ALTER TABLE {table} ALTER COLUMN namespace DROP DEFAULT, DROP CONSTRAINT {table}_pkey,"
            f" ADD PRIMARY KEY (namespace, {key})"
        )


def downgrade() -> None:
    """Take the column away, unless another namespace is in use: its rows would become those of the default one."""
    for table, key in KEYS.items():
        op.execute(
            f"""
            DO $$ BEGIN
                IF EXISTS (SELECT FROM {table} WHERE namespace <> 'default') THEN
                    RAISE EXCEPTION 'the table {table} has rows of other namespaces than default; delete them first';
                END IF;
            END $$
            """
        )
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, DROP COLUMN namespace, ADD PRIMARY KEY ({key})")
