"""Whether the events of all sagas reach the outside in time."""

from __future__ import annotations

from collections.abc import Iterator

from goconductor.control.doctor.findings import Check, Finding, error, warning
from goconductor.ports.store import FeedLag, Store
from goconductor.recovery.feed.publishing import NAME

LATE_SECONDS = 60.0
"""Seconds from which an event that is not published is a finding."""


async def of_events(store: Store, *, published: bool) -> Check:
    """Look how much the leader has not published yet.

    Args:
        store: open.
        published: whether it is to publish at all.

    Raises:
        ConfigurationError: the order of events cannot be read; names the remedy.
    """
    if not published:
        return Check.of("events", saw="not published")
    await store.feed.check()
    position = await store.feed.position(NAME)
    if position is None:
        late = warning("nobody has published events yet", "see that somebody leads whose settings have events.topic, and its log")
        return Check.of("events", [late])
    lag = await store.feed.lag(position.cursor)
    saw = "all are published" if not lag.entries else f"{lag.entries:,} to be published, the oldest {lag.seconds:.0f} s old"
    return Check.of("events", [*_late(lag)], saw=saw)


def _late(lag: FeedLag) -> Iterator[Finding]:
    if lag.seconds > LATE_SECONDS:
        yield error(
            f"an event is not published that happened {lag.seconds:.0f} s ago",
            "see that nobody keeps a transaction open on the database's server (pg_stat_activity, pg_prepared_xacts), that all "
            "candidates have events.topic in their settings, and the leader's log",
        )
