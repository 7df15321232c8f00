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
            for gauge in metrics.leader.gauges():
                gauge_family = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
                for labels, value in gauge.samples:
                    gauge_family.add_metric(labels, value)
                yield gauge_family


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


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)


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
