"""The event loop of simulations: virtual time, an order by seed, and processes that can be stopped and killed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.simulation.simulated.loop import Machine, NothingLeftError, SimulatedLoop


@contextmanager
def a_loop(seed: int = 1) -> Iterator[SimulatedLoop]:
    loop = SimulatedLoop(seed)
    try:
        yield loop
    finally:
        loop.let_end()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(1))
        loop.close()


def on(loop: SimulatedLoop, machine: Machine, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    with loop.on(machine):
        return loop.create_task(what)


def test_an_hour_passes_at_once() -> None:
    with a_loop() as loop:
        loop.run_until_complete(asyncio.sleep(3600))
        assert loop.time() == 3600


def test_a_wait_for_nothing_is_an_error() -> None:
    with a_loop() as loop, pytest.raises(NothingLeftError):
        loop.run_until_complete(asyncio.Event().wait())


def test_the_callbacks_of_one_machine_keep_their_order() -> None:
    for seed in range(20):
        with a_loop(seed) as loop:
            came: list[int] = []
            for number in range(10):
                loop.call_soon(came.append, number)
            loop.run_until_complete(asyncio.sleep(0))
            assert came == list(range(10))


def interleaved(seed: int) -> str:
    """Two machines with three turns each."""
    came: list[str] = []

    async def turns(name: str) -> None:
        for _ in range(3):
            came.append(name)
            await asyncio.sleep(0)

    with a_loop(seed) as loop:
        tasks = [on(loop, loop.machine(name), turns(name)) for name in "ab"]
        loop.run_until_complete(asyncio.wait(tasks))
    return "".join(came)


def test_the_seed_decides_whose_turn_it_is() -> None:
    assert [interleaved(seed) for seed in range(30)] == [interleaved(seed) for seed in range(30)]
    assert len({interleaved(seed) for seed in range(200)}) == 20  # all ways in which three and three can be interleaved


def test_a_killed_machine_does_nothing_more_not_even_finally() -> None:
    did: list[str] = []

    async def main() -> None:
        try:
            await asyncio.sleep(1)
            did.append("went on")
        finally:
            did.append("finally")

    with a_loop() as loop:
        machine = loop.machine("frail")
        on(loop, machine, main())
        loop.call_later(0.5, loop.bury, machine)
        loop.run_until_complete(asyncio.sleep(10))
        assert did == []


def test_a_stopped_machine_goes_on_later_and_notices_the_time() -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        came.append(asyncio.get_running_loop().time())

    came: list[float] = []
    with a_loop() as loop:
        machine = loop.machine("frail")
        machine.stopped = True
        on(loop, machine, main())
        loop.call_later(0.5, setattr, machine, "stopped", False)
        loop.call_later(0.7, setattr, machine, "stopped", True)
        loop.call_later(9.0, setattr, machine, "stopped", False)
        loop.run_until_complete(asyncio.sleep(10))
    assert came == [9.0]


def test_a_task_stays_on_its_machine_whoever_wakes_it() -> None:
    async def main(signal: asyncio.Event) -> None:
        await signal.wait()
        ran.append(True)

    ran: list[bool] = []
    with a_loop() as loop:
        frail, other = loop.machine("frail"), loop.machine("other")
        signal = asyncio.Event()
        on(loop, frail, main(signal))
        loop.run_until_complete(asyncio.sleep(1))
        loop.bury(frail)
        with loop.on(other):
            loop.call_soon(signal.set)
        loop.run_until_complete(asyncio.sleep(1))
        assert ran == []
