"""The producers, each with a thread that gets the brokers' answer to each record.

librdkafka's own thread sends as soon as there is a record. Of many that come one after the other it would send the first one or
two by themselves, and the rest in a second request. So many are given to a producer that waits for a moment. A record alone is
not, since the moment is a millisecond, however short it is meant to be.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from goconductor.buses.kafka.complaints import KafkaErrorsAsExceptions, is_fatal
from goconductor.buses.kafka.configuration import Configuration, refused
from goconductor.buses.kafka.records import Record
from goconductor.redaction import logger_of

POLL_SECONDS = 0.2
"""Seconds of one wait for what the brokers confirm."""
FULL_WAIT_SECONDS = 0.005
"""Seconds between two attempts while the producer's queue is full."""
LINGER_MS = 0.1
"""How long the producer of many waits for the next record, in milliseconds."""

PRODUCER, PRODUCER_OF_MANY = "producer", "producer of many"
"""Their names among the clients of a process."""

logger = logger_of(__name__)


class _Sending:
    """Records that were given to the producer together: their reports come in its thread, and wake the loop once."""

    def __init__(self, count: int) -> None:
        self.reports: list[KafkaError | None] = [None] * count
        self.reported: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._left = count
        self._lock = threading.Lock()

    def report(self, index: int, error: KafkaError | None, _: object) -> None:
        with self._lock:
            self.reports[index] = error
            self._left -= 1
            if self._left:
                return
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if not self.reported.done():
            self.reported.set_result(None)


class Producers:
    """The producers of one bus object: one for a record alone, and one for many, made when there are many for the first time.

    Args:
        configuration: the settings of the clients.
        on_error: called with errors that concern no record, in a producer's thread.
        on_statistics: called with librdkafka's statistics of all producers, in a producer's thread.

    Raises:
        ConfigurationError: librdkafka does not take the settings.
    """

    def __init__(
        self, configuration: Configuration, *, on_error: Callable[[KafkaError], None], on_statistics: Callable[[str, str], None]
    ) -> None:
        self._configuration = configuration
        self._on_error = on_error
        self._on_statistics = on_statistics
        self.alone = self._made(PRODUCER, 0.0)
        self._of_many: Producing | None = None

    async def send(self, records: Sequence[Record]) -> list[KafkaError | None]:
        """Write the records; return the brokers' answer to each (None: accepted)."""
        if len(records) == 1:
            return await self.alone.send(records)
        if self._of_many is None:
            self._of_many = self._made(PRODUCER_OF_MANY, LINGER_MS)
        return await self._of_many.send(records)

    async def close(self, within_seconds: float) -> None:
        """Send what was given, no longer than that."""
        producers = [each for each in (self.alone, self._of_many) if each is not None]
        await asyncio.gather(*(each.close(within_seconds) for each in producers))

    def _made(self, client: str, linger_ms: float) -> Producing:
        settings = self._configuration.producer(linger_ms)
        seconds = self._configuration.send_timeout_seconds
        return Producing(settings, seconds, on_error=self._on_error, on_statistics=partial(self._on_statistics, client))


class Producing:
    """A producer, and its thread.

    Args:
        settings: those of the client.
        send_timeout_seconds: how long a record waits for room.
        on_error: called with errors that concern no record, in the producer's thread.
        on_statistics: called with librdkafka's statistics, in the producer's thread.

    Raises:
        ConfigurationError: librdkafka does not take the settings.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        send_timeout_seconds: float,
        *,
        on_error: Callable[[KafkaError], None],
        on_statistics: Callable[[str], None],
    ) -> None:
        self._settings = {**settings, "error_cb": self._on_client_error, "stats_cb": on_statistics}
        self._on_error = on_error
        self._send_timeout_seconds = send_timeout_seconds
        self._broken = False
        self._closing = False
        self.producer = self._made()
        self._thread = threading.Thread(target=self._poll, name="kafka producer", daemon=True)
        self._thread.start()

    async def send(self, records: Sequence[Record]) -> list[KafkaError | None]:
        """Write the records; return the brokers' answer to each (None: accepted)."""
        if self._broken:
            self._replace()
        sending = _Sending(len(records))
        for index, record in enumerate(records):
            await self._give(record, partial(sending.report, index))
        await sending.reported
        return sending.reports

    def cluster_id(self, within_seconds: float) -> str:
        """Return which cluster answers. This call blocks.

        Raises:
            KafkaException: no cluster answers.
        """
        with KafkaErrorsAsExceptions():
            return str(self.producer.cluster_id(within_seconds) or "")

    async def close(self, within_seconds: float) -> None:
        """Send what was given, no longer than that."""
        await asyncio.to_thread(self.producer.flush, within_seconds)
        self._closing = True
        await asyncio.to_thread(self._thread.join)

    async def _give(self, record: Record, report: Callable[[KafkaError | None, Any], None]) -> None:
        give_up = time.monotonic() + self._send_timeout_seconds
        while True:
            try:
                with KafkaErrorsAsExceptions():
                    self.producer.produce(
                        record.topic,
                        record.value,
                        record.key,
                        partition=record.partition,
                        headers=list(record.headers),
                        on_delivery=report,
                    )
            except BufferError:  # its queue is full
                if time.monotonic() > give_up:
                    report(KafkaError(KafkaError._QUEUE_FULL), None)  # noqa: SLF001  (so its constants are called)
                    return
                await asyncio.sleep(FULL_WAIT_SECONDS)
            except KafkaException as error:
                report(error.args[0], None)
                return
            else:
                return

    def _made(self) -> Producer:
        try:
            return Producer(self._settings)
        except KafkaException as error:
            raise refused(error) from None

    def _replace(self) -> None:
        """Replace the producer: an idempotent one whose history the brokers lost can never send again; a new one has none."""
        logger.warning("the producer cannot go on and is replaced")
        self._broken = False
        broken, self.producer = self.producer, self._made()
        broken.purge()
        broken.poll(0)

    def _on_client_error(self, error: KafkaError) -> None:
        if is_fatal(error):
            self._broken = True
        self._on_error(error)

    def _poll(self) -> None:
        while not self._closing:
            try:
                with KafkaErrorsAsExceptions():
                    self.producer.poll(POLL_SECONDS)
            except Exception:  # without this thread no send would ever end
                logger.exception("the producer's reports could not be read; they are read again")
                time.sleep(POLL_SECONDS)
        self.producer.purge()
        self.producer.poll(0)
