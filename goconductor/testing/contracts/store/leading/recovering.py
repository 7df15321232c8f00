# ruff: noqa: S101 - assertions are what a suite is made of
"""Duties 9 to 16: what the leader needs."""

from __future__ import annotations

import secrets

import pytest

from goconductor.errors import FencedError
from goconductor.ports.store import Instance, Known, Store
from goconductor.testing.contracts.store.material import (
    FAR,
    Faults,
    Saga,
    StoreFixtures,
    acquire,
    advance,
    begin,
    event,
    eventually,
    head_of,
    hold,
    lead,
    tokens,
)


async def old_instance(store: Store, faults: Faults) -> Instance:
    instance = await store.instances.register("payments", "pod-0", {})
    await faults.age(store, instance.serial)
    return instance


async def serials(store: Store) -> list[int]:
    return [instance.serial for instance in await store.instances.missing()]


async def dead_one(store: Store, other: Store, faults: Faults) -> Instance:
    """Return an instance of the other store, which has died and is seen to be missing."""
    instance = await old_instance(other, faults)
    await faults.kill(other, instance.serial)

    async def is_missing() -> bool:
        return await serials(store) == [instance.serial]

    await eventually(is_missing)
    return instance


class RecoveryContract(StoreFixtures):
    """Sagas that stand still, and instances that died."""

    async def test_9_due_sagas_come_oldest_first(self, store: Store) -> None:
        late, early = await begin(store, wake_at=20.0), await begin(store, wake_at=10.0)
        await begin(store, wake_at=FAR)
        await begin(store, status="stuck", wake_at=None)
        stuck = await begin(store, status="stuck", wake_at=30.0)
        assert [head.saga_id for head in await store.recovery.due(10)] == [early.saga_id, late.saga_id, stuck.saga_id]
        [first] = await store.recovery.due(1)
        assert first == await head_of(store, early)

    async def test_9_all_that_live_can_be_walked_through_once(self, store: Store) -> None:
        live = sorted([(await begin(store, wake_at=wake_at)).saga_id for wake_at in (FAR, 1.0, FAR, 2.0, FAR)])
        await begin(store, status="stuck", wake_at=None)
        first = await store.recovery.live(3)
        assert first[0] == (await store.recovery.live(1))[0]
        rest = await store.recovery.live(3, after=first[-1].saga_id)
        assert [head.saga_id for head in (*first, *rest)] == live
        assert await store.recovery.live(3, after=rest[-1].saga_id) == []

    async def test_16_the_logs_of_sagas_are_weighed(self, store: Store) -> None:
        small, large = await begin(store), await begin(store)
        noise = secrets.token_hex(100_000).encode()  # nothing that could be compressed to a hundredth
        await advance(store, large, event(data=b'{"output":"%s"}' % noise), event(data=b'{"output":"%s"}' % noise))
        weights = await store.recovery.weigh([large.saga_id, Saga().saga_id, small.saga_id])
        assert 150_000 < weights[0] < 450_000
        assert weights[1] == 0 < weights[2] < 1_000

    async def test_9_a_saga_is_postponed_only_where_it_was_seen(self, store: Store) -> None:
        epoch = await lead(store)
        seen, moved, lost = await begin(store, wake_at=1.0), await begin(store, wake_at=1.0), await begin(store, wake_at=1.0)
        stale = moved.known
        await advance(store, moved, wake_at=2.0)
        before = await head_of(store, seen)
        await store.recovery.postpone([(seen.known, FAR), (stale, FAR), (Known(lost.saga_id, 1, 4711), FAR)], epoch=epoch)
        assert [head.saga_id for head in await store.recovery.due(10)] == [lost.saga_id, moved.saga_id]
        after = await head_of(store, seen)
        assert (after.wake_at, after.seq, after.tag, after.updated_at) == (FAR, before.seq, before.tag, before.updated_at)
        await advance(store, seen)

    async def test_9_a_saga_rests_only_where_it_was_seen_and_has_ended(self, store: Store) -> None:
        over, moved, lives = [await begin(store, wake_at=1.0) for _ in range(3)]
        for saga in (over, moved):
            await advance(store, saga, status="completed", wake_at=FAR)
        stale = moved.known
        await advance(store, moved, status="completed", wake_at=FAR)
        await store.recovery.rest([over.known, stale, lives.known, Saga().known])
        assert [(await head_of(store, saga)).wake_at for saga in (over, moved, lives)] == [None, FAR, 1.0]

    async def test_10_a_leader_of_the_past_postpones_nothing(self, store: Store) -> None:
        old = await lead(store)
        await lead(store)
        saga = await begin(store, wake_at=1.0)
        with pytest.raises(FencedError):
            await store.recovery.postpone([(saga.known, FAR)], epoch=old)
        assert (await head_of(store, saga)).wake_at == 1.0

    async def test_9_leases_are_listed_expired_or_not(self, store: Store) -> None:
        one, two, three = await begin(store), await begin(store), await begin(store)
        living, expired = await hold(store, one.lease()), await hold(store, two.lease(), seconds=0.0)
        await hold(store, three.lease())
        listed = await store.recovery.leases([one.saga_id, two.saga_id])
        assert {lease.token for lease in listed} == {living.token, expired.token}

    async def test_10_the_leader_frees_leases_by_key_instance_and_token(self, store: Store) -> None:
        epoch = await lead(store)
        saga = await begin(store)
        lease = await hold(store, saga.lease(instance=3))
        await store.recovery.free([saga.lease(instance=3), saga.lease(instance=4, token=lease.token)], epoch=epoch)
        assert await tokens(store, saga) == {lease.token}
        await store.recovery.free([lease], epoch=epoch)
        assert await tokens(store, saga) == set()

    async def test_10_a_leader_of_the_past_frees_nothing(self, store: Store) -> None:
        old = await lead(store)
        await lead(store)
        saga = await begin(store)
        lease = await hold(store, saga.lease())
        with pytest.raises(FencedError):
            await store.recovery.free([lease], epoch=old)
        assert await tokens(store, saga) == {lease.token}

    async def test_11_who_lives_is_not_missing(self, store: Store, other: Store, faults: Faults) -> None:
        await old_instance(store, faults)
        await old_instance(other, faults)
        assert await serials(store) == []

    async def test_2_what_an_instance_offers_can_change(self, store: Store, other: Store) -> None:
        one, two = [await store.instances.register("shop", name, {"pay": {"journal": False}}) for name in ("one", "two")]
        await store.instances.offer(one.serial, {"pay": {"journal": False}, "pack": {"journal": False}})
        seen = {each.serial: set(each.steps) for each in await other.instances.registered("shop")}
        assert seen == {one.serial: {"pay", "pack"}, two.serial: {"pay"}}
        await store.instances.offer(one.serial, {})
        assert [each.steps for each in await other.instances.registered("shop") if each.serial == one.serial] == [{}]

    async def test_11_who_died_is_missing(self, store: Store, other: Store, faults: Faults) -> None:
        if other is not store:
            await old_instance(store, faults)
        instance = await dead_one(store, other, faults)
        [missing] = await store.instances.missing()
        assert (missing.serial, missing.participant, missing.name) == (instance.serial, "payments", "pod-0")

    async def test_11_a_newcomer_is_never_missing(self, store: Store, other: Store, faults: Faults) -> None:
        old, new = await old_instance(other, faults), await other.instances.register("payments", "pod-1", {})
        await faults.kill(other, old.serial)
        await faults.kill(other, new.serial)

        async def is_missing() -> bool:
            return old.serial in await serials(store)

        await eventually(is_missing)
        known = {instance.serial: instance for instance in await store.instances.registered()}
        seen = await serials(store)
        if await store.terms.database_time() < known[new.serial].started_at + 1.0:
            assert seen == [old.serial]
        await faults.age(store, new.serial)
        assert await serials(store) == [old.serial, new.serial]

    async def test_11_who_unregistered_is_not_missing(self, store: Store, other: Store, faults: Faults) -> None:
        gone = await old_instance(other, faults)
        await other.instances.unregister(gone.serial)
        dead = await old_instance(other, faults)
        await faults.kill(other, dead.serial)

        async def is_missing() -> bool:
            return await serials(store) == [dead.serial]

        await eventually(is_missing)

    async def test_12_the_dead_leave_their_leases_and_their_live_sagas(self, store: Store, other: Store, faults: Faults) -> None:
        epoch = await lead(store)
        dead = await dead_one(store, other, faults)
        mine, ended, handed_on, others = [await begin(store, instance=dead.serial) for _ in range(4)]
        await advance(store, ended, status="completed", wake_at=None, instance=dead.serial)
        await advance(store, handed_on, instance=dead.serial + 1)
        held = await hold(store, mine.lease(instance=dead.serial))
        await hold(store, others.lease(instance=dead.serial + 1))
        leases, sagas = await store.instances.mark_dead(dead.serial, epoch=epoch)
        assert [(lease.key, lease.token) for lease in leases] == [(held.key, held.token)]
        assert leases[0].expires_at <= await store.terms.database_time()
        assert (await acquire(store, mine.lease(instance=dead.serial + 1))).taken_from == dead.serial
        assert sagas == sorted([mine.saga_id, others.saga_id])
        assert await serials(store) == []
        [known] = [instance for instance in await store.instances.registered() if instance.serial == dead.serial]
        assert known.dead_at is not None

    async def test_12_declared_dead_twice_is_told_the_same(self, store: Store, other: Store, faults: Faults) -> None:
        epoch = await lead(store)
        dead = await dead_one(store, other, faults)
        saga = await begin(store, instance=dead.serial)
        await store.instances.mark_dead(dead.serial, epoch=epoch)
        [first] = await store.instances.registered()
        assert await store.instances.mark_dead(dead.serial, epoch=epoch) == ([], [saga.saga_id])
        assert await store.instances.registered() == [first]

    async def test_12_who_lives_cannot_be_declared_dead(self, store: Store, other: Store, faults: Faults) -> None:
        epoch = await lead(store)
        alive = await old_instance(other, faults)
        await begin(store, instance=alive.serial)
        assert await store.instances.mark_dead(alive.serial, epoch=epoch) == ([], [])
        assert [instance.dead_at for instance in await store.instances.registered()] == [None]

    async def test_12_a_leader_of_the_past_declares_nobody_dead(self, store: Store, other: Store, faults: Faults) -> None:
        old = await lead(store)
        await lead(store)
        dead = await dead_one(store, other, faults)
        with pytest.raises(FencedError):
            await store.instances.mark_dead(dead.serial, epoch=old)
        assert await serials(store) == [dead.serial]

    async def test_13_a_crash_of_the_database_is_told_until_it_was_acknowledged(self, store: Store, faults: Faults) -> None:
        epoch = await lead(store)
        assert not await store.recovery.leases_truncated()
        await faults.truncate_leases(store)
        assert await store.recovery.leases_truncated()
        assert await store.recovery.leases_truncated()
        await store.recovery.acknowledge_truncation(epoch=epoch)
        assert not await store.recovery.leases_truncated()
        await store.recovery.acknowledge_truncation(epoch=epoch)

    async def test_13_a_leader_of_the_past_acknowledges_nothing(self, store: Store, faults: Faults) -> None:
        old = await lead(store)
        await lead(store)
        await faults.truncate_leases(store)
        with pytest.raises(FencedError):
            await store.recovery.acknowledge_truncation(epoch=old)
        assert await store.recovery.leases_truncated()

    async def test_14_the_store_says_for_how_long_leases_can_be_believed(
        self, store: Store, other: Store, faults: Faults
    ) -> None:
        """Hole 49: also a leader that comes later counts from the loss, and not from its own beginning."""
        epoch = await lead(store)
        first, second = await store.recovery.calm_seconds(epoch=epoch), await other.recovery.calm_seconds(epoch=epoch)
        assert 0.0 <= first <= second
        before = await store.terms.database_time()
        await faults.truncate_leases(store)
        noticed = await _calm_since(store, epoch)
        assert noticed[1] >= before - 0.001
        successor = await lead(other)
        for each in (other, store):
            since = await _calm_since(each, successor)
            assert since[0] - 0.001 <= noticed[1]
            assert noticed[0] <= since[1] + 0.001
        await store.recovery.acknowledge_truncation(epoch=successor)

    async def test_14_a_leader_of_the_past_writes_nothing_down(self, store: Store, faults: Faults) -> None:
        old = await lead(store)
        await lead(store)
        await faults.truncate_leases(store)
        with pytest.raises(FencedError):
            await store.recovery.calm_seconds(epoch=old)


async def _calm_since(store: Store, epoch: int) -> tuple[float, float]:
    """Return from when on leases can be believed, in the database's time: not before the first, and not after the second."""
    asked_at = await store.terms.database_time()
    calm_seconds = await store.recovery.calm_seconds(epoch=epoch)
    return asked_at - calm_seconds, await store.terms.database_time() - calm_seconds
