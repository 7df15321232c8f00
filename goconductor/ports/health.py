"""The health of a store's database, for the doctor: what an operator would look up by hand first.

A store that can be examined has ``examine``. It needs no open store and no tables of ours: an examination must find what is wrong
where nothing else works.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec


class LongTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that has been open for long. ``pins``: vacuum can remove nothing that died since it began.

    ``prepared`` names a transaction that was prepared for two-phase commit, which belongs to no process (pid 0).
    """

    pid: int
    age_seconds: float
    state: str = ""
    application: str = ""
    user: str = ""
    pins: bool = True
    prepared: str = ""


class TableHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One of our tables. ``vacuumed_at`` is None if it never was; ``autovacuum`` False where it was switched off."""

    name: str
    live_rows: int = 0
    dead_rows: int = 0
    vacuumed_at: float | None = None
    autovacuum: bool = True


class MissingRight(msgspec.Struct, frozen=True, kw_only=True):
    """What our role lacks on one of our tables, and the statement that gives it."""

    what: str
    grant: str


class StoreHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One examination.

    Args:
        where: the database, without user and password.
        version: the server's, as a number: 170002 is 17.2.
        revision: the schema's, None where there are no tables of ours.
        revision_needed: what this code works with.
        revision_known: whether this code knows the schema's revision; if not, it is newer.
        revision_suits: whether this code works on one that is newer, as the tables say.
        encoding: the database's.
        read_only: whether it takes no writes, as a standby does.
        synchronous_commit: what a session gets that does not ask for more.
        pooled: whether a pooler in between refused settings at the start of a session.
        now: its clock, in seconds since 1970.
        asked_at: this machine's clock for comparison: of the moments between question and answer the one nearest to ``now``.
        connections: how many there are to the whole server.
        connections_max: how many an ordinary user may have in all.
        transactions: those older than what was asked for, oldest first.
        tables: ours.
        missing_rights: what our role lacks on them.
    """

    where: str
    version: int
    revision: str | None
    revision_needed: str
    revision_known: bool = True
    revision_suits: bool = False
    encoding: str = "UTF8"
    read_only: bool = False
    synchronous_commit: str = "on"
    pooled: bool = False
    now: float
    asked_at: float
    connections: int
    connections_max: int
    transactions: list[LongTransaction] = []
    tables: list[TableHealth] = []
    missing_rights: list[MissingRight] = []


class BusHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What a bus keeps in a database.

    Args:
        where: the database and the schema, without user and password.
        absent: whether some of its tables are not there yet; who opens the bus makes them.
        missing_rights: what our role lacks on them, or lacks to make them.
    """

    where: str
    absent: bool = False
    missing_rights: list[MissingRight] = []


@runtime_checkable
class Examinable(Protocol):
    """A store that can be examined, open or not.

    1. ``examine`` connects anew, looks, and leaves; it changes nothing.
    2. It raises :class:`RightsError` where the role may not even see the schema's version, :class:`ConfigurationError`
       or :class:`StoreUnavailableError` where it cannot look at all.
    3. ``trouble`` is why it has not opened yet, for as long as it tries.
    """

    @property
    def trouble(self) -> str: ...
    async def examine(self, *, older_than_seconds: float) -> StoreHealth: ...


@runtime_checkable
class ExaminableBus(Protocol):
    """A bus that can be examined before it is opened, since opening makes its tables.

    1. ``examine`` connects anew, looks, and leaves; it changes nothing.
    2. It raises :class:`ConfigurationError` or :class:`BusUnavailableError` where it cannot look at all.
    """

    async def examine(self) -> BusHealth: ...
