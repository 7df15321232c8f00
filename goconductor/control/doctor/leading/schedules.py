"""Whether schedules are fired, and whether their sagas could be started."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from goconductor.control.doctor.findings import Check, Finding, error, warning
from goconductor.ports.store import ScheduleRow, Store
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.schedules.schedule import read

LATE_SECONDS = 60.0
"""Seconds from which a schedule that should have been fired is a finding."""
LOOKED_AT_MAX = 200
"""Number of schedules that are read."""


async def of_schedules(store: Store, now: float) -> Check:
    """Look at the schedules, at most the first 200 by name.

    Args:
        store: open.
        now: the database's time.
    """
    rows = await store.schedules.page(DEFAULT_NAMESPACE, limit=LOOKED_AT_MAX)
    findings = [finding for row in rows for finding in _wrong(row, now)]
    return Check.of("schedules", findings, saw=f"{len(rows)}, fired in time" if rows else "none")


def _wrong(row: ScheduleRow, now: float) -> Iterator[Finding]:
    if row.look_at is not None and now - row.look_at > LATE_SECONDS:
        yield error(
            f"schedule {row.name!a} should have been fired {now - row.look_at:.0f} s ago",
            "see that somebody leads, by `goconductor leader`, that the leader is of this version, and its log",
        )
    try:
        kept = read(row.body)
    except msgspec.DecodeError as problem:
        yield error(f"schedule {row.name!a} cannot be read by this version: {problem}", "upgrade, or delete it and make it anew")
        return
    if kept.progress.fires and (last := kept.progress.fires[-1]).problem:
        yield warning(
            f"the last fire of schedule {row.name!a} started nothing: {last.problem}",
            f"register its definition or replace the schedule, then `goconductor schedule fire {row.name}`",
        )
