"""Which bus and which election are used, what each process says of them, and in which election a term was won."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add table and columns; nothing was changed yet, and running processes say nothing."""
    op.execute(
        """
        CREATE TABLE choices (
            kind text PRIMARY KEY,
            chosen text NOT NULL,
            beside text NOT NULL,
            phase text NOT NULL,
            number bigint NOT NULL,
            since timestamptz NOT NULL DEFAULT clock_timestamp(),
            asked_by text NOT NULL
        )
        """
    )
    op.execute("ALTER TABLE participants ADD COLUMN speaks jsonb NOT NULL DEFAULT '{}'")
    op.execute("ALTER TABLE leadership ADD COLUMN election text NOT NULL DEFAULT ''")


def downgrade() -> None:
    """Take them away again."""
    op.execute("DROP TABLE choices")
    op.execute("ALTER TABLE participants DROP COLUMN speaks")
    op.execute("ALTER TABLE leadership DROP COLUMN election")
