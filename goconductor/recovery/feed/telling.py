"""What an event did to its saga: the status that people saw before it, and after it.

An event of the log does not say that its saga has ended by it; the fold of the log does. So the events before are folded, of each
saga once: a saga whose last events came a moment ago is still at hand.

Events that this version cannot read (a newer instance wrote them) are told as well, without a status.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from uuid import UUID

import msgspec

from goconductor.aio.recent import RecentByWeight
from goconductor.engine.facts import log
from goconductor.engine.node import Node
from goconductor.errors import GoConductorError, StoreUnavailableError
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.replay import extend, replay
from goconductor.ports.store import FeedEntry, Known, LogEntry
from goconductor.redaction import logger_of
from goconductor.saga.plan import Plan

logger = logger_of("goconductor.recovery")

KEPT_MAX = 20_000
"""Number of sagas that are kept at hand."""
KEPT_BYTES = 32 * 1024 * 1024
"""Bytes of the events of these sagas."""
LOGS_AT_ONCE = 64
"""Number of logs that are read at a time."""


class Told(msgspec.Struct, frozen=True):
    """An event with what it did.

    Args:
        entry: the event.
        before: the saga's status before; empty before its start, and where it is not known.
        status: the status after it; empty where it is not known.
    """

    entry: FeedEntry
    before: str = ""
    status: str = ""


class _Kept(msgspec.Struct):
    """A saga up to a seq."""

    seq: int
    tag: int
    state: SagaState
    bytes: int


class Teller:
    """Folds sagas along the order of all events.

    Args:
        node: its definitions and store are read.
        bytes_max: bytes of events whose sagas are kept at hand.
    """

    def __init__(self, node: Node, *, bytes_max: int = KEPT_BYTES) -> None:
        self._node = node
        self._kept: RecentByWeight[UUID, _Kept] = RecentByWeight(count_max=KEPT_MAX, weight_max=bytes_max)

    async def tell(self, entries: Sequence[FeedEntry]) -> list[Told]:
        """Return the events with what each did, in their order.

        Raises:
            StoreUnavailableError: the store is away.
        """
        by_saga: dict[UUID, list[FeedEntry]] = defaultdict(list)
        for each in entries:
            by_saga[each.saga_id].append(each)
        logs = await self._logs([own[0] for own in by_saga.values() if not self._follows(own[0])])
        told: dict[str, Told] = {}
        for saga_id, own in by_saga.items():
            try:
                plan = await self._node.definitions.plan(own[0].saga, own[-1].version)
                for one in self._of_saga(plan, own, logs.get(saga_id)):  # what is before an event that cannot be read is told
                    told[one.entry.cursor] = one
            except StoreUnavailableError:
                raise
            except GoConductorError as error:
                logger.debug("the status of saga %s is not told: %s", saga_id, error)
                self._kept.pop(saga_id)
        return [told.get(each.cursor, Told(each)) for each in entries]

    def forget(self) -> None:
        """Keep nothing: the log may be another one."""
        self._kept.clear()

    def _follows(self, first: FeedEntry) -> bool:
        """Return whether all that is before this event is at hand."""
        kept = self._kept.get(first.saga_id)
        return first.entry.seq == 1 or (kept is not None and kept.seq == first.entry.seq - 1)

    async def _logs(self, firsts: Sequence[FeedEntry]) -> dict[UUID, list[LogEntry]]:
        """Read the whole logs of sagas, as far as they are there."""
        found: dict[UUID, list[LogEntry]] = {}
        for begin in range(0, len(firsts), LOGS_AT_ONCE):
            wanted = [first.saga_id for first in firsts[begin : begin + LOGS_AT_ONCE]]
            tails = await self._node.store.log.read([Known(saga_id) for saga_id in wanted])
            found |= {saga_id: tail.entries for saga_id, tail in zip(wanted, tails, strict=True)}
        return found

    def _of_saga(self, plan: Plan, own: Sequence[FeedEntry], read: list[LogEntry] | None) -> Iterator[Told]:
        saga_id, first = own[0].saga_id, own[0].entry
        kept = self._kept.get(saga_id) if read is None and first.seq > 1 else None
        earlier = [] if read is None else [each for each in read if each.seq < first.seq]
        state = kept.state if kept is not None else None
        size = kept.bytes if kept is not None else 0
        if earlier:
            state = replay(plan, saga_id, map(log.event, earlier))
            size = sum(len(each.data) for each in earlier)
        for each in own:
            before = "" if state is None else state.status.value
            event = log.event(each.entry)
            state = replay(plan, saga_id, [event]) if state is None else extend(plan, state, [event])
            size += len(each.entry.data)
            yield Told(each, before, state.status.value)
        last = own[-1].entry
        if state is None or state.unkept or state.phase.ended:
            self._kept.pop(saga_id)
        else:
            self._kept.put(saga_id, _Kept(last.seq, last.tag, state, size), size)
