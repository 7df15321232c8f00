"""procrastinate: a queue of jobs on PostgreSQL; a saga is a chain in which each job defers the next one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import procrastinate

from measuring import Run
from peers.contender import Contender, Standing, until_stopped
from peers.work import SERVICES, STEPS, Output, RefusedError, Workload, act, check, summary

if TYPE_CHECKING:
    from peers.place import Place

CONNECTIONS = {"min_size": 4, "max_size": 20}
POLL_SECONDS, POLL_SECONDS_ALONE = 0.5, 0.05
"""A notification that is missed costs a poll: with few sagas a short one helps, with many it only costs."""
WORKER_CONCURRENCY = 256
FEW = 4
QUEUES = {step: name for name, step in SERVICES.items()}

waiting: dict[int, asyncio.Future[Output]] = {}
"""The sagas that this process started, by order."""

tasks = procrastinate.Blueprint()


async def answer(job: Output, said: Output) -> None:
    """Tell whoever waits: here, or, where the services are spread, by one more job in the queue of the client."""
    if job["spread"]:
        await tasks_of["sagas:done"].configure(queue=job["answers"]).defer_async(order=job["order"]["order"], said=said)
    else:
        waiting.pop(job["order"]["order"]).set_result(said)


@tasks.task(name="run")
async def run_step(job: Output) -> None:
    """The step that is next, or the compensation."""
    step, outputs = job["step"], job["outputs"]
    try:
        if job["fails"] and step == STEPS[-1]:
            raise RefusedError("no truck")  # noqa: TRY301  (as the step would)
        outputs[step] = await act(step, **job["order"])
    except RefusedError:
        await defer({**job, "step": f"undo_{STEPS[-2]}", "outputs": {}, "fails": False})
        return
    undoing = step.startswith("undo_")
    if step in {STEPS[-1], f"undo_{STEPS[0]}"}:
        await answer(job, summary("compensated" if undoing else "completed", outputs))
    else:
        place = STEPS.index(step.removeprefix("undo_"))
        await defer({**job, "step": f"undo_{STEPS[place - 1]}" if undoing else STEPS[place + 1], "outputs": outputs})


@tasks.task(name="done")
async def done(order: int, said: Output) -> None:
    """The end of a saga, in the process that waits for it."""
    waiting.pop(order).set_result(said)


async def defer(job: Output) -> None:
    """Put the next job into the queue of who runs it."""
    queue = QUEUES[job["step"]] if job["spread"] else job["answers"]
    await tasks_of["sagas:run"].configure(queue=queue).defer_async(job=job)


tasks_of: dict[str, Any] = {}


@asynccontextmanager
async def application(url: str) -> AsyncIterator[procrastinate.App]:
    """The application, connected, with its tables."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, **CONNECTIONS))
    app.add_tasks_from(tasks, namespace="sagas")
    tasks_of.update(app.tasks)
    async with app.open_async():
        yield app


@asynccontextmanager
async def worker(app: procrastinate.App, queue: str, concurrency: int) -> AsyncIterator[None]:
    """A worker of one queue, for as long as it is needed."""
    running = asyncio.create_task(
        app.run_worker_async(
            queues=[queue],
            concurrency=concurrency,
            install_signal_handlers=False,
            listen_notify=True,
            fetch_job_polling_interval=POLL_SECONDS if concurrency > FEW else POLL_SECONDS_ALONE,
            delete_jobs="never",
        )
    )
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


class Procrastinate(Contender):
    """A chain of jobs."""

    name = "procrastinate"
    title = "procrastinate, a chain of jobs"
    packages = ("procrastinate", "psycopg", "uvloop")
    tuning = (
        "client and worker in one process, woken by NOTIFY, as many jobs at once as there are sagas, a pool of "
        f"{CONNECTIONS['max_size']} connections, polling each {POLL_SECONDS:g} s instead of 5, and each {POLL_SECONDS_ALONE:g} s "
        "for one saga, since a notification that is missed costs a poll. What earlier steps answered travels in the jobs"
    )
    cannot: ClassVar[Mapping[str, str]] = {"fan-out": "it has no join"}

    def prepare(self, place: Place) -> str:
        url = super().prepare(place)
        asyncio.run(make_tables(url))
        return url

    @contextmanager
    def standing(self, place: Place, url: str, *, spread: bool) -> Iterator[Standing]:
        with super().standing(place, url, spread=spread) as standing, ExitStack() as stack:
            workers = [place.worker(stack, self, role, standing.where) for role in SERVICES] if spread else []
            yield Standing(standing.where, workers)

    @asynccontextmanager
    async def running(self, workload: Workload, concurrency: int, where: Mapping[str, Any]) -> AsyncIterator[Run]:
        queue = f"answers-{os.getpid()}"
        about = {"outputs": {}, "fails": workload.fails, "spread": workload.spread, "answers": queue}
        async with application(where["url"]) as app, worker(app, queue, max(concurrency, FEW)):

            async def run(number: int) -> None:
                ended = waiting[number] = asyncio.get_running_loop().create_future()
                await defer({**about, "order": workload.order(number), "step": STEPS[0]})
                check(workload, number, await ended)

            yield run

    async def work(self, role: str, where: Mapping[str, Any], ready: Path) -> None:
        async with application(where["url"]) as app, worker(app, role, WORKER_CONCURRENCY):
            await until_stopped(ready)


async def make_tables(url: str) -> None:
    """Its schema."""
    async with application(url) as app:
        await app.schema_manager.apply_schema_async()


CONTENDER = Procrastinate()
