"""The bus object: sends and subscriptions of one process."""

from __future__ import annotations

import re
from collections.abc import Sequence

from goconductor.buses.shared import amazon
from goconductor.buses.shared.amazon import UNAVAILABLE, Client, ServiceLink
from goconductor.buses.shared.amazon_credentials import Boto3Session
from goconductor.buses.shared.frame import BusFrame, Reading, begun_within
from goconductor.buses.sqs import wire
from goconductor.buses.sqs.sending import Sender
from goconductor.buses.sqs.taking import SqsSubscription
from goconductor.buses.sqs.topology import ABSENT, ANSWER_SECONDS, Topology
from goconductor.errors import BusUnavailableError, ConfigurationError
from goconductor.ports.bus import Headers, Message

_Opened = tuple[ServiceLink, Sender]

HEADERS = Headers(wire.HEADERS_BYTES_MAX, wire.headers_bytes)


class SqsBus(BusFrame[_Opened, SqsSubscription]):
    """A bus on Amazon SQS; the package's docstring describes how it works, ``docs/buses/sqs.md`` what it needs.

    Args:
        url: ``sqs://region``, ``sqs://`` for the region that boto3 finds, or an endpoint as ``https://host:port``.
        region: the region; without it, the URL's.
        endpoint_url: the endpoint; without it, the region's own.
        profile: a profile of the shared configuration, for credentials and region.
        role_arn: a role that is assumed by the credentials found.
        session: a ``boto3.Session``, whose credentials, profile and region are used; boto3 refreshes the credentials itself.
        prefix: prefix of the names of queues.
        fifo: whether to use FIFO queues, which keep the messages of one key in order.
        payload_bytes_max: greatest size of a payload, in bytes; larger ones are refused.
        open_timeout_seconds: time limit of ``open`` and ``subscribe``.
        connect_timeout_seconds: time limit of each connection.
        send_timeout_seconds: time limit of ``send``, also while SQS is away.
        wait_seconds: seconds that a poll waits for messages, 1 to 20; a stop may wait as long.
        visibility_seconds: seconds that the messages of a dead process wait; those in hand are renewed.
        retention_seconds: seconds after which a message that nobody takes is dropped, 60 to 1,209,600; set when a queue is
            created.
        deliveries_max: deliveries after which a message goes to the dead-letter queue, 1 to 1,000; None for never.
        groups_cache_seconds: seconds for which senders use the groups that they know; a new group waits as long.
        short_lived_prefixes: prefixes of topics that belong to one process.
        short_lived_retention_seconds: seconds without its process after which a queue of those is deleted.

    Raises:
        ConfigurationError: the URL, the session or the prefix cannot be used, or a number makes no sense.
    """

    def __init__(
        self,
        url: str,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        profile: str | None = None,
        role_arn: str | None = None,
        session: Boto3Session | None = None,
        prefix: str = "goconductor",
        fifo: bool = False,
        payload_bytes_max: int = 128 * 1024,
        open_timeout_seconds: float = 30.0,
        connect_timeout_seconds: float = 5.0,
        send_timeout_seconds: float = 15.0,
        wait_seconds: int = 5,
        visibility_seconds: int = 30,
        retention_seconds: int = 7 * 86_400,
        deliveries_max: int | None = 1_000,
        groups_cache_seconds: float = 5.0,
        short_lived_prefixes: Sequence[str] = ("goconductor.replies.",),
        short_lived_retention_seconds: float = 3_600.0,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", prefix):
            raise ConfigurationError(f"{prefix!r} cannot be the bus's prefix; use up to 32 letters, digits, '_' and '-'")
        times = (open_timeout_seconds, connect_timeout_seconds, send_timeout_seconds, short_lived_retention_seconds)
        if min(times) <= 0 or groups_cache_seconds < 0:
            raise ConfigurationError("the bus's times must be greater than 0")
        if not 0 < payload_bytes_max <= wire.PAYLOAD_BYTES_MAX:
            raise ConfigurationError(f"payload_bytes_max must be from 1 to {wire.PAYLOAD_BYTES_MAX} with SQS")
        for name, value, least, most in (
            ("wait_seconds", wait_seconds, 1, 20),
            ("visibility_seconds", visibility_seconds, 3, 43_200),
            ("retention_seconds", retention_seconds, 60, 1_209_600),
            ("deliveries_max", 1 if deliveries_max is None else deliveries_max, 1, 1_000),
        ):
            if not (least <= value <= most and value == int(value)):
                raise ConfigurationError(f"{name} must be a whole number from {least} to {most} with SQS")
        super().__init__(payload_bytes_max=payload_bytes_max, headers=HEADERS)
        self._address = amazon.parse_url(
            "sqs", url, region=region, endpoint_url=endpoint_url, profile=profile, role_arn=role_arn, session=session
        )
        self._topology = Topology(
            prefix=prefix,
            fifo=fifo,
            visibility_seconds=int(visibility_seconds),
            retention_seconds=int(retention_seconds),
            deliveries_max=deliveries_max,
            groups_cache_seconds=groups_cache_seconds,
            short_lived_prefixes=tuple(short_lived_prefixes),
            short_lived_retention_seconds=short_lived_retention_seconds,
        )
        self._open_timeout_seconds = open_timeout_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._send_timeout_seconds = send_timeout_seconds
        self._wait_seconds = int(wait_seconds)
        self._visibility_seconds = int(visibility_seconds)

    async def _open(self) -> _Opened:
        link = ServiceLink("SQS", connect=self._connect)
        await link.open(self._open_timeout_seconds)
        return link, Sender(link, self._topology, send_timeout_seconds=self._send_timeout_seconds)

    async def _close(self, opened: _Opened) -> None:
        link, sender = opened
        await sender.close()
        await link.close()

    async def _send(self, opened: _Opened, messages: Sequence[Message]) -> tuple[Message, str] | None:
        too_large = await opened[1].send(messages)
        return (too_large[0], "it is larger than its queue takes; raise MaximumMessageSize there") if too_large else None

    async def _take(self, opened: _Opened, reading: Reading) -> SqsSubscription:
        subscription = SqsSubscription(
            opened[0],
            self._topology,
            reading,
            wait_seconds=self._wait_seconds,
            visibility_seconds=self._visibility_seconds,
        )
        await begun_within(self._open_timeout_seconds, subscription.start(), unavailable=UNAVAILABLE, reason_of=amazon.reason_of)
        return subscription

    async def _connect(self) -> Client:
        client = await amazon.connect("sqs", self._address, connect_timeout_seconds=self._connect_timeout_seconds)
        try:
            await amazon.call(client, "get_queue_url", ANSWER_SECONDS, QueueName=self._topology.probe)
        except UNAVAILABLE as error:
            if amazon.code_of(error) not in ABSENT:
                await amazon.close(client)
                if amazon.is_refusal(error):
                    raise amazon.refusal("sqs", error) from None
                raise BusUnavailableError(f"SQS cannot be reached now: {amazon.reason_of(error)}") from None
        except BaseException:  # we are closed meanwhile
            await amazon.close(client)
            raise
        self._topology.forget_all()
        return client
