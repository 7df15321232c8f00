"""A limit means what asyncio's own means: the task is cancelled, and outside that is a TimeoutError."""

from __future__ import annotations

import asyncio

import pytest

from goconductor.engine.work.deadlines import Deadlines

LONG = 3600.0


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def test_who_takes_longer_is_cancelled() -> None:
    deadlines = Deadlines()
    with pytest.raises(TimeoutError), deadlines.within(0.01):
        await for_ever()


async def test_who_is_done_in_time_hears_nothing() -> None:
    deadlines = Deadlines()
    with deadlines.within(0.01):
        await asyncio.sleep(0)
    with deadlines.within(60.0), pytest.raises(TimeoutError), deadlines.within(0.01):
        await for_ever()
    deadlines.close()


async def test_limits_of_one_length_run_out_one_after_the_other() -> None:
    deadlines = Deadlines()
    ended: list[int] = []

    async def one(number: int) -> None:
        with pytest.raises(TimeoutError), deadlines.within(0.05):
            await for_ever()
        ended.append(number)

    async with asyncio.timeout(300):
        await asyncio.gather(*(one(number) for number in range(50)))
    assert ended == list(range(50))


async def test_the_first_of_two_nested_limits_counts() -> None:
    deadlines = Deadlines()
    reached: list[str] = []

    async def nested() -> None:
        with deadlines.within(0.01):
            with deadlines.within(LONG):
                await for_ever()
            reached.append("the end of the inner one")

    with pytest.raises(TimeoutError):
        await nested()
    assert not reached
    deadlines.close()


async def test_a_cancellation_by_others_stays_one() -> None:
    deadlines = Deadlines()
    begun = asyncio.Event()

    async def limited() -> None:
        with deadlines.within(LONG):
            begun.set()
            await for_ever()

    task = asyncio.create_task(limited())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    deadlines.close()


async def test_after_a_limit_the_task_is_not_being_cancelled() -> None:
    deadlines = Deadlines()
    with pytest.raises(TimeoutError), deadlines.within(0.01):
        await for_ever()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_what_is_raised_in_time_passes_through() -> None:
    deadlines = Deadlines()
    with pytest.raises(KeyError), deadlines.within(LONG):
        raise KeyError
    deadlines.close()


async def test_many_lengths_are_not_kept_for_ever() -> None:
    deadlines = Deadlines()
    for number in range(10 * Deadlines.LENGTHS_MAX):
        with pytest.raises(TimeoutError), deadlines.within(0.0001 * number / Deadlines.LENGTHS_MAX):
            await for_ever()
    assert len(deadlines._queues) <= Deadlines.LENGTHS_MAX + 1


async def test_a_length_that_is_met_once_leaves_nothing_behind() -> None:
    deadlines = Deadlines()
    for number in range(100):
        with deadlines.within(LONG + number, once=True):
            await asyncio.sleep(0)
    assert not deadlines._queues
    with pytest.raises(TimeoutError), deadlines.within(0.01, once=True):
        await for_ever()


@pytest.mark.parametrize("once", [False, True])
async def test_a_limit_that_is_restarted_begins_anew(once: bool) -> None:
    deadlines = Deadlines()
    limit = deadlines.within(0.05, once=once)
    queue, looked = limit._queue, asyncio.Event()

    async def outlive() -> None:
        with limit:
            before = queue._running[limit]
            while asyncio.get_running_loop().time() <= before:  # its first time is over, and nobody had a turn to say so
                pass
            limit.restart()
            assert queue._running[limit] > before + 0.05
            asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(looked.set))
            await looked.wait()  # the first timer has run out by then
            assert not limit.expired
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await outlive()
    assert limit.expired
    limit.restart()  # which does nothing: it is over
    assert queue._running == {}
