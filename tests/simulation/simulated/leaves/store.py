"""The way to the store: calls travel to the database and answers back, and either may be lost.

The store is the one in memory, which does each call in one piece, as the database does a statement. A call is done on a machine
of the database, so that it is done also when its asker has died on the way.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, cast

from goconductor.errors import GoConductorError, StoreUnavailableError
from goconductor.ports.store import Store
from goconductor.stores.memory import MemoryStore
from tests.simulation.simulated.faults import Fault, Faults
from tests.simulation.simulated.loop import Machine, SimulatedLoop

TRAVEL_SECONDS = 0.002
LATE_SECONDS = 3.0
"""So late may a call be done whose asker was told that the store is away."""
REGISTER = "instances.register"
"""Its effect is bound to the session that it comes over: a lost session leaves no sign of life behind."""
SUBJECTS = (
    *("log", "leases", "locks", "permits", "starts", "instances", "recovery", "definitions", "dead_letters", "sagas", "terms"),
    *("retention", "failovers", "choices", "audit"),
)

Call = Callable[..., Coroutine[Any, Any, Any]]
Seen = Callable[[str, tuple[Any, ...], dict[str, Any], Any], None]
"""Called with each call that was done: its name, its arguments, and its answer."""


class Link:
    """A process's way to the database.

    Attributes:
        cut: whether nothing gets through.
    """

    def __init__(self) -> None:
        self.cut = False


class Database:
    """The database of a simulation.

    Args:
        loop: the simulation's.
        store: has the data.
        faults: what goes wrong on the way.
        chance: decides how long the way takes.
        on_done: called with each call that was done.
    """

    def __init__(self, loop: SimulatedLoop, store: MemoryStore, faults: Faults, chance: random.Random, on_done: Seen) -> None:
        self.loop, self.store, self._faults = loop, store, faults
        self.machine: Machine = loop.machine("database")
        self._chance = chance
        self._on_done = on_done
        self._open: dict[asyncio.Future[Any], None] = {}
        self.closed = False

    def travel(self) -> float:
        """How long a call or an answer is on its way, in seconds."""
        return self._chance.expovariate(1 / TRAVEL_SECONDS)

    async def call(self, link: Link, name: str, method: Call, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Do a call of the store.

        Raises:
            StoreUnavailableError: nobody knows whether it was done.
        """
        if self.closed:
            raise StoreUnavailableError("the simulation is over")
        faults, answer = self._faults, self.loop.create_future()
        refused, unknown = link.cut or faults.strikes(Fault.CALL_REFUSED), name != REGISTER and faults.strikes(Fault.CALL_UNKNOWN)
        late = faults.chance(Fault.CALL_UNKNOWN).choice([0.0, 0.0, LATE_SECONDS]) if unknown else 0.0
        self._open[answer] = None
        try:
            with self.loop.on(self.machine):
                if not refused:
                    seconds = self.travel() + late * faults.chance(Fault.CALL_UNKNOWN).random()
                    self.loop.call_later(seconds, self._do, name, method, args, options, None if unknown else answer)
                if refused or unknown:
                    seconds = self.travel() + (faults.chance(Fault.CALL_REFUSED).random() if refused else self.travel())
                    self.loop.call_later(seconds, self._fail, answer)
            return await answer
        finally:
            self._open.pop(answer, None)

    def crash(self) -> None:
        """Crash, and be there again: whoever waits for an answer gets none, and the leases are gone."""
        for answer in list(self._open):
            self._fail(answer)
        self._open.clear()
        self.store.truncate_leases()

    def _do(
        self, name: str, method: Call, args: tuple[Any, ...], options: dict[str, Any], answer: asyncio.Future[Any] | None
    ) -> None:
        done = method(*args, **options)
        try:
            done.send(None)
        except StopIteration as stopped:
            self._on_done(name, args, options, stopped.value)
            self.loop.call_later(self.travel(), _give, answer, stopped.value, None)
        except GoConductorError as error:
            self.loop.call_later(self.travel(), _give, answer, None, error)
        else:
            raise AssertionError(f"{name} of the store in memory waits for something: it is no single piece any more")

    def _fail(self, answer: asyncio.Future[Any]) -> None:
        _give(answer, None, StoreUnavailableError("the connection broke"))


def _give(answer: asyncio.Future[Any] | None, value: Any, error: GoConductorError | None) -> None:
    if answer is None or answer.done():
        return
    if error is None:
        answer.set_result(value)
    else:
        answer.set_exception(error)


class _Subject:
    """One subject of the store, seen from a process."""

    def __init__(self, name: str, target: object, database: Database, link: Link) -> None:
        self._name, self._target, self._database, self._link = name, target, database, link

    def __getattr__(self, method: str) -> Call:
        found: Call = getattr(self._target, method)

        async def call(*args: Any, **options: Any) -> Any:
            return await self._database.call(self._link, f"{self._name}.{method}", found, args, options)

        return call


class _Connected:
    """The store, seen from a process."""

    def __init__(self, database: Database, link: Link) -> None:
        self._database, self._link = database, link
        for name in SUBJECTS:
            setattr(self, name, _Subject(name, getattr(database.store, name), database, link))
        self.metrics = None

    async def open(self) -> None:
        """Connect; a database that is away is waited for."""
        await asyncio.sleep(self._database.travel())

    def beside(self) -> _Connected:
        return _Connected(self._database, self._link)

    async def close(self) -> None:
        """Disconnect."""


def connected(database: Database, link: Link) -> Store:
    """A store for one process."""
    return cast("Store", _Connected(database, link))
