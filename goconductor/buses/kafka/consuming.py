"""A subscription as the event loop sees it: what came, what is in hand, what waits, and what is done with."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from goconductor.buses.kafka.offsets import Offsets
from goconductor.buses.kafka.records import Arrived, Record, copy
from goconductor.errors import GoConductorError
from goconductor.ports.bus import Message, Receiver
from goconductor.redaction import logger_of

LOCAL_SECONDS = 1.0
LOCAL_FOR_SECONDS = 5.0
LOCAL_LEAST_SECONDS = 0.01
"""Who gives back again and again for no time at all is not to spin."""
RESTING_SECONDS = 0.3
"""A subscription that is paused for longer leaves the group."""
LEAVING_SECONDS = 5.0
"""How long copies may take when we stop, or a partition goes; the originals come again otherwise."""
WAITING_MAX = 10_000
"""So many messages may wait for their time; then nothing more is fetched."""
HELD_UP_MAX = 1_000
LOOK_SECONDS = 5.0
"""So often a partition is looked at, whether a message that waits holds up more than ``HELD_UP_MAX`` others."""

logger = logger_of(__name__)


class KafkaDelivery:
    """A message in our hands. Settling it twice, or after its partition went, changes nothing."""

    __slots__ = (
        *("_subscription", "arrived", "came_at", "deliveries", "is_for_others", "message", "partition", "ready_at", "timer"),
        "tries",
    )

    def __init__(self, subscription: KafkaSubscription, partition: Offsets, arrived: Arrived) -> None:
        self._subscription = subscription
        self.message: Message = arrived.message
        self.deliveries = arrived.deliveries + 1
        self.partition = partition
        self.arrived = arrived
        self.tries = 0
        self.is_for_others = False
        self.came_at = subscription.now()
        self.ready_at = 0.0
        self.timer: asyncio.TimerHandle | None = None

    def acknowledge(self) -> None:
        self._subscription.settle(self, None)

    def give_back(self, delay_seconds: float = 0.0) -> None:
        self._subscription.settle(self, max(delay_seconds, 0.0))

    def pass_on(self, delay_seconds: float = 0.0) -> None:
        self.is_for_others = True
        self.give_back(delay_seconds)


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
        receiver: called for each delivery.
        prefetch: so many deliveries are in hand at most.
        drain_seconds: how long receivers may take with what is in hand when its partition goes.
        send: writes copies; True for each that was taken.
        another_partition: where a copy goes.
        lost: topics are not there any more.
        prepare: sees to it that the topics are there, and the group's settings.
    """

    def __init__(
        self,
        *,
        client: str,
        group: str,
        receiver: Receiver,
        prefetch: int,
        drain_seconds: float,
        send: Callable[[Sequence[Record]], Awaitable[Sequence[bool]]],
        another_partition: Callable[[str, int], int],
        lost: Callable[[Sequence[str]], None],
        prepare: Callable[[], Awaitable[None]],
    ) -> None:
        self.client = client
        self.stopped = False
        self.lost = lost
        self._prepare = prepare
        self._group = group
        self._receiver = receiver
        self._prefetch = prefetch
        self._drain_seconds = drain_seconds
        self._send = send
        self._another_partition = another_partition
        self._loop = asyncio.get_running_loop()
        self._reader: Fetching | None = None
        self._partitions: set[Offsets] = set()
        self._ready: deque[KafkaDelivery] = deque()
        self._in_hand: set[KafkaDelivery] = set()
        self._waiting: set[KafkaDelivery] = set()
        self._copies: list[tuple[KafkaDelivery, Record]] = []
        self._copying: asyncio.Task[None] | None = None
        self._receiving: dict[asyncio.Task[None], KafkaDelivery] = {}
        self._settled = asyncio.Event()
        self._paused = False
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

    # what the reader says

    def take(self, batch: Sequence[tuple[Offsets, Arrived]]) -> None:
        for partition, arrived in batch:
            if partition.closed or partition.going or self.stopped:
                continue  # not stored, so it comes again
            self._partitions.add(partition)
            partition.came(arrived.offset)
            delivery = KafkaDelivery(self, partition, arrived)
            if arrived.group and arrived.group != self._group:
                self._done(delivery)
            elif arrived.wait_seconds > 0:
                self._wait(delivery, arrived.wait_seconds)
            else:
                self._ready.append(delivery)
        self._hand_out()

    async def hand_over(self, partitions: Sequence[Offsets]) -> Mapping[Offsets, int]:
        """Let receivers finish for a while, and bring what is left elsewhere."""
        going = set(partitions)
        for partition in going:
            partition.going = True
        self._ready = deque(each for each in self._ready if each.partition not in going)
        give_up = self._loop.time() + self._drain_seconds
        while any(each.partition in going for each in self._in_hand):
            self._settled.clear()
            try:
                async with asyncio.timeout_at(give_up):
                    await self._settled.wait()
            except TimeoutError:
                break
        await self._bring_elsewhere(going)
        for partition in going:
            partition.closed = True
        self._partitions -= going
        return {each: offset for each in going if (offset := each.advance()) is not None}

    async def prepare(self) -> None:
        """See to the topics and the group; who sends will do it, if it cannot be done now."""
        with contextlib.suppress(GoConductorError):
            await self._prepare()

    # what the subscriber says

    def pause(self) -> None:
        self._paused = True
        if self._rests is None:
            self._rests = self._loop.call_later(RESTING_SECONDS, self._rest)

    def resume(self) -> None:
        self._paused = False
        if self._rests is not None:
            self._rests.cancel()
            self._rests = None
        if self._reader is not None:
            self._reader.away = False
        self._hand_out()

    def settle(self, delivery: KafkaDelivery, delay_seconds: float | None) -> None:
        """Acknowledged (None) or given back."""
        if delivery not in self._in_hand:
            return
        self._in_hand.remove(delivery)
        if not delivery.partition.closed:
            if delay_seconds is None:
                self._done(delivery)
            elif delay_seconds < LOCAL_SECONDS and self._stays(delivery):
                delivery.deliveries += 1
                delivery.tries += 1
                self._wait(delivery, max(delay_seconds, LOCAL_LEAST_SECONDS))
            else:
                self._copy(delivery, delay_seconds, delivery.deliveries)
        self._settled.set()
        self._loop.call_soon(self._hand_out)

    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    async def stop(self) -> None:
        self.stopped = True
        self._settled.set()
        for timer in (self._rests, self._looks):
            if timer is not None:
                timer.cancel()
        while self._receiving:
            await asyncio.wait(self._receiving)
        await self._bring_elsewhere(self._partitions)
        if self._copying is not None:  # the brokers are away: the originals come again
            self._copying.cancel()
            await asyncio.wait({self._copying})
        if self._reader is not None:
            await self._reader.close()
        for partition in self._partitions:
            partition.closed = True

    # within

    def _stays(self, delivery: KafkaDelivery) -> bool:
        """Whether it has not been here for so long that another should have it."""
        is_young = self.now() - delivery.came_at < LOCAL_FOR_SECONDS
        return is_young and not delivery.is_for_others and not delivery.partition.going and not self.stopped

    def _hand_out(self) -> None:
        while self._ready and not self._paused and not self.stopped and len(self._in_hand) < self._prefetch:
            delivery = self._ready.popleft()
            if delivery.partition.closed or delivery.partition.going:
                continue
            self._in_hand.add(delivery)
            receiving = asyncio.create_task(self._receive(delivery))
            self._receiving[receiving] = delivery
            receiving.add_done_callback(self._receiving.pop)
        if self._reader is not None:
            soon = sum(each.tries > 0 for each in self._waiting) if self._waiting else 0
            self._reader.full = len(self._ready) + soon >= 2 * self._prefetch or len(self._waiting) >= WAITING_MAX

    async def _receive(self, delivery: KafkaDelivery) -> None:
        try:
            await self._receiver(delivery)
        except Exception:
            logger.exception("a receiver raised; its message %r comes again", delivery.message.key)
            delivery.give_back(min(0.01 * 2 ** min(delivery.deliveries, 12), 30.0))

    def _done(self, delivery: KafkaDelivery) -> None:
        partition = delivery.partition
        partition.done(delivery.arrived.offset)
        if self._reader is None or partition.closed or partition.going:
            return
        if (offset := partition.storable()) is not None:
            self._reader.store(partition, offset)

    def _wait(self, delivery: KafkaDelivery, seconds: float) -> None:
        delivery.ready_at = self._loop.time() + seconds
        self._waiting.add(delivery)
        delivery.timer = self._loop.call_at(delivery.ready_at, self._waited, delivery)

    def _waited(self, delivery: KafkaDelivery) -> None:
        if delivery in self._waiting:
            self._waiting.remove(delivery)
            self._ready.appendleft(delivery)
            self._hand_out()

    def _copy(self, delivery: KafkaDelivery, delay_seconds: float, deliveries: int) -> None:
        partition = self._another_partition(delivery.message.topic, delivery.partition.partition)
        record = copy(
            delivery.arrived, group=self._group, deliveries=deliveries, delay_seconds=delay_seconds, partition=partition
        )
        self._copies.append((delivery, record))
        if self._copying is None:
            self._copying = asyncio.create_task(self._write_copies())

    async def _write_copies(self) -> None:
        wait_seconds = 0.1
        try:
            while self._copies:
                batch, self._copies = self._copies, []
                batch = [(delivery, record) for delivery, record in batch if not delivery.partition.closed]
                taken = await self._send([record for _, record in batch])
                for (delivery, record), is_taken in zip(batch, taken, strict=True):
                    if is_taken:
                        self._done(delivery)
                    else:
                        self._copies.append((delivery, record))
                if not all(taken):
                    await asyncio.sleep(wait_seconds)
                    wait_seconds = min(2 * wait_seconds, 5.0)
        finally:
            self._copying = None

    async def _bring_elsewhere(self, partitions: Iterable[Offsets]) -> None:
        """Copy what is in hand or waits, so that what came after it and is done with does not come again."""
        going = set(partitions)
        for delivery in [each for each in self._in_hand if each.partition in going]:
            self._in_hand.remove(delivery)
            self._copy(delivery, 0.0, delivery.deliveries)
        self._bring_waiting(each for each in self._waiting if each.partition in going)
        if self._copying is not None:
            await asyncio.wait({self._copying}, timeout=LEAVING_SECONDS)

    def _bring_waiting(self, deliveries: Iterable[KafkaDelivery]) -> None:
        for delivery in list(deliveries):
            self._waiting.remove(delivery)
            if delivery.timer is not None:
                delivery.timer.cancel()
            self._copy(delivery, max(delivery.ready_at - self._loop.time(), 0.0), delivery.deliveries - 1)

    def _replace(self, stuck: Fetching) -> None:
        """What it had brought comes again, by another one's hands."""
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
        if self._paused and self._reader is not None:
            self._reader.away = True

    def _look(self) -> None:
        """A message that waits for its time holds up many: it goes to the end of the log. A reader is stuck: another reads on."""
        if self._reader is not None and self._reader.stuck and not self.stopped:
            self._replace(self._reader)
        behind = {each: each.first_open() for each in self._partitions if each.held_up > HELD_UP_MAX}
        self._bring_waiting(each for each in self._waiting if behind.get(each.partition) == each.arrived.offset)
        self._waiting = {each for each in self._waiting if not each.partition.closed}
        self._partitions = {each for each in self._partitions if not each.closed}
        self._looks = self._loop.call_later(LOOK_SECONDS, self._look)
