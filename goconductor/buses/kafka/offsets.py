"""Which offset of a partition may be stored: that before its first message which is not done with."""

from __future__ import annotations

from collections import deque


class Offsets:
    """One partition, from its assignment to us until it is taken away; the same partition assigned again is another object.

    Attributes:
        closed: it is no longer ours; what is done with its messages changes nothing.
        going: it is about to be taken away; nothing more of it is handed out.
    """

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.closed = False
        self.going = False
        self._open: deque[int] = deque()
        self._done: set[int] = set()
        self._next: int | None = None

    def came(self, offset: int) -> None:
        """Note a fetched message; offsets come in order."""
        self._open.append(offset)

    def done(self, offset: int) -> None:
        """Note a message that is done."""
        self._done.add(offset)

    def first_open(self) -> int | None:
        """Return the offset of the message that holds the stored offset up."""
        return self._open[0] if self._open else None

    @property
    def held_up(self) -> int:
        """Return how many messages are done and would be repeated after a crash."""
        return len(self._done)

    def storable(self) -> int | None:
        """Return what to store now, if that has changed."""
        before = self._next
        return self._next if self.advance() != before else None

    def advance(self) -> int | None:
        """Return what to store now; None as long as nothing is done."""
        while self._open and self._open[0] in self._done:
            offset = self._open.popleft()
            self._done.remove(offset)
            self._next = offset + 1
        return self._next
