"""What the sub-commands of ``bench_scale.py`` share: a database of their own, sagas that stand by in it, and a closed loop."""

# ruff: noqa: E501 - the statement stands in long lines

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from bench_sagas import database, followed, three_steps
from goconductor import Conductor, Settings, migrate
from goconductor.control.doors.conductor import engine
from measuring import closed_loop, milliseconds

DAY_SECONDS = 86_400
FILL = """
    WITH made AS (
        SELECT n, ((extract(epoch FROM now() - $2::float8 * interval '1 second') * 1000)::bigint + n) AS ms, md5(n::text) AS random
        FROM generate_series(1, $1::bigint) AS n
    ), ids AS (
        SELECT n, (lpad(to_hex(ms), 12, '0') || '7' || left(random, 3) || '8' || substr(random, 4, 15))::uuid AS id FROM made
    ), heads AS (
        INSERT INTO goconductor.sagas (saga_id, saga, version, status, seq, tag, wake_at, last_instance, labels, started_at, updated_at)
        SELECT id, 'three-steps', $3, $4, $5::bigint, 1, CASE WHEN $4 = 'running' THEN now() + interval '1 day' + n * interval '1 ms' END,
            $6::int, '{}', now() - $2::float8 * interval '1 second', now() - $2::float8 * interval '1 second' FROM ids
    ), keys AS (
        INSERT INTO goconductor.start_keys (namespace, saga, key, saga_id, input_hash) SELECT 'default', 'three-steps', id::text, id, '' FROM ids
    )
    INSERT INTO goconductor.saga_log (saga_id, seq, tag, event_id, event, step, round, attempt, token, participant, data, at)
    SELECT id, seq, 1, id, CASE seq WHEN 1 THEN 'SagaStarted' ELSE 'ActionSucceeded' END, CASE seq WHEN 1 THEN '' ELSE 'reserve' END, 0,
        CASE seq WHEN 1 THEN 0 ELSE 1 END, 0, 'bench', '{"input": {"order": 1}}', now() - $2::float8 * interval '1 second'
    FROM ids, generate_series(1, $5::bigint) AS seq
"""


@asynccontextmanager
async def prepared(**tuning: str) -> AsyncIterator[tuple[Settings, str, int]]:
    """A database with our tables: settings, url, and the server's process."""
    async with database(None, **tuning) as (url, postmaster):
        settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url, "GOCONDUCTOR_LOG_LEVEL": "error"})
        await migrate(settings)
        yield settings, url, postmaster


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url, command_timeout=600)
    try:
        yield connection
    finally:
        await connection.close()


async def fill(
    conductor: Conductor, url: str, rows: int, *, status: str, days: float = 0.0, seq: int = 2, instance: int = 0
) -> None:
    """So many sagas that stand by, with their keys and logs, by SQL."""
    plan = await engine(conductor).definitions.register(three_steps().definition)
    async with connected(url) as connection:
        for start in range(0, rows, 100_000):
            count = min(100_000, rows - start)
            await connection.execute(
                FILL, count, days * DAY_SECONDS + rows / 1000 - start / 1000, plan.version, status, seq, instance
            )
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")


async def timed(what: Callable[[], Awaitable[Any]], times: int = 1) -> tuple[float, Any]:
    """The median in milliseconds, and the last answer."""
    took, answer = [], None
    for _ in range(times):
        began = time.perf_counter()
        answer = await what()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000, answer


async def loop(conductor: Conductor, concurrency: int, seconds: float) -> tuple[float, float, float]:
    """Sagas a second, p50 and p99 in milliseconds, of the closed loop."""
    began = time.perf_counter()
    latencies = await closed_loop(followed(conductor, three_steps()), concurrency, began + seconds)
    elapsed = time.perf_counter() - began
    return len(latencies) / elapsed, milliseconds(latencies, 0.5), milliseconds(latencies, 0.99)
