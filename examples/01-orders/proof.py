"""What must be true at the end, asked of the services' own databases and of the saga log."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from saga import Order

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Databases: TypeAlias = dict[str, Connection]

GIFT_FROM_CENTS = 10_000


@dataclass(frozen=True)
class Claim:
    """Something that must be so, and what is found."""

    database: str
    what: str
    wanted: str
    found: str
    holds: bool


@dataclass(frozen=True)
class Holdings:
    """What the shop and its customers own."""

    pieces: int
    cents: int


@dataclass(frozen=True)
class Recovery:
    """What became of the charges that a killed process was at, in seconds from its kill."""

    interrupted: int
    known: int
    noticed_seconds: float
    recovered_seconds: float


async def holdings(databases: Databases) -> Holdings:
    """All that there is before the first order."""
    return Holdings(
        await databases["inventory"].fetchval("SELECT sum(pieces)::bigint FROM stock"),
        await databases["payments"].fetchval("SELECT sum(cents)::bigint FROM accounts"),
    )


async def recovery(log: Connection, killed_at: datetime, sagas: dict[UUID, int]) -> Recovery:
    """By the saga log: when the loss of the first of these charges was written down, and when all of them had an outcome.

    Most are charged, or declined, by the next process; one whose saga has turned back meanwhile is compensated instead.
    """
    row = await log.fetchrow(
        """
        WITH of_charges AS (
            SELECT saga_id, event, extract(epoch FROM at - $1)::float8 AS seconds
            FROM goconductor.saga_log JOIN unnest($2::uuid[], $3::bigint[]) AS held (saga_id, seq) USING (saga_id)
            WHERE step = 'charge' AND saga_log.seq > held.seq
        ), outcomes AS (
            SELECT saga_id, min(seconds) AS seconds FROM of_charges
            WHERE event IN ('ActionSucceeded', 'ActionFailed', 'CompensationSucceeded') GROUP BY saga_id
        )
        SELECT count(*) AS known, max(seconds) AS recovered,
            (SELECT min(seconds) FROM of_charges WHERE event = 'OutcomeUnknown') AS noticed
        FROM outcomes
        """,
        killed_at,
        list(sagas),
        list(sagas.values()),
    )
    assert row is not None
    return Recovery(len(sagas), row["known"], row["noticed"] or math.nan, row["recovered"] or math.nan)


async def claims(databases: Databases, before: Holdings, orders: Sequence[Order]) -> list[Claim]:
    """Stock and money add up, nothing was done twice, and the four databases tell of the same orders."""
    log, inventory, payments, confirmed = (databases[name] for name in ("goconductor", "inventory", "payments", "orders"))
    ended = await log.fetch("SELECT key, status FROM goconductor.sagas JOIN goconductor.start_keys USING (saga_id)")
    completed = {row["key"] for row in ended if row["status"] == "completed"}
    compensated = {row["key"] for row in ended if row["status"] == "compensated"}
    bought = [order for order in orders if order.id in completed]

    in_stock = await inventory.fetchval("SELECT sum(pieces)::bigint FROM stock")
    put_aside = await inventory.fetchval("SELECT count(*) FROM reservations")
    shipments = await _rows(inventory, "SELECT order_id, sku, pieces FROM shipments")
    on_accounts = await payments.fetchval("SELECT sum(cents)::bigint FROM accounts")
    takings = await payments.fetchval("SELECT sum(cents)::bigint FROM ledger")
    charges = await _most(payments, "SELECT count(*) AS times FROM ledger WHERE refund_of IS NULL GROUP BY order_id")
    refunds = await _most(payments, "SELECT count(*) AS times FROM ledger WHERE refund_of IS NOT NULL GROUP BY refund_of")
    paid = await _rows(payments, "SELECT order_id, sum(cents)::bigint FROM ledger GROUP BY order_id HAVING sum(cents) <> 0")
    invoices = await _rows(confirmed, "SELECT order_id, cents FROM confirmed")

    amounts = sorted((order.id, order.cents) for order in bought)
    parcels = [(order.id, order.sku, order.pieces) for order in bought]
    parcels += [(order.id, "gift", 1) for order in bought if order.cents > GIFT_FROM_CENTS]
    shipped = sum(pieces for _, _, pieces in shipments)
    return [
        _equal("saga log", "sagas that have ended", len(orders), len(completed) + len(compensated)),
        _sum("inventory", "pieces: left + shipped", before.pieces, in_stock, shipped),
        _equal("inventory", "put aside and forgotten", 0, put_aside),
        _same("inventory", "parcels = orders and gifts", sorted(parcels), shipments),
        _sum("payments", "money: accounts + takings", before.cents, on_accounts, takings, in_cents=True),
        Claim("payments", "charges of one order", "at most 1", str(charges), holds=charges <= 1),
        Claim("payments", "refunds of one charge", "at most 1", str(refunds), holds=refunds <= 1),
        _same("payments", "paid for = completed orders", amounts, paid),
        _same("orders", "confirmed = completed orders", amounts, invoices),
    ]


async def _rows(database: Connection, query: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in await database.fetch(query))


async def _most(database: Connection, query: str) -> int:
    return int(await database.fetchval(f"SELECT coalesce(max(times), 0) FROM ({query}) AS counted"))


def _equal(database: str, what: str, wanted: int, found: int) -> Claim:
    return Claim(database, what, f"{wanted:,}", f"{found:,}", holds=wanted == found)


def _sum(database: str, what: str, wanted: int, *found: int, in_cents: bool = False) -> Claim:
    def shown(amount: int) -> str:
        return f"{amount / 100:,.2f}".removesuffix(".00") if in_cents else f"{amount:,}"

    return Claim(database, what, shown(wanted), " + ".join(map(shown, found)), holds=wanted == sum(found))


def _same(database: str, what: str, wanted: list[tuple[Any, ...]], found: list[tuple[Any, ...]]) -> Claim:
    """The very same rows, not only as many."""
    return Claim(database, what, f"{len(wanted):,}", f"{len(found):,}", holds=wanted == found)
