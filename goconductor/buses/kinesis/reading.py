"""Reading one shard, from its checkpoint on, as fast as there is room."""

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
FRESH_SECONDS = 60.0
"""Topics of one process are read from so long before their subscription on."""
FIRST_LIMIT = 10
READ_BYTES = 512 * 1024
"""About so much is asked for at once, by the size of what came last: a slow receiver's process must not fill with records.

With four reads a second it is what a shard gives out at most."""
HELD_UP_MAX = 20_000
"""When so many are done with beyond one that is not, the shard is read no further."""


class ShardReader:
    """Reads one shard until it ends or is given away.

    Args:
        link: the client.
        position: where it is.
        changed: notified when there may be room, or the position has changed.
        has_room: whether more is wanted.
        took: given the sequence number and the data of each record.
        is_absent: called when there is no such stream any more, or not yet.
        limit: so many records are asked for at once, or fewer where that would be more than ``READ_BYTES``.
        poll_seconds: between two reads; a shard allows five a second, for all who read it.
        is_fresh: begin with new records if there is no checkpoint.
    """

    def __init__(
        self,
        link: ServiceLink,
        position: Position,
        changed: Condition,
        *,
        has_room: Callable[[], bool],
        took: Callable[[Position, str, bytes], None],
        is_absent: Callable[[], None],
        limit: int,
        poll_seconds: float,
        is_fresh: bool,
    ) -> None:
        self._link = link
        self._position = position
        self._changed = changed
        self._has_room = has_room
        self._took = took
        self._is_absent = is_absent
        self._limit = limit
        self._next_limit = min(limit, FIRST_LIMIT)
        self._poll_seconds = poll_seconds
        self._from = time.time() - FRESH_SECONDS if is_fresh else None
        self._iterator: str | None = None

    async def run(self) -> None:
        """Until the shard ends, or the position is closed."""
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
            self._took(position, each["SequenceNumber"], each["Data"])
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
            self._is_absent()
        self._link.failed(client, error)
