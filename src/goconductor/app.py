"""Settings to objects: the one place that knows both. The leaves are made next door, in :mod:`goconductor.leaves`.

A *participant* runs a service's steps, a *server* runs none (doors, recovery), a *client* only starts sagas and waits for them.
Participants and servers campaign for leadership; whoever is elected sweeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec

from goconductor.control import commands
from goconductor.control.health import answering
from goconductor.control.sections import MetricsSettings
from goconductor.control.settings import Settings
from goconductor.errors import (
    CompensatedError,
    ConfigurationError,
    PluginNotFoundError,
    StoreUnavailableError,
    StuckError,
    TerminatedError,
)
from goconductor.leaves import chosen_bus, chosen_election, make_store
from goconductor.lifecycle.state import SagaState, SagaStatus
from goconductor.observe import logs
from goconductor.observe.metrics import Latent, Metrics
from goconductor.observe.survey import Survey
from goconductor.participant import garbage
from goconductor.participant.chosen import ChosenBus
from goconductor.participant.clock import SystemClock
from goconductor.participant.node import Node, Store
from goconductor.participant.probe import SILENT, Probe, Probes
from goconductor.participant.registry import StepRegistry
from goconductor.ports.transactions import Transaction
from goconductor.recovery.beside import beside
from goconductor.recovery.leadership import Leadership
from goconductor.recovery.pinned import PinWatch
from goconductor.recovery.retention import Retaining
from goconductor.recovery.sweep import Sweeper
from goconductor.saga.builder import Saga
from goconductor.saga.definition import Definition
from goconductor.saga.graph import Plan
from goconductor.saga.values import copied

I = TypeVar("I")  # noqa: E741

logger = logging.getLogger("goconductor")

STEPS_SHOWN = 20


class SagaHandle(Generic[I]):
    """One saga that was started.

    Attributes:
        saga_id: its id.
        existing: True if its key had started it before.
    """

    def __init__(self, node: Node, saga_id: UUID, *, existing: bool = False, begun: bool = True) -> None:
        self.saga_id = saga_id
        self.existing = existing
        self._node = node
        self._begun = begun

    async def begin(self) -> None:
        """Begin at once what was started in a transaction of one's own: to be called after its commit.

        It may be left out: the leader's sweep begins the saga within a second or so (``recovery.sweep_interval_seconds``), also
        when this process dies. :meth:`result` does it too. May be called twice, and for any saga.

        Raises:
            SagaNotFoundError: the transaction is not committed, or was rolled back.
        """
        if not self._begun:
            await self._node.begin(self.saga_id)
            self._begun = True

    async def state(self) -> SagaState:
        """Where it stands now.

        Raises:
            SagaNotFoundError: there is no such saga.
        """
        state = (await self._node.view(self.saga_id)).state
        return msgspec.convert(msgspec.to_builtins(state), SagaState)  # the engine's own is nobody's to change

    async def result(self, *, timeout_seconds: float = 60.0) -> Any:
        """What the saga answers, once it has completed.

        Raises:
            CompensatedError: it failed and was compensated.
            StuckError: it waits for an operator.
            TerminatedError: an operator ended it.
            TimeoutError: it has not ended by then, and goes on all the same; it says what the saga waits for.
            SagaNotFoundError: there is no such saga, or the transaction that it was started in is not committed.

        While the database is away, it waits on.
        """
        with suppress(StoreUnavailableError):  # the sweep begins it as well
            await self.begin()
        state = await self._node.wait_for_end(self.saga_id, timeout_seconds)
        status = state.status
        if status is SagaStatus.COMPLETED:
            return copied(self._node.definitions.of_version(state.version).output(state.input, state.referable()))
        about: dict[str, Any] = {"saga_id": self.saga_id, "reason": state.reason}
        if status is SagaStatus.COMPENSATED:
            raise CompensatedError(f"saga {self.saga_id} was compensated: {state.reason}", **about)
        if status is SagaStatus.TERMINATED:
            raise TerminatedError(f"saga {self.saga_id} was {state.reason}", **about)
        failures = "; ".join(f"step {name!r}: {state.step(name).failure}" for name in state.stuck_steps)
        raise StuckError(f"saga {self.saga_id} is stuck and waits for an operator: {failures}", **about)


STEPS_LEFT = 1
"""The exit code of a participant that left steps running."""


class Conductor:
    """Starts sagas and asks after them.

    Args:
        node: this process's engine, open.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._registered: WeakKeyDictionary[Saga[Any], tuple[Definition, Plan, int]] = WeakKeyDictionary()

    async def start(
        self,
        saga: Saga[I] | str,
        input: I,
        *,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        transaction: Transaction | None = None,
    ) -> SagaHandle[I]:
        """Start a saga.

        Args:
            saga: a saga written in Python, which is registered if it is new, or the name of a registered one.
            input: its input.
            key: the same key again finds the same saga; up to 255 printable ASCII characters.
            labels: up to 20 words to find it by, each name and value a text.
            transaction: your own open one in the database of the saga log: an asyncpg connection, SQLAlchemy's ``AsyncSession``
                or ``AsyncConnection``, or a psycopg ``AsyncConnection``. The saga begins when it commits, or never; call
                :meth:`SagaHandle.begin` after the commit. Until then nobody sees it, and another start with its key waits.

        Raises:
            DefinitionError: the saga cannot run.
            PayloadError: the input cannot be kept, or does not fit the saga's input type.
            InputRefusedError: the input does not fit the registered definition's schema.
            SagaAlreadyStartedError: the key has started a saga with other input.
            RequestInvalidError: the key or a label cannot be one.
            RequestRefusedError: there is no definition of that name.
            StoreUnavailableError: the store is away; with a key, the start can be repeated safely.
            TypeError: the transaction is of a kind that is not known; says which are.
            ValueError: the connection is in no transaction.
            ConfigurationError: the transaction is in another database than the saga log, or may not write there.
        """
        started = await commands.start(
            self.node,
            saga if isinstance(saga, str) else await self._plan(saga),
            input,
            key=key,
            labels=labels,
            reply=True,
            transaction=transaction,
            input_type=None if isinstance(saga, str) else saga.input_type,
        )
        return SagaHandle(self.node, started.saga_id, existing=started.existing, begun=transaction is None)

    async def _plan(self, saga: Saga[Any]) -> Plan:
        """Registered once by an instance, as long as the saga is not written further."""
        known, serial = self._registered.get(saga), self.node.instance.serial
        if known is None or known[0] is not saga.definition or known[2] != serial:
            self.node.registry.check_definition(saga.definition)
            known = self._registered[saga] = (saga.definition, await self.node.definitions.register(saga.definition), serial)
        return known[1]

    def saga(self, saga_id: UUID) -> SagaHandle[Any]:
        """A saga that was started elsewhere."""
        return SagaHandle(self.node, saga_id)


