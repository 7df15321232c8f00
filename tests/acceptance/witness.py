"""Did one leader write at a time? A *witness* in the store's database keeps a record of all that leaders wrote.

Triggers note under whose epoch, and by whom, each write was made. The row of the epoch is locked while they do, so the order of
their notes is the order of the writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg
import msgspec

WITNESS = """
CREATE TABLE goconductor.leader_writes (
    write_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what text NOT NULL, epoch bigint NOT NULL, holder text NOT NULL, writer text NOT NULL
);
CREATE FUNCTION goconductor.witness() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO goconductor.leader_writes (what, epoch, holder, writer)
    SELECT TG_ARGV[0], epoch, holder, coalesce((
        SELECT name FROM goconductor.participants WHERE application_name = current_setting('application_name')
    ), '') FROM goconductor.leadership;
    RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER UPDATE ON goconductor.leadership
    FOR EACH ROW EXECUTE FUNCTION goconductor.witness('term');
CREATE TRIGGER witness AFTER INSERT ON goconductor.saga_log
    FOR EACH ROW WHEN (NEW.event = 'OutcomeUnknown' AND NEW.data->>'reason' NOT LIKE ALL (
        ARRAY['its instance was stopped in the middle', 'it was to go back%', '% took it over']))
    EXECUTE FUNCTION goconductor.witness('outcome unknown');
CREATE TRIGGER witness AFTER UPDATE ON goconductor.sagas
    FOR EACH ROW WHEN (OLD.seq = NEW.seq AND NEW.wake_at IS NOT NULL) EXECUTE FUNCTION goconductor.witness('put off');
CREATE TRIGGER witness AFTER UPDATE ON goconductor.participants
    FOR EACH ROW WHEN (OLD.dead_at IS NULL AND NEW.dead_at IS NOT NULL
        AND NEW.application_name <> current_setting('application_name'))
    EXECUTE FUNCTION goconductor.witness('declared dead');
"""
"""Installed into the store's database, before the run; ``goconductor`` stands for the schema. That nobody has to look at a saga
any more, as its parent knows of its end, is no leader's write: whoever told the parent notes it."""


class LeaderWrite(msgspec.Struct, frozen=True):
    """What the witness saw: under whose epoch somebody wrote as a leader."""

    what: str
    epoch: int
    holder: str
    writer: str


def leader_writes(writes: Sequence[LeaderWrite]) -> Iterator[str]:
    """I7: epochs never fall, and who wrote under an epoch held it.

    Args:
        writes: what the witness saw, in its order.
    """
    highest = 0
    for number, write in enumerate(writes, 1):
        if write.epoch < highest:
            yield f"write {number} ({write.what}) has epoch {write.epoch} after {highest}"
        if write.what != "term" and write.writer != write.holder:
            yield f"write {number} ({write.what}), epoch {write.epoch}: by {write.writer!r} while {write.holder!r} led"
        highest = max(highest, write.epoch)


async def witnessed(url: str, *, schema: str = "goconductor") -> list[LeaderWrite]:
    """What the witness saw, in its order."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(f'SELECT what, epoch, holder, writer FROM "{schema}".leader_writes ORDER BY write_id')
    finally:
        await connection.close()
    return [LeaderWrite(**dict(row)) for row in rows]
