"""A status for sagas that only wait. It is outside of those that must have a time by which somebody looks.

Code of the release before never writes it, and leaves such sagas alone, as it cannot read their definitions.
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BEFORE = "'queued', 'running', 'paused', 'compensating', 'completed', 'compensated', 'stuck', 'terminated', 'held'"
AFTER = BEFORE.replace("'paused'", "'waiting', 'paused'")


def upgrade() -> None:
    """Allow the status. The heads are read once under a lock that keeps writers out, a second or so for each few million."""
    _check(AFTER)


def downgrade() -> None:
    """Refuse the status again, unless a saga has it, or may have it: the release before cannot read such definitions."""
    op.execute(
        """
        DO $$ BEGIN
            IF EXISTS (
                SELECT FROM sagas AS s JOIN definitions AS d ON d.saga = s.saga AND d.version = s.version AND d.features <> '{}'
                WHERE s.status NOT IN ('waiting', 'completed', 'compensated', 'terminated')
            ) THEN
                RAISE EXCEPTION 'sagas run by definitions the release before cannot read; let them end, or terminate them first';
            END IF;
            IF EXISTS (SELECT FROM sagas WHERE status = 'waiting') THEN
                RAISE EXCEPTION 'sagas wait, which the release before cannot write; let them end, or terminate them first';
            END IF;
        END $$
        """
    )
    _check(BEFORE)


def _check(statuses: str) -> None:
    op.execute(f"ALTER TABLE sagas DROP CONSTRAINT sagas_status, ADD CONSTRAINT sagas_status CHECK (status IN ({statuses}))")
