"""Taking leases, and only then reading the heads.

In one statement the head would come from a snapshot older than the lease, and in one transaction an acquirer and a decider
would not see each other. So: the leases, their commit, and then a second statement. Leases are unlogged; their commits wait
for no disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from goconductor.ports.store import Acquire, Acquired, Lease, LeaseKey, Tail
from goconductor.postgres.session import Session
from goconductor.stores.postgres.database.dial import Address, Connection
from goconductor.stores.postgres.log import sql
from goconductor.stores.postgres.log.batch import columns, document, fetch, held_columns, key_of, lease_row
from goconductor.stores.postgres.log.rows import lease_of
from goconductor.stores.postgres.log.sifting import LOCK_TABLES, Sieve
from goconductor.stores.postgres.log.tails import TailReader

NOTHING = Tail(head=None)
REFUSED = Acquired(granted=False, tail=NOTHING)


class PostgresLeases:
    """Leases, on a session of their own."""

    def __init__(self, session: Session, address: Address, tails: TailReader) -> None:
        self._session = session
        self._tails = tails
        self._acquire = address.sql(sql.ACQUIRE)
        self._holders = address.sql(sql.HOLDERS)
        self._renew = address.sql(sql.RENEW)
        self._assert = address.sql(sql.ASSERT)
        self._release = address.sql(sql.RELEASE)
        self._lock_tables = address.sql(LOCK_TABLES)

    async def acquire(self, requests: Sequence[Acquire]) -> list[Acquired]:
        """As the port says. Of two wishes for one lease in a batch, the first is the one that is tried."""
        async with self._session.use() as connection:

            async def run(batch: Sequence[Acquire]) -> list[Acquired]:
                return await self._run(connection, batch)

            return await Sieve(connection, self._lock_tables).run(requests, run, lambda *_: REFUSED, lambda _: REFUSED)

    async def _run(self, connection: Connection, requests: Sequence[Acquire]) -> list[Acquired]:
        first: dict[tuple[int, str, str, int], Acquire] = {}
        for request in requests:
            first.setdefault(_order(request.lease.key), request)
        wishes = document([_wish(first[key]) for key in sorted(first)])
        got = {row["token"]: row["taken_from"] for row in await fetch(connection, self._acquire, [wishes])}
        granted = [request.lease.token in got for request in requests]
        known = [request.known for request, ok in zip(requests, granted, strict=True) if ok]
        tails = iter(await self._tails.read(connection, known))
        holders = await self._held(connection, {r.lease.key for r, ok in zip(requests, granted, strict=True) if not ok})
        return [
            Acquired(granted=True, tail=next(tails), taken_from=got[request.lease.token])
            if ok
            else Acquired(granted=False, tail=NOTHING, holder=holders.get(request.lease.key))
            for request, ok in zip(requests, granted, strict=True)
        ]

    async def _held(self, connection: Connection, keys: set[LeaseKey]) -> dict[LeaseKey, Lease]:
        if not keys:
            return {}
        arrays = columns(((key.saga_id, key.step, key.direction.value, key.round) for key in sorted(keys)), 4)
        return {lease.key: lease for lease in map(lease_of, await connection.fetch(self._holders, *arrays))}

    async def renew(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
        """As the port says."""
        return await self._prolonged(self._renew, leases, lease_seconds)

    async def reassert(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
        """As the port says: the marker's table is emptied with that of the leases."""
        return await self._prolonged(self._assert, leases, lease_seconds)

    async def _prolonged(self, statement: str, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
        wanted = _unique(leases)
        async with self._session.use() as connection:
            return {key_of(row) for row in await fetch(connection, statement, [*held_columns(wanted), lease_seconds])}

    async def release(self, leases: Sequence[Lease], *, told: bool = False) -> None:
        """As the port says."""
        arguments = [*held_columns(sorted(leases, key=lambda lease: lease.key)), told]
        async with self._session.use() as connection:
            await fetch(connection, self._release, arguments)


def _order(key: LeaseKey) -> tuple[int, str, str, int]:
    """A lease's key as PostgreSQL orders it; a UUID would be compared and hashed in Python."""
    return key.saga_id.int, key.step, key.direction, key.round


def _wish(request: Acquire) -> tuple[Any, ...]:
    return (request.lease.key.saga_id, *lease_row(request.lease), request.lease_seconds)


def _unique(leases: Sequence[Lease]) -> list[Lease]:
    by_key = {lease.key: lease for lease in leases}
    return [by_key[key] for key in sorted(by_key)]
