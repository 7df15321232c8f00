"""What is measured. Names follow Prometheus' conventions: ``goconductor_``, the unit in the name, ``_total`` for what only grows.

Three sources, by what they cost:

- what the engine counts anyway (``node.counts``, :meth:`Node.vitals`) is read when somebody scrapes;
- what needs a label or a duration comes from the observer, on the hot path, about a microsecond for a step;
- what only the database and the bus know is asked by the leader alone, seldom: see :mod:`goconductor.observe.survey`.

Every process tells only of its own work, so rates are summed over instances; the leader's gauges are the whole's, and absent
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Literal, NamedTuple

from goconductor.engine.observer import SILENT, Observer, Observers
from goconductor.lifecycle import events
from goconductor.lifecycle.state import SagaStatus
from goconductor.messages.envelope import RunStep
from goconductor.observe.families import ITEMS, LONG_SECONDS, SECONDS, SERIES_MAX, Labels, Spread, Tally
from goconductor.ports.figures import CountingBus, Statistic
from goconductor.saga.ids import Direction

if TYPE_CHECKING:
    from goconductor.engine.facts.log import View
    from goconductor.engine.node import Node
    from goconductor.engine.steps.context import StepContext
    from goconductor.engine.work.granted import Granted
    from goconductor.messages.envelope import Body, Envelope
    from goconductor.observe.survey import Survey
    from goconductor.saga.plan import Plan

OUTCOMES: dict[type[object], str] = {
    events.ActionSucceeded: "succeeded",
    events.CompensationSucceeded: "succeeded",
    events.ActionFailed: "failed",
    events.OutputRejected: "failed",
    events.CompensationFailed: "failed",
    events.OutcomeUnknown: "unknown",
    events.ActionSettled: "settled",
    events.CompensationSettled: "settled",
    events.SettleUnavailable: "unavailable",
}
NO_OUTCOME = "left"

# Bound once: on the hot path an enum's member is dear, to look up as well as to hash.
_ACTION, _COMPENSATION, _COMPENSATING = Direction.ACTION, Direction.COMPENSATION, SagaStatus.COMPENSATING


class Counted(NamedTuple):
    """A counter that the engine keeps: the keys of ``node.counts`` or of its vitals, each with the value of its one label."""

    name: str
    help: str
    keys: dict[str, str]
    label: str = ""
    kind: Literal["counter", "gauge"] = "counter"


COUNTED = (
    Counted(
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
    Counted("goconductor_events_appended", "Events brought into the log.", {"events": ""}),
    Counted("goconductor_events_dropped", "Events that said nothing any more: late or repeated.", {"events_dropped": ""}),
    Counted("goconductor_late_effects", "Actions that succeeded only after their compensation had begun.", {"late_effects": ""}),
    Counted("goconductor_step_errors", "Exceptions of user code and of journals.", {"step_errors": ""}),
    Counted(
        "goconductor_steps_overtaken", "Actions that were not begun, as their saga had turned back.", {"actions_overtaken": ""}
    ),
    Counted("goconductor_steps_running", "Steps that hold a place now.", {"steps_running": ""}, kind="gauge"),
    Counted(
        "goconductor_places_taken",
        "What running steps hold beside their places: threads, and connections of journals.",
        {"threads_taken": "threads", "connections_taken": "connections"},
        "of",
        kind="gauge",
    ),
    Counted(
        "goconductor_threads_lost", "Threads of plain steps that were given up and run on.", {"threads_lost": ""}, kind="gauge"
    ),
    Counted(
        "goconductor_leases_orphaned",
        "Leases that nobody runs under and that wait to be freed.",
        {"leases_orphaned": ""},
        kind="gauge",
    ),
    Counted(
        "goconductor_messages_not_taken",
        "Messages that led to no run, by why.",
        {
            "messages_for_others": "for_others",
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
    Counted("goconductor_messages_waiting", "Messages that the bus has not taken yet.", {"messages_waiting": ""}, kind="gauge"),
    Counted("goconductor_messages_dropped", "Messages that were not sent; the sweep sends them again.", {"messages_dropped": ""}),
    Counted("goconductor_leases_renewed", "Renewals of leases of long steps.", {"leases_renewed": ""}),
    Counted(
        "goconductor_leases_lost",
        "Leases that ended while we held them: taken by another, or run out before the step began.",
        {"leases_lost": "taken", "leases_expired_before_start": "expired"},
        "how",
    ),
    Counted(
        "goconductor_store_failures", "Batches and messages that met an absent store, and waited.", {"store_unavailable": ""}
    ),
    Counted(
        "goconductor_leases_taken_over",
        "Expired leases of others that were taken over: the log was told that the outcome is unknown.",
        {"leases_taken_over": ""},
    ),
    Counted(
        "goconductor_commits_missing",
        "Acknowledged appends and starts that the log has lost in a failover, as far as this process knew of them first.",
        {"commits_missing": ""},
    ),
    Counted("goconductor_sweep_resent", "Messages that the leader sent again.", {"sweep_resent": ""}),
    Counted("goconductor_sweep_unknown", "Runs that the leader declared unknown.", {"sweep_unknown": ""}),
)


class Metrics(Observer):
    """One process's metrics. :meth:`watch` binds them to its node."""

    def __init__(self) -> None:
        self.sagas_started = Tally("goconductor_sagas_started", "Sagas started by this process.", ("saga",))
        self.sagas_ended = Tally("goconductor_sagas_ended", "Sagas that an append of this process ended.", ("saga", "status"))
        self.sagas_turned = Tally("goconductor_sagas_turned_back", "Sagas that began to compensate.", ("saga",))
        self.sagas_halted = Tally(
            "goconductor_sagas_halted", "Sagas that came to wait for an operator: stuck, or paused.", ("saga", "status")
        )
        self.saga_seconds = Spread(
            "goconductor_saga_duration_seconds", "From a saga's start to its end.", ("saga", "status"), LONG_SECONDS
        )
        self.steps = Tally(
            "goconductor_steps", "Runs of steps, by direction and what came of them.", ("step", "direction", "outcome")
        )
        self.step_seconds = Spread("goconductor_step_duration_seconds", "A run of a step's code.", ("step", "direction"), SECONDS)
        self.batch_items = Spread("goconductor_batch_items", "Items that shared a call of the store.", ("kind",), ITEMS)
        self.batch_seconds = Spread("goconductor_batch_duration_seconds", "One such call.", ("kind",), SECONDS)
        self.messages_received = Tally("goconductor_messages_received", "Messages that could be read.", ("type",))
        self.message_seconds = Spread(
            "goconductor_message_delay_seconds", "From a message's making to its receipt, by two clocks.", ("type",), SECONDS
        )
        self.messages_sent = Tally("goconductor_messages_sent", "Messages that the bus has taken.")
        self.send_seconds = Spread("goconductor_message_send_duration_seconds", "One call of the bus.", (), SECONDS)
        self.sweep_sagas = Tally("goconductor_sweep_sagas", "Sagas that the leader looked at, as they were due.")
        self.sweep_seconds = Spread("goconductor_sweep_duration_seconds", "One round of the leader's sweep.", (), SECONDS)
        self.forgotten = Tally("goconductor_forgotten", "What retention has let go of.", ("kind",))
        self.survey: Survey | None = None
        """The leader's figures, if this process takes part in recovery."""
        self._node: Node | None = None
        self._began: dict[int, float] = {}
        self._sagas: set[str] = set()

    def watch(self, node: Node) -> None:
        """Read this node's counts from now on."""
        self._node = node

    def tallies(self) -> Iterator[Tally]:
        """All counters of the observer."""
        return (each for each in vars(self).values() if isinstance(each, Tally))

    def spreads(self) -> Iterator[Spread]:
        """All histograms."""
        return (each for each in vars(self).values() if isinstance(each, Spread))

    def counted(self) -> Iterator[tuple[Counted, list[tuple[Labels, float]]]]:
        """What the engine counts by itself."""
        figures = {**self._node.counts, **self._node.vitals()} if self._node is not None else {}
        for each in COUNTED:
            values: list[tuple[Labels, float]] = [
                ((label,) if each.label else (), float(figures.get(key, 0))) for key, label in each.keys.items()
            ]
            yield each, values

    def bus_statistics(self) -> list[Statistic]:
        """What the bus's client counts, if it does."""
        bus = self._node.bus if self._node is not None else None
        return bus.statistics() if isinstance(bus, CountingBus) else []

    def step_begins(self, work: Granted, context: StepContext) -> None:  # noqa: ARG002
        """Look at the clock."""
        self._began[work.lease.token] = perf_counter()

    def step_ended(self, work: Granted, event: events.Event | None) -> events.Event | None:
        """Count the run."""
        began = self._began.pop(work.lease.token, None)
        if began is not None:
            seconds = perf_counter() - began
            key = work.lease.key
            step, way = work.plan.steps[key.step].run, key.direction
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
        if new.wake_at is None and (old is None or old.wake_at is not None) and not new.phase.ended:
            self.sagas_halted.add((plan.name, new.status.value))

    def _new_saga(self, name: str) -> None:
        """A counter that begins at 1 has not increased, as Prometheus sees it, so those that alerts look at begin at 0."""
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
        """Count the message, and how long it was on its way."""
        kind = ("step",) if isinstance(body, RunStep) else ("end",)
        self.messages_received.add(kind)
        if envelope.time and self._node is not None:
            try:
                made_at = datetime.fromisoformat(envelope.time).timestamp()
            except (ValueError, OverflowError):
                return
            self.message_seconds.add(kind, max(0.0, self._node.clock.now() - made_at))

    def sent(self, messages: int, seconds: float) -> None:
        """Count messages."""
        self.messages_sent.add((), messages)
        self.send_seconds.add((), seconds)

    def flushed(self, kind: str, items: int, seconds: float) -> None:
        """Count a batch."""
        self.batch_items.add((kind,), items)
        self.batch_seconds.add((kind,), seconds)

    def swept(self, sagas: int, seconds: float) -> None:
        """Count a round."""
        self.sweep_sagas.add((), sagas)
        self.sweep_seconds.add((), seconds)

    def forgot(self, kind: str, count: int) -> None:
        """Count what is gone."""
        self.forgotten.add((kind,), count)


class Latent(Observer):
    """An observer that measures from the first request for metrics on; before that it costs nothing.

    Args:
        others: what else is told, traces say.
        metrics: those of a program that reads them itself; None makes them.
    """

    def __init__(self, others: Observer = SILENT, metrics: Metrics | None = None) -> None:
        self.metrics = metrics or Metrics()
        self.measures = False
        self._to = others
        self._be(others)

    def flushed(self, kind: str, items: int, seconds: float) -> None:
        """By whoever is told now: the engine keeps this method."""
        self._to.flushed(kind, items, seconds)

    def measure(self) -> Metrics:
        """Measure from now on."""
        if not self.measures:
            self.measures = True
            self._to = Observers(self.metrics, self._to) if self._to is not SILENT else self.metrics
            self._be(self._to)
        return self.metrics

    def _be(self, observer: Observer) -> None:
        for name in vars(Observer):
            if not name.startswith("_") and name != "flushed":
                setattr(self, name, getattr(observer, name))
