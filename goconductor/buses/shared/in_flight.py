"""The deliveries in hand of a subscription, for any bus: duties 5, 6 and 7 of the port.

The leaf gives messages to :class:`InFlight`, which calls it back with the outcome of each. What its client brought beyond the
prefetch waits here; on a pause it goes back at once, so that others get it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from goconductor.aio.backoff import doubled
from goconductor.ports.bus import Message, Receiver
from goconductor.redaction import logger_of

T = TypeVar("T")

logger = logger_of(__name__)

RAISED_SECONDS_MIN = 0.01
"""Seconds before a message comes again whose receiver raised; they double with each delivery."""
RAISED_SECONDS_MAX = 30.0
"""Greatest number of these seconds."""


class HeldDelivery(Generic[T]):
    """A message in our hands. Settling it twice, or after its subscription has stopped, changes nothing.

    Attributes:
        message: what was sent.
        deliveries: how often it was delivered, this time included.
        tag: the leaf's own, by which it settles.
        has_raised: its receiver raised; what is given back otherwise was only not for us, or not now.
        is_for_others: it was given back as we can never take it.
    """

    __slots__ = ("_in_flight", "deliveries", "has_raised", "is_for_others", "message", "tag")

    def __init__(self, in_flight: InFlight[T], message: Message, deliveries: int, tag: T) -> None:
        self._in_flight = in_flight
        self.message = message
        self.deliveries = deliveries
        self.has_raised = False
        self.is_for_others = False
        self.tag = tag

    def acknowledge(self) -> None:
        self._in_flight.settle(self, None)

    def give_back(self, delay_seconds: float = 0.0) -> None:
        self._in_flight.settle(self, max(delay_seconds, 0.0))

    def pass_on(self, delay_seconds: float = 0.0) -> None:
        self.is_for_others = True
        self.give_back(delay_seconds)


class InFlight(Generic[T]):
    """Gives messages to the receiver, and knows which of them are not settled yet.

    Args:
        receiver: called for each delivery, in a task of its own.
        prefetch: how many deliveries may be in hand at once.
        on_settled: called with what became of a delivery: acknowledged (None), or given back with a delay in
            seconds. It never blocks.
    """

    def __init__(self, receiver: Receiver, *, prefetch: int, on_settled: Callable[[HeldDelivery[T], float | None], None]) -> None:
        self._receiver = receiver
        self._prefetch = prefetch
        self._on_settled = on_settled
        self._waiting: deque[HeldDelivery[T]] = deque()
        self._in_hand: dict[HeldDelivery[T], None] = {}  # in the order of their arrival, in which they are given back
        self._receiving: set[asyncio.Task[None]] = set()
        self._paused = False
        self._stopping = False

    @property
    def wants(self) -> bool:
        """Whether it takes messages at all now."""
        return not self._paused and not self._stopping

    @property
    def in_hand(self) -> int:
        """How many deliveries the receiver has and has not settled."""
        return len(self._in_hand)

    @property
    def room(self) -> int:
        """How many more can be handed out."""
        return max(self._prefetch - len(self._in_hand) - len(self._waiting), 0)

    def take(self, message: Message, deliveries: int, tag: T) -> None:
        """Take a message that has come."""
        delivery = HeldDelivery(self, message, deliveries, tag)
        if self._waiting or self._paused or self._stopping or len(self._in_hand) >= self._prefetch:
            self._waiting.append(delivery)
            self._hand_out()
        else:  # as nearly always
            self._give(delivery)

    def settle(self, delivery: HeldDelivery[T], delay_seconds: float | None) -> None:
        """Take note that it was acknowledged (None) or given back."""
        if delivery in self._in_hand:
            del self._in_hand[delivery]
            self._on_settled(delivery, delay_seconds)
            if self._waiting:
                self._hand_out()

    def pause(self) -> None:
        self._paused = True
        self._hand_out()

    def resume(self) -> None:
        self._paused = False

    def has(self, predicate: Callable[[T], bool]) -> bool:
        """Return whether a delivery is in hand whose tag the predicate accepts."""
        return any(predicate(delivery.tag) for delivery in self._in_hand)

    def withdraw(self, predicate: Callable[[T], bool]) -> list[T]:
        """Take deliveries out of the receiver's hands by their tags: what becomes of them there changes nothing any more."""
        withdrawn = [delivery for delivery in self._in_hand if predicate(delivery.tag)]
        for delivery in withdrawn:
            del self._in_hand[delivery]
        return [delivery.tag for delivery in withdrawn]

    def forget_waiting(self) -> None:
        """Forget what was not handed out: the connection is gone, and it comes again by itself."""
        self._waiting.clear()

    async def finish(self) -> None:
        """Take no more, wait for receivers that run, and give back what they keep."""
        self._stopping = True
        self._hand_out()
        while self._receiving:
            await asyncio.wait(self._receiving)
        for delivery in list(self._in_hand):
            delivery.give_back()

    def _hand_out(self) -> None:
        if not self.wants:
            while self._waiting:
                self._on_settled(self._waiting.popleft(), 0.0)
        while self._waiting and len(self._in_hand) < self._prefetch:
            self._give(self._waiting.popleft())

    def _give(self, delivery: HeldDelivery[T]) -> None:
        self._in_hand[delivery] = None
        receiving = asyncio.create_task(self._receive(delivery))
        self._receiving.add(receiving)
        receiving.add_done_callback(self._receiving.discard)

    async def _receive(self, delivery: HeldDelivery[T]) -> None:
        try:
            await self._receiver(delivery)
        except Exception:
            logger.exception("a receiver raised; its message %r comes again", delivery.message.key)
            delivery.has_raised = True
            delivery.give_back(doubled(RAISED_SECONDS_MIN, delivery.deliveries, seconds_max=RAISED_SECONDS_MAX))
