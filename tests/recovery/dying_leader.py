"""A leader that fires schedules, and kills its own process between a start and the note of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any
from uuid import UUID

from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.control.sagas.starting import start_fire
from goconductor.engine.node import Node
from goconductor.recovery.scheduling import Scheduling
from goconductor.stores.postgres import PostgresStore


def leader_node(url: str) -> Node:
    return Node(store=PostgresStore(url), bus=MemoryBus(MemoryBroker()), open_store=lambda: PostgresStore(url))


async def lead(url: str) -> None:
    node = leader_node(url)
    await node.open()

    async def start(saga: str, input: Any, *, key: str, labels: Any) -> UUID:
        await start_fire(node, saga, input, key=key, labels=labels)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("killed before this")

    term = await node.store.terms.raise_epoch("dying", 600.0)
    assert term is not None
    await Scheduling(node, start, sagas_days=0.0).fire_once(term.epoch)


if __name__ == "__main__":
    asyncio.run(lead(sys.argv[1]))
