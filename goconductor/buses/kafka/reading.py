"""The thread of one consumer: it polls, hands messages over, stores offsets, and waits for the loop when partitions go.

librdkafka's consumer must be polled at all times, and calls back from within; so it has a thread of its own. All state of
deliveries belongs to the event loop. The thread hands over by ``call_soon_threadsafe``, in order, and reads plain attributes that
the loop sets.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from goconductor.aio.backoff import Backoff
from goconductor.buses.kafka.complaints import Complaints, KafkaErrorsAsExceptions, is_fatal
from goconductor.buses.kafka.configuration import refused
from goconductor.buses.kafka.offsets import Offsets
from goconductor.buses.kafka.records import Arrived, read
from goconductor.redaction import logger_of

POLL_SECONDS = 0.05
"""Seconds of one wait for messages."""
FULL_POLL_SECONDS = 0.01
"""The same while no more are wanted."""
BATCH = 500
"""Messages handed over to the loop at once; and as many may be on their way to it before partitions are paused."""
GATHER_SECONDS = 0.005
"""Seconds to wait for others when more than one message comes; a message that comes alone does not wait."""
CLOSE_SECONDS = 10.0
"""Seconds that a consumer has to leave its group."""
STUCK_SECONDS = 30.0
"""Seconds, beyond the time limit of handing over, that no call of librdkafka should take."""

GONE = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}  # noqa: SLF001

logger = logger_of(__name__)


class Taker(Protocol):
    """The loop's side."""

    def take(self, batch: Sequence[tuple[Offsets, Arrived]]) -> None:
        """Take messages that came, in the order of each partition."""
        ...

    async def hand_over(self, partitions: Sequence[Offsets]) -> Mapping[Offsets, int]:
        """Return what to commit for partitions that are about to be revoked."""
        ...

    def on_lost(self, topics: Sequence[str]) -> None:
        """Note topics that are not there any more."""
        ...

    async def prepare(self) -> None:
        """Prepare for a new consumer, perhaps on a cluster that knows neither its topics nor its group."""
        ...


