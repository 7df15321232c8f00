"""API keys: who may ask over REST and gRPC."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, which is empty."""
    op.execute(
        """
        CREATE TABLE api_keys (
            key_id text NOT NULL PRIMARY KEY,
            namespace text NOT NULL,
            name text NOT NULL,
            digest text NOT NULL,
            roles text[] NOT NULL,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            created_by text NOT NULL,
            expires_at timestamptz,
            revoked_at timestamptz,
            revoked_by text NOT NULL DEFAULT ''
        )
        """
    )


def downgrade() -> None:
    """Take it away again, with all keys."""
    op.execute("DROP TABLE api_keys")
