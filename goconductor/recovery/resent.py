"""Steps that were sent again in vain, by the sagas that wait for them, so that the leader can report which nobody offers.

The count has a limit for each step, so that a backlog of one hides no other. It costs no statement: the sweep looks at each
waiting saga every two minutes at the latest. A saga at which it no longer looks has ended, or was paused.
"""

from __future__ import annotations

from typing import TypeAlias

from goconductor.aio.recent import Recent
from goconductor.ports.clock import Clock
from goconductor.ports.store import LeaseKey

Owner: TypeAlias = tuple[str, str]
"""A participant, and its step."""

SAGAS_MAX = 500
"""Greatest number of sagas counted for a step."""
STEPS_MAX = 500
"""Greatest number of steps that are counted."""
KEPT_SECONDS = 300.0
"""Seconds after the sweep's last look during which a step still counts as waiting."""


class Resent:
    """The steps that were sent again.

    Args:
        clock: the process's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: Recent[Owner, Recent[LeaseKey, float]] = Recent(count_max=STEPS_MAX)

    def saw(self, key: LeaseKey, owner: Owner) -> None:
        """Note a step that waits while nobody has a lease on it.

        Args:
            key: the step of a saga.
            owner: the participant and the step that runs it.
        """
        keys = self._seen.use(owner)
        if keys is None:
            keys = Recent(count_max=SAGAS_MAX)
            self._seen.put(owner, keys)
        keys.put(key, self._clock.monotonic())

    def waiting(self) -> dict[Owner, int]:
        """Return how many sagas wait for each step; at most :data:`SAGAS_MAX` each."""
        since = self._clock.monotonic() - KEPT_SECONDS
        waiting: dict[Owner, int] = {}
        for owner, keys in list(self._seen.items()):
            for key in [key for key, at in keys.items() if at < since]:
                keys.pop(key)
            if keys:
                waiting[owner] = len(keys)
            else:
                self._seen.pop(owner)
        return waiting
