# ruff: noqa: S101 - assertions are what a suite is made of
"""Webhooks: the duties of :class:`goconductor.ports.store.Webhooks`."""

from __future__ import annotations

import asyncio

import pytest

from goconductor.errors import FencedError
from goconductor.ports.store import Attempted, FeedPosition, NewDelivery, Store, WebhookRow
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.testing.contracts.store.material import StoreFixtures, lead, new_number

MANY = 1000
"""More endpoints than any test makes."""
READER = "webhooks of a test"
LIMIT = 100
"""More deliveries than any test makes for one endpoint."""


async def hook(store: Store, name: str = "", *, namespace: str = DEFAULT_NAMESPACE, body: str = "{}") -> WebhookRow:
    """Make an endpoint."""
    row = await store.webhooks.create(namespace, name or f"h{new_number():x}", tag=new_number(), body=body, at_most=MANY)
    assert row is not None
    return row


async def queue(store: Store, row: WebhookRow, *ids: str) -> None:
    """Queue deliveries for an endpoint, as the leader."""
    position = FeedPosition(cursor=await store.feed.end(), reached_at=0.0)
    news = [NewDelivery(webhook_id=row.webhook_id, message_id=each, body=f'"{each}"') for each in ids]
    await store.webhooks.queue(news, READER, position, epoch=await lead(store))


async def due(store: Store, row: WebhookRow, room: int = LIMIT, but: tuple[int, ...] = ()) -> dict[str, int]:
    """Return the messages of an endpoint that are due, with the numbers of their deliveries."""
    return {each.message_id: each.delivery_id for each in await store.webhooks.due([(row.webhook_id, room)], but=but)}


def failed(row: WebhookRow, delivery_id: int, pause_seconds: float | None) -> Attempted:
    """Make a failure."""
    return Attempted(
        delivery_id=delivery_id, webhook_id=row.webhook_id, delivered=False, pause_seconds=pause_seconds, problem="it is away"
    )