class Participant(StepRegistry):
    """A service's steps, and what runs them.

    Args:
        name: the participant's name; definitions say ``name.step``.
        concurrency: how many of its steps may run at once in one process.
    """

    async def run(self, settings: Settings | None = None) -> None:
        """Run until SIGTERM or SIGINT; then drain.

        Args:
            settings: None loads them from ``goconductor.yaml`` and the environment.

        Raises:
            SystemExit: with code 1, when steps did not end within the drain's time and cannot be ended.
        """
        settings = settings or Settings.load()
        logs.set_up(level=settings.log.level, format=settings.log.format)
        garbage.look_less_often()
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        try:
            async with self.running(settings) as conductor:
                await stopped.wait()
                logger.info("stopping participant %r", self.name)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
        if conductor.node.steps_left:
            raise SystemExit(STEPS_LEFT)

    @asynccontextmanager
    async def running(self, settings: Settings | None = None, *, metrics: Metrics | None = None) -> AsyncIterator[Conductor]:
        """Run inside another program, such as a web application's lifespan; the conductor starts sagas from there.

        Args:
            settings: None loads them from ``goconductor.yaml`` and the environment.
            metrics: of a program that tells them itself, by a :class:`goconductor.observe.exposition.Exposition`.
        """
        async with _opened(settings or Settings.load(), self, recovers=True, metrics=metrics) as node:
            yield Conductor(node)


@asynccontextmanager
async def connect(settings: Settings | None = None) -> AsyncIterator[Conductor]:
    """A client: it starts sagas and waits for them, and runs nothing.

    Args:
        settings: None loads them from ``goconductor.yaml`` and the environment.
    """
    async with _opened(settings or Settings.load(), None, recovers=False) as node:
        yield Conductor(node)


@asynccontextmanager
async def server(settings: Settings, *, metrics: Metrics | None = None) -> AsyncIterator[Node]:
    """A node without steps that takes part in recovery; doors are put on it. It opens without its bus, which may come later.

    Args:
        settings: as loaded.
        metrics: of a door that serves them.
    """
    async with _opened(settings, None, recovers=True, metrics=metrics) as node:
        yield node


async def migrate(settings: Settings) -> None:
    """Make the store's tables, or bring them to this version. Safe when many processes do it at once.

    Raises:
        SchemaError: the database is newer than this code.
        ConfigurationError: the database cannot be reached with these settings.
    """
    tables = make_store(settings, "migrate")
    if (make := getattr(tables, "migrate", None)) is not None:
        await make()


@asynccontextmanager
async def store(settings: Settings) -> AsyncIterator[Store]:
    """The store alone, for a look: nothing is registered, and no bus opened."""
    opened = make_store(settings, "reader")
    try:
        await opened.open()
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def _opened(
    settings: Settings, registry: StepRegistry | None, *, recovers: bool, metrics: Metrics | None = None
) -> AsyncIterator[Node]:
    for warning in settings.warnings:
        logger.warning("settings: %s", warning)
    name = registry.name if registry is not None else "server" if recovers else "client"
    async with _observed(settings, name, metrics) as (probe, measured, wanted):
        node = _node(settings, registry, name, probe, recovers=recovers)
        measured.watch(node)
        try:
            await node.open()
            if recovers:
                logger.info("%s", _introduction(settings, node))
            async with (
                _recovering(settings, node, measured, wanted) if recovers else contextlib.nullcontext(),
                answering(node, settings.health),
            ):
                yield node
        finally:
            await node.close()


