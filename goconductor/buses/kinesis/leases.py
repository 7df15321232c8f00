"""Who reads which shard, and how far it was read: three small tables in PostgreSQL, by its clock alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from goconductor.buses.shared.link import Link
from goconductor.errors import BusUnavailableError
from goconductor.postgres import dialling
from goconductor.postgres.setup import Limits, Setup
from goconductor.postgres.tables import Tables

Connection: TypeAlias = dialling.Connection

UNAVAILABLE = (*dialling.FAILURES, BusUnavailableError)
EXISTS = "SELECT to_regclass('readers') IS NOT NULL AND to_regclass('shards') IS NOT NULL"
LOCK = "SELECT pg_advisory_xact_lock(hashtext('goconductor kinesis'), 0)"
TABLES = """
CREATE TABLE IF NOT EXISTS readers (
    topic          text NOT NULL,
    consumer_group text NOT NULL,
    reader         text NOT NULL,
    seen_at        timestamptz NOT NULL,
    PRIMARY KEY (topic, consumer_group, reader)
);
CREATE TABLE IF NOT EXISTS shards (
    topic          text NOT NULL,
    consumer_group text NOT NULL,
    stream         text NOT NULL,
    shard          text NOT NULL,
    reader         text,                       -- who has the lease
    expires_at     timestamptz NOT NULL DEFAULT now(),
    checkpoint     text,                       -- NULL: nothing is done with
    done           text[] NOT NULL DEFAULT '{}',  -- beyond the checkpoint
    drained        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (topic, consumer_group, stream, shard)
) WITH (fillfactor = 50);
"""
NEEDS = dict.fromkeys(("readers", "shards"), ("SELECT", "INSERT", "UPDATE", "DELETE"))
"""Rights that a role needs on each table once it is there."""
SEEN = """
INSERT INTO readers SELECT unnest($1::text[]), $2, $3, clock_timestamp()
ON CONFLICT (topic, consumer_group, reader) DO UPDATE SET seen_at = excluded.seen_at
"""
RENEW = """
UPDATE shards SET expires_at = clock_timestamp() + $4 * interval '1 s'
WHERE topic = ANY($1) AND consumer_group = $2 AND reader = $3 AND expires_at > clock_timestamp()
"""
READERS = """
SELECT topic, reader FROM readers
WHERE topic = ANY($1) AND consumer_group = $2 AND seen_at > clock_timestamp() - $3 * interval '1 s'
"""
STATES = """
SELECT topic, shard, reader, expires_at > clock_timestamp() AND reader IS NOT NULL AS is_held, drained
FROM shards JOIN unnest($1::text[], $3::text[]) AS read(topic, stream) USING (topic, stream)
WHERE consumer_group = $2 ORDER BY topic, shard
"""
KNOW = """
INSERT INTO shards (topic, consumer_group, stream, shard)
SELECT topic, $2, stream, shard FROM unnest($1::text[], $3::text[], $4::text[]) AS seen(topic, stream, shard)
ORDER BY topic, stream, shard ON CONFLICT DO NOTHING
"""
CLAIM = """
WITH free AS (
    SELECT topic, consumer_group, stream, shard
    FROM shards JOIN unnest($1::text[], $3::text[], $4::text[]) AS wanted(topic, stream, shard) USING (topic, stream, shard)
    WHERE consumer_group = $2 AND NOT drained AND (reader IS NULL OR expires_at <= clock_timestamp())
    FOR UPDATE OF shards SKIP LOCKED
)
UPDATE shards SET reader = $5, expires_at = clock_timestamp() + $6 * interval '1 s'
FROM free WHERE (shards.topic, shards.consumer_group, shards.stream, shards.shard) = (free.topic, $2, free.stream, free.shard)
RETURNING shards.topic, shards.shard, checkpoint, done
"""
CHECKPOINT = """
UPDATE shards SET checkpoint = $6, done = $7, drained = $8, reader = CASE WHEN $9 THEN NULL ELSE reader END
WHERE topic = $1 AND consumer_group = $2 AND stream = $3 AND shard = $5 AND reader = $4
"""
RELEASE = "UPDATE shards SET reader = NULL WHERE topic = ANY($1) AND consumer_group = $2 AND reader = $3"
LEAVE = "DELETE FROM readers WHERE topic = ANY($1) AND consumer_group = $2 AND reader = $3"
DROP = "DELETE FROM shards WHERE topic = ANY($1) AND consumer_group = $2"
FORGET_READERS = """
DELETE FROM readers WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM readers WHERE seen_at < clock_timestamp() - $1 * interval '1 s' FOR UPDATE SKIP LOCKED))
"""
FORGET_SHARDS = """
DELETE FROM shards WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM shards WHERE starts_with(topic, $2) AND expires_at < clock_timestamp() - $1 * interval '1 s'
    FOR UPDATE SKIP LOCKED))
