"""How many requests one key may make: a bucket of tokens for each, in each server."""

from __future__ import annotations

import time
from collections.abc import Callable

from goconductor.aio.recent import Recent
from goconductor.errors import GoConductorError

BUCKETS_MAX = 100_000
"""Buckets that are kept at most; who has not asked for longest gets a full one."""


class TooManyRequestsError(GoConductorError):
    """This key has made more requests than it may just now; ask again a second later, or more seldom."""


class Rates:
    """Buckets, each with room for two seconds of requests.

    Args:
        per_second: how many requests a key may make in a second, over some seconds; None is without a limit.
        clock: seconds that only grow.
    """

    def __init__(self, per_second: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._buckets: Recent[str, tuple[float, float]] = Recent(count_max=BUCKETS_MAX)

    def take(self, holder: str) -> None:
        """Count a request.

        Args:
            holder: the id of a live key, or the name of who has shown a token.

        Raises:
            TooManyRequestsError: the key has none left.
        """
        if self._per_second is None:
            return
        room = max(2.0 * self._per_second, 1.0)
        now = self._clock()
        left, at = self._buckets.use(holder) or (room, now)
        left = min(room, left + (now - at) * self._per_second)
        if left < 1.0:
            self._buckets.put(holder, (left, now))
            raise TooManyRequestsError
        self._buckets.put(holder, (left - 1.0, now))
