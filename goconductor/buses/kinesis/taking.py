"""A subscription: what was read of its share of the shards, and what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass

from goconductor.aio.tasks import Tasks
from goconductor.buses.kinesis import wire
from goconductor.buses.kinesis.assignment import ShardAssignment, Topic
from goconductor.buses.kinesis.leases import Leases, Scope
from goconductor.buses.kinesis.position import Position
from goconductor.buses.kinesis.reading import ShardReader
from goconductor.buses.kinesis.sending import Sender
from goconductor.buses.kinesis.streams import Streams
from goconductor.buses.shared.amazon import ServiceLink
from goconductor.buses.shared.condition import Condition
from goconductor.buses.shared.frame import Reading
from goconductor.buses.shared.in_flight import HeldDelivery, InFlight
from goconductor.buses.shared.waiting import Waiting
from goconductor.errors import BusUnavailableError
from goconductor.redaction import logger_of

logger = logger_of(__name__)

LOCAL_SECONDS = 5.0
"""Delay in seconds below which a message that is given back waits in this process."""
LOCAL_FOR_SECONDS = 10.0
"""Seconds after its arrival during which it does so."""
LOCAL_LEAST_SECONDS = 0.02
"""Least seconds of such a delay."""
WAITING_HOLDS_UP_MAX = 5_000
"""Number of records that one which waits here may hold up."""
RECORDS_MIN = 100
"""Least number of records that a read asks for."""
RECORDS_MAX = 10_000
"""Greatest number of records that a read asks for, as the service says."""


@dataclass(slots=True, eq=False)
class _Held:
    """One record that was read and is not done with."""

    position: Position
    sequence: str
    record: wire.Record
    deliveries: int
    came_at: float


class KinesisSubscription:
    """A running consumer of some topics for one group.

    Args:
        link: the client.
        streams: the topics' streams.
        leases: the table of leases.
        sender: sends copies.
        reading: the topics, the group and the receiver.
        short_lived_prefixes: prefixes of topics that belong to one process.
        lease_seconds: duration of a lease.
        tick_seconds: seconds between two renewals of leases and writes of checkpoints.
        poll_seconds: seconds between two reads of a shard.
        drain_seconds: seconds that deliveries may take to finish when their shard goes to another.
    """

    def __init__(
        self,
        link: ServiceLink,
        streams: Streams,
        leases: Leases,
        sender: Sender,
        reading: Reading,
        *,
        short_lived_prefixes: tuple[str, ...],
        lease_seconds: float,
        tick_seconds: float,
        poll_seconds: float,
        drain_seconds: float,
    ) -> None:
        self._link = link
        self._sender = sender
        self._group = reading.group
        self._prefetch = reading.prefetch
        self._tick_seconds = tick_seconds
        self._poll_seconds = poll_seconds
        self._drain_seconds = drain_seconds
        self._in_flight: InFlight[_Held] = InFlight(reading.receiver, prefetch=reading.prefetch, on_settled=self._on_settled)
        self._ready: deque[_Held] = deque()
        self._waiting: Waiting[_Held] = Waiting(self._waited)
        self._changed = Condition()
        self._assignment = ShardAssignment(
            link,
            streams,
            leases,
            self._changed,
            topics=[Scope(topic, reading.group, streams.name(topic)) for topic in sorted(set(reading.topics))],
            short_lived_prefixes=short_lived_prefixes,
            lease_seconds=lease_seconds,
            tick_seconds=tick_seconds,
            on_opened=self._read,
            on_tick=self._move_on,
            on_leaving=self._leave,
        )
        self._stopping = False
        self._tasks = Tasks()
        self.stopped = False

    async def start(self) -> None:
        """Begin; return when the group is known, and this reader has its share or has waited for it as long as a lease lasts."""
        await self._assignment.start()

    @property
    def trouble(self) -> str:
        """Why it has not started, while it has not."""
        return self._assignment.trouble

    def pause(self) -> None:
        self._assignment.pause()
        self._in_flight.pause()

    def resume(self) -> None:
        self._assignment.resume()
        self._in_flight.resume()
        self._feed()

    async def stop(self) -> None:
        self._stopping = True
        await self._in_flight.finish()
        await self._assignment.stop()
        self._waiting.clear()
        await self._tasks.close()
        self.stopped = True

    # shards

    def _read(self, topic: Topic, position: Position) -> None:
        """Begin to read a shard that became ours."""
        reader = ShardReader(
            self._link,
            position,
            self._changed,
            has_room=lambda: not self._assignment.is_paused and len(self._ready) < self._prefetch,
            on_record=self._on_record,
            on_absent=lambda: self._assignment.look(topic.scope.stream),
            limit=min(max(self._prefetch, RECORDS_MIN), RECORDS_MAX),
            poll_seconds=self._poll_seconds,
            is_fresh=topic.is_short_lived,
        )
        self._tasks.start(reader.run(), name="read a shard of Kinesis")

    async def _leave(self, position: Position) -> None:
        """Let receivers finish for a while, and copy what waits for its time."""
        self._ready = deque(each for each in self._ready if each.position is not position)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds):
                await self._changed.wait_for(lambda: position.in_hand == 0 or position.closed)
        waiting = [each for each in self._waiting if each.position is position]
        await asyncio.gather(*(self._copy(each, each.deliveries - 1) for each in waiting))

    # records

    def _on_record(self, position: Position, sequence: str, data: bytes) -> None:
        if not position.came(sequence):
            return
        record = wire.decode(data)
        if record is None or record.topic != position.scope.topic or record.group not in {"", self._group}:
            position.done(sequence)
            return
        held = _Held(position, sequence, record, record.deliveries + 1, time.monotonic())
        if (wait_seconds := record.wait_seconds()) > 0:
            self._waiting.add(held, wait_seconds)
        else:
            self._ready.append(held)
            self._feed()

    def _feed(self) -> None:
        while self._ready and self._in_flight.wants and self._in_flight.room:
            held = self._ready.popleft()
            if held.position.usable:
                held.position.in_hand += 1
                self._in_flight.take(held.record.message(), held.deliveries, held)
            elif not held.position.closed and not held.position.going:  # the lease may still be renewed
                self._waiting.add(held, self._tick_seconds)
        if len(self._ready) < self._prefetch:
            self._changed.notify_all()

    def _on_settled(self, delivery: HeldDelivery[_Held], delay_seconds: float | None) -> None:
        held, position = delivery.tag, delivery.tag.position
        position.in_hand -= 1
        if not position.closed:
            if delay_seconds is None:
                position.done(held.sequence)
            elif not self._stopping and not position.going:
                held.deliveries += 1
                is_young = time.monotonic() - held.came_at < LOCAL_FOR_SECONDS
                if delay_seconds < LOCAL_SECONDS and is_young and not delivery.is_for_others:
                    self._waiting.add(held, max(delay_seconds, LOCAL_LEAST_SECONDS))
                else:
                    self._waiting.add(held, delay_seconds)
                    self._tasks.start(self._copy(held, held.deliveries - 1), name="copy a record of Kinesis")
        self._changed.notify_all()
        asyncio.get_running_loop().call_soon(self._feed)

    def _waited(self, held: _Held) -> None:
        if not held.position.closed:
            self._ready.appendleft(held)
            self._feed()

    async def _copy(self, held: _Held, deliveries: int) -> None:
        """Bring one that waits elsewhere; where that fails it goes on waiting here."""
        if (delay_seconds := self._waiting.remove(held)) is None:
            return
        due_at = time.monotonic() + delay_seconds
        copy = wire.copy_of(held.record.message(), group=self._group, deliveries=deliveries, delay_seconds=delay_seconds)
        held.position.in_hand += 1  # its shard goes once we know what became of it
        try:
            await self._sender.send_copy(copy)
        except BusUnavailableError as error:
            logger.info("a message that was given back stays here: %s", error)
            self._waiting.add(held, max(due_at - time.monotonic(), LOCAL_LEAST_SECONDS))
        else:
            held.position.done(held.sequence)
        finally:
            held.position.in_hand -= 1
            self._changed.notify_all()

    def _move_on(self, position: Position) -> None:
        """Copy a record that waits for its time and holds up many to the end of the stream."""
        if position.held_up > WAITING_HOLDS_UP_MAX:
            for held in [each for each in self._waiting if each.sequence == position.first_open and each.position is position]:
                self._tasks.start(self._copy(held, held.deliveries - 1), name="copy a record of Kinesis")
