"""Whether webhooks take what they are told."""

from __future__ import annotations

from collections.abc import Iterator

from goconductor.control.doctor.findings import Check, Finding, error, warning
from goconductor.ports.store import Store, WebhookQueue, WebhookRow
from goconductor.webhooks.endpoint import State, read

FAILS_SECONDS = 3600.0
"""Seconds from which an endpoint that fails is a finding."""
LATE_SECONDS = 300.0
"""Seconds from which a delivery that waits for an endpoint that does not fail is a finding."""
SHOWN_MAX = 20
"""Number of endpoints that are named."""


async def of_webhooks(store: Store, now: float, *, sent: bool) -> Check:
    """Look which endpoints fail for long, are gone, or have dead letters.

    Args:
        store: open.
        now: the database's time.
        sent: whether the leader is to send to them.

    Raises:
        ConfigurationError: the order of events cannot be read; names the remedy.
    """
    rows = await store.webhooks.all()
    if not rows:
        return Check.of("webhooks", saw="there are none")
    if not sent:
        what = f"there are {len(rows)} webhooks, and webhooks.enabled is not set: nothing is sent to them"
        return Check.of("webhooks", [warning(what, "set webhooks.enabled for all processes that may lead")])
    await store.feed.check()
    queues = {each.webhook_id: each for each in await store.webhooks.queues([row.webhook_id for row in rows])}
    findings = [finding for row in rows for finding in _of(row, queues[row.webhook_id], now)]
    waiting, dead = sum(each.waiting for each in queues.values()), sum(each.dead for each in queues.values())
    return Check.of("webhooks", findings[:SHOWN_MAX], saw=f"{len(rows)}; {waiting:,} deliveries wait, {dead:,} are dead")


def _of(row: WebhookRow, queue: WebhookQueue, now: float) -> Iterator[Finding]:
    state, show = read(row.body).state, f"`goconductor webhooks show {row.name}`"
    fails_seconds = 0.0 if row.failing_since is None else now - row.failing_since
    if state is State.GONE:
        yield warning(
            f"webhook {row.name} has answered that it is gone",
            f"`goconductor webhooks delete {row.name}`; or replace its url and resume it",
        )
    elif fails_seconds > FAILS_SECONDS:
        yield error(
            f"webhook {row.name} fails since {fails_seconds / 3600:.1f} hours: {row.problem}",
            f"mend its receiver, or pause it; {show} says what waits, `goconductor webhooks redrive {row.name}` sends it at once",
        )
    elif state is State.ACTIVE and row.failing_since is None and queue.oldest_seconds > LATE_SECONDS:
        yield warning(
            f"a delivery to webhook {row.name} waits for {queue.oldest_seconds:.0f} s",
            "see that somebody leads whose settings have webhooks.enabled, and its log; its receiver may be too slow",
        )
    if queue.dead:
        yield warning(
            f"webhook {row.name} has {queue.dead:,} dead letters",
            f"`goconductor webhooks dead-letters {row.name}` lists them, `goconductor webhooks redrive {row.name}` sends them",
        )
