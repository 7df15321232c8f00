"""A channel that publishes, on the connection for sending.

While an alarm is on (memory, disk), RabbitMQ stops reading from each connection that publishes. On a connection that also
consumes, it would read no acknowledgement any more, and the prefetch would soon end all consumption. So nothing is published on
the connection of the subscriptions. The broker reports that it has blocked a connection. What is given to the driver meanwhile
would be sent once the alarm is over, also if its sender has long given up. So we wait before we publish.
"""

from __future__ import annotations

import asyncio

from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel

from goconductor.buses.rabbitmq.connection import close, driver_channel
from goconductor.buses.shared.link import Link
from goconductor.errors import BusUnavailableError

CLOSE_SECONDS = 1.0
"""Seconds that a channel has to close."""
BLOCKED = "the broker takes no messages now: an alarm is on (rabbitmq-diagnostics alarms); give it memory or disk"


class PublishingChannel:
    """One channel with confirms, opened when it is needed, and again when it has ended.

    Args:
        link: the connection.
    """

    def __init__(self, link: Link[AbstractConnection]) -> None:
        self._link = link
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()

    async def open(self, connection: AbstractConnection) -> Channel:
        """Return the channel; wait while the broker has blocked the connection.

        Raises:
            BusUnavailableError: the connection has ended.
        """
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                made = await connection.channel(publisher_confirms=True, on_return_raises=False)
                self._channel = await driver_channel(made)
            channel = self._channel
        await self._unblocked(connection, channel)
        return channel

    async def give_up(self) -> None:
        """End it: a queue without a leader holds up the channel that publishes to it, and others need a new one."""
        channel, self._channel = self._channel, None
        if channel is not None and not channel.is_closed:
            await close(channel, within_seconds=CLOSE_SECONDS)

    async def is_blocked(self) -> bool:
        """Return whether the broker has reported that it reads no more from this connection."""
        try:
            async with asyncio.timeout(0.0):  # it is known already: no task, no waiting
                if self._channel is not None:
                    await self._channel.connection.ready()
        except TimeoutError:
            return True
        return False

    async def _unblocked(self, connection: AbstractConnection, channel: Channel) -> None:
        if not await self.is_blocked():
            return
        ready = asyncio.ensure_future(channel.connection.ready())
        gone = asyncio.ensure_future(self._link.gone(connection).wait())
        try:
            await asyncio.wait({ready, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                raise BusUnavailableError(self._link.trouble)
        finally:
            ready.cancel()
            gone.cancel()
