"""A subscription: polls of one queue per topic, deletions and visibilities in batches."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from dataclasses import dataclass
from typing import Any

from goconductor.aio.first_of import first_of
from goconductor.aio.tasks import Tasks, end
from goconductor.buses.shared.amazon import UNAVAILABLE, Client, ServiceLink, backoff_seconds, call, code_of, reason_of
from goconductor.buses.shared.condition import Condition
from goconductor.buses.shared.frame import Reading
from goconductor.buses.shared.in_flight import HeldDelivery, InFlight
from goconductor.buses.sqs import wire
from goconductor.buses.sqs.topology import ABSENT, Topology
from goconductor.errors import BusUnavailableError
from goconductor.redaction import logger_of

logger = logger_of(__name__)

BATCH = 10
"""Greatest number of messages in a request, as the service says."""
POLLS_AT_ONCE = 4
"""Greatest number of requests that wait for messages of one queue."""
SETTLE_AT_ONCE = 8
"""Number of requests at a time that acknowledge or give back."""
ANSWER_SECONDS = 10.0
"""Seconds that the service has to answer, beyond what a poll waits."""
LEAVE_SECONDS = 5.0
"""Seconds that a stop waits for polls, and for what is still to be settled."""
VISIBILITY_SECONDS_MAX = 43_200
"""Greatest number of seconds that the service hides a message."""
MARK_SECONDS = 600.0
"""Seconds between two marks that a queue is in use."""
LOST = {"InvalidParameterValue", "MessageNotInflight", "ReceiptHandleIsInvalid", *ABSENT}
"""Error codes of a message that is no longer ours: it comes again, or is gone."""


@dataclass(slots=True, eq=False)
class _Held:
    """A message that is invisible to others."""

    reader: _Reader
    queue: str
    receipt: str
    received: int
    """The number of receives that SQS has counted."""
    visible_at: float


class _Reader:
    """One topic of the subscription."""

    def __init__(self, topic: str, prefetch: int) -> None:
        self.topic = topic
        self.prefetch = prefetch
        self.queue = ""
        self.held = 0
        self.asked = 0
        self.much = asyncio.Event()
        """Set when the last poll came back full."""

    def room(self) -> int:
        return min(self.prefetch - self.held - self.asked, BATCH)


class SqsSubscription:
    """A running consumer of some topics for one group.

    Args:
        link: the client.
        topology: the queues.
        reading: the topics, the group and the receiver.
        wait_seconds: seconds that a poll waits for messages.
        visibility_seconds: seconds for which a message in hand is kept from others at a time.
    """

    def __init__(
        self,
        link: ServiceLink,
        topology: Topology,
        reading: Reading,
        *,
        wait_seconds: int,
        visibility_seconds: int,
    ) -> None:
        self._link = link
        self._topology = topology
        self._group = reading.group
        names = sorted(set(reading.topics))
        self._readers = [_Reader(topic, max(reading.prefetch // len(names), 1)) for topic in names]
        self._wait_seconds = wait_seconds
        self._visibility_seconds = visibility_seconds
        self._in_flight: InFlight[_Held] = InFlight(reading.receiver, prefetch=reading.prefetch, on_settled=self._on_settled)
        self._held: set[_Held] = set()
        self._to_settle: list[tuple[_Held, int | None]] = []
        self._renewing = Tasks()
        self._changed = Condition()
        self._stopping = asyncio.Event()
        self._drained = False
        self._polls: list[asyncio.Task[None]] = []
        self._others: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin; return when the group has its queues, so that messages sent from now on reach it."""
        client = await self._link.get()
        await asyncio.gather(*(self._join(client, reader) for reader in self._readers))
        for reader in self._readers:
            polls = min(POLLS_AT_ONCE, -(-reader.prefetch // BATCH))
            self._polls += [asyncio.create_task(self._keep_polling(reader, is_first=not each)) for each in range(polls)]
        self._others = [asyncio.create_task(self._keep_settling()), asyncio.create_task(self._keep_hidden())]
        if any(self._topology.is_short_lived(reader.topic) for reader in self._readers):
            self._others.append(asyncio.create_task(self._keep_marked()))

    def pause(self) -> None:
        self._in_flight.pause()

    def resume(self) -> None:
        self._in_flight.resume()
        self._changed.notify_all()

    async def stop(self) -> None:
        self._stopping.set()
        self._changed.notify_all()
        await self._in_flight.finish()
        if self._polls:  # what they still bring goes back; to leave them would hide it from others
            await asyncio.wait(self._polls, timeout=self._wait_seconds + LEAVE_SECONDS)
        await end(*self._polls)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._renewing.join()
        await self._renewing.close()
        self._drained = True
        self._changed.notify_all()
        if self._others:
            await asyncio.wait(self._others[:1], timeout=LEAVE_SECONDS)
        await end(*self._others)
        await self._drop_short_lived()

    @property
    def stopped(self) -> bool:
        return self._drained

    # polling

    async def _keep_polling(self, reader: _Reader, *, is_first: bool) -> None:
        """Poll a topic. The first poll waits for messages; the others help where it found more than it could take."""
        tries = 0
        while await self._may_poll(reader, is_first=is_first):
            if (client := await self._link.get_unless(self._stopping)) is None:
                return
            count = reader.room()
            if count <= 0 or not self._in_flight.wants:
                continue
            reader.asked += count
            try:
                got = await self._poll(client, reader, count, self._wait_seconds if is_first else 0)
                tries = 0
            except UNAVAILABLE as error:
                got = 0
                await self._failed(client, reader, error)
                await asyncio.sleep(backoff_seconds(tries))
                tries += 1
            except Exception:
                got = 0
                logger.exception("the subscription of %s failed and tries again", self._group)
                await asyncio.sleep(backoff_seconds(tries))
                tries += 1
            finally:
                reader.asked -= count
            if got == count:
                reader.much.set()
            elif not is_first or not got:
                reader.much.clear()

    async def _may_poll(self, reader: _Reader, *, is_first: bool) -> bool:
        if not is_first:
            await first_of(reader.much.wait(), self._stopping.wait())
        await self._changed.wait_for(lambda: self._stopping.is_set() or (self._in_flight.wants and reader.room() > 0))
        return not self._stopping.is_set()

    async def _poll(self, client: Client, reader: _Reader, count: int, wait_seconds: int) -> int:
        asked_at = time.monotonic()
        answer = await call(
            client,
            "receive_message",
            wait_seconds + ANSWER_SECONDS,
            QueueUrl=reader.queue,
            MaxNumberOfMessages=count,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=self._visibility_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        for each in messages:
            now = time.monotonic()
            visible_at = max(asked_at, now - 1.0) + self._visibility_seconds
            received = int(each.get("Attributes", {}).get("ApproximateReceiveCount", 1))
            held = _Held(reader, reader.queue, each["ReceiptHandle"], received, visible_at)
            self._held.add(held)
            reader.held += 1
            message, before = wire.read(reader.topic, each["Body"])
            self._in_flight.take(message, before + received, held)
        return len(messages)

    async def _failed(self, client: Client, reader: _Reader, error: Exception) -> None:
        logger.info("the subscription of %s tries again: %s", self._group, reason_of(error))
        self._link.failed(client, error)
        if code_of(error) in ABSENT:
            with contextlib.suppress(*UNAVAILABLE):
                await self._join(client, reader)

    async def _join(self, client: Client, reader: _Reader) -> None:
        reader.queue = await self._topology.join(client, reader.topic, self._group)
        if self._topology.is_short_lived(reader.topic):
            await self._topology.mark(client, reader.topic)

    # settling

    def _on_settled(self, delivery: HeldDelivery[_Held], delay_seconds: float | None) -> None:
        held = delivery.tag
        held.reader.held -= 1
        seconds = None if delay_seconds is None else min(math.ceil(delay_seconds), VISIBILITY_SECONDS_MAX)
        if seconds is None or delivery.has_raised or held.received < self._topology.receives_max:
            self._settle_soon(held, seconds)
        else:
            self._renewing.start(self._renew(delivery, seconds), name="renew a message of SQS")

    def _settle_soon(self, held: _Held, seconds: int | None) -> None:
        self._held.discard(held)
        self._to_settle.append((held, seconds))
        self._changed.notify_all()

    async def _renew(self, delivery: HeldDelivery[_Held], seconds: int) -> None:
        """Replace a message that was given back so often that SQS would soon drop it, by a copy with a new count."""
        held = delivery.tag
        body = wire.body_of(delivery.message, delivery.deliveries)
        try:
            client = await self._link.get()
            where = self._topology.place_of(delivery.message.key, delay_seconds=seconds)
            await call(client, "send_message", ANSWER_SECONDS, QueueUrl=held.queue, MessageBody=body, **where)
        except UNAVAILABLE as error:
            logger.info("a message that was given back is not written anew yet: %s", reason_of(error))
            self._settle_soon(held, seconds)
        else:
            self._settle_soon(held, None)

    async def _keep_settling(self) -> None:
        tries = 0
        while True:
            await self._changed.wait_for(lambda: bool(self._to_settle) or self._drained)
            if not self._to_settle:
                return
            settled, self._to_settle = self._to_settle, []
            try:
                left = await self._settle(settled)
            except Exception:
                logger.exception("acknowledging failed and is tried again")
                left = settled
            self._to_settle += left
            tries = tries + 1 if left else 0
            if left:
                await asyncio.sleep(backoff_seconds(tries))

    async def _settle(self, settled: list[tuple[_Held, int | None]]) -> list[tuple[_Held, int | None]]:
        """Settle messages; return those that are left."""
        by_queue: dict[tuple[str, bool], list[tuple[_Held, int | None]]] = {}
        for each in settled:
            by_queue.setdefault((each[0].queue, each[1] is None), []).append(each)
        batches = [each[start : start + BATCH] for each in by_queue.values() for start in range(0, len(each), BATCH)]
        left: list[tuple[_Held, int | None]] = []
        client = await self._link.get()
        for start in range(0, len(batches), SETTLE_AT_ONCE):
            answers = await asyncio.gather(
                *(self._settle_batch(client, batch) for batch in batches[start : start + SETTLE_AT_ONCE])
            )
            left += [each for answer in answers for each in answer]
        return left

    async def _settle_batch(self, client: Client, batch: list[tuple[_Held, int | None]]) -> list[tuple[_Held, int | None]]:
        entries: list[dict[str, Any]] = [
            {"Id": str(index), "ReceiptHandle": held.receipt, **({} if seconds is None else {"VisibilityTimeout": seconds})}
            for index, (held, seconds) in enumerate(batch)
        ]
        operation = "delete_message_batch" if batch[0][1] is None else "change_message_visibility_batch"
        try:
            answer = await call(client, operation, ANSWER_SECONDS, QueueUrl=batch[0][0].queue, Entries=entries)
        except UNAVAILABLE as error:
            if code_of(error) in LOST:
                return []
            self._link.failed(client, error)
            return batch
        failed: list[dict[str, Any]] = answer.get("Failed", [])
        return [batch[int(each["Id"])] for each in failed if each.get("Code") not in LOST and not each.get("SenderFault")]

    async def _keep_hidden(self) -> None:
        """Extend the visibility of what is in hand, from half of its time on."""
        while True:
            await asyncio.sleep(self._visibility_seconds / 6)
            soon = time.monotonic() + self._visibility_seconds / 2
            due = [held for held in self._held if held.visible_at < soon]
            for held in due:
                held.visible_at = time.monotonic() + self._visibility_seconds
            try:
                left = await self._settle([(held, self._visibility_seconds) for held in due]) if due else []
            except UNAVAILABLE as error:
                logger.info("what is in hand could not be kept from others: %s", reason_of(error))
                left = [(held, 0) for held in due]
            for held, _ in left:
                held.visible_at = 0.0

    async def _keep_marked(self) -> None:
        """Mark that this process is there, and look for those that are not."""
        while True:
            try:
                client = await self._link.get()
                for reader in self._readers:
                    if self._topology.is_short_lived(reader.topic):
                        await self._topology.mark(client, reader.topic)
                await self._topology.drop_forgotten(client)
            except UNAVAILABLE as error:
                logger.info("queues of processes that are gone were not looked for: %s", reason_of(error))
            await asyncio.sleep(MARK_SECONDS)

    async def _drop_short_lived(self) -> None:
        with contextlib.suppress(TimeoutError, BusUnavailableError):
            async with asyncio.timeout(LEAVE_SECONDS):
                for reader in self._readers:
                    if self._topology.is_short_lived(reader.topic):
                        await self._topology.drop(await self._link.get(), reader.topic, self._group)
