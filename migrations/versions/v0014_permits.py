"""Permits: how many of a step may run at once over all instances, and who waits for one.

Like the leases they are unlogged, so their commits wait for no disk, and a crash of the database empties both.
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two tables, which are empty. The release before neither reads nor writes them: it knows no such limits."""
    op.execute(
        """
        CREATE UNLOGGED TABLE permits (
            code text NOT NULL,
            kind text NOT NULL,
            slot integer NOT NULL,
            instance integer NOT NULL,
            token bigint NOT NULL,
            expires_at timestamptz NOT NULL,
            PRIMARY KEY (code, kind, slot)
        ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000)
        """
    )
    op.execute(
        """
        CREATE UNLOGGED TABLE permit_queue (
            saga_id uuid NOT NULL,
            step text NOT NULL,
            direction text NOT NULL,
            round integer NOT NULL,
            code text NOT NULL,
            since timestamptz NOT NULL,
            woken_at timestamptz,
            wakes integer NOT NULL,
            PRIMARY KEY (saga_id, step, direction, round)
        ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000)
        """
    )
    op.execute("CREATE INDEX permit_queue_since ON permit_queue (code, since)")
    op.execute("CREATE INDEX permit_queue_woken ON permit_queue (code, woken_at) WHERE woken_at IS NOT NULL")


def downgrade() -> None:
    """Take them away again. Steps that wait for a permit are sent again by the sweep, and run without one."""
    op.execute("DROP TABLE permit_queue")
    op.execute("DROP TABLE permits")
