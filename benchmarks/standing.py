"""What a process takes that stands by: at rest, with sagas that run, and with sagas that wait for a back-off."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

from bench_sagas import bench, three_steps
from goconductor import Conductor, Participant, Saga, SagaHandle, Settings, TemporaryError
from goconductor.control.doors.conductor import engine
from measuring import cpu_seconds
from scale import prepared

AT_ONCE = 500
"""Number of sagas that are started at once: more would leave their own tasks' memory behind, and measure that."""
WARM = 12_000
"""Number of sagas that have ended before: what is remembered of the last ones is full then."""
NEAR_SECONDS, FAR_SECONDS = 50.0, 86_400.0


async def idle(arguments: argparse.Namespace) -> None:
    async with prepared() as (settings, _, postmaster):
        began = time.perf_counter()
        async with bench.running(settings) as conductor:
            opened = time.perf_counter() - began
            await (await conductor.start(three_steps(), {"order": 1})).result(timeout_seconds=60)
            ended = time.perf_counter() - began
            print(f"open after {opened:.2f} s, the first saga of three steps has ended after {ended:.2f} s", flush=True)
            await asyncio.sleep(3.0)
            python, postgres = time.process_time(), cpu_seconds(postmaster)
            await asyncio.sleep(arguments.seconds)
            python = (time.process_time() - python) / arguments.seconds
            postgres = (cpu_seconds(postmaster) - postgres) / arguments.seconds
            print(f"idle, leading: {python:.2%} of a core, PostgreSQL for it {postgres:.2%}", flush=True)
            async with Participant("other").running(settings):
                await asyncio.sleep(3.0)
                python = time.process_time()
                await asyncio.sleep(arguments.seconds)
                python = time.process_time() - python
                print(f"two idle participants in a process: {python / arguments.seconds:.2%} of a core", flush=True)


class Memory:
    """What a process has taken since it was made: as the system counts it, and by what Python holds, if that is traced."""

    def __init__(self) -> None:
        self._rss, self._traced = self._now()

    def grown(self) -> tuple[float, float]:
        """Mebibytes of the process, and of Python's objects."""
        rss, traced = self._now()
        return (rss - self._rss) / 2**20, (traced - self._traced) / 2**20

    @staticmethod
    def _now() -> tuple[int, int]:
        gc.collect()
        return psutil.Process().memory_info().rss, tracemalloc.get_traced_memory()[0]


async def started(
    conductor: Conductor, saga: Saga[dict[str, int]], count: int, first: int = 0
) -> list[SagaHandle[dict[str, int]]]:
    """So many sagas, whose orders are numbered from the first on."""
    handles: list[SagaHandle[dict[str, int]]] = []
    while len(handles) < count:
        orders = range(first + len(handles), first + min(count, len(handles) + AT_ONCE))
        handles += await asyncio.gather(*(conductor.start(saga, {"order": order}) for order in orders))
    await asyncio.sleep(0)  # else the last tasks live on
    return handles


async def running(arguments: argparse.Namespace) -> None:
    """Sagas whose only step waits for a signal."""
    gate = asyncio.Event()
    holding = Participant("holding", concurrency=2 * arguments.rows)

    @holding.step
    async def hold(order: int) -> int:
        await gate.wait()
        return order

    saga: Saga[dict[str, int]] = Saga("holding")
    saga.step(hold, inputs={"order": saga.input["order"]})

    async def run(conductor: Conductor, count: int) -> list[SagaHandle[dict[str, int]]]:
        gate.clear()
        handles = await started(conductor, saga, count)
        while engine(conductor).metrics()["steps_running"] < count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        return handles

    async def release(handles: list[SagaHandle[dict[str, int]]]) -> None:
        gate.set()
        await asyncio.gather(*(handle.result(timeout_seconds=600) for handle in handles))

    async with prepared() as (settings, _, _), holding.running(settings) as conductor:
        await release(await run(conductor, AT_ONCE))
        memory = Memory()
        handles = await run(conductor, arguments.rows)
        grown, _ = memory.grown()
        print(f"{arguments.rows:,} running sagas: {grown:.0f} MiB, {grown / arguments.rows * 1024:.1f} KiB each", flush=True)
        await release(handles)


