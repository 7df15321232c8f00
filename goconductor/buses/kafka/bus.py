"""The bus object: the producer, the topics and the subscriptions of one process."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException

from goconductor.aio.waiting import wait_at_most
from goconductor.buses.kafka import configuration
from goconductor.buses.kafka import reading as reading_thread
from goconductor.buses.kafka.complaints import Complaints
from goconductor.buses.kafka.configuration import Configuration
from goconductor.buses.kafka.consuming import LEAVING_SECONDS, KafkaSubscription
from goconductor.buses.kafka.producing import PRODUCER, PRODUCER_OF_MANY, Producers, Producing
from goconductor.buses.kafka.reading import GONE, Reader
from goconductor.buses.kafka.records import ANY_PARTITION, Record, to_record
from goconductor.buses.kafka.statistics import reduced
from goconductor.buses.kafka.topics import Topics
from goconductor.buses.shared.frame import BusFrame, Reading
from goconductor.errors import BusUnavailableError, ConfigurationError
from goconductor.ports.bus import Message
from goconductor.ports.bus_metrics import Statistic
from goconductor.redaction import logger_of

ASK_SECONDS = 1.0
"""Seconds of one question to the brokers."""
JOIN_SECONDS = 5.0
"""Seconds that ``subscribe`` waits for partitions. Where none are left it gets none, and that is no fault."""
CLOSE_SECONDS = 5.0
"""Seconds that producers have to send what they hold at a close."""

REFUSALS = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}  # noqa: SLF001  (so its constants are called)

logger = logger_of(__name__)


@dataclass(frozen=True, slots=True)
class _Opened:
    """What is known of the cluster's topics, and the producers."""

    topics: Topics
    producers: Producers


