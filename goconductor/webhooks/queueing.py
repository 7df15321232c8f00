"""Along the order of all events: what an endpoint wants to know goes into its queue.

Deliveries and the place behind their events are written in one statement under the leader's epoch. So none is lost and none
comes twice into a queue, whoever leads and wherever a leader dies. After a failure the place is read anew: an answer may have
been lost, and then it has moved.

While there is no endpoint the events are passed over, unread. A new one is told what happened from its beginning on; its first
look may go back a few seconds, as times of events are those of whoever wrote them. Where nobody has led yet who follows the
events, the first registration notes the place (:func:`note_place`): the leader may come later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from goconductor.engine.node import Node
from goconductor.lifecycle.facts.status import ENDED
from goconductor.ports.store import FeedEntry, FeedPosition, NewDelivery, Store, WebhookRow
from goconductor.recovery.feed.cloud_events import Wish, encoded, message_name
from goconductor.recovery.feed.following import MEASURE_SECONDS, SLACK_SECONDS, Following
from goconductor.recovery.feed.telling import Told
from goconductor.webhooks.endpoint import STATUSES, Endpoint, State, read

NAME = "webhooks"
"""The name of its position."""
LIMIT = 100
"""Events of one page: each may go to every endpoint."""
EARLIER_SECONDS = 5.0
"""Seconds by which an event may be older than an endpoint that is told of it."""
_WISH = Wish()


async def note_place(store: Store) -> None:
    """Note where the events begin that are told to somebody who is registered now, unless the leader has come to some place.

    Raises:
        ConfigurationError: the order of events cannot be read; names the remedy.
        StoreUnavailableError: the store is away.
    """
    if await store.feed.position(NAME) is None:
        await store.feed.begin(NAME, await _from_now(store))


async def _from_now(store: Store) -> FeedPosition:
    """Return the place behind all that has happened."""
    await store.feed.check()
    at = await store.terms.database_time()
    return FeedPosition(cursor=await store.feed.end(), reached_at=at - SLACK_SECONDS)


class _Wanting(NamedTuple):
    row: WebhookRow
    endpoint: Endpoint


class Queueing(Following):
    """Fills the queues beside the sweep.

    Args:
        node: the engine of this process.
        on_queued: called when something was queued.
        limit: events of one page.
    """

    def __init__(self, node: Node, *, on_queued: Callable[[], None] = lambda: None, limit: int = LIMIT) -> None:
        super().__init__(node, NAME, "told to webhooks", limit=limit)
        self._on_queued = on_queued
        self._passed_at: float | None = None
        self._is_idle = True

    async def follow_once(self, epoch: int) -> tuple[int, bool]:
        """Take one page; while there are no endpoints, pass over what there is. See :meth:`Following.follow_once`."""
        if self._is_idle and not await self._wanting():
            await self._pass_over(epoch)
            return 0, False
        if self._is_idle:
            self._is_idle, self._position = False, None
        try:
            return await super().follow_once(epoch)
        except BaseException:
            self._position = None  # the answer may have been lost, and not the statement
            raise

    async def take(self, entries: Sequence[FeedEntry], moved: FeedPosition, epoch: int) -> None:
        """Queue what is wanted of some events. Endpoints are read after these: each that was there before them is among them."""
        wanting = await self._wanting()
        self._is_idle = not wanting
        wanted = [each for each in entries if any(one.endpoint.wants(each.saga) for one in wanting)]
        told = [await self._with_end(each) for each in await self._teller.tell(wanted)]
        deliveries = [delivery for each in told for delivery in _deliveries(each, wanting)]
        await self._node.store.webhooks.queue(deliveries, NAME, moved, epoch=epoch)
        if deliveries:
            self._node.counts["webhooks_queued"] += len(deliveries)
            self._on_queued()

    def forget(self) -> None:
        """Keep nothing of what was read."""
        super().forget()
        self._passed_at, self._is_idle = None, True

    async def _wanting(self) -> list[_Wanting]:
        rows = await self._node.store.webhooks.all()
        every = [_Wanting(row, read(row.body)) for row in rows]
        return [each for each in every if each.endpoint.state is not State.GONE]

    async def _pass_over(self, epoch: int) -> None:
        """Move the place to the end now and then. The end is looked at first: who comes after that is told what follows it."""
        store, clock = self._node.store, self._node.clock
        now = clock.monotonic()
        if self._passed_at is not None and now - self._passed_at < MEASURE_SECONDS:
            return
        position = await _from_now(store)
        if not await self._wanting():
            await store.feed.keep(NAME, position, epoch=epoch)
            self._passed_at = now

    async def _with_end(self, told: Told) -> Told:
        """Add the end of a saga whose log this version cannot read: who wrote it has noted it in the head."""
        if told.status:
            return told
        head = await self._node.store.sagas.head(told.entry.saga_id)
        is_last = head is not None and head.seq == told.entry.entry.seq
        return replace(told, status=head.status) if head is not None and is_last and head.status in ENDED else told


def _deliveries(told: Told, wanting: Sequence[_Wanting]) -> list[NewDelivery]:
    """Return what is to be sent because of an event: the saga's new status, where it is one that is told."""
    entry, status = told.entry, told.status
    if status not in STATUSES or status == told.before:
        return []
    takers = [
        each.row.webhook_id
        for each in wanting
        if each.endpoint.takes(entry.saga, status) and entry.entry.at >= each.row.created_at - EARLIER_SECONDS
    ]
    if not takers:
        return []
    kind = f"saga.{status}"
    body, name = encoded(told, kind, _WISH).decode(), message_name(told, kind).replace(".", "_")  # it may have no full stop
    return [NewDelivery(webhook_id=each, message_id=name, body=body) for each in takers]
