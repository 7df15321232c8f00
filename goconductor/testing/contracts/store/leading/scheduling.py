# ruff: noqa: S101 - assertions are what a suite is made of
"""Schedules: the duties of :class:`goconductor.ports.store.Schedules`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from goconductor.errors import FencedError
from goconductor.ports.store import ScheduleRow, Store
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.testing.contracts.store.material import FAR, StoreFixtures, new_number


def schedule(name: str = "nightly", **facts: Any) -> ScheduleRow:
    """Make a schedule that is due at once."""
    given: dict[str, Any] = {
        "namespace": DEFAULT_NAMESPACE,
        "tag": new_number(),
        "look_at": 1_700_000_000.25,
        "body": '{"a": -0.0}',
    }
    return ScheduleRow(**(given | {"name": name} | facts))


class SchedulesContract(StoreFixtures):
    """Schedules."""

    async def test_23_a_schedule_is_kept_as_it_was_given(self, store: Store, other: Store) -> None:
        for row in (schedule(), schedule("paused", look_at=None, body='"\N{SNOWMAN}"')):
            assert await store.schedules.get(row.namespace, row.name) is None
            assert await store.schedules.create(row)
            assert await other.schedules.get(row.namespace, row.name) == row
            assert await other.schedules.get("elsewhere", row.name) is None

    async def test_23_a_name_is_taken_once(self, store: Store, other: Store) -> None:
        rows = [schedule(body=str(number)) for number in range(6)]
        created = await asyncio.gather(*((store, other)[n % 2].schedules.create(row) for n, row in enumerate(rows)))
        assert sum(created) == 1
        assert await store.schedules.get(DEFAULT_NAMESPACE, "nightly") == rows[created.index(True)]
        assert await store.schedules.create(schedule(namespace="elsewhere"))

    async def test_23_of_two_who_have_read_the_same_one_changes_it(self, store: Store, other: Store) -> None:
        first = schedule()
        await store.schedules.create(first)
        rows = [schedule(body=str(number), look_at=FAR) for number in range(6)]
        changed = await asyncio.gather(
            *((store, other)[n % 2].schedules.replace(row, tag=first.tag) for n, row in enumerate(rows))
        )
        assert sum(changed) == 1
        won = rows[changed.index(True)]
        assert await store.schedules.get(DEFAULT_NAMESPACE, "nightly") == won
        assert not await store.schedules.delete(DEFAULT_NAMESPACE, "nightly", tag=first.tag)
        assert await store.schedules.delete(DEFAULT_NAMESPACE, "nightly", tag=won.tag)
        assert not await store.schedules.delete(DEFAULT_NAMESPACE, "nightly", tag=won.tag)
        assert not await store.schedules.replace(schedule(), tag=won.tag)
        assert await other.schedules.get(DEFAULT_NAMESPACE, "nightly") is None

    async def test_24_a_leader_notes_under_its_epoch_and_not_over_a_change(self, store: Store, other: Store) -> None:
        first, noted, changed = schedule(), schedule(body="1"), schedule(body="2")
        await store.schedules.create(first)
        term = await store.terms.raise_epoch("anna", 600.0)
        assert term is not None
        assert await store.schedules.note(noted, tag=first.tag, epoch=term.epoch)
        assert not await store.schedules.note(changed, tag=first.tag, epoch=term.epoch)
        assert await other.schedules.get(DEFAULT_NAMESPACE, "nightly") == noted
        after = await other.terms.raise_epoch("bert", 600.0)
        assert after is not None
        with pytest.raises(FencedError):
            await store.schedules.note(changed, tag=noted.tag, epoch=term.epoch)
        assert await other.schedules.get(DEFAULT_NAMESPACE, "nightly") == noted
        assert await other.schedules.note(changed, tag=noted.tag, epoch=after.epoch)

    async def test_25_what_is_due_comes_in_the_order_of_its_moment(self, store: Store) -> None:
        nothing = await store.schedules.due(10)
        assert (list(nothing.rows), nothing.next_look) == ([], None)
        now = await store.terms.database_time()
        assert 0 <= now - nothing.now < 600.0
        rows = [schedule("c", look_at=now - 30), schedule("a", look_at=now - 20), schedule("b", look_at=now - 10)]
        for row in (*rows, schedule("d", look_at=FAR), schedule("e", look_at=FAR + 1), schedule("f", look_at=None)):
            assert await store.schedules.create(row)
        due = await store.schedules.due(10)
        assert [row.name for row in due.rows] == ["c", "a", "b"]
        assert [row.body for row in due.rows] == [row.body for row in rows]
        assert due.next_look == FAR
        assert [row.name for row in (await store.schedules.due(2)).rows] == ["c", "a"]

    async def test_25_pages_are_in_the_order_of_the_names(self, store: Store) -> None:
        names = ["B", "a", "a-b", "a1", "aa", "b"]
        for name in reversed(names):
            await store.schedules.create(schedule(name))
        await store.schedules.create(schedule("other", namespace="elsewhere"))
        assert [row.name for row in await store.schedules.page(DEFAULT_NAMESPACE, limit=10)] == sorted(names)
        page = await store.schedules.page(DEFAULT_NAMESPACE, after="a-b", limit=2)
        assert [row.name for row in page] == ["a1", "aa"]