class KafkaBus(BusFrame[_Opened, KafkaSubscription]):
    """A bus on Kafka; the package's docstring describes how it works and what it does not promise.

    It has one or two producers, and a consumer for each subscription, each with a thread.

    Args:
        url: ``kafka://host:port,host:port``; some of the brokers.
        partitions: number for a topic that the bus creates; as many instances of a participant can share its steps.
        partitions_by_prefix: another number for topics whose name has this prefix; None is 1 for those of replies.
        messages_together: so many messages of one :meth:`send` share a partition at most, as one request; others go to the next.
            With 1 the key chooses the partition, so that the messages of one saga stay in order.
        replication: copies of a topic that the bus creates; None takes the brokers' default.
        topic_settings: further settings of a topic that the bus creates, such as ``min.insync.replicas`` or ``retention.ms``.
        group_prefix: prefix of the groups' names, so that they are no other program's.
        group_protocol: ``consumer`` is KIP-848's; ``auto`` takes it where the brokers have it and allow our session timeout.
        session_timeout_seconds: seconds of silence after which a process's partitions go to another one.
        drain_seconds: seconds that deliveries in hand may take when their partition goes.
        open_timeout_seconds: time limit of ``open``.
        send_timeout_seconds: time limit of ``send``.
        statistics_interval_seconds: seconds between two updates of :meth:`statistics`; 0 is never.
        payload_bytes_max: greatest size of a payload, in bytes; larger ones are refused.
        librdkafka: every other setting of the client, by its name there, such as TLS and SASL.

    Raises:
        ConfigurationError: the url is not valid, a number makes no sense, or a setting would break what the bus promises.
    """

    def __init__(
        self,
        url: str,
        *,
        partitions: int = 6,
        partitions_by_prefix: Mapping[str, int] | None = None,
        messages_together: int = 16,
        replication: int | None = None,
        topic_settings: Mapping[str, str] | None = None,
        group_prefix: str = "goconductor.",
        group_protocol: Literal["auto", "classic", "consumer"] = "auto",
        session_timeout_seconds: float = 6.0,
        drain_seconds: float = 2.0,
        open_timeout_seconds: float = 30.0,
        send_timeout_seconds: float = 15.0,
        statistics_interval_seconds: float = 10.0,
        payload_bytes_max: int = 1 << 20,
        librdkafka: Mapping[str, Any] | None = None,
    ) -> None:
        timeouts = session_timeout_seconds, open_timeout_seconds, send_timeout_seconds
        by_prefix = {"goconductor.replies.": 1} if partitions_by_prefix is None else dict(partitions_by_prefix)
        if min(partitions, *by_prefix.values(), messages_together, payload_bytes_max) < 1 or min(timeouts) <= 0:
            raise ConfigurationError("the bus's partitions, limits and timeouts must be greater than 0")
        if min(drain_seconds, statistics_interval_seconds) < 0 or (replication is not None and replication < 1):
            raise ConfigurationError(
                "the bus's drain_seconds and statistics_interval_seconds must not be negative, nor replication 0"
            )
        if group_protocol not in {"auto", "classic", "consumer"}:
            raise ConfigurationError(f"group_protocol should be auto, classic or consumer, not {group_protocol!r}")
        super().__init__(payload_bytes_max=payload_bytes_max)
        self._configuration = Configuration(
            servers=configuration.servers(url),
            payload_bytes_max=payload_bytes_max,
            send_timeout_seconds=send_timeout_seconds,
            session_timeout_seconds=session_timeout_seconds,
            statistics_interval_seconds=statistics_interval_seconds,
            extra=configuration.allowed(librdkafka or {}),
        )
        self._partitions = partitions
        self._partitions_by_prefix = by_prefix
        self._messages_together = messages_together
        self._replication = replication
        self._topic_settings = {name: str(value) for name, value in (topic_settings or {}).items()}
        self._group_prefix = group_prefix
        self._group_protocol = group_protocol
        self._drain_seconds = drain_seconds
        self._open_timeout_seconds = open_timeout_seconds
        self._numbers = itertools.count(1)
        self._problem: KafkaError | None = None
        self._complaints = Complaints("sending")
        self._statistics: dict[str, list[Statistic]] = {}

    async def _open(self) -> _Opened:
        self._problem = None
        topics = Topics(
            self._configuration,
            partitions=self._partitions,
            partitions_by_prefix=self._partitions_by_prefix,
            replication=self._replication,
            together=self._messages_together,
            settings=self._topic_settings,
        )
        producers = Producers(self._configuration, on_error=self._on_error, on_statistics=self._report)
        try:
            await self._answered(producers.alone)
        except BaseException:
            await producers.close(0.0)
            raise
        return _Opened(topics, producers)

    async def _close(self, opened: _Opened) -> None:
        await opened.topics.close()
        await opened.producers.close(CLOSE_SECONDS)

    async def _send(self, opened: _Opened, messages: Sequence[Message]) -> tuple[Message, str] | None:
        records = [to_record(message) for message in messages]
        reports = await _write(opened, records)
        too_large = [index for index, error in enumerate(reports) if _is_too_large(error)]
        for index in too_large:  # the brokers refused the batch that it was in: each for itself, then
            (reports[index],) = await _write(opened, [records[index]])
        for message, error in zip(messages, reports, strict=True):
            if error is not None and not _is_too_large(error):
                raise BusUnavailableError(f"Kafka did not take a message for {message.topic}: {error.str()}")
        for index in too_large:
            if reports[index] is not None:
                topic = messages[index].topic
                return messages[index], f"topic {topic} takes less; raise its max.message.bytes, or lower payload_bytes_max"
        return None

    async def _take(self, opened: _Opened, reading: Reading) -> KafkaSubscription:
        """Start to read. Returns when it has its partitions, or there are none for it.

        Raises:
            BusUnavailableError: the brokers are away.
            ConfigurationError: a topic cannot be made.
        """
        topics = opened.topics
        name = f"{self._group_prefix}{reading.group}"
        protocol = await topics.group_protocol(self._group_protocol)

        async def prepare() -> None:
            topics.forget(reading.topics)
            await topics.ensure(reading.topics)
            if protocol == "consumer":
                await topics.set_session_timeout(name)

        await prepare()
        client = f"consumer {next(self._numbers)}"
        subscription = KafkaSubscription(
            client=client,
            group=name,
            reading=reading,
            drain_seconds=self._drain_seconds,
            send=partial(_send_copies, opened),
            another_partition=topics.another_partition,
            on_lost=topics.forget,
            prepare=prepare,
        )
        seconds = self._drain_seconds + LEAVING_SECONDS + 1.0
        settings = {
            "max.poll.interval.ms": int(
                1000 * (seconds + reading_thread.STUCK_SECONDS)
            ),  # then a stuck consumer loses its partitions
            **self._configuration.consumer(name, protocol),
            "stats_cb": partial(self._report, client),
        }
        reader = subscription.begin(lambda: Reader(settings, reading.topics, subscription, hand_over_seconds=seconds))
        living = {PRODUCER, PRODUCER_OF_MANY, client, *(each.client for each in self._subscriptions if not each.stopped)}
        self._statistics = {each: values for each, values in self._statistics.items() if each in living}
        await wait_at_most(JOIN_SECONDS, reader.joined)
        return subscription

    def statistics(self) -> list[Statistic]:
        """Return the last statistics of librdkafka's clients, for metrics."""
        clients = [PRODUCER, PRODUCER_OF_MANY, *(each.client for each in self._subscriptions if not each.stopped)]
        return [value for client in clients for value in self._statistics.get(client, ())]

    async def _answered(self, producing: Producing) -> None:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._open_timeout_seconds
        while True:
            try:
                left = max(min(ASK_SECONDS, give_up - loop.time()), 0.01)
                if await asyncio.to_thread(producing.cluster_id, left):
                    return
            except KafkaException as error:
                self._problem = self._problem or error.args[0]
            if self._problem is not None and self._problem.code() in REFUSALS:
                raise ConfigurationError(
                    f"Kafka refuses these credentials ({self._problem.str()}); correct sasl.username, sasl.password and "
                    "sasl.mechanism in bus.options.librdkafka"
                )
            if loop.time() >= give_up:
                problem = self._problem.str() if self._problem else "no broker answers"
                raise BusUnavailableError(f"the bus did not open within {self._open_timeout_seconds:g} s: {problem}")

    def _on_error(self, error: KafkaError) -> None:
        if self._problem is None or error.code() in REFUSALS:
            self._problem = error
        if self._opened is not None:
            self._complaints.log(error)

    def _report(self, client: str, text: str) -> None:
        self._statistics[client] = reduced(text)


