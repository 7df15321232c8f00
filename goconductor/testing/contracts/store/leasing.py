# ruff: noqa: S101 - assertions are what a suite is made of
"""Duties 4 and 8: leases are acquired, then the head is read; they are renewed and released."""

from __future__ import annotations

import asyncio

from goconductor.ports.store import Known, Store
from goconductor.saga.ids import Direction
from goconductor.testing.contracts.store.material import (
    LONG_SECONDS,
    TIMEOUT_SECONDS,
    Faults,
    Saga,
    StoreFixtures,
    acquire,
    advance,
    begin,
    event,
    hold,
    lead,
    take,
    tokens,
    wish,
)


class LeaseContract(StoreFixtures):
    """Who may run a step."""

    async def test_4_a_free_lease_is_granted_with_the_head(self, store: Store) -> None:
        saga = await begin(store)
        lease = saga.lease(instance=3)
        before = await store.terms.database_time()
        acquired = await acquire(store, lease, seconds=60.0)
        assert acquired.granted
        assert acquired.tail.head == await store.sagas.head(saga.saga_id)
        [held] = await store.recovery.leases([saga.saga_id])
        assert (held.key, held.instance, held.token) == (lease.key, 3, lease.token)
        assert before + 60.0 <= held.expires_at <= await store.terms.database_time() + 60.0

    async def test_4_a_living_lease_is_not_granted(self, store: Store, other: Store) -> None:
        saga = await begin(store)
        lease = await hold(store, saga.lease(instance=3))
        acquired = await acquire(other, saga.lease(instance=4))
        assert (acquired.granted, acquired.tail.head, acquired.tail.entries) == (False, None, [])
        assert acquired.holder is not None
        assert (acquired.holder.key, acquired.holder.instance, acquired.holder.token) == (lease.key, 3, lease.token)
        assert await tokens(store, saga) == {lease.token}

    async def test_4_an_expired_lease_is_granted(self, store: Store, other: Store) -> None:
        saga = await begin(store)
        await hold(store, saga.lease(), seconds=0.0)
        new = await hold(other, saga.lease())
        assert await tokens(store, saga) == {new.token}

    async def test_4_it_is_told_whose_expired_lease_was_taken_over(self, store: Store, other: Store) -> None:
        """Test hole 47: an attempt may have begun. The next one learns that as well, if this one dies before it has recorded
        it.
        """
        saga = await begin(store)
        first = await acquire(store, saga.lease(instance=3), seconds=0.0)
        second = await acquire(other, saga.lease(instance=4), seconds=0.0)
        again = saga.lease(instance=4)
        third = await acquire(other, again)
        assert [each.taken_from for each in (first, second, third)] == [None, 3, 4]
        assert (await acquire(other, again)).taken_from == 4

    async def test_4_a_takeover_is_remembered_until_the_log_is_told(self, store: Store) -> None:
        saga = await begin(store)
        await hold(store, saga.lease(instance=3), seconds=0.0)
        untold = await hold(store, saga.lease(instance=4))
        await store.leases.release([untold])
        [ended] = await store.recovery.leases([saga.saga_id])
        assert ended.expires_at <= await store.terms.database_time()
        told = saga.lease(instance=5)
        assert (await acquire(store, told)).taken_from == 4
        await store.leases.release([told], told=True)
        assert await tokens(store, saga) == set()
        assert (await acquire(store, saga.lease())).taken_from is None

    async def test_4_an_append_that_frees_it_tells_the_log(self, store: Store) -> None:
        saga = await begin(store)
        await hold(store, saga.lease(instance=3), seconds=0.0)
        mine, next_one = await hold(store, saga.lease(instance=4)), saga.lease(instance=4)
        append = await advance(store, saga, release=[mine], take=[take(next_one, seconds=0.0)])
        assert len(append.take) == 1
        assert await tokens(store, saga) == {next_one.token}
        later = saga.lease(instance=5)
        assert (await acquire(store, later)).taken_from == 4
        await advance(store, saga, release=[later])
        assert (await acquire(store, saga.lease())).taken_from is None

    async def test_4_the_same_wish_again_is_granted_again(self, store: Store) -> None:
        saga = await begin(store)
        lease = await hold(store, saga.lease())
        assert (await acquire(store, lease)).granted

    async def test_4_step_direction_and_round_make_a_lease(self, store: Store) -> None:
        saga = await begin(store)
        leases = [
            saga.lease(),
            saga.lease("payments.refund"),
            saga.lease(direction=Direction.COMPENSATION),
            saga.lease(round=1),
        ]
        assert [acquired.granted for acquired in await store.leases.acquire([wish(lease) for lease in leases])] == [True] * 4
        assert await tokens(store, saga) == {lease.token for lease in leases}

    async def test_4_of_two_wishes_for_one_lease_in_a_batch_one_is_granted(self, store: Store) -> None:
        saga = await begin(store)
        wishes = [saga.lease(), saga.lease()]
        acquired = await store.leases.acquire([wish(lease) for lease in wishes])
        [winner] = [lease for lease, answer in zip(wishes, acquired, strict=True) if answer.granted]
        [refused] = [answer for answer in acquired if not answer.granted]
        assert refused.holder is not None
        assert refused.holder.token == winner.token
        assert await tokens(store, saga) == {winner.token}

    async def test_4_of_many_that_race_for_a_lease_one_gets_it(self, store: Store, other: Store) -> None:
        saga = await begin(store)
        await hold(store, saga.lease(), seconds=0.0)
        answers = await asyncio.gather(*(acquire((store, other)[n % 2], saga.lease()) for n in range(20)))
        assert sum(answer.granted for answer in answers) == 1

    async def test_4_what_is_known_is_not_read_again(self, store: Store) -> None:
        saga = await begin(store)
        acquired = await acquire(store, saga.lease(), saga.known)
        assert acquired.tail.head is not None
        assert (acquired.tail.entries, acquired.tail.rebased) == ([], False)

    async def test_4_the_tail_begins_after_what_is_known(self, store: Store) -> None:
        saga = await begin(store)
        known = saga.known
        append = await advance(store, saga, event("Two"), event("Three"))
        tail = (await acquire(store, saga.lease(), known)).tail
        assert tail.head is not None
        assert (tail.head.seq, tail.head.tag, tail.rebased) == (3, append.new_tag, False)
        assert [(entry.seq, entry.event) for entry in tail.entries] == [(2, "Two"), (3, "Three")]

    async def test_4_who_knows_nothing_gets_the_whole_log(self, store: Store) -> None:
        saga = await begin(store)
        await advance(store, saga)
        tail = (await acquire(store, saga.lease())).tail
        assert ([entry.seq for entry in tail.entries], tail.rebased) == ([1, 2], False)

    async def test_4_a_lost_timeline_is_told_by_its_tag(self, store: Store) -> None:
        saga = await begin(store)
        await advance(store, saga)
        for known in (Known(saga.saga_id, 1, 4711), Known(saga.saga_id, 2, 4711), Known(saga.saga_id, 9, saga.tag)):
            tail = (await acquire(store, saga.lease(str(known)), known)).tail
            assert ([entry.seq for entry in tail.entries], tail.rebased) == ([1, 2], True)

    async def test_4_a_saga_that_is_not_there_has_no_head(self, store: Store) -> None:
        acquired = await acquire(store, Saga().lease())
        assert (acquired.granted, acquired.tail.head) == (True, None)

    async def test_4_no_head_is_older_than_its_lease(self, store: Store, other: Store) -> None:
        """Whoever gets the lease after its holder's append sees that append, however closely the two meet."""
        for _ in range(20):
            saga = await begin(store)
            held = await hold(store, saga.lease())

            async def get(saga: Saga = saga) -> int:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    while not (answer := await acquire(other, saga.lease(), saga.known)).granted:  # noqa: ASYNC110
                        await asyncio.sleep(0)  # a store in memory gives way to nobody
                assert answer.tail.head is not None
                return answer.tail.head.seq

            seen, _ = await asyncio.gather(get(), store.log.append([saga.append(release=[held])]))
            assert seen == 2

    async def test_4_answers_come_in_the_order_of_the_wishes(self, store: Store) -> None:
        sagas = [await begin(store) for _ in range(8)]
        for saga in sagas[::2]:
            await hold(store, saga.lease())
        answers = await store.leases.acquire([wish(saga.lease(), saga.known) for saga in sagas])
        assert [answer.granted for answer in answers] == [False, True] * 4
        assert [answer.tail.head.saga_id for answer in answers if answer.tail.head] == [saga.saga_id for saga in sagas[1::2]]

    async def test_4_a_wish_that_cannot_be_is_refused_alone(self, store: Store) -> None:
        sagas = [await begin(store) for _ in range(3)]
        leases = [sagas[0].lease(), sagas[1].lease("a\0b"), sagas[2].lease()]
        answers = await store.leases.acquire([wish(lease) for lease in leases])
        assert [answer.granted for answer in answers] == [True, False, True]
        assert answers[1].holder is None

    async def test_8_a_renewal_prolongs(self, store: Store) -> None:
        saga = await begin(store)
        lease = await hold(store, saga.lease(), seconds=60.0)
        before = await store.terms.database_time()
        assert await store.leases.renew([lease], LONG_SECONDS) == {lease.key}
        [renewed] = await store.recovery.leases([saga.saga_id])
        assert renewed.expires_at >= before + LONG_SECONDS
        assert renewed.token == lease.token

    async def test_8_a_renewal_brings_nothing_back(self, store: Store) -> None:
        """Hole 45: a lease that was released while its renewal was under way would never end."""
        released, never_held = await begin(store), await begin(store)
        lease = await hold(store, released.lease())
        await store.leases.release([lease])
        assert await store.leases.renew([lease, never_held.lease()], LONG_SECONDS) == set()
        assert await store.leases.reassert([lease, never_held.lease()], LONG_SECONDS) == set()
        assert await tokens(store, released) | await tokens(store, never_held) == set()

    async def test_8_what_the_database_lost_is_asserted_until_the_loss_is_acknowledged(
        self, store: Store, faults: Faults
    ) -> None:
        epoch = await lead(store)
        saga, late = await begin(store), await begin(store)
        lease, too_late = await hold(store, saga.lease()), await hold(store, late.lease())
        await faults.truncate_leases(store)
        assert await store.recovery.leases([saga.saga_id]) == []
        assert await store.leases.renew([lease], LONG_SECONDS) == set()
        assert await store.leases.reassert([lease], LONG_SECONDS) == {lease.key}
        assert await tokens(store, saga) == {lease.token}
        await store.recovery.acknowledge_truncation(epoch=epoch)
        assert await store.leases.reassert([too_late], LONG_SECONDS) == set()
        assert await tokens(store, late) == set()

    async def test_8_nothing_is_asserted_over_anothers_lease(self, store: Store, faults: Faults) -> None:
        saga = await begin(store)
        mine = await hold(store, saga.lease())
        await faults.truncate_leases(store)
        theirs = await hold(store, saga.lease(), seconds=0.0)
        assert await store.leases.reassert([mine], LONG_SECONDS) == set()
        assert await tokens(store, saga) == {theirs.token}

    async def test_8_a_renewal_takes_nothing_from_another_token(self, store: Store) -> None:
        lost, mine = await begin(store), await begin(store)
        holders = [await hold(store, lost.lease(), seconds=0.0), await hold(store, mine.lease())]
        late = lost.lease()
        assert await store.leases.renew([late, holders[1]], LONG_SECONDS) == {holders[1].key}
        assert await tokens(store, lost) == {holders[0].token}

    async def test_8_nothing_renewed_is_nothing(self, store: Store) -> None:
        assert await store.leases.renew([], 10.0) == set()
        assert await store.leases.acquire([]) == []

    async def test_8_a_lease_is_released_by_its_holder_only(self, store: Store, other: Store) -> None:
        saga = await begin(store)
        lease = await hold(store, saga.lease(instance=3))
        await other.leases.release([saga.lease(instance=3), saga.lease(instance=4, token=lease.token)])
        assert await tokens(store, saga) == {lease.token}
        await store.leases.release([lease])
        assert await tokens(store, saga) == set()
