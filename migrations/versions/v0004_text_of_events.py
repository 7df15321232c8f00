"""The bodies of events as the text that was written, in place of what ``jsonb`` makes of it.

``jsonb`` sorts the keys of objects, drops the sign of -0.0 and writes large floats as integers, so a step that is tried again
would be given other bytes than before under the same idempotency key. The table is written anew under a lock that keeps
everybody out; processes wait meanwhile, and go on by themselves. The last release can work with the new type: what it writes is
cast.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep the text: half a minute to a minute for each GB."""
    op.execute("ALTER TABLE saga_log ALTER COLUMN data TYPE json USING data::json")


def downgrade() -> None:
    """Let ``jsonb`` have it again: the order of keys is lost."""
    op.execute("ALTER TABLE saga_log ALTER COLUMN data TYPE jsonb USING data::jsonb")
