"""The ids of the signals that have reached each saga, so that one that is sent again changes nothing."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.execute(
        """
        CREATE TABLE signals (
            saga_id uuid NOT NULL,
            id text NOT NULL,
            digest bytea NOT NULL,
            PRIMARY KEY (saga_id, id)
        ) WITH (autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05)
        """
    )


def downgrade() -> None:
    """Take it away again."""
    op.execute("DROP TABLE signals")
