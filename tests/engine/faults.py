"""Stores and buses that misbehave, and a saga over two services that meets them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

from goconductor import Retry, Saga, StepContext
from goconductor.buses.memory import MemoryBus
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import StoreUnavailableError
from goconductor.ports.bus import Message
from goconductor.ports.clock import Clock
from goconductor.ports.store import Acquire, Acquired, Append, Lease, LeaseKey, Outcome, Start
from goconductor.stores.memory import MemoryStore
from goconductor.stores.memory.log.appends import MemoryLog
from goconductor.stores.memory.log.leases import MemoryLeases
from goconductor.stores.memory.log.starts import MemoryStarts
from goconductor.testing.world import World
from goconductor.testing.world.signalling import WorldStore

T = TypeVar("T")


class Unanswering(MemoryStore):
    """The world's store, as somebody sees it who does not get each answer.

    Attributes:
        unanswered: this many appends from now on are done, but their answers are lost.
        unanswered_acquires: the same of acquires, and ``unanswered_starts`` of starts.
        away: this many appends from now on are not even done.
    """

    def __init__(self, world: World) -> None:
        super().__init__(data=world.store.data)
        self.unanswered = self.unanswered_acquires = self.unanswered_starts = self.away = 0
        faults, truth = self, world.store

        class Log(MemoryLog):
            async def append(self, appends: Sequence[Append]) -> list[Outcome]:
                if faults.away:
                    faults.away -= 1
                    raise StoreUnavailableError
                outcomes = await truth.log.append(appends)
                if faults.unanswered:
                    faults.unanswered -= 1
                    raise StoreUnavailableError
                return outcomes

        class Leases(MemoryLeases):
            async def acquire(self, requests: Sequence[Acquire]) -> list[Acquired]:
                acquired = await truth.leases.acquire(requests)
                if faults.unanswered_acquires:
                    faults.unanswered_acquires -= 1
                    raise StoreUnavailableError
                return acquired

        class Starts(MemoryStarts):
            async def start(self, starts: Sequence[Start]) -> list[Outcome]:
                outcomes = await truth.starts.start(starts)
                if faults.unanswered_starts:
                    faults.unanswered_starts -= 1
                    raise StoreUnavailableError
                return outcomes

        self.leases = leases = Leases(self.data)
        self.log, self.starts = Log(self.data, leases), Starts(self.data, leases)


class Unrenewing(WorldStore):
    """A store whose leases cannot be renewed, as in a process that is stopped."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)

        class Leases(MemoryLeases):
            async def renew(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
                raise StoreUnavailableError

        self.leases = Leases(self.data)


class Gated(MemoryStore):
    """The world's store, whose answers to appends, starts and acquires wait for the test once their work is done.

    Attributes:
        gate: closed by the test.
        done: set when something was done whose answer waits at the gate.
        gated: what waits at it.
        refusing: raised by each append in place of doing it, until it is None.
    """

    def __init__(self, world: World) -> None:
        super().__init__(data=world.store.data)
        self.gated = {"append", "start", "acquire"}
        self.gate, self.done = asyncio.Event(), asyncio.Event()
        self.refusing: Exception | None = None
        self.gate.set()
        gates, truth = self, world.store

        class Log(MemoryLog):
            async def append(self, appends: Sequence[Append]) -> list[Outcome]:
                if gates.refusing is not None:
                    raise gates.refusing
                return await gates.answer("append", await truth.log.append(appends))

        class Starts(MemoryStarts):
            async def start(self, starts: Sequence[Start]) -> list[Outcome]:
                return await gates.answer("start", await truth.starts.start(starts))

        class Leases(MemoryLeases):
            async def acquire(self, requests: Sequence[Acquire]) -> list[Acquired]:
                return await gates.answer("acquire", await truth.leases.acquire(requests))

        self.leases = leases = Leases(self.data)
        self.log, self.starts = Log(self.data, leases), Starts(self.data, leases)

    async def answer(self, what: str, answer: T) -> T:
        if what in self.gated:
            self.done.set()
            await self.gate.wait()
        return answer


class Behind:
    """A clock whose idea of the database's time is wrong by some seconds, until it is corrected."""

    def __init__(self, clock: Clock, ahead_seconds: float) -> None:
        self._clock = clock
        self.ahead_seconds = ahead_seconds

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def now(self) -> float:
        return self._clock.now() + self.ahead_seconds

    def observe(self, database_seconds: float) -> None: ...

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


class Unruly(MemoryBus):
    """A bus that loses, repeats, delays and reorders.

    Args:
        loses: the part of the messages that never arrive.
        copies: how often each of the others comes.
        held: so many are kept back and then sent in another order.
    """

    def __init__(self, world: World, *, loses: float = 0.0, copies: int = 1, held: int = 0, seed: int = 0) -> None:
        super().__init__(world.broker, clock=world.clock)
        self.loses, self.copies, self.held = loses, copies, held
        self.kept: list[Message] = []
        self._random = random.Random(seed)

    async def send(self, messages: Sequence[Message]) -> None:
        arriving = [message for message in messages if self._random.random() >= self.loses for _ in range(self.copies)]
        self.kept += arriving
        if len(self.kept) > self.held:
            self._random.shuffle(self.kept)
            sending, self.kept = self.kept, []
            await super().send(sending)


class Trade:
    """Steps of two services. ``effects`` counts how often each side of each step ran, by its idempotency key."""

    def __init__(self) -> None:
        self.effects: Counter[str] = Counter()
        self.shop = StepRegistry("shop")
        self.bank = StepRegistry("bank")
        self.failing: set[str] = set()

        async def act(ctx: StepContext) -> str:
            self.effects[ctx.idempotency_key] += 1
            if ctx.step in self.failing:
                from goconductor import PermanentError

                raise PermanentError("as the test wants it")
            return f"{ctx.step} done"

        async def amend(ctx: StepContext) -> None:
            self.effects[ctx.idempotency_key] += 1

        for registry, names in ((self.shop, ("reserve", "pack", "ship")), (self.bank, ("charge", "book"))):
            for name in names:
                registry.step(name=name)(act).compensation(amend)

    def saga(self, name: str = "trade") -> Saga[Any]:
        saga: Saga[Any] = Saga(name)
        reserve = saga.step("shop.reserve", retry=Retry(attempts_max=3))
        charge = saga.step("bank.charge", after=[reserve])
        book = saga.step("bank.book", after=[charge])
        pack = saga.step("shop.pack", after=[reserve])
        saga.step("shop.ship", after=[book, pack])
        return saga
