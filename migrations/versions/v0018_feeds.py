"""How far readers of all events have come."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, which is empty. The release before neither reads nor writes it, and publishes nothing while it leads.

    ``xid`` tells a row that was written here from one that was restored from elsewhere.
    """
    op.execute(
        """
        CREATE TABLE feeds (
            name text NOT NULL PRIMARY KEY,
            cursor text NOT NULL,
            reached_at timestamptz NOT NULL,
            xid xid8 NOT NULL DEFAULT pg_current_xact_id()
        )
        """
    )


def downgrade() -> None:
    """Take it away again, with all positions, and the index on the log that its readers use."""
    op.execute("DROP TABLE feeds")
    op.execute("DROP INDEX IF EXISTS saga_log_xid")
