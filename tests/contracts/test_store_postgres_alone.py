"""A saga alone and a saga in a batch are written by two statements, which mean the same: each case is tried with both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goconductor.ports.store import Append, Known, Lease, Outcome, Start, Verdict
from goconductor.stores.postgres import PostgresStore
from goconductor.stores.postgres.log import writes
from goconductor.testing.contracts.store.material import FAR, Saga, event, new_number, take, wish

pytestmark = pytest.mark.postgres

HEADS = ("as named", "moved on", "another tag", "ended", "unknown")
"""What an append finds of the head that it names."""
TIMES = {"at any time": None, "due": 1.0, "not due yet": FAR}
RELEASES = ("none", "its own", "another's", "gone")
TAKES = ("none", "free", "living", "expired", "the one that it releases")
KEYS = ("none", "new", "used", "used with other input")


@pytest.fixture
async def batching(store: PostgresStore, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PostgresStore]:
    """A store that writes a saga alone as a batch."""
    monkeypatch.setattr(writes, "APPEND_ALONE", {})
    monkeypatch.setattr(writes, "START_ALONE", {})
    batching = PostgresStore(postgres_url)
    await batching.open()
    yield batching
    await batching.close()


async def sent_by(store: PostgresStore) -> list[str]:
    """Every statement that it sends from now on."""
    sent: list[str] = []
    for session in (each for pool in store._pools for each in pool.sessions):
        async with session.use() as connection:
            connection.add_query_logger(lambda query: sent.append(query.query.replace('"goconductor"', "goconductor")))
    return sent


@dataclass
class Case:
    """A saga, its leases as they are called here, and what an append to it finds."""

    saga: Saga
    head: str
    due_at: float | None
    release: str
    take: str

    def __post_init__(self) -> None:
        self.mine, self.theirs = self.saga.lease(), self.saga.lease(instance=4)
        self.other = self.saga.lease("inventory.reserve", instance=4)
        self.wanted = self.saga.lease("payments.charge" if self.take == TAKES[-1] else "inventory.reserve")
        self.names = {lease.token: name for name, lease in vars(self).items() if isinstance(lease, Lease)}

    def held(self) -> list[tuple[Lease, float]]:
        """The leases before the append, and their seconds."""
        first = {"none": [], "its own": [self.mine], "another's": [self.theirs], "gone": []}[self.release]
        second = {"living": [(self.other, 600.0)], "expired": [(self.other, 0.0)]}.get(self.take, [])
        return [*((lease, 600.0) for lease in first), *second]

    def append(self) -> Append:
        tag = new_number() if self.head == "another tag" else self.saga.tag
        return self.saga.append(
            event(data=b'{"output":"\xc3\xa4"}', token=7, attempt=2, participant="payments"),
            tag=tag,
            due_at=self.due_at,
            status="compensating",
            wake_at=FAR + 1,
            release=[] if self.release == "none" else [self.mine],
            take=[] if self.take == "none" else [take(self.wanted)],
        )


async def prepared(store: PostgresStore, cases: list[Case]) -> None:
    """Bring all sagas into their state."""
    there = [case for case in cases if case.head != "unknown"]
    starts = [case.saga.start() for case in there]
    await store.starts.start(starts)
    for case, start in zip(there, starts, strict=True):
        case.saga.seq, case.saga.tag = 1, start.new_tag
    await store.log.append([case.saga.append() for case in cases if case.head == "moved on"])
    ends = {case.saga.saga_id: case.saga.append(status="completed", wake_at=None) for case in cases if case.head == "ended"}
    await store.log.append(list(ends.values()))
    for case in cases:
        if case.head == "ended":
            case.saga.seq, case.saga.tag = 2, ends[case.saga.saga_id].new_tag
    wishes = [wish(lease, seconds=seconds) for case in cases for lease, seconds in case.held()]
    assert all(answer.granted for answer in await store.leases.acquire(wishes))


async def found(store: PostgresStore, case: Case, append: Append, outcome: Outcome) -> dict[str, Any]:
    """All that can be seen of an append, with names in place of random numbers."""
    [tail] = await store.log.read([Known(case.saga.saga_id)])
    tags = {append.new_tag: "new", case.saga.tag: "old"}
    now = await store.terms.database_time()
    head = tail.head
    return {
        "verdict": outcome.verdict,
        "took": [case.names[token] for token in outcome.took],
        "head": head and (head.status, head.seq, tags.get(head.tag), head.wake_at, head.last_instance, head.labels),
        "log": [
            (e.seq, tags.get(e.tag), e.event, e.at, e.step, e.round, e.attempt, e.token, e.participant, e.data)
            for e in tail.entries
        ],
        "leases": {
            (lease.key.step, case.names[lease.token], lease.instance, lease.expires_at > now)
            for lease in await store.recovery.leases([case.saga.saga_id])
        },
    }


async def test_an_append_alone_means_what_it_means_in_a_batch(store: PostgresStore) -> None:
    states = list(product(HEADS, TIMES.values(), RELEASES, TAKES))
    alone, batched = ([Case(Saga(), *state) for state in states] for _ in range(2))
    await prepared(store, alone + batched)
    sent = await sent_by(store)
    alone_appends, batched_appends = ([case.append() for case in cases] for cases in (alone, batched))
    alone_outcomes = [(await store.log.append([append]))[0] for append in alone_appends]
    assert {text for text in sent if "INSERT INTO goconductor.saga_log" in text} == set(writes.APPEND_ALONE.values())
    sent.clear()
    batched_outcomes = await store.log.append(batched_appends)
    assert [text for text in sent if "INSERT INTO goconductor.saga_log" in text] == [writes.APPEND]
    verdicts = set()
    for one, other in zip(
        zip(alone, alone_appends, alone_outcomes, strict=True),
        zip(batched, batched_appends, batched_outcomes, strict=True),
        strict=True,
    ):
        assert await found(store, *one) == await found(store, *other), one
        verdicts.add(one[2].verdict)
    assert verdicts == {Verdict.WON, Verdict.CONFLICT, Verdict.NOT_DUE}


async def test_a_start_alone_means_what_it_means_in_a_batch(store: PostgresStore, batching: PostgresStore) -> None:
    sent, sent_batching = await sent_by(store), await sent_by(batching)
    verdicts = set()
    for key, is_taking, exists in product(KEYS, (False, True), (False, True)):
        seen = []
        for one, name in ((store, "alone"), (batching, "in a batch")):
            saga, first = Saga(), Saga()
            used = f"{name} {key} {is_taking} {exists}"
            if key.startswith("used"):
                await store.starts.start([first.start(key=used, input_hash=b"one")])
            if exists:
                await store.starts.start([saga.start(labels={"first": "yes"})])
            start = saga.start(
                key=None if key == "none" else used,
                input_hash=b"two" if key == "used with other input" else b"one",
                labels={"customer": 'ä"\\'},
                take=[take(saga.lease())] if is_taking else [],
            )
            [outcome] = await one.starts.start([start])
            [tail] = await store.log.read([Known(saga.saga_id)])
            existing = {first.saga_id: "first", saga.saga_id: "itself", None: None}[outcome.existing]
            head = tail.head
            seen.append(
                (
                    (outcome.verdict, existing, outcome.took == [each.lease.token for each in start.take]),
                    head and (head.saga, head.version, head.status, head.seq, head.labels, head.wake_at, head.last_instance),
                    head and head.tag == start.new_tag,
                    [(entry.seq, entry.event, entry.data, entry.tag == start.new_tag) for entry in tail.entries],
                    [lease.token == start.take[0].lease.token for lease in await store.recovery.leases([saga.saga_id])],
                )
            )
            verdicts.add(outcome.verdict)
        assert seen[0] == seen[1], (key, is_taking, exists)
    assert verdicts == {Verdict.WON, Verdict.ALREADY_STARTED, Verdict.OTHER_INPUT}
    assert writes.START not in sent
    assert writes.START in sent_batching
    assert len({text for text in sent if "INSERT INTO goconductor.saga_log" in text}) == 4


texts = st.text(max_size=8) | st.sampled_from(["", "ä\U0001f600", "a\0b", "\ud800", 'a"\\', "x" * 3000])
integers = st.integers(0, 3) | st.sampled_from([-1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1])
times = st.floats(0, 4e9, allow_nan=False) | st.sampled_from([0.0, 1_700_000_000.123456, -1.0, 1e13])
bodies = st.sampled_from(
    [
        b"{}",
        b'{"b": 1,  "a": 2}',
        b"{",
        b"",
        b"null",
        b'"\xff"',
        b'{"t":"a\\u0000b"}',
        rb'{"t":"a\\u0000b"}',
        b'"\\ud800"',
        b'"\0"',
    ]
)
events = st.fixed_dictionaries(
    {},
    optional={
        "name": texts,
        "step": texts,
        "round": integers,
        "attempt": integers,
        "token": integers,
        "participant": texts,
        "at": times,
        "data": bodies,
    },
)
facts = st.fixed_dictionaries(
    {},
    optional={
        "status": texts | st.sampled_from(["compensating", "completed"]),
        "instance": integers,
        "wake_at": times | st.none(),
        "new_tag": integers,
    },
)
names = st.fixed_dictionaries(
    {},
    optional={
        "saga": texts,
        "version": texts,
        "labels": st.dictionaries(texts, texts, max_size=2),
        "key": texts,
        "input_hash": st.binary(max_size=40),
    },
)


async def kept(store: PostgresStore, write: Append | Start, outcome: Outcome) -> tuple[Any, ...]:
    """What the log has of a write."""
    [tail] = await store.log.read([Known(write.saga_id)])
    head = tail.head
    return (
        outcome.verdict,
        head and (head.saga, head.version, head.status, head.seq, head.wake_at, head.last_instance, head.labels),
        head and head.tag == write.new_tag,
        [
            (e.seq, e.event, e.at, e.step, e.round, e.attempt, e.token, e.participant, e.data)
            for e in tail.entries[head is not None and head.seq - 1 :]
        ],
    )


async def test_any_value_is_kept_or_refused_alone_as_in_a_batch(store: PostgresStore, batching: PostgresStore) -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = []

    @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
    @given(events, facts, names)
    def gather(event_facts: dict[str, Any], saga_facts: dict[str, Any], start_facts: dict[str, Any]) -> None:
        cases.append((event_facts, {"new_tag": 5} | saga_facts, start_facts))

    gather()
    verdicts = []
    for number, (event_facts, saga_facts, start_facts) in enumerate(cases):
        seen = []
        for one in (store, batching):
            saga, starting = Saga(), Saga()
            first = saga.start()
            await store.starts.start([first])
            saga.seq, saga.tag = 1, first.new_tag
            entry = event(**event_facts)
            append = saga.append(entry, **saga_facts)
            start = starting.start(entries=[entry], namespace=f"{number} {one is store}", **saga_facts, **start_facts)
            [appended], [started] = await one.log.append([append]), await one.starts.start([start])
            seen.append((await kept(store, append, appended), await kept(store, start, started)))
            verdicts += [appended.verdict, started.verdict]
        assert seen[0] == seen[1], (event_facts, saga_facts, start_facts)
    assert min(verdicts.count(verdict) for verdict in (Verdict.WON, Verdict.REJECTED)) > 50
