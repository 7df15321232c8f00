# ruff: noqa: S101 - assertions are what a suite is made of
"""Duties 5 and 6: the head arbitrates, and an append is one piece."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from goconductor.ports.store import Store, Verdict
from goconductor.testing.contracts.store.material import (
    FAR,
    LONG_SECONDS,
    Saga,
    StoreFixtures,
    advance,
    begin,
    event,
    head_of,
    hold,
    lead,
    new_number,
    take,
    tokens,
)


async def append(store: Store, saga: Saga, **facts: Any) -> Verdict:
    [outcome] = await store.log.append([saga.append(**facts)])
    return outcome.verdict


class AppendContract(StoreFixtures):
    """What happened is written down once."""

    async def test_5_an_append_moves_the_head(self, store: Store) -> None:
        saga = await begin(store)
        started = await head_of(store, saga)
        done = await advance(store, saga, status="compensating", instance=9, wake_at=FAR + 1)
        head = await head_of(store, saga)
        assert (head.seq, head.tag, head.status, head.last_instance) == (2, done.new_tag, "compensating", 9)
        assert (head.wake_at, head.started_at) == (FAR + 1, started.started_at)
        assert started.updated_at <= head.updated_at <= await store.terms.database_time()
        assert (head.saga, head.version, head.labels) == (started.saga, started.version, started.labels)

    async def test_5_an_append_gives_the_head_another_version_where_it_says_so(self, store: Store) -> None:
        saga, other = await begin(store), await begin(store)
        before = await head_of(store, saga)
        appends = [saga.append(version="another", wake_at=FAR), other.append()]
        assert [each.verdict for each in await store.log.append(appends)] == [Verdict.WON, Verdict.WON]
        head = await head_of(store, saga)
        assert (head.version, head.saga, head.seq, head.wake_at) == ("another", before.saga, 2, FAR)
        assert (await head_of(store, other)).version == before.version
        late = msgspec.structs.replace(appends[0], version="a third")
        [outcome] = await store.log.append([late])
        assert outcome.verdict is Verdict.CONFLICT
        assert (await head_of(store, saga)).version == "another"

    async def test_5_an_event_is_kept_as_it_is(self, store: Store) -> None:
        saga = await begin(store)
        data = {"output": {"text": 'grün "quoted" \\ 😀', "number": 12345678901234567890, "list": [None, True, 1.5]}}
        entry = event(
            "ActionFailed",
            at=1_700_000_000.123456,
            step="payments.charge",
            round=2,
            attempt=3,
            token=new_number(),
            participant="payments",
            data=json.dumps(data).encode(),
        )
        done = await advance(store, saga, entry)
        [_, kept] = await store.sagas.history(saga.saga_id)
        assert json.loads(kept.data) == data
        facts = (kept.event_id, kept.event, kept.at, kept.step, kept.round, kept.attempt, kept.token, kept.participant)
        assert facts == (
            entry.event_id,
            entry.event,
            entry.at,
            entry.step,
            entry.round,
            entry.attempt,
            entry.token,
            entry.participant,
        )
        assert (kept.seq, kept.tag) == (2, done.new_tag)

    async def test_5_several_events_of_one_saga_are_numbered_in_order(self, store: Store) -> None:
        first, second = await begin(store), await begin(store)
        appends = [first.append(event("A"), event("B"), event("C")), second.append(event("D"), event("E"))]
        assert [outcome.verdict for outcome in await store.log.append(appends)] == [Verdict.WON] * 2
        assert [(e.seq, e.event) for e in (await store.sagas.history(first.saga_id))[1:]] == [(2, "A"), (3, "B"), (4, "C")]
        assert [(e.seq, e.event) for e in (await store.sagas.history(second.saga_id))[1:]] == [(2, "D"), (3, "E")]
        assert ((await head_of(store, first)).seq, (await head_of(store, second)).seq) == (4, 3)

    async def test_5_an_ended_saga_needs_nobody_to_wake_it(self, store: Store) -> None:
        saga = await begin(store, wake_at=1.0)
        assert [head.saga_id for head in await store.recovery.due(10)] == [saga.saga_id]
        await advance(store, saga, status="completed", wake_at=None)
        assert (await head_of(store, saga)).wake_at is None
        assert await store.recovery.due(10) == []

    async def test_5_nothing_appended_is_nothing(self, store: Store) -> None:
        assert await store.log.append([]) == []

    async def test_5_a_saga_stands_once_in_a_batch(self, store: Store) -> None:
        saga = await begin(store)
        with pytest.raises(ValueError, match="once"):
            await store.log.append([saga.append(), saga.append()])
        assert (await head_of(store, saga)).seq == 1

    async def test_5_a_lease_is_released_by_key_instance_and_token(self, store: Store) -> None:
        saga = await begin(store)
        lease = await hold(store, saga.lease(instance=3))
        kept = await hold(store, saga.lease("inventory.reserve"))
        wrong = [saga.lease(instance=3), saga.lease(instance=4, token=lease.token), saga.lease(round=1, token=lease.token)]
        await advance(store, saga, release=wrong)
        assert await tokens(store, saga) == {lease.token, kept.token}
        await advance(store, saga, release=[lease])
        assert await tokens(store, saga) == {kept.token}

    async def test_5_a_free_lease_is_taken_with_the_append(self, store: Store) -> None:
        saga = await begin(store)
        free, other = saga.lease(), saga.lease("inventory.reserve")
        before = await store.terms.database_time()
        [outcome] = await store.log.append([saga.append(take=[take(free), take(other)])])
        assert (outcome.verdict, set(outcome.took)) == (Verdict.WON, {free.token, other.token})
        assert await tokens(store, saga) == {free.token, other.token}
        for lease in await store.recovery.leases([saga.saga_id]):
            assert lease.expires_at >= before + LONG_SECONDS

    async def test_5_a_lease_that_ran_out_is_not_taken_with_the_append(self, store: Store) -> None:
        """Test hole 47: an append cannot record in the log the attempt that may have begun under it."""
        saga = await begin(store)
        expired = await hold(store, saga.lease(), seconds=0.0)
        [outcome] = await store.log.append([saga.append(take=[take(saga.lease())])])
        assert (outcome.verdict, outcome.took) == (Verdict.WON, [])
        assert await tokens(store, saga) == {expired.token}

    async def test_5_a_lease_is_never_taken_over_a_living_one(self, store: Store, other: Store) -> None:
        saga = await begin(store)
        living = await hold(other, saga.lease(instance=4))
        free = saga.lease("inventory.reserve")
        [outcome] = await store.log.append([saga.append(take=[take(saga.lease()), take(free)])])
        assert (outcome.verdict, outcome.took) == (Verdict.WON, [free.token])
        assert await tokens(store, saga) == {living.token, free.token}

    async def test_5_a_lease_that_is_released_and_taken_is_handed_on(self, store: Store) -> None:
        saga = await begin(store)
        old, new = await hold(store, saga.lease()), saga.lease()
        [outcome] = await store.log.append([saga.append(release=[old], take=[take(new)])])
        assert (outcome.verdict, outcome.took) == (Verdict.WON, [new.token])
        assert await tokens(store, saga) == {new.token}

    async def test_5_a_lease_that_another_has_now_is_not_handed_on(self, store: Store) -> None:
        saga = await begin(store)
        old = await hold(store, saga.lease(), seconds=0.0)
        thief = await hold(store, saga.lease(instance=4))
        [outcome] = await store.log.append([saga.append(release=[old], take=[take(saga.lease())])])
        assert (outcome.verdict, outcome.took) == (Verdict.WON, [])
        assert await tokens(store, saga) == {thief.token}

    async def test_6_a_loser_changes_nothing(self, store: Store) -> None:
        saga = await begin(store)
        held = await hold(store, saga.lease())
        head, log = await store.sagas.head(saga.saga_id), await store.sagas.history(saga.saga_id)
        facts: dict[str, Any] = {"release": [held], "take": [take(saga.lease("inventory.reserve"))], "status": "stuck"}
        wrong = [{"seq": 0}, {"seq": 2}, {"tag": new_number()}, {"seq": 2, "tag": new_number()}]
        assert [await append(store, saga, **facts, **place) for place in wrong] == [Verdict.CONFLICT] * 4
        assert await store.sagas.head(saga.saga_id) == head
        assert await store.sagas.history(saga.saga_id) == log
        assert await tokens(store, saga) == {held.token}

    async def test_6_a_saga_that_is_not_there_is_a_conflict(self, store: Store) -> None:
        assert await append(store, Saga(seq=1, tag=1)) == Verdict.CONFLICT

    async def test_6_of_many_appends_at_one_head_one_wins(self, store: Store, other: Store) -> None:
        saga = await begin(store)
        verdicts = await asyncio.gather(*(append((store, other)[n % 2], saga) for n in range(20)))
        assert sorted(verdicts) == [Verdict.CONFLICT] * 19 + [Verdict.WON]
        assert len(await store.sagas.history(saga.saga_id)) == 2

    async def test_6_winners_and_losers_of_a_batch(self, store: Store) -> None:
        sagas = [await begin(store) for _ in range(6)]
        appends = [saga.append(seq=1 if n % 2 else 5) for n, saga in enumerate(sagas)]
        outcomes = await store.log.append(appends)
        assert [o.verdict for o in outcomes] == [Verdict.CONFLICT, Verdict.WON] * 3
        assert [(await head_of(store, saga)).seq for saga in sagas] == [1, 2] * 3

    @pytest.mark.parametrize(
        "poison",
        [
            {"entries": [event(data=b'{"text":"a\\u0000b"}')]},
            {"entries": [event(), event(step="a\0b")]},
            {"entries": [event(data=b"{")]},
            {"entries": [event(data=b'"\xff"')]},
            {"entries": [event(event="\ud800")]},
            {"entries": [event(attempt=1 << 31)]},
            {"new_tag": 1 << 63},
            {"status": "unheard of"},
            {"status": "compensating", "wake_at": None},
            {"status": "terminating", "wake_at": None},
        ],
        ids=[
            "NUL",
            "NUL in a text",
            "not JSON",
            "not UTF-8",
            "half a character",
            "int",
            "bigint",
            "status",
            "nobody wakes it",
            "nor its end",
        ],
    )
    async def test_6_what_the_database_refuses_is_rejected_alone(self, store: Store, poison: dict[str, Any]) -> None:
        sagas = [await begin(store) for _ in range(5)]
        appends = [saga.append() for saga in sagas]
        appends[2] = sagas[2].append(**poison)
        outcomes = await store.log.append(appends)
        assert [o.verdict for o in outcomes] == [Verdict.WON, Verdict.WON, Verdict.REJECTED, Verdict.WON, Verdict.WON]
        assert outcomes[2].problem
        assert [(await head_of(store, saga)).seq for saga in sagas] == [2, 2, 1, 2, 2]
        await advance(store, sagas[2])

    async def test_5_a_backslash_is_no_nul(self, store: Store) -> None:
        saga = await begin(store)
        await advance(store, saga, event(data=rb'{"text":"a\\u0000b"}'))
        [_, kept] = await store.sagas.history(saga.saga_id)
        assert json.loads(kept.data) == {"text": "a\\u0000b"}

    async def test_5_an_append_waits_for_its_time(self, store: Store) -> None:
        saga = await begin(store)
        now = await store.terms.database_time()
        assert await append(store, saga, due_at=now + LONG_SECONDS) == Verdict.NOT_DUE
        assert await append(store, saga, due_at=now + LONG_SECONDS, tag=4711) == Verdict.CONFLICT
        assert (await head_of(store, saga)).seq == 1
        assert await append(store, saga, due_at=now) == Verdict.WON

    async def test_5_each_of_a_batch_has_its_own_time(self, store: Store) -> None:
        sagas = [await begin(store) for _ in range(4)]
        times = [None, 1.0, FAR, FAR]
        places = [1, 1, 1, 5]
        outcomes = await store.log.append(
            [saga.append(due_at=at, seq=seq) for saga, at, seq in zip(sagas, times, places, strict=True)]
        )
        assert [o.verdict for o in outcomes] == [Verdict.WON, Verdict.WON, Verdict.NOT_DUE, Verdict.CONFLICT]

    async def test_5_a_leader_of_the_past_is_fenced(self, store: Store, other: Store) -> None:
        old = await lead(store)
        new = await lead(other)
        saga, free = await begin(store), await begin(store)
        held = await hold(store, saga.lease())
        [outcome, unled] = await store.log.append([saga.append(epoch=old, release=[held]), free.append()])
        assert (outcome.verdict, unled.verdict) == (Verdict.FENCED, Verdict.WON)
        assert (await head_of(store, saga)).seq == 1
        assert await tokens(store, saga) == {held.token}
        assert await append(store, saga, epoch=new) == Verdict.WON
        assert await append(store, saga, epoch=new) == Verdict.CONFLICT
