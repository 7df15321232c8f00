"""Medians over the rounds, and ratios within each round."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from peers.matrix import Cell


class Medians:
    """What rows come to.

    Args:
        rows: of :class:`peers.matrix.Results`.
    """

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self._rows: dict[Cell, dict[int, dict[str, Any]]] = defaultdict(dict)
        for row in rows:
            self._rows[Cell(row["contender"], row["workload"], row["concurrency"])][row["round"]] = row

    @property
    def cells(self) -> list[Cell]:
        """Those that were measured, in the order in which they were."""
        return list(self._rows)

    def all(self, figure: str, cell: Cell) -> list[float]:
        """The figure in each round."""
        return [float(row[figure]) for row in self._rows.get(cell, {}).values()]

    def value(self, figure: str, cell: Cell) -> float | None:
        """The figure's median."""
        values = self.all(figure, cell)
        return statistics.median(values) if values else None

    def part(self, figure: str, kind: str, cell: Cell) -> float | None:
        """The median of a figure that is told by kind of process."""
        values = [float(row[figure][kind]) for row in self._rows.get(cell, {}).values() if kind in row[figure]]
        return statistics.median(values) if values else None

    def ratio(self, figure: str, one: Cell, other: Cell) -> float | None:
        """The median, over the rounds, of one's figure divided by the other's of the same round."""
        ours, theirs = self._rows.get(one, {}), self._rows.get(other, {})
        ratios = [float(row[figure]) / float(theirs[number][figure]) for number, row in ours.items() if number in theirs]
        return statistics.median(ratios) if ratios else None
