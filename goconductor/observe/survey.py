"""What only the database and the bus know, asked by the leader alone.

How many sagas are stuck stands in no index, since an index on the status would cost every append (see the store's tables). So
the leader *walks* the sagas in the order of their ids, one page at each look, and tells of the last walk that came to its end:
a million sagas take a quarter of an hour. That a saga has become stuck is told at once by ``goconductor_sagas_halted_total`` of
whoever appended it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from goconductor.aio.reminders import Reminder
from goconductor.aio.tasks import create_guarded_task, end
from goconductor.errors import GoConductorError
from goconductor.messages.topics import steps_topic
from goconductor.ports.figures import Lag, MeasuredBus, MeasuredStore, StoreFigures
from goconductor.redaction import logger_of

if TYPE_CHECKING:
    from goconductor.engine.node import Node
    from goconductor.recovery.leadership import LeadTerm
    from goconductor.recovery.resent import Owner

logger = logger_of("goconductor.observe")

INTERVAL_SECONDS = 15.0
PAGE = 20_000
"""Sagas that are counted at each look: 15 to 30 ms of the database."""


class Survey:
    """The leader's figures.

    Args:
        node: whose store and bus are asked.
        interval_seconds: how often.
        page: how many sagas are counted at each look.
        wanted: whether anybody measures; else nothing is asked.
        waiting: how many wait for each step that was sent again.
    """

    def __init__(
        self,
        node: Node,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        page: int = PAGE,
        wanted: Callable[[], bool] = lambda: True,
        waiting: Callable[[], Mapping[Owner, int]] = dict,
    ) -> None:
        self._wanted = wanted
        self._waiting = waiting
        self._node = node
        self._interval_seconds = interval_seconds
        self._page = page
        self._looking: asyncio.Task[None] | None = None
        self._walk: Counter[str] = Counter()
        self._after: UUID | None = None
        self._walk_began = 0.0
        self.epoch = 0
        """The term that this process leads; 0 if it does not."""
        self.figures: StoreFigures | None = None
        self.lags: dict[str, Lag] = {}
        self.unoffered: dict[Owner, int] = {}
        """How many sagas wait for each step that no living instance offers."""
        self.sagas: dict[str, int] | None = None
        """Sagas by status, of the last walk that came to its end."""
        self._oldest: UUID | None = None
        self.oldest_seconds = 0.0
        """For how long the oldest saga that has not ended is on its way, paused and stuck ones as well."""
        self.walk_seconds = 0.0
        """How long that walk took: so old its figures may be."""

    def led(self, term: LeadTerm | None) -> None:
        """This process begins to lead, or has stopped: then it knows nothing any more."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self.epoch = term.epoch if term is not None else 0
        self.figures, self.lags, self.sagas, self.unoffered = None, {}, None, {}
        self._walk, self._after = Counter(), None
        if term is not None:
            self._looking = create_guarded_task(self._look_on(), name="survey")

    async def close(self) -> None:
        """Look no more."""
        looking = self._looking
        self.led(None)
        await end(looking)

    async def _look_on(self) -> None:
        trouble = Reminder(monotonic=self._node.clock.monotonic)
        while True:
            try:
                if self._wanted():
                    await self.look()
                    trouble.end()
            except GoConductorError as error:
                if trouble.is_due():
                    logger.warning("the leader's figures could not be had: %s", error)
            except Exception:
                if trouble.is_due():
                    logger.exception("the leader's figures could not be had")
            await self._node.clock.sleep(self._interval_seconds)

    async def look(self) -> None:
        """Ask once.

        Raises:
            StoreUnavailableError, BusUnavailableError: as the leaves say.
        """
        store, bus = self._node.store, self._node.bus
        await self._look_for_code()
        if not isinstance(store, MeasuredStore):
            return
        self.figures = await store.figures()
        if self._after is None:
            self._walk.clear()
            self._oldest = None
            self._walk_began = self._node.clock.monotonic()
        census = await store.census(self._after, self._page)
        self._walk.update(census.statuses)
        self._after = census.after
        self._oldest = self._oldest or census.oldest
        if census.after is None:
            began = self._node.clock.now() if self._oldest is None else (self._oldest.int >> 80) / 1000  # as UUIDv7 has it
            self.oldest_seconds = max(0.0, self._node.clock.now() - began)
            self.sagas = dict(self._walk)
            self.walk_seconds = self._node.clock.monotonic() - self._walk_began
        if isinstance(bus, MeasuredBus):
            names = self.figures.participants
            lags = {name: await bus.lag(steps_topic(name), name) for name in names}
            self.lags = {name: lag for name, lag in lags.items() if lag is not None}

    async def _look_for_code(self) -> None:
        """Ask who offers what was sent again in vain; where nothing was, nobody is asked."""
        waiting = self._waiting()
        offered: set[Owner] = set()
        for participant in sorted({participant for participant, _ in waiting}):
            instances = await self._node.store.instances(participant)
            offered |= {(participant, step) for each in instances if each.dead_at is None for step in each.steps}
        self.unoffered = {owner: number for owner, number in waiting.items() if owner not in offered}
