"""The effect journal as a table of PostgreSQL: its statements, and the meaning of rows and errors, for all libraries.

One table in the service's own database; one transaction for the key, the effect and its result. Under READ COMMITTED an insert
waits in the unique index for a run that holds the key, and a second statement, with a younger snapshot, reads what that run has
committed. The transaction has its own timeouts, so that the server ends it when our process is stopped. Its commit is on the
server's disk and on a synchronous standby before it counts, whatever ``synchronous_commit`` the role or the database has;
:mod:`.wires` describes how that is kept when the standby does not answer.

A leaf provides its library: how a transaction begins and ends (:class:`Opened`), and how a statement runs. Errors are
distinguished by their SQLSTATE, which all libraries have; an error without one means that the connection broke.

Not promised: serializable steps (a step takes the row locks it needs), and that a step whose code sends COMMIT is noticed before
its effect stands; it is noticed afterwards, and never run again.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, ClassVar, Generic

from goconductor.errors import ConfigurationError, GoConductorError, JournalError, JournalUnavailableError
from goconductor.journals.dialling import UrlDialler
from goconductor.journals.keys import RESULT_BYTES_MAX, KeyedJournal, Row, State, T
from goconductor.journals.wires import Wire
from goconductor.ports.journal import Tx
from goconductor.postgres.meaning import Meaning, meaning_of

TABLE = "goconductor_effects"

_TABLE_LOCK = 1735353194
"""Two-integer advisory lock under which tables are created: CREATE TABLE IF NOT EXISTS alone fails when many do it at once."""
_FORGET_ROWS = 10_000
"""Number of old keys that one statement deletes."""
_UPKEEP_SECONDS = 300.0
"""Seconds that a transaction of the journal's upkeep may take."""
_MILLISECONDS_MAX = 2**31 - 1

_QUOTED = re.compile(r"""['"].*['"]""")
"""Quoted parts of a driver's error: with a misspelt URL that can be a piece of the password."""

_TIMEOUTS = """SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true),
    set_config('idle_in_transaction_session_timeout', $3, true),
    CASE WHEN CAST(current_setting('server_version_num') AS int) >= 170000
        THEN set_config('transaction_timeout', $4, true) END,
    CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
        THEN set_config('synchronous_commit', 'on', true) END"""
"""One text for all timeouts, so that the libraries prepare it once."""

_PASSING = (Meaning.UNAVAILABLE, Meaning.READ_ONLY, Meaning.FULL)
_TO_RETRY = ("40001", "40P01")
"""SQLSTATEs of serialization failures and deadlocks: they are failures of this attempt, and pass through."""
_NO_LIMIT = "set_config('statement_timeout', '0', true)"
"""Sent with the last statement before a COMMIT, which the server's own timeout must not cancel either."""
IN_FAILED_TRANSACTION = "25P02"
_WARNING = "01000"
"""SQLSTATE of the warning that a commit is on this server alone; deferred triggers may raise it too, which costs a second
look."""
_IN_DOUBT = "{}: it may have happened or not; the same call again finds out"
_LEAVE_SECONDS = 5.0
"""Seconds that a commit has to end after its step was cancelled."""
_COMMIT_UNKNOWN = ("08", "57", "40003", "25P03", "25P04")
"""SQLSTATEs of a lost connection, a stopped server, a session ended by a timeout: the commit may have come first."""


class Opened(ABC, Generic[Tx]):
    """A transaction of a library, begun in READ COMMITTED.

    Args:
        tx: what the step gets.
    """

    def __init__(self, tx: Tx) -> None:
        self.tx = tx

    @property
    @abstractmethod
    def wire(self) -> Wire:
        """The connection below it."""

    @abstractmethod
    async def commit(self) -> None: ...

    @abstractmethod
    async def undo(self) -> None: ...

    @abstractmethod
    async def drop(self) -> None:
        """Drop a connection that is broken or in doubt, so that nobody gets it again. Raises nothing."""

    @abstractmethod
    async def release(self) -> None:
        """Give the connection back; the last call."""


