"""Schedules: sagas that are started when their time comes."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, which is empty. The release before neither reads nor writes it, and fires nothing while it leads."""
    op.execute(
        """
        CREATE TABLE schedules (
            namespace text NOT NULL,
            name text NOT NULL,
            tag bigint NOT NULL,
            look_at timestamptz,
            body text NOT NULL,
            PRIMARY KEY (namespace, name)
        )
        """
    )
    op.execute("CREATE INDEX schedules_look_at ON schedules (look_at) WHERE look_at IS NOT NULL")


def downgrade() -> None:
    """Take it away again, with all schedules."""
    op.execute("DROP TABLE schedules")