def _introduction(settings: Settings, node: Node) -> str:
    """What a process says of itself when it has opened; whoever starts one sees that it runs, what, and where."""
    steps = sorted(node.registry.steps)
    more = f" and {len(steps) - STEPS_SHOWN} more" if len(steps) > STEPS_SHOWN else ""
    who = f"participant {node.registry.name!r} runs {', '.join(steps[:STEPS_SHOWN])}{more}" if steps else "runs no steps"
    database = settings.database
    return (
        f"{who}, as instance {node.instance.serial}; saga log at {database.where}, schema {database.schema_name}; "
        f"bus {' or '.join(settings.bus.named())}, election {' or '.join(settings.election.named())}"
    )


def _node(settings: Settings, registry: StepRegistry | None, name: str, probe: Probe, *, recovers: bool) -> Node:
    participant, limits = settings.participant, settings.limits
    store, clock = make_store(settings, name), SystemClock()
    node = Node(
        store=store,
        bus=chosen_bus(settings, store, lambda: node.instance.serial, clock, strict=recovers),
        clock=clock,
        registry=registry or StepRegistry(name),
        lease_seconds=participant.lease_seconds,
        concurrency=participant.concurrency,
        threads=participant.threads,
        drain_seconds=participant.drain_seconds,
        prefetch=participant.prefetch,
        payload_bytes_max=limits.payload_bytes_max,
        baton_bytes_max=limits.baton_bytes_max,
        probe=probe,
    )
    return node


@asynccontextmanager
async def _observed(
    settings: Settings, name: str, metrics: Metrics | None
) -> AsyncIterator[tuple[Probe, Metrics, Callable[[], bool]]]:
    """What measures and traces a process, for as long as it lives. Who measures nothing yet may begin later (:class:`Latent`)."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            traces = _traces(settings, name, stack)
            if settings.metrics.port is not None:
                metrics = metrics or Metrics()
                _metrics_door(settings.metrics, metrics, stack)
        except ImportError as error:
            extra = "tracing" if str(error.name).startswith("opentelemetry") else "metrics"
            problem = f"{extra} needs a library that is not installed ({error.name}): pip install 'goconductor[{extra}]'"
            raise PluginNotFoundError(problem) from None
        if metrics is not None:
            yield Probes(metrics, traces) if traces is not None else metrics, metrics, lambda: True
        else:
            latent = Latent(traces or SILENT)
            yield latent, latent.metrics, lambda: latent.measures


def _traces(settings: Settings, name: str, stack: contextlib.AsyncExitStack) -> Probe | None:
    if not settings.traces.enabled:
        return None
    from goconductor.observe.traces import Exporting, Traces  # noqa: PLC0415  (needs its extra)

    if settings.traces.endpoint is None:
        return Traces(None)
    exporting = Exporting(settings.traces.endpoint.get_secret_value(), service=name)
    stack.push_async_callback(asyncio.to_thread, exporting.close)
    return Traces(exporting.provider)


def _metrics_door(settings: MetricsSettings, metrics: Metrics, stack: contextlib.AsyncExitStack) -> None:
    """Of several processes with the same settings, uvicorn's workers say, one has the port; the others work without it."""
    from goconductor.observe.exposition import Door  # noqa: PLC0415  (needs its extra)

    assert settings.port is not None  # noqa: S101  (asked before)
    try:
        door = Door(metrics, host=settings.host, port=settings.port)
    except ConfigurationError as error:
        logger.warning("%s; this process works on without. Its metrics are at /metrics of its REST door, if it has one", error)
        return
    stack.push_async_callback(asyncio.to_thread, door.close)
    logger.info("metrics on http://%s:%d/metrics", settings.host, door.port)


@asynccontextmanager
async def _recovering(settings: Settings, node: Node, metrics: Metrics, wanted: Callable[[], bool]) -> AsyncIterator[None]:
    recovery = settings.recovery
    survey = metrics.survey = Survey(node, wanted=wanted)
    bus = node.bus
    unfit = (lambda: bus.left_behind) if isinstance(bus, ChosenBus) else bool
    election = chosen_election(settings, node.store, lambda: node.instance.serial, node.clock, unfit=unfit)
    sweeper = Sweeper(
        node,
        interval_seconds=recovery.sweep_interval_seconds,
        lease_seconds=settings.participant.lease_seconds,
        batch=recovery.batch,
    )
    leadership = Leadership(
        election,
        candidate=node.name,
        lead=election.while_chosen(
            beside(sweeper.lead, Retaining(node, **settings.retention.model_dump()).keep, PinWatch(node).watch)
        ),
        clock=node.clock,
        term_seconds=recovery.term_seconds,
        on_change=survey.led,
    )
    await leadership.open()
    running = asyncio.create_task(leadership.run(), name="leadership")
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])
        await survey.close()
        await election.close()
