"""A status for sagas that are to end as they stand, while the owners of what is out write its keys. Somebody must look at them.

Code of the release before leaves such sagas alone, as it does not know the event that leads there.
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BEFORE = "'queued', 'running', 'waiting', 'paused', 'compensating', 'completed', 'compensated', 'stuck', 'terminated', 'held'"
AFTER = BEFORE.replace("'terminated'", "'terminating', 'terminated'")
LIVE_BEFORE = "'queued', 'running', 'compensating'"
LIVE_AFTER = f"{LIVE_BEFORE}, 'terminating'"


def upgrade() -> None:
    """Allow the status. The heads are read once under a lock that keeps writers out, a second or so for each few million."""
    _check(AFTER, LIVE_AFTER)


def downgrade() -> None:
    """Refuse the status again, unless a saga has it."""
    op.execute(
        """
        DO $$ BEGIN
            IF EXISTS (SELECT FROM sagas WHERE status = 'terminating') THEN
                RAISE EXCEPTION 'sagas are terminating, which the release before cannot end; wait, or terminate them by force';
            END IF;
        END $$
        """
    )
    _check(BEFORE, LIVE_BEFORE)


def _check(statuses: str, live: str) -> None:
    op.execute(
        f"""
        ALTER TABLE sagas
            DROP CONSTRAINT sagas_status, ADD CONSTRAINT sagas_status CHECK (status IN ({statuses})),
            DROP CONSTRAINT sagas_wake_at,
            ADD CONSTRAINT sagas_wake_at CHECK (wake_at IS NOT NULL OR status NOT IN ({live}))
        """
    )
