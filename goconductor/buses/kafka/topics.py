"""Topics, made when they are absent; how many partitions they have; and how groups may be held on this cluster."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from goconductor.aio.recent import Recent
from goconductor.aio.tasks import Tasks
from goconductor.buses.kafka.configuration import Configuration, GroupProtocol, refused
from goconductor.buses.kafka.records import ANY_PARTITION, Record
from goconductor.buses.shared import bounds
from goconductor.errors import BusUnavailableError, ConfigurationError, GoConductorError
from goconductor.redaction import logger_of

REQUEST_SECONDS = 10.0
"""Seconds that an administrative request may take."""
COUNT_AGAIN_SECONDS = 300.0
"""Seconds after which the partitions of a topic in use are counted again, as somebody may have added some."""

FORBIDDEN = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}
GROUP_REFUSED = {
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.INVALID_CONFIG,
    KafkaError.INVALID_REQUEST,
    KafkaError.POLICY_VIOLATION,
    KafkaError.UNSUPPORTED_VERSION,
}
IMPOSSIBLE = {
    KafkaError.INVALID_REPLICATION_FACTOR,
    KafkaError.INVALID_PARTITIONS,
    KafkaError.INVALID_CONFIG,
    KafkaError.POLICY_VIOLATION,
    KafkaError.TOPIC_EXCEPTION,
}

logger = logger_of(__name__)


@dataclass(slots=True)
class _Known:
    """What is known of a topic: how many partitions it has, when they were counted, and which one the next messages go to."""

    count: int
    counted_at: float
    turn: int


class Topics:
    """The cluster's topics and groups, as far as a bus object cares.

    Args:
        configuration: of the clients.
        partitions: of a topic that is made.
        partitions_by_prefix: of a topic that is made, and whose name begins so.
        replication: copies of a topic that is made; None leaves it to the brokers.
        together: so many messages of one call share a partition at most; 1 leaves the partition to the key.
        settings: further settings of a topic that is made.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        partitions: int,
        partitions_by_prefix: Mapping[str, int],
        replication: int | None,
        together: int,
        settings: Mapping[str, str],
    ) -> None:
        try:
            self._admin = AdminClient(configuration.client())
        except KafkaException as error:
            raise refused(error) from None
        self._session_timeout_seconds = configuration.session_timeout_seconds
        self._partitions = partitions
        self._partitions_by_prefix = partitions_by_prefix
        self._replication = -1 if replication is None else replication
        self._settings = {"max.message.bytes": str(configuration.message_bytes_max), **settings}
        self._together = together
        self._counting = Tasks()
        self._known: Recent[str, _Known] = Recent(count_max=bounds.TOPICS_KNOWN_MAX)
        self._protocol: GroupProtocol | None = None

    async def ensure(self, topics: Iterable[str]) -> None:
        """Make those that are absent.

        Raises:
            BusUnavailableError: the brokers do not answer.
            ConfigurationError: one is absent and cannot be made.
        """
        wanted = sorted({topic for topic in topics if self._known.use(topic) is None})
        if not wanted:
            return
        if absent := await self._look(wanted):
            await self._make(absent)

    def forget(self, topics: Iterable[str]) -> None:
        """Forget topics that are gone, or that have other partitions than known."""
        for topic in topics:
            self._known.pop(topic)

    def placed(self, records: Sequence[Record]) -> Sequence[Record]:
        """Place records of a topic that are written together in one partition, in turn.

        They are one request then, and come back together. Of many the next one gets a share, since readers share partitions.
        """
        if self._together == 1:
            return records
        left: dict[str, int] = {}
        placed: list[Record] = []
        for record in records:
            known = self._known.use(record.topic) if record.partition == ANY_PARTITION else None
            if known is None:
                placed.append(record)
                continue
            if not left.get(record.topic):
                left[record.topic] = self._together
                known.turn = (known.turn + 1) % known.count
                self._count_again(record.topic, known)
            left[record.topic] -= 1
            placed.append(record._replace(partition=known.turn))
        return placed

    async def close(self) -> None:
        """Count no more."""
        await self._counting.close()

    def another_partition(self, topic: str, partition: int) -> int:
        """Return any partition but this one, if there are others."""
        known = self._known.use(topic)
        count = known.count if known is not None else self._count(topic)
        return (partition + random.randrange(1, count)) % count if count > 1 else 0  # noqa: S311

    async def group_protocol(self, wanted: Literal["auto", "classic", "consumer"]) -> GroupProtocol:
        """Return the group protocol, with the choice of this cluster for ``auto``."""
        if wanted != "auto":
            return wanted
        if self._protocol is None:
            self._protocol = await self._best_protocol()
        return self._protocol

    async def set_session_timeout(self, group: str) -> None:
        """Set the group's timeout at the brokers: with the newer protocol they have the timeouts, not the members.

        Raises:
            BusUnavailableError: the brokers went away; with their own timeout the group would wait far too long for its dead.
        """
        session_ms = int(self._session_timeout_seconds * 1000)
        wanted = {"consumer.session.timeout.ms": session_ms, "consumer.heartbeat.interval.ms": max(session_ms // 6, 1)}
        entries = [ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET) for name, value in wanted.items()]
        resource = ConfigResource(ResourceType.GROUP, group, incremental_configs=entries)
        try:
            await asyncio.wrap_future(self._admin.incremental_alter_configs([resource])[resource])
        except KafkaException as error:
            if (problem := error.args[0]).code() not in GROUP_REFUSED:
                raise BusUnavailableError(f"Kafka did not take the session timeout of group {group}: {problem.str()}") from None
            logger.warning(
                "group %s keeps the brokers' session timeout, for which the partitions of a dead process wait (%s); "
                "allow AlterConfigs on it and a lower group.consumer.min.session.timeout.ms, or use group_protocol: classic",
                group,
                problem.str(),
            )

    async def _look(self, topics: list[str]) -> list[str]:
        absent = []
        for topic, asked in self._admin.describe_topics(TopicCollection(topics), request_timeout=REQUEST_SECONDS).items():
            try:
                self._learn(topic, len((await asyncio.wrap_future(asked)).partitions))
            except KafkaException as error:
                problem = error.args[0]
                if problem.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    absent.append(topic)
                elif problem.code() in FORBIDDEN:
                    raise _forbidden(topic) from None
                else:
                    raise BusUnavailableError(f"topic {topic} cannot be looked up: {problem.str()}") from None
        return absent

    async def _make(self, topics: list[str]) -> None:
        wanted = [NewTopic(topic, self._count(topic), self._replication, config=dict(self._settings)) for topic in topics]
        for topic, made in self._admin.create_topics(wanted, request_timeout=REQUEST_SECONDS).items():
            try:
                await asyncio.wrap_future(made)
            except KafkaException as error:
                problem = error.args[0]
                if problem.code() in FORBIDDEN:
                    raise _forbidden(topic) from None
                if problem.code() in IMPOSSIBLE:
                    raise ConfigurationError(
                        f"topic {topic} cannot be made ({problem.str()}); correct bus.options partitions, replication or "
                        "topic_settings, or make the topic yourself"
                    ) from None
                if problem.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise BusUnavailableError(f"topic {topic} cannot be made now: {problem.str()}") from None
                await self._look([topic])
            else:
                self._learn(topic, self._count(topic))
                logger.info("made topic %s with %d partitions", topic, self._count(topic))

    def _learn(self, topic: str, count: int) -> None:
        if count == 0:
            raise BusUnavailableError(f"topic {topic} has no partitions yet")
        self._known.put(topic, _Known(count, time.monotonic(), random.randrange(count)))  # noqa: S311  (no secret)

    def _count_again(self, topic: str, known: _Known) -> None:
        """Count a topic's partitions in the background, if that was long ago."""
        if time.monotonic() - known.counted_at >= COUNT_AGAIN_SECONDS:
            known.counted_at = time.monotonic()
            self._counting.start(self._counted(topic), name=f"partitions of {topic}")

    async def _counted(self, topic: str) -> None:
        with contextlib.suppress(GoConductorError):
            await self._look([topic])

    def _count(self, topic: str) -> int:
        prefix = max((each for each in self._partitions_by_prefix if topic.startswith(each)), key=len, default=None)
        return self._partitions if prefix is None else self._partitions_by_prefix[prefix]

    async def _best_protocol(self) -> GroupProtocol:
        try:
            cluster = await asyncio.wrap_future(self._admin.describe_cluster(request_timeout=REQUEST_SECONDS))
            resource = ConfigResource(ResourceType.BROKER, str(cluster.nodes[0].id))
            asked = self._admin.describe_configs([resource], request_timeout=REQUEST_SECONDS)[resource]
            settings = {name: entry.value or "" for name, entry in (await asyncio.wrap_future(asked)).items()}
        except KafkaException as error:
            if error.args[0].code() not in FORBIDDEN:
                raise BusUnavailableError(f"the brokers' settings cannot be read now: {error.args[0].str()}") from None
            logger.info("the classic group protocol is used: DescribeConfigs on the cluster is not allowed to us")
            return "classic"
        if "consumer" not in settings.get("group.coordinator.rebalance.protocols", ""):
            return "classic"
        least_ms = int(settings.get("group.consumer.min.session.timeout.ms") or 45_000)
        if least_ms > self._session_timeout_seconds * 1000:
            logger.info(
                "the classic group protocol is used: with the newer one the brokers want session timeouts of %d ms at least, "
                "see group.consumer.min.session.timeout.ms",
                least_ms,
            )
            return "classic"
        return "consumer"


def _forbidden(topic: str) -> ConfigurationError:
    return ConfigurationError(
        f"the brokers do not let us describe or create topic {topic}; create it and allow Describe on it, or allow Create"
    )
