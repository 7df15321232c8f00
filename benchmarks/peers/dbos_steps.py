"""DBOS: a library on PostgreSQL; workflow and steps run in the process that starts them, which is its fastest way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from dbos import DBOS, DBOSConfig

from measuring import Run
from peers.contender import Contender
from peers.work import PARTS, STEPS, Output, RefusedError, Workload, act, check, summary

CONNECTIONS_MAX = 20


@DBOS.step()
async def run_step(step: str, order: Output) -> Output:
    """A step or a compensation."""
    return await act(step, **order)


@DBOS.step()
async def refuse(order: Output) -> Output:
    """The last step, where it is to fail."""
    raise RefusedError(f"no truck for order {order['order']}")


@DBOS.workflow()
async def in_turn(order: Output, fails: bool) -> Output:
    """The steps in turn; where one is refused, the compensations of those before it."""
    outputs: dict[str, Output] = {}
    try:
        for step in STEPS:
            outputs[step] = await (refuse(order) if fails and step == STEPS[-1] else run_step(step, order))
    except RefusedError:
        return summary("compensated", {f"undo_{step}": await run_step(f"undo_{step}", order) for step in reversed(outputs)})
    return summary("completed", outputs)


@DBOS.workflow()
async def in_parallel(order: Output) -> Output:
    """All steps at once."""
    outputs = await asyncio.gather(*(run_step(step, order) for step in PARTS))
    return summary("completed", dict(zip(PARTS, outputs, strict=True)))


class DbosSteps(Contender):
    """Workflows that are called directly."""

    name = "dbos"
    title = "DBOS"
    packages = ("dbos", "sqlalchemy", "psycopg", "uvloop")
    tuning = (
        f"async workflows and steps, called directly, without a queue; a pool of {CONNECTIONS_MAX} connections; in "
        f"earlier runs larger "
        "pools, synchronous functions and no `pool_pre_ping` made no difference: it is bound by the interpreter's lock"
    )
    cannot: ClassVar[Mapping[str, str]] = {
        "services": "a step runs in the process of its workflow; three services would be three applications with "
        "queues between them"
    }

    @asynccontextmanager
    async def running(self, workload: Workload, concurrency: int, where: Mapping[str, Any]) -> AsyncIterator[Run]:
        del concurrency
        config: DBOSConfig = {
            "name": "bench",
            "system_database_url": where["url"],
            "sys_db_pool_size": CONNECTIONS_MAX,
            "log_level": "ERROR",
            "executor_id": "bench",
            "application_version": "1",
        }
        DBOS(config=config)
        DBOS.launch()

        async def run(number: int) -> None:
            order = workload.order(number)
            check(workload, number, await (in_parallel(order) if workload.fans_out else in_turn(order, workload.fails)))

        try:
            yield run
        finally:
            DBOS.destroy()


CONTENDER = DbosSteps()
