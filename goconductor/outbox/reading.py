"""The reader of an outbox, in a participant's process: it takes rows, has their sagas started, and deletes them.

All that happens to a batch is one transaction of the service's database, so rows of a process that dies are free again.
A reader knows nothing of sagas: it is given how to start one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from goconductor.aio.backoff import Backoff, doubled
from goconductor.aio.reminders import Reminder
from goconductor.aio.tasks import create_guarded_task, end
from goconductor.aio.waiting import wait_at_most
from goconductor.control.faults import RequestInvalidError
from goconductor.engine.log.start import KeyHeldError
from goconductor.errors import (
    ArgumentError,
    GoConductorError,
    OutboxUnavailableError,
    PayloadError,
    SagaAlreadyStartedError,
    StoreError,
    StoreUnavailableError,
)
from goconductor.outbox.outbox import Outbox
from goconductor.outbox.table import CHANNEL, ROWS_MAX
from goconductor.postgres.dialling import FAILURES, Connection
from goconductor.postgres.session import Session, transaction
from goconductor.redaction import logger_of

logger = logger_of("goconductor.outbox")

AGAIN_SECONDS = 0.03
"""Seconds until the next look after one that found rows, and no more: others may come without a notification."""
START_SECONDS = 30.0
"""Seconds that a batch's starts may take."""
AWAY_SECONDS = (0.1, 5.0)
"""The first and the longest pause while the saga log or the outbox's database is away."""
RETRY_SECONDS = (1.0, 60.0)
"""The first and the longest pause of a row that another time may start."""
LOOK_SECONDS = 10.0
"""Seconds between two looks at what waits and what is refused."""
FORGET_SECONDS = 3600.0
"""Seconds between two rounds that delete old refused rows."""
DAY_SECONDS = 86_400.0
"""Seconds of a day."""
REASON_CHARACTERS_MAX = 2000
"""Number of characters of a reason that are kept."""

FINAL = (ArgumentError, PayloadError, RequestInvalidError, SagaAlreadyStartedError)
"""Errors of a start that another try does not help."""


class Row(NamedTuple):
    """A start, as it was written."""

    id: int
    saga: str
    version: str | None
    key: str
    input: Any
    labels: Mapping[str, str]
    priority: int
    attempts: int


class Standing(msgspec.Struct, kw_only=True):
    """How an outbox stands.

    Attributes:
        lag_seconds: for how long the oldest row that is due has waited.
        refused: rows that are not tried again; counted up to 10,000.
        waiting: rows that could not be started, and are tried again later.
        reason: of one of these.
        trouble: why the table cannot be read; empty where it can.
    """

    lag_seconds: float = 0.0
    refused: int = 0
    waiting: int = 0
    reason: str = ""
    trouble: str = ""


class _Kept(NamedTuple):
    id: int
    reason: str
    pause_seconds: float | None