class Reader:
    """A consumer and its thread.

    Args:
        settings: the consumer's.
        topics: to read.
        taker: gets what comes.
        hand_over_seconds: how long the loop may take to let partitions go.

    Attributes:
        full: nothing more is wanted for now; partitions are paused.
        away: the group is left, until this is False again.
    """

    def __init__(self, settings: Mapping[str, Any], topics: Sequence[str], taker: Taker, *, hand_over_seconds: float) -> None:
        self.full = False
        self.away = False
        self.joined = asyncio.Event()
        self._settings = {**settings, "error_cb": self._on_error}
        self._topics = list(topics)
        self._taker = taker
        self._hand_over_seconds = hand_over_seconds
        self._loop = asyncio.get_running_loop()
        self._assigned: dict[tuple[str, int], Offsets] = {}
        self._to_store: dict[Offsets, int] = {}
        self._handed_over = 0  # the thread counts
        self._taken = 0  # the loop counts
        self._paused = False
        self._closing = False
        self._broken = False
        self._complaints = Complaints(f"reading {', '.join(self._topics[:3])}")
        self._abandoned = False
        self._polled_at = self._loop.time()
        self._thread = threading.Thread(target=self._run, name="kafka consumer", daemon=True)

    @property
    def stuck(self) -> bool:
        """Whether the thread has been inside of one call of librdkafka for longer than any should take."""
        return not self._closing and self._loop.time() - self._polled_at > self._hand_over_seconds + STUCK_SECONDS

    def abandon(self) -> None:
        """Leave a stuck thread to itself: if it wakes up, it reports nothing more, and leaves its group."""
        self._abandoned = self._closing = True

    def start(self) -> None:
        """Begin.

        Raises:
            ConfigurationError: librdkafka does not take the settings.
        """
        try:
            consumer = Consumer(self._settings)
        except KafkaException as error:
            raise refused(error) from None
        self._consumer = consumer
        self._thread.start()

    def store(self, partition: Offsets, offset: int) -> None:
        """Remember how far a partition is done with; it is committed soon."""
        self._to_store[partition] = offset

    async def close(self) -> None:
        """Commit, leave the group and end the thread; a thread that cannot leave, as the brokers are away, is abandoned."""
        self._closing = True
        await asyncio.to_thread(self._thread.join, CLOSE_SECONDS)
        if self._thread.is_alive():
            logger.warning("a consumer could not leave its group within %g s and is left to its session timeout", CLOSE_SECONDS)

    def _run(self) -> None:
        pauses = Backoff(0.1, 5.0)
        while not self._closing:
            self._try(self._read)
            self._try(self._leave)
            if not self._closing:
                self._polled_at = self._loop.time()
                time.sleep(pauses.next())
                self._try(self._begin_anew)

    def _try(self, part: Callable[[Consumer], None]) -> None:
        """Run on, whatever happens: the thread goes on."""
        try:
            with KafkaErrorsAsExceptions():
                part(self._consumer)
        except KafkaException as error:
            self._complaints.log(error.args[0])
        except Exception:
            logger.exception("a consumer failed and begins anew")

    def _begin_anew(self, _: Consumer) -> None:
        self._prepare()
        self._consumer = Consumer(self._settings)

    def _read(self, consumer: Consumer) -> None:
        self._broken = False
        self._subscribe(consumer)
        present = True
        while not self._closing and not self._broken:
            if self.away is present:
                present = not present
                if present:
                    self._subscribe(consumer)
                else:
                    consumer.unsubscribe()
            self._rest(consumer)
            self._polled_at = self._loop.time()
            came = self._gathered(consumer)
            if came:
                self._handed_over += len(came)
                self._call(self._take, came)
            self._store(consumer)

    def _gathered(self, consumer: Consumer) -> list[tuple[Offsets, Arrived]]:
        """Return what comes within a poll, and what comes with it.

        Each call waits once for Python's lock, up to 5 ms where the loop is busy. So one call takes what is there, and one more
        what is waited for.
        """
        first = consumer.poll(FULL_POLL_SECONDS if self._paused else POLL_SECONDS)
        if first is None:
            return []
        came: list[tuple[Offsets, Arrived]] = []
        self._sort([first], came)  # before the next call, in which partitions may go and come
        more = consumer.consume(BATCH - 1, 0)
        self._sort(more, came)
        if 0 < len(more) < BATCH - 1:
            self._sort(consumer.consume(BATCH - 1 - len(more), GATHER_SECONDS), came)
        return came

    def _prepare(self) -> None:
        if (preparing := self._run_in_loop(self._taker.prepare())) is not None:
            with contextlib.suppress(concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
                preparing.result(self._hand_over_seconds)

    def _subscribe(self, consumer: Consumer) -> None:
        consumer.subscribe(self._topics, on_assign=self._got, on_revoke=self._give, on_lost=self._lose)

    def _take(self, came: Sequence[tuple[Offsets, Arrived]]) -> None:
        self._taken += len(came)
        self._taker.take(came)

    def _rest(self, consumer: Consumer) -> None:
        """Pause or resume the partitions. A busy loop cannot set ``full``, so what it has not taken yet counts too."""
        full = self.full or self._handed_over - self._taken > BATCH
        if full is self._paused:
            return
        partitions = [TopicPartition(*place) for place in self._assigned]
        if full:
            consumer.pause(partitions)
        else:
            consumer.resume(partitions)
        self._paused = full

    def _sort(self, messages: Sequence[KafkaMessage], came: list[tuple[Offsets, Arrived]]) -> None:
        for message in messages:
            if (error := message.error()) is not None:
                self._complain(error)
                continue
            partition = self._assigned.get((str(message.topic()), int(message.partition() or 0)))
            if partition is not None:
                came.append((partition, read(message)))

    def _complain(self, error: KafkaError) -> None:
        if error.code() in GONE:
            self._call(self._taker.on_lost, self._topics)
        self._on_error(error)

    def _store(self, consumer: Consumer) -> None:
        if not self._to_store:
            return
        to_store, self._to_store = self._to_store, {}
        places = [TopicPartition(each.topic, each.partition, offset) for each, offset in to_store.items() if not each.closed]
        try:
            if places:
                consumer.store_offsets(offsets=places)
        except KafkaException as error:  # of a partition that has just gone
            logger.debug("offsets were not stored: %s", error)

    def _got(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            self._assigned[place.topic, place.partition] = Offsets(place.topic, place.partition)
        if self._paused and places:
            consumer.incremental_assign(places)
            consumer.pause(places)
        self._call(self.joined.set)

    def _give(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        partitions = self._taken_away(places)
        if not partitions:
            return
        handing_over = self._run_in_loop(self._taker.hand_over(partitions))
        try:
            done = handing_over.result(self._hand_over_seconds) if handing_over else {}
        except concurrent.futures.TimeoutError:
            logger.warning("the loop did not let partitions go in time; what was in hand comes again")
            done = {}
        for partition in partitions:
            partition.closed = True
        commits = [TopicPartition(each.topic, each.partition, offset) for each, offset in done.items()]
        try:
            if commits:
                consumer.store_offsets(offsets=commits)
                consumer.commit(offsets=commits, asynchronous=True)  # one that waits may wait for ever, for brokers that froze
        except KafkaException as error:
            logger.warning("what was done with could not be committed and comes again: %s", error.args[0].str())

    def _lose(self, _: Consumer, places: list[TopicPartition]) -> None:
        """Close partitions that another reader has already: nothing can be committed."""
        for partition in self._taken_away(places):
            partition.closed = True

    def _taken_away(self, places: list[TopicPartition]) -> list[Offsets]:
        found = [self._assigned.pop((place.topic, place.partition), None) for place in places]
        return [each for each in found if each is not None]

    def _leave(self, consumer: Consumer) -> None:
        try:
            self._store(consumer)
            consumer.close()  # calls back for what it has
        except (KafkaException, RuntimeError) as error:
            logger.warning("a consumer did not leave in order: %s", error)
        self._lose(consumer, [TopicPartition(*place) for place in self._assigned])
        self._paused = False

    def _on_error(self, error: KafkaError) -> None:
        if is_fatal(error):
            self._broken = True
        self._complaints.log(error)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> None:
        if self._abandoned:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function, *arguments)

    def _run_in_loop(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:  # the loop is closed
            coroutine.close()
            return None
