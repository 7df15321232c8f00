"""This process in the log: registered, registered anew where a failover has taken that, and gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from msgspec.structs import replace

from goconductor.aio.reminders import Reminder
from goconductor.engine.facts.colleagues import hands_over
from goconductor.errors import ConfigurationError, GoConductorError, StoreUnavailableError
from goconductor.ports.clock import Clock
from goconductor.ports.store import Instance, Instances, Terms
from goconductor.redaction import logger_of
from goconductor.saga.features import KNOWN

logger = logger_of("goconductor.engine")

AGAIN_SECONDS = 1.0
"""Seconds between two attempts of a node that begins, while the store is away."""

T = TypeVar("T")


async def answered(ask: Callable[[], Awaitable[T]], clock: Clock, *, before: str) -> T:
    """Ask the store until it answers, however often it goes away meanwhile, and return the answer.

    Args:
        ask: asks it once.
        clock: for the pauses.
        before: what had not been done when it went away, for the log: ``this node was registered``.
    """
    trouble = Reminder(monotonic=clock.monotonic)
    while True:
        try:
            return await ask()
        except StoreUnavailableError as error:
            if trouble.is_due():
                logger.warning("the saga store went away before %s, trying again: %s", before, error)
            await clock.sleep(AGAIN_SECONDS)


class Registration:
    """The registration of one node.

    Args:
            instances: those of an open store, once :meth:`open` is called.
        terms: know the database's time.
        clock: gets readings of the database's time; for the pauses.
        on_rewind: called where the log may have lost commits of this process.
    """

    def __init__(self, instances: Instances, terms: Terms, clock: Clock, on_rewind: Callable[[], None]) -> None:
        self._instances, self._terms = instances, terms
        self._clock = clock
        self._on_rewind = on_rewind
        self._instance: Instance | None = None
        self._offered: Mapping[str, Mapping[str, object]] = {}
        """What was withdrawn."""

    @property
    def instance(self) -> Instance:
        """This process, as the store knows it now; its serial changes where it had to be registered anew.

        Raises:
            ConfigurationError: the node is not open.
        """
        if self._instance is None:
            raise ConfigurationError("this node is not open; use `async with goconductor.connect(...)` or await node.open()")
        return self._instance

    async def open(self, participant: str, name: str, facts: Mapping[str, Mapping[str, object]]) -> None:
        """Register, however often the store goes away meanwhile."""

        async def register() -> Instance:
            self._clock.observe(await self._terms.database_time())
            return await self._instances.register(participant, name, facts, features=sorted(KNOWN), on_rewind=self._rewound)

        self._instance = await answered(register, self._clock, before="this node was registered")

    async def withdraw(self, steps: Mapping[str, Mapping[str, object]]) -> bool:
        """Offer no steps any more, since this process leaves. Once it has left it is told again what it had offered, for whoever
        asks which participants there are, though nobody of theirs lives.

        Args:
            steps: those that it has offered.

        Returns:
            whether another one may still hand us something, as it does not know that yet.
        """
        instance = self._instance
        if instance is None or not steps:
            return False
        self._offered = steps
        try:
            await self._instances.offer(instance.serial, {})
            others = await self._instances.registered(instance.participant)
        except GoConductorError as error:  # whatever it is, it is no reason to leave in another way
            logger.debug("begins to leave without a word: %s", error)
            return False
        offered = replace(instance, steps={name: dict(about) for name, about in steps.items()})
        return any(hands_over(each, offered) for each in others)

    async def close(self, *, left: str) -> None:
        """Leave; with something left behind only by the silence that follows, so that the leader sees to it.

        Args:
            left: what; empty if nothing is.
        """
        instance, self._instance = self._instance, None
        try:
            if instance is not None and not left:
                await self._instances.unregister(instance.serial)
                if self._offered:
                    await self._instances.offer(instance.serial, self._offered)
            elif instance is not None:
                logger.warning("left with %s: the leader will find this instance dead, and see to them", left)
        except GoConductorError as error:
            logger.warning("left without a word: %s", error)

    def _rewound(self, instance: Instance) -> None:
        self._instance = instance
        self._on_rewind()