class Reader:
    """Reads one outbox.

    Args:
        outbox: which.
        start: starts a row's saga, under its key.
        count: called with the number of sagas that were started, and of rows that were refused.
        on_standing: called with how it stands, every few seconds.
    """

    def __init__(
        self,
        outbox: Outbox,
        start: Callable[[Row], Awaitable[object]],
        count: Callable[[int, int], None],
        on_standing: Callable[[Standing], Awaitable[None]],
    ) -> None:
        self._outbox = outbox
        self._statements = outbox.statements
        self._start = start
        self._count = count
        self._on_standing = on_standing
        self._session = Session(outbox.setup(), f"the outbox {outbox.where}", self._listen)
        self._news = asyncio.Event()
        self._away = Backoff(*AWAY_SECONDS, jitter=0.5)
        self._trouble = Reminder()
        self._tells_at = self._forgets_at = 0.0
        self.standing = Standing()

    async def run(self) -> None:
        """Read until cancelled. A batch that is under way then is left to whoever reads next."""
        try:
            await self._run()
        finally:
            await self._session.close()

    async def _run(self) -> None:
        await self._session.open(at_once=False)
        found = 0
        while True:
            try:
                self._news.clear()
                await self._look()
                found = await self._batch()
                self.standing = msgspec.structs.replace(self.standing, trouble="")
                await self._tell()
            except GoConductorError as error:
                await self._is_away(str(error))
            except Exception as error:
                logger.exception("the outbox %s could not be read, and is tried again", self._outbox.where)
                await self._is_away(repr(error))
            else:
                if self._trouble.end():
                    logger.info("the outbox %s is read again", self._outbox.where)
                self._away.reset()
                if found < ROWS_MAX:
                    await wait_at_most(AGAIN_SECONDS if found else self._outbox.poll_seconds, self._news)

    async def _is_away(self, why: str) -> None:
        if self._trouble.is_due():
            logger.warning("the outbox %s waits, and is tried again: %s", self._outbox.where, why)
        self.standing = msgspec.structs.replace(self.standing, trouble=why)
        await self._tell()
        await asyncio.sleep(self._away.next())

    async def _listen(self, connection: Connection) -> None:
        await connection.add_listener(CHANNEL, self._on_notification)
        self._news.set()

    def _on_notification(self, _connection: object, _pid: int, _channel: str, text: object) -> None:
        if text == self._statements.table:
            self._news.set()

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        async with self._session.use() as connection:
            try:
                yield connection
            except FAILURES as error:
                connection.terminate()  # whatever it was: the next call has another session, which listens
                if getattr(error, "sqlstate", None) == "42P01":
                    raise OutboxUnavailableError(f"its table is absent: {error}; create it by outbox.create_table()") from error
                raise

    async def _batch(self) -> int:
        """Start what is due, and return how many rows there were.

        Raises:
            OutboxUnavailableError: the outbox's database went away; the rows are free again.
            StoreError: the saga log is away. What was started before is settled.
        """
        async with self._connected() as connection, transaction(connection):
            rows = await connection.fetch(self._statements.take)
            if not rows:
                return 0
            outcomes = await self._all_started(rows)
            kept = [each for each in outcomes if isinstance(each, _Kept)]
            done = [row["id"] for row, each in zip(rows, outcomes, strict=True) if each is None]
            if done:
                await connection.execute(self._statements.delete, done)
            if kept:
                await connection.execute(self._statements.keep, *map(list, zip(*kept, strict=True)))
        self._count(len(done), sum(each.pause_seconds is None for each in kept))
        for each in outcomes:
            if isinstance(each, StoreError):
                raise each
        return len(rows)

    async def _all_started(self, rows: Sequence[Any]) -> list[_Kept | StoreError | None]:
        try:
            async with asyncio.timeout(START_SECONDS):
                return await asyncio.gather(*(self._started(row) for row in rows))
        except TimeoutError:
            raise StoreUnavailableError(f"the saga log has not started all within {START_SECONDS:g} s") from None

    async def _started(self, row: Any) -> _Kept | StoreError | None:
        """Start one; return why it was not, or None where its saga is there."""
        try:
            labels = json.loads(row["labels"])
            start = Row(
                *(row["id"], row["saga"], row["version"], row["key"], msgspec.json.decode(row["input"])),
                *(labels, row["priority"], row["attempts"]),
            )
            await self._start(start)
        except KeyHeldError as error:  # the log is there: this row waits, and no other one
            return self._kept(row, error, doubled(RETRY_SECONDS[0], row["attempts"], seconds_max=RETRY_SECONDS[1]))
        except StoreError as error:
            return error
        except (*FINAL, msgspec.DecodeError, RecursionError) as error:
            return self._kept(row, error, None)
        except Exception as error:  # noqa: BLE001  (whatever it is: it holds up no other row, and is shown)
            return self._kept(row, error, doubled(RETRY_SECONDS[0], row["attempts"], seconds_max=RETRY_SECONDS[1]))
        return None

    def _kept(self, row: Any, error: Exception, pause_seconds: float | None) -> _Kept:
        reason = str(error) if isinstance(error, GoConductorError) else repr(error)
        reason = reason.replace("\0", "\\0")[:REASON_CHARACTERS_MAX]
        if pause_seconds is None or not row["attempts"]:
            what = "is refused, and kept" if pause_seconds is None else "cannot be started yet, and is tried again"
            logger.warning(
                "the outbox %s: row %d (saga %r, key %r) %s: %s",
                self._outbox.where,
                row["id"],
                row["saga"],
                row["key"],
                what,
                reason,
            )
        return _Kept(row["id"], reason, pause_seconds)

    async def _look(self) -> None:
        """Look how it stands, where that is to be told, and forget what was refused long ago. It needs no saga log: while that is
        away, the lag has to grow.
        """
        if time.monotonic() < self._tells_at:
            return
        async with self._connected() as connection:
            row = await connection.fetchrow(self._statements.look)
            if self._outbox.refused_days and time.monotonic() >= self._forgets_at:
                await connection.execute(self._statements.forget, self._outbox.refused_days * DAY_SECONDS)
                self._forgets_at = time.monotonic() + FORGET_SECONDS
        assert row is not None  # noqa: S101  (an aggregate)
        self.standing = Standing(
            lag_seconds=row["lag_seconds"] or 0.0,
            refused=row["refused"],
            waiting=row["waiting"],
            reason=row["reason"] or "",
            trouble=self.standing.trouble,
        )

    async def _tell(self) -> None:
        if time.monotonic() < self._tells_at:
            return
        self._tells_at = time.monotonic() + LOOK_SECONDS
        try:
            await self._on_standing(self.standing)
        except Exception as error:  # noqa: BLE001  (whatever it is: rows are read all the same, and it is told again)
            logger.debug("cannot tell how an outbox stands: %s", error)


@contextlib.asynccontextmanager
async def reading(readers: Sequence[Reader]) -> AsyncIterator[None]:
    """Enter a context in which outboxes are read.

    Args:
        readers: of each one.
    """
    running = [create_guarded_task(each.run(), name="reader of an outbox") for each in readers]
    try:
        yield
    finally:
        await end(*running)
