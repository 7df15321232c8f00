"""Whose lease, not freed, was taken over: the log is told of it before the step is run again."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of leases that are held nothing is known."""
    op.execute("ALTER TABLE leases ADD COLUMN taken_from integer")


def downgrade() -> None:
    """Take it away again."""
    op.execute("ALTER TABLE leases DROP COLUMN taken_from")
