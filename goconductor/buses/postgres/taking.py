"""A subscription: one session that takes messages, hands them to the receiver, and settles what is done with."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import msgspec

from goconductor.aio.waiting import wait_at_most
from goconductor.buses.postgres import session, statements
from goconductor.buses.postgres.left import Left
from goconductor.buses.postgres.schedule import Floors, Interval, Looks
from goconductor.buses.shared.frame import Reading
from goconductor.buses.shared.in_flight import HeldDelivery, InFlight
from goconductor.buses.shared.patience import Patience
from goconductor.ports.bus import Message
from goconductor.postgres.session import transaction
from goconductor.postgres.setup import end
from goconductor.redaction import logger_of

TAKE_MAX = 500
"""Messages of one batch, so that an answer stays small."""

AGAIN_SECONDS = 0.05
"""Seconds before the first new attempt of what the database refused."""

FIRST_WAIT_SECONDS = 0.03
"""Seconds until the next look after one that left room, unless there is a notification: so that more comes at once."""
CLOCK_SECONDS = 0.001
"""Seconds below which an event loop may not measure; a shorter wait would be none, again and again."""
SETTLE_SECONDS = 0.04
"""Seconds that an acknowledgement may wait for others, or for the next look, which takes it along: nobody waits for it."""
CHECK_INTERVAL_SECONDS = 20.0
"""Seconds after which a turn asks the server something, however rare looks are, so that a half-dead session is noticed."""
REGISTER_INTERVAL_SECONDS = 60.0
"""Seconds between two registrations of a subscription."""
RECLAIM_INTERVAL_SECONDS = 1.0
"""Seconds between two looks for messages of readers that are gone."""

HEAD_START_SECONDS = 0.03
"""Seconds by which others find what we gave back earlier than we do, so that a full process does not take it all again."""
PASSED_ON_SECONDS = 30.0
"""Seconds for which a message that we can never take is left to others; then we look whether it is still there."""

_Place = tuple[int, int]
"""A message's queue and its number there."""

logger = logger_of(__name__)
decode = msgspec.msgpack.Decoder(Message).decode


