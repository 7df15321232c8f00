"""Many workers at one server: each gets its turn, and a connection takes a bounded amount of memory."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator

import psutil

from goconductor.lifecycle.facts.status import SagaStatus
from tests.gateway.conftest import Hand, Server
from tests.gateway.test_protocol import one

WORKERS = int(os.environ.get("GOCONDUCTOR_TEST_WORKERS", "40"))
"""The whole is tried with 1,000; here both ends of each connection are in this process."""
CONNECTION_BYTES_MAX = 400 * 1024


async def finished(hand: Hand, fence: str) -> None:
    await hand.done(fence)
    assert (await hand.next("acknowledged")).recorded


async def test_each_of_many_workers_gets_its_turn_and_none_costs_much(server: Server, hands: Iterator[Hand]) -> None:
    first, mute = next(hands), next(hands)
    await first.hello(credit=2)
    await mute.hello(credit=2)  # and reads nothing any more
    gc.collect()
    before = psutil.Process().memory_info().rss
    others = [next(hands) for _ in range(WORKERS)]
    for hand in others:
        await hand.hello(credit=1)
    grown = psutil.Process().memory_info().rss - before
    assert grown < WORKERS * CONNECTION_BYTES_MAX + 32 * 1024 * 1024, f"{grown / WORKERS / 1024:.0f} KiB a connection"
    definition = one()
    sagas = [await server.start(definition, {"card": str(number)}) for number in range(WORKERS + 4)]
    working = [*others, first, first]
    tasks = [await hand.next("task") for hand in working]  # as many as there is room for, so each has its own
    await asyncio.gather(*(finished(hand, task.fence) for hand, task in zip(working[:-2], tasks, strict=False)))
    for task in tasks[-2:]:
        await finished(first, task.fence)
    over = [(await server.ended(saga_id)).status for saga_id in sagas if (await is_over(server, saga_id))]
    assert over == [SagaStatus.COMPLETED] * (WORKERS + 2)
    assert sorted(len(session.in_hand) for session in server.gateway.sessions)[-2:] == [0, 2]


async def is_over(server: Server, saga_id: object) -> bool:
    return (await server.node.view(saga_id)).state.phase.ended  # type: ignore[arg-type]
