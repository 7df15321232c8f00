"""The leader's terms: one row, whose epoch only grows.

A leader takes this row ``FOR SHARE`` in each statement that writes. Looking at it is not enough: a look reads a
snapshot, and let an old epoch write after the new one was committed.

**An epoch belongs to one timeline.** While an old primary is not stopped yet there are two such rows, and both sides raise
theirs from the same number. A leader that was elected on the one, whose sessions then move to the other, must not find its
number there: so the first term on a new timeline begins at 2 to the 32nd, times the timelines before it. Within a timeline it
grows by one.
"""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from goconductor.errors import FencedError
from goconductor.ports.store import Term
from goconductor.postgres.servers.timelines import TIMELINES
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address, Row
from goconductor.stores.postgres.log.writes import LED

TERM = "epoch, holder, extract(epoch FROM ends_at)::float8 AS ends_at, election"

EPOCHS_OF_A_TIMELINE = 1 << 32

FENCE = f"fence AS MATERIALIZED (SELECT epoch FROM goconductor.leadership WHERE {LED} AND epoch = $1 FOR SHARE)"
"""The first part of every statement of a leader; the rest must ask whether ``fence`` has a row. A term that was resigned has no
holder: a statement that was given up before that, and that the server only now comes to, changes nothing any more."""


def fenced(epoch: int) -> FencedError:
    """Return the error for a leader whose term is over."""
    return FencedError(f"epoch {epoch} is over: it was resigned, or another leader was elected; stop leading at once")


class TermTable:
    """The row of the leader, on sessions that answer soon."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    async def raise_epoch(
        self, holder: str, term_seconds: float, evidence: int | None = None, *, election: str = ""
    ) -> Term | None:
        """Raise the epoch. A choice that is made at this very moment may not be seen; the term in force always is."""
        return await self._term(
            f"""
            UPDATE goconductor.leadership SET epoch = greatest(epoch + 1, $5::bigint), holder = $1,
                ends_at = clock_timestamp() + make_interval(secs => $2), evidence = coalesce($3, evidence), election = $4
            WHERE single AND ($3::bigint IS NULL OR evidence IS NULL OR evidence < $3)
            AND ($4 = '' OR election IN ('', $4) OR ends_at <= clock_timestamp())
            AND ($4 = '' OR NOT EXISTS (SELECT FROM goconductor.choices WHERE kind = 'election' AND chosen <> $4))
            RETURNING {TERM}
            """,
            holder,
            term_seconds,
            evidence,
            election,
            max(TIMELINES.highest(self._address.cluster) - 1, 0) * EPOCHS_OF_A_TIMELINE,
        )

    async def renew(self, term: Term, term_seconds: float) -> Term | None:
        """Prolong the present term. One that was resigned is over as well."""
        return await self._term(
            f"""
            UPDATE goconductor.leadership SET ends_at = clock_timestamp() + make_interval(secs => $3)
            WHERE single AND epoch = $1 AND holder = $2 RETURNING {TERM}
            """,
            term.epoch,
            term.holder,
            term_seconds,
        )

    async def resign(self, term: Term) -> None:
        await self._term(
            f"""
            UPDATE goconductor.leadership SET ends_at = clock_timestamp(), holder = ''
            WHERE single AND epoch = $1 AND holder = $2 RETURNING {TERM}
            """,
            term.epoch,
            term.holder,
        )

    async def current(self) -> Term | None:
        return await self._term(f"SELECT {TERM} FROM goconductor.leadership WHERE single AND epoch > 0")

    async def last_evidence(self) -> int | None:
        async with self._sessions.use() as connection:
            row: Row | None = await connection.fetchrow(
                self._address.sql("SELECT evidence FROM goconductor.leadership WHERE single")
            )
        return row["evidence"] if row else None

    async def database_time(self) -> float:
        async with self._sessions.use() as connection:
            return float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8"))

    async def _term(self, statement: str, *arguments: object) -> Term | None:
        async with self._sessions.use() as connection:
            row: Row | None = await connection.fetchrow(self._address.sql(statement), *arguments)
        return Term(**row) if row else None
