"""The views of sagas that a process keeps, so that it need not read them again: the latest, with a limit of number and bytes.

A limit of the number alone would fit only small sagas: ten thousand with outputs of a hundred kilobytes are a gigabyte.
"""

from __future__ import annotations

from uuid import UUID

from goconductor.aio.recent import RecentByWeight
from goconductor.engine.facts.log import View

SAGA_BYTES, STEP_BYTES = 500, 200
"""Approximate bytes of memory for a view and for each of its steps, beside their values."""


class Views:
    """Views by their saga. The newest is always kept, however large it is: without it each event of a wide saga would fold all.

    Args:
        count_max: greatest number of views.
        bytes_max: greatest number of bytes, approximately; values count as JSON, of which Python makes a few times as much.
    """

    def __init__(self, *, count_max: int, bytes_max: int) -> None:
        self._kept: RecentByWeight[int, View] = RecentByWeight(count_max=count_max, weight_max=bytes_max)
        """By the saga's id as a number, whose hash costs nothing; the hash of a UUID is computed in Python."""

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """How many bytes all of them take, about."""
        return self._kept.weight

    def get(self, saga_id: UUID) -> View | None:
        """Return the view that was kept last."""
        return self._kept.get(saga_id.int)

    def keep(self, view: View) -> None:
        """Keep this one in place of an older one."""
        state = view.state
        self._kept.put(state.saga_id.int, view, view.bytes + SAGA_BYTES + STEP_BYTES * len(state.steps))

    def drop(self, saga_id: UUID) -> None:
        """Forget it, if it is there."""
        self._kept.pop(saga_id.int)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
