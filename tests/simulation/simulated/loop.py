"""An event loop in which all processes of a simulation live, with a virtual time and an order that follows from a seed.

Time stands still while anybody has something to do, and then jumps to the next timer. So an hour of waiting costs nothing, and a
busy machine changes nothing: the same seed gives the same run, to the last callback. (Zhou et al., "FoundationDB: A Distributed
Unbundled Transactional Key Value Store", 2021, section 4, made this way of testing known; madsim does the same for Rust.)

A callback belongs to a *machine*: one thread of one process. The callbacks of one machine run in the order in which they became
ready, as asyncio promises it to them. Whose turn it is, the seed decides. A machine can be stopped, as by SIGSTOP: its callbacks
wait while time goes on. It can be killed, as by ``kill -9``: not one of its callbacks runs any more, no ``finally``, nothing.
Since a task runs from one await to the next in one callback, a process can die at any await.

Tasks hash by their number and not by their address, so that a set of them has the same order in every process.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

TASKS_KEPT = 2_000
"""Tasks that are held; then those that have ended are let go."""


class Machine:
    """One thread of a process.

    Attributes:
        name: of the process, and of the thread if it has several.
        ready: its callbacks that may run.
        stopped: whether none of them runs for now.
        dead: whether none of them ever runs again.
        frail: whether faults may strike it.
    """

    __slots__ = ("dead", "frail", "name", "ready", "stopped")

    def __init__(self, name: str, *, frail: bool = False) -> None:
        self.name = name
        self.ready: deque[asyncio.Handle] = deque()
        self.stopped = self.dead = False
        self.frail = frail


class SimulatedTask(asyncio.Task[T]):
    """A task that knows its machine."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T], *, machine: Machine, number: int, **options: Any
    ) -> None:
        self.machine = machine
        self._number = number
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self._number


class NothingLeftError(AssertionError):
    """Everybody waits, and for nothing that could come."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """The event loop of one simulation.

    Args:
        seed: decides whose turn it is.

    Attributes:
        steps: the number of callbacks that have run.
        before_step: called before each callback of a frail machine; it may stop or kill that.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._chance = random.Random(f"turns {seed}")
        self._now = 0.0
        self._timers: list[tuple[float, int, Machine, asyncio.TimerHandle]] = []
        self._numbers = iter(range(1 << 62))
        self._machines: list[Machine] = []
        self.outside = self.machine("outside")
        self._current = self.outside
        self.before_step: Callable[[Machine], None] | None = None
        self.steps = 0
        self._tasks: list[SimulatedTask[Any]] = []
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Return the virtual time in seconds; it begins at zero."""
        return self._now

    def machine(self, name: str, *, frail: bool = False) -> Machine:
        """Add a machine."""
        made = Machine(name, frail=frail)
        self._machines.append(made)
        return made

    @contextmanager
    def on(self, machine: Machine) -> Iterator[None]:
        """Let what is started in here belong to another machine."""
        before, self._current = self._current, machine
        try:
            yield
        finally:
            self._current = before

    def bury(self, machine: Machine) -> None:
        """Let no callback of this machine run any more. They are kept for :meth:`let_end`."""
        machine.dead = True

    def let_end(self) -> None:
        """Let all machines go on, the dead ones too, so that what runs there can be cancelled at the end of a simulation."""
        self.before_step = None
        for machine in self._machines:
            machine.dead = machine.stopped = False

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> asyncio.Handle:
        """Run a callback in this turn: on the machine of its task, else on the present one."""
        self._check_closed()  # type: ignore[attr-defined]
        handle = asyncio.Handle(callback, args, self, context)
        task = getattr(callback, "__self__", None)
        machine = task.machine if isinstance(task, SimulatedTask) else self._current
        machine.ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback as :meth:`call_soon` does: no other thread is left."""
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback at a moment of the virtual time."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), self._current, timer))
        return timer

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback after some virtual seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> SimulatedTask[Any]:
        task = SimulatedTask(coroutine, machine=self._current, number=next(self._numbers), loop=loop, **options)
        # a task of a dead machine that nobody held would be closed by the garbage collector, at some moment of its own
        if len(self._tasks) >= TASKS_KEPT:
            self._tasks = [each for each in self._tasks if not each.done()]
        self._tasks.append(task)
        return task

    def tasks_of(self, machine: Machine) -> list[SimulatedTask[Any]]:
        """The tasks of a machine that have not ended."""
        return [task for task in self._tasks if task.machine is machine and not task.done()]

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave it in the heap, where it does nothing."""

    def _process_events(self, event_list: object) -> None:
        """Do nothing: there are no sockets."""

    def _write_to_self(self) -> None:
        """Do nothing: nobody sleeps in a selector."""

    def _run_once(self) -> None:
        able = [machine for machine in self._machines if machine.ready and not machine.stopped and not machine.dead]
        if not able:
            self._advance()
            return
        machine = able[0] if len(able) == 1 else able[int(self._chance.random() * len(able))]
        handle = machine.ready.popleft()
        if handle.cancelled():
            return
        if machine.frail and self.before_step is not None:
            self.before_step(machine)
            if machine.dead or machine.stopped:
                machine.ready.appendleft(handle)
                return
        self.steps += 1
        self._current = machine
        handle._run()
        self._current = self.outside

    def _advance(self) -> None:
        """Let time jump to the next timer."""
        timers = self._timers
        while timers and timers[0][3].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise NothingLeftError("no machine has anything to do, and no timer is set")
        self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            _, _, machine, timer = heapq.heappop(timers)
            if not timer.cancelled():
                machine.ready.append(timer)
