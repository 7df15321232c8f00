"""Which code the tables suit: the oldest revision whose code works on them, beside the revision that they are at.

Code that does not know a newer revision reads that, and starts on the newer tables where they suit it: in a rolling upgrade a
process of the release before may be started again, and a release may be rolled back.

A later revision that older code cannot work on raises it: UPDATE alembic_version SET oldest_code = '…', to the first revision
whose code can. One that only adds something leaves it alone.
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Say that code from here on works on these tables: that from before does not read this, and refuses newer ones anyway."""
    op.execute("ALTER TABLE alembic_version ADD COLUMN oldest_code text NOT NULL DEFAULT '0017'")


def downgrade() -> None:
    """Take it away again."""
    op.execute("ALTER TABLE alembic_version DROP COLUMN oldest_code")
