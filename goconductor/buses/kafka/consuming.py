"""A subscription as the event loop sees it: what came, what is in hand, what waits, and what is done with."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from goconductor.aio.backoff import Backoff
from goconductor.buses.kafka.offsets import Offsets
from goconductor.buses.kafka.records import Arrived, Record, copy
from goconductor.buses.shared.condition import Condition
from goconductor.buses.shared.frame import Reading
from goconductor.buses.shared.in_flight import HeldDelivery, InFlight
from goconductor.buses.shared.waiting import Waiting
from goconductor.errors import GoConductorError
from goconductor.redaction import logger_of

LOCAL_SECONDS = 1.0
"""Delay in seconds below which a message that is given back waits in this process."""
LOCAL_FOR_SECONDS = 5.0
"""Seconds after its arrival during which it does so."""
LOCAL_LEAST_SECONDS = 0.01
"""Least seconds of a delay, so that a receiver that gives back again and again does not spin."""
RESTING_SECONDS = 0.3
"""Seconds of a pause after which a subscription leaves the group."""
LEAVING_SECONDS = 5.0
"""Seconds that copies may take at a stop, or when a partition goes; otherwise the originals come again."""
WAITING_MAX = 10_000
"""Messages that may wait for their time; beyond that nothing more is fetched."""
HELD_UP_MAX = 1_000
"""Number of messages that one which waits here may hold up."""
LOOK_SECONDS = 5.0
"""Seconds between two checks whether a message that waits holds up more than ``HELD_UP_MAX`` others."""

logger = logger_of(__name__)


@dataclass(slots=True, eq=False)
class _Held:
    """One message that was fetched and is not done with.

    Attributes:
        tries: how often it was given back and stayed here.
    """

    partition: Offsets
    arrived: Arrived
    deliveries: int
    came_at: float
    tries: int = 0


class Fetching(Protocol):
    """The thread that reads."""

    full: bool
    away: bool
    joined: asyncio.Event

    @property
    def stuck(self) -> bool: ...

    def start(self) -> None: ...
    def abandon(self) -> None: ...
    def store(self, partition: Offsets, offset: int) -> None: ...
    async def close(self) -> None: ...


class KafkaSubscription:
    """A running consumer of some topics for one group.

    Args:
        client: its name among those of the process.
        group: the group's name on the cluster.
        reading: the receiver, and how much it takes at once.
        drain_seconds: how long receivers may take with what is in hand when its partition goes.
        send: writes copies; True for each that was taken.
        another_partition: where a copy goes.
        on_lost: called with topics that are not there any more.
        prepare: sees to it that the topics are there, and the group's settings.
    """

    def __init__(
        self,
        *,
        client: str,
        group: str,
        reading: Reading,
        drain_seconds: float,
        send: Callable[[Sequence[Record]], Awaitable[Sequence[bool]]],
        another_partition: Callable[[str, int], int],
        on_lost: Callable[[Sequence[str]], None],
        prepare: Callable[[], Awaitable[None]],
    ) -> None:
        self.client = client
        self.stopped = False
        self.on_lost = on_lost
        self._prepare = prepare
        self._group = group
        self._prefetch = reading.prefetch
        self._drain_seconds = drain_seconds
        self._send = send
        self._another_partition = another_partition
        self._loop = asyncio.get_running_loop()
        self._reader: Fetching | None = None
        self._partitions: set[Offsets] = set()
        self._ready: deque[_Held] = deque()
        self._in_flight: InFlight[_Held] = InFlight(reading.receiver, prefetch=reading.prefetch, on_settled=self._on_settled)
        self._waiting: Waiting[_Held] = Waiting(self._waited)
        self._copies: list[tuple[_Held, Record]] = []
        self._copying: asyncio.Task[None] | None = None
        self._hands_out = False
        self._changed = Condition()
        self._rests: asyncio.TimerHandle | None = None
        self._looks: asyncio.TimerHandle | None = None

    def begin(self, new_reader: Callable[[], Fetching]) -> Fetching:
        """Begin to read, and see to it that somebody goes on reading.

        Args:
            new_reader: makes a reader, which is not started.
        """
        self._new_reader = new_reader
        reader = self._reader = new_reader()
        reader.start()
        self._looks = self._loop.call_later(LOOK_SECONDS, self._look)
        return reader

    # called by the reader

    def take(self, batch: Sequence[tuple[Offsets, Arrived]]) -> None:
        for partition, arrived in batch:
            if partition.closed or partition.going or self.stopped:
                continue  # not stored, so it comes again
            self._partitions.add(partition)
            partition.came(arrived.offset)
            held = _Held(partition, arrived, arrived.deliveries + 1, self._loop.time())
            if arrived.group and arrived.group != self._group:
                self._done(held)
            elif arrived.wait_seconds > 0:
                self._waiting.add(held, arrived.wait_seconds)
            else:
                self._ready.append(held)
        self._hand_out()

    async def hand_over(self, partitions: Sequence[Offsets]) -> Mapping[Offsets, int]:
        """Let receivers finish for a while, and bring what is left elsewhere."""
        going = set(partitions)
        for partition in going:
            partition.going = True
        self._ready = deque(each for each in self._ready if each.partition not in going)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds):
                await self._changed.wait_for(lambda: not self._in_flight.has(lambda held: held.partition in going))
        await self._bring_elsewhere(going)
        for partition in going:
            partition.closed = True
        self._partitions -= going
        return {each: offset for each in going if (offset := each.advance()) is not None}

    async def prepare(self) -> None:
        """Prepare the topics and the group; a sender does it later, if it cannot be done now."""
        with contextlib.suppress(GoConductorError):
            await self._prepare()

    # called by the subscriber

    def pause(self) -> None:
        self._in_flight.pause()
        if self._rests is None:
            self._rests = self._loop.call_later(RESTING_SECONDS, self._rest)

    def resume(self) -> None:
        self._in_flight.resume()
        if self._rests is not None:
            self._rests.cancel()
            self._rests = None
        if self._reader is not None:
            self._reader.away = False
        self._hand_out()

    async def stop(self) -> None:
        self.stopped = True
        for timer in (self._rests, self._looks):
            if timer is not None:
                timer.cancel()
        await self._in_flight.finish()
        await self._bring_elsewhere(self._partitions)
        if self._copying is not None:  # the brokers are away: the originals come again
            self._copying.cancel()
            await asyncio.wait({self._copying})
        if self._reader is not None:
            await self._reader.close()
        for partition in self._partitions:
            partition.closed = True

    # within

    def _on_settled(self, delivery: HeldDelivery[_Held], delay_seconds: float | None) -> None:
        held = delivery.tag
        if held.partition.closed:
            pass  # it comes again, in the process that has the partition now
        elif delay_seconds is None:
            self._done(held)
        elif delay_seconds < LOCAL_SECONDS and not delivery.is_for_others and self._stays(held):
            held.deliveries += 1
            held.tries += 1
            self._waiting.add(held, max(delay_seconds, LOCAL_LEAST_SECONDS))
        else:
            self._copy(held, delay_seconds, held.deliveries)
        self._changed.notify_all()
        if not self._hands_out:  # once for all that are settled in this turn of the loop
            self._hands_out = True
            self._loop.call_soon(self._hand_out)

    def _stays(self, held: _Held) -> bool:
        """Return whether a message stays here, because it has not been here for so long that another should have it."""
        is_young = self._loop.time() - held.came_at < LOCAL_FOR_SECONDS
        return is_young and not held.partition.going and not self.stopped

    def _hand_out(self) -> None:
        self._hands_out = False
        while self._ready and self._in_flight.wants and self._in_flight.room:
            held = self._ready.popleft()
            if not held.partition.closed and not held.partition.going:
                self._in_flight.take(held.arrived.message, held.deliveries, held)
        if self._reader is not None:
            soon = sum(each.tries > 0 for each in self._waiting) if self._waiting else 0
            self._reader.full = len(self._ready) + soon >= 2 * self._prefetch or len(self._waiting) >= WAITING_MAX

    def _done(self, held: _Held) -> None:
        partition = held.partition
        partition.done(held.arrived.offset)
        if self._reader is None or partition.closed or partition.going:
            return
        if (offset := partition.storable()) is not None:
            self._reader.store(partition, offset)

    def _waited(self, held: _Held) -> None:
        self._ready.appendleft(held)
        self._hand_out()

    def _copy(self, held: _Held, delay_seconds: float, deliveries: int) -> None:
        partition = self._another_partition(held.arrived.message.topic, held.partition.partition)
        record = copy(held.arrived, group=self._group, deliveries=deliveries, delay_seconds=delay_seconds, partition=partition)
        self._copies.append((held, record))
        if self._copying is None:
            self._copying = asyncio.create_task(self._write_copies())

    async def _write_copies(self) -> None:
        pauses = Backoff(0.1, 5.0)
        try:
            while self._copies:
                batch, self._copies = self._copies, []
                batch = [(held, record) for held, record in batch if not held.partition.closed]
                taken = await self._send([record for _, record in batch])
                for (held, record), is_taken in zip(batch, taken, strict=True):
                    if is_taken:
                        self._done(held)
                    else:
                        self._copies.append((held, record))
                if not all(taken):
                    await asyncio.sleep(pauses.next())
        finally:
            self._copying = None

    async def _bring_elsewhere(self, partitions: Iterable[Offsets]) -> None:
        """Copy what is in hand or waits, so that what came after it and is done with does not come again."""
        going = set(partitions)
        for held in self._in_flight.withdraw(lambda held: held.partition in going):
            self._copy(held, 0.0, held.deliveries)
        self._bring_waiting(each for each in self._waiting if each.partition in going)
        if self._copying is not None:
            await asyncio.wait({self._copying}, timeout=LEAVING_SECONDS)

    def _bring_waiting(self, waiting: Iterable[_Held]) -> None:
        for held in waiting:
            if (seconds := self._waiting.remove(held)) is not None:
                self._copy(held, seconds, held.deliveries - 1)

    def _replace(self, stuck: Fetching) -> None:
        """Replace a stuck reader: what it had brought comes again through another one."""
        logger.error(
            "a consumer of %s does not come back from librdkafka; it is left behind, and another one reads on", self._group
        )
        stuck.abandon()
        for partition in self._partitions:
            partition.closed = True
        self._ready.clear()
        self._reader = self._new_reader()
        self._reader.start()

    def _rest(self) -> None:
        if not self._in_flight.wants and self._reader is not None:
            self._reader.away = True

    def _look(self) -> None:
        """Copy a message that waits and holds up many to the end of the log, and replace a reader that is stuck."""
        if self._reader is not None and self._reader.stuck and not self.stopped:
            self._replace(self._reader)
        behind = {each: each.first_open() for each in self._partitions if each.held_up > HELD_UP_MAX}
        self._bring_waiting(each for each in self._waiting if behind.get(each.partition) == each.arrived.offset)
        for held in [each for each in self._waiting if each.partition.closed]:
            self._waiting.remove(held)
        self._partitions = {each for each in self._partitions if not each.closed}
        self._looks = self._loop.call_later(LOOK_SECONDS, self._look)
