"""The bus object: sends and subscriptions of one process."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nats.aio.client import Client

from goconductor.buses.nats import connection as connections
from goconductor.buses.nats import wire
from goconductor.buses.nats.sending import Sender
from goconductor.buses.nats.taking import NatsSubscription
from goconductor.buses.nats.topology import Topology
from goconductor.buses.shared.frame import BusFrame, Reading, begun_within
from goconductor.buses.shared.link import Link
from goconductor.errors import BusUnavailableError, ConfigurationError
from goconductor.ports.bus import Headers, Message

_Opened = tuple[Link[Client], Sender]

HEADERS = Headers(wire.HEADERS_BYTES_MAX, wire.headers_bytes)


class NatsBus(BusFrame[_Opened, NatsSubscription]):
    """A bus on NATS JetStream; the package's docstring describes how it works, ``docs/buses/nats.md`` what it needs.

    It takes one connection.

    Args:
        url: the servers, as ``nats://user:password@host:port`` or ``tls://``; several with ``,`` between them.
        credentials_path: a file with a JWT and its key, where the server wants one.
        prefix: prefix of the names of streams and subjects.
        replicas: copies of each message, on as many servers; set when a stream is created.
        payload_bytes_max: greatest size of a payload, in bytes; the server's ``max_payload`` must be 64 KiB above it.
        open_timeout_seconds: time limit of ``open`` and ``subscribe``.
        connect_timeout_seconds: time limit of each try to connect.
        send_timeout_seconds: time limit of ``send``, for the acknowledgements and for a server that is away.
        heartbeat_seconds: seconds between two questions whether the server is there; two of them without an answer end the
            connection.
        visibility_seconds: seconds after which a message in hand may come to another process as well, as after the death of one.
        retention_seconds: seconds after which messages that nobody takes, and groups that do not read, are dropped.
        short_lived_prefixes: prefixes of topics that belong to one process.
        short_lived_retention_seconds: the same seconds for the groups of those.
        duplicate_window_seconds: seconds for which the stream remembers the ids of messages, to drop duplicates.

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
        super().__init__(payload_bytes_max=payload_bytes_max, headers=HEADERS)
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

    async def _open(self) -> _Opened:
        link: Link[Client] = Link("NATS", connect=lambda: self._connect(link), disconnect=connections.close)
        await link.open(self._open_timeout_seconds)
        return link, Sender(link, self._topology, send_timeout_seconds=self._send_timeout_seconds)

    async def _close(self, opened: _Opened) -> None:
        await opened[0].close()

    async def _send(self, opened: _Opened, messages: Sequence[Message]) -> None:
        await opened[1].send(messages)

    async def _take(self, opened: _Opened, reading: Reading) -> NatsSubscription:
        subscription = NatsSubscription(opened[0], self._topology, reading, mark_interval_seconds=self._mark_interval_seconds)
        await begun_within(
            self._open_timeout_seconds,
            subscription.start(),
            unavailable=connections.UNAVAILABLE,
            reason_of=connections.reason_of,
        )
        return subscription

    async def _connect(self, link: Link[Client]) -> Client:
        client = await connections.connect(
            self._servers,
            credentials_path=self._credentials_path,
            connect_timeout_seconds=self._connect_timeout_seconds,
            heartbeat_seconds=self._heartbeat_seconds,
            on_lost=link.lost,
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
