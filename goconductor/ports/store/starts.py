"""Starts of sagas."""

from __future__ import annotations

from uuid import UUID

import msgspec

from goconductor.ports.store.leases import Take
from goconductor.ports.store.sagas import LogEntry


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A new saga. With ``key`` it starts once per (namespace, saga, key); ``input_hash`` tells other input under the same key."""

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
