"""Secrets: what settings refer to by name, encrypted."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, which is empty."""
    op.execute(
        """
        CREATE TABLE secrets (
            name text NOT NULL PRIMARY KEY,
            version bigint NOT NULL,
            key_id text NOT NULL,
            wrapped bytea NOT NULL,
            sealed bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            created_by text NOT NULL,
            deleted_at timestamptz,
            deleted_by text NOT NULL DEFAULT ''
        )
        """
    )


def downgrade() -> None:
    """Take it away again, with all secrets."""
    op.execute("DROP TABLE secrets")
