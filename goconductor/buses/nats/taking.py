"""A subscription: a pull request per topic at the server, renewed while there is room."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass
from typing import Literal

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from goconductor.aio.waiting import wait_at_most
from goconductor.buses.nats import wire
from goconductor.buses.nats.connection import UNAVAILABLE, reason_of
from goconductor.buses.nats.topology import Topology, pull_request
from goconductor.buses.shared.frame import Reading
from goconductor.buses.shared.in_flight import HeldDelivery
from goconductor.buses.shared.link import Link
from goconductor.buses.shared.subscription import ServedSubscription
from goconductor.errors import BusUnavailableError
from goconductor.redaction import logger_of

logger = logger_of(__name__)

TICK_SECONDS = 1.0
"""Seconds of quiet between two rounds of a subscription."""
PULL_SECONDS = 30.0
"""Seconds for which one pull request holds."""
HEARTBEAT_SECONDS = 5.0
"""Seconds between two signs of life of a pull request."""
SILENCE_SECONDS = 3 * HEARTBEAT_SECONDS
ENDED = {"404", "408"}
"""Statuses of a pull request that has ended: there was nothing, or its time is over."""
NANOSECONDS = 1_000_000_000
"""In a second: the unit of the server's delays."""


@dataclass(frozen=True, slots=True)
class _Tag:
    """What a delivery is settled by."""

    reply: str
    reader: _Reader


class _Reader:
    """One topic of the subscription.

    Attributes:
        held: deliveries that are not settled yet.
        asked: what the pull request at the server still has to bring.
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.consumer = ""
        self.inbox = ""
        self.subscription: Subscription | None = None
        self.held = 0
        self.asked = 0
        self.serial = 0
        self.heard_at = 0.0
        self.failed: str | None = None


class NatsSubscription(ServedSubscription[_Tag]):
    """A running consumer of some topics for one group.

    Args:
        link: the connection.
        topology: the streams and consumers.
        reading: the topics, the group and the receiver.
        mark_interval_seconds: seconds between two marks that it is there.
    """

    def __init__(
        self,
        link: Link[Client],
        topology: Topology,
        reading: Reading,
        *,
        mark_interval_seconds: float,
    ) -> None:
        super().__init__(reading)
        self._link = link
        self._topology = topology
        self._readers = [_Reader(topic) for topic in sorted(set(reading.topics))]
        self._prefetch_each = max(reading.prefetch // len(self._readers), 1)
        self._mark_interval_seconds = mark_interval_seconds
        self._mark_at = 0.0
        self._to_settle: list[tuple[str, bytes]] = []

    async def start(self) -> None:
        """Begin; return when the group has its consumers, so that messages sent from now on reach it."""
        client = await self._link.get()
        await self._make_consumers(client)
        self._begin(self._run(client))

    async def _run(self, client: Client | None) -> None:
        while client is not None:
            gone = asyncio.create_task(self._link.gone(client).wait())
            gone.add_done_callback(lambda _: self._news.set())
            try:
                await self._serve(client, gone)
                return  # noqa: TRY300  (the end of the loop)
            except UNAVAILABLE as error:
                logger.info("the subscription of %s was cut: %s", self._group, reason_of(error))
            except Exception:
                logger.exception("the subscription of %s failed and tries again", self._group)
            finally:
                gone.cancel()
                for reader in self._readers:
                    await self._forget(reader)
            client = await self._next_client()

    async def _next_client(self) -> Client | None:
        """Return a connection on which to go on, or None if the subscription was stopped."""
        self._mark_at = 0.0
        await self._patience.wait()
        return await self._link.get_unless(self._drained)

    async def _make_consumers(self, client: Client) -> None:
        for reader in self._readers:
            reader.consumer = await self._topology.make_group(client, reader.topic, self._group)
        self._mark_at = time.monotonic() + self._mark_interval_seconds

    async def _serve(self, client: Client, gone: asyncio.Task[Literal[True]]) -> None:
        """Receive until the subscription is stopped; raises when the connection or a consumer fails."""
        while not gone.done():
            self._news.clear()
            if time.monotonic() >= self._mark_at:
                await self._make_consumers(client)
            for reader in self._readers:
                if reader.failed is not None:
                    raise BusUnavailableError(reader.failed)
                if self._in_flight.wants:
                    await self._pull(client, reader)
                elif reader.subscription is not None:
                    await reader.subscription.drain()  # type: ignore[no-untyped-call]  # what is on its way still comes, and goes back
                    reader.subscription, reader.asked = None, 0
            await self._settle(client)
            if self._drained.is_set() and not self._to_settle:
                await client.flush()
                return
            await self._quiet_for(TICK_SECONDS)
        raise BusUnavailableError(self._link.trouble)

    async def _pull(self, client: Client, reader: _Reader) -> None:
        if reader.subscription is None:
            reader.inbox = client.new_inbox()
            reader.asked = 0

            async def came(message: Msg) -> None:
                self._came(reader, message)

            reader.subscription = await client.subscribe(
                f"{reader.inbox}.*", cb=came, pending_msgs_limit=0, pending_bytes_limit=0
            )
        now = time.monotonic()
        if reader.asked and now - reader.heard_at > SILENCE_SECONDS:
            reader.asked = 0  # the server has forgotten it
        room = self._prefetch_each - reader.held
        if not reader.asked and room > 0:
            reader.serial += 1
            reader.asked, reader.heard_at = room, now
            await client.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{self._topology.stream}.{reader.consumer}",
                pull_request(room, expires_seconds=PULL_SECONDS, heartbeat_seconds=HEARTBEAT_SECONDS),
                reply=f"{reader.inbox}.{reader.serial}",
            )

    def _came(self, reader: _Reader, message: Msg) -> None:
        reader.heard_at = time.monotonic()
        status = (message.headers or {}).get("Status")
        if status is not None and not message.reply.startswith("$JS.ACK."):
            if status != "100" and message.subject == f"{reader.inbox}.{reader.serial}":
                reader.asked = 0
                description = (message.headers or {}).get("Description", "")
                if status not in ENDED:  # asked again at once, it would be refused at once
                    reader.failed = description or "there is no such consumer"
                self._news.set()
            return
        self._patience.succeeded()
        reader.asked = max(reader.asked - 1, 0)
        if not reader.asked:
            self._news.set()
        reader.held += 1
        read = wire.read(reader.topic, message.data, message.headers)
        self._in_flight.take(read, message.metadata.num_delivered, _Tag(message.reply, reader))

    def _on_settled(self, delivery: HeldDelivery[_Tag], delay_seconds: float | None) -> None:
        delivery.tag.reader.held -= 1
        if delay_seconds is None:
            word = b"+ACK"
        elif delay_seconds:
            word = b"-NAK " + json.dumps({"delay": int(delay_seconds * NANOSECONDS)}).encode()
        else:
            word = b"-NAK"
        self._to_settle.append((delivery.tag.reply, word))
        self._news.set()

    async def _settle(self, client: Client) -> None:
        settled, self._to_settle = self._to_settle, []
        try:
            while settled:
                await client.publish(settled[-1][0], settled[-1][1])
                settled.pop()
        finally:
            self._to_settle += settled  # by the next connection: the server takes it from any

    async def _forget(self, reader: _Reader) -> None:
        subscription, reader.subscription = reader.subscription, None
        reader.asked, reader.failed = 0, None
        if subscription is not None:
            with contextlib.suppress(*UNAVAILABLE):
                await subscription.unsubscribe()

    async def _quiet_for(self, seconds: float) -> None:
        await wait_at_most(seconds, self._news)
