"""A connection of the bus, and what its errors mean."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from goconductor.aio.waiting import wait_at_most
from goconductor.errors import BusUnavailableError, ConfigurationError

UNAVAILABLE = (nats.errors.Error, OSError, TimeoutError, BusUnavailableError)
"""Exceptions of the driver when the server, the network or our rights fail; once open, the bus tries again."""

URL_REMEDY = "write it as nats://user:password@host:port, tls:// for an encrypted one; several with ',' between them"
MISSED_MAX = 2
"""Questions without an answer that end a connection."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where to connect, and as whom."""

    addresses: tuple[str, ...]
    user: str | None
    password: str | None
    token: str | None


def parse_urls(text: str) -> Servers:
    """Return the servers of a URL setting; user and password, or a token, may be in any of them.

    Raises:
        ConfigurationError: one of them is no NATS URL; the message does not quote it, since it may hold a password.
    """
    try:
        urls = [urlsplit(part.strip()) for part in text.split(",")]
        addresses = tuple(f"{url.scheme}://{_bracketed(url.hostname or '')}:{url.port or 4222}" for url in urls)
        readable = all(url.scheme in {"nats", "tls"} and url.hostname for url in urls)
    except ValueError:
        readable = False
    if not readable:
        raise ConfigurationError(f"the bus's URL cannot be read; {URL_REMEDY}")
    user, password = next(((url.username, url.password) for url in urls if url.username), (None, None))
    if user is not None and password is None:
        return Servers(addresses, None, None, unquote(user))
    return Servers(addresses, user and unquote(user), password and unquote(password), None)


async def connect(
    servers: Servers,
    *,
    credentials_path: str | None,
    connect_timeout_seconds: float,
    heartbeat_seconds: float,
    on_lost: Callable[[Client, str], None],
) -> Client:
    """Return a new connection to one of the servers.

    Args:
        servers: addresses and credentials.
        credentials_path: a file with a JWT and its key, where the server wants one.
        connect_timeout_seconds: time limit for all of them together.
        heartbeat_seconds: seconds between two questions whether the server still answers.
        on_lost: called when the connection ends, with the reason.

    Raises:
        ConfigurationError: the server refuses us.
        BusUnavailableError: no server can be reached now.
    """
    client = Client()
    problems: list[str] = []
    troubled = asyncio.Event()
    asking: asyncio.Task[None] | None = None

    async def closed() -> None:
        if asking is not None and asking is not asyncio.current_task():
            asking.cancel()
        on_lost(client, problems[-1] if problems else "the connection ended")

    async def failed(error: Exception) -> None:
        problems.append(reason_of(error))
        troubled.set()

    try:
        async with asyncio.timeout(connect_timeout_seconds):
            await client.connect(
                servers=list(servers.addresses),
                name="goconductor bus",
                user=servers.user,
                password=servers.password,
                token=servers.token,
                user_credentials=credentials_path,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=max(int(connect_timeout_seconds), 1),
                ping_interval=86_400,  # we ask for ourselves, below
                error_cb=failed,
                closed_cb=closed,
            )
    except UNAVAILABLE as error:
        await close(client)
        if any("authorization" in text.lower() or "authentication" in text.lower() for text in (*problems, str(error))):
            raise ConfigurationError("NATS refuses the connection; check user and password in the bus's URL") from None
        problem = problems[-1] if problems else reason_of(error)
        raise BusUnavailableError(f"NATS cannot be reached now: {problem}") from None
    except BaseException:  # we are closed meanwhile
        await close(client)
        raise
    asking = asyncio.create_task(_ask(client, heartbeat_seconds, troubled, on_lost), name="ask NATS")
    return client


async def close(client: Client) -> None:
    """End a connection, politely if it can be done quickly."""
    with contextlib.suppress(*UNAVAILABLE):
        async with asyncio.timeout(5.0):
            await client.close()


def reason_of(error: BaseException) -> str:
    """Return an error of the driver in a few words; some have no text."""
    return str(error).removeprefix("nats: ") or type(error).__name__


async def _ask(client: Client, heartbeat_seconds: float, troubled: asyncio.Event, on_lost: Callable[[Client, str], None]) -> None:
    """Ask the server at an interval, so that a silent connection ends before the system gives it up.

    The driver does not always report that a connection has ended: not if it still had something to write. So we look, and at once
    when it reports an error.
    """
    missed = 0
    while missed < MISSED_MAX:
        await wait_at_most(heartbeat_seconds, troubled)
        troubled.clear()
        if client.is_closed:
            on_lost(client, "the connection ended")
            return
        try:
            async with asyncio.timeout(heartbeat_seconds):
                await client.flush()
        except UNAVAILABLE:
            missed += 1
        else:
            missed = 0
    on_lost(client, "it does not answer any more")
    await close(client)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
