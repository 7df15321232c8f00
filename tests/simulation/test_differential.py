"""The store in memory stands for PostgreSQL in the simulation: both answer the same calls of several processes alike."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from goconductor.errors import FencedError
from goconductor.ports.store import Acquire, Acquired, Append, Known, Lease, LogEntry, Outcome, Start, Store, Tail, Take, Term
from goconductor.saga.ids import Direction, uuid_of
from goconductor.stores.memory import MemoryStore
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.contracts.store.material import FAR, LONG_SECONDS, Saga
from tests.contracts.patient_store import PATIENT

pytestmark = pytest.mark.postgres

CALLS = 400
Call = Callable[[Store], Awaitable[Any]]


@dataclass
class Clients:
    """Several processes that call a store, each with what it knows, some of which is old."""

    chance: random.Random
    sagas: list[Saga] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    terms: list[Term] = field(default_factory=list)

    def number(self) -> int:
        return self.chance.getrandbits(62)

    def entry(self) -> LogEntry:
        step = self.chance.choice(["a", "b"])
        return LogEntry(event_id=uuid_of(self.chance.getrandbits(128)), event="ActionSucceeded", at=1.0, step=step, data=b"{}")

    def some(self) -> list[Saga]:
        return self.chance.sample(self.sagas, min(len(self.sagas), self.chance.randint(1, 3)))

    def lease(self, saga: Saga) -> Lease:
        lease = saga.lease(
            self.chance.choice(["a", "b"]),
            token=self.number(),
            instance=self.chance.choice([1, 2]),
            direction=self.chance.choice(list(Direction)),
            round=self.chance.choice([0, 0, 1]),
        )
        self.leases.append(lease)
        return lease

    def old_leases(self) -> list[Lease]:
        found = {lease.key: lease for lease in self.chance.sample(self.leases, min(len(self.leases), 3))}
        return list(found.values())

    def known(self, saga: Saga) -> Known:
        return self.chance.choice([saga.known, Known(saga.saga_id)])

    def seconds(self) -> float:
        return self.chance.choice([0.0, LONG_SECONDS])  # over at once, or for ever

    def epoch(self) -> int:
        return self.chance.choice(self.terms).epoch if self.terms else 1

    # one function for each kind of call

    def start(self) -> Call:
        saga = Saga(saga_id=uuid_of(self.chance.getrandbits(128)))
        key = self.chance.choice([None, "k1", "k2", "k3"])
        entries = [self.entry() for _ in range(self.chance.randint(1, 2))]
        start: Start = saga.start(
            new_tag=self.number(), key=key, input_hash=self.chance.choice([b"x", b"y"]), entries=entries, take=self.takes(saga)
        )
        self.sagas.append(Saga(saga.saga_id, len(entries), start.new_tag))
        return lambda store: store.starts.start([start])

    def takes(self, saga: Saga) -> list[Take]:
        found = {lease.key: lease for lease in (self.lease(saga) for _ in range(self.chance.randrange(3)))}
        return [Take(lease=lease, lease_seconds=self.seconds()) for lease in found.values()]

    def append(self) -> Call:
        appends: list[Append] = []
        for saga in self.some():
            chance = self.chance
            append = saga.append(
                *(self.entry() for _ in range(chance.randint(1, 2))),
                new_tag=self.number(),
                status=chance.choice(["running", "compensating", "completed", "paused"]),
                due_at=chance.choice([None, None, 1.0, FAR]),
                release=[lease for lease in self.old_leases() if lease.key.saga_id == saga.saga_id],
                take=self.takes(saga),
                epoch=chance.choice([0, 0, 0, self.epoch()]),
            )
            append = append if append.status in ("running", "compensating") else replace(append, wake_at=None)
            appends.append(append)
        return lambda store: store.log.append(appends)

    def acquire(self) -> Call:
        requests = [
            Acquire(
                lease=self.lease(saga), lease_seconds=self.seconds(), known=self.chance.choice([saga.known, Known(saga.saga_id)])
            )
            for saga in self.some()
        ]
        return lambda store: store.leases.acquire(requests)

    def renew(self) -> Call:
        leases, seconds = self.old_leases(), self.seconds()
        return lambda store: store.leases.renew(leases, seconds)

    def reassert(self) -> Call:
        leases = self.old_leases()
        return lambda store: store.leases.reassert(leases, LONG_SECONDS)

    def release(self) -> Call:
        leases, told = self.old_leases(), self.chance.random() < 0.5
        return lambda store: store.leases.release(leases, told=told)

    def free(self) -> Call:
        leases, epoch = self.old_leases(), self.epoch()
        return lambda store: store.recovery.free(leases, epoch=epoch)

    def postpone(self) -> Call:
        heads, epoch = [(saga.known, self.chance.choice([1.0, FAR])) for saga in self.some()], self.epoch()
        return lambda store: store.recovery.postpone(heads, epoch=epoch)

    def lead(self) -> Call:
        async def raise_epoch(store: Store) -> int:
            term = await store.terms.raise_epoch("leader", LONG_SECONDS)
            assert term is not None
            if isinstance(store, MemoryStore):
                self.terms.append(term)
            return term.epoch

        return raise_epoch

    def resign(self) -> Call:
        term = self.chance.choice(self.terms) if self.terms else Term(epoch=1, holder="leader", ends_at=0.0)
        return lambda store: store.terms.resign(term)

    def read(self) -> Call:
        known = [self.known(saga) for saga in self.some()]
        return lambda store: store.log.read(known)

    def call(self) -> tuple[str, Call]:
        """Draw a call."""
        kinds = [self.append] * 6 + [self.acquire] * 4 + [self.renew, self.reassert, self.release, self.free, self.postpone]
        kinds += [self.lead, self.resign, self.read, self.start]
        kind = self.chance.choice(kinds) if self.sagas else self.start
        return kind.__name__, kind()

    async def learn(self, store: Store) -> None:
        """Let one process read where a saga is; the others go on with what they knew."""
        saga = self.chance.choice(self.sagas)
        head = await store.sagas.head(saga.saga_id)
        if head is not None:
            saga.seq, saga.tag = head.seq, head.tag


async def answered(store: Store, call: Call) -> object:
    """What a store answers, without the times of its own clock."""
    try:
        return plain(await call(store))
    except FencedError:
        return "fenced"


def plain(answer: Any) -> object:
    match answer:
        case list():
            return [plain(each) for each in answer]
        case Outcome():
            return answer.verdict, sorted(answer.took), answer.existing
        case Acquired():
            holder = None if answer.holder is None else (answer.holder.instance, answer.holder.token)
            return answer.granted, plain(answer.tail), holder, answer.taken_from
        case Tail():
            head = answer.head
            entries = [(entry.seq, entry.tag, entry.event_id, entry.step) for entry in answer.entries]
            return None if head is None else (head.seq, head.tag, head.status, head.wake_at), entries, answer.rebased
        case _:
            return answer


async def held(store: Store, sagas: list[UUID]) -> list[tuple[object, ...]]:
    now = await store.terms.database_time()
    return sorted(
        (lease.key, lease.instance, lease.token, lease.expires_at > now) for lease in await store.recovery.leases(sagas)
    )


@pytest.fixture
async def postgres(postgres_url: str, patient_starts: None) -> AsyncIterator[Store]:
    await migrate(postgres_url)
    store = PostgresStore(postgres_url, **PATIENT)
    await store.open()
    yield store
    await store.close()


@pytest.mark.parametrize("seed", range(5))
async def test_both_stores_give_the_same_answers(postgres: Store, seed: int) -> None:
    clients, memory = Clients(random.Random(f"differential {seed}")), MemoryStore()
    for number in range(CALLS):
        name, call = clients.call()
        here, there = await answered(memory, call), await answered(postgres, call)
        assert here == there, f"call {number}, {name}"
        if clients.chance.random() < 0.4:
            await clients.learn(memory)
    sagas = [saga.saga_id for saga in clients.sagas]
    assert await held(memory, sagas) == await held(postgres, sagas)
    assert plain(await memory.log.read([Known(saga) for saga in sagas])) == plain(
        await postgres.log.read([Known(saga) for saga in sagas])
    )
