"""How far one shard is done with."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

from goconductor.buses.kinesis.leases import Scope


class Position:
    """One shard, from the moment that its lease is ours until it is not; the same shard taken again is another object.

    Args:
        scope: the stream, the topic and the group.
        shard: its id.
        checkpoint: the last record up to which everything is done.
        done: the records that are done beyond it.
        valid_until: when our lease ends, by this machine's clock.

    Attributes:
        closed: whether it is no longer ours; then what becomes of its records changes nothing.
        going: whether it is about to be released; then nothing more of it is handed out.
        ended: whether there are no more records behind those read.
        in_hand: number of its deliveries at the receiver.
        read_to: the record read last.
        dirty: whether there is something to be written.
    """

    def __init__(self, scope: Scope, shard: str, checkpoint: str | None, done: Iterable[str], valid_until: float) -> None:
        self.scope = scope
        self.shard = shard
        self.checkpoint = checkpoint
        self.valid_until = valid_until
        self.closed = False
        self.going = False
        self.ended = False
        self.in_hand = 0
        self.read_to = checkpoint
        self.dirty = False
        self._done_before = set(done)
        self._open: deque[str] = deque()
        self._done: set[str] = set()

    def came(self, sequence: str) -> bool:
        """Note a record that was read; return whether it is still open."""
        self.read_to = sequence
        self._open.append(sequence)
        if sequence in self._done_before:
            self._done_before.remove(sequence)
            self.done(sequence)
            return False
        return True

    def done(self, sequence: str) -> None:
        """Note a record that is done."""
        self._done.add(sequence)
        while self._open and self._open[0] in self._done:
            self.checkpoint = self._open.popleft()
            self._done.remove(self.checkpoint)
        self.dirty = True

    @property
    def beyond(self) -> list[str]:
        """What is done with beyond the checkpoint."""
        return [*self._done, *self._done_before]

    @property
    def held_up(self) -> int:
        """Return how many records are done beyond the first open one."""
        return len(self._done)

    @property
    def first_open(self) -> str | None:
        """The record that holds the checkpoint up."""
        return self._open[0] if self._open else None

    @property
    def drained(self) -> bool:
        """Whether everything that the shard ever had is done with."""
        return self.ended and not self._open

    @property
    def usable(self) -> bool:
        """Whether records of it may be handed out."""
        return not self.closed and not self.going and time.monotonic() < self.valid_until
