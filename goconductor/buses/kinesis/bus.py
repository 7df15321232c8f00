"""The bus object: sends and subscriptions of one process."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

from goconductor.buses.kinesis import leases, wire
from goconductor.buses.kinesis.leases import Connection, Leases
from goconductor.buses.kinesis.sending import Sender
from goconductor.buses.kinesis.streams import ABSENT, ANSWER_SECONDS, Streams
from goconductor.buses.kinesis.taking import KinesisSubscription
from goconductor.buses.shared import amazon
from goconductor.buses.shared.amazon import UNAVAILABLE, Client, ServiceLink
from goconductor.buses.shared.link import Link
from goconductor.errors import BusUnavailableError, ConfigurationError
from goconductor.ports.bus import TOPIC, Headers, Message, Receiver, sendable
from goconductor.ports.vitals import BusVitals
from goconductor.postgres.rights import examine_tables
from goconductor.postgres.setup import end

HEADERS = Headers(wire.HEADERS_BYTES_MAX, wire.headers_bytes)


class KinesisBus:
    """A bus on Amazon Kinesis; the package's docstring says how it works, ``docs/buses/kinesis.md`` what it needs.

    Args:
        url: ``kinesis://region``, ``kinesis://`` for the region that boto3 finds, or an endpoint as ``https://host:port``.
        database_url: the PostgreSQL that keeps leases and checkpoints; the saga log's will do.
        schema: of the tables there.
        region: instead of the URL's.
        endpoint_url: instead of the region's own.
        profile: of the shared configuration, for credentials and region.
        role_arn: a role that is assumed by the credentials found.
        prefix: what the names of streams begin with.
        shards: of a stream that is made; None for on-demand.
        retention_hours: of a stream that is made, 24 to 8,760.
        shared_streams: topics that begin with the key are in the stream of the value.
        payload_bytes_max: larger payloads are refused, in bytes.
        open_timeout_seconds: how long ``open`` and ``subscribe`` try; a stream takes half a minute to be made.
        connect_timeout_seconds: for each connection.
        send_timeout_seconds: how long a ``send`` waits for Kinesis, also while it is away.
        poll_seconds: between two reads of a shard; it allows five a second, for all groups together.
        lease_seconds: so long wait the shards of a process that died.
        tick_seconds: how often leases are renewed and checkpoints written.
        drain_seconds: how long deliveries may take to finish when their shard goes to another instance.
        short_lived_prefixes: topics whose names begin so belong to one process.

    Raises:
        ConfigurationError: the URL or the prefix cannot be used, or a number makes no sense.
    """

    def __init__(
        self,
        url: str,
        *,
        database_url: str,
        schema: str = "goconductor_kinesis",
        region: str | None = None,
        endpoint_url: str | None = None,
        profile: str | None = None,
        role_arn: str | None = None,
        prefix: str = "goconductor",
        shards: int | None = 2,
        retention_hours: int = 24,
        shared_streams: Mapping[str, str] | None = None,
        payload_bytes_max: int = 640 * 1024,
        open_timeout_seconds: float = 90.0,
        connect_timeout_seconds: float = 5.0,
        send_timeout_seconds: float = 15.0,
        poll_seconds: float = 0.25,
        lease_seconds: float = 10.0,
        tick_seconds: float = 1.0,
        drain_seconds: float = 5.0,
        short_lived_prefixes: Sequence[str] = ("goconductor.replies.",),
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", prefix):
            raise ConfigurationError(f"{prefix!r} cannot be the bus's prefix; use up to 64 letters, digits, '.', '_' and '-'")
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
            raise ConfigurationError(f"{schema!r} cannot be the bus's schema; use up to 63 small letters, digits and '_'")
        times = (open_timeout_seconds, connect_timeout_seconds, send_timeout_seconds, poll_seconds, drain_seconds)
        if min(*times, lease_seconds, tick_seconds, 1 if shards is None else shards) <= 0 or not 24 <= retention_hours <= 8_760:
            raise ConfigurationError("the bus's times and shards must be greater than 0, and retention_hours from 24 to 8760")
        if tick_seconds > lease_seconds / 3:
            raise ConfigurationError(f"tick_seconds must be a third of lease_seconds at most: {lease_seconds / 3:g}")
        if not 0 < payload_bytes_max <= wire.PAYLOAD_BYTES_MAX:
            raise ConfigurationError(f"payload_bytes_max must be from 1 to {wire.PAYLOAD_BYTES_MAX} with Kinesis")
        self.payload_bytes_max = payload_bytes_max
        self._address = amazon.parse_url(
            "kinesis", url, region=region, endpoint_url=endpoint_url, profile=profile, role_arn=role_arn
        )
        self._short_lived_prefixes = tuple(short_lived_prefixes)
        shared = {name: f"{prefix}.{name.removeprefix(f'{prefix}.').strip('.') or 'shared'}" for name in short_lived_prefixes}
        self._streams = Streams(
            prefix=prefix, shards=shards, retention_hours=int(retention_hours), shared={**shared, **(shared_streams or {})}
        )
        self._database = leases.set_up(leases.address_of(database_url), schema, connect_timeout_seconds=connect_timeout_seconds)
        self._schema = schema
        self._open_timeout_seconds = open_timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._send_timeout_seconds = send_timeout_seconds
        self._poll_seconds = poll_seconds
        self._lease_seconds = lease_seconds
        self._tick_seconds = tick_seconds
        self._drain_seconds = drain_seconds
        self._subscriptions: list[KinesisSubscription] = []
        self._opened: tuple[ServiceLink, Link[Connection], Sender, Leases] | None = None

    async def open(self) -> None:
        """Find credentials, ask Kinesis whether it takes them, and connect to the database of the leases.

        Raises:
            BusUnavailableError: one of them could not be reached within ``open_timeout_seconds``.
            ConfigurationError: one of them refuses us, or there are no credentials; trying again would not help.
        """
        if self._opened is not None:
            return
        database: Link[Connection] = Link("PostgreSQL (leases)", connect=self._database.dial, disconnect=end)
        link = ServiceLink("Kinesis", connect=self._connect)
        await link.open(self._open_timeout_seconds)
        try:
            await database.open(self._open_timeout_seconds)
        except BaseException:
            await link.close()
            raise
        sender = Sender(link, self._streams, send_timeout_seconds=self._send_timeout_seconds)
        self._opened = link, database, sender, Leases(database, lease_seconds=self._lease_seconds)

    async def examine(self) -> BusVitals:
        """As :class:`goconductor.ports.vitals.ExaminableBus` says, of the leases' tables.

        Raises:
            ConfigurationError: the leases' database refuses us.
            BusUnavailableError: it cannot be reached.
        """
        return await examine_tables(self._database.address, self._schema, leases.NEEDS)

    async def close(self) -> None:
        """Stop the subscriptions, wait for what was given to ``send``, and disconnect."""
        opened, subscriptions = self._opened, self._subscriptions
        self._opened, self._subscriptions = None, []
        await asyncio.gather(*(subscription.stop() for subscription in subscriptions))
        if opened is not None:
            link, database, sender, _ = opened
            await sender.idle()
            await sender.close()
            await link.close()
            await database.close()

    async def send(self, messages: Sequence[Message]) -> None:
        """Write the messages, and wait until Kinesis has taken them.

        Raises:
            BusUnavailableError: Kinesis is away, or the bus not open; some of them may have been taken.
            PayloadError: one of them cannot be sent; the others were.
        """
        if self._opened is None:
            raise BusUnavailableError("the bus is not open; call `await bus.open()` first")
        fit, refusal = sendable(messages, self.payload_bytes_max, HEADERS)
        if fit:
            await self._opened[2].send(fit)
        if refusal:
            raise refusal

    async def subscribe(self, topics: Sequence[str], group: str, receiver: Receiver, *, prefetch: int) -> KinesisSubscription:
        """Start to read topics for a group. What is sent after this has returned reaches it.

        Raises:
            BusUnavailableError: Kinesis or the database is away, or the bus not open.
            ConfigurationError: a topic's or the group's name cannot be used, or there is nothing to read.
        """
        if self._opened is None:
            raise BusUnavailableError("the bus is not open; call `await bus.open()` first")
        if not topics or prefetch < 1 or not all(TOPIC.fullmatch(name) for name in (*topics, group)):
            raise ConfigurationError(
                "subscribe to one topic or more, named by letters, digits, '.', '_' and '-', with prefetch >= 1"
            )
        link, _, sender, kept = self._opened
        subscription = KinesisSubscription(
            link,
            self._streams,
            kept,
            sender,
            topics=topics,
            group=group,
            receiver=receiver,
            prefetch=prefetch,
            short_lived_prefixes=self._short_lived_prefixes,
            lease_seconds=self._lease_seconds,
            tick_seconds=self._tick_seconds,
            poll_seconds=self._poll_seconds,
            drain_seconds=self._drain_seconds,
        )
        try:
            async with asyncio.timeout(self._open_timeout_seconds):
                await subscription.start()
        except UNAVAILABLE as error:
            await subscription.stop()
            reason = subscription.trouble if type(error) is TimeoutError else amazon.reason_of(error)
            raise BusUnavailableError(f"could not subscribe within {self._open_timeout_seconds:g} s: {reason}") from error
        self._subscriptions = [*(each for each in self._subscriptions if not each.stopped), subscription]
        return subscription

    async def _connect(self) -> Client:
        client = await amazon.connect("kinesis", self._address, connect_timeout_seconds=self._connect_timeout_seconds)
        try:
            await amazon.call(client, "describe_stream_summary", ANSWER_SECONDS, StreamName=self._streams.probe)
        except UNAVAILABLE as error:
            if amazon.code_of(error) != ABSENT:
                await amazon.close(client)
                if amazon.is_refusal(error):
                    raise amazon.refusal("kinesis", error) from None
                raise BusUnavailableError(f"Kinesis cannot be reached now: {amazon.reason_of(error)}") from None
        except BaseException:  # we are closed meanwhile
            await amazon.close(client)
            raise
        return client
