# ruff: noqa: S101 - assertions are what a suite is made of
"""Lists with filters, living instances, the leader's reports, dead letters one by one: the rest of
:class:`goconductor.ports.store.Sagas`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from goconductor.errors import FencedError
from goconductor.ports.store import DeadLetter, Start, Store, Wanted
from goconductor.saga.ids import saga_id
from goconductor.testing.contracts.store.material import (
    Faults,
    Saga,
    StoreFixtures,
    advance,
    event,
    eventually,
    hold,
    lead,
    new_number,
)


async def begin_now(store: Store, *entries: Any, **facts: Any) -> Saga:
    """Begin a saga whose id has the time in it, as those of processes have."""
    saga = Saga(saga_id(await store.terms.database_time(), new_number()))
    start: Start = saga.start(**({"entries": [event("SagaStarted"), *entries]} | facts))
    await store.starts.start([start])
    saga.seq, saga.tag = len(start.entries), start.new_tag
    return saga


async def found(store: Store, **wanted: Any) -> list[UUID]:
    """Return the ids, newest first; all of them."""
    page = await store.sagas.heads(Wanted(**wanted), limit=100, seconds=60.0)
    assert page.cursor is None
    return [head.saga_id for head in page.heads]


class SearchContract(StoreFixtures):
    """What people look for."""

    async def test_search_by_several_statuses(self, store: Store) -> None:
        running = await begin_now(store)
        stuck = await begin_now(store, status="stuck", wake_at=None)
        await begin_now(store, status="paused", wake_at=None)
        assert set(await found(store, statuses=("running", "stuck"))) == {running.saga_id, stuck.saga_id}
        assert await found(store, statuses=("completed",)) == []

    async def test_search_by_labels_wants_all_of_them(self, store: Store) -> None:
        both = await begin_now(store, labels={"team": "a", "note": 'é "quoted"'})
        one = await begin_now(store, labels={"team": "a"})
        await begin_now(store, labels={"team": "b"})
        assert set(await found(store, labels={"team": "a"})) == {both.saga_id, one.saga_id}
        assert await found(store, labels={"team": "a", "note": 'é "quoted"'}) == [both.saga_id]
        assert await found(store, labels={"te": "a"}) == []

    async def test_search_by_time_is_from_and_until(self, store: Store) -> None:
        first, second = await begin_now(store), await begin_now(store)
        head = await store.sagas.head(second.saga_id)
        assert head is not None
        between = head.started_at
        assert await found(store, started_from=between) == [second.saga_id]
        assert await found(store, started_until=between) == [first.saga_id]
        await advance(store, first)
        assert await found(store, updated_from=head.updated_at, updated_until=head.updated_at + 3600) != [second.saga_id]
        assert await found(store, updated_until=head.updated_at) == []
        assert await found(store, started_from=between + 86_400) == []

    async def test_search_by_error_reads_failures_and_reasons_of_the_events_that_tell(self, store: Store) -> None:
        failed = event("ActionFailed", data=b'{"failure":{"type":"ConnectionError","message":"Refused by \\u00dcml"}}')
        aborted = event("AbortRequested", data=b'{"reason":"the customer left"}', step="")
        quiet = event("ActionSucceeded", data=b'{"failure":{"type":"ConnectionError"}}')
        first, second, _ = await begin_now(store, failed), await begin_now(store, aborted), await begin_now(store, quiet)
        telling = {"error_events": ("ActionFailed", "AbortRequested")}
        assert await found(store, error="connectionerror: REFUSED", **telling) == [first.saga_id]
        assert await found(store, error="customer", **telling) == [second.saga_id]
        assert await found(store, error="100%_", **telling) == []
        assert await found(store, error="by Üml", **telling) == [first.saga_id]

    async def test_search_pages_show_each_once(self, store: Store) -> None:
        wanted = sorted([(await begin_now(store, labels={"odd": str(n % 2)})).saga_id for n in range(9)][1::2], reverse=True)
        seen, before = [], None
        while True:
            page = await store.sagas.heads(Wanted(labels={"odd": "1"}), before=before, limit=2, seconds=60.0)
            seen += [head.saga_id for head in page.heads]
            before = page.cursor
            if before is None:
                break
        assert seen == wanted

    async def test_search_without_time_comes_to_its_end_by_its_cursors(self, store: Store) -> None:
        sagas = [(await begin_now(store, saga="rare" if n == 0 else "order")).saga_id for n in range(5)]
        seen, before = [], None
        for _ in range(len(sagas) + 1):
            page = await store.sagas.heads(Wanted(saga="rare"), before=before, limit=3, seconds=0.0)
            seen += [head.saga_id for head in page.heads]
            assert page.cursor is None or before is None or page.cursor < before
            before = page.cursor
            if before is None:
                break
        assert (before, seen) == (None, [sagas[0]])

    async def test_presence_tells_the_living_from_the_dead(self, store: Store, other: Store, faults: Faults) -> None:
        lives = await store.instances.register("payments", "pod-0", {"charge": {}})
        left = await store.instances.register("payments", "pod-1", {})
        await store.instances.unregister(left.serial)
        now = await store.terms.database_time()
        shown = {
            instance.serial: (instance, presence) for instance, presence in await other.instances.presence(dead_since=now - 60)
        }
        assert list(shown) == [lives.serial, left.serial]
        assert (shown[lives.serial][0], shown[lives.serial][1].alive) == (lives, True)
        heard_at = shown[lives.serial][1].heard_at
        assert heard_at is not None
        assert abs(heard_at - now) < 60
        assert (shown[left.serial][1].alive, shown[left.serial][0].dead_at is not None) == (False, True)
        assert [instance.serial for instance, _ in await other.instances.presence(dead_since=now + 60)] == [lives.serial]
        await faults.kill(store, lives.serial)

        async def is_missed() -> bool:
            ((instance, presence),) = await other.instances.presence(dead_since=now + 60)
            return not presence.alive and instance.dead_at is None

        await eventually(is_missed)

    async def test_presence_counts_living_leases(self, store: Store) -> None:
        instance = await store.instances.register("payments", "pod-0", {})
        saga = await begin_now(store)
        await hold(store, saga.lease("a", instance=instance.serial), seconds=500)
        first = await hold(store, saga.lease("b", instance=instance.serial), seconds=100)
        await hold(store, saga.lease("c", instance=instance.serial + 1))
        ((_, presence),) = await store.instances.presence(dead_since=0.0)
        assert presence.leases == 2
        ends = {lease.key: lease.expires_at for lease in await store.recovery.leases([saga.saga_id])}
        assert presence.lease_ends_at == ends[first.key]

    async def test_sweep_is_noted_by_the_present_leader_only(self, store: Store, other: Store) -> None:
        assert await store.recovery.last_sweep() is None
        epoch = await lead(store)
        await store.recovery.note_sweep({"sagas": 3, "sent_again": 1}, epoch=epoch)
        noted = await other.recovery.last_sweep()
        assert noted is not None
        assert (noted.epoch, noted.did, noted.at > 0) == (epoch, {"sagas": 3, "sent_again": 1}, True)
        later = await lead(store)
        with pytest.raises(FencedError):
            await store.recovery.note_sweep({"sagas": 9}, epoch=epoch)
        assert await store.recovery.last_sweep() == noted
        await store.recovery.note_sweep({"sagas": 4}, epoch=later)
        again = await store.recovery.last_sweep()
        assert again is not None
        assert (again.epoch, again.did) == (later, {"sagas": 4})

    async def test_dead_letters_are_paged_fetched_and_dropped_once(self, store: Store, other: Store) -> None:
        for number in range(3):
            await store.dead_letters.put(DeadLetter(topic="payments", payload=str(number).encode(), reason="not readable"))
        newest, middle, oldest = await store.dead_letters.newest()
        assert await store.dead_letters.newest(limit=1, before=newest.letter_id) == [middle]
        assert await store.dead_letters.newest(before=oldest.letter_id) == []
        assert await other.dead_letters.get(middle.letter_id) == middle
        assert [await each.dead_letters.drop(middle.letter_id) for each in (other, store)] == [True, False]
        assert await store.dead_letters.get(middle.letter_id) is None
        assert await store.dead_letters.newest() == [newest, oldest]
