"""goconductor: one participant that also starts the sagas, or three services and a client; over PostgreSQL's bus or Kafka's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from goconductor import CompensatedError, Participant, RefusedError, Saga, Settings, connect
from goconductor.app import migrate
from goconductor.engine.facts import garbage
from goconductor.errors import ConfigurationError
from goconductor.saga.writing.steps import Step
from measuring import Run
from peers.contender import Contender, Standing, UnavailableError, until_stopped
from peers.work import PARTS, SERVICES, STEPS, Output, Workload, act, check, summary
from tests.servers.kafka import KafkaServer

if TYPE_CHECKING:
    from peers.place import Place

CONCURRENCY = 4096
RESULT_SECONDS = 120.0

undone: dict[int, dict[str, Output]] = defaultdict(dict)
"""The compensations that this process ran, by order: a saga that was compensated answers only why."""


def participant(name: str, steps: tuple[str, ...]) -> Participant:
    """A service with these steps, each with its compensation, and one that is always refused."""
    made = Participant(name, concurrency=CONCURRENCY)
    for step in steps:
        add(made, step)

    async def refused(order: int) -> Output:
        raise RefusedError(f"no truck for order {order}")

    made.step(refused)
    return made


def add(made: Participant, step: str) -> None:
    async def action(order: int, payload: str = "", sleep: float = 0.0) -> Output:
        return await act(step, order, payload, sleep)

    async def compensation(order: int, payload: str = "", sleep: float = 0.0) -> None:
        undone[order][f"undo_{step}"] = await act(f"undo_{step}", order, payload, sleep)

    action.__name__ = step
    made.step(action).compensation(compensation)


def saga_of(workload: Workload) -> Saga[dict[str, Any]]:
    """The workload as a definition."""
    saga: Saga[dict[str, Any]] = Saga(workload.name)
    inputs = {name: saga.input[name] for name in workload.order(0)}
    owners = {step: service for service, step in SERVICES.items()}
    before: list[Step[Any]] = []
    for step in workload.steps:
        owner = owners[step] if workload.spread else "bench"
        refused = workload.fails and step == workload.steps[-1]
        target = f"{owner}.refused" if refused else f"{owner}.{step}"
        made: Step[Any] = saga.step(target, id=step, inputs={"order": inputs["order"]} if refused else inputs, after=before)
        before = [] if workload.fans_out else [made]
    return saga


class Goconductor(Contender):
    """Over PostgreSQL's bus: there is nothing but PostgreSQL."""

    name = "goconductor"
    title = "goconductor"
    packages: ClassVar[Sequence[str]] = ("goconductor", "asyncpg", "uvloop")
    tuning = f"as it comes, but for `Participant(concurrency={CONCURRENCY})`, so that no step of 1,024 sagas waits for room"

    @contextmanager
    def standing(self, place: Place, url: str, *, spread: bool) -> Iterator[Standing]:
        with ExitStack() as stack:
            variables = {"GOCONDUCTOR_DATABASE_URL": url}
            servers = self.bus(stack, variables)
            where: dict[str, Any] = {"variables": variables, "spread": spread}
            workers = [place.worker(stack, self, role, where) for role in SERVICES] if spread else []
            yield Standing(where, workers, servers)

    def bus(self, stack: ExitStack, variables: dict[str, str]) -> list[int]:
        """Start the bus's server, if it has one of its own; its process id."""
        del stack, variables
        return []

    @asynccontextmanager
    async def running(self, workload: Workload, concurrency: int, where: Mapping[str, Any]) -> AsyncIterator[Run]:
        del concurrency
        settings = Settings.load(environ=where["variables"])
        async with AsyncExitStack() as stack:
            if where["spread"]:
                conductor = await stack.enter_async_context(connect(settings))
            else:
                await migrate(settings)
                garbage.look_less_often()  # as in Participant.run()
                conductor = await stack.enter_async_context(participant("bench", (*STEPS, *PARTS)).running(settings))
            saga = saga_of(workload)

            async def run(number: int) -> None:
                handle = await conductor.start(saga, workload.order(number))
                try:
                    answer = summary("completed", await handle.result(timeout_seconds=RESULT_SECONDS))
                except CompensatedError:
                    answer = summary("compensated", undone.pop(number, {}))
                check(workload, number, answer)

            yield run

    async def work(self, role: str, where: Mapping[str, Any], ready: Path) -> None:
        settings = Settings.load(environ=where["variables"])
        await migrate(settings)
        async with participant(role, (SERVICES[role],)).running(settings):
            garbage.look_less_often()  # as in Participant.run()
            await until_stopped(ready)


class OverKafka(Goconductor):
    """Messages go over a Kafka broker."""

    name = "goconductor-kafka"
    title = "goconductor, Kafka"
    packages = ("goconductor", "confluent-kafka")
    tuning = "one broker of Kafka (KRaft), the bus's options as they come"
    cannot: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("steps", "failing", "fan-out", "io", "1k", "64k"), "in one process nothing crosses the bus: it is what `goconductor` is"
    )

    def bus(self, stack: ExitStack, variables: dict[str, str]) -> list[int]:
        try:
            kafka = stack.enter_context(KafkaServer())
        except ConfigurationError as error:
            raise UnavailableError(str(error)) from None
        variables |= {"GOCONDUCTOR_BUS_KIND": "kafka", "GOCONDUCTOR_BUS_URL": kafka.url}
        return [kafka.child.pid]


CONTENDER = Goconductor()
OVER_KAFKA = OverKafka()
