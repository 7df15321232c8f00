"""How many streams of a kind a server has open at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from goconductor.grpc.problems import BusyError


class Places:
    """Places for watches.

    Args:
        watches_max: how many there are.
    """

    def __init__(self, watches_max: int) -> None:
        self._watches_max = watches_max
        self._taken = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Enter a context that has a place.

        Raises:
            BusyError: all are taken.
        """
        if self._taken >= self._watches_max:
            raise BusyError(
                f"this server has {self._watches_max:,} watches open, as many as grpc.watches_max; watch by another server, "
                "or try again later"
            )
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