class TableJournal(KeyedJournal[Tx]):
    """A :class:`goconductor.ports.journal.Journal` on a table of PostgreSQL.

    Args:
        table: the table's name, perhaps with its schema.
        result_bytes_max: the largest output that is stored, in bytes.

    Raises:
        ConfigurationError: the table's name is not one or two identifiers.
    """

    failures: ClassVar[tuple[type[Exception], ...]]
    """The exceptions of the library, and those of a broken connection."""
    savepoint: ClassVar[str]
    """How a step makes a savepoint with this library, for messages."""

    def __init__(self, *, table: str, result_bytes_max: int = RESULT_BYTES_MAX) -> None:
        super().__init__(result_bytes_max=result_bytes_max)
        self._dialler: UrlDialler | None = None
        """The dialler, where we make the connections."""
        parts = checked_name(table)
        self._table = ".".join(f'"{part}"' for part in parts)
        self._index = f'"{parts[-1]}_at"'

    @abstractmethod
    async def close(self) -> None:
        """Close what was opened here; may be called twice."""

    @abstractmethod
    async def _begin(self, timeout_seconds: float) -> Opened[Tx]:
        """Take a connection and begin. What it raises leaves no connection taken."""

    @abstractmethod
    async def _fetch(self, tx: Tx, statement: str, *arguments: object) -> Sequence[Any]:
        """Return the rows of a statement with the parameters ``$1``, ``$2`` …, each of them used once, in order."""

    def _driver_error(self, error: BaseException) -> BaseException:
        """Return the driver's own error, which has the SQLSTATE."""
        return error

    def _sqlstate(self, error: BaseException) -> str:
        """Return the SQLSTATE of a driver's error; empty if the server sent none."""
        return getattr(error, "sqlstate", None) or ""

    async def create_table(self) -> None:
        """Create the journal's table if it is absent. Many processes may do it at once, and a role without the right to
        create may do it where the table is there already.

        Raises:
            JournalUnavailableError: the database cannot be reached, or the role may not create tables.
        """

        async def body(tx: Tx) -> None:
            with self._explained("create the table"):
                await self._fetch(tx, f"SELECT pg_advisory_xact_lock({_TABLE_LOCK}, 1)")
                ((exists,),) = await self._fetch(tx, "SELECT to_regclass(CAST($1 AS text)) IS NOT NULL", self._table)
                if not exists:
                    for statement in self.ddl():
                        await self._fetch(tx, statement)

        await self._transact(body, _UPKEEP_SECONDS)

    def ddl(self) -> tuple[str, ...]:
        """Return the statements that create the table, for migrations of your own."""
        table = f"""CREATE TABLE {self._table} (
            key text PRIMARY KEY,
            state text NOT NULL CHECK (state IN ('open', 'done', 'failed', 'refused')),
            result bytea,
            at timestamptz NOT NULL DEFAULT clock_timestamp()
        )"""
        return table, f"CREATE INDEX {self._index} ON {self._table} USING brin (at)"

    async def forget(self, older_than_seconds: float) -> int:
        """Delete older keys, ten thousand a transaction.

        Args:
            older_than_seconds: longer than any saga lives, deadline and timeouts included.

        Returns:
            How many were deleted.

        Raises:
            JournalUnavailableError: the database cannot be reached, or the table is absent.
        """

        async def now(tx: Tx) -> float:
            with self._explained("read the time"):
                ((seconds,),) = await self._fetch(tx, "SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)")
            return float(seconds)

        before = await self._transact(now, _UPKEEP_SECONDS) - older_than_seconds

        async def delete_some(tx: Tx) -> int:
            with self._explained("forget old keys"):
                ((count,),) = await self._fetch(
                    tx,
                    f"""WITH gone AS (DELETE FROM {self._table} WHERE ctid = ANY (ARRAY(
                            SELECT ctid FROM {self._table} WHERE at < to_timestamp($1) LIMIT {_FORGET_ROWS})) RETURNING 1)
                        SELECT count(*) FROM gone""",  # noqa: S608 - a checked name
                    float(before),
                )
            return int(count)

        forgotten = 0
        while True:
            deleted = await self._transact(delete_some, _UPKEEP_SECONDS)
            forgotten += deleted
            if deleted < _FORGET_ROWS:
                return forgotten

    async def _transact(self, body: Callable[[Tx], Awaitable[T]], timeout_seconds: float) -> T:
        with self._dialled():
            opened = await self._begin(timeout_seconds)
        try:
            try:
                with self._explained("open a transaction"):
                    async with asyncio.timeout(timeout_seconds):
                        await self._fetch(opened.tx, _TIMEOUTS, *timeouts(timeout_seconds))
                answer = await body(opened.tx)
            except BaseException:
                try:
                    async with asyncio.timeout(timeout_seconds):
                        await opened.undo()
                except self.failures:  # a broken connection has no transaction left; what was raised first is what matters
                    await opened.drop()
                raise
            await self._commit(opened, timeout_seconds)
            return answer
        finally:
            await opened.release()

    async def _commit(self, opened: Opened[Tx], timeout_seconds: float) -> None:
        """Commit, and make sure of it; :mod:`.wires` describes why nothing is cancelled here, and why a warning is a doubt."""
        warned: list[str] = []
        committing = asyncio.ensure_future(opened.commit())
        committing.add_done_callback(_read_exception)
        try:
            with opened.wire.warnings(warned.append):
                ended, _ = await asyncio.wait([committing], timeout=timeout_seconds)
                if ended:
                    committing.result()
        except asyncio.CancelledError:
            await self._leave(opened, committing)
            raise
        except self.failures as error:
            await opened.drop()
            cause = self._driver_error(error)
            state = self._sqlstate(cause)
            if state and not state.startswith(_COMMIT_UNKNOWN):
                raise  # the server's own word: it is rolled back
            raise JournalError(_IN_DOUBT.format(f"the answer to a commit was lost ({cause!r})")) from cause
        if not ended:
            await self._leave(opened, committing)
            raise JournalError(
                _IN_DOUBT.format(
                    f"a commit took longer than {timeout_seconds:g} s (look whether the server waits for a synchronous standby)"
                )
            )
        if _WARNING in warned:
            await opened.drop()
            raise JournalError(_IN_DOUBT.format("the server gave up waiting for its synchronous standby during a commit"))

    async def _leave(self, opened: Opened[Tx], committing: asyncio.Future[None]) -> None:
        if self._dialler is not None:
            self._dialler.distrust(opened.wire)
        opened.wire.cut()
        await asyncio.wait([committing], timeout=_LEAVE_SECONDS)
        await opened.drop()

    async def _claim(self, tx: Tx, key: str, state: State, result: bytes | None = None) -> Row | None:
        with self._explained(f"write the key {key!r}"):
            while True:  # again only if the key was forgotten between the two statements
                if await self._fetch(
                    tx,
                    f"INSERT INTO {self._table} (key, state, result) VALUES ($1, $2, $3) "  # noqa: S608 - a checked name
                    f"ON CONFLICT (key) DO NOTHING RETURNING {'true' if state is State.OPEN else _NO_LIMIT}",
                    key,
                    state.value,
                    result,
                ):
                    return None
                # the lock is a write, so that our commit waits for the standby as the key's own did
                rows = await self._fetch(
                    tx,
                    f"SELECT state, result FROM {self._table} WHERE key = $1 FOR KEY SHARE",  # noqa: S608
                    key,
                )
                for found, stored in rows:
                    return Row(State(found), None if stored is None else bytes(stored))

    async def _finish(self, tx: Tx, key: str, result: bytes | None) -> None:
        with self._explained(f"store the result of {key!r}; nothing of this run was committed"):
            ours = await self._fetch(
                tx,
                f"UPDATE {self._table} SET state = 'done', result = $1 "  # noqa: S608 - a checked name
                "WHERE key = $2 AND state = 'open' AND xmin = CAST(pg_current_xact_id() AS xid) "
                f"RETURNING {_NO_LIMIT}",
                result,
                key,
            )
        if not ours:
            raise JournalError(
                f"the step's code ended the transaction of {key!r} by itself: remove COMMIT and ROLLBACK from it; for a part "
                f"that may fail use a savepoint ({self.savepoint})"
            )

    @contextlib.contextmanager
    def _dialled(self) -> Iterator[None]:
        """Turn errors of connecting into ours. They go into the saga log, so no piece of a URL may be in them."""
        try:
            yield
        except GoConductorError as error:  # of our own dialling, which names no password
            raise JournalUnavailableError(f"the effect journal could not connect: {error}") from error.__cause__
        except Exception as error:
            if not isinstance(error, (*self.failures, ValueError)):
                raise
            cause = self._driver_error(error)
            if self._sqlstate(cause) in _TO_RETRY:
                raise
            safe = isinstance(cause, OSError) or bool(self._sqlstate(cause))  # of the system, or the server's own word
            shown = repr(cause) if safe else f"{type(cause).__name__}: {_QUOTED.sub('…', ' '.join(str(cause).split()))}"
            raise JournalUnavailableError(
                f"the effect journal could not connect: {shown}; check the service's database, and the journal's URL or pool"
            ) from (cause if safe else None)

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn errors of our own statements into a JournalError with its remedy."""
        try:
            yield
        except self.failures as error:
            cause = self._driver_error(error)
            match self._sqlstate(cause):
                case state if state in _TO_RETRY:
                    raise
                case "42P01":
                    raise JournalUnavailableError(
                        f"the effect journal could not {doing}: {cause}; create it by journal.create_table()"
                    ) from cause
                case "42501":
                    raise JournalUnavailableError(
                        f"the effect journal could not {doing}: {cause}; as the owner: GRANT SELECT, INSERT, UPDATE, DELETE ON "
                        f"{self._table} TO the role that the journal connects as"
                    ) from cause
                case "55P03" | "57014":
                    raise JournalError(
                        f"the effect journal could not {doing} in time: another run of it has not ended yet; try again later"
                    ) from cause
                case state if state == IN_FAILED_TRANSACTION:
                    raise JournalError(
                        f"the effect journal could not {doing}: the step's code caught an error of the database, which breaks "
                        f"the whole transaction; put what may fail into a savepoint ({self.savepoint}), or let the error out"
                    ) from cause
                case state:
                    kind = JournalUnavailableError if meaning_of(state) in _PASSING else JournalError
                    raise kind(f"the effect journal could not {doing}: {cause!r}; check the service's database") from cause


def checked_name(table: str) -> list[str]:
    """Check a table's name, perhaps with that of its schema, and return its parts.

    Raises:
        ConfigurationError: it is not one or two identifiers.
    """
    if not re.fullmatch(r"([A-Za-z_]\w*\.)?[A-Za-z_]\w*", table, re.ASCII):
        raise ConfigurationError(f"{table!r} is no table name: use letters, digits and _, perhaps with a schema before a dot")
    return table.split(".")


def timeouts(timeout_seconds: float) -> list[str]:
    """Return the arguments of ``_TIMEOUTS``, after which the server itself ends the transaction."""
    milliseconds = min(max(1, int(timeout_seconds * 1000)), _MILLISECONDS_MAX)  # 0 would mean: none
    # the whole one later: it ends the session, where the others only end a statement. The step's own time begins after its key
    # was written, which may have waited for another run as long
    return [*[str(milliseconds)] * 3, str(min(2 * milliseconds + 1_000, _MILLISECONDS_MAX))]


def _read_exception(task: asyncio.Future[None]) -> None:
    """Read the task's exception where its waiter was cancelled twice, so that the loop does not complain."""
    if not task.cancelled():
        task.exception()
