"""Sends: all messages of a call are on their way at once, each confirmed by the broker for itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from aio_pika.abc import AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic

from goconductor.buses.rabbitmq import wire
from goconductor.buses.rabbitmq.connection import UNAVAILABLE, cancelled_or_unavailable, reason_of
from goconductor.buses.rabbitmq.publishing import BLOCKED, PublishingChannel
from goconductor.buses.rabbitmq.topology import Topology
from goconductor.buses.shared.link import Link
from goconductor.errors import BusUnavailableError
from goconductor.ports.bus import Message

AGAIN_SECONDS = 0.1
"""Seconds between two attempts to send."""

_TOO_LARGE = re.compile(r"larger than configured max size (\d+)")


class Sender:
    """One channel that publishes, with confirms.

    Args:
        link: the connection.
        topology: where to.
        send_timeout_seconds: what is not confirmed by then may not have been sent.
    """

    def __init__(self, link: Link[AbstractConnection], topology: Topology, *, send_timeout_seconds: float) -> None:
        self._link = link
        self._topology = topology
        self._send_timeout_seconds = send_timeout_seconds
        self._channel = PublishingChannel(link)
        self._broker_bytes_max: int | None = None

    async def send(self, messages: Sequence[Message]) -> list[Message]:
        """Publish, and wait until the broker has taken all of them. Those whose fate a broken connection hides are sent again.

        Returns:
            Those that are larger than the broker takes.

        Raises:
            BusUnavailableError: it has not by the end of the time; some may have been taken.
        """
        too_large: list[Message] = []
        problem = self._link.trouble
        try:
            async with asyncio.timeout(self._send_timeout_seconds):
                while messages := self._fitting(messages, too_large):
                    messages, problem = await self._try(messages, problem)
        except TimeoutError:
            if await self._channel.is_blocked():
                problem = BLOCKED
            else:
                await self._channel.give_up()
            raise BusUnavailableError(
                f"{len(messages)} messages were not confirmed within {self._send_timeout_seconds:g} s: {problem}"
            ) from None
        return too_large

    async def _try(self, messages: Sequence[Message], problem: str) -> tuple[list[Message], str]:
        """Send once; return the messages still to be sent, and why."""
        connection = await self._link.get()
        try:
            with cancelled_or_unavailable():
                channel = await self._channel.open(connection)
                publishing = (self._publish(channel, message) for message in messages)
                answers = await asyncio.gather(*publishing, return_exceptions=True)
                returned = [isinstance(answer, DeliveredMessage) for answer in answers]
                unroutable = {message.topic for message, came_back in zip(messages, returned, strict=True) if came_back}
                for topic in unroutable:
                    await self._topology.declare_waiting(connection, topic)
        except UNAVAILABLE as error:
            await asyncio.sleep(AGAIN_SECONDS)
            return list(messages), reason_of(error)
        failed = [message for message, answer in zip(messages, answers, strict=True) if not isinstance(answer, Basic.Ack)]
        for answer in answers:
            if isinstance(answer, BaseException):
                if not isinstance(answer, (*UNAVAILABLE, asyncio.CancelledError)):  # a closed channel cancels what it awaits
                    raise answer
                problem = reason_of(answer)
                if found := _TOO_LARGE.search(problem):  # it ended the channel, and with it the others' confirms
                    self._broker_bytes_max = int(found.group(1))
        if failed and not unroutable:
            await asyncio.sleep(AGAIN_SECONDS)
        return failed, problem

    def _fitting(self, messages: Sequence[Message], too_large: list[Message]) -> Sequence[Message]:
        limit = self._broker_bytes_max
        if limit is None:
            return messages
        too_large += [message for message in messages if len(message.payload) > limit]
        return [message for message in messages if len(message.payload) <= limit]

    async def _publish(self, channel: Channel, message: Message) -> object:
        return await channel.basic_publish(
            message.payload,
            exchange=self._topology.exchange,
            routing_key=message.topic,
            properties=wire.properties(message),
            mandatory=True,
            wait=False,
        )
