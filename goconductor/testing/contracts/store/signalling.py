# ruff: noqa: S101 - assertions are what a suite is made of
"""The ids of signals: each is noted in the append that tells of it, once for as long as the saga is kept."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from goconductor.ports.store import EVERYTHING, Append, Forgettable, SignalId, Store, Verdict
from goconductor.testing.contracts.store.leading.retaining import begin as begin_now
from goconductor.testing.contracts.store.material import FAR, Saga, StoreFixtures, advance, begin, head_of, lead


def telling(saga: Saga, *ids: str, **facts: object) -> Append:
    """Return an append with signals of these ids."""
    return saga.append(signals=[SignalId(each, each.encode()) for each in ids], **facts)


async def verdicts(store: Store, *appends: Append) -> list[Verdict]:
    return [outcome.verdict for outcome in await store.log.append(appends)]


class SignalContract(StoreFixtures):
    """What was told once is known."""

    async def test_21_the_id_of_a_signal_is_noted_with_its_hash(self, store: Store) -> None:
        saga, other = await begin(store), await begin(store)
        assert await store.sagas.signalled(saga.saga_id, "s1") is None
        assert await verdicts(store, telling(saga, "s1", "grün")) == [Verdict.WON]
        assert await store.sagas.signalled(saga.saga_id, "s1") == b"s1"
        assert await store.sagas.signalled(saga.saga_id, "grün") == "grün".encode()
        assert await store.sagas.signalled(other.saga_id, "s1") is None
        assert await store.sagas.signalled(uuid4(), "s1") is None

    async def test_5_an_append_with_a_known_signal_changes_nothing(self, store: Store) -> None:
        saga = await begin(store)
        done = await advance(store, saga, signals=[SignalId("s1", b"first")])
        again = Saga(saga.saga_id, 2, done.new_tag)
        assert await verdicts(store, telling(again, "s1")) == [Verdict.KNOWN_SIGNAL]
        assert await verdicts(store, telling(again, "s2", "s1")) == [Verdict.KNOWN_SIGNAL]
        assert (await head_of(store, saga)).seq == 2
        assert await store.sagas.signalled(saga.saga_id, "s1") == b"first"
        assert await store.sagas.signalled(saga.saga_id, "s2") is None
        assert await verdicts(store, telling(again, "s2")) == [Verdict.WON]

    async def test_5_what_loses_notes_nothing(self, store: Store) -> None:
        saga = await begin(store)
        assert await verdicts(store, telling(Saga(saga.saga_id, 1, saga.tag + 1), "s1")) == [Verdict.CONFLICT]
        assert await verdicts(store, telling(saga, "s1", due_at=FAR)) == [Verdict.NOT_DUE]
        assert await verdicts(store, telling(saga, "s1", epoch=77)) == [Verdict.FENCED]
        assert await store.sagas.signalled(saga.saga_id, "s1") is None

    async def test_5_a_known_signal_holds_up_no_other_saga_of_its_batch(self, store: Store) -> None:
        first, second, third = await begin(store), await begin(store), await begin(store)
        done = await advance(store, first, signals=[SignalId("s1", b"")])
        again = Saga(first.saga_id, 2, done.new_tag)
        outcomes = await verdicts(store, telling(again, "s1"), telling(second, "s1"), third.append())
        assert outcomes == [Verdict.KNOWN_SIGNAL, Verdict.WON, Verdict.WON]

    async def test_5_under_an_epoch_as_well(self, store: Store) -> None:
        saga, epoch = await begin(store), await lead(store)
        assert await verdicts(store, telling(saga, "s1", epoch=epoch)) == [Verdict.WON]
        assert await store.sagas.signalled(saga.saga_id, "s1") == b"s1"

    async def test_5_of_one_signal_sent_twice_at_once_one_is_appended(self, store: Store, other: Store) -> None:
        saga = await begin(store)
        both = await asyncio.gather(verdicts(store, telling(saga, "s1")), verdicts(other, telling(saga, "s1")))
        assert sorted(both) in ([[Verdict.CONFLICT], [Verdict.WON]], [[Verdict.KNOWN_SIGNAL], [Verdict.WON]])
        assert (await head_of(store, saga)).seq == 2

    async def test_5_a_saga_may_wait_without_a_time_to_look_at_it(self, store: Store) -> None:
        saga = await begin(store, status="waiting", wake_at=None)
        assert await store.recovery.live(10) == []
        assert [head.saga_id for head in (await store.sagas.heads(EVERYTHING)).heads] == [saga.saga_id]

    async def test_21_the_ids_go_with_their_saga(self, store: Store) -> None:
        saga, kept, epoch = await begin_now(store), await begin_now(store), await lead(store)
        await advance(store, saga, status="completed", wake_at=None, signals=[SignalId("s1", b"1")])
        await advance(store, kept, signals=[SignalId("s1", b"2")])
        await store.retention.forget(Forgettable.SAGAS, before=FAR, ended=("completed",), after=None, limit=100, epoch=epoch)
        assert await store.sagas.signalled(saga.saga_id, "s1") is None
        assert await store.sagas.signalled(kept.saga_id, "s1") == b"2"
