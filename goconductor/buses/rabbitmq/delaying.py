"""Delays a message: a copy in a queue whose messages expire after the delay and then go back to the group's queue."""

from __future__ import annotations

import asyncio

from aio_pika.abc import AbstractConnection
from pamqp.commands import Basic

from goconductor.buses.rabbitmq import wire
from goconductor.buses.rabbitmq.connection import UNAVAILABLE, cancelled_or_unavailable, reason_of
from goconductor.buses.rabbitmq.publishing import BLOCKED, PublishingChannel
from goconductor.buses.rabbitmq.topology import Topology
from goconductor.buses.shared.link import Link
from goconductor.ports.bus import Message
from goconductor.redaction import logger_of

logger = logger_of(__name__)

REQUEUE_SECONDS = 5.0
"""Seconds after which a copy that could not be published is requeued. Each requeue counts as a delivery, so it must be rare."""


class Delays:
    """Publishes copies for all subscriptions of a bus.

    Args:
        link: the connection for sending.
        topology: where the queues are.
    """

    def __init__(self, link: Link[AbstractConnection], topology: Topology) -> None:
        self._link = link
        self._topology = topology
        self._channel = PublishingChannel(link)

    async def publish(self, queue: str, message: Message, deliveries: int, delay_seconds: float) -> bool:
        """Let a message come to a queue after a delay; whether the broker has taken it. If not, that takes its time.

        Args:
            queue: where it goes then.
            message: what was delivered.
            deliveries: how often.
            delay_seconds: not before.
        """
        requeue_at = asyncio.get_running_loop().time() + REQUEUE_SECONDS
        try:
            async with asyncio.timeout_at(requeue_at):
                with cancelled_or_unavailable():
                    if await self._publish(queue, message, deliveries, delay_seconds):
                        return True
            reason = "the broker has refused it"
        except UNAVAILABLE as error:
            if await self._channel.is_blocked():
                reason = BLOCKED
            else:
                reason = reason_of(error)
                await self._channel.give_up()
        logger.info("a message could not be delayed by the broker, it waits here and is requeued: %s", reason)
        await asyncio.sleep(requeue_at - asyncio.get_running_loop().time())  # refused at once, it would come again at once
        return False

    async def _publish(self, queue: str, message: Message, deliveries: int, delay_seconds: float) -> bool:
        connection = await self._link.get()
        channel = await self._channel.open(connection)
        for anew in (False, True):
            exchange = await self._topology.declare_delay(connection, delay_seconds, anew=anew)
            answer = await channel.basic_publish(
                message.payload,
                exchange=exchange,
                routing_key=queue,
                properties=wire.properties(message, deliveries),
                mandatory=True,
                wait=False,
            )
            if isinstance(answer, Basic.Ack):
                return True
        return False
