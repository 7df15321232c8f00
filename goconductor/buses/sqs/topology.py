"""Queues: their names, and how they are made. The package's docstring draws the picture."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import re
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from goconductor.aio.recent import Recent
from goconductor.buses.shared import bounds
from goconductor.buses.shared.amazon import UNAVAILABLE, Client, call, code_of
from goconductor.redaction import logger_of

logger = logger_of(__name__)

NAME_LENGTH_MAX = 80
"""Greatest length of a queue's name, in characters."""
FIFO_SUFFIX = ".fifo"
HASH_LENGTH = 12
"""Number of characters of the hash in a name."""
GROUP_LENGTH = 12
"""Number of characters of the group in a name that would be too long."""
GROUP_TAG = "goconductor:group:"
ALIVE_TAG = "goconductor:alive"
SHORT_LIVED = "short"
"""Part of the names of queues that belong to one process."""
ANSWER_SECONDS = 10.0
"""Seconds that the service has to answer."""
DELAY_SECONDS_MAX = 900
"""Greatest number of seconds that the service delays a message."""
LOOK_AT_MAX = 20
"""Number of queues that one round looks at, to find those that nobody uses."""
ABSENT = {"QueueDoesNotExist", "NonExistentQueue", "QueueDeletedRecently"}

_GROUP_ID = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")


@dataclass(slots=True)
class _Known:
    queues: list[str]
    until: float


