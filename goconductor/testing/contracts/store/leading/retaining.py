# ruff: noqa: S101 - assertions are what a suite is made of
"""Duty 19: letting go of what is old."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
import pytest

from goconductor.errors import FencedError
from goconductor.ports.store import Cursor, DeadLetter, Forgettable, Forgotten, Store, Verdict
from goconductor.saga.ids import CHILDREN_NAMESPACE, child_key, saga_id
from goconductor.testing.contracts.store.leading.recovering import dead_one
from goconductor.testing.contracts.store.material import (
    FAR,
    Faults,
    Saga,
    StoreFixtures,
    advance,
    event,
    eventually,
    head_of,
    hold,
    lead,
    tokens,
)

OVER = ("completed", "compensated", "terminated")


async def forget(
    store: Store, kind: Forgettable, epoch: int, *, before: float = FAR, after: Cursor | None = None, limit: int = 100
) -> Forgotten:
    return await store.retention.forget(kind, before=before, ended=OVER, after=after, limit=limit, epoch=epoch)


async def begin(store: Store, **facts: Any) -> Saga:
    """Begin a saga whose id has the present time."""
    saga = Saga(saga_id(await store.terms.database_time(), secrets.randbits(74)))
    start = saga.start(**facts)
    [outcome] = await store.starts.start([start])
    assert outcome.verdict is Verdict.WON
    saga.seq, saga.tag = 1, start.new_tag
    return saga


async def ended(store: Store, status: str = "completed", **facts: Any) -> Saga:
    saga = await begin(store, **facts)
    await advance(store, saga, status=status, wake_at=None)
    return saga


def started_by(parent: Saga) -> dict[str, Any]:
    """Return what is said at the start of a saga that a step of another one starts."""
    said = {"parent": {"saga_id": str(parent.saga_id), "step": "parcel", "round": 0, "attempt": 1}}
    key = child_key(parent.saga_id, "parcel", 0, 1)
    entries = [event("SagaStarted", data=msgspec.json.encode(said))]
    return {"namespace": CHILDREN_NAMESPACE, "key": key, "input_hash": b"1", "entries": entries}


class RetentionContract(StoreFixtures):
    """What is over goes; what lives stays, however old."""

    async def test_19_sagas_that_ended_go_with_their_log_and_their_leases(self, store: Store) -> None:
        epoch = await lead(store)
        gone = [await ended(store, status) for status in OVER]
        await hold(store, gone[0].lease())
        forgotten = await forget(store, Forgettable.SAGAS, epoch)
        assert forgotten == Forgotten(taken=3, entries=6)
        for saga in gone:
            assert await store.sagas.head(saga.saga_id) is None
            assert await store.sagas.history(saga.saga_id) == []
        assert await tokens(store, gone[0]) == set()

    async def test_19_leases_that_are_left_of_sagas_that_are_over_go(self, store: Store) -> None:
        epoch = await lead(store)
        over = [await ended(store, status) for status in OVER]
        still = [await begin(store, status=status, wake_at=None) for status in ("stuck", "paused", "held")]
        running, nowhere = await begin(store), Saga(saga_id(await store.terms.database_time(), secrets.randbits(74)))
        for saga in (*over, nowhere, *still, running):
            await hold(store, saga.lease(), seconds=0.0)
        living = await hold(store, over[0].lease("payments.refund"))
        now = await store.terms.database_time()
        assert (await forget(store, Forgettable.LEASES, epoch, before=now - 3600)).taken == 0
        taken, after = 0, None
        while taken == 0 or after is not None:
            step = await forget(store, Forgettable.LEASES, epoch, before=now + 1, after=after, limit=2)
            taken, after = taken + step.taken, step.after
        assert taken == 4
        assert await tokens(store, over[0]) == {living.token}
        for saga in (*over[1:], nowhere):
            assert await tokens(store, saga) == set()
        for saga in (*still, running):
            assert len(await tokens(store, saga)) == 1

    async def test_19_whatever_may_still_move_stays_however_old(self, store: Store) -> None:
        epoch = await lead(store)
        live = [await begin(store, status=status) for status in ("queued", "running", "compensating")]
        still = [await begin(store, status=status, wake_at=None) for status in ("stuck", "paused", "held")]
        assert (await forget(store, Forgettable.SAGAS, epoch)).taken == 0
        for saga in live + still:
            assert await store.sagas.head(saga.saga_id) is not None
            assert len(await store.sagas.history(saga.saga_id)) == 1

    async def test_19_a_saga_is_as_old_as_its_last_change(self, store: Store) -> None:
        epoch = await lead(store)
        young, old = await begin(store), await begin(store)
        await advance(store, young, status="completed", wake_at=None)
        await advance(store, old, status="completed", wake_at=None)
        await forget(store, Forgettable.SAGAS, epoch, before=(await head_of(store, young)).updated_at)
        assert await store.sagas.head(young.saga_id) is not None
        assert (await forget(store, Forgettable.SAGAS, epoch)).taken == 2

    async def test_19_a_walk_in_small_steps_passes_by_what_lives_and_gets_to_the_end(self, store: Store) -> None:
        epoch = await lead(store)
        live = [await begin(store) for _ in range(7)]
        for _ in range(7):
            await ended(store)
        taken, after = 0, None
        for _ in range(20):
            forgotten = await forget(store, Forgettable.SAGAS, epoch, after=after, limit=2)
            assert forgotten.taken <= 2
            taken, after = taken + forgotten.taken, forgotten.after
            if after is None:
                break
        assert (taken, after) == (7, None)
        page = await store.sagas.heads()
        assert {head.saga_id for head in page.heads} == {saga.saga_id for saga in live}

    async def test_19_a_key_goes_before_its_saga_and_then_starts_anew(self, store: Store) -> None:
        epoch = await lead(store)
        over = await ended(store, key="a", input_hash=b"1")
        live = await begin(store, key="b", input_hash=b"1")
        assert (await forget(store, Forgettable.START_KEYS, epoch)).taken == 1
        assert await store.sagas.head(over.saga_id) is not None
        again = [Saga().start(key=key, input_hash=b"2") for key in ("a", "b")]
        first, second = await store.starts.start(again)
        assert first.verdict is Verdict.WON
        assert (second.verdict, second.existing) == (Verdict.OTHER_INPUT, live.saga_id)
        assert (await forget(store, Forgettable.START_KEYS, epoch)).taken == 0

    async def test_19_a_saga_that_another_one_started_stays_with_its_key_until_that_one_ends(self, store: Store) -> None:
        epoch = await lead(store)
        parent = await begin(store, status="paused", wake_at=None)
        child = await ended(store, **started_by(parent))
        assert (await forget(store, Forgettable.START_KEYS, epoch)).taken == 0
        assert (await forget(store, Forgettable.SAGAS, epoch)).taken == 0
        again = Saga().start(**started_by(parent))
        [outcome] = await store.starts.start([again])
        assert (outcome.verdict, outcome.existing) == (Verdict.ALREADY_STARTED, child.saga_id)
        await advance(store, parent, status="terminated", wake_at=None)
        assert (await forget(store, Forgettable.START_KEYS, epoch)).taken == 1
        assert (await forget(store, Forgettable.SAGAS, epoch)).taken == 2

    async def test_19_a_saga_whose_parent_is_gone_goes(self, store: Store) -> None:
        epoch = await lead(store)
        await ended(store, **started_by(Saga()))
        assert (await forget(store, Forgettable.START_KEYS, epoch)).taken == 1
        assert (await forget(store, Forgettable.SAGAS, epoch)).taken == 1

    async def test_19_keys_of_sagas_that_are_gone_go_as_well(self, store: Store) -> None:
        epoch = await lead(store)
        for key in "abcde":
            await ended(store, key=key, input_hash=b"")
        await forget(store, Forgettable.SAGAS, epoch)
        taken, after = 0, None
        for _ in range(10):
            forgotten = await forget(store, Forgettable.START_KEYS, epoch, after=after, limit=2)
            taken, after = taken + forgotten.taken, forgotten.after
            if after is None:
                break
        assert (taken, after) == (5, None)

    async def test_19_dead_letters_go_the_oldest_first(self, store: Store) -> None:
        epoch = await lead(store)
        for number in range(5):
            await store.dead_letters.put(DeadLetter(topic="t", payload=b"%d" % number, reason="r"))
        newest = (await store.dead_letters.newest())[0]
        assert (await forget(store, Forgettable.DEAD_LETTERS, epoch, before=0.0)).taken == 0
        forgotten = await forget(store, Forgettable.DEAD_LETTERS, epoch, limit=2)
        assert forgotten.taken == 2
        assert [letter.payload for letter in await store.dead_letters.newest()] == [b"4", b"3", b"2"]
        forgotten = await forget(store, Forgettable.DEAD_LETTERS, epoch, before=newest.at, after=forgotten.after)
        assert next(letter.payload for letter in await store.dead_letters.newest()) == b"4"

    async def test_19_instances_that_are_gone_go_those_that_live_stay(self, store: Store, other: Store, faults: Faults) -> None:
        epoch = await lead(store)
        left = await store.instances.register("command", "line", {})
        await store.instances.unregister(left.serial)
        dead = await dead_one(store, other, faults)
        alive = await store.instances.register("payments", "pod-1", {})
        assert (await forget(store, Forgettable.INSTANCES, epoch)).taken == 1
        assert [one.serial for one in await store.instances.registered()] == [dead.serial, alive.serial]
        await store.instances.mark_dead(dead.serial, epoch=epoch)

        async def is_gone() -> bool:  # its lock may be free an instant later than it was seen to be missing
            await forget(store, Forgettable.INSTANCES, epoch)
            return [one.serial for one in await store.instances.registered()] == [alive.serial]

        await eventually(is_gone)
        assert (await store.instances.register("payments", "pod-2", {})).serial > alive.serial

    @pytest.mark.parametrize("kind", list(Forgettable))
    async def test_19_a_leader_of_the_past_forgets_nothing(self, store: Store, kind: Forgettable) -> None:
        old = await lead(store)
        await lead(store)
        saga = await ended(store, key="a", input_hash=b"")
        await store.dead_letters.put(DeadLetter(topic="t", payload=b"", reason="r"))
        gone = await store.instances.register("command", "line", {})
        await store.instances.unregister(gone.serial)
        with pytest.raises(FencedError):
            await forget(store, kind, old)
        assert await store.sagas.head(saga.saga_id) is not None
        assert len(await store.dead_letters.newest()) == len(await store.instances.registered()) == 1
        [outcome] = await store.starts.start([Saga().start(key="a", input_hash=b"")])
        assert outcome.verdict is Verdict.ALREADY_STARTED
