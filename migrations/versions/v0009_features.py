"""Features: a definition names those that it uses, an instance those that its code knows.

What is there uses none. The code before says nothing of itself, so it counts as knowing none; it works on these tables.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("definitions", "participants")


def upgrade() -> None:
    """Add the columns, which writes no row anew."""
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN features text[] NOT NULL DEFAULT '{{}}'")


def downgrade() -> None:
    """Take the columns away. The code before refuses to read a definition that uses what it does not know."""
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN features")
