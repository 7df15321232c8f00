"""The table of definitions."""

from __future__ import annotations

from goconductor.ports.store import StoredDefinition
from goconductor.ports.store.log.notes import written
from goconductor.postgres.lookout import Lookout
from goconductor.postgres.session import Usable, transaction
from goconductor.stores.postgres.database.dial import Address, Connection, Row
from goconductor.stores.postgres.database.notes import note_request

DEFINITION = """d.namespace, d.saga, d.version, d.document, d.features, d.version = chosen.version AS active,
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
        AND (n.features = '{}' OR NOT EXISTS (
            SELECT FROM goconductor.participants AS other WHERE other.dead_at IS NULL AND NOT other.features @> n.features
        ))
        ORDER BY n.registered_at DESC, n.version DESC LIMIT 1
    ) AS newest ON true
    CROSS JOIN LATERAL (
        SELECT CASE WHEN a.pinned THEN a.version ELSE coalesce(newest.version, a.version) END AS version
    ) AS chosen"""
"""The rule by which a version is active stands in :mod:`goconductor.engine.facts.definitions`."""


def definition_of(row: Row) -> StoredDefinition:
    """Read a row of :data:`DEFINITION`."""
    return StoredDefinition(
        namespace=row["namespace"],
        saga=row["saga"],
        version=row["version"],
        document=row["document"].encode(),
        features=tuple(row["features"]),
        active=bool(row["active"]),
        pinned=bool(row["pinned"]),
        offered=row["offered"],
        registered_at=row["registered_at"],
    )


class DefinitionTable:
    """Definitions, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address, lookout: Lookout) -> None:
        self._sessions = sessions
        self._address = address
        self._lookout = lookout

    async def put(
        self, definition: StoredDefinition, *, activate: bool, pin: bool | None = None, offered_by: int | None = None
    ) -> None:
        """Keep a version. It is the hash of its document: what is there already stays."""
        key = definition.namespace, definition.saga, definition.version
        async with self._sessions.use() as connection, transaction(connection):
            await self._keep(connection, definition)
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
            await note_request(connection, self._address)
        written()

    async def get(self, namespace: str, saga: str, version: str | None = None) -> StoredDefinition | None:
        """Return that version; without one, the active one."""
        statement = f"""
            SELECT {DEFINITION} WHERE d.namespace = $1 AND d.saga = $2 AND d.version = coalesce($3::text, chosen.version)
        """
        async with self._sessions.use() as connection:
            row = await connection.fetchrow(self._address.sql(statement), namespace, saga, version)
            if row is None:
                await self._lookout.confirm_absence(connection)
        return definition_of(row) if row else None

    async def versions(self, namespace: str, saga: str | None = None) -> list[StoredDefinition]:
        """List the versions, by name and age."""
        statement = f"""
            SELECT {DEFINITION} WHERE d.namespace = $1 AND ($2::text IS NULL OR d.saga = $2)
            ORDER BY d.saga, d.registered_at, d.version
        """
        async with self._sessions.use() as connection:
            rows = await connection.fetch(self._address.sql(statement), namespace, saga)
        return [definition_of(row) for row in rows]

    async def supersede(self, definition: StoredDefinition, *, made_of: str | None) -> bool:
        """Keep a version and activate it, if ``made_of`` is still the one that was activated last.

        The row of the active version is taken first: who comes second waits for it, and then sees that it has moved on.
        """
        statement = (
            """
            INSERT INTO goconductor.active_definitions (namespace, saga, version, pinned) VALUES ($1, $2, $3, false)
            ON CONFLICT DO NOTHING RETURNING version
            """
            if made_of is None
            else """
            UPDATE goconductor.active_definitions SET version = $3
            WHERE namespace = $1 AND saga = $2 AND version = $4 AND NOT pinned RETURNING version
            """
        )
        given = (definition.namespace, definition.saga, definition.version, *(() if made_of is None else (made_of,)))
        async with self._sessions.use() as connection, transaction(connection):
            activated = await connection.fetchval(self._address.sql(statement), *given) is not None
            if activated:
                await self._keep(connection, definition)
                await note_request(connection, self._address)
        if activated:
            written()
        return activated

    async def _keep(self, connection: Connection, definition: StoredDefinition) -> None:
        await connection.execute(
            self._address.sql(
                """
                INSERT INTO goconductor.definitions (namespace, saga, version, document, features) VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT DO NOTHING
                """
            ),
            *(definition.namespace, definition.saga, definition.version),
            definition.document.decode(),
            list(definition.features),
        )
