"""Reads sagas as they are now: many at a time, and of each only what this process does not know."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from goconductor.engine.facts import log
from goconductor.engine.facts.definitions import Definitions
from goconductor.engine.facts.log import View
from goconductor.engine.log.batch import Batcher
from goconductor.engine.log.outbox import Outbox
from goconductor.errors import GoConductorError, SagaNotFoundError, StoreUnavailableError
from goconductor.lifecycle.facts.effects import SetTimer
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.pending_work import is_pending, is_superseded, pending_work
from goconductor.ports.store import Known, LeaseKey, Log, Tail
from goconductor.saga.ids import Direction
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


async def send_again(reader: Reader, outbox: Outbox, key: LeaseKey) -> bool:
    """Send the message of a piece of work again; return False where nobody wants it any more.

    Args:
        reader: looks at its saga.
        outbox: sends the message.
        key: which work.
    """
    try:
        plan, view = await reader.look(key.saga_id)
    except SagaNotFoundError:
        return False
    except StoreUnavailableError:
        raise
    except GoConductorError:  # instances of another version can read it
        return True
    for work in pending_work(view.state.steps):
        if isinstance(work, SetTimer) or (work.step, work.direction, work.round) != (key.step, key.direction, key.round):
            continue
        overtaken = work.direction is Direction.ACTION and is_superseded(view.state, work.step, work.attempt, work.round)
        if overtaken or is_pending(view.state, work.step, work.direction, work.attempt, work.round):
            outbox.work(plan, view, [work])
            return True
    return False
