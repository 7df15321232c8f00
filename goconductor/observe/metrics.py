"""The metrics of one process. Names follow Prometheus' conventions: ``goconductor_``, then the unit, ``_total`` for counters.

There are three sources, by their cost:

- what the engine counts anyway (``node.counts``, :meth:`Node.metrics`) is read at each scrape;
- what needs a label or a duration comes from the observer, on the hot path, about a microsecond for a step;
- what only the database and the bus know is read by the leader alone, seldom: see :mod:`goconductor.observe.leader`.

Each process counts only its own work, so rates are summed over instances. The leader's gauges describe the whole installation;
other processes do not have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Literal, NamedTuple

from goconductor.engine.observer import SILENT, Observer, Observers
from goconductor.lifecycle.facts import events
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.messages.envelope import RunStep
from goconductor.observe.metric_types import ITEMS, LONG_SECONDS, SECONDS, SERIES_MAX, Counter, Histogram, Labels
from goconductor.ports.bus_metrics import CountingBus, Statistic
from goconductor.saga.ids import Direction

if TYPE_CHECKING:
    from goconductor.engine.facts.log import View
    from goconductor.engine.node import Node
    from goconductor.engine.steps.context import StepContext
    from goconductor.engine.work.granted import Granted
    from goconductor.messages.envelope import Body, Envelope
    from goconductor.observe.leader import LeaderMetrics
    from goconductor.saga.plan import Plan

OUTCOMES: dict[type[object], str] = {
    events.ActionSucceeded: "succeeded",
    events.CompensationSucceeded: "succeeded",
    events.ActionFailed: "failed",
    events.ActionHandedOut: "handed_out",
    events.CompensationHandedOut: "handed_out",
    events.OutputRejected: "failed",
    events.CompensationFailed: "failed",
    events.OutcomeUnknown: "unknown",
    events.ActionSettled: "settled",
    events.CompensationSettled: "settled",
    events.SettleUnavailable: "unavailable",
}
NO_OUTCOME = "left"

# Module-level aliases: to look up and to hash an enum member is slow on the hot path.
_ACTION, _COMPENSATION, _COMPENSATING = Direction.ACTION, Direction.COMPENSATION, SagaStatus.COMPENSATING


class NodeMetric(NamedTuple):
    """A metric that the engine keeps: keys of ``node.counts`` or of ``node.metrics()``, each with the value of its one label."""

    name: str
    help: str
    keys: dict[str, str]
    label: str = ""
    kind: Literal["counter", "gauge"] = "counter"


NODE_METRICS = (
    NodeMetric(
        "goconductor_appends",
        "Appends to the log, by what became of them: won, conflict, not_due, fenced, rejected, held_up.",
        {
            "appends": "won",
            "append_conflict": "conflict",
            "append_not_due": "not_due",
            "append_fenced": "fenced",
            "append_rejected": "rejected",
            "append_held_up": "held_up",
        },
        "verdict",
    ),
    NodeMetric("goconductor_events_appended", "Events brought into the log.", {"events": ""}),
    NodeMetric("goconductor_events_published", "Events of the log that the leader has published.", {"events_published": ""}),
    NodeMetric("goconductor_webhooks_queued", "Deliveries that this process has queued for webhooks.", {"webhooks_queued": ""}),
    NodeMetric(
        "goconductor_webhook_attempts",
        "Attempts at webhooks of this process: delivered, failed, or dead, which is failed for the last time.",
        {"webhooks_delivered": "delivered", "webhooks_failed": "failed", "webhooks_dead": "dead"},
        "outcome",
    ),
    NodeMetric("goconductor_events_dropped", "Superseded events: late or repeated.", {"events_dropped": ""}),
    NodeMetric(
        "goconductor_steps_given_up",
        "Steps that failed and that their saga, which has ended, went on without.",
        {"steps_given_up": ""},
    ),
    NodeMetric(
        "goconductor_effects_left",
        "Steps of ended sagas whose compensation was skipped, so that their effects may stand.",
        {"effects_left": ""},
    ),
    NodeMetric(
        "goconductor_late_effects", "Actions that succeeded only after their compensation had begun.", {"late_effects": ""}
    ),
    NodeMetric(
        "goconductor_schedule_fires",
        "Times of schedules that came while this process led: started, skipped, missed, refused.",
        {
            "schedule_fires_started": "started",
            "schedule_fires_skipped": "skipped",
            "schedule_fires_missed": "missed",
            "schedule_fires_refused": "refused",
        },
        "outcome",
    ),
    NodeMetric(
        "goconductor_outbox_starts",
        "Rows of outboxes that this process has read: started, refused.",
        {"outbox_started": "started", "outbox_refused": "refused"},
        "outcome",
    ),
    NodeMetric(
        "goconductor_outbox_lag_seconds",
        "For how long the oldest row of this process's outboxes that is due has waited.",
        {"outbox_lag_seconds": ""},
        kind="gauge",
    ),
    NodeMetric(
        "goconductor_outbox_rows_kept",
        "Rows of these outboxes that could not be started yet, or are refused.",
        {"outbox_rows_kept": ""},
        kind="gauge",
    ),
    NodeMetric("goconductor_step_errors", "Exceptions of user code and of journals.", {"step_errors": ""}),
    NodeMetric(
        "goconductor_steps_overtaken", "Actions that were not begun, as their saga had turned back.", {"actions_overtaken": ""}
    ),
    NodeMetric("goconductor_steps_running", "Steps that hold a place now.", {"steps_running": ""}, kind="gauge"),
    NodeMetric(
        "goconductor_places_taken",
        "What running steps hold beside their places: threads, connections of journals, and permits of limited steps.",
        {"threads_taken": "threads", "connections_taken": "connections", "permits_taken": "permits"},
        "of",
        kind="gauge",
    ),
    NodeMetric("goconductor_steps_not_permitted", "Steps that got no permit, and wait for one.", {"steps_not_permitted": ""}),
    NodeMetric("goconductor_steps_woken", "Steps that were sent again, as there was a permit for them.", {"steps_woken": ""}),
    NodeMetric(
        "goconductor_threads_lost", "Threads of plain steps that were given up and run on.", {"threads_lost": ""}, kind="gauge"
    ),
    NodeMetric(
        "goconductor_event_loop_blocked",
        "Times that code kept the event loop of this process from going on, for two seconds or more.",
        {"loop_blocked": ""},
    ),
    NodeMetric(
        "goconductor_leases_orphaned",
        "Leases that nobody runs under and that wait to be freed.",
        {"leases_orphaned": ""},
        kind="gauge",
    ),
    NodeMetric(
        "goconductor_messages_not_taken",
        "Messages that led to no run, by why.",
        {
            "messages_for_others": "for_others",
            "messages_handed_over": "handed_over",
            "messages_handed_back": "handed_back",
            "messages_foreign": "foreign",
            "messages_without_room": "without_room",
            "messages_leased_elsewhere": "leased_elsewhere",
            "messages_not_due": "not_due",
            "messages_newer": "newer",
            "messages_given_up": "given_up",
            "dead_letters": "dead_letter",
        },
        "reason",
    ),
    NodeMetric(
        "goconductor_messages_waiting", "Messages that the bus has not taken yet.", {"messages_waiting": ""}, kind="gauge"
    ),
    NodeMetric(
        "goconductor_messages_dropped", "Messages that were not sent; the sweep sends them again.", {"messages_dropped": ""}
    ),
    NodeMetric("goconductor_leases_renewed", "Renewals of leases of long steps.", {"leases_renewed": ""}),
    NodeMetric(
        "goconductor_leases_lost",
        "Leases that ended while we held them: taken by another, or run out before the step began.",
        {"leases_lost": "taken", "leases_expired_before_start": "expired"},
        "how",
    ),
    NodeMetric(
        "goconductor_store_failures", "Batches and messages that met an absent store, and waited.", {"store_unavailable": ""}
    ),
    NodeMetric(
        "goconductor_leases_taken_over",
        "Expired leases of others that were taken over: the log has the outcome as unknown.",
        {"leases_taken_over": ""},
    ),
    NodeMetric(
        "goconductor_commits_missing",
        "Acknowledged appends and starts that the log has lost in a failover, as far as this process knew of them first.",
        {"commits_missing": ""},
    ),
    NodeMetric("goconductor_sweep_resent", "Messages that the leader sent again.", {"sweep_resent": ""}),
    NodeMetric("goconductor_sweep_unknown", "Runs that the leader declared unknown.", {"sweep_unknown": ""}),
)


class Metrics(Observer):
    """One process's metrics. :meth:`watch` binds them to its node."""

    def __init__(self) -> None:
        self.sagas_started = Counter("goconductor_sagas_started", "Sagas started by this process.", ("saga",))
        self.sagas_ended = Counter("goconductor_sagas_ended", "Sagas that an append of this process ended.", ("saga", "status"))
        self.sagas_turned = Counter("goconductor_sagas_turned_back", "Sagas that began to compensate.", ("saga",))
        self.sagas_halted = Counter(
            "goconductor_sagas_halted", "Sagas that came to wait for an operator: stuck, or paused.", ("saga", "status")
        )
        self.saga_seconds = Histogram(
            "goconductor_saga_duration_seconds", "From a saga's start to its end.", ("saga", "status"), LONG_SECONDS
        )
        self.steps = Counter(
            "goconductor_steps", "Runs of steps, by direction and what came of them.", ("step", "direction", "outcome")
        )
        self.step_seconds = Histogram(
            "goconductor_step_duration_seconds", "A run of a step's code.", ("step", "direction"), SECONDS
        )
        self.batch_items = Histogram("goconductor_batch_items", "Items that shared a call of the store.", ("kind",), ITEMS)
        self.batch_seconds = Histogram("goconductor_batch_duration_seconds", "One such call.", ("kind",), SECONDS)
        self.messages_received = Counter("goconductor_messages_received", "Messages that could be read.", ("type",))
        self.message_seconds = Histogram(
            "goconductor_message_delay_seconds", "From a message's making to its receipt, by two clocks.", ("type",), SECONDS
        )
        self.messages_sent = Counter("goconductor_messages_sent", "Messages that the bus has taken.")
        self.send_seconds = Histogram("goconductor_message_send_duration_seconds", "One call of the bus.", (), SECONDS)
        self.sweep_sagas = Counter("goconductor_sweep_sagas", "Sagas that the leader looked at, as they were due.")
        self.sweep_seconds = Histogram("goconductor_sweep_duration_seconds", "One round of the leader's sweep.", (), SECONDS)
        self.forgotten = Counter("goconductor_forgotten", "What retention has let go of.", ("kind",))
        self.leader: LeaderMetrics | None = None
        """The leader's metrics, if this process takes part in recovery."""
        self._node: Node | None = None
        self._began: dict[int, float] = {}
        self._sagas: set[str] = set()

    def watch(self, node: Node) -> None:
        """Read this node's counts from now on."""
        self._node = node

    def counters(self) -> Iterator[Counter]:
        """Return all counters of the observer."""
        return (each for each in vars(self).values() if isinstance(each, Counter))

    def histograms(self) -> Iterator[Histogram]:
        """Return all histograms of the observer."""
        return (each for each in vars(self).values() if isinstance(each, Histogram))

    def node_metrics(self) -> Iterator[tuple[NodeMetric, list[tuple[Labels, float]]]]:
        """Return what the engine counts by itself, each metric with its labels and values."""
        values_by_key = {**self._node.counts, **self._node.metrics()} if self._node is not None else {}
        for each in NODE_METRICS:
            values: list[tuple[Labels, float]] = [
                ((label,) if each.label else (), float(values_by_key.get(key, 0))) for key, label in each.keys.items()
            ]
            yield each, values

    def bus_statistics(self) -> list[Statistic]:
        """Return the statistics of the bus's client; none where it counts nothing."""
        bus = self._node.bus if self._node is not None else None
        return bus.statistics() if isinstance(bus, CountingBus) else []

    def step_begins(self, work: Granted, context: StepContext) -> None:  # noqa: ARG002
        """Note the time at which the run began."""
        self._began[work.lease.token] = perf_counter()

    def step_ended(self, work: Granted, event: events.Event | None) -> events.Event | None:
        """Count the run."""
        began = self._began.pop(work.lease.token, None)
        if began is not None:
            seconds = perf_counter() - began
            key = work.lease.key
            step, way = work.plan.code[key.direction][key.step], key.direction
            direction = "action" if way is _ACTION else "compensation" if way is _COMPENSATION else "settle"
            self.steps.add((step, direction, OUTCOMES.get(type(event), NO_OUTCOME)))
            self.step_seconds.add((step, direction), seconds)
        return event

    def appended(self, plan: Plan, before: View | None, after: View) -> None:
        """Count a start, a turn, a halt."""
        new = after.state
        old = before.state if before is not None else None
        if plan.name not in self._sagas:
            self._new_saga(plan.name)
        if old is None:
            self.sagas_started.add((plan.name,))
        if new.phase is _COMPENSATING and (old is None or old.phase is not _COMPENSATING):
            self.sagas_turned.add((plan.name,))
        halted = new.wake_at is None and not new.phase.ended and not new.waits
        if halted and (old is None or old.wake_at is not None or old.waits):
            self.sagas_halted.add((plan.name, new.status.value))

    def _new_saga(self, name: str) -> None:
        """Begin the counters that alerts read at 0: to Prometheus, a counter that begins at 1 has not increased."""
        if len(self._sagas) < SERIES_MAX:
            self._sagas.add(name)
            for status in (SagaStatus.STUCK, SagaStatus.PAUSED):
                self.sagas_halted.add((name, status.value), 0)

    def saga_ended(self, plan: Plan, view: View) -> None:
        """Count the end."""
        state = view.state
        labels = plan.name, state.phase.value
        self.sagas_ended.add(labels)
        self.saga_seconds.add(labels, max(0.0, state.at - state.started_at))

    def received(self, envelope: Envelope, body: Body) -> None:
        """Count the message and its delay."""
        kind = ("step",) if isinstance(body, RunStep) else ("end",)
        self.messages_received.add(kind)
        if envelope.time and self._node is not None:
            try:
                made_at = datetime.fromisoformat(envelope.time).timestamp()
            except (ValueError, OverflowError):
                return
            self.message_seconds.add(kind, max(0.0, self._node.clock.now() - made_at))

    def sent(self, messages: int, seconds: float) -> None:
        """Count sent messages, and the call."""
        self.messages_sent.add((), messages)
        self.send_seconds.add((), seconds)

    def flushed(self, kind: str, items: int, seconds: float) -> None:
        """Count a batch."""
        self.batch_items.add((kind,), items)
        self.batch_seconds.add((kind,), seconds)

    def swept(self, sagas: int, seconds: float) -> None:
        """Count a sweep."""
        self.sweep_sagas.add((), sagas)
        self.sweep_seconds.add((), seconds)

    def forgot(self, kind: str, count: int) -> None:
        """Count what was deleted."""
        self.forgotten.add((kind,), count)


class Latent(Observer):
    """An observer that measures from the first request for metrics on; before that it costs nothing.

    Args:
        others: a second observer, such as traces.
        metrics: the metrics of a program that reads them itself; None creates them.
    """

    def __init__(self, others: Observer = SILENT, metrics: Metrics | None = None) -> None:
        self.metrics = metrics or Metrics()
        self.measures = False
        self._to = others
        self._forward_to(others)

    def flushed(self, kind: str, items: int, seconds: float) -> None:
        """Pass the batch on. The engine keeps a reference to this method, so it is not replaced."""
        self._to.flushed(kind, items, seconds)

    def measure(self) -> Metrics:
        """Measure from now on."""
        if not self.measures:
            self.measures = True
            self._to = Observers(self.metrics, self._to) if self._to is not SILENT else self.metrics
            self._forward_to(self._to)
        return self.metrics

    def _forward_to(self, observer: Observer) -> None:
        for name in vars(Observer):
            if not name.startswith("_") and name != "flushed":
                setattr(self, name, getattr(observer, name))
