"""Streams: their names, how they are made, and which shards they have."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from goconductor.buses.shared.amazon import BUSY, UNAVAILABLE, Client, backoff_seconds, call, code_of, reason_of
from goconductor.redaction import logger_of

logger = logger_of(__name__)

NAME_LENGTH_MAX = 128
"""Greatest length of a stream's name, in characters."""
ANSWER_SECONDS = 10.0
"""Seconds that the service has to answer."""
LOOK_SECONDS = 0.5
"""Seconds between two looks at a stream that is not active yet."""
HOURS_MIN = 24
"""Hours for which a new stream keeps its records."""
ABSENT = "ResourceNotFoundException"
IN_USE = "ResourceInUseException"
"""Error code: the stream exists already, or is just being made or changed."""
READY = {"ACTIVE", "UPDATING"}
LOGGED_AFTER = 5
"""Failed tries after which the log gets the reason."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard, and those that it came from."""

    id: str
    parents: frozenset[str]


class Streams:
    """The streams of one bus in one account and region.

    Args:
        prefix: what all names begin with; permissions are granted by it.
        shards: of a new stream; None for on-demand.
        retention_hours: of a new stream.
        shared: topics that begin with the key are in the stream of the value; the longest key counts.
    """

    def __init__(self, *, prefix: str, shards: int | None, retention_hours: int, shared: Mapping[str, str]) -> None:
        self._prefix = prefix
        self._shards = shards
        self._retention_hours = retention_hours
        self._shared = sorted(shared.items(), key=lambda each: len(each[0]), reverse=True)
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def probe(self) -> str:
        """The name of a stream that is only asked for."""
        return f"{self._prefix}.probe"

    def name(self, topic: str) -> str:
        """Return the stream of a topic."""
        for prefix, stream in self._shared:
            if topic.startswith(prefix):
                return stream
        name = f"{self._prefix}.{topic.removeprefix(f'{self._prefix}.')}"
        if len(name) <= NAME_LENGTH_MAX:
            return name
        digest = hashlib.sha256(topic.encode()).hexdigest()[:16]
        return f"{name[: NAME_LENGTH_MAX - len(digest) - 1]}-{digest}"

    async def make(self, client: Client, stream: str) -> None:
        """Create a stream; return when it is there and can be written and read.

        Raises:
            BotoCoreError: the service cannot be reached.
            ClientError: it refuses; where it only asks for patience it is asked again.
        """
        async with self._making.setdefault(stream, asyncio.Lock()):
            made = False
            while (status := await self._status(client, stream)) not in READY:
                if status is None:
                    made = await self._create(client, stream) or made
                await asyncio.sleep(LOOK_SECONDS / 5 if made else LOOK_SECONDS)
            if made and self._retention_hours > HOURS_MIN:
                hours = self._retention_hours
                await _ask(client, "increase_stream_retention_period", StreamName=stream, RetentionPeriodHours=hours)

    async def shards(self, client: Client, stream: str) -> list[Shard]:
        """Return all shards whose records are still kept, of a stream that is created if it is not there.

        Raises:
            BotoCoreError: the service cannot be reached.
            ClientError: it refuses; where it only asks for patience it is asked again.
        """
        try:
            return await _shards(client, stream)
        except UNAVAILABLE as error:
            if code_of(error) not in {ABSENT, IN_USE}:
                raise
        await self.make(client, stream)
        return await _shards(client, stream)

    async def _status(self, client: Client, stream: str) -> str | None:
        try:
            answer = await _ask(client, "describe_stream_summary", StreamName=stream)
        except UNAVAILABLE as error:
            if code_of(error) != ABSENT:
                raise
            return None
        return str(answer["StreamDescriptionSummary"]["StreamStatus"])

    async def _create(self, client: Client, stream: str) -> bool:
        mode = {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}} if self._shards is None else {"ShardCount": self._shards}
        try:
            await _ask(client, "create_stream", StreamName=stream, **mode)
        except UNAVAILABLE as error:
            if code_of(error) != IN_USE:
                raise
            return False
        return True


async def _shards(client: Client, stream: str) -> list[Shard]:
    arguments: dict[str, Any] = {"StreamName": stream}
    shards: list[Shard] = []
    while True:
        answer = await _ask(client, "list_shards", **arguments)
        for each in answer["Shards"]:
            parents = {each.get("ParentShardId"), each.get("AdjacentParentShardId")} - {None}
            shards.append(Shard(each["ShardId"], frozenset(parents)))
        if not answer.get("NextToken"):
            return shards
        arguments = {"NextToken": answer["NextToken"]}


async def _ask(client: Client, operation: str, **arguments: Any) -> dict[str, Any]:
    """Make one request about a stream; these are rationed for the whole account, so throttling is nothing unusual."""
    tries = 0
    while True:
        try:
            return await call(client, operation, ANSWER_SECONDS, **arguments)
        except UNAVAILABLE as error:
            if code_of(error) not in BUSY:
                raise
            if tries == LOGGED_AFTER:
                logger.warning("%s waits for %s: %s", operation, arguments.get("StreamName", "a stream"), reason_of(error))
        await asyncio.sleep(backoff_seconds(tries))
        tries += 1
