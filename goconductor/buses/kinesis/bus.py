"""The bus object: sends and subscriptions of one process."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from goconductor.buses.kinesis import leases, wire
from goconductor.buses.kinesis.leases import Connection, Leases
from goconductor.buses.kinesis.sending import Sender
from goconductor.buses.kinesis.streams import ABSENT, ANSWER_SECONDS, Streams
from goconductor.buses.kinesis.taking import KinesisSubscription
from goconductor.buses.shared import amazon
from goconductor.buses.shared.amazon import UNAVAILABLE, Client, ServiceLink
from goconductor.buses.shared.amazon_credentials import Boto3Session
from goconductor.buses.shared.frame import BusFrame, Reading, begun_within
from goconductor.buses.shared.link import Link
from goconductor.errors import BusUnavailableError, ConfigurationError
from goconductor.ports.bus import Headers, Message
from goconductor.ports.health import BusHealth
from goconductor.postgres.rights import examine_tables
from goconductor.postgres.setup import end

HEADERS = Headers(wire.HEADERS_BYTES_MAX, wire.headers_bytes)


@dataclass(frozen=True, slots=True)
class _Opened:
    """The service, the database of the leases, and the parts that use them."""

    link: ServiceLink
    database: Link[Connection]
    sender: Sender
    leases: Leases


class KinesisBus(BusFrame[_Opened, KinesisSubscription]):
    """A bus on Amazon Kinesis; the package's docstring describes how it works, ``docs/buses/kinesis.md`` what it needs.

    Args:
        url: ``kinesis://region``, ``kinesis://`` for the region that boto3 finds, or an endpoint as ``https://host:port``.
        database_url: the PostgreSQL that keeps leases and checkpoints; the saga log's will do.
        schema: the schema of the tables there.
        region: the region; without it, the URL's.
        endpoint_url: the endpoint; without it, the region's own.
        profile: a profile of the shared configuration, for credentials and region.
        role_arn: a role that is assumed by the credentials found.
        session: a ``boto3.Session``, whose credentials, profile and region are used; boto3 refreshes the credentials itself.
        prefix: prefix of the names of streams.
        shards: number for a stream that is created; None for on-demand.
        retention_hours: retention of a stream that is created, 24 to 8,760.
        shared_streams: topics that begin with the key are in the stream of the value.
        payload_bytes_max: greatest size of a payload, in bytes; larger ones are refused.
        open_timeout_seconds: time limit of ``open`` and ``subscribe``; the creation of a stream takes half a minute.
        connect_timeout_seconds: time limit of each connection.
        send_timeout_seconds: time limit of ``send``, also while Kinesis is away.
        poll_seconds: seconds between two reads of a shard; it allows five a second, for all groups together.
        lease_seconds: seconds that the shards of a dead process wait.
        tick_seconds: seconds between two renewals of leases and writes of checkpoints.
        drain_seconds: seconds that deliveries may take to finish when their shard goes to another instance.
        short_lived_prefixes: prefixes of topics that belong to one process.

    Raises:
        ConfigurationError: the URL, the session or the prefix cannot be used, or a number makes no sense.
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
        session: Boto3Session | None = None,
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
        super().__init__(payload_bytes_max=payload_bytes_max, headers=HEADERS)
        self._address = amazon.parse_url(
            "kinesis", url, region=region, endpoint_url=endpoint_url, profile=profile, role_arn=role_arn, session=session
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

    async def _open(self) -> _Opened:
        database: Link[Connection] = Link("PostgreSQL (leases)", connect=self._database.dial, disconnect=end)
        link = ServiceLink("Kinesis", connect=self._connect)
        await link.open(self._open_timeout_seconds)
        try:
            await database.open(self._open_timeout_seconds)
        except BaseException:
            await link.close()
            raise
        sender = Sender(link, self._streams, send_timeout_seconds=self._send_timeout_seconds)
        return _Opened(link, database, sender, Leases(database, lease_seconds=self._lease_seconds))

    async def examine(self) -> BusHealth:
        """Examine the leases' tables, as :class:`goconductor.ports.health.ExaminableBus` defines it.

        Raises:
            ConfigurationError: the leases' database refuses us.
            BusUnavailableError: it cannot be reached.
        """
        return await examine_tables(self._database.address, self._schema, leases.NEEDS)

    async def _close(self, opened: _Opened) -> None:
        await opened.sender.close()
        await opened.link.close()
        await opened.database.close()

    async def _send(self, opened: _Opened, messages: Sequence[Message]) -> None:
        await opened.sender.send(messages)

    async def _take(self, opened: _Opened, reading: Reading) -> KinesisSubscription:
        subscription = KinesisSubscription(
            opened.link,
            self._streams,
            opened.leases,
            opened.sender,
            reading,
            short_lived_prefixes=self._short_lived_prefixes,
            lease_seconds=self._lease_seconds,
            tick_seconds=self._tick_seconds,
            poll_seconds=self._poll_seconds,
            drain_seconds=self._drain_seconds,
        )
        try:
            await begun_within(
                self._open_timeout_seconds,
                subscription.start(),
                unavailable=UNAVAILABLE,
                reason_of=lambda error: subscription.trouble if type(error) is TimeoutError else amazon.reason_of(error),
            )
        except BaseException:
            await subscription.stop()
            raise
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