"""


@dataclass(frozen=True, slots=True)
class ShardState:
    """The row of a shard."""

    shard: str
    reader: str | None
    is_held: bool
    drained: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """What a reader reads: one topic in its stream, for one group."""

    topic: str
    group: str
    stream: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A shard that became ours, and how far it is done with."""

    topic: str
    shard: str
    checkpoint: str | None
    done: list[str]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a shard is done with; with ``release`` its lease ends."""

    scope: Scope
    shard: str
    checkpoint: str | None
    done: list[str]
    drained: bool
    release: bool


class Leases:
    """The tables, over one connection. Each request is one statement for all topics of a reader.

    No statement waits for a row that another reader keeps locked while that one waits itself: a reader updates only its own rows,
    and skips locked rows when it claims or deletes.

    Args:
        link: the connection.
        lease_seconds: seconds without a renewal after which a lease is free.
    """

    def __init__(self, link: Link[Connection], *, lease_seconds: float) -> None:
        self._link = link
        self._lease_seconds = lease_seconds
        self._alone = asyncio.Lock()

    async def tick(self, scopes: Sequence[Scope], reader: str) -> tuple[dict[str, list[ShardState]], dict[str, list[str]]]:
        """Send a reader's heartbeat, renew its leases, and return the shards and the readers of each topic."""
        topics, group, streams = _columns(scopes)
        async with self._connected() as connection:
            await connection.execute(SEEN, topics, group, reader)
            await connection.execute(RENEW, topics, group, reader, self._lease_seconds)
            there = await connection.fetch(READERS, topics, group, self._lease_seconds)
            rows = await connection.fetch(STATES, topics, group, streams)
        states: dict[str, list[ShardState]] = {topic: [] for topic in topics}
        for row in rows:
            states[row["topic"]].append(ShardState(row["shard"], row["reader"], row["is_held"], row["drained"]))
        readers: dict[str, list[str]] = {topic: [] for topic in topics}
        for row in there:
            readers[row["topic"]].append(row["reader"])
        return states, readers

    async def know(self, shards: Sequence[tuple[Scope, str]]) -> None:
        """Write down shards that there are."""
        if shards:
            topics, group, streams = _columns([scope for scope, _ in shards])
            async with self._connected() as connection:
                await connection.execute(KNOW, topics, group, streams, [shard for _, shard in shards])

    async def claim(self, shards: Sequence[tuple[Scope, str]], reader: str) -> list[Claimed]:
        """Take free shards: those of them where no other was faster."""
        if not shards:
            return []
        topics, group, streams = _columns([scope for scope, _ in shards])
        wanted = [shard for _, shard in shards]
        async with self._connected() as connection:
            rows = await connection.fetch(CLAIM, topics, group, streams, wanted, reader, self._lease_seconds)
        return [Claimed(row["topic"], row["shard"], row["checkpoint"], list(row["done"])) for row in rows]

    async def checkpoint(self, reader: str, checkpoints: Sequence[Checkpoint]) -> None:
        """Write down how far shards are done with; of those whose lease is another's by now, nothing."""
        if checkpoints:
            rows = [
                (*_names(each.scope), reader, each.shard, each.checkpoint, each.done, each.drained, each.release)
                for each in checkpoints
            ]
            async with self._connected() as connection:
                await connection.executemany(CHECKPOINT, rows)

    async def leave(self, scopes: Sequence[Scope], reader: str) -> None:
        """Remove a reader and its leases."""
        topics, group, _ = _columns(scopes)
        async with self._connected() as connection:
            await connection.execute(RELEASE, topics, group, reader)
            await connection.execute(LEAVE, topics, group, reader)

    async def drop(self, scopes: Sequence[Scope]) -> None:
        """Drop what is kept of these topics, which nobody will read any more."""
        if scopes:
            topics, group, _ = _columns(scopes)
            async with self._connected() as connection:
                await connection.execute(DROP, topics, group)

    async def forget(self, short_lived_prefixes: Sequence[str], after_seconds: float) -> None:
        """Forget readers that died, and the topics of processes that did."""
        async with self._connected() as connection:
            await connection.execute(FORGET_READERS, after_seconds)
            for prefix in short_lived_prefixes:
                await connection.execute(FORGET_SHARDS, after_seconds, prefix)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        async with self._alone:
            try:
                async with asyncio.timeout(self._lease_seconds):
                    connection = await self._link.get()
            except TimeoutError:
                raise BusUnavailableError(f"the leases in PostgreSQL cannot be reached now: {self._link.trouble}") from None
            try:
                yield connection
            except UNAVAILABLE as error:
                reason = str(error) or type(error).__name__
                self._link.lost(connection, reason)
                raise BusUnavailableError(f"the leases in PostgreSQL cannot be reached now: {reason}") from None


def _names(scope: Scope) -> tuple[str, str, str]:
    return scope.topic, scope.group, scope.stream


def _columns(scopes: Sequence[Scope]) -> tuple[list[str], str, list[str]]:
    """Return topics, the one group, and streams."""
    return [scope.topic for scope in scopes], scopes[0].group, [scope.stream for scope in scopes]


_POOLER = (
    "a transaction pooler stands between the bus and the PostgreSQL of its leases: its settings would be another client's. Give "
    "the bus a database_url straight to the server, or to a pool in session mode"
)


def address_of(url: str) -> dialling.Address:
    """Return the database of the leases.

    Args:
        url: its DSN.

    Raises:
        ConfigurationError: the URL cannot be used.
    """
    return dialling.Address(
        url, application_name="goconductor bus kinesis", setting="database_url", unavailable=BusUnavailableError
    )


def set_up(address: dialling.Address, schema: str, *, connect_timeout_seconds: float) -> Setup:
    """Return the setup of a session, with our tables in place, and no pooler in between.

    Args:
        address: the database.
        schema: the schema of the tables.
        connect_timeout_seconds: time limit of the connection to each host.
    """
    tables = Tables(schema=schema, exist=EXISTS, lock=LOCK, create=TABLES)
    setup = Setup(
        address=address,
        limits=Limits(statement_seconds=10.0, lock_seconds=5.0, idle_in_transaction_seconds=10.0, grace_seconds=5.0),
        settings={"search_path": schema},
        connect_timeout_seconds=connect_timeout_seconds,
        durable=False,
    )

    async def prepare(connection: Connection) -> None:
        if address.is_pooled:
            await setup.refuse_pooler(connection, _POOLER)
        await tables.ensure(connection)

    return replace(setup, prepare=prepare)
