"""Reads sagas as they are now: many at a time, and of each only what this process does not know."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from goconductor.engine.facts import log
from goconductor.engine.facts.definitions import Definitions
from goconductor.engine.facts.log import View
from goconductor.engine.log.batch import Batcher
from goconductor.errors import SagaNotFoundError
from goconductor.lifecycle.facts.state import SagaState
from goconductor.ports.store import Known, Log, Tail
from goconductor.saga.plan import Plan

LOOKS_AT_ONCE = 64
"""Greatest number of sagas read by one statement: they may be large."""


class Reader:
    """Reads sagas.

    Args:
        logs: the sagas' logs.
        definitions: compiled definitions.
        latest: answers what this process has appended to lately.
    """

    def __init__(self, logs: Log, definitions: Definitions, latest: Callable[[UUID], View | None]) -> None:
        self._definitions = definitions
        self._latest = latest
        self._tails: Batcher[Known, Tail] = Batcher(logs.read, items_max=LOOKS_AT_ONCE)

    async def look(self, saga_id: UUID, known: View | None = None) -> tuple[Plan, View]:
        """Return a saga's definition and its present state.

        Args:
            saga_id: which.
            known: a state from elsewhere, so that less of its log has to be read.

        Raises:
            SagaNotFoundError: there is no such saga.
        """
        seen = known or self._latest(saga_id)
        tail = await self._tails.submit(seen.known if seen is not None else Known(saga_id))
        if tail.head is None:
            raise SagaNotFoundError(f"there is no saga {saga_id}")
        plan = await self._definitions.plan(tail.head.saga, tail.head.version)
        view = log.brought_up(plan, seen, saga_id, tail)
        assert view is not None  # noqa: S101  (it has a head)
        return plan, view

    async def plan_of(self, state: SagaState) -> Plan:
        """Return the definition that a saga runs by.

        Raises:
            SagaNotFoundError: there is no such saga any more, and the definition has to be read.
        """
        return self._definitions.at_hand(state.version) or (await self.look(state.saga_id))[0]

    async def close(self) -> None:
        """Wait for what is in flight."""
        await self._tails.close()
