# ruff: noqa: S101 - assertions are what a suite is made of
"""The order of all events: the duties of :class:`goconductor.ports.store.Feed`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from uuid import UUID

import pytest

from goconductor.errors import CursorLostError, FencedError
from goconductor.ports.store import FeedEntry, FeedPosition, Store
from goconductor.testing.contracts.store.material import Saga, StoreFixtures, advance, begin, event, lead

LIMIT = 3
"""Number of entries on a page, so that there are several pages."""


async def all_behind(store: Store, cursor: str, *, limit: int = LIMIT) -> tuple[list[FeedEntry], str]:
    """Read page after page until nothing is left; return what was read, and where it ended."""
    found: list[FeedEntry] = []
    while True:
        page = await store.feed.read(cursor, limit=limit)
        assert len(page.entries) <= limit
        found += page.entries
        cursor = page.cursor
        if not page.full:
            return found, cursor


async def all_of(store: Store, cursor: str, number: int) -> list[FeedEntry]:
    """Read on until so many are there: a transaction of somebody else on the server may hold a reader up."""
    found: list[FeedEntry] = []
    while len(found) < number:
        more, cursor = await all_behind(store, cursor)
        found += more
        await asyncio.sleep(0 if more else 0.01)
    return found


def seqs(entries: list[FeedEntry]) -> dict[UUID, list[int]]:
    """Return the seqs of each saga, in the order in which they came."""
    found: dict[UUID, list[int]] = defaultdict(list)
    for each in entries:
        found[each.saga_id].append(each.entry.seq)
    return found


class FeedContract(StoreFixtures):
    """The order of all events."""

    async def test_26_every_event_comes_once_with_its_saga(self, store: Store, other: Store) -> None:
        await store.feed.check()
        start = await store.feed.end()
        assert await all_behind(store, start) == ([], (await all_behind(other, start))[1])
        saga = await begin(store, labels={"team": "a"})
        one = await advance(other, saga, event(data=b'{"output": -0.0}'), event(step="b.c"))
        found = await all_of(store, start, 3)
        assert [(each.saga_id, each.entry.seq) for each in found] == [(saga.saga_id, seq) for seq in (1, 2, 3)]
        head = await store.sagas.head(saga.saga_id)
        assert head is not None
        assert {(each.saga, each.version, each.labels["team"]) for each in found} == {(head.saga, head.version, "a")}
        assert [each.entry.event_id for each in found[1:]] == [each.event_id for each in one.entries]
        assert found[1].entry.data == b'{"output": -0.0}'
        assert await store.sagas.history(saga.saga_id) == [each.entry for each in found]

    async def test_26_each_event_says_where_to_go_on(self, store: Store, other: Store) -> None:
        start = await store.feed.end()
        for _ in range(2):
            await advance(store, await begin(store), event(), event())
        found = await all_of(store, start, 6)
        for number, each in enumerate(found, 1):
            assert await all_of(other, each.cursor, 6 - number) == found[number:]

    async def test_26_a_reader_passes_nothing_over_while_many_write(self, store: Store, other: Store) -> None:
        start, stores = await store.feed.end(), (store, other)
        sagas = [Saga() for _ in range(8)]

        async def write(number: int) -> None:
            saga = sagas[number]
            started = saga.start()
            await stores[number % 2].starts.start([started])
            saga.seq, saga.tag = len(started.entries), started.new_tag
            for turn in range(6):
                await advance(stores[(number + turn) % 2], saga, *[event()] * (1 + turn % 2))

        writing = asyncio.gather(*map(write, range(len(sagas))))
        found: list[FeedEntry] = []
        cursor = start
        while not writing.done():
            more, cursor = await all_behind(store, cursor)
            found += more
            await asyncio.sleep(0)
        await writing
        expected = {saga.saga_id: [*range(1, saga.seq + 1)] for saga in sagas}
        found += await all_of(store, cursor, sum(map(len, expected.values())) - len(found))
        assert seqs(found) == expected
        assert seqs(await all_of(other, start, len(found))) == expected

    async def test_26_what_is_no_cursor_is_refused(self, store: Store) -> None:
        await begin(store)
        for nonsense in ("", "-1", "9" * 40, "one", "0.0.n.1.zz.0", "1.2.n.3." + "0" * 32 + ".0", "\N{SNOWMAN}", "\0"):
            with pytest.raises(CursorLostError):
                await store.feed.read(nonsense, limit=LIMIT)
            with pytest.raises(CursorLostError):
                await store.feed.lag(nonsense)

    async def test_27_the_beginning_is_before_everything(self, store: Store, other: Store) -> None:
        sagas = [await begin(store), await begin(other)]
        await advance(store, sagas[0])
        found = await all_of(store, await store.feed.beginning(), 3)
        assert seqs(found) == {sagas[0].saga_id: [1, 2], sagas[1].saga_id: [1]}
        assert await all_of(other, found[0].cursor, 2) == found[1:]

    async def test_28_a_position_is_kept_under_the_epoch(self, store: Store, other: Store) -> None:
        assert await store.feed.position("events") is None
        epoch = await lead(store)
        places = [await store.feed.end()]
        await begin(store)
        places.append((await all_of(store, places[0], 1))[0].cursor)
        for number, cursor in enumerate(places):
            position = FeedPosition(cursor=cursor, reached_at=1_800_000_000.25 + number)
            await store.feed.keep("events", position, epoch=epoch)
            assert await other.feed.position("events") == position
        assert await store.feed.position("others") is None
        await lead(other)
        with pytest.raises(FencedError):
            await store.feed.keep("events", FeedPosition(cursor=places[0], reached_at=0.0), epoch=epoch)
        assert await store.feed.position("events") == position

    async def test_28_a_position_begins_where_there_is_none(self, store: Store, other: Store) -> None:
        first = FeedPosition(cursor=await store.feed.end(), reached_at=1_800_000_000.25)
        await store.feed.begin("begun", first)
        await begin(store)
        await other.feed.begin("begun", FeedPosition(cursor=await other.feed.end(), reached_at=1_800_000_001.0))
        assert await other.feed.position("begun") == first
        later = FeedPosition(cursor=await store.feed.end(), reached_at=1_800_000_002.0)
        await store.feed.keep("begun", later, epoch=await lead(store))
        await store.feed.begin("begun", first)
        assert await store.feed.position("begun") == later

    async def test_29_the_lag_is_what_is_behind_a_cursor(self, store: Store) -> None:
        start = await store.feed.end()
        assert await store.feed.lag(start) == (await store.feed.lag(start))
        assert (await store.feed.lag(start)).entries == 0
        assert (await store.feed.lag(start)).seconds == 0
        saga = await begin(store)
        await advance(store, saga, event(), event())
        lag = await store.feed.lag(start)
        assert lag.entries == 3
        found = await all_of(store, start, 3)
        assert (await store.feed.lag(found[0].cursor)).entries == 2
        assert (await store.feed.lag(found[-1].cursor)).entries == 0
