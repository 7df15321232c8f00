"""Dialling: a connection whose server is the right one, and whose settings are ours from its first statement on.

**Host by host.** Each host of a URL has its own time, so that one which neither answers nor refuses does not use up that of the
next. The one that was good last is tried first, and one that was silent lately is tried last by the whole process. A host that
refuses us does not keep us from the next, either. A name with several addresses is as many hosts
(:mod:`goconductor.postgres.servers.addresses`).

**The right server** takes writes, and is on no older timeline than this process has seen. One that does not is *unavailable*:
somebody will promote it, or name another.

**Settings go with the start-up packet**, where they win over those of role and database: a role with a ``statement_timeout`` of
some milliseconds would otherwise end the very statement that lifts it. A pooler may refuse that (PgBouncer 1.18: *unsupported
startup parameter*). Then it is dialled without, and they are set by statements, the time limit first.

**What cannot go with it**, as a server that does not know it would refuse the connection: ``transaction_timeout`` (since
PostgreSQL 17), and ``client_connection_check_interval`` where the server's system cannot do it.

**A durable session waits for the disk.** ``synchronous_commit`` may be ``off`` or ``local`` for a role, a database or a server.
Then a commit is acknowledged that a crash, or a failover to a synchronous standby, takes back. It is raised to ``on``;
``remote_write`` and ``remote_apply`` are somebody's choice between standbys, and stay.
"""

from __future__ import annotations

import asyncio
import socket
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Literal, TypeAlias, cast

import asyncpg

from goconductor.errors import ConfigurationError, GoConductorError, PoolerError, RightsError, StoreUnavailableError
from goconductor.postgres.meaning import READ_ONLY_REMEDY, Meaning, full_remedy, meaning_of
from goconductor.postgres.servers.addresses import LoopTo, each_address
from goconductor.postgres.servers.silences import listening, silent_lately
from goconductor.postgres.servers.timelines import TIMELINES, OldTimelineError
from goconductor.postgres.url import Server, read_url
from goconductor.redaction import logger_of

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

logger = logger_of("goconductor.postgres")

BROKEN = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Exceptions of the driver when a connection ends. OSError is also TimeoutError."""

FAILURES = (asyncpg.PostgresError, *BROKEN)
"""All exceptions of the driver when a server, the network or our rights fail. The internal error is one of them: it comes from a
statement that meets the message by which the server ends the session."""

FOREVER = {"idle_session_timeout": "0"}
"""Setting of each session: ours wait for work, and a server that ends idle ones would only make them come back."""

_ABOUT = """
    SELECT pg_is_in_recovery() AS recovers, current_setting('default_transaction_read_only')::bool AS read_only,
        set_config('synchronous_commit', CASE
            WHEN $1 AND current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'
            ELSE current_setting('synchronous_commit') END, false)
"""
_TIMELINES = (
    "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8), (SELECT system_identifier::text FROM pg_control_system())",
    "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8), ''",
)
"""Statements for the timeline; the second one where the right to the identifier's function was revoked."""


OTHERS_SECONDS = 3.0
"""Seconds for a host without an answer while there is another to try, unless the URL has a ``connect_timeout``."""


class _UnfitServerError(Exception):
    """It takes no writes."""


