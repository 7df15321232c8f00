# ruff: noqa: S101 - assertions are what a suite is made of
"""Locks of sagas: who takes a key, who waits for it, who is next, and who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from goconductor.lifecycle.facts.lock import Held, Wish
from goconductor.ports.store import Append, Forgettable, Known, Looked, Store, Verdict, cursor_of
from goconductor.ports.store.log import queues
from goconductor.testing.contracts.store.leading.retaining import begin as begin_now
from goconductor.testing.contracts.store.material import FAR, Faults, Saga, StoreFixtures, advance, begin, hold, lead


async def ask(store: Store, saga: Saga, *keys: str, shared: bool = False) -> Looked:
    """Look at a saga's locks, one of whose steps wishes these keys."""
    return await store.locks.look(saga.saga_id, [[Wish(key, shared) for key in keys]])


async def end(store: Store, saga: Saga, status: str = "completed") -> Looked:
    """End a saga, and give up its locks."""
    await advance(store, saga, status=status, wake_at=None)
    return await store.locks.look(saga.saga_id, [], ended=True)


async def rows(store: Store, key: str) -> Sequence[tuple[UUID, bool]]:
    return [(row.saga_id, row.held) for row in await store.locks.rows(key=key, limit=100)]


class LockContract(StoreFixtures):
    """The keys of sagas."""

    async def test_26_a_free_key_is_taken_and_others_wait_in_their_order(self, store: Store) -> None:
        first, second, third = [await begin(store) for _ in range(3)]
        taken = await ask(store, first, "k")
        assert (list(taken.held), taken.waits, taken.held["k"].shared) == (["k"], (), False)
        waits = await ask(store, second, "k")
        assert (waits.held, waits.waits, waits.is_new, waits.is_first) == ({}, ("k",), True, True)
        assert (await ask(store, third, "k")).is_first is False
        again = await ask(store, second, "k")
        assert (again.is_new, again.wake) == (False, ())
        assert await rows(store, "k") == [(first.saga_id, True), (second.saga_id, False), (third.saga_id, False)]
        assert (await ask(store, first, "k")).held == taken.held
        assert (await end(store, first)).wake == (second.saga_id,)
        late = await ask(store, third, "k")
        assert (late.held, late.wake) == ({}, (second.saga_id,))
        assert list((await ask(store, second, "k")).held) == ["k"]
        assert await rows(store, "k") == [(second.saga_id, True), (third.saga_id, False)]

    async def test_26_sharers_hold_a_key_together_and_nobody_is_overtaken(self, store: Store) -> None:
        one, two, alone, late = [await begin(store) for _ in range(4)]
        for saga in (one, two):
            assert (await ask(store, saga, "k", shared=True)).held["k"].shared
        assert (await ask(store, alone, "k")).waits == ("k",)
        assert (await ask(store, late, "k", shared=True)).waits == ("k",)
        assert (await end(store, one)).wake == ()
        assert (await end(store, two)).wake == (alone.saga_id,)
        assert list((await ask(store, alone, "k")).held) == ["k"]
        assert (await end(store, alone)).wake == (late.saga_id,)

    async def test_26_who_takes_a_shared_key_has_the_next_sharer_woken(self, store: Store) -> None:
        alone, one, two, last = [await begin(store) for _ in range(4)]
        await ask(store, alone, "k")
        for saga in (one, two):
            await ask(store, saga, "k", shared=True)
        await ask(store, last, "k")
        assert (await end(store, alone)).wake == (one.saga_id,)
        assert (await ask(store, one, "k", shared=True)).wake == (two.saga_id,)
        assert (await ask(store, two, "k", shared=True)).wake == ()

    async def test_26_keys_are_taken_in_order_up_to_the_first_that_is_not_free(self, store: Store) -> None:
        holder, saga = await begin(store), await begin(store)
        await ask(store, holder, "b")
        looked = await ask(store, saga, "a", "b", "c")
        assert (list(looked.held), looked.waits) == (["a"], ("b",))
        assert await rows(store, "c") == []
        await end(store, holder)
        assert list((await ask(store, saga, "b", "c")).held) == ["b", "c"]

    async def test_26_steps_of_a_saga_share_its_place_which_takes_the_stronger_mode(self, store: Store) -> None:
        holder, saga, late = [await begin(store) for _ in range(3)]
        await ask(store, holder, "k", shared=True)
        await ask(store, late, "k")
        await store.locks.look(saga.saga_id, [[Wish("k", shared=True)]])
        both = await store.locks.look(saga.saga_id, [[Wish("k", shared=True)], [Wish("k")]])
        assert (both.waits, both.is_new) == (("k",), False)
        await end(store, late)
        assert (await store.locks.look(saga.saga_id, [[Wish("k", shared=True)], [Wish("k")]])).held == {}
        await end(store, holder)
        assert (await store.locks.look(saga.saga_id, [[Wish("k", shared=True)], [Wish("k")]])).held["k"].shared is False

    async def test_26_what_is_wished_no_more_goes_and_the_next_is_woken(self, store: Store) -> None:
        holder, saga, late = [await begin(store) for _ in range(3)]
        await ask(store, holder, "k", shared=True)
        await ask(store, saga, "k")
        await ask(store, late, "k", shared=True)
        assert (await ask(store, saga, "other")).wake == (late.saga_id,)
        assert await rows(store, "k") == [(holder.saga_id, True), (late.saga_id, False)]

    async def test_26_a_paused_saga_is_passed_over_and_keeps_its_place(self, store: Store) -> None:
        holder, paused, late = [await begin(store) for _ in range(3)]
        for saga in (holder, paused, late):
            await ask(store, saga, "k")
        await advance(store, paused, status="paused", wake_at=None)
        kept = await store.locks.look(paused.saga_id, [[Wish("k")]], takes=False)
        assert (kept.waits, kept.wake) == (("k",), ())
        assert (await end(store, holder)).wake == (late.saga_id,)
        assert list((await ask(store, late, "k")).held) == ["k"]
        await advance(store, paused)
        assert (await end(store, late)).wake == (paused.saga_id,)
        untouched = await store.locks.look(paused.saga_id, [[Wish("k"), Wish("l")]], takes=False)
        assert (untouched.held, untouched.is_new, await rows(store, "l")) == ({}, False, [])

    async def test_26_who_looks_drops_the_places_of_sagas_that_have_ended(self, store: Store) -> None:
        holder, dead, saga = [await begin(store) for _ in range(3)]
        for each in (holder, dead, saga):
            await ask(store, each, "k")
        await advance(store, dead, status="compensated", wake_at=None)
        assert (await ask(store, saga, "k")).is_first
        assert await rows(store, "k") == [(holder.saga_id, True), (saga.saga_id, False)]
        await advance(store, holder, status="completed", wake_at=None)
        assert list((await ask(store, saga, "k")).held) == ["k"]

    async def test_26_of_many_that_ask_at_once_one_takes_the_key(self, store: Store, other: Store) -> None:
        sagas = [await begin(store) for _ in range(8)]
        keys = ["a", "b", "c"]
        asked = [ask((store, other)[number % 2], saga, *keys) for number, saga in enumerate(sagas)]
        await asyncio.gather(*asked)
        while sagas:
            holders = [row.saga_id for row in await store.locks.rows(key="c", limit=100) if row.held]
            assert len(holders) == 1
            [saga] = [each for each in sagas if each.saga_id in holders]
            sagas.remove(saga)
            await end(store, saga)
            await asyncio.gather(*(ask((store, other)[number % 2], each, *keys) for number, each in enumerate(sagas)))

    async def test_27_each_taking_has_a_higher_number(self, store: Store) -> None:
        numbers: list[int] = []
        for shared in (False, True, False):
            saga = await begin(store)
            held = (await ask(store, saga, "k", shared=shared)).held["k"]
            assert held.shared is shared
            numbers.append(held.number)
            await end(store, saga)
        assert numbers == sorted(set(numbers))

    async def test_27_a_terminated_saga_keeps_its_keys_while_a_lease_of_it_lives(self, store: Store, faults: Faults) -> None:
        holder, saga = await begin(store), await begin(store)
        await ask(store, holder, "k")
        lease = await hold(store, holder.lease())
        await advance(store, holder, status="terminated", wake_at=None)
        assert (await store.locks.look(holder.saga_id, [], ended=True)).wake == ()
        assert (await ask(store, saga, "k")).waits == ("k",)
        await store.leases.release([lease])
        assert list((await ask(store, saga, "k")).held) == ["k"]
        third = await begin(store)
        await advance(store, saga, status="terminated", wake_at=None)
        await faults.truncate_leases(store)
        assert (await ask(store, third, "k")).waits == ("k",)
        await store.recovery.acknowledge_truncation(epoch=await lead(store))
        assert list((await ask(store, third, "k")).held) == ["k"]

    async def test_27_a_key_whose_saga_is_gone_is_free(self, store: Store) -> None:
        holder, saga = await begin_now(store), await begin(store)
        await ask(store, holder, "k")
        await advance(store, holder, status="completed", wake_at=None)
        await store.retention.forget(
            Forgettable.SAGAS, before=FAR, ended=("completed",), after=None, limit=100, epoch=await lead(store)
        )
        assert await store.locks.rows(limit=10) == []
        assert list((await ask(store, saga, "k")).held) == ["k"]
        gone = Saga()
        await ask(store, gone, "l")
        assert list((await ask(store, saga, "l")).held) == ["l"]

    async def test_28_a_circle_is_found_through_holders_and_queues(self, store: Store) -> None:
        one, two, three = [await begin(store) for _ in range(3)]
        await ask(store, one, "k", shared=True)
        await ask(store, three, "l")
        await ask(store, two, "k")
        await ask(store, three, "k", shared=True)
        assert queues.circle(await store.locks.circle(one.saga_id)) is None
        await ask(store, one, "l")
        for saga in (one, two, three):
            circle = queues.circle(await store.locks.circle(saga.saga_id))
            assert circle is not None
            assert circle.heads == {each.saga_id: (each.seq, each.tag) for each in (one, two, three)}
            assert circle.victim == max(one.saga_id, three.saga_id)  # the second one holds nothing
            assert len(circle.way) == 3
            assert circle.places[three.saga_id] == ["k"]
        for paused, left in ((three, one), (one, None)):  # who is paused would not give way
            await advance(store, paused, status="paused", wake_at=None)
            circle = queues.circle(await store.locks.circle(two.saga_id))
            assert (circle and circle.victim) == (left and left.saga_id)
        outside = await begin(store)
        assert await store.locks.circle(outside.saga_id) == []

    async def test_5_an_append_loses_where_another_head_has_moved(self, store: Store) -> None:
        one, two = await begin(store), await begin(store)

        def append() -> Append:
            return one.append(unchanged=[one.known, two.known])

        before = append()
        await advance(store, two)
        assert [each.verdict for each in await store.log.append([before])] == [Verdict.CONFLICT]
        gone = one.append(unchanged=[one.known, Known(Saga().saga_id, 1, 1)])
        beside = two.append()
        outcomes = await store.log.append([gone, beside])
        assert [each.verdict for each in outcomes] == [Verdict.CONFLICT, Verdict.WON]
        two.seq, two.tag = two.seq + 1, beside.new_tag
        assert [each.verdict for each in await store.log.append([append()])] == [Verdict.WON]

    async def test_26_the_longest_wait_is_measured(self, store: Store) -> None:
        one, two = await begin(store), await begin(store)
        await ask(store, one, "k")
        if store.metrics is None:
            return
        assert (await store.metrics.read()).locks_waited_seconds == 0
        await ask(store, two, "k")
        assert (await store.metrics.read()).locks_waited_seconds > 0

    async def test_29_rows_are_listed_by_key_and_by_saga_page_by_page(self, store: Store) -> None:
        one, two = await begin(store), await begin(store)
        await ask(store, two, "a", "z")
        await ask(store, one, "a")
        await ask(store, one, "b", "ä")
        await ask(store, two, "b")
        found = await store.locks.rows(limit=100)
        assert [(row.key, row.held) for row in found] == [("a", True), ("b", True), ("b", False), ("z", True), ("ä", True)]
        assert [row.key for row in await store.locks.rows(saga_id=two.saga_id, limit=100)] == ["a", "b", "b", "z"]
        page = await store.locks.rows(limit=2)
        assert await store.locks.rows(after=cursor_of(page[-1]), limit=100) == found[2:]
        assert await store.locks.rows(key="b", after=cursor_of(found[2]), limit=100) == []
        assert {row.status for row in found} == {"running"}
        assert found[0].since > 0
        assert (await ask(store, one, "b", "ä")).held == {"b": Held(found[1].number), "ä": Held(found[4].number)}
