"""The settings of librdkafka: what we need, what users may add, and what they may not touch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from confluent_kafka import KafkaException

from goconductor.errors import ConfigurationError
from goconductor.redaction import logger_of

GroupProtocol = Literal["classic", "consumer"]

_SERVERS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")
_PROPERTY = re.compile(r'"([a-z0-9._]+)"')

OVERHEAD_BYTES = 64 * 1024
"""Bytes for key, headers and framing, beside the payload."""

RESERVED = {
    "acks": "it is always 'all'",
    "request.required.acks": "it is always 'all'",
    "enable.idempotence": "it is always on",
    "enable.gapless.guarantee": "it would end the producer for good at the first lost message",
    "transactional.id": "transactions are not used",
    "enable.auto.commit": "offsets are committed by what was acknowledged",
    "enable.auto.offset.store": "offsets are stored by what was acknowledged",
    "enable.partition.eof": "an end of a partition is no message",
    "auto.offset.reset": "a new group begins with the earliest message",
    "allow.auto.create.topics": "topics are made by the options partitions, replication and topic_settings",
    "partition.assignment.strategy": "rebalancing is cooperative",
    "bootstrap.servers": "use bus.url",
    "metadata.broker.list": "use bus.url",
    "group.id": "it is group_prefix and the participant's name",
    "group.instance.id": "each subscription is a member of its own",
    "group.protocol": "use the option group_protocol",
    "session.timeout.ms": "use the option session_timeout_seconds",
    "heartbeat.interval.ms": "use the option session_timeout_seconds, of which it is a part",
    "message.timeout.ms": "use the option send_timeout_seconds",
    "delivery.timeout.ms": "use the option send_timeout_seconds",
    "message.max.bytes": "use the option payload_bytes_max",
    "statistics.interval.ms": "use the option statistics_interval_seconds",
    **dict.fromkeys(("error_cb", "stats_cb", "throttle_cb", "on_delivery", "on_commit", "logger"), "the bus has its own"),
}


@dataclass(frozen=True)
class Configuration:
    """The settings of all clients.

    Args:
        servers: the bootstrap list.
        payload_bytes_max: greatest size of a payload, in bytes.
        send_timeout_seconds: seconds after which a message that was not accepted has failed.
        session_timeout_seconds: seconds that a consumer may be silent before its partitions go to another one.
        statistics_interval_seconds: seconds between two reports of librdkafka's statistics; 0 is never.
        extra: further settings of librdkafka, applied last.
    """

    servers: str
    payload_bytes_max: int
    send_timeout_seconds: float
    session_timeout_seconds: float
    statistics_interval_seconds: float
    extra: Mapping[str, Any]

    def client(self) -> dict[str, Any]:
        """Return the settings of every client. It reconnects quickly after a broker was away."""
        return {
            "bootstrap.servers": self.servers,
            "client.id": "goconductor",
            "allow.auto.create.topics": False,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "retry.backoff.ms": 50,
            "retry.backoff.max.ms": 1000,
            "socket.connection.setup.timeout.ms": 5000,
            "socket.nagle.disable": True,
            "socket.keepalive.enable": True,
            "topic.metadata.refresh.interval.ms": 10_000,
            "log.connection.close": False,
            "log_level": 2,  # what it logs below that, it also reports to us: see complaints
            "logger": logger_of("goconductor.buses.kafka.librdkafka"),
            **self.extra,
        }

    def producer(self, linger_ms: float = 0.0) -> dict[str, Any]:
        """Return a producer's settings: idempotent, with all acknowledgements.

        Args:
            linger_ms: how long it waits for more to send, in milliseconds.
        """
        return {
            "linger.ms": linger_ms,
            "topic.metadata.propagation.max.ms": 2000,  # then a topic is gone, and is made again
            **self.client(),
            "acks": "all",
            "enable.idempotence": True,
            "message.timeout.ms": int(self.send_timeout_seconds * 1000),
            "message.max.bytes": self.message_bytes_max,
            "statistics.interval.ms": int(self.statistics_interval_seconds * 1000),
        }

    def consumer(self, group: str, protocol: GroupProtocol) -> dict[str, Any]:
        """Return the settings of the consumer: long polls that are answered at the first byte; offsets as we store them."""
        session_ms = int(self.session_timeout_seconds * 1000)
        classic = {
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": max(session_ms // 6, 1),
        }
        return {
            "fetch.min.bytes": 1,
            "fetch.wait.max.ms": 100,
            "fetch.queue.backoff.ms": 50,
            "fetch.error.backoff.ms": 100,
            "fetch.message.max.bytes": max(1 << 20, self.message_bytes_max),
            "queued.min.messages": 1000,
            "queued.max.messages.kbytes": 16 * 1024,
            "auto.commit.interval.ms": 500,
            **self.client(),
            "group.id": group,
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": True,  # of what was stored
            "enable.auto.offset.store": False,
            "statistics.interval.ms": int(self.statistics_interval_seconds * 1000),
            **(classic if protocol == "classic" else {}),
        }

    @property
    def message_bytes_max(self) -> int:
        return self.payload_bytes_max + OVERHEAD_BYTES


def servers(url: str) -> str:
    """Return the bootstrap list of a url, ``kafka://host:port,host:port``, or of such a list without the scheme.

    Raises:
        ConfigurationError: it is not valid; the error does not show it, since it may hold a password.
    """
    listed = url.removeprefix("kafka://").rstrip("/").split(",")
    if not all(_SERVERS.fullmatch(each.strip()) for each in listed):
        raise ConfigurationError(
            "bus.url should look like kafka://host:port,host:port; user and password go to bus.options.librdkafka, as "
            "sasl.username and sasl.password"
        )
    return ",".join(each.strip() for each in listed)


def allowed(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Check the users' own settings of librdkafka, and return them.

    Raises:
        ConfigurationError: one of them would break a promise of the bus, or is no plain value.
    """
    for name, value in extra.items():
        if (remedy := RESERVED.get(name)) is not None:
            raise ConfigurationError(f"bus.options.librdkafka may not set {name!r}: {remedy}")
        if not isinstance(value, str | int | float) and not callable(value):
            raise ConfigurationError(f"bus.options.librdkafka: {name!r} should be a text, a number, true or false")
    return dict(extra)


def refused(error: KafkaException) -> ConfigurationError:
    """Return the error for a client that could not be made. It names only the property: librdkafka may quote a value."""
    text = error.args[0].str() if error.args else ""
    found = _PROPERTY.findall(text)
    about = f"the setting {found[-1]!r}" if found else "the settings"
    return ConfigurationError(f"librdkafka does not take {about}; correct it in bus.options.librdkafka")
