"""What the leader did lately, for people to look at, in the row of its term."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; nothing is known yet."""
    op.execute("ALTER TABLE leadership ADD COLUMN swept_at timestamptz, ADD COLUMN swept_epoch bigint, ADD COLUMN swept jsonb")


def downgrade() -> None:
    """Take them away again."""
    op.execute("ALTER TABLE leadership DROP COLUMN swept_at, DROP COLUMN swept_epoch, DROP COLUMN swept")
