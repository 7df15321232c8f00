"""The timelines that this log has been on, what a failover is known to have taken, and since when leases can be believed."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables and columns. That the leases can be believed counts from now on, if they can."""
    op.execute(
        """
        CREATE TABLE timelines (
            system text NOT NULL,
            timeline bigint NOT NULL,
            seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            replayed_until timestamptz,
            PRIMARY KEY (system, timeline)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE losses (
            saga_id uuid NOT NULL,
            seq bigint NOT NULL,
            tag bigint NOT NULL,
            status text NOT NULL,
            at timestamptz NOT NULL,
            known_by text NOT NULL,
            noticed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (saga_id, seq, tag)
        )
        """
    )
    op.execute("ALTER TABLE leadership ADD COLUMN emptied_at timestamptz, ADD COLUMN marked_at timestamptz")
    op.execute("UPDATE leadership SET marked_at = clock_timestamp()")


def downgrade() -> None:
    """Take them away again."""
    op.execute("DROP TABLE timelines, losses")
    op.execute("ALTER TABLE leadership DROP COLUMN emptied_at, DROP COLUMN marked_at")
