"""Sends: all messages of a call are on their way at once, each acknowledged by the stream for itself."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence

from nats.aio.client import Client

from goconductor.buses.nats import wire
from goconductor.buses.nats.connection import UNAVAILABLE, reason_of
from goconductor.buses.nats.topology import Topology
from goconductor.buses.shared.link import Link
from goconductor.errors import BusUnavailableError, ConfigurationError
from goconductor.ports.bus import Message

AGAIN_SECONDS = 0.1
"""Seconds between two attempts to send."""
ANSWER_SECONDS = 5.0
"""Seconds that the server has to confirm a message."""

_Named = tuple[str, Message]


class Sender:
    """Publishes to the stream.

    Args:
        link: the connection.
        topology: where to.
        send_timeout_seconds: what is not acknowledged by then may not have been sent.
    """

    def __init__(self, link: Link[Client], topology: Topology, *, send_timeout_seconds: float) -> None:
        self._link = link
        self._topology = topology
        self._send_timeout_seconds = send_timeout_seconds

    async def send(self, messages: Sequence[Message]) -> None:
        """Publish, and wait until the stream has taken all of them.

        Raises:
            BusUnavailableError: it has not by the end of the time; some may have been taken.
        """
        named = [(uuid.uuid4().hex, message) for message in messages]
        problem = self._link.trouble
        try:
            async with asyncio.timeout(self._send_timeout_seconds):
                while named:
                    problem = self._link.trouble
                    named, problem = await self._try(await self._link.get(), named)
        except TimeoutError:
            raise BusUnavailableError(
                f"{len(named)} messages were not confirmed within {self._send_timeout_seconds:g} s: {problem}"
            ) from None

    async def _try(self, client: Client, named: list[_Named]) -> tuple[list[_Named], str]:
        """Send once; return the messages still to be sent, and why."""
        publishing = asyncio.ensure_future(self._publish_all(client, named))
        gone = asyncio.ensure_future(self._link.gone(client).wait())
        try:
            await asyncio.wait({publishing, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not publishing.done():
                return named, self._link.trouble
            problems = publishing.result()
        except UNAVAILABLE as error:
            problems = [reason_of(error)] * len(named)
        finally:
            publishing.cancel()
            gone.cancel()
        failed = [each for each, problem in zip(named, problems, strict=True) if problem is not None]
        if failed:
            await asyncio.sleep(AGAIN_SECONDS)
            self._topology.forget()
            try:
                await self._topology.make_streams(client)  # somebody may have deleted them
            except (*UNAVAILABLE, ConfigurationError) as error:
                problems = [problem and reason_of(error) for problem in problems]
        return failed, next((problem for problem in problems if problem is not None), "")

    async def _publish_all(self, client: Client, named: list[_Named]) -> list[str | None]:
        await self._topology.keep_for_first_group(client, {message.topic for _, message in named})
        return list(await asyncio.gather(*(self._publish(client, *each) for each in named)))

    async def _publish(self, client: Client, message_id: str, message: Message) -> str | None:
        """Publish a message; return what went wrong, if something did."""
        try:
            answer = await client.request(
                self._topology.subject(message.topic),
                message.payload,
                timeout=ANSWER_SECONDS,
                headers=wire.headers_of(message, message_id),
            )
            acknowledged = json.loads(answer.data)
        except UNAVAILABLE as error:
            return reason_of(error)
        refusal = acknowledged.get("error")
        return str(refusal.get("description", refusal)) if refusal else None
