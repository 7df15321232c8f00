"""Metrics as text, by prometheus-client (extra ``metrics``): for the REST door, and on a port of its own.

The port is served by a thread, so a process whose event loop is blocked can still be scraped.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from importlib.metadata import version
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from goconductor.errors import ConfigurationError
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.observe.leader import LeaderMetrics
from goconductor.observe.metrics import Metrics
from goconductor.ports.bus_metrics import Statistic


class Exposition(Collector):
    """Collects one process's metrics; add it to a registry of your own with ``registry.register(exposition)``.

    Args:
        metrics: the metrics to expose.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Return all metrics in the form of prometheus-client."""
        metrics = self._metrics
        build = GaugeMetricFamily("goconductor_build_info", "Which version runs; the value is 1.", labels=("version",))
        build.add_metric((version("goconductor"),), 1)
        yield build
        for counter in metrics.counters():
            counter_family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
            for labels, value in counter.samples() or ([] if counter.labels else [((), 0.0)]):
                counter_family.add_metric(labels, value)
            yield counter_family
        for histogram in metrics.histograms():
            histogram_family = HistogramMetricFamily(histogram.name, histogram.help, labels=histogram.labels)
            for labels, buckets, total in histogram.samples():
                histogram_family.add_metric(labels, [(_bound(bound), count) for bound, count in buckets], total)
            yield histogram_family
        for metric, values in metrics.node_metrics():
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.help, labels=(metric.label,) if metric.label else ())
            for labels, value in values:
                family.add_metric(labels, value)
            yield family
        yield from _of_bus(metrics.bus_statistics())
        if metrics.leader is not None:
            yield from _of_leader(metrics.leader)


def _of_bus(statistics: Iterable[Statistic]) -> Iterable[Metric]:
    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for each in statistics:
        family = families.get(each.name)
        if family is None:
            kind = CounterMetricFamily if each.counter else GaugeMetricFamily
            name = f"goconductor_bus_{each.name}"
            family = families[each.name] = kind(name, "What the bus's client counts.", labels=[*each.labels])
        family.add_metric([*each.labels.values()], each.value)
    return families.values()


def _of_leader(leader: LeaderMetrics) -> Iterable[Metric]:
    yield _gauge("goconductor_leader", "1 while this process leads.", float(leader.epoch > 0))
    if leader.epoch:
        yield _gauge("goconductor_leader_epoch", "The number of the leader's term.", leader.epoch)
    if leader.sagas is not None:
        sagas = GaugeMetricFamily(
            "goconductor_sagas", "Sagas by status, as the leader's last walk over all of them counted.", labels=("status",)
        )
        for status in SagaStatus:
            sagas.add_metric((status.value,), leader.sagas.get(status.value, 0))
        yield sagas
        yield _gauge(
            "goconductor_saga_oldest_seconds",
            "For how long the oldest living saga is on its way.",
            leader.oldest_seconds,
        )
        yield _gauge("goconductor_sagas_walk_duration_seconds", "How long that walk took.", leader.walk_seconds)
    if (found := leader.store_metrics) is not None:
        yield _gauge("goconductor_sagas_live", "Sagas that somebody must look at some day; counted up to 10,000.", found.live)
        yield _gauge("goconductor_sagas_overdue", "Sagas that should have been looked at by now; up to 10,000.", found.overdue)
        yield _gauge(
            "goconductor_saga_overdue_seconds",
            "For how long the oldest of these has been waiting.",
            found.overdue_seconds,
        )
        yield _gauge(
            "goconductor_schedules_overdue_seconds",
            "For how long the schedule that waits longest should have been fired.",
            found.schedules_overdue_seconds,
        )
        yield _gauge(
            "goconductor_locks_waited_seconds",
            "For how long the saga that waits longest for a lock has waited.",
            found.locks_waited_seconds,
        )
        yield _gauge(
            "goconductor_audit_unchained_seconds",
            "Age of the oldest row of the audit log that is not chained yet.",
            found.audit_unplaced_seconds,
        )
        yield _gauge(
            "goconductor_dead_letters_stored", "Messages that nobody could read, kept; up to 10,000.", found.dead_letters
        )
        yield _gauge(
            "goconductor_database_oldest_transaction_seconds",
            "Age of the oldest open transaction on the database server.",
            found.oldest_transaction_seconds,
        )
        yield _gauge(
            "goconductor_database_oldest_snapshot_transactions",
            "How many transactions ago the oldest snapshot was taken that keeps vacuum from cleaning.",
            found.oldest_snapshot_transactions,
        )
    if (left := leader.unpublished()) is not None:
        yield _gauge(
            "goconductor_events_unpublished", "Events of the log that are not on their topic yet; up to 10,000.", left.entries
        )
        yield _gauge("goconductor_events_unpublished_seconds", "Age of the oldest of these.", left.seconds)
    unoffered = GaugeMetricFamily(
        "goconductor_steps_unoffered",
        "Sagas that wait for a step while no living instance offers it; up to 500 each.",
        labels=("step",),
    )
    for (participant, step), number in leader.unoffered.items():
        unoffered.add_metric((f"{participant}.{step}",), number)
    yield unoffered
    waiting = GaugeMetricFamily(
        "goconductor_bus_messages_waiting", "Messages on the bus for a participant; up to 10,000.", labels=("participant",)
    )
    oldest = GaugeMetricFamily(
        "goconductor_bus_oldest_message_seconds", "For how long the oldest of these has been ready.", labels=("participant",)
    )
    for participant, lag in list(leader.lags.items()):
        waiting.add_metric((participant,), lag.messages)
        oldest.add_metric((participant,), lag.oldest_seconds)
    if leader.lags:
        yield from (waiting, oldest)


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help, value=value)


def registry_of(metrics: Metrics) -> CollectorRegistry:
    """Return a registry with these metrics only."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Exposition(metrics))
    return registry


def text_of(metrics: Metrics, accept: str = "") -> tuple[bytes, str]:
    """Return the metrics as text, and its media type.

    Args:
        metrics: the metrics to expose.
        accept: the request's ``Accept``: OpenMetrics if it asks for that, else Prometheus' text format.
    """
    encode, media_type = choose_encoder(accept)
    return encode(registry_of(metrics)), media_type


class Door:
    """Serves metrics on a port of its own until :meth:`close`.

    Args:
        metrics: the metrics to expose.
        host: the address to listen on.
        port: its TCP port; 0 takes a free one.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """

    def __init__(self, metrics: Metrics, *, host: str, port: int) -> None:
        self._server: WSGIServer
        self._thread: Thread
        try:
            self._server, self._thread = start_http_server(port, addr=host, registry=registry_of(metrics))
        except OSError as error:
            why = "it is taken" if error.errno == errno.EADDRINUSE else error.strerror or type(error).__name__
            problem = f"cannot serve metrics on {host} port {port} ({why}); choose another metrics.host or metrics.port"
            raise ConfigurationError(problem) from None

    @property
    def port(self) -> int:
        """The TCP port on which it listens."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop serving and release the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
