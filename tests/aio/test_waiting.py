"""A wait for an event that is bounded in time."""

from __future__ import annotations

import asyncio

from goconductor.aio.waiting import wait_at_most


async def test_it_ends_with_the_event() -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(wait_at_most(3600.0, event))
    await asyncio.sleep(0)
    assert not waiting.done()
    event.set()
    await waiting


async def test_it_ends_when_the_time_is_over_and_leaves_the_event_alone() -> None:
    event = asyncio.Event()
    await wait_at_most(0.001, event)
    assert not event.is_set()


async def test_who_cancels_it_is_obeyed() -> None:
    waiting = asyncio.create_task(wait_at_most(3600.0, asyncio.Event()))
    await asyncio.sleep(0)
    waiting.cancel()
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