@asynccontextmanager
async def failing(settings: Settings, delay_seconds: float) -> AsyncIterator[tuple[Conductor, Saga[dict[str, int]]]]:
    """A participant whose step fails, and asks for another attempt after so long; with an order below zero it succeeds."""
    participant = Participant("failing", concurrency=AT_ONCE)

    @participant.step
    async def attempt(order: int) -> int:
        if order >= 0:
            raise TemporaryError("not yet", delay_seconds=delay_seconds)
        return order

    saga: Saga[dict[str, int]] = Saga("failing")
    saga.step(attempt, inputs={"order": saga.input["order"]})
    async with participant.running(settings) as conductor:
        yield conductor, saga


async def waiting(arguments: argparse.Namespace) -> None:
    """Sagas that a process has tried once, beside what it keeps of as many that have ended."""
    logging.getLogger("goconductor").setLevel(logging.ERROR)  # else each failure is a line
    for name, delay_seconds in (("near", NEAR_SECONDS), ("far", FAR_SECONDS)):
        async with prepared() as (settings, _, _), failing(settings, delay_seconds) as (conductor, saga):
            tracemalloc.start()  # before, as what takes the place of older things is no growth
            for first in range(-WARM, 0, AT_ONCE):
                ended = await started(conductor, saga, AT_ONCE, first)
                await asyncio.gather(*(handle.result(timeout_seconds=600) for handle in ended))
            memory, before = Memory(), engine(conductor).counts["events"]
            for _ in range(0, arguments.rows, AT_ONCE):
                await started(conductor, saga, AT_ONCE)
            while engine(conductor).counts["events"] - before < arguments.rows:  # noqa: ASYNC110 - each failure is one
                await asyncio.sleep(0.1)
            await asyncio.sleep(1.0)
            _, held = memory.grown()
            tracemalloc.stop()
            print(
                f"{arguments.rows:,} sagas wait {delay_seconds:.0f} s for another attempt ({name}): {held:.2f} MiB of Python",
                flush=True,
            )


async def people(arguments: argparse.Namespace) -> None:
    """Sagas that a process has run as far as a wait for a signal, beside what it keeps of as many that have ended."""
    participant = Participant("shop", concurrency=AT_ONCE)

    @participant.step
    async def charge(order: int) -> int:
        return order

    waits: Saga[dict[str, int]] = Saga("waits")
    waits.wait("paid", id="paid", after=[waits.step(charge, inputs={"order": waits.input["order"]}, undo="none")])
    ends: Saga[dict[str, int]] = Saga("ends")
    ends.step(charge, inputs={"order": ends.input["order"]})
    async with prepared() as (settings, _, postmaster), participant.running(settings) as conductor:
        for first in range(0, WARM, AT_ONCE):
            ended = await started(conductor, ends, AT_ONCE, first)
            await asyncio.gather(*(handle.result(timeout_seconds=600) for handle in ended))
        memory, before = Memory(), engine(conductor).counts["events"]
        for _ in range(0, arguments.rows, AT_ONCE):
            await started(conductor, waits, AT_ONCE)
        while engine(conductor).counts["events"] - before < arguments.rows:  # noqa: ASYNC110 - each step's end is one
            await asyncio.sleep(0.1)
        await asyncio.sleep(3.0)
        grown, _ = memory.grown()
        python, postgres = time.process_time(), cpu_seconds(postmaster)
        await asyncio.sleep(arguments.seconds)
        python, postgres = time.process_time() - python, cpu_seconds(postmaster) - postgres
        print(
            f"{arguments.rows:,} sagas wait for a signal: {grown:.1f} MiB of the process; {python / arguments.seconds:.2%} of a "
            f"core, PostgreSQL for it {postgres / arguments.seconds:.2%}",
            flush=True,
        )