def _is_too_large(error: KafkaError | None) -> bool:
    return error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE


async def _write(opened: _Opened, records: Sequence[Record]) -> list[KafkaError | None]:
    """Write records, with one more try for those whose topic had gone, or a partition of it was not known to the client yet."""
    topics = opened.topics
    await _for_now(topics.ensure(record.topic for record in records))
    reports = await opened.producers.send(topics.placed(records))
    gone = [index for index, error in enumerate(reports) if error is not None and error.code() in GONE]
    if gone:
        again = [records[index]._replace(partition=ANY_PARTITION) for index in gone]  # the client's choice
        topics.forget(record.topic for record in again)
        await _for_now(topics.ensure(record.topic for record in again))
        for index, error in zip(gone, await opened.producers.send(again), strict=True):
            reports[index] = error
    topics.forget(record.topic for record, error in zip(records, reports, strict=True) if error is not None)
    return reports


async def _send_copies(opened: _Opened, records: Sequence[Record]) -> list[bool]:
    try:
        return [error is None for error in await _write(opened, records)]
    except BusUnavailableError as error:
        logger.warning("what was given back cannot be written now and is kept: %s", error)
        return [False] * len(records)


async def _for_now(making: Coroutine[Any, Any, None]) -> None:
    """Turn any failure into one that the sender can only retry later."""
    try:
        await making
    except ConfigurationError as error:
        raise BusUnavailableError(str(error)) from None
