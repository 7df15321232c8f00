"""Logs librdkafka's errors at growing intervals, as they repeat while a broker is away."""

from __future__ import annotations

from types import TracebackType

from confluent_kafka import KafkaError, KafkaException

from goconductor.aio.reminders import Reminder
from goconductor.redaction import logger_of

FIRST_SECONDS = 5.0
"""Seconds between the first two log lines about one kind of error."""
LAST_SECONDS = 300.0
"""Greatest number of seconds between two of them."""

REMEDIES = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "allow Read, Write and Describe on the topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "allow Read on the group",
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "another program is in this group: give ours another group_prefix",
    KafkaError._AUTHENTICATION: "correct sasl.username and sasl.password",  # noqa: SLF001  (so its constants are called)
}

logger = logger_of("goconductor.buses.kafka")


class Complaints:
    """One client's. The same complaint comes after twice the time, until it has not come for long.

    Args:
        about: what the client is for.
    """

    def __init__(self, about: str) -> None:
        self._about = about
        self._reminders: dict[int, Reminder] = {}

    def log(self, error: KafkaError) -> None:
        """Log it, unless that was done a short while ago."""
        if not self._reminders.setdefault(error.code(), Reminder(FIRST_SECONDS, LAST_SECONDS)).is_due():
            return
        remedy = REMEDIES.get(error.code())
        logger.warning("Kafka, %s: %s%s", self._about, error.str(), f"; {remedy}" if remedy else "")


def is_fatal(error: KafkaError) -> bool:
    """Return whether the client can never go on. An error that comes as an event has this code, and no other mark."""
    return error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001  (so its constants are called)


class KafkaErrorsAsExceptions:
    """Around calls of the client: makes a KafkaException of each bare KafkaError.

    confluent-kafka 2.16.1 may raise one from within a call, and on Python 3.11 its class derives from ``object`` alone. So
    neither ``except Exception`` nor ``except BaseException`` catches it, and it would end a thread.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: TracebackType | None) -> None:
        if isinstance(error, KafkaError):
            raise KafkaException(error) from None
