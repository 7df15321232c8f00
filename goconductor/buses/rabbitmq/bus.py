"""The bus object: sends and subscriptions of one process."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aio_pika.abc import AbstractConnection

from goconductor.buses.rabbitmq import connection as connections
from goconductor.buses.rabbitmq import wire
from goconductor.buses.rabbitmq.delaying import Delays
from goconductor.buses.rabbitmq.sending import Sender
from goconductor.buses.rabbitmq.taking import RabbitmqSubscription
from goconductor.buses.rabbitmq.topology import Topology
from goconductor.buses.shared.frame import BusFrame, Reading, begun_within
from goconductor.buses.shared.link import Link
from goconductor.errors import ConfigurationError
from goconductor.ports.bus import Headers, Message

HEADERS = Headers(wire.HEADERS_BYTES_MAX, wire.headers_bytes)


@dataclass(frozen=True, slots=True)
class _Opened:
    """The two connections, and what publishes on the first: a broker that is short of memory stops reading from publishers."""

    sending: Link[AbstractConnection]
    taking: Link[AbstractConnection]
    sender: Sender
    delays: Delays


class RabbitmqBus(BusFrame[_Opened, RabbitmqSubscription]):
    """A bus on RabbitMQ; the package's docstring describes how it works, ``docs/buses/rabbitmq.md`` what it needs.

    It takes one connection for all that is published and one for all its subscriptions.

    Args:
        url: the broker, as ``amqp://user:password@host:port/virtual-host`` or ``amqps://``; several with ``,`` between them.
        prefix: prefix of the names of exchanges and queues.
        payload_bytes_max: greatest size of a payload, in bytes; the broker's ``max_message_size`` must allow it.
        open_timeout_seconds: time limit of ``open`` and ``subscribe``.
        connect_timeout_seconds: time limit of each try to connect to each broker.
        send_timeout_seconds: time limit of ``send``, for the broker's confirms and for a broker that is away.
        heartbeat_seconds: seconds between two heartbeats of either side; a dead connection is noticed after three of them.
        retention_seconds: seconds after which messages that nobody takes become dead letters, and groups that do not read are
            dropped.
        short_lived_prefixes: prefixes of topics that belong to one process.
        short_lived_retention_seconds: the same seconds for those.
        deliveries_max: deliveries without a settlement after which a message becomes a dead letter.
        replicas: members of each quorum queue; None leaves it to the broker.

    Raises:
        ConfigurationError: the URL or the prefix cannot be used, or a number makes no sense.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "goconductor",
        payload_bytes_max: int = 1 << 20,
        open_timeout_seconds: float = 30.0,
        connect_timeout_seconds: float = 5.0,
        send_timeout_seconds: float = 15.0,
        heartbeat_seconds: int = 10,
        retention_seconds: float = 7 * 86_400.0,
        short_lived_prefixes: Sequence[str] = ("goconductor.replies.",),
        short_lived_retention_seconds: float = 3_600.0,
        deliveries_max: int = 1_000,
        replicas: int | None = None,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", prefix):
            raise ConfigurationError(f"{prefix!r} cannot be the bus's prefix; use up to 100 letters, digits, '.', '_' and '-'")
        limits = (open_timeout_seconds, connect_timeout_seconds, send_timeout_seconds, heartbeat_seconds)
        lives = (retention_seconds, short_lived_retention_seconds, deliveries_max, replicas or 1)
        if min(*limits, *lives) <= 0 or payload_bytes_max <= 0:
            raise ConfigurationError("the bus's times and limits must be greater than 0")
        super().__init__(payload_bytes_max=payload_bytes_max, headers=HEADERS)
        self._urls = connections.parse_urls(url)
        self._topology = Topology(
            prefix=prefix,
            retention_seconds=retention_seconds,
            short_lived_prefixes=tuple(short_lived_prefixes),
            short_lived_retention_seconds=short_lived_retention_seconds,
            deliveries_max=deliveries_max,
            replicas=replicas,
        )
        self._open_timeout_seconds = open_timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._send_timeout_seconds = send_timeout_seconds
        self._heartbeat_seconds = int(heartbeat_seconds)

    async def _open(self) -> _Opened:
        sending, taking = self._link("sending"), self._link("taking")
        await sending.open(self._open_timeout_seconds)
        try:
            await taking.open(self._open_timeout_seconds)
        except BaseException:
            await sending.close()
            raise
        sender = Sender(sending, self._topology, send_timeout_seconds=self._send_timeout_seconds)
        return _Opened(sending, taking, sender, Delays(sending, self._topology))

    async def _close(self, opened: _Opened) -> None:
        await opened.sending.close()
        await opened.taking.close()

    async def _send(self, opened: _Opened, messages: Sequence[Message]) -> tuple[Message, str] | None:
        too_large = await opened.sender.send(messages)
        return (too_large[0], "it is larger than the broker's max_message_size") if too_large else None

    async def _take(self, opened: _Opened, reading: Reading) -> RabbitmqSubscription:
        subscription = RabbitmqSubscription(opened.taking, opened.delays, self._topology, reading)
        await begun_within(
            self._open_timeout_seconds,
            subscription.start(),
            unavailable=connections.UNAVAILABLE,
            reason_of=connections.reason_of,
        )
        return subscription

    def _link(self, purpose: str) -> Link[AbstractConnection]:
        link: Link[AbstractConnection] = Link(
            f"RabbitMQ ({purpose})",
            connect=lambda: connections.connect(
                self._urls,
                self._topology,
                purpose=purpose,
                connect_timeout_seconds=self._connect_timeout_seconds,
                heartbeat_seconds=self._heartbeat_seconds,
                on_lost=link.lost,
            ),
            disconnect=connections.close,
        )
        return link
