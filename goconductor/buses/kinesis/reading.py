"""Reads one shard from its checkpoint on, as fast as there is room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from goconductor.buses.kinesis.position import Position
from goconductor.buses.kinesis.streams import ABSENT
from goconductor.buses.shared.amazon import BUSY, UNAVAILABLE, Client, ServiceLink, backoff_seconds, call, code_of, reason_of
from goconductor.buses.shared.condition import Condition
from goconductor.redaction import logger_of

logger = logger_of(__name__)

ANSWER_SECONDS = 15.0
"""Seconds that a call of Kinesis may take."""
FRESH_SECONDS = 60.0
"""Seconds before its subscription from which a topic of one process is read."""
FIRST_LIMIT = 10
"""Records of the first read, as their size is not known yet."""
READ_BYTES = 512 * 1024
"""Bytes of a read, estimated by the size of the last records: a slow receiver's process must not fill with records.

With four reads a second it is the most that a shard delivers."""
HELD_UP_MAX = 20_000
"""Acknowledged records behind one that is not, beyond which the shard is read no further."""


class ShardReader:
    """Reads one shard until it ends or is released.

    Args:
        link: the client.
        position: how far it was read.
        changed: notified when there may be room, or the position has changed.
        has_room: answers whether more records are wanted.
        on_record: called with the sequence number and the data of each record.
        on_absent: called when there is no such stream any more, or not yet.
        limit: records of one read, or fewer where that would be more than ``READ_BYTES``.
        poll_seconds: seconds between two reads; a shard allows five reads a second by all its readers.
        is_fresh: whether to begin with new records if there is no checkpoint.
    """

    def __init__(
        self,
        link: ServiceLink,
        position: Position,
        changed: Condition,
        *,
        has_room: Callable[[], bool],
        on_record: Callable[[Position, str, bytes], None],
        on_absent: Callable[[], None],
        limit: int,
        poll_seconds: float,
        is_fresh: bool,
    ) -> None:
        self._link = link
        self._position = position
        self._changed = changed
        self._has_room = has_room
        self._on_record = on_record
        self._on_absent = on_absent
        self._limit = limit
        self._next_limit = min(limit, FIRST_LIMIT)
        self._poll_seconds = poll_seconds
        self._from = time.time() - FRESH_SECONDS if is_fresh else None
        self._iterator: str | None = None

    async def run(self) -> None:
        """Read until the shard ends, or the position is closed."""
        position, tries = self._position, 0
        while not position.closed and not position.ended:
            await self._changed.wait_for(lambda: position.closed or (self._has_room() and position.held_up < HELD_UP_MAX))
            client = await self._link.get()
            try:
                await self._read(client)
                tries = 0
                await asyncio.sleep(self._poll_seconds)
            except UNAVAILABLE as error:
                await self._failed(client, error)
                await asyncio.sleep(backoff_seconds(tries))
                tries += 1
            except Exception:
                logger.exception("reading shard %s failed and is tried again", position.shard)
                self._iterator = None
                await asyncio.sleep(backoff_seconds(tries))
                tries += 1

    async def _read(self, client: Client) -> None:
        position = self._position
        if self._iterator is None:
            self._iterator = await self._begin(client)
        answer = await call(client, "get_records", ANSWER_SECONDS, ShardIterator=self._iterator, Limit=self._next_limit)
        if position.closed:
            return
        if records := answer["Records"]:
            bytes_each = sum(len(each["Data"]) for each in records) // len(records)
            self._next_limit = max(min(self._limit, READ_BYTES // (bytes_each + 1)), 1)
        for each in records:
            self._on_record(position, each["SequenceNumber"], each["Data"])
        self._iterator = answer.get("NextShardIterator")
        if self._iterator is None:
            position.ended = position.dirty = True
        self._changed.notify_all()

    async def _begin(self, client: Client) -> str:
        position = self._position
        arguments: dict[str, Any] = {"StreamName": position.scope.stream, "ShardId": position.shard}
        if position.read_to is not None:
            after = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": position.read_to}
            try:
                answer = await call(client, "get_shard_iterator", ANSWER_SECONDS, **arguments, **after)
                return str(answer["ShardIterator"])
            except UNAVAILABLE as error:
                if code_of(error) not in {"InvalidArgumentException", ABSENT}:
                    raise
        start: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if self._from is not None:
            start = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._from}
        answer = await call(client, "get_shard_iterator", ANSWER_SECONDS, **arguments, **start)
        if position.read_to is not None:
            logger.warning("%s is not the stream that it was: shard %s is read anew", position.scope.stream, position.shard)
            position.read_to = None
        return str(answer["ShardIterator"])

    async def _failed(self, client: Client, error: Exception) -> None:
        code = code_of(error)
        if code not in BUSY:  # an iterator lives for five minutes, and outlives throttling
            self._iterator = None
        if code == "ExpiredIteratorException":
            return
        logger.info("shard %s of %s is read again later: %s", self._position.shard, self._position.scope.stream, reason_of(error))
        if code == ABSENT:
            self._on_absent()
        self._link.failed(client, error)
