"""Several buses as one: all that are in use are read, and messages are sent over the chosen one.

It implements the bus's port, so that the engine knows nothing of it. The database has the choice; each process follows within a
second or so (:mod:`goconductor.switchover.follower`). The protocol needs nothing more. A message that one bus still had when it
was left is sent again by the sweep, and one that came over both is recognised like any duplicate.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

from goconductor.errors import BusUnavailableError, GoConductorError, StoreError
from goconductor.ports.bus import Bus, Delivery, Message, Receiver, Subscription
from goconductor.ports.bus_metrics import CountingBus, Lag, MeasuredBus, Statistic
from goconductor.ports.clock import Clock
from goconductor.ports.store.leading.choices import Choice, Phase, Report
from goconductor.redaction import logger_of
from goconductor.switchover.follower import Follower

logger = logger_of("goconductor.switchover")

UNNAMED = "the settings do not name it; restart with settings that do: until then nobody reads what is sent here"
OPEN_SECONDS = 10.0
"""Seconds that a further bus may take to open before its problem is reported; then it is tried again."""
QUIET_SECONDS = 2.0
"""Seconds without a delivery after which the bus that is left counts as empty."""


class _Open:
    """A bus that is open, and when something came over it last.

    Args:
        bus: it.
        clock: when.
        alone: there is no other, so nobody will ask.
    """

    def __init__(self, bus: Bus, clock: Clock, *, alone: bool) -> None:
        self.bus = bus
        self._clock = clock
        self._alone = alone
        self._in_hand = 0
        self._heard_at = clock.monotonic()

    def noted(self, receiver: Receiver) -> Receiver:
        """Return the receiver, with a note of each delivery."""

        async def receive(delivery: Delivery) -> None:
            self._in_hand += 1
            try:
                await receiver(delivery)
            finally:
                self._in_hand -= 1
                self._heard_at = self._clock.monotonic()

        return receiver if self._alone else receive

    def sends_no_more(self) -> None:
        """Note that nobody here sends over this bus any more: what is still to come, comes within a while."""
        self._heard_at = self._clock.monotonic()

    @property
    def quiet(self) -> bool:
        return not self._in_hand and self._clock.monotonic() - self._heard_at >= QUIET_SECONDS


class _Subscription:
    """One subscription, with its part on each bus that is in use."""

    def __init__(
        self, topics: Sequence[str], group: str, receiver: Receiver, prefetch: int, stopped: Callable[..., None]
    ) -> None:
        self._topics, self._group, self._receiver, self._prefetch = topics, group, receiver, prefetch
        self._stopped = stopped
        self._paused = self._ended = False
        self.parts: dict[str, Subscription] = {}

    async def join(self, name: str, opened: _Open) -> None:
        """Subscribe on a bus, unless that is done."""
        if name not in self.parts:
            receiver = opened.noted(self._receiver)
            part = await opened.bus.subscribe(self._topics, self._group, receiver, prefetch=self._prefetch)
            if self._ended:
                await part.stop()
                return
            self.parts[name] = part
            if self._paused:
                part.pause()

    def pause(self) -> None:
        self._paused = True
        for part in self.parts.values():
            part.pause()

    def resume(self) -> None:
        self._paused = False
        for part in self.parts.values():
            part.resume()

    async def stop(self) -> None:
        self._ended = True
        self._stopped(self)
        parts, self.parts = self.parts, {}
        await asyncio.gather(*(part.stop() for part in parts.values()))


class SwitchableBus:
    """The buses that a process names, as one :class:`goconductor.ports.bus.Bus`.

    While two are read, up to ``prefetch`` deliveries of each are in hand.

    Args:
        makes: makes each bus, by its name.
        follower: follows the choice of the buses in use.
        clock: measures for how long a bus is quiet.
    """

    def __init__(self, makes: Mapping[str, Callable[[], Bus]], *, follower: Follower, clock: Clock) -> None:
        self._makes = makes
        self._made = {name: make() for name, make in makes.items()}
        self._follower = follower
        self._clock = clock
        self._sends = ""
        self._open: dict[str, _Open] = {}
        self._subscriptions: list[_Subscription] = []
        self._closing: list[Bus] = []
        self._changing = asyncio.Lock()
        self.payload_bytes_max = min(bus.payload_bytes_max for bus in self._made.values())

    async def open(self) -> None:
        """Open the chosen bus; one beside it is opened as soon as it is there.

        Raises:
            BusUnavailableError: it cannot be reached; or the store, which knows which it is.
            ConfigurationError: the settings do not name it, or it refuses us.
        """
        try:
            await self._follower.begin()
        except StoreError as error:
            raise BusUnavailableError(f"which bus is used cannot be looked up: {error}") from error
        choice = self._follower.choice
        name = choice.chosen if choice.chosen in self._made else next(iter(self._made))
        await self._made[name].open()
        self._open[name] = self._opened(self._made[name])
        self._sends = name
        self._follower.follow(self._arrive)

    @property
    def left_behind(self) -> bool:
        """Whether all others use a bus that this process does not know: what it sends, nobody reads."""
        return self._follower.left_behind

    async def close(self) -> None:
        await self._follower.close()
        self._open.clear()
        await asyncio.gather(*(bus.close() for bus in (*self._made.values(), *self._closing)))

    async def send(self, messages: Sequence[Message]) -> None:
        if self._sends not in self._open:
            raise BusUnavailableError("the bus is not open; call `await bus.open()` first")
        await self._open[self._sends].bus.send(messages)

    async def subscribe(self, topics: Sequence[str], group: str, receiver: Receiver, *, prefetch: int) -> Subscription:
        subscription = _Subscription(topics, group, receiver, prefetch, self._forget)
        async with self._changing:
            if self._sends not in self._open:
                raise BusUnavailableError("the bus is not open; call `await bus.open()` first")
            await subscription.join(self._sends, self._open[self._sends])
            self._subscriptions.append(subscription)
            for name, opened in self._open.items():
                with contextlib.suppress(GoConductorError):  # it is tried again with the next look
                    await subscription.join(name, opened)
        return subscription

    async def lag(self, topic: str, group: str) -> Lag | None:
        """Return the lag as :class:`goconductor.ports.MeasuredBus` defines it, over all measured buses that are read."""
        asked = [opened.bus.lag(topic, group) for opened in self._open.values() if isinstance(opened.bus, MeasuredBus)]
        lags = [lag for lag in await asyncio.gather(*asked) if lag is not None]
        if not lags:
            return None
        return Lag(messages=sum(lag.messages for lag in lags), oldest_seconds=max(lag.oldest_seconds for lag in lags))

    def statistics(self) -> list[Statistic]:
        """Return the statistics as :class:`goconductor.ports.CountingBus` defines them, of the bus that is sent over."""
        sends = self._open.get(self._sends)
        return sends.bus.statistics() if sends is not None and isinstance(sends.bus, CountingBus) else []

    async def _arrive(self, choice: Choice) -> Report:
        """Read what is in use, send over what is chosen, leave the rest."""
        problems = {} if choice.chosen in self._made else {choice.chosen: UNNAMED}
        for name in choice.in_use:
            if name in self._made:
                try:
                    await self._join(name)
                except TimeoutError:
                    problems[name] = f"it did not open within {OPEN_SECONDS:g} s"
                except GoConductorError as error:
                    problems[name] = str(error)
        if choice.phase is Phase.DRAINING:
            problems.pop(choice.beside, None)  # it may be away for good: perhaps that is why it is left
        if choice.chosen in self._open and choice.chosen != self._sends:
            before, self._sends = self._sends, choice.chosen
            self._open[before].sends_no_more()
            logger.warning("messages are sent over the bus %r now, no more over %r", choice.chosen, before)
        if not problems:
            for name in [name for name in self._open if name not in choice.in_use]:
                await self._leave(name)
        left = self._open.get(choice.beside)
        quiet = left is None or left.quiet
        problem = "; ".join(f"{name!r}: {problem}" for name, problem in problems.items())
        return self._follower.report(self._sends, problem=problem, quiet=quiet)

    async def _join(self, name: str) -> None:
        if name not in self._open:
            bus = self._made[name]
            try:
                async with asyncio.timeout(OPEN_SECONDS):
                    await bus.open()
            except BaseException:
                await self._drop(name)
                raise
            self._open[name] = self._opened(bus)
        async with self._changing:
            for subscription in list(self._subscriptions):
                await subscription.join(name, self._open[name])

    async def _leave(self, name: str) -> None:
        async with self._changing:
            del self._open[name]
            parts = [part for each in self._subscriptions if (part := each.parts.pop(name, None)) is not None]
        try:
            await asyncio.gather(*(part.stop() for part in parts))
        finally:
            await self._drop(name)
        logger.warning("the bus %r is read no more, and closed", name)

    async def _drop(self, name: str) -> None:
        """Close it, and put one in its place that can be opened: a bus is opened once."""
        bus, self._made[name] = self._made[name], self._makes[name]()
        try:
            await bus.close()
        except asyncio.CancelledError:
            self._closing.append(bus)  # ``close`` ends it
            raise

    def _opened(self, bus: Bus) -> _Open:
        return _Open(bus, self._clock, alone=len(self._makes) == 1)

    def _forget(self, subscription: _Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
