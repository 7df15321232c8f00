"""Metrics that only the database and the bus know. The leader alone reads them.

No index has the status of sagas, since it would cost every append (see the store's tables). So the leader *walks* over the
sagas in the order of their ids, one page each time, and exposes the result of the last complete walk. A million sagas take a
quarter of an hour. A saga that becomes stuck is visible at once in ``goconductor_sagas_halted_total`` of the process that
appended the event.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from goconductor.aio.reminders import Reminder
from goconductor.aio.tasks import create_guarded_task, end
from goconductor.errors import GoConductorError
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.messages.topics import steps_topic
from goconductor.observe.metric_types import Gauge
from goconductor.ports.bus_metrics import Lag, MeasuredBus
from goconductor.ports.store import FeedLag, StoreMetrics, WebhookQueue
from goconductor.redaction import logger_of

if TYPE_CHECKING:
    from goconductor.engine.node import Node
    from goconductor.recovery.leadership import LeadTerm
    from goconductor.recovery.resent import Owner

logger = logger_of("goconductor.observe")

INTERVAL_SECONDS = 15.0
"""Seconds between two readings."""
PAGE = 20_000
"""Sagas counted in one reading: 15 to 30 ms of the database."""

OF_STORE: dict[str, tuple[str, str]] = {
    "live": ("goconductor_sagas_live", "Sagas that somebody must look at some day; counted up to 10,000."),
    "overdue": ("goconductor_sagas_overdue", "Sagas that should have been looked at by now; up to 10,000."),
    "overdue_seconds": ("goconductor_saga_overdue_seconds", "For how long the oldest of these has been waiting."),
    "schedules_overdue_seconds": (
        "goconductor_schedules_overdue_seconds",
        "For how long the schedule that waits longest should have been fired.",
    ),
    "locks_waited_seconds": (
        "goconductor_locks_waited_seconds",
        "For how long the saga that waits longest for a lock has waited.",
    ),
    "audit_unplaced_seconds": (
        "goconductor_audit_unchained_seconds",
        "Age of the oldest row of the audit log that is not chained yet.",
    ),
    "dead_letters": ("goconductor_dead_letters_stored", "Messages that nobody could read, kept; up to 10,000."),
    "oldest_transaction_seconds": (
        "goconductor_database_oldest_transaction_seconds",
        "Age of the oldest open transaction on the database server.",
    ),
    "oldest_snapshot_transactions": (
        "goconductor_database_oldest_snapshot_transactions",
        "How many transactions ago the oldest snapshot was taken that keeps vacuum from cleaning.",
    ),
}
"""Name and sentence of each number of :class:`StoreMetrics`, by its field."""


class LeaderMetrics:
    """Reads the leader's metrics at an interval.

    Args:
        node: its store and bus are read.
        interval_seconds: seconds between two readings.
        page: the number of sagas counted in one reading.
        wanted: answers whether anybody measures; if not, nothing is read.
        waiting: answers how many sagas wait for each step that was sent again.
        unpublished: answers what of the events is not published yet; None where nobody publishes them.
        webhooks: answers what webhooks are still to get; None where nobody sends to any, or it is not counted yet.
    """

    def __init__(
        self,
        node: Node,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        page: int = PAGE,
        wanted: Callable[[], bool] = lambda: True,
        waiting: Callable[[], Mapping[Owner, int]] = dict,
        unpublished: Callable[[], FeedLag | None] = lambda: None,
        webhooks: Callable[[], Sequence[WebhookQueue] | None] = lambda: None,
    ) -> None:
        self.unpublished = unpublished
        self.webhooks = webhooks
        self._wanted = wanted
        self._waiting = waiting
        self._node = node
        self._interval_seconds = interval_seconds
        self._page = page
        self._collecting: asyncio.Task[None] | None = None
        self._walk: Counter[str] = Counter()
        self._after: UUID | None = None
        self._walk_began = 0.0
        self.epoch = 0
        """The term that this process leads; 0 if it does not."""
        self.store_metrics: StoreMetrics | None = None
        self.lags: dict[str, Lag] = {}
        self.unoffered: dict[Owner, int] = {}
        """Number of sagas that wait for each step that no living instance offers."""
        self.sagas: dict[str, int] | None = None
        """Sagas by status, of the last complete walk."""
        self._oldest: UUID | None = None
        self.oldest_seconds = 0.0
        """Age of the oldest saga that has not ended, in seconds; paused and stuck ones count as well."""
        self.walk_seconds = 0.0
        """Duration of that walk, and so the greatest age of its counts."""

    def on_term(self, term: LeadTerm | None) -> None:
        """Begin to read with a term, and stop without one; both forget what was read before."""
        if self._collecting is not None:
            self._collecting.cancel()
            self._collecting = None
        self.epoch = term.epoch if term is not None else 0
        self.store_metrics, self.lags, self.sagas, self.unoffered = None, {}, None, {}
        self._walk, self._after = Counter(), None
        if term is not None:
            self._collecting = create_guarded_task(self._collect_on(), name="leader metrics")

    def gauges(self) -> Iterator[Gauge]:
        """Yield what was read last. What was not read yet is left out."""
        yield _gauge("goconductor_leader", "1 while this process leads.", float(self.epoch > 0))
        if self.epoch:
            yield _gauge("goconductor_leader_epoch", "The number of the leader's term.", self.epoch)
        if (sagas := self.sagas) is not None:
            by_status = [((status.value,), float(sagas.get(status.value, 0))) for status in SagaStatus]
            help = "Sagas by status, as the leader's last walk over all of them counted."
            yield Gauge("goconductor_sagas", help, by_status, ("status",))
            yield _gauge(
                "goconductor_saga_oldest_seconds", "For how long the oldest living saga is on its way.", self.oldest_seconds
            )
            yield _gauge("goconductor_sagas_walk_duration_seconds", "How long that walk took.", self.walk_seconds)
        if (found := self.store_metrics) is not None:
            for field, (name, help) in OF_STORE.items():
                yield _gauge(name, help, getattr(found, field))
        if (left := self.unpublished()) is not None:
            yield _gauge(
                "goconductor_events_unpublished",
                "Events of the log that are not on their topic yet; up to 10,000.",
                left.entries,
            )
            yield _gauge("goconductor_events_unpublished_seconds", "Age of the oldest of these.", left.seconds)
        if (queues := self.webhooks()) is not None:
            yield from _of_webhooks(queues)
        yield Gauge(
            "goconductor_steps_unoffered",
            "Sagas that wait for a step while no living instance offers it; up to 500 each.",
            [((f"{participant}.{step}",), number) for (participant, step), number in self.unoffered.items()],
            ("step",),
        )
        if lags := list(self.lags.items()):
            yield Gauge(
                "goconductor_bus_messages_waiting",
                "Messages on the bus for a participant; up to 10,000.",
                [((name,), lag.messages) for name, lag in lags],
                ("participant",),
            )
            yield Gauge(
                "goconductor_bus_oldest_message_seconds",
                "For how long the oldest of these has been ready.",
                [((name,), lag.oldest_seconds) for name, lag in lags],
                ("participant",),
            )

    async def close(self) -> None:
        """Stop reading."""
        collecting = self._collecting
        self.on_term(None)
        await end(collecting)

    async def _collect_on(self) -> None:
        trouble = Reminder(monotonic=self._node.clock.monotonic)
        while True:
            try:
                if self._wanted():
                    await self.collect()
                    trouble.end()
            except GoConductorError as error:
                if trouble.is_due():
                    logger.warning("the leader's metrics could not be read: %s", error)
            except Exception:
                if trouble.is_due():
                    logger.exception("the leader's metrics could not be read")
            await self._node.clock.sleep(self._interval_seconds)

    async def collect(self) -> None:
        """Read store and bus once.

        Raises:
            StoreUnavailableError: the store cannot be reached.
            BusUnavailableError: the bus cannot be reached.
        """
        store, bus = self._node.store, self._node.bus
        await self._collect_unoffered()
        if store.metrics is None:
            return
        self.store_metrics = await store.metrics.read()
        if self._after is None:
            self._walk.clear()
            self._oldest = None
            self._walk_began = self._node.clock.monotonic()
        counts = await store.metrics.count_statuses(self._after, self._page)
        self._walk.update(counts.statuses)
        self._after = counts.after
        self._oldest = self._oldest or counts.oldest
        if counts.after is None:
            began = self._node.clock.now() if self._oldest is None else (self._oldest.int >> 80) / 1000  # as UUIDv7 has it
            self.oldest_seconds = max(0.0, self._node.clock.now() - began)
            self.sagas = dict(self._walk)
            self.walk_seconds = self._node.clock.monotonic() - self._walk_began
        if isinstance(bus, MeasuredBus):
            names = self.store_metrics.participants
            lags = {name: await bus.lag(steps_topic(name), name) for name in names}
            self.lags = {name: lag for name, lag in lags.items() if lag is not None}

    async def _collect_unoffered(self) -> None:
        """Find which of the steps that were sent again in vain are not offered. Where there are none, nothing is read."""
        waiting = self._waiting()
        offered: set[Owner] = set()
        for participant in sorted({participant for participant, _ in waiting}):
            instances = await self._node.store.instances.registered(participant)
            offered |= {(participant, step) for each in instances if each.dead_at is None for step in each.steps}
        self.unoffered = {owner: number for owner, number in waiting.items() if owner not in offered}


def _gauge(name: str, help: str, value: float) -> Gauge:
    return Gauge(name, help, [((), value)])


def _of_webhooks(queues: Sequence[WebhookQueue]) -> Iterator[Gauge]:
    yield _gauge(
        "goconductor_webhook_deliveries_waiting",
        "Deliveries that webhooks are still to get; up to 10,000 each.",
        sum(each.waiting for each in queues),
    )
    yield _gauge(
        "goconductor_webhook_deliveries_waiting_seconds",
        "Age of the oldest of these.",
        max((each.oldest_seconds for each in queues), default=0.0),
    )
    yield _gauge(
        "goconductor_webhook_deliveries_dead",
        "Deliveries that were given up, kept; up to 10,000 each.",
        sum(each.dead for each in queues),
    )
