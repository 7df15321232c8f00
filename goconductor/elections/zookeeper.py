"""The election by ZooKeeper: the owner of the lowest ephemeral sequential node may raise the epoch.

A candidate that sees no node makes one. It leads if no lower one is there; else it deletes its node again, since a campaign does
not wait. The evidence is the node's *czxid*, the number of the transaction that made it. Before a candidate relies on its node
later on, it lets its server catch up (``sync``), because a follower of an ensemble may answer from the past.
:mod:`goconductor.elections` describes the rest, which holds for every election by another system: two holders at once, and
numbers that go back.

**SUSPENDED is LOST.** When kazoo loses its connection, the session and its node may live on or not; nobody here knows. The term
is then given up for ever at the next renewal, and its session is closed and never used again. Otherwise kazoo would reconnect it
by itself, and a request whose answer was lost would leave an unknown node. So a short cut may end a term here where etcd's would
survive. A leader that is cut off from ZooKeeper only, and not from the store, ends its term there, and is followed at once.

ZooKeeper deletes a dead holder's node when its session times out. The server limits ``session_seconds`` to between 2 and 20 of
its ticks, unless it is configured otherwise. It may be shorter than a term.

kazoo has threads of its own. Two things cross from there: one answer for each request, and the notice of a lost connection.

Not promised: that only one candidate believes to lead. That needs the fencing token; see :mod:`goconductor.recovery.leadership`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import AuthFailedError, KazooException, NoAuthError, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError, SequentialThreadingHandler
from kazoo.security import CREATOR_ALL_ACL, OPEN_ACL_UNSAFE

from goconductor.aio.tasks import Tasks
from goconductor.elections import may_be_taken, raise_by_evidence
from goconductor.errors import ConfigurationError, ElectionError
from goconductor.ports.store import Term, Terms
from goconductor.redaction import logger_of

_NODE = "candidate-"

_kazoo_log = logger_of("goconductor.elections.kazoo")
_kazoo_log.setLevel(logging.WARNING)  # at DEBUG it writes passwords


@dataclass(frozen=True)
class _Lock:
    name: str
    czxid: int
    epoch: int = 0


class ZooKeeperElection:
    """An :class:`goconductor.ports.election.Election` by an ephemeral sequential node.

    Args:
        terms: the store, which numbers the terms and knows their ends.
        hosts: one or more servers, such as ``zk-1:2181,zk-2:2181``, a list or a text with commas; a root may follow: ``…/sagas``.
        group: candidates of one group elect one leader; their nodes are below ``/<group>/election``.
        user: None, or a user of the scheme *digest*; our nodes are then its alone.
        password: of the user.
        tls: whether to encrypt; True with any of the files.
        ca_file: the authority that signed the servers' certificates, as PEM; None trusts this machine's own list.
        cert_file: our certificate, as PEM, if servers ask for one.
        key_file: its key, as PEM.
        check_hostname: whether a server's certificate must be for the name by which we reach it.
        session_seconds: how soon ZooKeeper takes the node of a holder that is dead or cut off.
        timeout_seconds: how long one request may take, before the connection counts as lost.
    """

    def __init__(
        self,
        terms: Terms,
        *,
        hosts: str | Sequence[str] = "127.0.0.1:2181",
        group: str = "goconductor",
        user: str | None = None,
        password: str | None = None,
        tls: bool = False,
        ca_file: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        check_hostname: bool = True,
        session_seconds: float = 5.0,
        timeout_seconds: float = 2.0,
    ) -> None:
        if (user is None) != (password is None):
            raise ConfigurationError("the election by ZooKeeper has a user or a password only: give both options, or neither")
        if (cert_file is None) != (key_file is None):
            raise ConfigurationError("the election by ZooKeeper has cert_file or key_file only: give both options, or neither")
        self._terms = terms
        self._hosts = hosts if isinstance(hosts, str) else ",".join(hosts)
        if "@" in self._hosts or "//" in self._hosts:
            raise ConfigurationError("a host of the election by ZooKeeper should look like zk-1:2181, and nothing before it")
        self._path = f"/{group}/election"
        self._timeout_seconds = timeout_seconds
        self._arguments: dict[str, Any] = {
            "hosts": self._hosts,
            "timeout": session_seconds,
            "auth_data": [("digest", f"{user}:{password}")] if user is not None else [],
            "default_acl": CREATOR_ALL_ACL if user is not None else OPEN_ACL_UNSAFE,
        }
        self._encrypts = tls or ca_file is not None or cert_file is not None
        self._files = (ca_file, cert_file, key_file)
        self._check_hostname = check_hostname
        self._session: _Session | None = None
        self._ending = Tasks()
        self._lock: _Lock | None = None

    async def open(self) -> None:
        """Connect, and make the path of our nodes.

        Raises:
            ElectionError: no server answers, or this user may not make the path.
        """
        await self._ensured(await self._connected())

    async def close(self) -> None:
        self._drop()
        await self._ending.join()

    async def campaign(self, candidate: str, term_seconds: float) -> Term | None:
        """Try to lead.

        Args:
            candidate: its name.
            term_seconds: how long the term lasts unless it is renewed.

        Raises:
            ElectionError: no server answers, or this user may not make or delete our nodes.
        """
        session = await self._connected()
        term = None
        try:
            if await self._free(session):
                term = await self._lead(session, candidate, term_seconds)
        except NoNodeError:  # it went while we looked
            return None
        except BaseException:
            self._drop()  # a node whose making was not answered goes with its session
            raise
        return term

    async def renew(self, term: Term, term_seconds: float) -> Term | None:
        lock, session = self._lock, self._session
        if lock is None or lock.epoch != term.epoch or session is None:
            return None
        try:
            held = await self._holds(session, lock)
        except ElectionError:
            held = False
        if not held:
            self._drop()
            return None
        renewed = await self._terms.renew(term, term_seconds)
        if renewed is None:
            await self._give_up(session, lock)
        return renewed

    async def resign(self, term: Term) -> None:
        try:
            await self._terms.resign(term)
        finally:
            lock, session = self._lock, self._session
            if lock is not None and lock.epoch == term.epoch and session is not None:
                await self._give_up(session, lock)

    async def _free(self, session: _Session) -> bool:
        """Return whether the way is free: there is no holder, this candidate was the holder, or the holder's term is over."""
        if self._lock is not None:
            await self._give_up(session, self._lock)
        try:
            names = await session.ask("get_children_async", self._path)
        except NoNodeError:
            await self._ensured(session)
            return True
        if not names:
            return True
        first = f"{self._path}/{_lowest(names)}"
        written, _ = await session.ask("get_async", first)
        if not await may_be_taken(self._terms, written):
            return False
        await session.ask("delete_async", first)
        return True

    async def _lead(self, session: _Session, candidate: str, term_seconds: float) -> Term | None:
        """Make the node, raise the epoch, write it into the node."""
        path, stat = await session.ask(
            "create_async", f"{self._path}/{_NODE}", b"", ephemeral=True, sequence=True, include_data=True
        )
        lock = _Lock(path.rpartition("/")[2], stat.czxid)
        term = None
        if lock.name == _lowest(await session.ask("get_children_async", self._path)):
            term = await raise_by_evidence(self._terms, candidate, term_seconds, lock.czxid, lambda: self._holds(session, lock))
        if term is None:
            await self._give_up(session, lock)
            return None
        marked = False
        try:
            await session.ask("set_async", path, str(term.epoch).encode())
            marked = not session.lost
        finally:
            if not marked:  # we were stopped in between, until the session was over, or ZooKeeper is away
                await self._terms.resign(term)
        if not marked:
            return None
        self._lock = _Lock(lock.name, lock.czxid, term.epoch)
        return term

    async def _holds(self, session: _Session, lock: _Lock) -> bool:
        """Return whether our node is the lowest now, and was without a break."""
        await session.ask("sync_async", self._path)
        names = await session.ask("get_children_async", self._path)
        return not session.lost and bool(names) and _lowest(names) == lock.name

    async def _give_up(self, session: _Session, lock: _Lock) -> None:
        self._lock = None
        with contextlib.suppress(NoNodeError):
            await session.ask("delete_async", f"{self._path}/{lock.name}")

    async def _ensured(self, session: _Session) -> None:
        await session.ask("ensure_path_async", self._path)

    async def _connected(self) -> _Session:
        if self._session is not None and self._session.lost:
            self._drop()
        if self._session is None:
            handler = _Connector(self._tls() if self._encrypts else None)
            self._session = _Session(self._arguments | {"handler": handler}, self._hosts, self._timeout_seconds)
            try:
                await self._session.connected()
            except BaseException:
                self._drop()
                raise
        return self._session

    def _tls(self) -> ssl.SSLContext:
        ca, cert, key = self._files
        try:
            context = ssl.create_default_context(cafile=ca)
            context.check_hostname = self._check_hostname
            if cert is not None:
                context.load_cert_chain(cert, key)
        except OSError as error:
            raise ConfigurationError(
                f"the election by ZooKeeper cannot use its certificates ({error.strerror or error}): correct its options "
                "ca_file, cert_file and key_file"
            ) from error
        return context

    def _drop(self) -> None:
        """Close the session and forget it. It takes some time if the server does not answer; only ``close`` waits for it."""
        session, self._session, self._lock = self._session, None, None
        if session is not None:
            self._ending.start(asyncio.to_thread(session.end), name="end of a ZooKeeper session")


