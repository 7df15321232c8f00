"""Leases of long steps are kept, whatever the step does to the event loop; never beyond its deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest

from goconductor.engine.facts.clock import SystemClock
from goconductor.engine.work.renewal import Renewal
from goconductor.errors import ConfigurationError, StoreUnavailableError
from goconductor.ports.clock import Clock
from goconductor.ports.store import Lease, LeaseKey
from goconductor.saga.ids import Direction
from goconductor.stores.memory import MemoryStore
from goconductor.stores.memory.log.leases import MemoryLeases
from goconductor.testing.clock import ManualClock
from goconductor.testing.contracts.store.material import hold

LEASE_SECONDS = 0.6
LOOKS = 10
"""The thread looks at its clock less often than this in one round."""

LEASE = Lease(key=LeaseKey(UUID(int=1), "pack", Direction.ACTION), instance=1, token=7)


class Looked(ManualClock):
    """A clock that stands still until it is moved, and says when the thread of renewals looked at it."""

    def __init__(self) -> None:
        super().__init__()
        self._looked = threading.Semaphore(0)

    def monotonic(self) -> float:
        if threading.current_thread() is not threading.main_thread():
            self._looked.release()
        return super().monotonic()

    async def looked(self) -> None:
        """Wait until the thread has looked for what is due, and done it, at the time that it is now."""
        while self._looked.acquire(blocking=False):
            pass
        for _ in range(LOOKS):
            assert await asyncio.to_thread(self._looked.acquire, timeout=300)


class Told(MemoryStore):
    """A store that says when it renewed."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self.lengths: list[float] = []
        self.renewed = threading.Semaphore(0)
        self.away = 0
        signals = self

        class Leases(MemoryLeases):
            async def renew(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
                if signals.away:
                    signals.away -= 1
                    raise StoreUnavailableError
                kept = await super().renew(leases, lease_seconds)
                signals.lengths.append(lease_seconds)
                signals.renewed.release()
                return kept

        self.leases = Leases(self.data)


async def held(open_store: Callable[[], Told], deadline_seconds: float, clock: Clock | None = None) -> Renewal:
    clock = clock or SystemClock()
    store = open_store()
    if LEASE.key not in store.data.leases:
        await hold(store, LEASE, seconds=LEASE_SECONDS)
    renewal = Renewal(open_store, clock, LEASE_SECONDS)
    renewal.hold(LEASE, expires=clock.monotonic() + LEASE_SECONDS, deadline=clock.monotonic() + deadline_seconds)
    renewal.start()
    return renewal


async def test_a_blocked_event_loop_keeps_its_leases() -> None:
    store = Told()
    renewal = await held(lambda: store, 60)
    expired, expired_at = renewal.expires(LEASE), store.data.leases[LEASE.key].expires_at
    assert expired is not None
    for _ in range(4):  # blocks this loop, as a step may, for longer than a lease's life
        assert store.renewed.acquire(timeout=300)
    assert store.data.leases[LEASE.key].expires_at > expired_at + LEASE_SECONDS
    expires = renewal.expires(LEASE)
    assert expires is not None
    assert expires > expired + LEASE_SECONDS / 2  # the last of the four may not be noted yet
    await renewal.stop()
    assert renewal.lost == 0


class Refused(Told):
    """A store that cannot be opened, as long as its password is wrong."""

    closed = False

    async def open(self) -> None:
        raise ConfigurationError("the password is wrong")

    async def close(self) -> None:
        self.closed = True


async def test_a_store_that_could_not_be_opened_is_left_for_another_one(caplog: pytest.LogCaptureFixture) -> None:
    refused, store = Refused(), Told()
    await hold(store, LEASE, seconds=60)
    made = iter([refused])
    clock = SystemClock()
    renewal = Renewal(lambda: next(made, store), clock, LEASE_SECONDS)
    renewal.hold(LEASE, expires=clock.monotonic(), deadline=clock.monotonic() + 60)
    renewal.start()
    assert await asyncio.to_thread(store.renewed.acquire, timeout=300)
    await renewal.stop()
    assert refused.closed
    assert not refused.lengths
    assert "cannot renew 1 leases now, trying again: the password is wrong" in caplog.text


async def test_short_steps_write_no_renewal() -> None:
    clock = Looked()
    store = Told(clock)
    renewal = await held(lambda: store, 60, clock)
    await clock.advance(LEASE_SECONDS / 4)
    await clock.looked()
    renewal.drop(LEASE)
    await clock.advance(LEASE_SECONDS)
    await clock.looked()
    await renewal.stop()
    assert store.lengths == []
    assert renewal.expires(LEASE) is None


async def test_the_store_of_the_thread_is_closed_after_the_last_long_step_and_another_is_opened_for_the_next() -> None:
    opened, closed = threading.Semaphore(0), threading.Semaphore(0)

    class Watched(Told):
        async def open(self) -> None:
            opened.release()

        async def close(self) -> None:
            closed.release()

    store, clock = Watched(), SystemClock()
    renewal = await held(lambda: store, 600)
    for _ in range(2):
        assert await asyncio.to_thread(opened.acquire, timeout=300)
        assert await asyncio.to_thread(store.renewed.acquire, timeout=300)
        renewal.drop(LEASE)
        assert await asyncio.to_thread(closed.acquire, timeout=300)
        renewal.hold(LEASE, expires=clock.monotonic() + LEASE_SECONDS, deadline=clock.monotonic() + 600)
    await renewal.stop()


async def test_no_lease_is_renewed_beyond_its_deadline() -> None:
    clock = Looked()
    store = Told(clock)
    deadline = clock.monotonic() + 0.9
    renewal = await held(lambda: store, 0.9, clock)
    for _ in range(4):
        await clock.advance(0.25)
        await clock.looked()
    await renewal.stop()
    assert renewal.expires(LEASE) == pytest.approx(deadline)
    assert clock.monotonic() > deadline
    assert store.lengths == pytest.approx([LEASE_SECONDS, 0.4])


async def test_a_lease_that_another_one_has_is_given_up() -> None:
    store = Told()
    await hold(store, Lease(key=LEASE.key, instance=2, token=8))
    renewal = await held(lambda: store, 60)
    assert await asyncio.to_thread(store.renewed.acquire, timeout=300)
    await renewal.stop()
    assert (renewal.lost, renewal.expires(LEASE)) == (1, None)


async def test_a_lease_that_was_dropped_while_it_was_renewed_stays_away() -> None:
    """Hole 45: a step ends, its lease is released, and the renewal that was under way arrives."""
    on_its_way, go_on = threading.Event(), threading.Event()

    class Slow(MemoryLeases):
        async def renew(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
            on_its_way.set()
            await asyncio.to_thread(go_on.wait)
            return await renew(leases, lease_seconds)

    store = Told()
    renew, store.leases = store.leases.renew, Slow(store.data)
    renewal = await held(lambda: store, 60)
    assert await asyncio.to_thread(on_its_way.wait, 300)
    renewal.drop(LEASE)
    await store.leases.release([LEASE])
    go_on.set()
    assert await asyncio.to_thread(store.renewed.acquire, timeout=300)
    await renewal.stop()
    assert store.data.leases == {}
    assert renewal.lost == 0


async def test_leases_that_the_database_lost_are_asserted_but_not_those_that_were_dropped_meanwhile() -> None:
    asserted, go_on = threading.Event(), threading.Event()

    class Emptied(MemoryLeases):
        async def reassert(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
            back = await super().reassert(leases, lease_seconds)
            asserted.set()
            await asyncio.to_thread(go_on.wait)
            return back

        async def release(self, leases: Sequence[Lease], *, told: bool = False) -> None:
            await super().release(leases, told=told)
            released.set()

    released = threading.Event()
    store, clock = MemoryStore(), SystemClock()
    store.leases = Emptied(store.data)
    dropped = Lease(key=LeaseKey(UUID(int=2), "pack", Direction.ACTION), instance=1, token=8)
    renewal = Renewal(lambda: store, clock, 60)
    for lease in (LEASE, dropped):
        renewal.hold(lease, expires=clock.monotonic(), deadline=clock.monotonic() + 600)
    store.truncate_leases()
    renewing = asyncio.create_task(renewal._renew(store, renewal._due()))
    assert await asyncio.to_thread(asserted.wait, 300)
    renewal.drop(dropped)
    go_on.set()
    await renewing
    assert released.is_set()
    assert set(store.data.leases) == {LEASE.key}
    assert renewal.lost == 0


async def test_a_store_that_is_away_is_tried_again() -> None:
    store = Told()
    renewal = await held(lambda: store, 60)
    store.away = 2
    assert await asyncio.to_thread(store.renewed.acquire, timeout=300)
    await renewal.stop()
    assert renewal.renewed >= 1


async def test_stopping_does_not_wait_for_a_store_that_never_comes() -> None:
    waiting = threading.Event()

    class Absent(Told):
        async def open(self) -> None:
            waiting.set()
            await asyncio.Event().wait()

    renewal = await held(Absent, 60)
    assert await asyncio.to_thread(waiting.wait, 300)
    async with asyncio.timeout(300):
        await renewal.stop()


async def test_a_step_that_blocks_the_loop_longer_than_its_lease_is_not_taken_over() -> None:
    """The whole engine on real time: nobody else gets the lease in the meantime."""
    from goconductor import Saga
    from goconductor.buses.memory import MemoryBus
    from goconductor.engine.node import Node
    from goconductor.engine.steps.registry import StepRegistry

    store = Told()
    shop = StepRegistry("shop")
    runs: list[int] = []

    @shop.step
    async def pack() -> str:
        runs.append(1)
        (first,) = store.data.leases.values()
        last = first
        while last.expires_at <= first.expires_at + LEASE_SECONDS:
            assert store.renewed.acquire(timeout=300)
            (last,) = store.data.leases.values()
            assert (last.token, last.instance) == (first.token, first.instance)
        return "packed"

    node = Node(store=store, bus=MemoryBus(), open_store=lambda: store, registry=shop, lease_seconds=LEASE_SECONDS)
    await node.open()
    saga: Saga[Any] = Saga("one")
    saga.step(pack)
    await node.definitions.register(saga.definition)
    started = await node.starting.start("one", None)
    assert (await node.wait_for_end(started.saga_id, 300)).outputs() == {"pack": "packed"}
    await node.close()
    assert runs == [1]
