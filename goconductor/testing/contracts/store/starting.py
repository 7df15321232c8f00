# ruff: noqa: S101 - assertions are what a suite is made of
"""Duties 2 and 3: instances and starts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from goconductor.ports.store import Store, Verdict
from goconductor.testing.contracts.store.material import (
    FAR,
    Saga,
    StoreFixtures,
    begin,
    event,
    head_of,
    new_number,
    take,
    tokens,
)


class StartContract(StoreFixtures):
    """How sagas begin, and which processes run them."""

    async def test_2_every_registration_has_a_serial_of_its_own(self, store: Store, other: Store) -> None:
        first = await store.instances.register("payments", "pod-0", {"charge": {"pivot": True}})
        second = await other.instances.register("payments", "pod-0", {})
        assert first.serial != second.serial
        assert first.serial > 0
        assert (first.participant, first.name, first.steps, first.dead_at) == (
            "payments",
            "pod-0",
            {"charge": {"pivot": True}},
            None,
        )
        assert await store.instances.registered() == [first, second]

    async def test_2_who_unregisters_is_gone(self, store: Store) -> None:
        instance = await store.instances.register("payments", "pod-0", {})
        await store.instances.unregister(instance.serial)
        [gone] = await store.instances.registered()
        assert gone.dead_at is not None
        assert gone.dead_at >= gone.started_at

    async def test_the_database_has_one_clock_that_does_not_fall(self, store: Store, other: Store) -> None:
        first, second, third = (
            await store.terms.database_time(),
            await other.terms.database_time(),
            await store.terms.database_time(),
        )
        assert first <= second <= third

    async def test_3_a_start_makes_head_log_and_leases(self, store: Store) -> None:
        saga = Saga()
        lease = saga.lease()
        entries = [event("SagaStarted", data=b'{"input":{"id":1}}'), event("ActionSent")]
        start = saga.start(entries=entries, labels={"customer": "17"}, take=[take(lease)], instance=3)
        before = await store.terms.database_time()
        [outcome] = await store.starts.start([start])
        assert (outcome.verdict, outcome.took) == (Verdict.WON, [lease.token])
        head = await head_of(store, saga)
        assert (head.saga, head.version, head.status, head.labels) == ("order", "v1", "running", {"customer": "17"})
        assert (head.seq, head.tag, head.wake_at, head.last_instance) == (2, start.new_tag, FAR, 3)
        assert before <= head.started_at <= head.updated_at <= await store.terms.database_time()
        log = await store.sagas.history(saga.saga_id)
        assert [(entry.seq, entry.tag, entry.event_id) for entry in log] == [
            (1, start.new_tag, entries[0].event_id),
            (2, start.new_tag, entries[1].event_id),
        ]
        assert await tokens(store, saga) == {lease.token}

    async def test_3_nothing_started_is_nothing(self, store: Store) -> None:
        assert await store.starts.start([]) == []

    async def test_3_the_same_key_and_input_is_the_same_saga(self, store: Store, other: Store) -> None:
        first = await begin(store, key="order-17", input_hash=b"same")
        again = Saga()
        [outcome] = await other.starts.start([again.start(key="order-17", input_hash=b"same", take=[take(again.lease())])])
        assert (outcome.verdict, outcome.existing, outcome.took) == (Verdict.ALREADY_STARTED, first.saga_id, [])
        assert await store.sagas.head(again.saga_id) is None
        assert await store.sagas.history(again.saga_id) == []
        assert await store.recovery.leases([again.saga_id]) == []
        assert (await head_of(store, first)).tag == first.tag

    async def test_3_the_same_key_with_other_input_is_refused(self, store: Store) -> None:
        first = await begin(store, key="order-17", input_hash=b"one")
        [outcome] = await store.starts.start([Saga().start(key="order-17", input_hash=b"two")])
        assert (outcome.verdict, outcome.existing) == (Verdict.OTHER_INPUT, first.saga_id)

    async def test_3_a_key_belongs_to_its_saga(self, store: Store) -> None:
        await begin(store, saga="order", key="17")
        await begin(store, saga="invoice", key="17")

    async def test_3_of_one_key_twice_in_a_batch_one_starts(self, store: Store) -> None:
        sagas = [Saga(), Saga(), Saga()]
        outcomes = await store.starts.start([saga.start(key="order-17", input_hash=b"same") for saga in sagas])
        [winner] = [saga for saga, outcome in zip(sagas, outcomes, strict=True) if outcome.verdict == Verdict.WON]
        lost = [outcome for outcome in outcomes if outcome.verdict != Verdict.WON]
        assert [(o.verdict, o.existing) for o in lost] == [(Verdict.ALREADY_STARTED, winner.saga_id)] * 2

    async def test_3_of_many_that_race_for_a_key_one_starts(self, store: Store, other: Store) -> None:
        sagas = [Saga() for _ in range(20)]
        starts = [
            (store, other)[number % 2].starts.start([saga.start(key="order-17", input_hash=b"same")])
            for number, saga in enumerate(sagas)
        ]
        outcomes = [outcome for [outcome] in await asyncio.gather(*starts)]
        [winner] = [saga for saga, outcome in zip(sagas, outcomes, strict=True) if outcome.verdict == Verdict.WON]
        assert {outcome.existing for outcome in outcomes if outcome.verdict == Verdict.ALREADY_STARTED} == {winner.saga_id}
        assert len((await store.sagas.heads(limit=100)).heads) == 1

    async def test_3_a_start_that_is_repeated_after_a_lost_answer_changes_nothing(self, store: Store) -> None:
        saga = Saga()
        start = saga.start()
        await store.starts.start([start])
        [outcome, new] = await store.starts.start([start, Saga().start()])
        assert (outcome.verdict, outcome.existing) == (Verdict.ALREADY_STARTED, saga.saga_id)
        assert new.verdict == Verdict.WON
        assert len(await store.sagas.history(saga.saga_id)) == 1

    async def test_3_outcomes_come_in_the_order_of_the_starts(self, store: Store) -> None:
        old = await begin(store, key="k2", input_hash=b"x")
        sagas = [Saga() for _ in range(5)]
        outcomes = await store.starts.start([saga.start(key=f"k{n}", input_hash=b"x") for n, saga in enumerate(sagas)])
        assert [outcome.existing for outcome in outcomes] == [None, None, old.saga_id, None, None]
        assert [await store.sagas.head(saga.saga_id) is not None for saga in sagas] == [True, True, False, True, True]

    async def test_3_a_saga_stands_once_in_a_batch(self, store: Store) -> None:
        saga = Saga()
        with pytest.raises(ValueError, match="once"):
            await store.starts.start([saga.start(), saga.start()])
        assert await store.sagas.head(saga.saga_id) is None

    @pytest.mark.parametrize(
        "poison",
        [
            {"labels": {"customer": "a\0b"}},
            {"status": "unheard of"},
            {"wake_at": None},
            {"new_tag": 1 << 63},
            {"entries": [event(data=b"{")]},
            {"key": "a\0b"},
        ],
        ids=["NUL", "status", "nobody wakes it", "too wide", "not JSON", "NUL in the key"],
    )
    async def test_6_a_start_that_the_database_refuses_is_rejected_alone(self, store: Store, poison: dict[str, Any]) -> None:
        sagas = [Saga() for _ in range(5)]
        starts = [saga.start(key=f"k{n}") for n, saga in enumerate(sagas)]
        starts[3] = sagas[3].start(**({"key": "k3"} | poison))
        outcomes = await store.starts.start(starts)
        assert [o.verdict for o in outcomes] == [Verdict.WON, Verdict.WON, Verdict.WON, Verdict.REJECTED, Verdict.WON]
        assert outcomes[3].problem
        assert await store.sagas.head(sagas[3].saga_id) is None
        [mended] = await store.starts.start([sagas[3].start(key="k3", new_tag=new_number())])
        assert mended.verdict == Verdict.WON
