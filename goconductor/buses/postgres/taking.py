"""A subscription: one session that takes messages, hands them to the receiver, and settles what is done with."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import asyncpg
import msgspec

from goconductor.buses.postgres import session, statements
from goconductor.buses.postgres.left import Left
from goconductor.buses.shared.frame import Reading
from goconductor.buses.shared.patience import Patience
from goconductor.ports.bus import Message
from goconductor.postgres.setup import end
from goconductor.redaction import logger_of

TAKE_MAX = 500
"""Messages of one batch, so that an answer stays small."""

AGAIN_SECONDS = 0.05

FIRST_WAIT_SECONDS = 0.01
"""So long after a look that left room is the next one, unless somebody says that there is news: so that more comes at once."""
CLOCK_SECONDS = 0.001
"""An event loop may measure no finer than this; a shorter wait would be none, again and again."""
SETTLE_SECONDS = 0.02
"""So long an acknowledgement may wait for others, or for the next look, which takes it along: nobody waits for it."""
REGISTER_INTERVAL_SECONDS = 60.0
RECLAIM_INTERVAL_SECONDS = 1.0
SLOW_TAKE_SECONDS = 0.005
"""A taking that is slower wades through dead rows, which a long transaction elsewhere forbids to clear away: look for floors."""

HEAD_START_SECONDS = 0.03
"""So much earlier than we, others find what we gave back: who was full a moment ago is not to take all of it again."""
PASSED_ON_SECONDS = 30.0
"""What we can never take is left to others for so long; then we look whether it is still there."""

logger = logger_of(__name__)
decode = msgspec.msgpack.Decoder(Message).decode


class PostgresDelivery:
    """A message in our hands. Settling it twice, or after its subscription has stopped, changes nothing."""

    __slots__ = ("_subscription", "deliveries", "message", "message_id", "queue_id")

    def __init__(self, subscription: PostgresSubscription, message: Message, row: asyncpg.Record) -> None:
        self._subscription = subscription
        self.message = message
        self.queue_id: int = row["queue_id"]
        self.message_id: int = row["message_id"]
        self.deliveries: int = row["deliveries"]

    def acknowledge(self) -> None:
        self._subscription.settle(self, None)

    def give_back(self, delay_seconds: float = 0.0) -> None:
        self._subscription.settle(self, delay_seconds, HEAD_START_SECONDS if delay_seconds > 0 else 0.0)

    def pass_on(self, delay_seconds: float = 0.0) -> None:
        self._subscription.settle(self, delay_seconds, PASSED_ON_SECONDS)


class PostgresSubscription:
    """A running consumer of some topics for one group.

    Args:
        connect: makes a new session.
        reading: what is read, by whom; its topics in turn, so that none starves the others.
        poll_interval_seconds: the longest wait between two looks.
        visibility_seconds: what is in hand for longer may come to another as well.
        tell: says to others that topics have news.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[session.Connection]],
        reading: Reading,
        *,
        poll_interval_seconds: float,
        visibility_seconds: float,
        tell: Callable[[Sequence[str]], None],
    ) -> None:
        self.topics = sorted(set(reading.topics))
        self._connect = connect
        self._group = reading.group
        self._receiver = reading.receiver
        self._prefetch = reading.prefetch
        self._poll_interval_seconds = poll_interval_seconds
        self._visibility_seconds = visibility_seconds
        self._tell = tell
        self._connection: session.Connection | None = None
        self._queue_ids: list[int] = []
        self._register_at = 0.0
        self._reclaim_at = 0.0
        self._floors: dict[int, int] = {}
        self._floors_until = 0.0
        self._in_hand: set[PostgresDelivery] = set()
        self._receiving: set[asyncio.Task[None]] = set()
        self._left = Left()
        self._acknowledged: list[tuple[int, int]] = []
        self._given_back: list[tuple[int, int, int, float, float]] = []
        self._news = asyncio.Event()
        self._patience = Patience(AGAIN_SECONDS)
        self._look_now = True
        self._crowded = False
        """The last look left no room."""
        self._settles: asyncio.TimerHandle | None = None
        self._paused = False
        self._stopping = False
        self._drained = False
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the group has its queues; what is sent from now on reaches it."""
        connection = await self._connect()
        try:
            await self._register(connection)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        self._running = asyncio.create_task(self._run())

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self.wake()

    async def stop(self) -> None:
        self._stopping = True
        self._news.set()
        while self._receiving:
            await asyncio.wait(self._receiving)
        for delivery in list(self._in_hand):
            delivery.give_back()
        self._drained = True
        self._patience.stop()
        self._news.set()
        if self._running is not None:
            await asyncio.wait({self._running})

    @property
    def stopped(self) -> bool:
        return self._stopping

    def wake(self) -> None:
        """There may be news."""
        self._look_now = True
        self._news.set()

    def takes(self, count: int) -> bool:
        """Whether so many more messages can be taken at once."""
        return not self._paused and not self._stopping and self._prefetch - len(self._in_hand) >= count

    def settle(self, delivery: PostgresDelivery, delay_seconds: float | None, ours_again_seconds: float = 0.0) -> None:
        """Acknowledged (None) or given back: for others after the delay, for us so much later."""
        if delivery not in self._in_hand:
            return
        self._in_hand.remove(delivery)
        if delay_seconds is None:
            self._acknowledged.append((delivery.queue_id, delivery.message_id))
        else:
            place = delivery.queue_id, delivery.message_id, delivery.deliveries
            self._given_back.append((*place, max(delay_seconds, 0.0), ours_again_seconds))
        if self._crowded and len(self._in_hand) <= self._prefetch // 2:
            self.wake()
        elif self._settles is None:
            self._settles = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._news.set)

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
        wait_seconds, look_at = FIRST_WAIT_SECONDS, 0.0
        await self._acknowledge(connection)
        while True:
            self._news.clear()
            if self._settles is not None:  # what it waits for is done in this turn
                self._settles.cancel()
                self._settles = None
            if time.monotonic() >= self._register_at or await self._are_gone(connection):
                await self._register(connection)
            if time.monotonic() >= self._reclaim_at:
                await self._acknowledge(connection)  # by itself, also where looks are so slow that they fail
                await connection.execute(statements.RECLAIM, self._queue_ids, self._floors_now())
                self._reclaim_at = time.monotonic() + RECLAIM_INTERVAL_SECONDS
            await self._give_back(connection)
            room = 0 if self._paused or self._stopping else min(self._prefetch - len(self._in_hand), TAKE_MAX)
            looks = room > 0 and (self._look_now or time.monotonic() >= look_at)
            if not looks:
                await self._acknowledge(connection)
            else:
                longer = FIRST_WAIT_SECONDS if self._look_now else min(2 * wait_seconds, self._poll_interval_seconds)
                self._look_now = False
                taken, took_seconds = await self._look(connection, room)
                self._patience.succeeded()
                wait_seconds = FIRST_WAIT_SECONDS if taken else max(longer, 10 * took_seconds)
                look_at = time.monotonic() + wait_seconds
            if self._drained and not self._acknowledged and not self._given_back:
                return
            if room <= 0:
                await self._quiet_for(self._poll_interval_seconds)
            elif not self._look_now:
                await self._quiet_for(max(look_at - time.monotonic(), CLOCK_SECONDS))

    async def _look(self, connection: session.Connection, room: int) -> tuple[int, float]:
        """How many came, and the seconds it took."""
        began = time.monotonic()
        taken = await self._take(connection, room)
        took_seconds = time.monotonic() - began
        self._crowded = taken == room
        self._look_now = self._look_now or taken == TAKE_MAX
        if took_seconds > SLOW_TAKE_SECONDS and began >= self._floors_until:
            await self._find_floors(connection)
        return taken, took_seconds

    async def _quiet_for(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    async def _register(self, connection: session.Connection) -> None:
        rows = await connection.fetch(statements.READING, self.topics, self._group)
        if len(rows) < len(self.topics):
            async with connection.transaction():
                await connection.execute(statements.LOCK)
                await connection.execute(statements.CLAIM, self.topics, self._group)
                await connection.execute(statements.ADD_GROUP, self.topics, self._group)
            rows = await connection.fetch(statements.READING, self.topics, self._group)
        self._queue_ids = [row["queue_id"] for row in rows]
        self._floors_until = 0.0
        self._register_at = time.monotonic() + REGISTER_INTERVAL_SECONDS

    async def _are_gone(self, connection: session.Connection) -> bool:
        """Whether somebody emptied the table of queues, or made it anew; looked at now and then."""
        if time.monotonic() < self._reclaim_at:
            return False
        rows = await connection.fetch(statements.QUEUES, self.topics, self._group)
        return {row["queue_id"] for row in rows} != set(self._queue_ids)

    async def _take(self, connection: session.Connection, room: int) -> int:
        self._queue_ids.append(self._queue_ids.pop(0))  # another one is first now
        with self._done_with() as done:
            rows = await connection.fetch(
                statements.TAKE, self._queue_ids, self._floors_now(), room, self._visibility_seconds, *done, self._left.now()
            )
        for row in rows:
            try:
                message = decode(row["message"])
            except msgspec.MsgspecError:  # not written by this bus: whoever receives it can say so, and keep it
                message = Message(topic=self.topics[0], key="", payload=bytes(row["message"]))
            delivery = PostgresDelivery(self, message, row)
            self._in_hand.add(delivery)
            if message.topic not in self.topics:  # its queue has the number that one of ours had before all were lost
                self._register_at = 0.0
                delivery.give_back()
                continue
            if self._paused or self._stopping:  # since we asked
                delivery.give_back()
                continue
            receiving = asyncio.create_task(self._receive(delivery))
            self._receiving.add(receiving)
            receiving.add_done_callback(self._receiving.discard)
        return len(rows)

    def _floors_now(self) -> list[int]:
        floors = self._floors if time.monotonic() < self._floors_until else {}
        return [floors.get(queue_id, 0) for queue_id in self._queue_ids]

    async def _find_floors(self, connection: session.Connection) -> None:
        began = time.monotonic()
        self._floors = {row["queue_id"]: row["floor"] for row in await connection.fetch(statements.FLOORS, self._queue_ids)}
        took_seconds = time.monotonic() - began
        self._floors_until = began + max(1.0, 20 * took_seconds)

    async def _receive(self, delivery: PostgresDelivery) -> None:
        try:
            await self._receiver(delivery)
        except Exception:
            logger.exception("a receiver raised; its message %r comes again", delivery.message.key)
            delivery.give_back(min(0.01 * 2 ** min(delivery.deliveries, 12), 30.0))

    async def _acknowledge(self, connection: session.Connection) -> None:
        if self._acknowledged:
            with self._done_with() as done:
                await connection.execute(statements.ACKNOWLEDGE, *done)

    @contextlib.contextmanager
    def _done_with(self) -> Iterator[tuple[list[int], list[int]]]:
        """What to acknowledge, as queues and messages; by the next session if this one breaks."""
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
                loop.call_later(delay_seconds + CLOCK_SECONDS, self._tell, self.topics)
                loop.call_later(delay_seconds + ours_again_seconds + CLOCK_SECONDS, self.wake)
            if self._paused or self._stopping:
                self._tell(self.topics)
