"""The bus object: sends and subscriptions of one process."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from aio_pika.abc import AbstractConnection

from goconductor.buses.rabbitmq import connection as connections
from goconductor.buses.rabbitmq import wire
from goconductor.buses.rabbitmq.delaying import Delays
from goconductor.buses.rabbitmq.sending import Sender
from goconductor.buses.rabbitmq.taking import RabbitmqSubscription
from goconductor.buses.rabbitmq.topology import Topology
from goconductor.buses.shared.link import Link
from goconductor.errors import BusUnavailableError, ConfigurationError, PayloadError
from goconductor.ports.bus import TOPIC, Headers, Message, Receiver, sendable

HEADERS = Headers(wire.HEADERS_BYTES_MAX, wire.headers_bytes)


class RabbitmqBus:
    """A bus on RabbitMQ; the package's docstring says how it works, ``docs/buses/rabbitmq.md`` what it needs.

    It takes one connection for whatever is published and one for all its subscriptions.

    Args:
        url: the broker, as ``amqp://user:password@host:port/virtual-host`` or ``amqps://``; several with ``,`` between them.
        prefix: what the names of exchanges and queues begin with.
        payload_bytes_max: larger payloads are refused, in bytes; the broker's ``max_message_size`` must allow it.
        open_timeout_seconds: how long ``open`` and ``subscribe`` try.
        connect_timeout_seconds: for each try to connect to each broker.
        send_timeout_seconds: how long a ``send`` waits for the broker's confirms, and for the broker while it is away.
        heartbeat_seconds: how often both sides say that they are there; a dead connection is noticed after three of them.
        retention_seconds: what nobody takes for so long becomes a dead letter, and a group that does not read for so long is
            forgotten.
        short_lived_prefixes: topics whose names begin so belong to one process.
        short_lived_retention_seconds: as ``retention_seconds``, for those.
        deliveries_max: a message that was delivered so often without being settled becomes a dead letter.
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
        self.payload_bytes_max = payload_bytes_max
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
        self._subscriptions: list[RabbitmqSubscription] = []
        self._sending: tuple[Link[AbstractConnection], Sender] | None = None
        self._taking: tuple[Link[AbstractConnection], Delays] | None = None

    async def open(self) -> None:
        """Connect, and declare the exchanges; safe for many processes at once.

        Raises:
            BusUnavailableError: no broker could be reached within ``open_timeout_seconds``.
            ConfigurationError: it refuses us, which trying again would not help.
        """
        if self._sending is not None:
            return
        sending, taking = self._link("sending"), self._link("taking")
        await sending.open(self._open_timeout_seconds)
        try:
            await taking.open(self._open_timeout_seconds)
        except BaseException:
            await sending.close()
            raise
        self._sending = sending, Sender(sending, self._topology, send_timeout_seconds=self._send_timeout_seconds)
        self._taking = taking, Delays(sending, self._topology)

    async def close(self) -> None:
        """Stop the subscriptions, wait for what was given to ``send``, and disconnect."""
        sending, self._sending = self._sending, None
        taking, self._taking = self._taking, None
        await asyncio.gather(*(subscription.stop() for subscription in self._subscriptions))
        self._subscriptions.clear()
        if sending is not None:
            link, sender = sending
            await sender.idle()
            await link.close()
        if taking is not None:
            await taking[0].close()

    async def send(self, messages: Sequence[Message]) -> None:
        """Publish the messages, and wait for the broker's confirms.

        Raises:
            BusUnavailableError: the broker is away, or the bus not open; some of them may have been taken.
            PayloadError: one of them cannot be sent; the others were.
        """
        if self._sending is None:
            raise BusUnavailableError("the bus is not open; call `await bus.open()` first")
        _, sender = self._sending
        fit, refusal = sendable(messages, self.payload_bytes_max, HEADERS)
        if fit and (too_large := await sender.send(fit)):
            refusal = refusal or PayloadError(
                f"$[{messages.index(too_large[0])}].payload", "it is larger than the broker's max_message_size"
            )
        if refusal:
            raise refusal

    async def subscribe(self, topics: Sequence[str], group: str, receiver: Receiver, *, prefetch: int) -> RabbitmqSubscription:
        """Start to read topics for a group. What is sent after this has returned reaches it.

        Raises:
            BusUnavailableError: the broker is away, or the bus not open.
            ConfigurationError: a topic's or the group's name cannot be used, or there is nothing to read.
        """
        if self._taking is None:
            raise BusUnavailableError("the bus is not open; call `await bus.open()` first")
        if not topics or prefetch < 1 or not all(TOPIC.fullmatch(name) for name in (*topics, group)):
            raise ConfigurationError(
                "subscribe to one topic or more, named by letters, digits, '.', '_' and '-', with prefetch >= 1"
            )
        subscription = RabbitmqSubscription(
            *self._taking, self._topology, topics=topics, group=group, receiver=receiver, prefetch=prefetch
        )
        try:
            async with asyncio.timeout(self._open_timeout_seconds):
                await subscription.start()
        except connections.UNAVAILABLE as error:
            raise BusUnavailableError(f"could not subscribe: {connections.reason_of(error)}") from error
        self._subscriptions = [*(each for each in self._subscriptions if not each.stopped), subscription]
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
                lost=link.lost,
            ),
            disconnect=connections.close,
        )
        return link
