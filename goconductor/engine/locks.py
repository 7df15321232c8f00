"""Locks: the table of locks is made to agree with a saga's log, and the log gets what the table has decided.

The table sees all sagas, and each log only one. They must agree on one thing: a saga holds a key, or waits for it, exactly
where its state wishes it. So there is one act for everything, a *look* at one saga. It asks for the keys that its steps wish,
withdraws wishes that they no longer have, and gives up all keys at the saga's end. Keys that it was given are an event of the
saga. The process that appends a change of a saga's wishes looks. Any other process may look as well, and twice does no harm.

- A key that is free is taken in the transaction that asks. If the process dies before the event is appended, the next look
  finds that the saga holds the key, and says the same.
- Otherwise the place in the queue is committed first. Then, in another transaction, it is looked at again: the holder may
  have ended in between, and the process that ended it did not see the place.
- A look says which other sagas may take a key now, and these are looked at as well. The reason does not matter: a holder has
  ended, a place was withdrawn, a sharer came, or some process failed to wake them.
- A saga that begins to wait, or is the first in a queue, looks for a *circle* of sagas that wait for one another. Each circle
  has a saga whose place came last, and its look sees the whole circle. A place may be one that its saga no longer wishes, so
  each log of the circle is read. If all of them wait, one saga gives way: its event is appended only if no head of the circle
  has moved meanwhile, so no saga gives way for a circle that is gone.

The sweep is the safety net: it looks at each saga that waits, at growing intervals. No key has to be freed: a look at a key
finds that its holder has ended.

The protocol is searched in models (``tests/protocol/trees``). The rules of a queue are in
:mod:`goconductor.ports.store.log.queues`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from functools import partial
from typing import Any
from uuid import UUID

from goconductor.aio.tasks import Tasks
from goconductor.engine.facts.log import View
from goconductor.engine.log.append import Appender
from goconductor.engine.log.folding import Expected, Submission
from goconductor.engine.log.reader import Reader
from goconductor.errors import GoConductorError, SagaChangedError, SagaNotFoundError
from goconductor.lifecycle.facts.events import DeadlockFound, LocksGranted
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.pending_work import wishes_of
from goconductor.ports.store import Known, Looked
from goconductor.ports.store import Locks as Table
from goconductor.ports.store.log import queues
from goconductor.redaction import logger_of
from goconductor.saga.plan import Plan

logger = logger_of("goconductor.engine")

LAST_WORDS_SECONDS = 5.0
"""Seconds that a process which leaves gives to what is in flight."""
SEARCHES_MAX = 10
"""Times that one look reads the circle anew, where its sagas move meanwhile; after that it is left to a later look."""


class Locks:
    """Sees to the locks of sagas.

    Args:
        table: has them.
        reader: reads sagas.
        appender: brings events into the log.
    """

    def __init__(self, table: Table, reader: Reader, appender: Appender) -> None:
        self._table = table
        self._reader = reader
        self._appender = appender
        self._looking: set[UUID] = set()
        self._again: set[UUID] = set()
        self._tasks = Tasks()
        self._closed = False

    def see_to(self, plan: Plan, view: View) -> None:
        """Look at a saga's locks, in the background. What fails here the sweep finds.

        Args:
            plan: the saga's.
            view: its state, which has changed or has waited for long.
        """
        if plan.locks:
            self._begin(view.state.saga_id, view)

    async def close(self) -> None:
        """Give some seconds to what is in flight, and end the rest, which can be done again by anybody."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._tasks.join(), LAST_WORDS_SECONDS)
        self._closed = True
        await self._tasks.close()

    def _begin(self, saga_id: UUID, view: View | None = None) -> None:
        if self._closed:
            return
        if saga_id in self._looking:
            self._again.add(saga_id)
            return
        self._looking.add(saga_id)
        self._tasks.start(self._until_agreed(saga_id, view), name=f"locks of {saga_id}")

    async def _until_agreed(self, saga_id: UUID, view: View | None) -> None:
        try:
            while True:
                self._again.discard(saga_id)
                looked = await self._look(saga_id, view)
                if looked.waits and (looked.is_new or looked.is_first):
                    await self._search(saga_id)
                if saga_id not in self._again:
                    return
                view = None
        except GoConductorError as error:
            self._again.discard(saga_id)
            logger.warning("the locks of saga %s are seen to later: %s", saga_id, error, extra={"saga_id": str(saga_id)})
        finally:  # with no await since the last look at who asked again
            self._looking.discard(saga_id)

    async def _look(self, saga_id: UUID, view: View | None = None) -> Looked:
        """Make the table agree with a saga's state, and tell its log what it was given."""
        if view is None:
            try:
                view = (await self._reader.look(saga_id))[1]
            except SagaNotFoundError:
                return await self._asked(partial(self._table.look, saga_id, [], ended=True))
        state = view.state
        if state.phase.ended:
            return await self._asked(partial(self._table.look, saga_id, [], ended=True))
        wishes = [each for each in wishes_of(state).values() if each]
        look = partial(self._table.look, saga_id, wishes, takes=not state.paused)
        looked = await self._asked(look)
        if looked.is_new:
            later = await self._asked(look)
            looked = Looked(held=looked.held | later.held, waits=later.waits, is_new=True, is_first=later.is_first)
        if looked.held:
            await self._appender.submit(Submission(saga_id, None, LocksGranted(keys=looked.held)))
        return looked

    async def _asked(self, look: partial[Coroutine[Any, Any, Looked]]) -> Looked:
        """Look, and wake those who may take a key now."""
        looked = await look()
        for saga_id in looked.wake:
            self._begin(saga_id)
        return looked

    async def _search(self, saga_id: UUID) -> None:
        """Look for a circle that a saga waits in, and have one of its sagas give way."""
        for _ in range(SEARCHES_MAX):
            circle = queues.circle(await self._table.circle(saga_id))
            if circle is None:
                return
            waiting = {one: await self._reader.look(one) for one in circle.heads}
            moved = [one for one, (_, view) in waiting.items() if (view.seq, view.tag) != circle.heads[one]]
            stale = [one for one, (_, view) in waiting.items() if not _wishes(view.state) >= set(circle.places[one])]
            for one in stale:
                await self._look(one, waiting[one][1])
            if moved or stale:
                continue
            plan, view = waiting[circle.victim]
            gives_way = Submission(
                circle.victim,
                plan,
                DeadlockFound(reason=_spelt(circle)),
                view=view,
                expected=Expected(view.seq, view.tag),
                alone=True,
                unchanged=tuple(Known(one, *head) for one, head in circle.heads.items()),
            )
            try:
                await self._appender.submit(gives_way)
            except SagaChangedError:
                continue
            return


def _wishes(state: SagaState) -> set[str]:
    return {wish.key for wishes in wishes_of(state).values() for wish in wishes}


def _spelt(circle: queues.Circle) -> str:
    """Return a circle in words, as its victim sees it."""
    waits, parts = "this saga", list[str]()
    for edge in circle.way:
        other = "this saga" if edge.to == circle.victim else f"saga {edge.to}"
        what = f"which {other} holds" if edge.holds else f"for which {other} stands before it"
        parts.append(f"{waits} waits for lock {edge.key!r}, {what}")
        waits = other
    return f"it waits in a circle: {'; '.join(parts)}"