class WebhooksContract(StoreFixtures):
    """Webhooks."""

    async def test_32_an_endpoint_is_kept_as_it_was_made_and_its_name_is_taken_once(self, store: Store, other: Store) -> None:
        row = await hook(store, "orders", body='"\N{SNOWMAN}"')
        assert await other.webhooks.get(DEFAULT_NAMESPACE, "orders") == row
        assert (row.name, row.body, row.delivered, row.failing_since) == ("orders", '"\N{SNOWMAN}"', 0, None)
        assert await other.webhooks.get("elsewhere", "orders") is None
        again = [
            stores.webhooks.create(DEFAULT_NAMESPACE, "twice", tag=new_number(), body="{}", at_most=MANY)
            for stores in (store, other, store)
        ]
        assert sum(each is not None for each in await asyncio.gather(*again)) == 1
        there = len(await store.webhooks.all())
        assert await store.webhooks.create(DEFAULT_NAMESPACE, "more", tag=1, body="{}", at_most=there) is None
        assert await store.webhooks.create(DEFAULT_NAMESPACE, "more", tag=1, body="{}", at_most=there + 1) is not None

    async def test_32_of_two_who_change_the_same_one_is_first(self, store: Store, other: Store) -> None:
        row = await hook(store)
        change = {"tag": row.tag, "new_tag": row.tag + 1}
        assert await store.webhooks.replace(row.webhook_id, body="1", **change)
        assert not await other.webhooks.replace(row.webhook_id, body="2", **change)
        epoch = await lead(store)
        assert not await store.webhooks.note(row.webhook_id, body="3", epoch=epoch, **change)
        assert await store.webhooks.note(row.webhook_id, tag=row.tag + 1, new_tag=row.tag + 2, body="4", epoch=epoch)
        with pytest.raises(FencedError):
            await store.webhooks.note(row.webhook_id, tag=row.tag + 2, new_tag=1, body="5", epoch=epoch - 1)
        found = await other.webhooks.get(row.namespace, row.name)
        assert found is not None
        assert (found.body, found.tag) == ("4", row.tag + 2)
        assert not await store.webhooks.delete(row.webhook_id, tag=row.tag)
        assert await other.webhooks.delete(row.webhook_id, tag=row.tag + 2)
        assert await store.webhooks.get(row.namespace, row.name) is None

    async def test_32_a_page_is_in_the_order_of_the_names(self, store: Store, other: Store) -> None:
        space = f"s{new_number():x}"
        for name in ("b", "a", "C"):
            await hook(store, name, namespace=space)
        assert [row.name for row in await other.webhooks.page(space, limit=2)] == ["C", "a"]
        assert [row.name for row in await other.webhooks.page(space, after="a", limit=2)] == ["b"]
        assert [row.name for row in await store.webhooks.all() if row.namespace == space] == ["C", "a", "b"]

    async def test_33_what_is_queued_and_the_place_behind_it_are_kept_together(self, store: Store, other: Store) -> None:
        row, gone = await hook(store), await hook(store)
        await store.webhooks.delete(gone.webhook_id, tag=gone.tag)
        epoch, start = await lead(store), FeedPosition(cursor=await store.feed.end(), reached_at=1_700_000_000.0)
        news = [NewDelivery(webhook_id=each.webhook_id, message_id="m", body="{}") for each in (gone, row)]
        await store.webhooks.queue(news, READER, start, epoch=epoch)
        assert list(await due(other, row)) == ["m"]
        kept = await other.feed.position(READER)
        assert kept is not None
        assert (kept.cursor, kept.reached_at) == (start.cursor, start.reached_at)
        with pytest.raises(FencedError):
            await store.webhooks.queue(
                news, READER, FeedPosition(cursor=start.cursor, reached_at=1_800_000_000.0), epoch=epoch - 1
            )
        assert len(await due(other, row)) == 1
        assert await other.feed.position(READER) == kept
        assert await store.webhooks.add(NewDelivery(webhook_id=row.webhook_id, message_id="test", body="{}"))
        assert list(await due(other, row)) == ["m", "test"]
        assert not await store.webhooks.add(NewDelivery(webhook_id=gone.webhook_id, message_id="test", body="{}"))

    async def test_34_each_endpoint_has_its_room(self, store: Store, other: Store) -> None:
        one, two = await hook(store), await hook(store)
        await queue(store, one, "a", "b", "c")
        await queue(other, two, "d")
        found = await store.webhooks.due([(one.webhook_id, 2), (two.webhook_id, 2)], but=[])
        assert sorted(each.message_id for each in found) == ["a", "b", "d"]
        assert [(each.body, each.attempts, each.problem) for each in found if each.message_id == "d"] == [('"d"', 0, "")]
        numbers = await due(other, one)
        assert list(await due(other, one, 2, (numbers["a"], numbers["c"]))) == ["b"]
        assert await store.webhooks.due([], but=[]) == []

    async def test_34_what_became_of_attempts_is_counted(self, store: Store, other: Store) -> None:
        row, epoch = await hook(store), 0
        await queue(store, row, "a", "b", "c", "d")
        numbers, epoch = await due(store, row), await lead(store)
        failures = [failed(row, numbers["b"], 3600.0), failed(row, numbers["c"], 0.0), failed(row, numbers["d"], None)]
        await store.webhooks.settle(failures, epoch=epoch)
        found = await other.webhooks.get(row.namespace, row.name)
        assert found is not None
        assert (found.delivered, found.failed, found.problem, found.delivered_at) == (0, 3, "it is away", None)
        assert found.failing_since is not None
        since = found.failing_since
        assert list(await due(other, row)) == ["a", "c"]
        assert [each.message_id for each in await other.webhooks.letters(row.webhook_id, limit=LIMIT)] == ["d"]
        await store.webhooks.settle([failed(row, numbers["c"], 0.0)], epoch=epoch)
        found = await other.webhooks.get(row.namespace, row.name)
        assert found is not None
        assert found.failing_since == since
        taken = Attempted(delivery_id=numbers["a"], webhook_id=row.webhook_id, delivered=True)
        with pytest.raises(FencedError):
            await store.webhooks.settle([taken], epoch=epoch - 1)
        await store.webhooks.settle([taken], epoch=epoch)
        await store.webhooks.settle([], epoch=epoch)
        found = await other.webhooks.get(row.namespace, row.name)
        assert found is not None
        assert (found.delivered, found.failed, found.problem, found.failing_since) == (1, 4, "", None)
        assert found.delivered_at is not None
        [again] = await other.webhooks.due([(row.webhook_id, LIMIT)], but=[])
        assert (again.message_id, again.attempts, again.problem) == ("c", 2, "it is away")

    async def test_35_dead_letters_are_sent_again(self, store: Store, other: Store) -> None:
        row = await hook(store)
        await queue(store, row, "a", "b", "c")
        numbers = await due(store, row)
        await store.webhooks.settle([failed(row, each, None) for each in numbers.values()], epoch=await lead(store))
        letters = await other.webhooks.letters(row.webhook_id, limit=2)
        assert [each.message_id for each in letters] == ["a", "b"]
        assert (letters[0].due_at, letters[0].attempts, letters[0].problem) == (None, 1, "it is away")
        after = await other.webhooks.letters(row.webhook_id, after=letters[1].delivery_id, limit=2)
        assert [each.message_id for each in after] == ["c"]
        assert await store.webhooks.redrive(row.webhook_id, numbers["b"], limit=LIMIT) == 1
        assert await store.webhooks.redrive(row.webhook_id, numbers["b"], limit=LIMIT) == 0
        assert list(await due(other, row)) == ["b"]
        assert await store.webhooks.redrive(row.webhook_id, limit=1) == 1
        assert sorted(await due(other, row)) == ["a", "b"]
        assert {each.attempts for each in await other.webhooks.due([(row.webhook_id, LIMIT)], but=[])} == {0}
        epoch = await lead(store)
        await store.webhooks.settle([failed(row, numbers["a"], 3600.0)], epoch=epoch)
        assert await store.webhooks.redrive(row.webhook_id, limit=LIMIT) == 2  # what waits for a later moment as well
        assert sorted(await due(other, row)) == ["a", "b", "c"]
        assert await store.webhooks.redrive((await hook(store)).webhook_id, numbers["c"], limit=LIMIT) == 0

    async def test_32_one_that_is_deleted_leaves_nothing_of_its_own_and_all_of_others(self, store: Store, other: Store) -> None:
        row, stays = await hook(store), await hook(store)
        for each in (row, stays):
            await queue(store, each, "a", "b", "c")
        numbers = await due(store, row)
        await store.webhooks.settle([failed(row, numbers["a"], None)], epoch=await lead(store))
        assert not await other.webhooks.delete(row.webhook_id, tag=row.tag + 1)
        assert len(await due(store, row)) == 2
        assert await other.webhooks.delete(row.webhook_id, tag=row.tag)
        [left] = await store.webhooks.queues([row.webhook_id])
        assert (left.waiting, left.dead) == (0, 0)
        assert len(await due(store, stays)) == 3

    async def test_36_what_waits_is_counted_and_what_is_old_removed(self, store: Store, other: Store) -> None:
        row, idle = await hook(store), await hook(store)
        await queue(store, row, "a", "b", "c")
        numbers, epoch = await due(store, row), await lead(store)
        await store.webhooks.settle([failed(row, numbers["c"], None), failed(row, numbers["b"], 3600.0)], epoch=epoch)
        found = {each.webhook_id: each for each in await other.webhooks.queues([row.webhook_id, idle.webhook_id])}
        assert (found[row.webhook_id].waiting, found[row.webhook_id].dead) == (2, 1)
        assert found[row.webhook_id].oldest_seconds >= 0
        assert (found[idle.webhook_id].waiting, found[idle.webhook_id].dead, found[idle.webhook_id].oldest_seconds) == (0, 0, 0)
        assert await store.webhooks.expire(3600.0, limit=LIMIT, epoch=epoch) == 0
        with pytest.raises(FencedError):
            await store.webhooks.expire(-1.0, limit=LIMIT, epoch=epoch - 1)
        assert await store.webhooks.expire(-1.0, limit=2, epoch=epoch) == 2
        while await store.webhooks.expire(-1.0, limit=LIMIT, epoch=epoch):
            pass
        [left] = await other.webhooks.queues([row.webhook_id])
        assert (left.waiting, left.dead) == (0, 0)
