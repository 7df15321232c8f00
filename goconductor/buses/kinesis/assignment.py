"""Assigns shards to a reader: lists the shards of its topics, holds their leases, and divides them among the readers.

There are two tasks. One *looks* which shards each stream has. It asks Kinesis, which may be slow, throttled or away. The other
*ticks*: it renews leases, writes checkpoints, claims shards and releases them. It asks PostgreSQL alone, for all topics
together, so no lease expires because Kinesis is slow or the topics are many. The first look ends before the first claim.

Every reader computes the same from the same table. A topic's shards are divided by its readers. A remainder goes, one shard
each, to the readers that have most already, so that nothing moves without need.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from goconductor.aio.tasks import Tasks
from goconductor.buses.kinesis.leases import Checkpoint, Leases, Scope, ShardState
from goconductor.buses.kinesis.position import Position
from goconductor.buses.kinesis.streams import Shard, Streams
from goconductor.buses.shared.amazon import UNAVAILABLE, ServiceLink, backoff_seconds, is_refusal, reason_of
from goconductor.buses.shared.condition import Condition
from goconductor.errors import BusUnavailableError
from goconductor.redaction import logger_of

logger = logger_of(__name__)

RESTING_SECONDS = 1.0
"""Seconds of a pause after which a reader releases its shards."""
SHARDS_SECONDS = 30.0
"""Seconds between two looks for shards."""
LOOK_AGAIN_SECONDS = 1.0
"""Least seconds between two looks."""
LOOKS_AT_ONCE = 8
"""Streams that one look asks at a time."""
FORGOTTEN_SECONDS = 3_600.0
"""Seconds after which the rows of a process that is gone are deleted."""
LEAVE_SECONDS = 5.0
"""Seconds that a stop spends on releasing leases."""


class Topic:
    """One topic of a reader.

    Args:
        scope: the stream, the topic and the group.
        is_short_lived: whether it belongs to one process.

    Attributes:
        shards: the shards of its stream.
        mine: the shards whose lease is ours.
        share: the number of shards for this reader; None before the first tick.
        strange: shards in the table that we have not seen in the stream: children of a split.
    """

    def __init__(self, scope: Scope, *, is_short_lived: bool) -> None:
        self.scope = scope
        self.is_short_lived = is_short_lived
        self.shards: dict[str, Shard] = {}
        self.mine: dict[str, Position] = {}
        self.share: int | None = None
        self.strange: set[str] = set()

    @property
    def is_balanced(self) -> bool:
        """Whether this reader has its share."""
        return self.share is not None and len(self.mine) >= self.share

    def wanted(self, states: Sequence[ShardState]) -> list[ShardState]:
        """Return the shards to be read now: those whose parents are drained, or no longer kept."""
        drained = {each.shard for each in states if each.drained}
        there = [each for each in states if not each.drained and each.shard in self.shards]
        if self.is_short_lived:
            return there
        return [each for each in there if self.shards[each.shard].parents & self.shards.keys() <= drained]


class ShardAssignment:
    """Holds the shards of one reader.

    Args:
        link: the client.
        streams: the topics' streams.
        leases: the table of leases.
        changed: notified when something has changed.
        topics: the topics to read, by one group.
        short_lived_prefixes: prefixes of topics that belong to one process.
        lease_seconds: duration of a lease.
        tick_seconds: seconds between two ticks.
        on_opened: called with each shard that became ours.
        on_tick: called with each shard of ours at each tick.
        on_leaving: awaited before a shard is released.
    """

    def __init__(
        self,
        link: ServiceLink,
        streams: Streams,
        leases: Leases,
        changed: Condition,
        *,
        topics: Sequence[Scope],
        short_lived_prefixes: tuple[str, ...],
        lease_seconds: float,
        tick_seconds: float,
        on_opened: Callable[[Topic, Position], None],
        on_tick: Callable[[Position], None],
        on_leaving: Callable[[Position], Awaitable[None]],
    ) -> None:
        self._link = link
        self._streams = streams
        self._leases = leases
        self._changed = changed
        self._scopes = list(topics)
        self._topics = {
            scope.topic: Topic(scope, is_short_lived=scope.topic.startswith(short_lived_prefixes)) for scope in self._scopes
        }
        self._short_lived_prefixes = short_lived_prefixes
        self._lease_seconds = lease_seconds
        self._tick_seconds = tick_seconds
        self._on_opened = on_opened
        self._on_tick = on_tick
        self._on_leaving = on_leaving
        self._me = uuid.uuid4().hex
        self._tasks = Tasks()
        self._look_now: set[str] = set()
        self._paused_at: float | None = None
        self._is_resting = False
        self.trouble = "they are looked for"
        """Why the first look has not ended yet."""

    @property
    def is_paused(self) -> bool:
        """Whether reading is paused."""
        return self._paused_at is not None

    async def start(self) -> None:
        """Begin; return when this reader has its share, or has waited for it as long as a lease lasts.

        Raises:
            BusUnavailableError: the database is away.
            ClientError: Kinesis refuses us.
        """
        tries = 0
        while not await self._look({scope.stream for scope in self._scopes}, is_first=True):
            await asyncio.sleep(backoff_seconds(tries))
            tries += 1
        await self._tick()
        self._tasks.start(self._keep_ticking(), name="leases of a Kinesis reader")
        self._tasks.start(self._keep_looking(), name="leases of a Kinesis reader")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._lease_seconds):
                await self._changed.wait_for(lambda: all(topic.is_balanced for topic in self._topics.values()))

    async def stop(self) -> None:
        """Release all shards."""
        await self._tasks.close()
        with contextlib.suppress(TimeoutError, BusUnavailableError):
            async with asyncio.timeout(LEAVE_SECONDS):
                for _, position in self._mine:
                    position.going = True
                await asyncio.gather(*(self._let_go(*each) for each in self._mine))
                await self._leases.leave(self._scopes, self._me)
                await self._leases.drop([each.scope for each in self._topics.values() if each.is_short_lived])
        for topic, position in self._mine:
            self._close(topic, position)

    @property
    def _mine(self) -> list[tuple[Topic, Position]]:
        return [(topic, position) for topic in self._topics.values() for position in topic.mine.values()]

    def pause(self) -> None:
        """Read nothing for now."""
        self._paused_at = self._paused_at or time.monotonic()

    def resume(self) -> None:
        """Read on."""
        self._paused_at = None
        self._changed.notify_all()

    def look(self, stream: str) -> None:
        """Look again at a stream that has changed."""
        self._look_now.add(stream)
        self._changed.notify_all()

    # looking

    async def _keep_looking(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SHARDS_SECONDS):
                    await self._changed.wait_for(lambda: bool(self._look_now))
            asked, self._look_now = self._look_now, set()
            try:
                if not await self._look(asked or {scope.stream for scope in self._scopes}):
                    self._look_now |= asked
                if not asked:
                    await self._leases.forget(self._short_lived_prefixes, FORGOTTEN_SECONDS)
            except UNAVAILABLE as error:
                self._look_now |= asked
                logger.info("shards are looked for later: %s", reason_of(error))
            except Exception:
                logger.exception("shards could not be looked for")
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _look(self, streams: set[str], *, is_first: bool = False) -> bool:
        """List the shards, and add new ones to the table; return False if a stream could not be asked."""
        at_once = asyncio.Semaphore(LOOKS_AT_ONCE)

        async def look_at(stream: str) -> dict[str, Shard] | Exception:
            async with at_once:
                client = await self._link.get()
                try:
                    return {shard.id: shard for shard in await self._streams.shards(client, stream)}
                except UNAVAILABLE as error:
                    self.trouble = reason_of(error)
                    self._link.failed(client, error)
                    logger.info("the shards of %s are looked at later: %s", stream, self.trouble)
                    return error

        ordered = sorted(streams)
        answers = await asyncio.gather(*map(look_at, ordered))
        errors = [each for each in answers if isinstance(each, Exception)]
        if is_first and (refusals := [each for each in errors if is_refusal(each)]):
            raise refusals[0]
        found = {stream: each for stream, each in zip(ordered, answers, strict=True) if not isinstance(each, Exception)}
        seen = [(topic, found[topic.scope.stream]) for topic in self._topics.values() if topic.scope.stream in found]
        await self._leases.know([(topic.scope, each) for topic, shards in seen for each in shards if each not in topic.shards])
        for topic, shards in seen:
            topic.shards = shards
        return not errors

    # ticking

    async def _keep_ticking(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._tick_seconds):
                    await self._changed.wait_for(self._is_urgent)
            try:
                await self._tick()
            except UNAVAILABLE as error:
                logger.info("leases are renewed later: %s", reason_of(error))
                await asyncio.sleep(self._tick_seconds)
            except Exception:
                logger.exception("leases could not be renewed")
                await asyncio.sleep(self._tick_seconds)

    def _is_urgent(self) -> bool:
        if self._is_resting and not self.is_paused:
            return True
        return any(position.drained for _, position in self._mine)

    async def _tick(self) -> None:
        positions = self._mine
        for _, position in positions:
            self._on_tick(position)
        await self._write_down([each for each in positions if each[1].dirty and not each[1].going])
        if self._paused_at is not None and time.monotonic() - self._paused_at > RESTING_SECONDS:
            for topic, position in self._mine:
                self._begin_to_let_go(topic, position)
            if not self._mine:
                if not self._is_resting:
                    await self._leases.leave(self._scopes, self._me)
                self._is_resting = True
                return
        self._is_resting = False
        began = time.monotonic()
        states, readers = await self._leases.tick(self._scopes, self._me)
        free: list[tuple[Scope, str]] = []
        for topic in self._topics.values():
            free += self._balance(topic, states[topic.scope.topic], readers[topic.scope.topic], began + self._lease_seconds)
        if free:
            await self._claim(free)
        self._changed.notify_all()

    def _balance(
        self, topic: Topic, states: Sequence[ShardState], readers: Sequence[str], valid_until: float
    ) -> list[tuple[Scope, str]]:
        """Note renewals and release what is beyond our share; return free shards that are within it."""
        renewed = {each.shard for each in states if each.is_held and each.reader == self._me}
        for shard, position in list(topic.mine.items()):
            if shard in renewed:
                position.valid_until = valid_until
            else:
                logger.warning("the lease of shard %s of %s went to another", shard, topic.scope.stream)
                self._close(topic, position)
        if self.is_paused:
            return []
        strange = {each.shard for each in states if not each.drained} - topic.shards.keys()
        if not strange <= topic.strange:
            self.look(topic.scope.stream)  # once: what the stream has no more stays written down
        topic.strange = strange
        wanted = topic.wanted(states)
        held = Counter(each.reader for each in wanted if each.is_held and each.reader is not None)
        topic.share = share_of(self._me, {reader: held[reader] for reader in {*readers, self._me}}, len(wanted))
        staying = [position for position in topic.mine.values() if not position.going]
        for position in staying[topic.share :]:
            self._begin_to_let_go(topic, position)
        free = [(topic.scope, each.shard) for each in wanted if not each.is_held]
        random.shuffle(free)
        return free[: max(topic.share - len(topic.mine), 0)]

    async def _claim(self, free: Sequence[tuple[Scope, str]]) -> None:
        valid_until = time.monotonic() + self._lease_seconds
        for each in await self._leases.claim(free, self._me):
            topic = self._topics[each.topic]
            position = topic.mine[each.shard] = Position(topic.scope, each.shard, each.checkpoint, each.done, valid_until)
            self._on_opened(topic, position)

    def _begin_to_let_go(self, topic: Topic, position: Position) -> None:
        if not position.going:
            position.going = True
            self._tasks.start(self._let_go(topic, position), name="leases of a Kinesis reader")

    async def _let_go(self, topic: Topic, position: Position) -> None:
        await self._on_leaving(position)
        if not position.closed:
            with contextlib.suppress(BusUnavailableError):  # it ends by itself then
                await self._write_down([(topic, position)], release=True)
            self._close(topic, position)

    async def _write_down(self, positions: Sequence[tuple[Topic, Position]], *, release: bool = False) -> None:
        """Write checkpoints; the leases of drained and released shards end with it."""
        for _, position in positions:
            position.dirty = False
        written = [
            Checkpoint(
                *(position.scope, position.shard, position.checkpoint, position.beyond, position.drained),
                release=release or position.drained,
            )
            for _, position in positions
        ]
        try:
            await self._leases.checkpoint(self._me, written)
        except BusUnavailableError:
            for _, position in positions:
                position.dirty = True
            raise
        for (topic, position), each in zip(positions, written, strict=True):
            if each.release:
                self._close(topic, position)
            if each.drained:
                self.look(topic.scope.stream)  # its children are to be read

    def _close(self, topic: Topic, position: Position) -> None:
        position.closed = True
        if topic.mine.get(position.shard) is position:
            del topic.mine[position.shard]
        self._changed.notify_all()


def share_of(reader: str, held: dict[str, int], shards: int) -> int:
    """Return how many shards of a topic a reader may have.

    Args:
        reader: the reader.
        held: how many shards each reader holds now, this one included.
        shards: how many shards there are to read.
    """
    each, left_over = divmod(shards, len(held))
    most_first = sorted(held, key=lambda name: (-held[name], name))
    return each + (most_first.index(reader) < left_over)
