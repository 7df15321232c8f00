# ruff: noqa: S101 - assertions are what a suite is made of
"""The store's part in an election: the duties of :class:`goconductor.ports.store.Terms`."""

from __future__ import annotations

import asyncio

import pytest

from goconductor.errors import FencedError
from goconductor.ports.store import Forgettable, Store, Verdict
from goconductor.testing.contracts.store.material import FAR, Saga, StoreFixtures, begin, head_of, hold, tokens


class TermsContract(StoreFixtures):
    """Epochs."""

    async def test_term_1_an_epoch_is_higher_than_all_before(self, store: Store, other: Store) -> None:
        before = await store.terms.database_time()
        first = await store.terms.raise_epoch("anna", 10.0)
        second = await other.terms.raise_epoch("bert", 10.0)
        assert first is not None
        assert second is not None
        assert 0 < first.epoch < second.epoch
        assert (second.holder, await store.terms.current()) == ("bert", second)
        assert before + 10.0 <= first.ends_at <= second.ends_at <= await store.terms.database_time() + 10.0

    async def test_term_1_of_many_that_raise_it_each_has_its_own(self, store: Store, other: Store) -> None:
        terms = await asyncio.gather(*((store, other)[n % 2].terms.raise_epoch(f"candidate {n}", 10.0) for n in range(10)))
        assert len({term.epoch for term in terms if term is not None}) == 10

    async def test_term_1_the_old_epoch_is_refused_from_then_on(self, store: Store, other: Store) -> None:
        old = await store.terms.raise_epoch("anna", 10.0)
        assert old is not None
        await store.recovery.free([], epoch=old.epoch)
        await other.terms.raise_epoch("bert", 10.0)
        with pytest.raises(FencedError):
            await store.recovery.free([Saga().lease()], epoch=old.epoch)

    async def test_term_2_evidence_must_grow(self, store: Store) -> None:
        first = await store.terms.raise_epoch("anna", 10.0, evidence=100)
        assert first is not None
        assert await store.terms.raise_epoch("bert", 10.0, evidence=100) is None
        assert await store.terms.raise_epoch("bert", 10.0, evidence=99) is None
        assert await store.terms.current() == first
        second = await store.terms.raise_epoch("bert", 10.0, evidence=101)
        assert second is not None
        assert second.epoch > first.epoch

    async def test_term_3_a_renewal_prolongs_the_present_epoch(self, store: Store) -> None:
        term = await store.terms.raise_epoch("anna", 10.0)
        assert term is not None
        renewed = await store.terms.renew(term, 60.0)
        assert renewed is not None
        assert (renewed.epoch, renewed.holder, await store.terms.current()) == (term.epoch, "anna", renewed)
        assert renewed.ends_at >= term.ends_at + 49.0

    async def test_term_3_a_late_renewal_changes_nothing(self, store: Store) -> None:
        old = await store.terms.raise_epoch("anna", 10.0)
        new = await store.terms.raise_epoch("bert", 10.0)
        assert old is not None
        assert await store.terms.renew(old, 60.0) is None
        assert await store.terms.current() == new

    async def test_term_4_a_term_that_was_resigned_is_over_at_once_and_stays_so(self, store: Store) -> None:
        term = await store.terms.raise_epoch("anna", 600.0)
        assert term is not None
        await store.terms.resign(term)
        current = await store.terms.current()
        assert current is not None
        assert current.epoch == term.epoch
        assert current.ends_at <= await store.terms.database_time()
        assert await store.terms.renew(term, 60.0) is None

    async def test_term_4_what_a_leader_writes_that_resigned_is_refused_though_nobody_followed(self, store: Store) -> None:
        """Write as it comes to a store that was busy when the leader gave the statement up."""
        term = await store.terms.raise_epoch("anna", 600.0)
        assert term is not None
        epoch, saga = term.epoch, await begin(store, wake_at=1.0)
        held = await hold(store, saga.lease())
        instance = await store.instances.register("payments", "pod-0", {})
        await store.terms.resign(term)
        [outcome] = await store.log.append([saga.append(epoch=epoch)])
        assert outcome.verdict == Verdict.FENCED
        everything = [
            store.retention.forget(kind, before=FAR, ended=(), after=None, limit=10, epoch=epoch) for kind in Forgettable
        ]
        for write in (
            store.recovery.postpone([(saga.known, FAR)], epoch=epoch),
            store.recovery.free([held], epoch=epoch),
            store.instances.mark_dead(instance.serial, epoch=epoch),
            store.recovery.acknowledge_truncation(epoch=epoch),
            store.recovery.note_sweep({"sagas": 1}, epoch=epoch),
            *everything,
        ):
            with pytest.raises(FencedError):
                await write
        assert (await head_of(store, saga)).seq == saga.seq
        assert [head.saga_id for head in await store.recovery.due(10)] == [saga.saga_id]
        assert await tokens(store, saga) == {held.token}
        assert await store.recovery.last_sweep() is None

    async def test_term_4_a_late_resignation_changes_nothing(self, store: Store) -> None:
        old = await store.terms.raise_epoch("anna", 10.0)
        new = await store.terms.raise_epoch("bert", 10.0)
        assert old is not None
        await store.terms.resign(old)
        assert await store.terms.current() == new

    async def test_term_5_at_first_there_is_none(self, store: Store) -> None:
        assert await store.terms.current() is None

    async def test_term_6_the_last_evidence_is_told(self, store: Store, other: Store) -> None:
        assert await store.terms.last_evidence() is None
        await store.terms.raise_epoch("anna", 10.0)
        assert await store.terms.last_evidence() is None
        await store.terms.raise_epoch("anna", 10.0, evidence=100)
        await store.terms.raise_epoch("bert", 10.0, evidence=99)
        assert await other.terms.last_evidence() == 100
        await store.terms.raise_epoch("bert", 10.0)
        assert await other.terms.last_evidence() == 100

    async def test_term_6_of_two_who_go_on_from_the_same_evidence_one_is_refused(self, store: Store, other: Store) -> None:
        await store.terms.raise_epoch("anna", 10.0, evidence=100)
        terms = await asyncio.gather(store.terms.raise_epoch("bert", 10.0, 101), other.terms.raise_epoch("carl", 10.0, 101))
        assert sum(term is not None for term in terms) == 1
        assert await store.terms.last_evidence() == 101
