"""The tables of webhooks. Endpoints are few. Deliveries may be many where a receiver is away, so each statement about them has a
bound, and an index that begins with the endpoint.
"""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from collections.abc import Sequence

from goconductor.ports.bus_metrics import COUNTED_MAX
from goconductor.ports.store import Attempted, Delivery, FeedPosition, NewDelivery, WebhookQueue, WebhookRow
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address
from goconductor.stores.postgres.database.notes import changed
from goconductor.stores.postgres.leading.terms import FENCE, fenced

EMPTY_LIMIT = 10_000
"""Deliveries of a webhook that is deleted which one statement removes."""
_COLUMNS = """webhook_id, namespace, name, tag, body, extract(epoch FROM created_at)::float8 AS created_at, delivered, failed,
    extract(epoch FROM delivered_at)::float8 AS delivered_at,
    extract(epoch FROM failing_since)::float8 AS failing_since, problem"""
_OF_DELIVERY = """d.delivery_id, d.webhook_id, d.message_id, d.body, extract(epoch FROM d.created_at)::float8 AS created_at,
    d.attempts, extract(epoch FROM d.due_at)::float8 AS due_at, d.problem"""
_CREATE = f"""
    INSERT INTO goconductor.webhooks (namespace, name, tag, body)
    SELECT $1::text, $2::text, $3::bigint, $4::text WHERE (SELECT count(*) FROM goconductor.webhooks) < $5::bigint
    ON CONFLICT (namespace, name) DO NOTHING RETURNING {_COLUMNS}
"""
_REPLACE = "UPDATE goconductor.webhooks SET tag = $3, body = $4 WHERE webhook_id = $1 AND tag = $2 RETURNING tag"
_NOTE = f"""
    WITH {FENCE}, change AS (
        UPDATE goconductor.webhooks SET tag = $4, body = $5
        WHERE webhook_id = $2 AND tag = $3 AND EXISTS (SELECT FROM fence) RETURNING tag
    )
    SELECT EXISTS (SELECT FROM fence) AS leads, EXISTS (SELECT FROM change) AS changed
"""
_EMPTY = """
    DELETE FROM goconductor.webhook_deliveries WHERE delivery_id IN (
        SELECT d.delivery_id FROM goconductor.webhook_deliveries AS d
        WHERE d.webhook_id = (SELECT w.webhook_id FROM goconductor.webhooks AS w WHERE w.webhook_id = $1 AND w.tag = $2)
        LIMIT $3::bigint
    ) RETURNING delivery_id
"""
_DELETE = "DELETE FROM goconductor.webhooks WHERE webhook_id = $1 AND tag = $2 RETURNING tag"
_GET = f"SELECT {_COLUMNS} FROM goconductor.webhooks WHERE namespace = $1 AND name = $2"
_PAGE = f"""
    SELECT {_COLUMNS} FROM goconductor.webhooks
    WHERE namespace = $1 AND name COLLATE "C" > $2 ORDER BY name COLLATE "C" LIMIT $3
"""
_ALL = f'SELECT {_COLUMNS} FROM goconductor.webhooks ORDER BY namespace COLLATE "C", name COLLATE "C"'
_QUEUE = f"""
    WITH {FENCE}, known AS MATERIALIZED (
        SELECT webhook_id FROM goconductor.webhooks
        WHERE webhook_id = ANY($2::bigint[]) AND EXISTS (SELECT FROM fence) FOR KEY SHARE
    ), added AS (
        INSERT INTO goconductor.webhook_deliveries (webhook_id, message_id, body)
        SELECT k.webhook_id, u.message_id, u.body
        FROM unnest($2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY AS u(webhook_id, message_id, body, place)
        JOIN known AS k ON k.webhook_id = u.webhook_id ORDER BY u.place
    ), kept AS (
        INSERT INTO goconductor.feeds (name, cursor, reached_at)
        SELECT $5::text, $6::text, to_timestamp($7::float8) WHERE EXISTS (SELECT FROM fence)
        ON CONFLICT (name) DO UPDATE
        SET cursor = excluded.cursor, reached_at = excluded.reached_at, xid = pg_current_xact_id()
    )
    SELECT EXISTS (SELECT FROM fence)
"""
_ADD = """
    INSERT INTO goconductor.webhook_deliveries (webhook_id, message_id, body)
    SELECT webhook_id, $2::text, $3::text FROM goconductor.webhooks WHERE webhook_id = $1 FOR KEY SHARE RETURNING delivery_id
"""
_DUE = f"""
    SELECT {_OF_DELIVERY} FROM unnest($1::bigint[], $2::bigint[]) AS u(webhook_id, room) CROSS JOIN LATERAL (
        SELECT * FROM goconductor.webhook_deliveries AS w
        WHERE w.webhook_id = u.webhook_id AND w.due_at <= clock_timestamp() AND w.delivery_id <> ALL ($3::bigint[])
        ORDER BY w.due_at, w.delivery_id LIMIT u.room
    ) AS d
"""
_SETTLE = f"""
    WITH {FENCE}, become AS MATERIALIZED (
        SELECT u.* FROM unnest($2::bigint[], $3::bigint[], $4::boolean[], $5::float8[], $6::text[])
            AS u(delivery_id, webhook_id, delivered, seconds, problem) WHERE EXISTS (SELECT FROM fence)
    ), gone AS (
        DELETE FROM goconductor.webhook_deliveries AS d USING become AS b
        WHERE d.delivery_id = b.delivery_id AND b.delivered
    ), again AS (
        UPDATE goconductor.webhook_deliveries AS d SET attempts = d.attempts + 1,
            due_at = clock_timestamp() + make_interval(secs => b.seconds), problem = b.problem
        FROM become AS b WHERE d.delivery_id = b.delivery_id AND NOT b.delivered
    ), counted AS (
        SELECT webhook_id, count(*) FILTER (WHERE delivered) AS delivered, count(*) FILTER (WHERE NOT delivered) AS failed,
            max(problem) AS problem FROM become GROUP BY webhook_id
    ), told AS (
        UPDATE goconductor.webhooks AS w SET delivered = w.delivered + c.delivered, failed = w.failed + c.failed,
            delivered_at = CASE WHEN c.delivered > 0 THEN clock_timestamp() ELSE w.delivered_at END,
            failing_since = CASE WHEN c.delivered = 0 THEN coalesce(w.failing_since, clock_timestamp()) END,
            problem = CASE WHEN c.delivered > 0 THEN '' ELSE c.problem END
        FROM counted AS c WHERE w.webhook_id = c.webhook_id
    )
    SELECT EXISTS (SELECT FROM fence)
"""
_LETTERS = f"""
    SELECT {_OF_DELIVERY} FROM goconductor.webhook_deliveries AS d
    WHERE d.webhook_id = $1 AND d.due_at IS NULL AND d.delivery_id > $2 ORDER BY d.delivery_id LIMIT $3
"""
_REDRIVE = """
    UPDATE goconductor.webhook_deliveries AS d SET due_at = clock_timestamp(), attempts = 0 WHERE d.delivery_id IN (
        SELECT w.delivery_id FROM goconductor.webhook_deliveries AS w
        WHERE w.webhook_id = $1 AND (w.due_at IS NULL OR w.due_at > clock_timestamp())
        AND ($2::bigint IS NULL OR w.delivery_id = $2)
        ORDER BY w.delivery_id LIMIT $3
    ) RETURNING d.delivery_id
"""
_QUEUES = f"""
    SELECT u.webhook_id, w.waiting, w.oldest_seconds, l.dead
    FROM unnest($1::bigint[]) AS u(webhook_id) CROSS JOIN LATERAL (
        SELECT count(*) AS waiting,
            coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(c.created_at))), 0)::float8 AS oldest_seconds
        FROM (
            SELECT d.created_at FROM goconductor.webhook_deliveries AS d
            WHERE d.webhook_id = u.webhook_id AND d.due_at IS NOT NULL ORDER BY d.due_at LIMIT {COUNTED_MAX}
        ) AS c
    ) AS w CROSS JOIN LATERAL (
        SELECT count(*) AS dead FROM (
            SELECT FROM goconductor.webhook_deliveries AS d WHERE d.webhook_id = u.webhook_id AND d.due_at IS NULL
            LIMIT {COUNTED_MAX}
        ) AS c
    ) AS l
"""
_EXPIRE = f"""
    WITH {FENCE}, old AS (
        SELECT d.delivery_id FROM goconductor.webhook_deliveries AS d ORDER BY d.delivery_id LIMIT $3::bigint
    ), gone AS (
        DELETE FROM goconductor.webhook_deliveries AS d USING old WHERE d.delivery_id = old.delivery_id
        AND d.created_at < clock_timestamp() - make_interval(secs => $2::float8) AND EXISTS (SELECT FROM fence)
        RETURNING d.delivery_id
    )
    SELECT EXISTS (SELECT FROM fence) AS leads, (SELECT count(*) FROM gone) AS gone
"""


