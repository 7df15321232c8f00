"""The leader's word on what it did, kept in the database for people to look at: seldom, and never at the sweep's expense."""

from __future__ import annotations

from collections import Counter

from goconductor.engine.node import Node

NOTE_SECONDS = 5.0
"""How often the leader says what it did."""

_COUNTED = {"sweep_resent": "sent_again", "sweep_unknown": "declared_unknown"}


class Notes:
    """What was done since it was last said.

    Args:
        node: the engine of the leader's process.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._did: Counter[str] = Counter()
        self._before = Counter({name: node.counts[name] for name in _COUNTED})
        self._next = 0.0

    async def swept(self, sagas: int, *, epoch: int) -> None:
        """A round is over.

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
        self._next = now + NOTE_SECONDS
        for name, called in _COUNTED.items():
            self._did[called] += self._node.counts[name] - self._before[name]
            self._before[name] = self._node.counts[name]
        did, self._did = dict(self._did), Counter()
        await self._node.store.note_sweep(did, epoch=epoch)
