"""Follows a choice (:mod:`goconductor.ports.store.leading.choices`) for one process, and reports how far the process is.

It looks once a second, on a connection that no running saga uses. A process that names one bus can follow no change; it looks
seldom, only to notice that it was left behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from goconductor.aio.tasks import create_guarded_task, end
from goconductor.errors import ConfigurationError, StoreError
from goconductor.ports.clock import Clock
from goconductor.ports.store.leading.choices import Choice, Choices, Phase, Report
from goconductor.redaction import logger_of

logger = logger_of("goconductor.switchover")

LOOK_SECONDS = 1.0
"""Seconds between two looks at the choice in the store."""
SELDOM_SECONDS = 5.0
"""The same where nothing can be followed."""


class Follower:
    """Follows one choice.

    Args:
        kind: of what: ``bus`` or ``election``.
        names: those that the settings name, their own first.
        choices: where the choice is kept.
        instance: this process's serial, once it is registered.
        clock: for the pauses.
        strict: whether this process is of no use without the chosen one. A client is: what it sends is sent again by the sweep.

    Attributes:
        choice: what is chosen, as of the last look.
        problem: what is in the way of following it; empty when nothing is.
    """

    def __init__(
        self, kind: str, names: Sequence[str], *, choices: Choices, instance: Callable[[], int], clock: Clock, strict: bool
    ) -> None:
        self.choice = Choice(kind=kind, chosen=names[0])
        self.problem = ""
        self._kind = kind
        self._names = list(names)
        self._choices = choices
        self._instance = instance
        self._clock = clock
        self._strict = strict
        self._reported: Report | None = None
        self._reported_as = 0
        """The serial of that report: a failover may lose a registration with all its reports."""
        self._looking: asyncio.Task[None] | None = None

    @property
    def left_behind(self) -> bool:
        """Whether what is chosen now is nothing that the settings name."""
        return self.choice.chosen not in self._names

    def names(self, name: str) -> bool:
        """Return whether the settings name it."""
        return name in self._names

    async def begin(self) -> None:
        """Look for the first time.

        Raises:
            ConfigurationError: the settings do not name what is chosen.
            StoreError: the store is away.
        """
        await self._look()
        if not self.names(self.choice.chosen):
            problem = (
                f"the {self._kind} {self.choice.chosen!r} is used here since a change of it, and these settings do not name it; "
                f"add it to {self._kind}.others, or change back by `goconductor {self._kind} migrate`"
            )
            if self._strict:
                raise ConfigurationError(problem)
            logger.warning("%s", problem)

    def follow(self, arrive: Callable[[Choice], Awaitable[Report]]) -> None:
        """Begin to follow the choice.

        Args:
            arrive: called after each look, the first included. It follows the choice as far as it can, and reports how far.
        """
        if self._looking is None:
            self._looking = create_guarded_task(self._follow(arrive), name=f"following the {self._kind}")

    async def close(self) -> None:
        """Look no more."""
        looking, self._looking = self._looking, None
        await end(looking)

    def report(self, uses: str, *, problem: str, quiet: bool) -> Report:
        """Return the report on a look: with a problem, it goes no further than the report before."""
        before = self._reported.number if self._reported is not None else -1
        number = before if problem else self.choice.number
        return Report(names=self._names, uses=uses, number=number, problem=problem, quiet=quiet)

    async def _follow(self, arrive: Callable[[Choice], Awaitable[Report]]) -> None:
        while True:
            await self._tried(partial(self._arrive, arrive))
            nothing_to_follow = len(self._names) == 1 and self.choice.phase is Phase.SETTLED
            await self._clock.sleep(SELDOM_SECONDS if nothing_to_follow else LOOK_SECONDS)
            await self._tried(self._look)

    async def _tried(self, do: Callable[[], Awaitable[None]]) -> None:
        """Do a part of a look. Whatever it raises, the next look comes."""
        try:
            await do()
        except StoreError as error:
            logger.debug("cannot look which %s is used: %s", self._kind, error)
        except Exception:
            logger.exception("following the change of the %s failed, it is tried again", self._kind)

    async def _arrive(self, arrive: Callable[[Choice], Awaitable[Report]]) -> None:
        report = await arrive(self.choice)
        if report.problem and report.problem != self.problem:
            logger.warning("cannot follow the change of the %s yet: %s", self._kind, report.problem)
        self.problem = report.problem
        serial = self._instance()
        if (report, serial) != (self._reported, self._reported_as) and await self._choices.report(serial, self._kind, report):
            self._reported, self._reported_as = report, serial

    async def _look(self) -> None:
        found = await self._choices.current(self._kind) or Choice(kind=self._kind, chosen=self._names[0])
        if found.number != self.choice.number:
            self.choice = found
            beside = f", {found.beside!r} beside it" if found.beside else ""
            logger.info("the %s: %r%s, %s (change %d)", self._kind, found.chosen, beside, found.phase, found.number)
