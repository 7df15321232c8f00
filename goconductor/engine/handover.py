"""Messages that came to the wrong instance, and how they get to a right one; which one is, colleagues know
(:mod:`goconductor.engine.facts.colleagues`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence

from msgspec.structs import replace

from goconductor.engine.facts.colleagues import LOOK_SECONDS, Colleagues, nobody_seconds
from goconductor.errors import BusError
from goconductor.messages.topics import replies_topic, steps_topic
from goconductor.ports.bus import Delivery, Message, pass_on
from goconductor.redaction import logger_of

logger = logger_of("goconductor.engine")

DELIVERIES_MAX = 50
"""Deliveries in search of an instance that can take a message, after which it is dropped; the sweep asks again."""
AGAIN_SECONDS = 1.0
"""Seconds before a message comes again that could not be handed over."""
BELIEVED_SECONDS = LOOK_SECONDS + 0.25
"""Seconds after which nobody hands anything to a node that offers nothing more: what was read before is forgotten, and sent."""
QUIET_SECONDS = 1.25
"""Seconds without a message, after which none waits any more on the topic of a node that leaves; longer than what it may have put
off for lack of room."""


class Handover:
    """Gives messages to others.

    Args:
        colleagues: who there is.
        send: sends messages.
        instance: answers this process's serial.
        counts: the counters of events.
    """

    def __init__(
        self,
        colleagues: Colleagues,
        send: Callable[[Sequence[Message]], Awaitable[None]],
        instance: Callable[[], int],
        counts: Counter[str],
    ) -> None:
        self._colleagues = colleagues
        self._send = send
        self._instance = instance
        self._counts = counts
        self._believed_until: float | None = None
        self._handed_on = 0

    async def last(self) -> None:
        """Return when nobody hands us anything any more, as we offer nothing from now on, and all is handed on."""
        self._believed_until = asyncio.get_running_loop().time() + BELIEVED_SECONDS
        await asyncio.sleep(BELIEVED_SECONDS)
        handed_on = 0
        while handed_on != self._handed_on:
            handed_on = self._handed_on
            await asyncio.sleep(QUIET_SECONDS)

    async def to_another(self, delivery: Delivery, target: str, features: Collection[str]) -> None:
        """Hand a message that we cannot take to an instance that can, or leave it to others for a while.

        An instance that is killed before it takes the message loses it, and the sweep asks again.

        Args:
            delivery: the message.
            target: the step that it is about, as ``participant.step``.
            features: what its saga uses.
        """
        participant, _, step = target.partition(".")
        if await self._to_successor(delivery, participant, step, features):
            return
        self._counts["messages_for_others"] += 1
        self.leave(delivery, await self._colleagues.wait_seconds(participant, step, features, delivery.deliveries))

    async def handed_on(self, delivery: Delivery, target: str, features: Collection[str]) -> bool:
        """Give away a message that was handed to us, and that nobody else hears there, as we leave.

        Where nobody is after us it goes back to the topic of all, once whoever has handed it to us knows that we leave: else we
        would have it again at once.

        Args:
            delivery: any message.
            target: the step that it is about, as ``participant.step``.
            features: what its saga uses.

        Returns:
            False where it came on the topic of all.
        """
        participant, _, step = target.partition(".")
        shared = steps_topic(participant)
        if delivery.message.topic == shared:
            return False
        self._handed_on += 1
        if not await self._to_successor(delivery, participant, step, features):
            await self._until_forgotten()
            if await self._sent_on(delivery, shared):
                self._counts["messages_handed_back"] += 1
            else:
                delivery.give_back(AGAIN_SECONDS)
        return True

    def leave(self, delivery: Delivery, wait_seconds: float | None = None) -> None:
        """Leave a delivery to an instance that has the step, or can read the saga: a rolling upgrade has both kinds.

        Args:
            delivery: the delivery.
            wait_seconds: seconds until others should have it, where we can never take it; None where we may later, and others
                now.
        """
        if delivery.deliveries >= DELIVERIES_MAX:
            self._counts["messages_given_up"] += 1
            delivery.acknowledge()
        elif wait_seconds is None:
            delivery.give_back(nobody_seconds(delivery.deliveries))
        else:
            pass_on(delivery, wait_seconds)

    async def _until_forgotten(self) -> None:
        """Wait until whoever hands messages to us must know that we leave. All that came meanwhile goes on together then."""
        until, now = self._believed_until, asyncio.get_running_loop().time()
        await asyncio.sleep(LOOK_SECONDS if until is None else max(until - now, 0.0))

    async def _to_successor(self, delivery: Delivery, participant: str, step: str, features: Collection[str]) -> bool:
        successor = await self._colleagues.successor(participant, step, features, self._instance())
        if successor is None or not await self._sent_on(delivery, replies_topic(successor.name)):
            return False
        self._counts["messages_handed_over"] += 1
        return True

    async def _sent_on(self, delivery: Delivery, topic: str) -> bool:
        """Send a message to another topic; whether the bus took it."""
        try:
            await self._send([replace(delivery.message, topic=topic)])
        except BusError as error:
            logger.debug("a message for %s stays where it is: %s", topic, error)
            return False
        delivery.acknowledge()
        return True