class _Connector(SequentialThreadingHandler):  # type: ignore[misc]
    """Connects for kazoo, which itself would trust more than ``ca_file``, and leave a socket open after each failed handshake."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__()
        self._tls = tls

    def create_connection(self, *, address: tuple[str, int], hostname: str, timeout: float, **_: Any) -> socket.socket:
        """Override kazoo's."""
        plain = socket.create_connection(address, timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=hostname)


class _Session:
    """One session of ZooKeeper, from its first connection to the loss of that."""

    def __init__(self, arguments: dict[str, Any], hosts: str, timeout_seconds: float) -> None:
        self.lost = False
        self._hosts = hosts
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._up: asyncio.Future[None] = self._loop.create_future()
        retry = {"max_tries": -1, "delay": 0.1, "max_delay": 1.0}
        self._client = KazooClient(**arguments, connection_retry=retry, logger=_kazoo_log)
        self._client.add_listener(self._changed)
        self._client.start_async()

    async def connected(self) -> None:
        """Return when the server has answered.

        Raises:
            ElectionError: it has not, in time.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._up
        except TimeoutError as error:
            self.lost = True
            raise ElectionError(
                f"no ZooKeeper server at {self._hosts} answers within {self._timeout_seconds} s: check that it is up, and the "
                "election's options hosts, tls and ca_file"
            ) from error

    async def ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Send one request.

        Raises:
            ElectionError: there is no usable answer.
            NoNodeError: there is no such node.
        """
        answer: asyncio.Future[Any] = self._loop.create_future()

        def settle(result: Any) -> None:  # in a thread of kazoo's
            self._soon(_settle, answer, result)

        getattr(self._client, method)(*arguments, **named).rawlink(settle)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await answer
        except NoNodeError:
            raise
        except (NoAuthError, AuthFailedError) as error:
            raise ElectionError(
                "ZooKeeper does not let this user elect: grant it create, delete and read on the election's path, or check the "
                "options user and password"
            ) from error
        except (KazooException, KazooTimeoutError, TimeoutError, OSError) as error:
            self.lost = True
            raise ElectionError(
                f"the session with ZooKeeper at {self._hosts} is lost ({error!r}): check that it is up and has a majority"
            ) from error

    def end(self) -> None:
        """Close it; blocks."""
        self.lost = True
        with contextlib.suppress(KazooException, KazooTimeoutError, OSError):
            self._client.stop()
        with contextlib.suppress(KazooException, KazooTimeoutError, OSError):
            self._client.close()

    def _changed(self, state: str) -> None:
        """Note a change of the connection. kazoo calls this in a thread of its own, which must not wait."""
        if state == KazooState.CONNECTED:
            self._soon(_settle, self._up, None)
        else:
            self.lost = True

    def _soon(self, call: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(call, *arguments)


def _settle(future: asyncio.Future[Any], result: Any) -> None:
    if future.done():
        return
    if result is not None and result.exception is not None:
        future.set_exception(result.exception)
    else:
        future.set_result(None if result is None else result.value)


def _lowest(names: Sequence[str]) -> str:
    return min(names, key=lambda name: name[-10:])
