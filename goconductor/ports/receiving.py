"""What a subscription of any bus has in hand: duties 5, 6 and 7 of the port, for leaves whose client hands messages over.

The leaf gives messages to :class:`Hands` and hears what became of each. What its client brought beyond the prefetch waits here;
on a pause it goes back at once, so that others get it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from goconductor.ports.bus import Message, Receiver

T = TypeVar("T")

logger = logging.getLogger(__name__)

RAISED_SECONDS_MIN = 0.01
RAISED_SECONDS_MAX = 30.0


class Bell:
    """Rings when something has changed; who waits for a condition looks again."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Something has changed."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is looked at now, and at each ring."""
        while not condition():
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)


class Patience:
    """The waits between tries, each longer than the one before; whoever stops is not held up by them.

    What is refused at once would otherwise be tried again at once. News must not end such a wait, as there are some with each
    failure; only :meth:`stop` does.

    Args:
        first_seconds: the first wait, and the first after a success.
        seconds_max: the longest.
    """

    def __init__(self, first_seconds: float = 0.2, seconds_max: float = 5.0) -> None:
        self._first_seconds = self._next_seconds = first_seconds
        self._seconds_max = seconds_max
        self._stopped = asyncio.Event()

    def succeeded(self) -> None:
        """The next wait is a short one again."""
        self._next_seconds = self._first_seconds

    def stop(self) -> None:
        """Wait no more."""
        self._stopped.set()

    async def wait(self) -> None:
        """Before the next try."""
        seconds, self._next_seconds = self._next_seconds, min(2 * self._next_seconds, self._seconds_max)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()


class HeldDelivery(Generic[T]):
    """A message in our hands. Settling it twice, or after its subscription has stopped, changes nothing.

    Attributes:
        message: what was sent.
        deliveries: how often it was delivered, this time included.
        tag: the leaf's own, by which it settles.
        has_raised: its receiver raised; what is given back otherwise was only not for us, or not now.
        is_for_others: it was given back as we can never take it.
    """

    __slots__ = ("_hands", "deliveries", "has_raised", "is_for_others", "message", "tag")

    def __init__(self, hands: Hands[T], message: Message, deliveries: int, tag: T) -> None:
        self._hands = hands
        self.message = message
        self.deliveries = deliveries
        self.has_raised = False
        self.is_for_others = False
        self.tag = tag

    def acknowledge(self) -> None:
        self._hands.settle(self, None)

    def give_back(self, delay_seconds: float = 0.0) -> None:
        self._hands.settle(self, max(delay_seconds, 0.0))

    def pass_on(self, delay_seconds: float = 0.0) -> None:
        self.is_for_others = True
        self.give_back(delay_seconds)


class Hands(Generic[T]):
    """Hands messages to the receiver, at most so many at once.

    Args:
        receiver: called for each delivery, in a task of its own.
        prefetch: so many deliveries are in hand at most.
        settled: told what became of a delivery: acknowledged (None), or given back with a delay in seconds. It never blocks.
    """

    def __init__(self, receiver: Receiver, *, prefetch: int, settled: Callable[[HeldDelivery[T], float | None], None]) -> None:
        self._receiver = receiver
        self._prefetch = prefetch
        self._settled = settled
        self._waiting: deque[HeldDelivery[T]] = deque()
        self._in_hand: set[HeldDelivery[T]] = set()
        self._receiving: set[asyncio.Task[None]] = set()
        self._paused = False
        self._stopping = False

    @property
    def wants(self) -> bool:
        """Whether it takes messages at all now."""
        return not self._paused and not self._stopping

    @property
    def room(self) -> int:
        """How many more can be handed out."""
        return max(self._prefetch - len(self._in_hand) - len(self._waiting), 0)

    def take(self, message: Message, deliveries: int, tag: T) -> None:
        """A message has come."""
        self._waiting.append(HeldDelivery(self, message, deliveries, tag))
        self._hand_out()

    def settle(self, delivery: HeldDelivery[T], delay_seconds: float | None) -> None:
        """Acknowledged (None) or given back."""
        if delivery in self._in_hand:
            self._in_hand.remove(delivery)
            self._settled(delivery, delay_seconds)
            self._hand_out()

    def pause(self) -> None:
        self._paused = True
        self._hand_out()

    def resume(self) -> None:
        self._paused = False

    def forget_waiting(self) -> None:
        """The connection is gone: what was not handed out yet comes again by itself."""
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
                self._settled(self._waiting.popleft(), 0.0)
        while self._waiting and len(self._in_hand) < self._prefetch:
            delivery = self._waiting.popleft()
            self._in_hand.add(delivery)
            receiving = asyncio.create_task(self._receive(delivery))
            self._receiving.add(receiving)
            receiving.add_done_callback(self._receiving.discard)

    async def _receive(self, delivery: HeldDelivery[T]) -> None:
        try:
            await self._receiver(delivery)
        except Exception:
            logger.exception("a receiver raised; its message %r comes again", delivery.message.key)
            delivery.has_raised = True
            delivery.give_back(min(RAISED_SECONDS_MIN * 2 ** min(delivery.deliveries, 12), RAISED_SECONDS_MAX))
