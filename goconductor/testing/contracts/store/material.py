# ruff: noqa: S101 - assertions are what a suite is made of
"""What the suite's tests are written with: sagas, events, leases, and a store's faults."""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID, uuid4

import pytest

from goconductor.ports.store import (
    Acquire,
    Acquired,
    Append,
    Head,
    Known,
    Lease,
    LeaseKey,
    LogEntry,
    Start,
    Store,
    Take,
    Verdict,
)
from goconductor.saga.ids import DEFAULT_NAMESPACE, Direction

FAR = 4_000_000_000.5
"""A time that no test reaches, in seconds since 1970."""
LONG_SECONDS = 600.0
"""Seconds of a lease that no test outlives."""
TIMEOUT_SECONDS = 300.0
"""Seconds after which a test that waits fails."""


class Faults(Protocol):
    """What a test does to a store from outside."""

    async def kill(self, store: Store, serial: int) -> None:
        """End the process of an instance that was registered with this store, or what looks like it from outside."""

    async def age(self, store: Store, serial: int) -> None:
        """Let its registration be an hour old."""

    async def truncate_leases(self, store: Store) -> None:
        """Lose all leases, as a crash of the database does."""


class StoreFixtures(ABC):
    """What a leaf's test module gives. Both stores are open, on the same data, which are empty."""

    @pytest.fixture
    @abstractmethod
    async def store(self) -> Store:
        """Provide an open store."""

    @pytest.fixture
    @abstractmethod
    async def other(self, store: Store) -> Store:
        """Provide another process's store on the same data; the same object where that is how it is shared."""

    @pytest.fixture
    @abstractmethod
    def faults(self, store: Store) -> Faults:
        """Provide the faults."""


def new_number() -> int:
    """Return a tag or token."""
    return secrets.randbits(63)


def event(name: str = "ActionSucceeded", **facts: Any) -> LogEntry:
    """Make an event of a step."""
    given: dict[str, Any] = {"event_id": uuid4(), "event": name, "at": 1_700_000_000.25, "step": "payments.charge", "data": b"{}"}
    return LogEntry(**(given | facts))


@dataclass
class Saga:
    """A saga as a test knows it, at some place of its log."""

    saga_id: UUID = field(default_factory=uuid4)
    seq: int = 0
    tag: int = 0

    @property
    def known(self) -> Known:
        return Known(self.saga_id, self.seq, self.tag)

    def start(self, **facts: Any) -> Start:
        given: dict[str, Any] = {
            "saga_id": self.saga_id,
            "namespace": DEFAULT_NAMESPACE,
            "saga": "order",
            "version": "v1",
            "new_tag": new_number(),
            "entries": [event("SagaStarted")],
            "status": "running",
            "instance": 7,
            "wake_at": FAR,
        }
        return Start(**(given | facts))

    def append(self, *entries: LogEntry, **facts: Any) -> Append:
        given: dict[str, Any] = {
            "saga_id": self.saga_id,
            "seq": self.seq,
            "tag": self.tag,
            "new_tag": new_number(),
            "entries": list(entries) or [event()],
            "status": "running",
            "instance": 7,
            "wake_at": FAR,
        }
        return Append(**(given | facts))

    def lease(self, step: str = "payments.charge", **facts: Any) -> Lease:
        key = LeaseKey(self.saga_id, step, facts.pop("direction", Direction.ACTION), facts.pop("round", 0))
        given: dict[str, Any] = {"key": key, "instance": 7, "token": new_number()}
        return Lease(**(given | facts))


async def begin(store: Store, **facts: Any) -> Saga:
    """Begin a saga, and return it."""
    saga = Saga()
    start = saga.start(**facts)
    [outcome] = await store.starts.start([start])
    assert outcome.verdict == Verdict.WON, outcome
    saga.seq, saga.tag = len(start.entries), start.new_tag
    return saga


async def advance(store: Store, saga: Saga, *entries: LogEntry, **facts: Any) -> Append:
    """Append to a saga, and know it where it then is."""
    append = saga.append(*entries, **facts)
    [outcome] = await store.log.append([append])
    assert outcome.verdict == Verdict.WON, outcome
    saga.seq, saga.tag = saga.seq + len(append.entries), append.new_tag
    return append


def wish(lease: Lease, known: Known | None = None, *, seconds: float = LONG_SECONDS) -> Acquire:
    """Make a request for a lease."""
    return Acquire(lease=lease, lease_seconds=seconds, known=known or Known(lease.key.saga_id))


async def acquire(store: Store, lease: Lease, known: Known | None = None, *, seconds: float = LONG_SECONDS) -> Acquired:
    """Ask for one lease."""
    [acquired] = await store.leases.acquire([wish(lease, known, seconds=seconds)])
    return acquired


async def hold(store: Store, lease: Lease, *, seconds: float = LONG_SECONDS) -> Lease:
    """Get a lease; with ``seconds=0`` one that has expired."""
    assert (await acquire(store, lease, seconds=seconds)).granted
    return lease


def take(lease: Lease, *, seconds: float = LONG_SECONDS) -> Take:
    """Make a lease to be taken by an append or a start."""
    return Take(lease=lease, lease_seconds=seconds)


async def tokens(store: Store, saga: Saga) -> set[int]:
    """Return the tokens of the leases on a saga."""
    return {lease.token for lease in await store.recovery.leases([saga.saga_id])}


async def head_of(store: Store, saga: Saga) -> Head:
    """Return the head of a saga that is there."""
    head = await store.sagas.head(saga.saga_id)
    assert head is not None
    return head


async def lead(store: Store) -> int:
    """Become the leader; the epoch."""
    term = await store.terms.raise_epoch("leader", LONG_SECONDS)
    assert term is not None
    return term.epoch


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not await check():  # noqa: ASYNC110 - another process's doing has no event
            await asyncio.sleep(0.01)
