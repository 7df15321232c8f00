"""A connection of the bus, and what its errors mean."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ConnectionNotAllowed,
    ProbableAuthenticationError,
)
from yarl import URL

from goconductor.buses.rabbitmq.topology import Topology
from goconductor.errors import BusUnavailableError, ConfigurationError

UNAVAILABLE = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError, BusUnavailableError)
"""Exceptions of the driver when the broker, the network or our rights fail; once open, the bus tries again."""

URL_REMEDY = "write it as amqp://user:password@host:port/virtual-host, or amqps://; several with ',' between them"


def parse_urls(text: str) -> list[URL]:
    """Return the brokers of a URL setting.

    Raises:
        ConfigurationError: one of them is no AMQP URL; the message does not quote it, since it may hold a password.
    """
    try:
        urls = [URL(part.strip()) for part in text.split(",")]
        readable = all(url.scheme in {"amqp", "amqps"} and url.host for url in urls)
    except ValueError:
        readable = False
    if not readable:
        raise ConfigurationError(f"the bus's URL cannot be read; {URL_REMEDY}")
    return urls


@contextlib.contextmanager
def cancelled_or_unavailable() -> Iterator[None]:
    """Distinguish what the driver mixes up: that we were cancelled, and that its connection or channel ended.

    A closing channel cancels its waiters, though nobody cancelled us. And while it closes, a cancellation of ours (by a time
    limit, or at the end) surfaces as an error of the channel. Taken literally, the first would end a subscription for good, and
    the second would be tried again without any limit.

    Raises:
        asyncio.CancelledError: we were cancelled.
        BusUnavailableError: the driver's connection or channel ended; its other errors pass unchanged.
    """
    try:
        yield
    except (*UNAVAILABLE, asyncio.CancelledError) as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
        if isinstance(error, asyncio.CancelledError):
            raise BusUnavailableError("the connection or the channel ended meanwhile") from error
        raise


async def connect(
    urls: list[URL],
    topology: Topology,
    *,
    purpose: str,
    connect_timeout_seconds: float,
    heartbeat_seconds: int,
    on_lost: Callable[[AbstractConnection, str], None],
) -> AbstractConnection:
    """Return a new connection to the first broker that answers, with the exchanges in place.

    Args:
        urls: the brokers, in this order.
        topology: its exchanges are declared.
        purpose: shown in the broker's list of connections.
        connect_timeout_seconds: time limit for each broker.
        heartbeat_seconds: seconds between two heartbeats of either side.
        on_lost: called when the connection ends, with the reason.

    Raises:
        ConfigurationError: a broker refuses us (user, password, virtual host, permissions).
        BusUnavailableError: no broker can be reached now.
    """
    problem = ""
    for url in urls:
        try:
            async with asyncio.timeout(connect_timeout_seconds):
                with cancelled_or_unavailable():
                    connection = await _connect(url, purpose, heartbeat_seconds, on_lost)
        except UNAVAILABLE as error:
            problem = problem or f"{url.host}:{url.port or 'default'}: {reason_of(error)}"
            continue
        try:
            async with asyncio.timeout(connect_timeout_seconds):
                with cancelled_or_unavailable():
                    await topology.declare_exchanges(connection)
            if not connection.is_closed and connection.connected.is_set():
                return connection
            problem = problem or f"{url.host}: the connection ended at once"
        except ChannelAccessRefused as error:
            await close(connection)
            raise ConfigurationError(f"RabbitMQ forbids what the bus needs; see docs/buses/rabbitmq.md: {error}") from None
        except UNAVAILABLE as error:
            problem = problem or f"{url.host}: {reason_of(error)}"
        except BaseException:
            await close(connection)
            raise
        await close(connection)
    raise BusUnavailableError(f"RabbitMQ cannot be reached now: {problem}")


async def _connect(
    url: URL, purpose: str, heartbeat_seconds: int, on_lost: Callable[[AbstractConnection, str], None]
) -> AbstractConnection:
    if "heartbeat" not in url.query:
        url = url.update_query(heartbeat=str(heartbeat_seconds))
    try:
        connection = await aio_pika.connect(url, client_properties={"connection_name": f"goconductor bus {purpose}"})
    except (AuthenticationError, ProbableAuthenticationError):
        raise ConfigurationError("RabbitMQ refuses the connection; check user and password in the bus's URL") from None
    except ConnectionNotAllowed as error:
        raise ConfigurationError(
            f"RabbitMQ refuses the connection: {error}; check the virtual host in the bus's URL and the user's rights on it"
        ) from None

    def closed(_: object, error: BaseException | None) -> None:
        on_lost(connection, reason_of(error))

    connection.close_callbacks.add(closed)
    return connection


async def driver_channel(made: AbstractChannel) -> Channel:
    """Return the channel below, which publishes without waiting for the socket each time."""
    below = await made.get_underlay_channel()
    assert isinstance(below, Channel)  # noqa: S101  (for the type checker)
    return below


async def close(ending: AbstractConnection | Channel, *, within_seconds: float = 5.0) -> None:
    """End a connection or a channel, politely if it can be done quickly."""
    try:
        async with asyncio.timeout(within_seconds):
            with cancelled_or_unavailable():
                await ending.close()
    except UNAVAILABLE:
        pass


def reason_of(error: BaseException | None) -> str:
    """Return an error of the driver in a few words; some have no text."""
    return "the connection ended" if error is None else str(error) or type(error).__name__
