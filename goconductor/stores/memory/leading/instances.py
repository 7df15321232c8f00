"""The instances of a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from uuid import UUID

import msgspec
from msgspec.structs import replace

from goconductor.ports.store import Instance, Lease, Presence, ignore
from goconductor.stores.memory.data import Data
from goconductor.stores.memory.log.leases import MemoryLeases
from goconductor.stores.memory.log.permits import MemoryPermits

NEWCOMER_SECONDS = 1.0
"""Seconds after its registration during which an instance is not missed."""


class MemoryInstances:
    """Instances, and their signs of life."""

    def __init__(self, data: Data, leases: MemoryLeases, permits: MemoryPermits) -> None:
        self._data = data
        self._leases = leases
        self._permits = permits

    async def register(
        self,
        participant: str,
        name: str,
        steps: Mapping[str, Mapping[str, object]],
        *,
        features: Collection[str] = (),
        on_rewind: Callable[[Instance], None] = ignore,  # noqa: ARG002  (this log loses nothing)
    ) -> Instance:
        serial = next(self._data.serials)
        instance = Instance(
            serial=serial,
            participant=participant,
            name=name,
            steps=_kept(steps),
            features=tuple(features),
            started_at=self._data.now(),
        )
        self._data.instances[serial] = instance
        self._data.alive.add(serial)
        return instance

    async def offer(self, serial: int, steps: Mapping[str, Mapping[str, object]]) -> None:
        self._data.instances[serial] = replace(self._data.instances[serial], steps=_kept(steps))

    async def unregister(self, serial: int) -> None:
        self._data.alive.discard(serial)
        self._data.instances[serial] = replace(self._data.instances[serial], dead_at=self._data.now())

    async def missing(self) -> list[Instance]:
        latest = self._data.now() - NEWCOMER_SECONDS
        return [
            x
            for x in self._data.instances.values()
            if x.serial not in self._data.alive and x.dead_at is None and x.started_at < latest
        ]

    async def mark_dead(self, serial: int, *, epoch: int) -> tuple[list[Lease], list[UUID]]:
        self._data.fence(epoch)
        instance = self._data.instances.get(serial)
        if instance is None or serial in self._data.alive:
            return [], []
        if instance.dead_at is None:
            self._data.instances[serial] = replace(instance, dead_at=self._data.now())
        leases = self._leases.end(serial)
        self._permits.end(serial)
        heads = self._data.heads.values()
        return leases, sorted(head.saga_id for head in heads if head.wake_at is not None and head.last_instance == serial)

    async def registered(self, participant: str | None = None) -> list[Instance]:
        return [instance for instance in self._data.instances.values() if participant in (None, instance.participant)]

    async def presence(self, *, dead_since: float) -> list[tuple[Instance, Presence]]:
        now = self._data.now()
        return [
            (instance, self._presence(serial, now))
            for serial, instance in self._data.instances.items()
            if instance.dead_at is None or instance.dead_at > dead_since
        ]

    def _presence(self, serial: int, now: float) -> Presence:
        ends = [lease.expires_at for lease in self._data.leases.values() if lease.instance == serial and lease.expires_at > now]
        alive = serial in self._data.alive
        return Presence(
            serial=serial, alive=alive, heard_at=now if alive else None, leases=len(ends), lease_ends_at=min(ends, default=None)
        )


def _kept(steps: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    return msgspec.json.decode(msgspec.json.encode(steps), type=dict[str, dict[str, object]])
