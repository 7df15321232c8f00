"""Streams and consumers: their names, and how they are made. The package's docstring draws the picture."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable

from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NoStreamResponseError, NotFoundError

from goconductor.aio.recent import Recent
from goconductor.buses.shared import bounds
from goconductor.errors import ConfigurationError

NAME_LENGTH_MAX = 255
"""Greatest length of a stream's or consumer's name, in characters."""
NAME_IN_USE = 10058
"""The server's code for a stream that is there with other settings."""
LOOK_AGAIN_SECONDS = 3_600.0
"""Greatest number of seconds between two looks whether a topic has a consumer."""
ANSWER_SECONDS = 5.0
"""Seconds that the server has to answer."""


class Topology:
    """The names of one bus in one account, and how they are created.

    Args:
        prefix: prefix of streams and subjects.
        replicas: copies of each message.
        retention_seconds: seconds after which consumers that nobody reads, and messages that nobody takes, are dropped.
        short_lived_prefixes: prefixes of topics that belong to one process.
        short_lived_retention_seconds: the same seconds for the consumers of those.
        visibility_seconds: seconds after which a message in hand comes again.
        duplicate_window_seconds: seconds for which the stream remembers the ids of messages.
    """

    def __init__(
        self,
        *,
        prefix: str,
        replicas: int,
        retention_seconds: float,
        short_lived_prefixes: tuple[str, ...],
        short_lived_retention_seconds: float,
        visibility_seconds: float,
        duplicate_window_seconds: float,
    ) -> None:
        self.stream = prefix
        self._marks = f"{prefix}-groups"
        self._replicas = replicas
        self._retention_seconds = retention_seconds
        self._short_lived_prefixes = short_lived_prefixes
        self._short_lived_retention_seconds = short_lived_retention_seconds
        self._visibility_seconds = visibility_seconds
        self._duplicate_window_seconds = duplicate_window_seconds
        self._looked_at: Recent[str, float] = Recent(count_max=bounds.TOPICS_KNOWN_MAX)

    def subject(self, topic: str) -> str:
        """Return the subject of a topic's messages."""
        return f"{self.stream}.topic.{_token(topic)}"

    def consumer(self, topic: str, group: str) -> str:
        """Return the name of the consumer of one group of one topic."""
        return _shortened(f"{_token(topic)}~{_token(group)}")

    async def make_streams(self, client: Client) -> None:
        """Create the streams that all topics share. A stream that exists is used as it is.

        The marks show which topics have a consumer. The deletion of a stream has deleted its consumers too, so the marks that are
        older than its absence go before it is created again. A group that comes meanwhile marks its topic under a later number.

        Raises:
            ConfigurationError: the server does not let us, or cannot hold so many replicas.
        """
        last_mark = await self._last_mark(client)
        if last_mark and not await self._is_there(client, self.stream):
            await client.jetstream(timeout=ANSWER_SECONDS).purge_stream(self._marks, seq=last_mark + 1)
        await self._make_stream(
            client,
            StreamConfig(
                name=self.stream,
                subjects=[f"{self.stream}.topic.*"],
                retention=RetentionPolicy.INTEREST,
                storage=StorageType.FILE,
                num_replicas=self._replicas,
                max_age=self._retention_seconds,
                duplicate_window=min(self._duplicate_window_seconds, self._retention_seconds),
            ),
        )
        await self._make_stream(
            client,
            StreamConfig(
                name=self._marks,
                subjects=[f"{self._marks}.*"],
                retention=RetentionPolicy.LIMITS,
                storage=StorageType.FILE,
                num_replicas=self._replicas,
                max_age=self._retention_seconds,
                max_msgs_per_subject=1,
            ),
        )

    async def make_group(self, client: Client, topic: str, group: str) -> str:
        """Create the consumer of one group of one topic; return its name. Streams that were deleted are created again."""
        try:
            return await self._make_group(client, topic, group)
        except (NotFoundError, NoStreamResponseError):
            await self.make_streams(client)
        return await self._make_group(client, topic, group)

    async def keep_for_first_group(self, client: Client, topics: Iterable[str]) -> None:
        """Make sure that what is sent to these topics has a consumer."""
        now = time.monotonic()
        for topic in topics:
            if now < (self._looked_at.use(topic) or 0.0):
                continue
            if not await self._is_marked(client, topic):
                await self._make_consumer(client, topic, _waiting(topic))
                if await self._is_marked(client, topic):  # a group came meanwhile, and its consumer was first
                    await self._remove_waiting(client, topic)
            self._looked_at.put(topic, now + min(LOOK_AGAIN_SECONDS, self._retention_seconds / 4))

    def forget(self) -> None:
        """Forget what was created: the server may be another one now."""
        self._looked_at = Recent(count_max=bounds.TOPICS_KNOWN_MAX)

    async def _make_group(self, client: Client, topic: str, group: str) -> str:
        name = self.consumer(topic, group)
        await self._make_consumer(client, topic, name)
        await client.jetstream(timeout=ANSWER_SECONDS).publish(self._mark(topic), group.encode())
        await self._remove_waiting(client, topic)
        return name

    async def _make_stream(self, client: Client, config: StreamConfig) -> None:
        assert config.name is not None  # noqa: S101  (for the type checker)
        if await self._is_there(client, config.name):
            return
        try:
            await client.jetstream(timeout=ANSWER_SECONDS).add_stream(config)
        except BadRequestError as error:
            if error.err_code != NAME_IN_USE:
                raise ConfigurationError(f"NATS cannot hold the stream {config.name}: {error.description}") from None

    async def _is_there(self, client: Client, stream: str) -> bool:
        try:
            await client.jetstream(timeout=ANSWER_SECONDS).stream_info(stream)
        except NotFoundError:
            return False
        return True

    async def _last_mark(self, client: Client) -> int:
        """Return the number of the mark that was set last; 0 if there is none."""
        try:
            return (await client.jetstream(timeout=ANSWER_SECONDS).stream_info(self._marks)).state.last_seq
        except NotFoundError:
            return 0

    async def _make_consumer(self, client: Client, topic: str, name: str) -> None:
        short = topic.startswith(self._short_lived_prefixes)
        await client.jetstream(timeout=ANSWER_SECONDS).add_consumer(
            self.stream,
            ConsumerConfig(
                durable_name=name,
                filter_subject=self.subject(topic),
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=self._visibility_seconds,
                max_deliver=-1,
                max_ack_pending=-1,
                inactive_threshold=self._short_lived_retention_seconds if short else self._retention_seconds,
            ),
        )

    async def _remove_waiting(self, client: Client, topic: str) -> None:
        try:
            await client.jetstream(timeout=ANSWER_SECONDS).delete_consumer(self.stream, _waiting(topic))
        except NotFoundError:
            return

    async def _is_marked(self, client: Client, topic: str) -> bool:
        try:
            await client.jetstream(timeout=ANSWER_SECONDS).get_last_msg(self._marks, self._mark(topic))
        except NotFoundError:
            return False
        return True

    def _mark(self, topic: str) -> str:
        return f"{self._marks}.{_token(topic)}"


def pull_request(count: int, *, expires_seconds: float, heartbeat_seconds: float) -> bytes:
    """Return the request for ``count`` messages."""
    nanoseconds = 1_000_000_000
    return json.dumps(
        {"batch": count, "expires": int(expires_seconds * nanoseconds), "idle_heartbeat": int(heartbeat_seconds * nanoseconds)}
    ).encode()


def _token(name: str) -> str:
    return name.replace(".", "=")


def _waiting(topic: str) -> str:
    return _shortened(f"{_token(topic)}~")


def _shortened(name: str) -> str:
    if len(name) <= NAME_LENGTH_MAX:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    return f"{name[: NAME_LENGTH_MAX - len(digest) - 1]}~{digest}"
