"""What a subscription has left to others: it does not take it again itself before they had their chance."""

from __future__ import annotations

import time

from goconductor.aio.recent import Recent

LEFT_MAX = 1_000
"""Messages that are remembered, as each look names all of them; more of them are taken again, which only costs time."""


class Left:
    """Numbers of messages, and from when on we may take them."""

    def __init__(self) -> None:
        self._ours_again: Recent[int, float] = Recent(count_max=LEFT_MAX)

    def leave(self, message_id: int, seconds: float) -> None:
        """Leave a message to others for some seconds."""
        self._ours_again.put(message_id, time.monotonic() + seconds)

    def now(self) -> list[int]:
        """Return the messages that are still left to others."""
        if self._ours_again:
            now = time.monotonic()
            for message_id in [each for each, until in self._ours_again.items() if until <= now]:
                self._ours_again.pop(message_id)
        return [message_id for message_id, _ in self._ours_again.items()]
