"""Settings to objects: the one place that knows both. The leaves are made next door, in :mod:`goconductor.leaves`.

A *participant* runs a service's steps, a *server* runs none (doors, recovery), a *client* only starts sagas and waits for them.
Participants and servers campaign for leadership; whoever is elected sweeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from goconductor.aio.tasks import create_guarded_task, end
from goconductor.control.doors.conductor import Conductor
from goconductor.control.doors.exits import code_of
from goconductor.control.doors.health import answering
from goconductor.control.settings.settings import Settings, check_settings
from goconductor.engine.facts import garbage
from goconductor.engine.facts.clock import SystemClock
from goconductor.engine.facts.registration import answered
from goconductor.engine.node import Node
from goconductor.engine.steps.builders import BuilderRegistry
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import (
    ConfigurationError,
    GoConductorError,
    StoreUnavailableError,
    check_seconds,
    check_type,
)
from goconductor.leading import recovering
from goconductor.leaves import make_store
from goconductor.nodes import check_name, introduce, make_node, make_system_node
from goconductor.observe import logs
from goconductor.observe.metrics import Metrics
from goconductor.observing import observed
from goconductor.ports.health import Examinable
from goconductor.ports.store import Store
from goconductor.redaction import logger_of
from goconductor.system.checking import SYSTEM

if TYPE_CHECKING:
    from goconductor.outbox.outbox import Outbox

logger = logger_of("goconductor")

STEPS_LEFT = 1
"""The exit code of a participant that left steps running."""


class Participant(BuilderRegistry):
    """The steps of a service, and the process that runs them.

    Args:
        name: the participant's name; definitions refer to ``name.step``.
        concurrency: greatest number of its steps that run at once in one process.
        outboxes: tables of the service's own database, through which its transactions start sagas: this process reads them.

    Raises:
        ArgumentError: an argument is of a wrong type.
        ValueError: the name is not valid, or the concurrency is below 1.
    """

    def __init__(self, name: str, *, concurrency: int = 1000, outboxes: Sequence[Outbox] = ()) -> None:
        super().__init__(name, concurrency=concurrency)
        if outboxes:
            from goconductor.outbox.outbox import Outbox  # noqa: PLC0415  (loads the database's driver)
        for outbox in outboxes:
            check_type("outboxes", outbox, Outbox, "outboxes, as Outbox(url)")
        self.outboxes = tuple(outboxes)

    async def run(self, settings: Settings | None = None) -> None:
        """Run until SIGTERM or SIGINT; then drain.

        Args:
            settings: None loads them from ``goconductor.yaml`` and the environment.

        Raises:
            SystemExit: when it cannot begin, with the reason and its remedy in the log: code 2 where the settings are wrong, 3
                where the database is not migrated; with code 1, when steps did not end within the drain's time and cannot be
                ended.
        """
        try:
            settings = _loaded(settings)
        except ConfigurationError as error:
            self._end(error)
        logs.set_up(level=settings.log.level, format=settings.log.format)
        garbage.look_less_often()
        nodes: list[Node] = []  # steps run as soon as the node is open, while the election and doors still open
        async with _signalled() as stopped, contextlib.AsyncExitStack() as stack:
            opening = asyncio.ensure_future(
                stack.enter_async_context(_opened(settings, self, recovers=True, on_made=nodes.append))
            )
            stopping = asyncio.ensure_future(stopped.wait())
            try:
                await asyncio.wait((opening, stopping), return_when=asyncio.FIRST_COMPLETED)
                if opening.done():
                    opening.result()
                    await stopping
                    logger.info("stopping participant %r", self.name)
                else:
                    logger.info("participant %r was stopped before it was ready", self.name)
            except GoConductorError as error:
                self._end(error)
            finally:
                for task in (opening, stopping):
                    task.cancel()
                await asyncio.wait((opening, stopping))
        if any(node.steps_left for node in nodes):
            raise SystemExit(STEPS_LEFT)

    def _end(self, error: GoConductorError) -> NoReturn:
        """End the process as the command line does: one message that has the remedy, and no traceback."""
        logger.error("participant %r cannot run: %s", self.name, error)
        raise SystemExit(code_of(error)) from None

    @asynccontextmanager
    async def running(self, settings: Settings | None = None, *, metrics: Metrics | None = None) -> AsyncIterator[Conductor]:
        """Run inside another program, such as a web application's lifespan; the conductor starts sagas from there.

        Args:
            settings: None loads them from ``goconductor.yaml`` and the environment.
            metrics: metrics of a program that exposes them itself, by a :class:`goconductor.observe.exposition.Exposition`.
        """
        settings = _loaded(settings)
        async with _opened(settings, self, recovers=True, metrics=metrics) as node:
            yield Conductor(node, sagas_days=settings.retention.sagas_days)


@asynccontextmanager
async def connect(settings: Settings | None = None, *, open_timeout_seconds: float | None = None) -> AsyncIterator[Conductor]:
    """Open a client: it starts sagas and waits for them, and runs nothing.

    Args:
        settings: None loads them from ``goconductor.yaml`` and the environment.
        open_timeout_seconds: seconds to wait for the database; None waits for ever.

    Raises:
        ArgumentError: an argument is of a wrong type.
        StoreUnavailableError: it could not be used within ``open_timeout_seconds``; names the reason.
    """
    if open_timeout_seconds is not None:
        check_seconds("open_timeout_seconds", open_timeout_seconds)
    settings = _loaded(settings)
    async with _opened(settings, None, recovers=False, open_timeout_seconds=open_timeout_seconds) as node:
        yield Conductor(node, sagas_days=settings.retention.sagas_days)


def _loaded(settings: Settings | None) -> Settings:
    check_settings(settings)
    return Settings.load() if settings is None else settings


@asynccontextmanager
async def server(settings: Settings, *, metrics: Metrics | None = None, reads_only: str = "") -> AsyncIterator[Node]:
    """Open a node without steps that takes part in recovery, for doors. It opens without its bus, which may come later.

    Args:
        settings: the loaded settings.
        metrics: metrics of a door that exposes them.
        reads_only: why it may change nothing, and takes no part in recovery; empty where it does.
    """
    async with _opened(settings, None, recovers=not reads_only, metrics=metrics) as node:
        node.reads_only = reads_only
        yield node


async def migrate(settings: Settings) -> None:
    """Make the store's tables, or bring them to this version. Safe when many processes do it at once.

    Raises:
        SchemaError: the database is newer than this code.
        ConfigurationError: the database cannot be reached with these settings.
    """
    tables = make_store(settings, "migrate")
    if (make := getattr(tables, "migrate", None)) is not None:
        await make(feed=settings.events.topic is not None or settings.events.watch or settings.webhooks.enabled)


@asynccontextmanager
async def store(settings: Settings, *, open_timeout_seconds: float | None = None) -> AsyncIterator[Store]:
    """Open the store alone, for reading: nothing is registered, and no bus opened.

    Args:
        settings: the loaded settings.
        open_timeout_seconds: seconds to wait for the database; None waits for ever.

    Raises:
        StoreUnavailableError: it could not be used within ``open_timeout_seconds``; names the reason.
    """
    opened = make_store(settings, "reader")
    try:
        await _within(open_timeout_seconds, opened.open(), opened)
        yield opened
    finally:
        await opened.close()


async def with_secrets(settings: Settings, *, open_timeout_seconds: float | None = None) -> Settings:
    """Return settings with the values of secrets in place of references to them; the same where there is none.

    Args:
        settings: the loaded settings.
        open_timeout_seconds: seconds to wait for the database; None waits for ever, however often it goes away meanwhile.

    Raises:
        SecretError: a secret is not there, or cannot be decrypted; names each, with the remedy.
        StoreUnavailableError: the database could not be used in time; names the reason.
    """
    if not settings.references:
        return settings
    from goconductor.control.secrets.filling import fill  # noqa: PLC0415  (who refers to none does not pay for it)

    async with store(settings, open_timeout_seconds=open_timeout_seconds) as opened:
        read = partial(fill, settings, opened.secrets)
        if open_timeout_seconds is not None:
            return await read()
        return await answered(read, SystemClock(), before="secrets were read")


@asynccontextmanager
async def _opened(
    settings: Settings,
    registry: StepRegistry | None,
    *,
    recovers: bool,
    metrics: Metrics | None = None,
    open_timeout_seconds: float | None = None,
    on_made: Callable[[Node], None] | None = None,
) -> AsyncIterator[Node]:
    for warning in settings.warnings:
        logger.warning("settings: %s", warning)
    name = registry.name if registry is not None else "server" if recovers else "client"
    if name == SYSTEM:
        raise ConfigurationError(f"a participant cannot be named {SYSTEM!r}, as goconductor's own is; give it another name")
    opened: Node | None = None
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(answering(lambda: opened, settings.health))
        settings = await with_secrets(settings, open_timeout_seconds=open_timeout_seconds)
        observer, measured, wanted = await stack.enter_async_context(observed(settings, name, metrics))
        concurrency = settings.participant.concurrency
        node = make_node(settings, registry, name, observer, recovers=recovers, concurrency=concurrency)
        measured.watch(node)
        hosts_system = recovers and settings.system.enabled
        nodes = [node, *([make_system_node(settings, observer)] if hosts_system else [])]
        if on_made is not None:
            for each in nodes:
                on_made(each)
        beside: asyncio.Task[None] | None = None
        try:
            await _within(open_timeout_seconds, node.open(), node.store)
            if recovers:
                await check_name(node)
                introduce(settings, node)
            for each in nodes[1:]:  # a server is of use before its bus is there, and steps are not
                beside = create_guarded_task(_open_beside(settings, each), name="the steps of system")
            async with recovering(settings, node, measured, wanted) if recovers else contextlib.nullcontext():
                opened = node
                try:
                    async with _reading(registry, node):
                        yield node
                finally:
                    opened = None
        finally:
            await end(beside)
            await asyncio.gather(*(each.close() for each in nodes))


def _reading(registry: StepRegistry | None, node: Node) -> contextlib.AbstractAsyncContextManager[None]:
    """Return a context in which the outboxes of a participant are read."""
    if not isinstance(registry, Participant) or not registry.outboxes:
        return contextlib.nullcontext()
    from goconductor.outbox.door import readers  # noqa: PLC0415  (loads the database's driver)
    from goconductor.outbox.reading import reading  # noqa: PLC0415

    return reading(readers(registry.outboxes, node))


async def _open_beside(settings: Settings, node: Node) -> None:
    await node.open()
    introduce(settings, node)


async def _within(open_timeout_seconds: float | None, opening: Awaitable[None], store: Store) -> None:
    try:
        async with asyncio.timeout(open_timeout_seconds):
            await opening
    except TimeoutError:
        why = store.trouble if isinstance(store, Examinable) else ""
        raise StoreUnavailableError(
            why or f"the database did not answer within {open_timeout_seconds:g} s; see that it is up and reachable from here"
        ) from None


@asynccontextmanager
async def _signalled() -> AsyncIterator[asyncio.Event]:
    """Enter a context with an event that SIGTERM and SIGINT set."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
