# ruff: noqa: S101 - assertions are what a suite is made of
"""Duties 31 to 34: permits, and the queue for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

from goconductor.ports.store import Lease, LeaseKey, Limit, Permit, PermitAnswer, Store, Woken
from goconductor.ports.store.log.permits import WAKES_MAX
from goconductor.saga.ids import Direction
from goconductor.testing.contracts.store.material import LONG_SECONDS, Faults, StoreFixtures, eventually, hold, lead, new_number

TWO = Limit("payments.charge", total=2)
PER_HOUR = Limit("payments.charge", rate=2, interval_seconds=3600.0)
GRANTED, REFUSED, HELD = PermitAnswer.GRANTED, PermitAnswer.REFUSED, PermitAnswer.HELD


def permit(limit: Limit = TWO, *, key: LeaseKey | None = None, instance: int = 7) -> Permit:
    """Make a wish of a saga of its own, or of a piece of work."""
    key = key or LeaseKey(uuid4(), "charge", Direction.ACTION, 0)
    return Permit(limit, Lease(key=key, instance=instance, token=new_number()))


async def take(store: Store, *permits: Permit, seconds: float = LONG_SECONDS) -> list[PermitAnswer]:
    """Ask for permits in one call."""
    return await store.permits.take(permits, seconds)


async def filled(store: Store, limit: Limit = TWO) -> list[Permit]:
    """Take all that a limit has, from the first slot on."""
    permits = [permit(limit) for _ in range(limit.total or limit.rate or 0)]
    assert [await take(store, each) for each in permits] == [[GRANTED]] * len(permits)
    return permits


async def wake(store: Store, limit: Limit = TWO) -> Woken:
    """Wake the queue of one step."""
    [woken] = await store.permits.wake([limit])
    return woken


def keys(permits: Sequence[Permit]) -> tuple[LeaseKey, ...]:
    """Return what they are for."""
    return tuple(each.lease.key for each in permits)


class PermitContract(StoreFixtures):
    """How many of a step may run at once."""

    async def test_31_no_more_are_given_than_there_are(self, store: Store, other: Store) -> None:
        wishes = [permit() for _ in range(3)]
        answers = await take(store, *wishes)
        assert sorted(answer.value for answer in answers) == ["granted", "granted", "refused"]
        assert await take(other, permit()) == [REFUSED]
        assert await take(other, permit(Limit("payments.refund", total=1))) == [GRANTED]

    async def test_31_many_who_ask_at_once_get_no_more(self, store: Store, other: Store) -> None:
        five = Limit("payments.charge", total=5)
        answers = await asyncio.gather(*(take(each, permit(five), permit(five)) for _ in range(10) for each in (store, other)))
        granted = [answer for pair in answers for answer in pair].count(GRANTED)
        assert granted <= 5
        [use] = await store.permits.usage()
        assert (use.running, use.waiting) == (granted, 40 - granted)

    async def test_31_what_ends_is_free_again(self, store: Store) -> None:
        assert await take(store, permit(), permit(), seconds=0.0) == [GRANTED, GRANTED]
        assert await take(store, permit(), permit()) == [GRANTED, GRANTED]

    async def test_31_a_smaller_limit_uses_the_first_slots_only(self, store: Store) -> None:
        """Test two versions of a service with different limits: together they are never more than the greater one."""
        one, three = Limit("payments.charge", total=1), Limit("payments.charge", total=3)
        held = await filled(store, three)
        await store.permits.give_back(held[1:])
        small = permit(one)
        assert await take(store, small) == [REFUSED]
        assert (await wake(store, one)).works == ()
        answers = await take(store, permit(three), permit(three))
        assert sorted(answer.value for answer in answers) == ["granted", "refused"], "one is left to the queue"
        await store.permits.give_back(held[:1])
        assert (await wake(store, one)).works == keys([small])
        assert await take(store, small) == [GRANTED]

    async def test_31_work_under_a_lease_wants_no_second_permit(self, store: Store) -> None:
        mine = permit()
        await take(store, mine)
        await hold(store, mine.lease)
        assert await take(store, permit(key=mine.lease.key)) == [HELD]
        [use] = await store.permits.usage()
        assert (use.running, use.waiting) == (1, 0)

    async def test_31_all_that_a_limit_asks_for_is_given_or_nothing(self, store: Store) -> None:
        both = Limit("payments.charge", total=2, rate=1, interval_seconds=3600.0)
        first, second = permit(both), permit(both)
        assert await take(store, first) == [GRANTED]
        assert await take(store, second) == [REFUSED]
        [use] = await store.permits.usage()
        assert (use.running, use.begun, use.waiting) == (1, 1, 1)

    async def test_31_nobody_gets_one_while_the_leases_are_emptied(self, store: Store, faults: Faults) -> None:
        held = (await filled(store))[0]
        epoch = await lead(store)
        await faults.truncate_leases(store)
        waits = permit()
        assert await take(store, waits) == [REFUSED]
        assert (await wake(store)).works == ()
        assert await store.permits.reassert([held], LONG_SECONDS) == {held.lease.token}
        await store.recovery.calm_seconds(epoch=epoch)
        await store.recovery.acknowledge_truncation(epoch=epoch)
        assert await store.permits.reassert([permit()], LONG_SECONDS) == set()
        assert (await wake(store)).works == keys([waits])
        assert await take(store, waits, permit()) == [GRANTED, REFUSED]

    async def test_31_a_rate_is_never_given_back(self, store: Store) -> None:
        begun = await filled(store, PER_HOUR)
        assert await store.permits.give_back(begun) == set()
        assert await take(store, permit(PER_HOUR)) == [REFUSED]
        assert await store.permits.give_back(begun[:1], unused=True) == {"payments.charge"}
        woken = await wake(store, PER_HOUR)
        assert len(woken.works) == 1
        assert woken.free_seconds is not None
        assert 0.0 < woken.free_seconds <= 3600.0

    async def test_31_a_rate_is_free_again_after_its_interval(self, store: Store) -> None:
        often = Limit("payments.charge", rate=1, interval_seconds=0.0)
        assert await take(store, permit(often)) == [GRANTED]
        assert await take(store, permit(often)) == [GRANTED]

    async def test_32_only_its_holder_prolongs_a_permit(self, store: Store) -> None:
        mine, gone = permit(), permit()
        await take(store, mine)
        await take(store, gone, seconds=0.0)
        taker = permit()
        await take(store, taker)
        assert await store.permits.renew([mine, gone, taker, permit()], LONG_SECONDS) == {mine.lease.token, taker.lease.token}

    async def test_33_only_its_holder_gives_a_permit_back(self, store: Store) -> None:
        await filled(store)
        waits = permit()
        assert await take(store, waits) == [REFUSED]
        await store.permits.give_back([permit()])
        assert (await wake(store)).works == ()

    async def test_33_the_oldest_are_woken_and_nobody_overtakes_them(self, store: Store, other: Store) -> None:
        held = await filled(store)
        queue = [permit() for _ in range(3)]
        for each in queue:
            assert await take(store, each) == [REFUSED]
        assert await take(other, permit(key=queue[0].lease.key)) == [REFUSED], "it keeps its place"
        assert await store.permits.give_back(held[:1]) == {"payments.charge"}
        woken = await wake(other)
        assert (woken.works, woken.waiting) == (keys(queue[:1]), 3)
        assert (await wake(store)).works == ()
        assert await take(other, permit()) == [REFUSED], "a newcomer"
        assert await take(store, permit(key=queue[0].lease.key)) == [GRANTED]
        await store.permits.give_back(held)
        assert (await wake(store)).works == keys(queue[1:2])

    async def test_33_who_comes_and_is_refused_is_woken_again_however_often(self, store: Store) -> None:
        first, second = await filled(store)
        waits = permit(Limit("payments.charge", total=1))  # its message always comes to an instance with a smaller limit
        assert await take(store, waits) == [REFUSED]
        await store.permits.give_back([second])
        for _ in range(WAKES_MAX + 1):
            assert (await wake(store)).works == keys([waits])
            assert await take(store, waits) == [REFUSED]
        assert await take(store, permit()) == [REFUSED], "it has kept its place"
        await store.permits.give_back([first])
        assert await take(store, waits) == [GRANTED]

    async def test_33_what_is_forgotten_waits_no_more(self, store: Store) -> None:
        held = await filled(store)
        waits = permit()
        await take(store, waits)
        assert await store.permits.waiting_of(waits.lease.key.saga_id) == {waits.lease.key: "payments.charge"}
        await store.permits.forget([waits.lease.key])
        assert await store.permits.waiting_of(waits.lease.key.saga_id) == {}
        assert await store.permits.give_back(held) == set()
        assert (await wake(store)).waiting == 0

    async def test_34_usage_tells_what_is_held_and_who_waits(self, store: Store) -> None:
        await filled(store)
        await take(store, permit())
        [use] = await store.permits.usage()
        assert (use.step, use.running, use.begun, use.waiting) == ("payments.charge", 2, 0, 1)
        assert use.waiting_seconds >= 0.0

    async def test_12_the_permits_of_a_dead_instance_end(self, store: Store, other: Store, faults: Faults) -> None:
        instance = await other.instances.register("payments", "p1", {"charge": {}})
        assert await take(store, permit(instance=instance.serial), permit(instance=instance.serial)) == [GRANTED, GRANTED]
        await faults.age(store, instance.serial)
        await faults.kill(other, instance.serial)

        async def is_missing() -> bool:
            return any(each.serial == instance.serial for each in await store.instances.missing())

        await eventually(is_missing)
        await store.instances.mark_dead(instance.serial, epoch=await lead(store))
        assert await take(store, permit(), permit()) == [GRANTED, GRANTED]
