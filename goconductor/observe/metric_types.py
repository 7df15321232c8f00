"""The types of metrics: cheap counters and histograms, one dict each, changed only in the event loop's thread; and gauges.

Those of prometheus-client look up labels and take a lock at each sample, which costs ten times as much. Here a sample is an
addition in a list. A scrape reads from another thread. It may see a sample in a bucket but not yet in the sum; the next scrape
sees both.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

SERIES_MAX = 1_000
"""Label sets that a metric keeps. Names of sagas and steps come from definitions, so their number has no limit of its own."""
OTHER = "other"
"""Label value of all further sets."""

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
LONG_SECONDS = (*SECONDS[2:], 1800.0, 3600.0, 21_600.0, 86_400.0)
ITEMS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)

Labels = tuple[str, ...]


class Counter:
    """Counts, one number for each set of labels; numbers only grow.

    Args:
        name: its name in Prometheus, without ``_total``.
        help: one sentence.
        labels: the labels' names.
    """

    def __init__(self, name: str, help: str, labels: Labels = ()) -> None:
        self.name, self.help, self.labels = name, help, labels
        self._cells: dict[Labels, float] = {}

    def add(self, labels: Labels = (), by: float = 1) -> None:
        """Add to the number of these labels."""
        try:
            self._cells[labels] += by
        except KeyError:
            if len(self._cells) >= SERIES_MAX:
                labels = (OTHER,) * len(labels)
            self._cells[labels] = self._cells.get(labels, 0) + by

    def samples(self) -> list[tuple[Labels, float]]:
        """Return the number of each set of labels."""
        return list(self._cells.items())


class Histogram:
    """Distributes values over buckets, for each set of labels.

    Args:
        name: its name in Prometheus.
        help: one sentence.
        labels: the labels' names.
        bounds: the buckets' upper bounds, ascending; a last one without a bound is added.
    """

    def __init__(self, name: str, help: str, labels: Labels, bounds: Sequence[float]) -> None:
        self.name, self.help, self.labels, self.bounds = name, help, labels, bounds
        self._cells: dict[Labels, list[float]] = {}

    def add(self, labels: Labels, value: float) -> None:
        """Add a value to the histogram of these labels."""
        cell = self._cells.get(labels)
        if cell is None:
            if len(self._cells) >= SERIES_MAX:
                labels = (OTHER,) * len(labels)
            cell = self._cells.setdefault(labels, [0.0] * (len(self.bounds) + 2))
        cell[bisect_left(self.bounds, value)] += 1
        cell[-1] += value

    def samples(self) -> list[tuple[Labels, list[tuple[float, float]], float]]:
        """Return labels, the count up to each bound (the last is infinite), and the sum."""
        found = []
        for labels, cell in list(self._cells.items()):
            count, buckets = 0.0, []
            for bound, value in zip((*self.bounds, float("inf")), cell, strict=False):
                count += value
                buckets.append((bound, count))
            found.append((labels, buckets, cell[-1]))
        return found


class Gauge(NamedTuple):
    """What was read at one moment: a number for each set of labels.

    Args:
        name: its name in Prometheus.
        help: one sentence.
        samples: labels and number of each.
        labels: the labels' names.
    """

    name: str
    help: str
    samples: Sequence[tuple[Labels, float]]
    labels: Labels = ()