class WebhookTables:
    """Endpoints and deliveries, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    async def create(self, namespace: str, name: str, *, tag: int, body: str, at_most: int) -> WebhookRow | None:
        found = await changed(self._sessions, self._address, _CREATE, namespace, name, tag, body, at_most)
        return WebhookRow(**found[0]) if found else None

    async def replace(self, webhook_id: int, *, tag: int, new_tag: int, body: str) -> bool:
        return bool(await changed(self._sessions, self._address, _REPLACE, webhook_id, tag, new_tag, body))

    async def note(self, webhook_id: int, *, tag: int, new_tag: int, body: str, epoch: int) -> bool:
        async with self._sessions.use() as connection:
            done = await connection.fetchrow(self._address.sql(_NOTE), epoch, webhook_id, tag, new_tag, body)
        assert done is not None  # noqa: S101  (a SELECT without FROM has one row)
        if not done["leads"]:
            raise fenced(epoch)
        return bool(done["changed"])

    async def delete(self, webhook_id: int, *, tag: int) -> bool:
        """Remove what waits first, part by part: a receiver may be away for long, and the leader waits for whoever deletes."""
        while await self._emptied(webhook_id, tag) == EMPTY_LIMIT:
            pass
        return bool(await changed(self._sessions, self._address, _DELETE, webhook_id, tag))

    async def get(self, namespace: str, name: str) -> WebhookRow | None:
        return next(iter(await self._rows(_GET, namespace, name)), None)

    async def page(self, namespace: str, *, after: str = "", limit: int) -> list[WebhookRow]:
        return await self._rows(_PAGE, namespace, after, limit)

    async def all(self) -> list[WebhookRow]:
        return await self._rows(_ALL)

    async def queue(self, deliveries: Sequence[NewDelivery], reader: str, position: FeedPosition, *, epoch: int) -> None:
        columns = [each.webhook_id for each in deliveries], [each.message_id for each in deliveries]
        bodies, place = [each.body for each in deliveries], (reader, position.cursor, position.reached_at)
        async with self._sessions.use() as connection:
            if not await connection.fetchval(self._address.sql(_QUEUE), epoch, *columns, bodies, *place):
                raise fenced(epoch)

    async def add(self, delivery: NewDelivery) -> bool:
        facts = delivery.webhook_id, delivery.message_id, delivery.body
        return bool(await changed(self._sessions, self._address, _ADD, *facts))

    async def due(self, rooms: Sequence[tuple[int, int]], *, but: Sequence[int]) -> list[Delivery]:
        return await self._deliveries(_DUE, [each for each, _ in rooms], [room for _, room in rooms], list(but))

    async def settle(self, attempts: Sequence[Attempted], *, epoch: int) -> None:
        columns = ("delivery_id", "webhook_id", "delivered", "pause_seconds", "problem")
        arguments = [[getattr(each, name) for each in attempts] for name in columns]
        async with self._sessions.use() as connection:
            if not await connection.fetchval(self._address.sql(_SETTLE), epoch, *arguments):
                raise fenced(epoch)

    async def letters(self, webhook_id: int, *, after: int = 0, limit: int) -> list[Delivery]:
        return await self._deliveries(_LETTERS, webhook_id, after, limit)

    async def redrive(self, webhook_id: int, delivery_id: int | None = None, *, limit: int) -> int:
        return len(await changed(self._sessions, self._address, _REDRIVE, webhook_id, delivery_id, limit))

    async def queues(self, webhook_ids: Sequence[int]) -> list[WebhookQueue]:
        async with self._sessions.use() as connection:
            return [WebhookQueue(**row) for row in await connection.fetch(self._address.sql(_QUEUES), list(webhook_ids))]

    async def expire(self, seconds: float, *, limit: int, epoch: int) -> int:
        async with self._sessions.use() as connection:
            done = await connection.fetchrow(self._address.sql(_EXPIRE), epoch, seconds, limit)
        assert done is not None  # noqa: S101  (a SELECT without FROM has one row)
        if not done["leads"]:
            raise fenced(epoch)
        return int(done["gone"])

    async def _emptied(self, webhook_id: int, tag: int) -> int:
        async with self._sessions.use() as connection:
            return len(await connection.fetch(self._address.sql(_EMPTY), webhook_id, tag, EMPTY_LIMIT))

    async def _rows(self, statement: str, *arguments: object) -> list[WebhookRow]:
        async with self._sessions.use() as connection:
            return [WebhookRow(**row) for row in await connection.fetch(self._address.sql(statement), *arguments)]

    async def _deliveries(self, statement: str, *arguments: object) -> list[Delivery]:
        async with self._sessions.use() as connection:
            return [Delivery(**row) for row in await connection.fetch(self._address.sql(statement), *arguments)]
