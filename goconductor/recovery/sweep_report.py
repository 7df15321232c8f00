"""A leader's report of its sweeps, kept in the database for people. It is written seldom, so that the sweep pays little."""

from __future__ import annotations

from collections import Counter

from goconductor.engine.node import Node

REPORT_SECONDS = 5.0
"""Seconds between two reports."""

_COUNTED = {"sweep_resent": "sent_again", "sweep_unknown": "declared_unknown"}


class SweepReport:
    """Counts what the sweep did since the last report.

    Args:
        node: the engine of the leader's process.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._did: Counter[str] = Counter()
        self._before = Counter({name: node.counts[name] for name in _COUNTED})
        self._next = 0.0

    async def swept(self, sagas: int, *, epoch: int) -> None:
        """Count a round, and write the report if it is due.

        Args:
            sagas: how many were looked at.
            epoch: the leader's.

        Raises:
            FencedError: another one leads.
        """
        self._did["rounds"] += 1
        self._did["sagas"] += sagas
        now = self._node.clock.monotonic()
        if now < self._next:
            return
        self._next = now + REPORT_SECONDS
        for name, called in _COUNTED.items():
            self._did[called] += self._node.counts[name] - self._before[name]
            self._before[name] = self._node.counts[name]
        did, self._did = dict(self._did), Counter()
        await self._node.store.recovery.note_sweep(did, epoch=epoch)
