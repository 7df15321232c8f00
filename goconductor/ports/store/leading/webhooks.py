"""Webhooks: endpoints to which the ends of sagas are told, each with a queue of its own.

What an endpoint is stands in its ``body``, which the store does not read. Beside it the store counts what became of deliveries.
A delivery that is due at no moment is a *dead letter*: it stays until somebody sends it again, or it is too old.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from goconductor.ports.store.leading.feed import FeedPosition


class WebhookRow(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint.

    Args:
        webhook_id: its number; one that is made anew under the same name has another.
        namespace: its namespace.
        name: its name, one in its namespace.
        tag: a random number, another with each change.
        body: what it is, as JSON text.
        created_at: when it was made, by the database's clock.
        delivered: number of deliveries that it has taken.
        failed: number of attempts that failed.
        delivered_at: when it took the last; None is never.
        failing_since: when the first attempt failed after which none succeeded; None where the last one succeeded.
        problem: why the last attempt failed; empty where it succeeded.
    """

    webhook_id: int
    namespace: str
    name: str
    tag: int
    body: str
    created_at: float
    delivered: int = 0
    failed: int = 0
    delivered_at: float | None = None
    failing_since: float | None = None
    problem: str = ""


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be sent to an endpoint.

    Args:
        webhook_id: the endpoint.
        message_id: what a receiver knows a repetition by.
        body: what is sent, as text.
    """

    webhook_id: int
    message_id: str
    body: str


class Delivery(NewDelivery, frozen=True, kw_only=True):
    """One that is kept.

    Args:
        delivery_id: its number.
        created_at: when it was queued, by the database's clock.
        attempts: number of attempts that failed.
        due_at: when the next attempt is due; None is a dead letter.
        problem: why the last attempt failed.
    """

    delivery_id: int
    created_at: float
    attempts: int
    due_at: float | None
    problem: str


class Attempted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an attempt.

    Args:
        delivery_id: the delivery.
        webhook_id: its endpoint.
        delivered: whether it was taken.
        pause_seconds: seconds until the next attempt; None makes it a dead letter.
        problem: why it failed.
    """

    delivery_id: int
    webhook_id: int
    delivered: bool
    pause_seconds: float | None = None
    problem: str = ""


class WebhookQueue(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint still has to get.

    Args:
        webhook_id: the endpoint.
        waiting: number of deliveries that wait, at most :data:`~goconductor.ports.bus_metrics.COUNTED_MAX`.
        oldest_seconds: age of the oldest of these.
        dead: number of dead letters, counted in the same way.
    """

    webhook_id: int
    waiting: int = 0
    oldest_seconds: float = 0.0
    dead: int = 0


class Webhooks(Protocol):
    """The endpoints and their queues.

    32. **Create** keeps an endpoint unless there is one of its name, or as many as ``at_most``; then it returns None. **Replace**
        changes the one with that tag, and no other. **Delete** removes the one with that tag, and its queue. **Note** is a
        replacement by the leader, under its epoch (:class:`FencedError`). **Get**, **page** and **all** read, in the order of
        the names.
    33. **Queue** adds deliveries and moves the position of the feed's reader of that name, both or neither, under the epoch.
        Those of endpoints that are gone are left out. **Add** adds one, for somebody who asks.
    34. **Due** has of each endpoint the first deliveries whose moment has come, at most as many as its room, without those
        ``but``. **Settle** takes what became of attempts, under the epoch: what was taken is removed.
    35. **Letters** reads dead letters in the order of their numbers. **Redrive** makes due at once, with all attempts before
        them, what is dead or waits for a later moment: one of these, or the first ``limit``; it returns how many.
    36. **Queues** counts what waits. **Expire** removes, under the epoch, what was queued longer ago than some seconds, dead or
        not, at most ``limit``; it returns how many.
    """

    async def create(self, namespace: str, name: str, *, tag: int, body: str, at_most: int) -> WebhookRow | None: ...
    async def replace(self, webhook_id: int, *, tag: int, new_tag: int, body: str) -> bool: ...
    async def note(self, webhook_id: int, *, tag: int, new_tag: int, body: str, epoch: int) -> bool: ...
    async def delete(self, webhook_id: int, *, tag: int) -> bool: ...
    async def get(self, namespace: str, name: str) -> WebhookRow | None: ...
    async def page(self, namespace: str, *, after: str = "", limit: int) -> list[WebhookRow]: ...
    async def all(self) -> list[WebhookRow]: ...
    async def queue(self, deliveries: Sequence[NewDelivery], reader: str, position: FeedPosition, *, epoch: int) -> None: ...
    async def add(self, delivery: NewDelivery) -> bool: ...
    async def due(self, rooms: Sequence[tuple[int, int]], *, but: Sequence[int]) -> list[Delivery]: ...
    async def settle(self, attempts: Sequence[Attempted], *, epoch: int) -> None: ...
    async def letters(self, webhook_id: int, *, after: int = 0, limit: int) -> list[Delivery]: ...
    async def redrive(self, webhook_id: int, delivery_id: int | None = None, *, limit: int) -> int: ...
    async def queues(self, webhook_ids: Sequence[int]) -> list[WebhookQueue]: ...
    async def expire(self, seconds: float, *, limit: int, epoch: int) -> int: ...
