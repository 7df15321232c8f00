"""A subscription: a channel with a consumer per topic, made anew whenever it or its connection ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from aio_pika.abc import AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from goconductor.aio.tasks import Tasks
from goconductor.buses.rabbitmq import wire
from goconductor.buses.rabbitmq.connection import UNAVAILABLE, cancelled_or_unavailable, driver_channel, reason_of
from goconductor.buses.rabbitmq.delaying import Delays
from goconductor.buses.rabbitmq.topology import Topology
from goconductor.buses.shared.frame import Reading
from goconductor.buses.shared.in_flight import HeldDelivery
from goconductor.buses.shared.link import Link
from goconductor.buses.shared.subscription import ServedSubscription
from goconductor.redaction import logger_of

logger = logger_of(__name__)

OPEN_SECONDS = 30.0
"""Seconds that a channel has to open and to begin to consume."""
CLOSE_SECONDS = 5.0
"""Seconds that a channel has to close."""


@dataclass(frozen=True, slots=True)
class _Tag:
    """Which delivery, of which channel and queue."""

    session: _Session
    queue: str
    number: int


class _Session:
    """One life of the channel."""

    def __init__(self, connection: AbstractConnection, channel: Channel) -> None:
        self.connection = connection
        self.channel = channel
        self.others: list[Channel] = []
        self.consumers: list[str] = []
        self.unsettled: dict[int, bool] = {}
        """Numbers of deliveries in the order they came, and whether they are acknowledged."""
        self.broken: str | None = None

    async def close(self) -> None:
        """End its channels: the broker requeues what it has handed out and was not acknowledged."""
        for channel in (self.channel, *self.others):
            with contextlib.suppress(*UNAVAILABLE, asyncio.CancelledError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await channel.close()


class RabbitmqSubscription(ServedSubscription[_Tag]):
    """A running consumer of some topics for one group.

    Args:
        link: the connection.
        delays: publishes delayed messages, on another connection.
        topology: the queues.
        reading: the topics, the group and the receiver.
    """

    def __init__(
        self,
        link: Link[AbstractConnection],
        delays: Delays,
        topology: Topology,
        reading: Reading,
    ) -> None:
        super().__init__(reading)
        self._link = link
        self._delays = delays
        self._topology = topology
        self._topics = sorted(set(reading.topics))
        self._prefetch_each = max(reading.prefetch // len(self._topics), 1)
        self._to_settle: list[tuple[_Tag, bool]] = []
        self._delaying = Tasks()

    async def start(self) -> None:
        """Begin; return when the group has its queues and is read, so that messages sent from now on reach it."""
        session = await self._open(await self._link.get())
        self._begin(self._run(session))

    async def _settle_last(self) -> None:
        await self._delaying.join()

    async def _run(self, session: _Session | None) -> None:
        while session is not None or not self._drained.is_set():
            try:
                with cancelled_or_unavailable():
                    session = session or await self._reopen()
                    if session is not None:
                        await self._serve(session)
            except UNAVAILABLE as error:
                logger.info("the subscription of %s tries again: %s", self._group, reason_of(error))
            except Exception:
                logger.exception("the subscription of %s failed and tries again", self._group)
            self._in_flight.forget_waiting()
            if session is not None:
                await session.close()
                session = None
            if not self._drained.is_set():
                await self._patience.wait()

    async def _reopen(self) -> _Session | None:
        """Return a new session, or None if the subscription was stopped while it waited for a connection."""
        if (connection := await self._link.get_unless(self._drained)) is None:
            return None
        async with asyncio.timeout(OPEN_SECONDS):
            with cancelled_or_unavailable():
                return await self._open(connection)

    async def _open(self, connection: AbstractConnection) -> _Session:
        queues = [await self._topology.declare_group(connection, topic, self._group) for topic in self._topics]
        made = await connection.channel(publisher_confirms=True, on_return_raises=False)
        channel = await driver_channel(made)
        session = _Session(connection, channel)

        def broken(reason: str) -> None:
            session.broken = session.broken or reason
            self._news.set()

        made.close_callbacks.add(lambda _, error: broken(reason_of(error)))
        channel.on_consumer_cancel_callbacks.add(lambda _: broken("a queue was deleted"))
        try:
            await self._empty_waiting(session)
            await channel.basic_qos(prefetch_count=self._prefetch_each)
            if self._in_flight.wants:
                await self._consume(session, queues)
        except BaseException:
            await session.close()
            raise
        return session

    async def _empty_waiting(self, session: _Session) -> None:
        """Reject what waited for a first group: its dead-letter exchange leads it to all groups that are bound now."""
        for topic in self._topics:
            if await self._topology.has_waiting(session.connection, topic):
                channel = await driver_channel(await session.connection.channel(publisher_confirms=False))
                session.others.append(channel)

                async def let_go(delivered: DeliveredMessage, channel: Channel = channel) -> None:
                    assert delivered.delivery_tag is not None  # noqa: S101  (for the type checker)
                    await channel.basic_reject(delivered.delivery_tag, requeue=False, wait=False)

                await channel.basic_qos(prefetch_count=100)
                await channel.basic_consume(self._topology.waiting_queue(topic), let_go)

    async def _consume(self, session: _Session, queues: Sequence[str]) -> None:
        for topic, queue in zip(self._topics, queues, strict=True):

            async def came(delivered: DeliveredMessage, topic: str = topic, queue: str = queue) -> None:
                assert delivered.delivery_tag is not None  # noqa: S101  (for the type checker)
                message, deliveries = wire.read(topic, delivered)
                session.unsettled[delivered.delivery_tag] = False
                self._patience.succeeded()
                self._in_flight.take(message, deliveries, _Tag(session, queue, delivered.delivery_tag))

            answer = await session.channel.basic_consume(queue, came)
            session.consumers.append(str(answer.consumer_tag))

    async def _serve(self, session: _Session) -> None:
        queues = [self._topology.group_queue(topic, self._group) for topic in self._topics]
        while session.broken is None:
            self._news.clear()
            if session.consumers and not self._in_flight.wants:
                for consumer in session.consumers:
                    await session.channel.basic_cancel(consumer)
                session.consumers.clear()
            elif not session.consumers and self._in_flight.wants:
                await self._consume(session, queues)
            await self._settle(session)
            if self._drained.is_set() and not self._to_settle:
                return
            await self._news.wait()
        logger.info("the subscription of %s was cut: %s", self._group, session.broken)

    async def _settle(self, session: _Session) -> None:
        settled, self._to_settle = self._to_settle, []
        unsettled, channel = session.unsettled, session.channel
        for tag, done in settled:
            if tag.session is not session:
                continue  # it comes again by itself
            if done:
                unsettled[tag.number] = True
            else:
                del unsettled[tag.number]
                await channel.basic_nack(tag.number, requeue=True, wait=False)
        together = list(itertools.takewhile(unsettled.__getitem__, unsettled))
        if together:  # one word for all that came before the first that is still open
            await channel.basic_ack(together[-1], multiple=True, wait=False)
        for number in together:
            del unsettled[number]
        for number in {tag.number for tag, done in settled if done and tag.session is session} & unsettled.keys():
            del unsettled[number]
            await channel.basic_ack(number, wait=False)

    def _on_settled(self, delivery: HeldDelivery[_Tag], delay_seconds: float | None) -> None:
        if delay_seconds:
            self._delaying.start(self._delay(delivery, delay_seconds), name="delay a message of RabbitMQ")
        else:
            self._to_settle.append((delivery.tag, delay_seconds is None))
            self._news.set()

    async def _delay(self, delivery: HeldDelivery[_Tag], delay_seconds: float) -> None:
        kept = await self._delays.publish(delivery.tag.queue, delivery.message, delivery.deliveries, delay_seconds)
        self._to_settle.append((delivery.tag, kept))
        self._news.set()
