"""Check of the locks: whether somebody waits for long, or for a saga that is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from goconductor.control.doctor.findings import Check, Finding, error, warning
from goconductor.control.wording import spell
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.ports.store import LockRow, Store
from goconductor.ports.store.log.queues import is_over

WAIT_WARNING_SECONDS = 3600.0
"""Seconds of waiting for a lock from which it is a warning."""
OVER_ERROR_SECONDS = 120.0
"""Seconds for which one may wait for a saga that is over: who waits looks again within a minute."""
LOOKED_AT_MAX = 1_000
"""Number of rows that are read."""


async def of_locks(store: Store, now: float) -> Check:
    """Look at the locks, at most the first 1,000 rows by key.

    Args:
        store: open.
        now: the database's time.
    """
    rows = await store.locks.rows(limit=LOOKED_AT_MAX)
    held, waits = sum(row.held for row in rows), [row.since for row in rows if not row.held]
    oldest = f", the first for {spell(max(0.0, now - min(waits)))}" if waits else ""
    more = "at least " if len(rows) == LOOKED_AT_MAX else ""
    saw = f"{more}{held} held, {len(waits)} waited for{oldest}" if rows else "none are held"
    return Check.of("locks", [*wrong(rows, now)], saw=saw)


def wrong(rows: Iterable[LockRow], now: float) -> Iterator[Finding]:
    """Find what is wrong with locks.

    Args:
        rows: by key, first who holds it and then who waits, in the order of the queue.
        now: seconds since 1970.
    """
    holders: dict[str, list[LockRow]] = {}
    first: dict[str, LockRow] = {}
    for row in rows:
        if row.held:
            holders.setdefault(row.key, []).append(row)
        elif not is_over(row) and row.status != SagaStatus.PAUSED:
            first.setdefault(row.key, row)
    oldest: LockRow | None = None
    for key, waits in first.items():
        living = [row for row in holders.get(key, ()) if not is_over(row)]
        if not living and now - waits.since > OVER_ERROR_SECONDS:
            yield error(
                f"saga {waits.saga_id} has waited for lock {key!a} for {spell(now - waits.since)}, and no saga holds it any more",
                "see that a leader sweeps (the check 'leader'); who waits looks again within a minute",
            )
        elif living and (oldest is None or waits.since < oldest.since):
            oldest = waits
    if oldest is not None and now - oldest.since > WAIT_WARNING_SECONDS:
        holder = next(row for row in holders[oldest.key] if not is_over(row))
        yield warning(
            f"saga {oldest.saga_id} has waited for lock {oldest.key!a} for {spell(now - oldest.since)}; saga {holder.saga_id} "
            f"holds it, and is {holder.status}",
            f"look at that saga with `goconductor saga story {holder.saga_id}`: end what it waits for, or abort it",
        )
