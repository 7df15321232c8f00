"""What a failover to a standby that lagged behind has taken, as far as anybody knows."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from goconductor.control.doctor.findings import Check, error, warning
from goconductor.control.wording import together
from goconductor.ports.store import Loss, Store, Timeline

LISTED_MAX = 1_000
"""Number of lost acknowledgements that are read."""
SHOWN_MAX = 5
"""Number of sagas that a finding lists."""
SHOWN_SECONDS = 7 * 86_400.0
"""Seconds after a failover during which its possible losses are reported."""
LAGGED_SECONDS = 1.0
"""Seconds between the last commit and the notice of a promotion, up to which no loss can be measured."""


async def of_failovers(store: Store, now: float) -> Check:
    """Check the timelines of the database, and what is known to be missing."""
    timelines, losses = await store.failovers.timelines(), await store.failovers.losses(LISTED_MAX)
    findings = []
    if losses:
        many = f"{len(losses)}{' or more' if len(losses) == LISTED_MAX else ''}"
        findings.append(
            error(
                f"a failover lost {many} acknowledged commits that processes know of: {together(_shown(losses))}",
                "the log has not got them any more, and effects of their steps stand: reconcile these sagas by hand, with each "
                "service's own data. Use a synchronous standby. When all is settled, delete the rows of goconductor.losses",
            )
        )
    windows = [pair for pair in pairwise(timelines) if _may_lack(pair[1], now)]
    findings += [
        warning(
            f"timeline {after.number} followed {before.number}: the promoted server had all until {_time(after.replayed_until)}, "
            f"and was seen first at {_time(after.seen_at)}",
            "of sagas that were accepted in between nobody may know any more: ask who started some then. With a synchronous "
            "standby none is missing, and this proves nothing",
        )
        for before, after in windows
    ]
    present = f"timeline {timelines[-1].number}" if timelines else "no timelines are reported"
    return Check.of("failovers", findings, saw=f"{present}, nothing is known to be missing")


def _may_lack(timeline: Timeline, now: float) -> bool:
    until = timeline.replayed_until
    return until is not None and timeline.seen_at - until > LAGGED_SECONDS and now - timeline.seen_at < SHOWN_SECONDS


def _shown(losses: list[Loss]) -> list[str]:
    shown = [f"{one.saga_id} ({one.status} at {_time(one.at)}, known by {one.known_by})" for one in losses[:SHOWN_MAX]]
    return [*shown, "…"] if len(losses) > SHOWN_MAX else shown


def _time(at: float | None) -> str:
    return "?" if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
