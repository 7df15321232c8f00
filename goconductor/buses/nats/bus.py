"""The bus object: sends and subscriptions of one process."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from nats.aio.client import Client

from goconductor.buses.nats import connection as connections
from goconductor.buses.nats import wire
from goconductor.buses.nats.sending import Sender
from goconductor.buses.nats.taking import NatsSubscription
from goconductor.buses.nats.topology import Topology
from goconductor.buses.shared.link import Link
from goconductor.errors import BusUnavailableError, ConfigurationError
from goconductor.ports.bus import TOPIC, Headers, Message, Receiver, sendable

HEADERS = Headers(wire.HEADERS_BYTES_MAX, wire.headers_bytes)


class NatsBus:
    """A bus on NATS JetStream; the package's docstring says how it works, ``docs/buses/nats.md`` what it needs.

    It takes one connection.

    Args:
        url: the servers, as ``nats://user:password@host:port`` or ``tls://``; several with ``,`` between them.
        credentials_path: a file with a JWT and its key, where the server wants one.
        prefix: what the names of streams and subjects begin with.
        replicas: copies of each message, on as many servers; given to a stream when it is made.
        payload_bytes_max: larger payloads are refused, in bytes; the server's ``max_payload`` must leave 64 KiB beside it.
        open_timeout_seconds: how long ``open`` and ``subscribe`` try.
        connect_timeout_seconds: for each try to connect.
        send_timeout_seconds: how long a ``send`` waits for the acknowledgements, and for the server while it is away.
        heartbeat_seconds: how often the server is asked whether it is there; after two questions without an answer it is not.
        visibility_seconds: what is in hand for longer may come to another as well; so long wait those of a dead process.
        retention_seconds: what nobody takes for so long is dropped, and a group that does not read for so long forgotten.
        short_lived_prefixes: topics whose names begin so belong to one process.
        short_lived_retention_seconds: so long are their groups remembered.
        duplicate_window_seconds: so long the stream remembers the ids of messages, to drop what is sent twice.

    Raises:
        ConfigurationError: the URL or the prefix cannot be used, or a number makes no sense.
    """

    def __init__(
        self,
        url: str,
        *,
        credentials_path: str | None = None,
        prefix: str = "goconductor",
        replicas: int = 1,
        payload_bytes_max: int = (1 << 20) - wire.HEADERS_BYTES_MAX,
        open_timeout_seconds: float = 30.0,
        connect_timeout_seconds: float = 5.0,
        send_timeout_seconds: float = 15.0,
        heartbeat_seconds: float = 10.0,
        visibility_seconds: float = 15.0,
        retention_seconds: float = 7 * 86_400.0,
        short_lived_prefixes: Sequence[str] = ("goconductor.replies.",),
        short_lived_retention_seconds: float = 3_600.0,
        duplicate_window_seconds: float = 120.0,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", prefix):
            raise ConfigurationError(f"{prefix!r} cannot be the bus's prefix; use up to 100 letters, digits, '_' and '-'")
        limits = (open_timeout_seconds, connect_timeout_seconds, send_timeout_seconds, heartbeat_seconds, visibility_seconds)
        lives = (retention_seconds, short_lived_retention_seconds, duplicate_window_seconds, replicas)
        if min(*limits, *lives) <= 0 or payload_bytes_max <= 0:
            raise ConfigurationError("the bus's times and limits must be greater than 0")
        self.payload_bytes_max = payload_bytes_max
        self._servers = connections.parse_urls(url)
        self._credentials_path = credentials_path
        self._topology = Topology(
            prefix=prefix,
            replicas=replicas,
            retention_seconds=retention_seconds,
            short_lived_prefixes=tuple(short_lived_prefixes),
            short_lived_retention_seconds=short_lived_retention_seconds,
            visibility_seconds=visibility_seconds,
            duplicate_window_seconds=duplicate_window_seconds,
        )
        self._open_timeout_seconds = open_timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._send_timeout_seconds = send_timeout_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._mark_interval_seconds = retention_seconds / 4
        self._subscriptions: list[NatsSubscription] = []
        self._opened: tuple[Link[Client], Sender] | None = None

    async def open(self) -> None:
        """Connect, and make the streams; safe for many processes at once.

        Raises:
            BusUnavailableError: no server could be reached within ``open_timeout_seconds``.
            ConfigurationError: it refuses us, or takes no messages as large as ours, which trying again would not help.
        """
        if self._opened is not None:
            return
        link: Link[Client] = Link("NATS", connect=lambda: self._connect(link), disconnect=connections.close)
        await link.open(self._open_timeout_seconds)
        self._opened = link, Sender(link, self._topology, send_timeout_seconds=self._send_timeout_seconds)

    async def close(self) -> None:
        """Stop the subscriptions, wait for what was given to ``send``, and disconnect."""
        opened, self._opened = self._opened, None
        await asyncio.gather(*(subscription.stop() for subscription in self._subscriptions))
        self._subscriptions.clear()
        if opened is not None:
            link, sender = opened
            await sender.idle()
            await link.close()

    async def send(self, messages: Sequence[Message]) -> None:
        """Publish the messages, and wait until the stream has acknowledged them.

        Raises:
            BusUnavailableError: the server is away, or the bus not open; some of them may have been taken.
            PayloadError: one of them cannot be sent; the others were.
        """
        if self._opened is None:
            raise BusUnavailableError("the bus is not open; call `await bus.open()` first")
        _, sender = self._opened
        fit, refusal = sendable(messages, self.payload_bytes_max, HEADERS)
        if fit:
            await sender.send(fit)
        if refusal:
            raise refusal

    async def subscribe(self, topics: Sequence[str], group: str, receiver: Receiver, *, prefetch: int) -> NatsSubscription:
        """Start to read topics for a group. What is sent after this has returned reaches it.

        Raises:
            BusUnavailableError: the server is away, or the bus not open.
            ConfigurationError: a topic's or the group's name cannot be used, or there is nothing to read.
        """
        if self._opened is None:
            raise BusUnavailableError("the bus is not open; call `await bus.open()` first")
        if not topics or prefetch < 1 or not all(TOPIC.fullmatch(name) for name in (*topics, group)):
            raise ConfigurationError(
                "subscribe to one topic or more, named by letters, digits, '.', '_' and '-', with prefetch >= 1"
            )
        link, _ = self._opened
        subscription = NatsSubscription(
            link,
            self._topology,
            topics=topics,
            group=group,
            receiver=receiver,
            prefetch=prefetch,
            mark_interval_seconds=self._mark_interval_seconds,
        )
        try:
            async with asyncio.timeout(self._open_timeout_seconds):
                await subscription.start()
        except connections.UNAVAILABLE as error:
            raise BusUnavailableError(f"could not subscribe: {connections.reason_of(error)}") from error
        self._subscriptions = [*(each for each in self._subscriptions if not each.stopped), subscription]
        return subscription

    async def _connect(self, link: Link[Client]) -> Client:
        client = await connections.connect(
            self._servers,
            credentials_path=self._credentials_path,
            connect_timeout_seconds=self._connect_timeout_seconds,
            heartbeat_seconds=self._heartbeat_seconds,
            lost=link.lost,
        )
        try:
            needed = self.payload_bytes_max + wire.HEADERS_BYTES_MAX
            if client.max_payload < needed:
                raise ConfigurationError(  # noqa: TRY301  (the connection is closed below, as for every other failure)
                    f"NATS takes {client.max_payload} bytes as one message and the bus needs {needed}: raise the server's"
                    f" max_payload, or set the bus's option payload_bytes_max to {client.max_payload - wire.HEADERS_BYTES_MAX}"
                )
            self._topology.forget()
            await self._topology.make_streams(client)
        except connections.UNAVAILABLE as error:
            await connections.close(client)
            raise BusUnavailableError(f"NATS is there, but JetStream is not: {connections.reason_of(error)}") from None
        except BaseException:
            await connections.close(client)
            raise
        return client
