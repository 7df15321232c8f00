"""What a dataflow costs beside calling its builders: a chain of eight no-op builders, one run each, one after the other.

Three contenders: *direct* calls the functions in this process and keeps nothing. *hand* is the chain as somebody would write it
by hand over PostgreSQL: what each builder has made is committed before the next one runs. *dataflow* is ``conductor.run``, closed
by the same request. Counted per run: calls of Python (by its profiler, of the event loop's thread), transactions and bytes of
PostgreSQL's log. Counts hardly depend on how busy the machine is; the dataflow's have a share of the process's signs of life in
them. ``--time`` adds the median latency, measured without the profiler; ``--statements`` prints what the statements were.

    python benchmarks/bench_dataflows.py [--runs 200] [--time] [--statements] [--url postgresql://…]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any, TypeAlias

import asyncpg
import uvloop

from bench_sagas import counters, database
from goconductor import BuilderAction, Consumes, Dataflow, Participant, Settings
from goconductor.app import migrate

BUILDERS = 8
WARM_UP = 20
STATEMENT_CHARACTERS = 100
"""So much of a statement tells which one it is."""

OneRun: TypeAlias = Callable[[int], Awaitable[int]]

chain = Participant("chain")


def link(number: int) -> BuilderAction[..., int]:
    """The builder that makes ``d<number>`` of the datum before."""

    async def add(before: Annotated[int, Consumes(f"d{number - 1}")]) -> int:
        return before + 1

    add.__annotations__["before"] = Annotated[int, Consumes(f"d{number - 1}")]
    made: BuilderAction[..., int] = chain.builder(name=f"d{number}")(add)
    return made


LINKS = [link(number) for number in range(1, BUILDERS + 1)]
FLOW = Dataflow("chain", target=f"d{BUILDERS}", builders=[chain], given=["d0"])


@asynccontextmanager
async def direct(_url: str) -> AsyncIterator[OneRun]:
    """Call the functions, and keep nothing."""

    async def run(number: int) -> int:
        value = number
        for each in LINKS:
            value = await each.function(value)
        return value

    yield run


@asynccontextmanager
async def hand(url: str) -> AsyncIterator[OneRun]:
    """Commit what each builder has made before the next one runs."""
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE IF NOT EXISTS by_hand (run int, datum text, value int, PRIMARY KEY (run, datum))")
    await connection.execute("TRUNCATE by_hand")

    async def run(number: int) -> int:
        value = number
        await connection.execute("INSERT INTO by_hand VALUES ($1, 'd0', $2)", number, value)
        for place, each in enumerate(LINKS, 1):
            value = await each.function(value)
            await connection.execute("INSERT INTO by_hand VALUES ($1, $2, $3)", number, f"d{place}", value)
        return value

    try:
        yield run
    finally:
        await connection.close()


@asynccontextmanager
async def dataflow(url: str) -> AsyncIterator[OneRun]:
    """Run it, and close it."""
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url})
    await migrate(settings)
    async with chain.running(settings) as conductor:

        async def run(number: int) -> int:
            answer = await conductor.run(FLOW, f"run-{number}", {"d0": number}, close=True)
            if not answer.closed:
                raise AssertionError(f"run {number} is not closed: {answer}")
            value: int = answer.target
            return value

        yield run


async def measured(run: OneRun, first: int, runs: int) -> list[float]:
    """Seconds of each of some runs, one after the other; each answer is checked."""
    seconds = []
    for number in range(first, first + runs):
        began = time.perf_counter()
        value = await run(number)
        seconds.append(time.perf_counter() - began)
        if value != number + BUILDERS:
            raise AssertionError(f"run {number} answered {value}")
    return seconds


@contextmanager
def statements() -> Iterator[Counter[str]]:
    """Count the statements of this process by how they begin."""
    counted: Counter[str] = Counter()
    connections: Any = asyncpg.Connection
    plain = connections._get_statement  # noqa: SLF001  (every statement with parameters passes there)

    async def get(self: Any, query: str, *others: Any, **options: Any) -> Any:
        counted[" ".join(query.split())[:STATEMENT_CHARACTERS]] += 1
        return await plain(self, query, *others, **options)

    connections._get_statement = get  # noqa: SLF001
    try:
        yield counted
    finally:
        connections._get_statement = plain  # noqa: SLF001


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="how many are counted of each")
    parser.add_argument("--time", action="store_true", help="measure the latency, too")
    parser.add_argument("--statements", action="store_true", help="print which statements a run takes")
    parser.add_argument("--url", help="a server to use; without it one is started")
    arguments = parser.parse_args()
    async with database(arguments.url) as (url, _):
        for contender in (direct, hand, dataflow):
            async with contender(url) as run:
                await measured(run, 0, WARM_UP)
                committed, wal = await counters(url)
                profile = cProfile.Profile()
                profile.enable()
                await measured(run, WARM_UP, arguments.runs)
                profile.disable()
                committed_after, wal_after = await counters(url)
                calls = sum(each[1] for each in pstats.Stats(profile).stats.values())  # type: ignore[attr-defined]
                line = (
                    f"{contender.__name__:<9} {calls / arguments.runs:8.0f} calls  "
                    f"{(committed_after - committed) / arguments.runs:6.1f} transactions  "
                    f"{(wal_after - wal) / arguments.runs:8.0f} WAL bytes"
                )
                if arguments.time:
                    seconds = await measured(run, WARM_UP + arguments.runs, arguments.runs)
                    line += f"  p50 {statistics.median(seconds) * 1000:8.3f} ms"
                print(line, flush=True)
                if arguments.statements:
                    with statements() as counted:
                        await measured(run, WARM_UP + 2 * arguments.runs, arguments.runs)
                    for statement, times in counted.most_common():
                        print(f"  {times / arguments.runs:6.2f}  {statement}", flush=True)


if __name__ == "__main__":
    uvloop.run(main())
