"""Exchanges and queues: their names, and how they are declared. The package's docstring draws the picture."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from aio_pika.abc import AbstractConnection
from aiormq.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed

from goconductor.redaction import logger_of

logger = logger_of(__name__)

NAME_LENGTH_MAX = 255
"""Greatest length of a queue's name, in bytes."""
DELAY_SECONDS_MAX = 86_400.0
"""Greatest number of seconds that a message waits in a queue of delays. Then it waits again."""
DELAY_QUEUE_EXPIRES_SECONDS = 86_400.0
"""Seconds without use after which a queue of delays goes."""
DELAY_QUEUE_DECLARE_SECONDS = 3_600.0
"""Seconds after which a delay's queue is declared again: it expires when it was neither read nor declared, messages or not."""


class Topology:
    """The names of one bus on one virtual host, and their declaration, which may be repeated.

    Args:
        prefix: what all names begin with; permissions are granted by it.
        retention_seconds: seconds after which queues that nobody reads, and messages that nobody takes, are dropped.
        short_lived_prefixes: prefixes of topics that belong to one process.
        short_lived_retention_seconds: the same seconds for the queues of those.
        deliveries_max: deliveries by the broker after which a message is a dead letter.
        replicas: members of each quorum queue; None leaves it to the broker.
    """

    def __init__(
        self,
        *,
        prefix: str,
        retention_seconds: float,
        short_lived_prefixes: tuple[str, ...],
        short_lived_retention_seconds: float,
        deliveries_max: int,
        replicas: int | None,
    ) -> None:
        self.exchange = prefix
        self._waiting_exchange = f"{prefix}.waiting"
        self._back_exchange = f"{prefix}.back"
        self._dead_exchange = f"{prefix}.dead"
        self._prefix = prefix
        self._retention_seconds = retention_seconds
        self._short_lived_prefixes = short_lived_prefixes
        self._short_lived_retention_seconds = short_lived_retention_seconds
        self._deliveries_max = deliveries_max
        self._quorum: dict[str, Any] = {"x-queue-type": "quorum"}
        if replicas is not None:
            self._quorum["x-quorum-initial-group-size"] = replicas
        self._delays_declared: dict[str, float] = {}

    def group_queue(self, topic: str, group: str) -> str:
        """Return the name of the queue of one group of one topic."""
        return self._queue_name(f":{topic}:{group}")

    def waiting_queue(self, topic: str) -> str:
        """Return the name of the queue where messages wait for a first group."""
        return self._queue_name(f".waiting:{topic}")

    async def declare_exchanges(self, connection: AbstractConnection) -> None:
        """Declare the exchanges that all topics share."""
        async with connection.channel() as channel:
            for name in (self._waiting_exchange, self._back_exchange):
                await channel.declare_exchange(name, "direct", durable=True)
            await channel.declare_exchange(self._dead_exchange, "fanout", durable=True)
            await channel.declare_exchange(
                self.exchange, "direct", durable=True, arguments={"alternate-exchange": self._waiting_exchange}
            )
        arguments = self._quorum | {"x-message-ttl": _milliseconds(self._retention_seconds)}
        await self._declare(connection, self._dead_exchange, arguments, [(self._dead_exchange, "")])

    async def declare_group(self, connection: AbstractConnection, topic: str, group: str) -> str:
        """Declare the queue of one group of one topic; return its name."""
        name = self.group_queue(topic, group)
        arguments = self._lives_as_long_as(topic) | {
            "x-delivery-limit": self._deliveries_max,
            "x-dead-letter-exchange": self._dead_exchange,
        }
        await self._declare(connection, name, arguments, [(self.exchange, topic), (self._back_exchange, name)])
        return name

    async def declare_waiting(self, connection: AbstractConnection, topic: str) -> None:
        """Declare the queue where messages wait for the first group of a topic."""
        arguments = self._lives_as_long_as(topic) | {"x-dead-letter-exchange": self.exchange}
        await self._declare(connection, self.waiting_queue(topic), arguments, [(self._waiting_exchange, topic)])

    async def declare_delay(self, connection: AbstractConnection, delay_seconds: float, *, anew: bool = False) -> str:
        """Declare the exchange that holds messages back for a delay, or a little longer; return its name.

        Args:
            connection: the connection to use.
            delay_seconds: the least delay.
            anew: whether to declare it although it was declared lately.
        """
        milliseconds = _rounded_up(delay_seconds)
        name = f"{self._prefix}.delay.{milliseconds}"
        if (
            anew
            or time.monotonic() - self._delays_declared.get(name, -DELAY_QUEUE_DECLARE_SECONDS) >= DELAY_QUEUE_DECLARE_SECONDS
        ):
            async with connection.channel() as channel:
                await channel.declare_exchange(name, "fanout", durable=True)
            arguments = self._quorum | {
                "x-message-ttl": milliseconds,
                "x-expires": milliseconds + _milliseconds(DELAY_QUEUE_EXPIRES_SECONDS),
                "x-dead-letter-exchange": self._back_exchange,
            }
            await self._declare(connection, name, arguments, [(name, "")])
            self._delays_declared[name] = time.monotonic()
        return name

    async def has_waiting(self, connection: AbstractConnection, topic: str) -> bool:
        """Return whether messages may wait for a first group of this topic."""
        try:
            async with connection.channel() as channel:
                await channel.declare_queue(self.waiting_queue(topic), passive=True)
        except ChannelNotFoundEntity:
            return False
        return True

    async def _declare(
        self, connection: AbstractConnection, name: str, arguments: dict[str, Any], bindings: list[tuple[str, str]]
    ) -> None:
        try:
            async with connection.channel() as channel:
                await channel.declare_queue(name, durable=True, arguments=arguments)
        except ChannelPreconditionFailed as error:  # of an older version, or other settings: it serves all the same
            logger.warning("queue %s is used as it is; delete it to have it made with these settings: %s", name, error)
        async with connection.channel() as channel:
            underlay = await channel.get_underlay_channel()
            for exchange, key in bindings:
                await underlay.queue_bind(name, exchange, routing_key=key)

    def _lives_as_long_as(self, topic: str) -> dict[str, Any]:
        short = topic.startswith(self._short_lived_prefixes)
        life = _milliseconds(self._short_lived_retention_seconds if short else self._retention_seconds)
        return self._quorum | {"x-expires": life, "x-message-ttl": life}

    def _queue_name(self, rest: str) -> str:
        name = f"{self._prefix}{rest}"
        if len(name) <= NAME_LENGTH_MAX:
            return name
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        return f"{name[: NAME_LENGTH_MAX - len(digest) - 1]}:{digest}"


def _rounded_up(seconds: float) -> int:
    """Return the next of 10, 20, 50, 100 … milliseconds, so that there are few of these queues."""
    milliseconds = min(seconds, DELAY_SECONDS_MAX) * 1000
    step = 10
    while True:
        for factor in (1, 2, 5):
            if step * factor >= milliseconds:
                return step * factor
        step *= 10


def _milliseconds(seconds: float) -> int:
    return max(int(seconds * 1000), 1)
