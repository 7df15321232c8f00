"""A leader that publishes events to a file, and kills its own process after some of them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.ports.bus import Message
from goconductor.recovery.feed.cloud_events import Wish
from goconductor.recovery.feed.publishing import Publishing
from tests.recovery.dying_leader import leader_node

PAGE = 4


class FileBus(MemoryBus):
    """Each message is a line of a file.

    Args:
        path: the file.
        dies_after: the number of messages after which this process kills itself; None lets it live.
    """

    def __init__(self, path: Path, dies_after: int | None = None) -> None:
        super().__init__(MemoryBroker())
        self._path, self._left = path, dies_after

    async def send(self, messages: Sequence[Message]) -> None:
        with self._path.open("ab") as file:
            for message in messages:
                if self._left == 0:
                    file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
                file.write(message.payload + b"\n")
                if self._left is not None:
                    self._left -= 1


async def publish(url: str, path: Path, dies_after: int | None = None) -> None:
    """Lead, and publish all that there is."""
    node = leader_node(url)
    await node.open()
    try:
        term = await node.store.terms.raise_epoch("publisher", 600.0)
        assert term is not None
        publishing, bus = Publishing(node, "events", Wish(), limit=PAGE), FileBus(path, dies_after)
        while (await publishing.publish_once(term.epoch, bus))[0]:
            pass
    finally:
        await node.close()


if __name__ == "__main__":
    asyncio.run(publish(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
