"""The webhooks of a store in memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from msgspec.structs import replace

from goconductor.ports.bus_metrics import COUNTED_MAX
from goconductor.ports.store import Attempted, Delivery, FeedPosition, NewDelivery, WebhookQueue, WebhookRow
from goconductor.stores.memory.data import Data


class MemoryWebhooks:
    """Endpoints and deliveries by their numbers."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def create(self, namespace: str, name: str, *, tag: int, body: str, at_most: int) -> WebhookRow | None:
        if len(self._data.webhooks) >= at_most or await self.get(namespace, name) is not None:
            return None
        row = WebhookRow(
            webhook_id=next(self._data.webhook_numbers),
            namespace=namespace,
            name=name,
            tag=tag,
            body=body,
            created_at=self._data.now(),
        )
        self._data.webhooks[row.webhook_id] = row
        self._data.note_request()
        return row

    async def replace(self, webhook_id: int, *, tag: int, new_tag: int, body: str) -> bool:
        row = self._data.webhooks.get(webhook_id)
        if row is None or row.tag != tag:
            return False
        self._data.webhooks[webhook_id] = replace(row, tag=new_tag, body=body)
        self._data.note_request()
        return True

    async def note(self, webhook_id: int, *, tag: int, new_tag: int, body: str, epoch: int) -> bool:
        self._data.fence(epoch)
        return await self.replace(webhook_id, tag=tag, new_tag=new_tag, body=body)

    async def delete(self, webhook_id: int, *, tag: int) -> bool:
        row = self._data.webhooks.get(webhook_id)
        if row is None or row.tag != tag:
            return False
        del self._data.webhooks[webhook_id]
        for each in [each for each in self._data.deliveries.values() if each.webhook_id == webhook_id]:
            del self._data.deliveries[each.delivery_id]
        self._data.note_request()
        return True

    async def get(self, namespace: str, name: str) -> WebhookRow | None:
        rows = self._data.webhooks.values()
        return next((row for row in rows if (row.namespace, row.name) == (namespace, name)), None)

    async def page(self, namespace: str, *, after: str = "", limit: int) -> list[WebhookRow]:
        return [row for row in await self.all() if row.namespace == namespace and row.name > after][:limit]

    async def all(self) -> list[WebhookRow]:
        return sorted(self._data.webhooks.values(), key=lambda row: (row.namespace, row.name))

    async def queue(self, deliveries: Sequence[NewDelivery], reader: str, position: FeedPosition, *, epoch: int) -> None:
        self._data.fence(epoch)
        for each in deliveries:
            self._add(each)
        self._data.feeds[reader] = position

    async def add(self, delivery: NewDelivery) -> bool:
        if is_there := self._add(delivery):
            self._data.note_request()
        return is_there

    async def due(self, rooms: Sequence[tuple[int, int]], *, but: Sequence[int]) -> list[Delivery]:
        now, found = self._data.now(), []
        for webhook_id, room in rooms:
            waiting = [each for each in self._of(webhook_id) if each.due_at is not None and each.due_at <= now]
            first = sorted(waiting, key=lambda each: (each.due_at, each.delivery_id))
            found += [each for each in first if each.delivery_id not in but][:room]
        return found

    async def settle(self, attempts: Sequence[Attempted], *, epoch: int) -> None:
        self._data.fence(epoch)
        now = self._data.now()
        for each in attempts:
            if (kept := self._data.deliveries.get(each.delivery_id)) is None:
                pass
            elif each.delivered:
                del self._data.deliveries[each.delivery_id]
            else:
                due_at = None if each.pause_seconds is None else now + each.pause_seconds
                self._data.deliveries[each.delivery_id] = replace(
                    kept, attempts=kept.attempts + 1, due_at=due_at, problem=each.problem
                )
        for webhook_id in {each.webhook_id for each in attempts} & self._data.webhooks.keys():
            self._count(webhook_id, [each for each in attempts if each.webhook_id == webhook_id], now)

    async def letters(self, webhook_id: int, *, after: int = 0, limit: int) -> list[Delivery]:
        found = (each for each in self._of(webhook_id) if each.due_at is None and each.delivery_id > after)
        return list(islice(found, limit))

    async def redrive(self, webhook_id: int, delivery_id: int | None = None, *, limit: int) -> int:
        now = self._data.now()
        later = [each for each in self._of(webhook_id) if each.due_at is None or each.due_at > now]
        found = [each for each in later if delivery_id in (None, each.delivery_id)][:limit]
        for each in found:
            self._data.deliveries[each.delivery_id] = replace(each, attempts=0, due_at=now)
        if found:
            self._data.note_request()
        return len(found)

    async def queues(self, webhook_ids: Sequence[int]) -> list[WebhookQueue]:
        now, found = self._data.now(), []
        for webhook_id in webhook_ids:
            every = self._of(webhook_id)
            waiting = [each for each in every if each.due_at is not None]
            found.append(
                WebhookQueue(
                    webhook_id=webhook_id,
                    waiting=min(len(waiting), COUNTED_MAX),
                    oldest_seconds=max((now - each.created_at for each in waiting), default=0.0),
                    dead=min(len(every) - len(waiting), COUNTED_MAX),
                )
            )
        return found

    async def expire(self, seconds: float, *, limit: int, epoch: int) -> int:
        self._data.fence(epoch)
        before = self._data.now() - seconds
        old = [each.delivery_id for each in self._data.deliveries.values() if each.created_at < before][:limit]
        for delivery_id in old:
            del self._data.deliveries[delivery_id]
        return len(old)

    def _of(self, webhook_id: int) -> list[Delivery]:
        return [each for each in self._data.deliveries.values() if each.webhook_id == webhook_id]

    def _add(self, delivery: NewDelivery) -> bool:
        if delivery.webhook_id not in self._data.webhooks:
            return False
        now, number = self._data.now(), next(self._data.delivery_numbers)
        self._data.deliveries[number] = Delivery(
            webhook_id=delivery.webhook_id,
            message_id=delivery.message_id,
            body=delivery.body,
            delivery_id=number,
            created_at=now,
            attempts=0,
            due_at=now,
            problem="",
        )
        return True

    def _count(self, webhook_id: int, attempts: Sequence[Attempted], now: float) -> None:
        row, taken = self._data.webhooks[webhook_id], sum(each.delivered for each in attempts)
        self._data.webhooks[webhook_id] = replace(
            row,
            delivered=row.delivered + taken,
            failed=row.failed + len(attempts) - taken,
            delivered_at=now if taken else row.delivered_at,
            failing_since=None if taken else row.failing_since or now,
            problem="" if taken else max(each.problem for each in attempts),
        )