class Topology:
    """The queues of one bus in one account and region.

    Args:
        prefix: what all names begin with; permissions are granted by it.
        fifo: whether queues keep the order of each key.
        visibility_seconds: seconds after which a message in hand comes again unless it is renewed.
        retention_seconds: seconds after which a message that nobody takes is dropped.
        deliveries_max: deliveries after which a message becomes a dead letter; None for never.
        groups_cache_seconds: seconds for which senders use the groups that they know.
        short_lived_prefixes: prefixes of topics that belong to one process.
        short_lived_retention_seconds: seconds without its process after which a queue of those is deleted.
    """

    def __init__(
        self,
        *,
        prefix: str,
        fifo: bool,
        visibility_seconds: int,
        retention_seconds: int,
        deliveries_max: int | None,
        groups_cache_seconds: float,
        short_lived_prefixes: tuple[str, ...],
        short_lived_retention_seconds: float,
    ) -> None:
        self.fifo = fifo
        self._prefix = prefix
        self._deliveries_max = deliveries_max
        self._groups_cache_seconds = groups_cache_seconds
        self._short_lived_prefixes = short_lived_prefixes
        self._short_lived_retention_seconds = short_lived_retention_seconds
        self._attributes = {
            "VisibilityTimeout": str(visibility_seconds),
            "MessageRetentionPeriod": str(retention_seconds),
            **({"FifoQueue": "true"} if fifo else {}),
        }
        self._dead_arn: str | None = None
        self._known: Recent[str, _Known] = Recent(count_max=bounds.TOPICS_KNOWN_MAX)
        self._looks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def probe(self) -> str:
        """The name of a queue that is only asked for."""
        return f"{self._prefix}-probe"

    def name(self, topic: str, group: str = "", group_hash: str = "") -> str:
        """Return the name of a topic's queue, or of a further group's; readable, and distinguished by a hash."""
        digest = _hash(f"{topic}\n{group_hash or _hash(group)}" if group else topic)
        short = topic.removeprefix(f"{self._prefix}.")
        marked = f"{SHORT_LIVED}-{short}" if self.is_short_lived(topic) else short
        suffix = FIFO_SUFFIX if self.fifo else ""
        room = NAME_LENGTH_MAX - len(self._prefix) - HASH_LENGTH - 2 - len(suffix)
        if group:
            marked = f"{marked[: room - GROUP_LENGTH - 1]}-{group[:GROUP_LENGTH]}"
        return f"{self._prefix}-{re.sub('[^A-Za-z0-9_-]', '-', marked)[:room]}-{digest}{suffix}"

    @property
    def receives_max(self) -> int:
        """Return after how many receives a message that is only given back is written anew, before it is a dead letter."""
        return -(-self._deliveries_max // 2) if self._deliveries_max is not None else sys.maxsize

    def place_of(self, key: str, *, message_id: str = "", delay_seconds: int = 0) -> dict[str, Any]:
        """Return what a message needs beside its body: in a FIFO queue its place, which no delay can change, else its delay."""
        if not self.fifo:
            return {"DelaySeconds": min(delay_seconds, DELAY_SECONDS_MAX)} if delay_seconds else {}
        group = key if _GROUP_ID.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()
        return {"MessageGroupId": group, "MessageDeduplicationId": message_id or uuid.uuid4().hex}

    def is_short_lived(self, topic: str) -> bool:
        """Return whether a topic belongs to one process."""
        return topic.startswith(self._short_lived_prefixes)

    async def queues(self, client: Client, topic: str) -> list[str]:
        """Return the queues of a message of this topic; none if its process is gone.

        A caller during another one's look waits for that look: otherwise a thousand sends at once would ask SQS a thousand times.
        """
        async with self._looks.setdefault(topic, asyncio.Lock()):
            known = self._known.use(topic)
            if known is None or time.monotonic() >= known.until:
                known = await self._find(client, topic)
            return known.queues

    async def _find(self, client: Client, topic: str) -> _Known:
        try:
            queues = await self._look(client, topic)
        except UNAVAILABLE as error:
            if code_of(error) not in ABSENT:
                raise
            queues = []
            if not self.is_short_lived(topic):
                queues = [await self._make(client, self.name(topic))]
        known = _Known(queues, time.monotonic() + self._groups_cache_seconds)
        self._known.put(topic, known)
        return known

    def forget(self, topic: str) -> None:
        """Forget a topic's queues, as one of them was not there."""
        self._known.pop(topic)

    def forget_all(self) -> None:
        """Forget all queues: the service may be another one."""
        self._known = Recent(count_max=bounds.TOPICS_KNOWN_MAX)
        self._dead_arn = None

    async def join(self, client: Client, topic: str, group: str) -> str:
        """Return the queue that a group reads. When this returns, messages sent to the topic reach it."""
        main = await self._make(client, self.name(topic))
        tags = await self._tags(client, main)
        mine = f"{GROUP_TAG}{_hash(group)}"
        is_new = mine not in tags
        if is_new:
            value = f"{int(time.time() * 1000):013d} {group[:200]}"
            await call(client, "tag_queue", ANSWER_SECONDS, QueueUrl=main, Tags={mine: value})
            tags = {**await self._tags(client, main), mine: value}
        self.forget(topic)
        if _in_order(tags)[0][0] == mine:
            return main
        own = await self._make(client, self.name(topic, group))
        if is_new:
            await asyncio.sleep(self._groups_cache_seconds)
        return own

    async def mark(self, client: Client, topic: str) -> None:
        """Mark that the process of a short-lived topic is there."""
        queue = await self._url(client, self.name(topic))
        await call(client, "tag_queue", ANSWER_SECONDS, QueueUrl=queue, Tags={ALIVE_TAG: str(int(time.time()))})

    async def drop(self, client: Client, topic: str, group: str) -> None:
        """Delete the queues of a short-lived topic."""
        for name in (self.name(topic), self.name(topic, group)):
            with contextlib.suppress(*UNAVAILABLE):
                await call(client, "delete_queue", ANSWER_SECONDS, QueueUrl=await self._url(client, name))

    async def drop_forgotten(self, client: Client) -> None:
        """Delete some queues whose process died."""
        answer = await call(
            client, "list_queues", ANSWER_SECONDS, QueueNamePrefix=f"{self._prefix}-{SHORT_LIVED}-", MaxResults=1000
        )
        queues: list[str] = answer.get("QueueUrls", [])
        for queue in random.sample(queues, min(len(queues), LOOK_AT_MAX)):
            alive = (await self._tags(client, queue)).get(ALIVE_TAG, "")
            if alive.isdigit() and time.time() - int(alive) > self._short_lived_retention_seconds:
                await call(client, "delete_queue", ANSWER_SECONDS, QueueUrl=queue)

    async def _look(self, client: Client, topic: str) -> list[str]:
        main = await self._url(client, self.name(topic))
        others = _in_order(await self._tags(client, main))[1:]
        names = [self.name(topic, group, tag.removeprefix(GROUP_TAG)) for tag, group in others]
        return [main, *[await self._url(client, name) for name in names]]

    async def _url(self, client: Client, name: str) -> str:
        return str((await call(client, "get_queue_url", ANSWER_SECONDS, QueueName=name))["QueueUrl"])

    async def _tags(self, client: Client, queue: str) -> dict[str, str]:
        answer = await call(client, "list_queue_tags", ANSWER_SECONDS, QueueUrl=queue)
        tags: dict[str, str] = answer.get("Tags", {})
        return tags

    async def _make(self, client: Client, name: str) -> str:
        if self._deliveries_max is not None and self._dead_arn is None:
            dead = await self._create(client, f"{self._prefix}-dead{FIFO_SUFFIX if self.fifo else ''}", self._attributes)
            answer = await call(client, "get_queue_attributes", ANSWER_SECONDS, QueueUrl=dead, AttributeNames=["QueueArn"])
            self._dead_arn = str(answer["Attributes"]["QueueArn"])
        attributes = dict(self._attributes)
        if self._dead_arn is not None:
            policy = {"deadLetterTargetArn": self._dead_arn, "maxReceiveCount": str(self._deliveries_max)}
            attributes["RedrivePolicy"] = json.dumps(policy)
        return await self._create(client, name, attributes)

    async def _create(self, client: Client, name: str, attributes: dict[str, str]) -> str:
        try:
            answer: dict[str, Any] = await call(client, "create_queue", ANSWER_SECONDS, QueueName=name, Attributes=attributes)
            return str(answer["QueueUrl"])
        except UNAVAILABLE as error:
            if code_of(error) not in {"QueueNameExists", "QueueAlreadyExists"}:
                raise
        logger.warning("queue %s is used as it is; its settings are not those of the bus", name)
        return await self._url(client, name)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def _in_order(tags: dict[str, str]) -> list[tuple[str, str]]:
    """Tags and names of the groups, the first that came first; the values begin with the time."""
    groups = sorted((value, name) for name, value in tags.items() if name.startswith(GROUP_TAG))
    return [(name, value[14:]) for value, name in groups]
