"""Starts of sagas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from goconductor.ports.store.log.appends import Outcome
from goconductor.ports.store.log.head import LogEntry
from goconductor.ports.store.log.leases import Take
from goconductor.ports.store.log.notes import Note
from goconductor.ports.store.log.transactions import Transaction


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A new saga. With ``key`` it starts once per (namespace, saga, key); ``input_hash`` tells other input under the same key.

    ``notes`` are those of the request that starts it, for the audit log.
    """

    saga_id: UUID
    namespace: str
    saga: str
    version: str
    new_tag: int
    entries: list[LogEntry]
    status: str
    instance: int
    wake_at: float | None
    key: str | None = None
    input_hash: bytes = b""
    labels: dict[str, str] = {}
    take: list[Take] = []
    notes: list[Note] = []


class Starts(Protocol):
    """The beginnings of sagas.

    3. **Start** inserts head, log, key and leases in one durable transaction; the same key and hash again answers
       ALREADY_STARTED with the saga that exists, another hash OTHER_INPUT. **Start in** does so for one saga inside the
       caller's own open transaction: it begins when that commits, or never, key included. It takes no lease, and what the
       database refuses does not spoil the transaction. A store without transactions refuses (:class:`ConfigurationError`).
    """

    async def start(self, starts: Sequence[Start]) -> list[Outcome]: ...
    async def start_in(self, transaction: Transaction, start: Start) -> Outcome: ...
