"""Which versions of definitions the living instances have in their code, and which version an operator has pinned."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add table and column; instances offer what they have when they next register it, and nothing is pinned."""
    op.execute(
        """
        CREATE TABLE offers (
            saga text NOT NULL,
            version text NOT NULL,
            serial integer NOT NULL REFERENCES participants ON DELETE CASCADE,
            PRIMARY KEY (saga, version, serial)
        )
        """
    )
    op.execute("CREATE INDEX offers_serial ON offers (serial)")
    op.execute("ALTER TABLE active_definitions ADD COLUMN pinned boolean NOT NULL DEFAULT false")


def downgrade() -> None:
    """Take them away again."""
    op.execute("DROP TABLE offers")
    op.execute("ALTER TABLE active_definitions DROP COLUMN pinned")
