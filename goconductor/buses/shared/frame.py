"""The bus object of any leaf: what ``open``, ``send``, ``subscribe`` and ``close`` do alike in all of them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from goconductor.buses.shared.condition import Condition
from goconductor.errors import BusUnavailableError, ConfigurationError, PayloadError
from goconductor.ports.bus import TOPIC, Headers, Message, Receiver, Subscription, sendable


class EndingSubscription(Subscription, Protocol):
    """A subscription that knows whether it has ended."""

    @property
    def stopped(self) -> bool: ...


C = TypeVar("C")
S = TypeVar("S", bound=EndingSubscription)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a subscription is to read.

    Attributes:
        topics: at least one, each named as a bus allows.
        group: the consumer group.
        receiver: called for each delivery.
        prefetch: how many deliveries may be in hand at once.
    """

    topics: Sequence[str]
    group: str
    receiver: Receiver
    prefetch: int


class BusFrame(ABC, Generic[C, S]):
    """Checks what a bus is given, and keeps its connections and subscriptions. A leaf gives the four methods that are its own.

    Args:
        payload_bytes_max: larger payloads are refused, in bytes.
        headers: the leaf's limit for key and headers, if it has one.
    """

    def __init__(self, *, payload_bytes_max: int, headers: Headers | None = None) -> None:
        self.payload_bytes_max = payload_bytes_max
        self._headers = headers
        self._opened: C | None = None
        self._subscriptions: list[S] = []
        self._sends = 0
        self._sent = Condition()

    @abstractmethod
    async def _open(self) -> C:
        """Connect; returns what the other three methods are given.

        Raises:
            BusUnavailableError: the broker could not be reached in time.
            ConfigurationError: it refuses us; trying again would not help.
        """

    @abstractmethod
    async def _send(self, opened: C, messages: Sequence[Message]) -> tuple[Message, str] | None:
        """Send messages that fit; returns the first that the broker refused for its size, and the remedy.

        Raises:
            BusUnavailableError: the broker is away; some of them may have been taken.
        """

    @abstractmethod
    async def _take(self, opened: C, reading: Reading) -> S:
        """Begin to read; returns when what is sent from now on reaches the group.

        Raises:
            BusUnavailableError: the broker is away.
        """

    @abstractmethod
    async def _close(self, opened: C) -> None:
        """Disconnect; the subscriptions have stopped, and no send runs."""

    async def open(self) -> None:
        """Connect, and make what the bus needs; safe for many processes at once.

        Raises:
            BusUnavailableError: the broker could not be reached within ``open_timeout_seconds``.
            ConfigurationError: it refuses us; trying again would not help.
        """
        if self._opened is None:
            self._opened = await self._open()

    async def close(self) -> None:
        """Stop the subscriptions, wait for what was given to ``send``, and disconnect."""
        opened, subscriptions = self._opened, self._subscriptions
        self._opened, self._subscriptions = None, []
        await asyncio.gather(*(subscription.stop() for subscription in subscriptions))
        await self._sent.wait_for(lambda: not self._sends)
        if opened is not None:
            await self._close(opened)

    async def send(self, messages: Sequence[Message]) -> None:
        """Send the messages, and wait until the broker has taken them.

        Raises:
            BusUnavailableError: the broker is away, or the bus is not open; some of them may have been taken.
            PayloadError: one of them cannot be sent; the others were.
        """
        opened = self._connected()
        fit, refusal = sendable(messages, self.payload_bytes_max, self._headers)
        refused = await self._send_while_open(opened, fit) if fit else None
        if refused is not None and refusal is None:
            place = next(place for place, message in enumerate(messages) if message is refused[0])
            refusal = PayloadError(f"$[{place}].payload", refused[1])
        if refusal is not None:
            raise refusal

    async def subscribe(self, topics: Sequence[str], group: str, receiver: Receiver, *, prefetch: int) -> S:
        """Start to read topics for a group. What is sent after this has returned reaches it.

        Raises:
            BusUnavailableError: the broker is away, or the bus is not open.
            ConfigurationError: a topic's or the group's name cannot be used, or there is nothing to read.
        """
        opened = self._connected()
        if not topics or prefetch < 1 or not all(TOPIC.fullmatch(name) for name in (*topics, group)):
            raise ConfigurationError(
                "subscribe to one topic or more, named by letters, digits, '.', '_' and '-', with prefetch >= 1"
            )
        subscription = await self._take(opened, Reading(topics=topics, group=group, receiver=receiver, prefetch=prefetch))
        if self._opened is not opened:  # else nobody would ever stop it
            await subscription.stop()
            raise BusUnavailableError("the bus was closed while it subscribed; open it again")
        self._subscriptions = [*(each for each in self._subscriptions if not each.stopped), subscription]
        return subscription

    async def _send_while_open(self, opened: C, messages: Sequence[Message]) -> tuple[Message, str] | None:
        """Send; a close waits for it."""
        self._sends += 1
        try:
            return await self._send(opened, messages)
        finally:
            self._sends -= 1
            self._sent.notify_all()

    def _connected(self) -> C:
        if self._opened is None:
            raise BusUnavailableError("the bus is not open; call `await bus.open()` first")
        return self._opened


async def begun_within(
    seconds: float,
    beginning: Awaitable[object],
    *,
    unavailable: tuple[type[BaseException], ...],
    reason_of: Callable[[BaseException], str],
) -> None:
    """Wait until a subscription has begun.

    Args:
        seconds: how long to wait.
        beginning: what is waited for.
        unavailable: errors of the leaf's client that mean that the broker is away.
        reason_of: words for one of them.

    Raises:
        BusUnavailableError: the broker is away, or it took longer.
    """
    try:
        async with asyncio.timeout(seconds):
            await beginning
    except unavailable as error:
        raise BusUnavailableError(f"could not subscribe within {seconds:g} s: {reason_of(error)}") from error
