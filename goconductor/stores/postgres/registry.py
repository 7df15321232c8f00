"""Definitions and dead letters."""

from __future__ import annotations

import msgspec

from goconductor.ports.store import DeadLetter, StoredDefinition
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.dial import Address, Row
from goconductor.stores.postgres.rows import texts_of

DEFINITION = """d.namespace, d.saga, d.version, d.document, d.version = chosen.version AS active,
    a.pinned AND a.version = d.version AS pinned,
    extract(epoch FROM d.registered_at)::float8 AS registered_at,
    (SELECT count(*) FROM goconductor.offers AS o JOIN goconductor.participants AS p USING (serial)
     WHERE o.namespace = d.namespace AND o.saga = d.saga AND o.version = d.version AND p.dead_at IS NULL)::int AS offered
    FROM goconductor.definitions AS d
    LEFT JOIN goconductor.active_definitions AS a ON a.namespace = d.namespace AND a.saga = d.saga
    LEFT JOIN LATERAL (
        SELECT n.version FROM goconductor.offers AS o JOIN goconductor.participants AS p USING (serial)
        JOIN goconductor.definitions AS n ON n.namespace = o.namespace AND n.saga = o.saga AND n.version = o.version
        WHERE o.namespace = d.namespace AND o.saga = d.saga AND p.dead_at IS NULL
        ORDER BY n.registered_at DESC, n.version DESC LIMIT 1
    ) AS newest ON true
    CROSS JOIN LATERAL (
        SELECT CASE WHEN a.pinned THEN a.version ELSE coalesce(newest.version, a.version) END AS version
    ) AS chosen"""
"""The rule by which a version is active stands in :mod:`goconductor.engine.facts.definitions`."""

LETTER = """letter_id, topic, payload, reason, headers, extract(epoch FROM at)::float8 AS at
    FROM goconductor.dead_letters"""


def definition_of(row: Row) -> StoredDefinition:
    """From :data:`DEFINITION`."""
    return StoredDefinition(
        namespace=row["namespace"],
        saga=row["saga"],
        version=row["version"],
        document=row["document"].encode(),
        active=bool(row["active"]),
        pinned=bool(row["pinned"]),
        offered=row["offered"],
        registered_at=row["registered_at"],
    )


def letter_of(row: Row) -> DeadLetter:
    """From a row of dead letters."""
    return DeadLetter(
        topic=row["topic"],
        payload=row["payload"],
        reason=row["reason"],
        headers=texts_of(row["headers"]),
        at=row["at"],
        letter_id=row["letter_id"],
    )


class Registry:
    """What is kept by name, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    async def put_definition(
        self, definition: StoredDefinition, *, activate: bool, pin: bool | None, offered_by: int | None
    ) -> None:
        """As the port says. A version is the hash of its document: what is there already stays."""
        key = definition.namespace, definition.saga, definition.version
        async with self._sessions.use() as connection, connection.transaction():
            await connection.execute(
                self._address.sql(
                    """
                    INSERT INTO goconductor.definitions (namespace, saga, version, document) VALUES ($1, $2, $3, $4)
                    ON CONFLICT DO NOTHING
                    """
                ),
                *key,
                definition.document.decode(),
            )
            if activate or pin is not None:
                await connection.execute(
                    self._address.sql(
                        """
                        INSERT INTO goconductor.active_definitions AS a (namespace, saga, version, pinned)
                        VALUES ($1, $2, $3, coalesce($4, false))
                        ON CONFLICT (namespace, saga) DO UPDATE SET pinned = coalesce($4, a.pinned),
                        version = CASE WHEN a.pinned AND $4 IS NULL THEN a.version ELSE excluded.version END
                        """
                    ),
                    *key,
                    pin,
                )
            if offered_by is not None:
                await connection.execute(
                    self._address.sql(
                        """
                        INSERT INTO goconductor.offers (namespace, saga, version, serial)
                        SELECT $1, $2, $3, serial FROM goconductor.participants WHERE serial = $4 ON CONFLICT DO NOTHING
                        """
                    ),
                    *key,
                    offered_by,
                )

    async def definition(self, namespace: str, saga: str, version: str | None) -> StoredDefinition | None:
        """As the port says; without a version, the active one."""
        statement = f"""
            SELECT {DEFINITION} WHERE d.namespace = $1 AND d.saga = $2 AND d.version = coalesce($3::text, chosen.version)
        """
        async with self._sessions.use() as connection:
            row = await connection.fetchrow(self._address.sql(statement), namespace, saga, version)
        return definition_of(row) if row else None

    async def definitions(self, namespace: str, saga: str | None) -> list[StoredDefinition]:
        """As the port says, by name and age."""
        statement = f"""
            SELECT {DEFINITION} WHERE d.namespace = $1 AND ($2::text IS NULL OR d.saga = $2)
            ORDER BY d.saga, d.registered_at, d.version
        """
        async with self._sessions.use() as connection:
            rows = await connection.fetch(self._address.sql(statement), namespace, saga)
        return [definition_of(row) for row in rows]

    async def put_dead_letter(self, letter: DeadLetter) -> None:
        """As the port says. A NUL, which PostgreSQL's text cannot hold, is replaced in the reason."""
        statement = "INSERT INTO goconductor.dead_letters (topic, payload, reason, headers) VALUES ($1, $2, $3, $4)"
        async with self._sessions.use() as connection:
            await connection.execute(
                self._address.sql(statement),
                _text(letter.topic),
                letter.payload,
                _text(letter.reason),
                msgspec.json.encode({_text(name): _text(value) for name, value in letter.headers.items()}),
            )

    async def dead_letters(self, limit: int, before: int | None) -> list[DeadLetter]:
        """As the port says, the newest first."""
        statement = (
            f"SELECT {LETTER} WHERE letter_id < coalesce($2::bigint, 9223372036854775807) ORDER BY letter_id DESC LIMIT $1"
        )
        async with self._sessions.use() as connection:
            return [letter_of(row) for row in await connection.fetch(self._address.sql(statement), limit, before)]

    async def dead_letter(self, letter_id: int) -> DeadLetter | None:
        """As the port says."""
        async with self._sessions.use() as connection:
            row = await connection.fetchrow(self._address.sql(f"SELECT {LETTER} WHERE letter_id = $1"), letter_id)
        return letter_of(row) if row else None

    async def drop_dead_letter(self, letter_id: int) -> bool:
        """As the port says."""
        statement = "DELETE FROM goconductor.dead_letters WHERE letter_id = $1 RETURNING letter_id"
        async with self._sessions.use() as connection:
            return await connection.fetchval(self._address.sql(statement), letter_id) is not None


def _text(text: str) -> str:
    """What PostgreSQL's text can hold: a dead letter is kept whatever is in it."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