class PostgresSubscription:
    """A running consumer of some topics for one group.

    Args:
        connect: makes a new session.
        reading: what is read, by whom; its topics in turn, so that none starves the others.
        poll_interval_seconds: the longest wait between two looks.
        visibility_seconds: what is in hand for longer may come to another as well.
        notify: notifies other processes that topics have news.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[session.Connection]],
        reading: Reading,
        *,
        poll_interval_seconds: float,
        visibility_seconds: float,
        notify: Callable[[Sequence[str]], None],
    ) -> None:
        self.topics = sorted(set(reading.topics))
        self._connect = connect
        self._group = reading.group
        self._prefetch = reading.prefetch
        self._poll_interval_seconds = poll_interval_seconds
        self._visibility_seconds = visibility_seconds
        self._notify = notify
        self._connection: session.Connection | None = None
        self._queue_ids: list[int] = []
        self._registering = Interval(REGISTER_INTERVAL_SECONDS)
        self._reclaiming = Interval(RECLAIM_INTERVAL_SECONDS)
        self._looks = Looks(FIRST_WAIT_SECONDS, poll_interval_seconds)
        self._floors = Floors()
        self._in_flight: InFlight[_Place] = InFlight(reading.receiver, prefetch=reading.prefetch, on_settled=self._on_settled)
        self._left = Left()
        self._acknowledged: list[_Place] = []
        self._given_back: list[tuple[int, int, int, float, float]] = []
        self._news = asyncio.Event()
        self._writes_soon: asyncio.TimerHandle | None = None
        self._crowded = False
        """Whether the last look left no room."""
        self._patience = Patience(AGAIN_SECONDS)
        self._stopping = False
        self._drained = False
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; return when the group has its queues, so that messages sent from now on reach it."""
        connection = await self._connect()
        try:
            await self._register(connection)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        self._running = asyncio.create_task(self._run())

    def pause(self) -> None:
        self._in_flight.pause()

    def resume(self) -> None:
        self._in_flight.resume()
        self.wake()

    async def stop(self) -> None:
        self._stopping = True
        self._news.set()
        await self._in_flight.finish()
        self._drained = True
        self._patience.stop()
        self._news.set()
        if self._running is not None:
            await asyncio.wait({self._running})

    @property
    def stopped(self) -> bool:
        return self._stopping

    def wake(self) -> None:
        """Look at once: there may be news."""
        self._looks.at_once = True
        self._news.set()

    def takes(self, count: int) -> bool:
        """Return whether ``count`` more messages can be taken at once."""
        return self._in_flight.wants and self._in_flight.room >= count

    def _on_settled(self, delivery: HeldDelivery[_Place], delay_seconds: float | None) -> None:
        if delay_seconds is None:
            self._acknowledged.append(delivery.tag)
        else:
            ours_again_seconds = HEAD_START_SECONDS if delay_seconds > 0 else 0.0
            if delivery.is_for_others:
                ours_again_seconds = PASSED_ON_SECONDS
            self._given_back.append((*delivery.tag, delivery.deliveries, delay_seconds, ours_again_seconds))
        if self._crowded and self._in_flight.in_hand <= self._prefetch // 2:
            self.wake()
        elif self._writes_soon is None:
            self._writes_soon = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._news.set)

    async def _run(self) -> None:
        while True:
            try:
                if self._connection is None:
                    self._connection = await self._connect()
                    await self._register(self._connection)
                await self._consume(self._connection)
                await end(self._connection)
            except session.UNAVAILABLE as error:
                logger.warning("the bus is away, the subscription of %s tries again: %r", self._group, error)
            except Exception:
                logger.exception("the subscription of %s failed and tries again", self._group)
            if self._connection is not None:
                self._connection.terminate()
                self._connection = None
            if self._drained:
                return
            await self._patience.wait()

    async def _consume(self, connection: session.Connection) -> None:
        """Run one turn after the other until all is drained: keep the queues, write what was settled, look, and wait."""
        self._looks = Looks(FIRST_WAIT_SECONDS, self._poll_interval_seconds)
        await self._acknowledge(connection)
        while True:
            self._news.clear()
            self._write_now()
            await self._keep(connection)
            await self._give_back(connection)
            room = min(self._in_flight.room, TAKE_MAX) if self._in_flight.wants else 0
            if room > 0 and self._looks.is_due(time.monotonic()):
                await self._look(connection, room)
            else:
                await self._acknowledge(connection)
            if self._drained and not self._acknowledged and not self._given_back:
                return
            if room <= 0:
                await self._quiet_for(self._poll_interval_seconds)
            elif not self._looks.at_once:
                await self._quiet_for(max(self._looks.seconds_left(time.monotonic()), CLOCK_SECONDS))

    def _write_now(self) -> None:
        """Cancel the reminder to write: this turn does it."""
        if self._writes_soon is not None:
            self._writes_soon.cancel()
            self._writes_soon = None

    async def _keep(self, connection: session.Connection) -> None:
        """Keep the group's queues, and take back what dead processes had in hand."""
        reclaims = self._reclaiming.is_due(time.monotonic())
        if self._registering.is_due(time.monotonic()) or (reclaims and await self._are_gone(connection)):
            await self._register(connection)
        if reclaims:
            await self._acknowledge(connection)  # by itself, also where looks are so slow that they fail
            await connection.execute(statements.RECLAIM, self._queue_ids, self._floors.of(self._queue_ids, time.monotonic()))
            self._reclaiming.done(time.monotonic())

    async def _look(self, connection: session.Connection, room: int) -> None:
        self._looks.begin()
        began = time.monotonic()
        taken = await self._take(connection, room)
        took_seconds = time.monotonic() - began
        self._crowded = taken == room
        if taken == TAKE_MAX:
            self._looks.at_once = True
        if self._floors.are_wanted(began, took_seconds):
            await self._find_floors(connection)
        self._patience.succeeded()
        self._looks.end(time.monotonic(), took_seconds, found=taken > 0)

    async def _quiet_for(self, seconds: float) -> None:
        await wait_at_most(min(seconds, CHECK_INTERVAL_SECONDS), self._news)

    async def _register(self, connection: session.Connection) -> None:
        rows = await connection.fetch(statements.READING, self.topics, self._group)
        if len(rows) < len(self.topics):
            async with transaction(connection):
                await connection.execute(statements.LOCK)
                await connection.execute(statements.CLAIM, self.topics, self._group)
                await connection.execute(statements.ADD_GROUP, self.topics, self._group)
            rows = await connection.fetch(statements.READING, self.topics, self._group)
        self._queue_ids = [row["queue_id"] for row in rows]
        self._floors.forget()
        self._registering.done(time.monotonic())

    async def _are_gone(self, connection: session.Connection) -> bool:
        """Return whether the table of queues was emptied, or made anew."""
        rows = await connection.fetch(statements.QUEUES, self.topics, self._group)
        return {row["queue_id"] for row in rows} != set(self._queue_ids)

    async def _take(self, connection: session.Connection, room: int) -> int:
        self._queue_ids.append(self._queue_ids.pop(0))  # another one is first now
        floors = self._floors.of(self._queue_ids, time.monotonic())
        with self._done_with() as done:
            rows = await connection.fetch(
                statements.TAKE, self._queue_ids, floors, room, self._visibility_seconds, *done, self._left.now()
            )
        for row in rows:
            try:
                message = decode(row["message"])
            except msgspec.MsgspecError:  # not written by this bus: its receiver can report it, and keep it
                message = Message(topic=self.topics[0], key="", payload=bytes(row["message"]))
            place, deliveries = (row["queue_id"], row["message_id"]), row["deliveries"]
            if message.topic in self.topics:
                self._in_flight.take(message, deliveries, place)
            else:  # its queue has the number that one of ours had before all were lost
                self._registering.hurry()
                self._given_back.append((*place, deliveries, 0.0, 0.0))
        return len(rows)

    async def _find_floors(self, connection: session.Connection) -> None:
        began = time.monotonic()
        floors = {row["queue_id"]: row["floor"] for row in await connection.fetch(statements.FLOORS, self._queue_ids)}
        self._floors.found(floors, began, time.monotonic() - began)

    async def _acknowledge(self, connection: session.Connection) -> None:
        if self._acknowledged:
            with self._done_with() as done:
                await connection.execute(statements.ACKNOWLEDGE, *done)

    @contextlib.contextmanager
    def _done_with(self) -> Iterator[tuple[list[int], list[int]]]:
        """Enter a context with what to acknowledge, as queues and messages; if the session breaks, the next one has it again."""
        acknowledged, self._acknowledged = sorted(self._acknowledged), []
        try:
            yield [queue_id for queue_id, _ in acknowledged], [message_id for _, message_id in acknowledged]
        except BaseException:
            self._acknowledged += acknowledged
            raise

    async def _give_back(self, connection: session.Connection) -> None:
        if given := sorted(self._given_back):
            self._given_back = []
            try:
                await connection.execute(statements.GIVE_BACK, *map(list, tuple(zip(*given, strict=True))[:4]))
            except BaseException:
                self._given_back += given
                raise
            loop = asyncio.get_running_loop()
            for _, message_id, _, delay_seconds, ours_again_seconds in given:
                self._left.leave(message_id, delay_seconds + ours_again_seconds)
            for delay_seconds, ours_again_seconds in {(delay, ours_again) for *_, delay, ours_again in given}:
                loop.call_later(delay_seconds + CLOCK_SECONDS, self._notify, self.topics)
                loop.call_later(delay_seconds + ours_again_seconds + CLOCK_SECONDS, self.wake)
            if not self._in_flight.wants:
                self._notify(self.topics)