class Address:
    """The address of a PostgreSQL, for one leaf.

    Args:
        url: a URL that :func:`goconductor.postgres.url.read_url` reads.
        application_name: the server's name for our connections: printable ASCII, at most 63, else the server would change it.
        setting: the url's name in messages.
        unavailable: the error where another try will help.

    Raises:
        ConfigurationError: the url is not valid.
    """

    def __init__(
        self,
        url: str,
        *,
        application_name: str,
        setting: str = "the url",
        unavailable: type[GoConductorError] = StoreUnavailableError,
    ) -> None:
        self.url = url
        self.application_name = application_name
        self.setting = setting
        self.unavailable = unavailable
        self._read = read_url(url, setting)
        self._last: Server | None = None
        self.has_others = False
        """Whether there were other servers beside the one that was dialled last."""
        self._by_statement: set[Server] = set()
        """Servers whose pooler refuses settings at start-up."""
        self._of: weakref.WeakKeyDictionary[Connection, Server] = weakref.WeakKeyDictionary()
        self._silent: list[Server] = []
        """Servers that gave no answer since our last connection; the latest is last, and is tried last."""
        self.cluster = ""
        """Its name for :data:`goconductor.postgres.servers.timelines.TIMELINES`; empty before the first connection, and where the
        server reports no timeline."""

    @property
    def where(self) -> str:
        """For messages: without user and password."""
        return self._read.where

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler in between refused our settings at start-up."""
        return bool(self._by_statement)

    def distrust(self, connection: Connection) -> None:
        """Distrust a connection's server, which does not answer any more: others are tried before it, until one is there.

        An old primary whose commits wait for a standby that has left it still takes connections.
        """
        if (server := self._of.get(connection)) is not None:
            self._is_silent(server)

    def _is_silent(self, server: Server) -> None:
        self._silent = [*(each for each in self._silent if each != server), server]

    def _rank(self, server: Server) -> tuple[int, bool]:
        return (self._silent.index(server) + 1 if server in self._silent else 0, server != self._last)

    async def dial(
        self,
        *,
        timeout_seconds: float,
        command_timeout_seconds: float | None,
        settings: Mapping[str, str] | None = None,
        durable: bool = True,
        need: Literal["primary", "any"] = "primary",
        statement_cache_size: int | None = None,
    ) -> Connection:
        """Return a new connection to the first server that fits.

        Args:
            timeout_seconds: time limit of the attempt at each host, unless the url has a ``connect_timeout``.
            command_timeout_seconds: time limit of a statement, after which the connection counts as lost; None for no limit.
            settings: settings of the session, from its first statement on.
            durable: whether a commit must outlive a crash: raises ``synchronous_commit``.
            need: ``primary`` is one that takes writes, on the newest timeline; ``any`` is any that answers.
            statement_cache_size: the driver's; 0 for sessions that may go through any pooler.

        Raises:
            ConfigurationError: wrong credentials, or no such database.
            PoolerError: something that is not PostgreSQL answered.
            the address's ``unavailable``: no server can be reached now.
        """
        limit = self._read.connect_timeout_seconds or timeout_seconds
        options: dict[str, Any] = {
            "timeout": limit,
            "command_timeout": command_timeout_seconds,
            "max_cached_statement_lifetime": 0,
        }
        if statement_cache_size is not None:
            options["statement_cache_size"] = statement_cache_size
        wanted = FOREVER | {"application_name": self.application_name} | dict(settings or {})
        problems: dict[Server, list[GoConductorError]] = {}
        servers = await each_address(self._read.servers, timeout_seconds=min(limit, OTHERS_SECONDS))
        order = sorted(self._read.in_order(servers), key=lambda each: (silent_lately(each), self._rank(each)))
        for server in order:
            others = server != order[-1] and not self._read.connect_timeout_seconds
            try:
                with self.meaning(server), listening(server):
                    async with asyncio.timeout(min(limit, OTHERS_SECONDS) if others else limit):
                        connection = await self._dial(server, wanted, options, durable=durable, need=need)
            except GoConductorError as error:
                problems.setdefault(server.as_named, []).append(error)
            except asyncio.CancelledError:  # the caller has less time than a host: the next call asks others first
                self._is_silent(server)
                raise
            else:
                self._last = self._of[connection] = server
                self.has_others = len(order) > 1
                self._silent.clear()
                return connection
        last = problems[order[-1].as_named][-1]
        raise self._all([self._all_of_one(each) for each in problems.values()]) from last.__cause__

    async def look(self, *, patient: bool = True) -> None:
        """Dial the servers beside the last one: a primary on a higher timeline ends our sessions on the lower one. Never raises.

        Args:
            patient: whether those are dialled, too, that have not answered lately.
        """
        servers = await each_address(self._read.servers, timeout_seconds=OTHERS_SECONDS)
        others = [each for each in servers if each != self._last and (patient or not silent_lately(each))]
        await asyncio.gather(*map(self._look_at, others))

    async def _look_at(self, server: Server) -> None:
        options = {"timeout": OTHERS_SECONDS, "command_timeout": OTHERS_SECONDS}
        before = TIMELINES.highest(self.cluster)
        try:
            with self.meaning(server), listening(server):
                async with asyncio.timeout(OTHERS_SECONDS):
                    settings = {"application_name": self.application_name}
                    connection = await self._dial(server, settings, options, durable=False, need="successor")
        except GoConductorError:  # a standby, an old primary, or nobody
            return
        connection.terminate()
        if TIMELINES.highest(self.cluster) > before:
            self._last = server

    async def _dial(
        self, server: Server, settings: dict[str, str], options: dict[str, Any], *, durable: bool, need: str
    ) -> Connection:
        connection = await self._connected(server, settings, options)
        try:
            _keep_alive(connection, self._read.keepalive, self._read.socket_options)
            if connection.get_server_version().major >= 17:  # a limit that a later SET would not lift for this transaction
                await connection.execute("SET transaction_timeout = 0")
            if server.as_named in self._by_statement:
                await self._set(connection, settings)
            with suppress(asyncpg.PostgresError):  # only where the server's system notices it: a dead client of a long query
                await connection.execute("SET client_connection_check_interval = '2s'")
            about = await connection.fetchrow(_ABOUT, durable)
            if need != "any":
                _refuse_unfit(about)
                await self._enter(connection, server, follows=need == "successor")
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _connected(self, server: Server, settings: dict[str, str], options: dict[str, Any]) -> Connection:
        named = {"application_name": settings["application_name"]}
        if server.address:
            options = options | {"loop": LoopTo(asyncio.get_running_loop(), server.address)}
        for at_start in (named,) if server.as_named in self._by_statement else (settings, named):
            try:
                connection: Connection = await asyncpg.connect(
                    self._read.dsn,
                    host=server.host,
                    port=server.port,
                    ssl=False if self._read.is_local else None,
                    target_session_attrs=cast("Any", "any"),
                    server_settings=at_start,
                    **options,
                )
            except asyncpg.ProtocolViolationError:
                if at_start is named:
                    raise
                self._by_statement.add(server.as_named)
            else:
                return connection
        raise AssertionError

    async def _set(self, connection: Connection, settings: dict[str, str]) -> None:
        if "statement_timeout" in settings:
            await connection.execute("SELECT set_config('statement_timeout', $1, false)", settings["statement_timeout"])
        await connection.execute(
            "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS s(name, value)",
            list(settings),
            list(settings.values()),
        )

    async def _enter(self, connection: Connection, server: Server, *, follows: bool) -> None:
        """Learn the server's timeline, and refuse one that was left, or that is of another system where it is to follow ours."""
        for statement in _TIMELINES:
            try:
                row = await connection.fetchrow(statement)
            except asyncpg.PostgresError as error:  # a server of another make, or functions that were revoked
                logger.debug("%s does not report its timeline: %s", server, error)
                continue
            if row is not None:
                cluster = f"{row[1]} {','.join(sorted(map(str, self._read.servers)))}"
                if follows and cluster != self.cluster:
                    raise _UnfitServerError("it is no copy of the one that was dialled last")
                self.cluster = cluster
                TIMELINES.enter(self.cluster, int(row[0], 16), connection)
                return

    def _all_of_one(self, problems: list[GoConductorError]) -> GoConductorError:
        """Return one error for all addresses of a name; final where one is, as a name often has an address that nobody serves."""
        final = [problem for problem in problems if not isinstance(problem, self.unavailable)]
        return final[0] if final else self._all(problems)

    def _all(self, problems: list[GoConductorError]) -> GoConductorError:
        """Return one error for all hosts; final only where each is."""
        passing = [problem for problem in problems if isinstance(problem, self.unavailable)]
        if len(problems) == 1 or not passing:
            return problems[0]
        return self.unavailable("; ".join(dict.fromkeys(map(str, problems))))

    @contextmanager
    def meaning(self, server: Server | None = None) -> Iterator[None]:
        """Raises our errors in place of the driver's.

        Args:
            server: which one of several is asked.
        """
        where = self.where if server is None else f"{server}/{self._read.database}"
        try:
            yield
        except asyncpg.ClientConfigurationError as error:
            raise ConfigurationError(f"{self.setting} cannot be used: {error}") from error
        except asyncpg.PostgresError as error:
            raise self.meaning_of(error.sqlstate or "", str(error), where) from error
        except BROKEN as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            raise self.meaning_of("", why, where) from error
        except (_UnfitServerError, OldTimelineError) as error:
            raise self.unavailable(f"PostgreSQL at {where} will not do: {error}") from error
        except ValueError:  # its text is not shown: it may quote a part of the url that is a password
            if server is None:
                raise
            raise ConfigurationError(f"{self.setting} cannot be read") from None

    def meaning_of(self, state: str, text: str, where: str = "") -> GoConductorError:
        """Return our error for one of PostgreSQL's.

        Args:
            state: its SQLSTATE; empty if the connection broke off.
            text: the text of the server or the driver.
            where: the server, if it is not the address as a whole.
        """
        at = f"PostgreSQL at {where or self.where}"
        if not state:
            return self.unavailable(
                f"{at} cannot be reached or broke off: {text}; start PostgreSQL, or correct {self.setting} and what lies in "
                "between: name resolution, firewall"
            )
        match meaning_of(state, text):
            case Meaning.POOLED:
                return PoolerError(f"{PoolerError.__doc__} ({where or self.where} says: {text})")
            case Meaning.REFUSED:
                return ConfigurationError(
                    f"{at} refuses us: {text}; correct user, password or database in {self.setting}, or create the database"
                )
            case Meaning.RIGHTS:
                return RightsError(
                    f"{at} refuses us: {text}; grant this right to the role: `goconductor doctor` names each that is missing"
                )
            case Meaning.FULL:
                return self.unavailable(f"{at} cannot do this now: {text}; {full_remedy(text)}")
            case Meaning.READ_ONLY:
                return self.unavailable(f"{at} cannot do this now: {text}; {READ_ONLY_REMEDY}")
            case Meaning.UNAVAILABLE:
                return self.unavailable(f"{at} cannot do this now: {text}")
            case meaning:
                return self.other_meaning(meaning, f"{at}: {text}")

    def other_meaning(self, meaning: Meaning | None, text: str) -> GoConductorError:  # noqa: ARG002  (a leaf distinguishes them)
        """Return our error where tables, values or the statement are at fault."""
        return self.unavailable(text)


def _refuse_unfit(about: asyncpg.Record | None) -> None:
    if about is None or about["recovers"]:
        raise _UnfitServerError("it takes no writes, as it is a standby; promote it, or name the primary in the URL")
    if about["read_only"]:
        raise _UnfitServerError(
            "it takes no writes, as default_transaction_read_only is on; lift it for the role, the database or the server"
        )


def ends_session(error: BaseException | None) -> bool:
    """Return whether this session is of no use any more: it broke off, or its server takes no writes."""
    if isinstance(error, asyncpg.PostgresError):
        return meaning_of(error.sqlstate or "") is Meaning.READ_ONLY
    return isinstance(error, BROKEN)


def _keep_alive(connection: Connection, wanted: bool, options: tuple[tuple[int, int], ...]) -> None:
    """Let TCP find out that an idle server is gone; the driver does not ask for it."""
    transport: asyncio.Transport | None = getattr(connection, "_transport", None)
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(wanted))
    for option, value in options if wanted else ():
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
