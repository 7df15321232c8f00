"""One worker's session: what it holds, and what it is to be told."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import TypeAlias

from goconductor.gateway.protocol import Acknowledged, Cancelled, Draining, Outcome, Registration, Side, Task, Told

Code: TypeAlias = tuple[str, Side]
"""One side of a step, by the step's name."""


class Gone:
    """In place of an outcome: nobody will ever know it.

    Args:
        reason: why, for the history.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Errand:
    """A task as the gateway has it.

    Args:
        fence: names the attempt.
        code: what it runs.
        begin: called when it is given to a worker for the first time; makes the task, with the time that it has from then on.
        again: makes the task once more, with the time that is left.

    Attributes:
        answered: is done with the outcome, or with :class:`Gone`.
        session: who has it; None while it waits for one.
        is_over: whether nobody wants its outcome any more, while a worker may still be at it.
    """

    __slots__ = ("again", "answered", "begin", "code", "fence", "is_over", "session")

    def __init__(self, fence: str, code: Code, begin: Callable[[], Task], again: Callable[[], Task]) -> None:
        self.fence = fence
        self.code = code
        self.begin = begin
        self.again = again
        self.answered: asyncio.Future[Outcome | Gone] = asyncio.get_running_loop().create_future()
        self.session: Session | None = None
        self.is_over = False


class Session:
    """A worker's session. The desk gives it errands; a door reads what is told, and says what the worker sent.

    Args:
        registration: what the worker said first.
        now: the monotonic time.
        owner: who is known to be behind the worker; empty where nobody asks.

    Attributes:
        id: the session goes on by it, so nobody can guess it.
        connection: the number of the connection that is attached; an older one has nothing to say any more.
        attached: whether there is one.
        heard_at: when the worker gave its last sign of life, on the monotonic clock.
        left_at: when its connection was lost; None while there is one.
        in_hand: its errands without an outcome, by their fences.
        unacknowledged: fences of outcomes that are on their way into the log.
        over: how many of its errands are over.
        counted: its part in the room for each step, and ``counted_in_all``; the desk's.
    """

    def __init__(self, registration: Registration, now: float, owner: str = "") -> None:
        self.id = secrets.token_hex(16)
        self.owner = owner
        self.registration = registration
        self.codes = codes_of(registration)
        self.steps = {name for name, _ in self.codes}
        self.credit = registration.credit
        self.connection = 1
        self.attached = True
        self.heard_at = now
        self.left_at: float | None = None
        self.draining = False
        self.in_hand: dict[str, Errand] = {}
        self.unacknowledged: set[str] = set()
        self.over = 0
        self.counted: dict[str, int] = {}
        self.counted_in_all = 0
        self._told: deque[Told] = deque()
        self._news = asyncio.Event()

    @property
    def name(self) -> str:
        """The worker's name, for people."""
        return self.registration.worker or f"session {self.id[:8]}"

    @property
    def serves(self) -> bool:
        """Whether it takes tasks at present."""
        return self.attached and not self.draining

    @property
    def room(self) -> int:
        """How many more tasks it may be given now."""
        return self.credit - len(self.in_hand) if self.serves else 0

    def capacity(self) -> tuple[dict[str, int], int]:
        """Return how many tasks of each step it can be at that somebody wants, and of all.

        One that gets no more counts for what it has in hand: that has its place, and would else take one of another worker's.
        """
        if self.serves:
            room = max(self.credit, len(self.in_hand)) - self.over
            return dict.fromkeys(self.steps, room), room
        wanted = Counter(each.code[0] for each in self.in_hand.values() if not each.is_over)
        return dict(wanted), wanted.total()

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost with it."""
        return not self.in_hand and not self.unacknowledged

    @property
    def backlog(self) -> int:
        """How much there is to tell that no connection has taken yet."""
        return len(self._told)

    def tell(self, what: Told) -> None:
        """Have something for the worker."""
        self._told.append(what)
        self._news.set()

    async def told(self, connection: int, seconds: float) -> list[Told] | None:
        """Wait for what the worker is to be told.

        Args:
            connection: the number of the connection that it goes through.
            seconds: how long to wait, after which the list is empty.

        Returns:
            all that there is; None where that connection is not attached any more.
        """
        if self.connection == connection and self.attached and not self._told:
            self._news.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                pass
        if self.connection != connection:
            return None
        found = list(self._told)
        self._told.clear()
        return found if found or self.attached else None

    def attach(self, credit: int, holding: Iterable[str], now: float) -> tuple[str, ...]:
        """Go on over another connection. The worker's word counts for what it has received.

        Args:
            credit: how many tasks it may have at once.
            holding: the fences of the tasks that it has, and of the outcomes that are not acknowledged.
            now: the monotonic time.

        Returns:
            of what the worker holds the fences whose attempts are over.
        """
        self.credit = credit
        self.connection += 1
        self.attached = True
        self.heard_at, self.left_at = now, None
        held = set(holding)
        kept = [each for each in self._told if isinstance(each, Draining | Acknowledged)]
        answered = {each.fence for each in kept if isinstance(each, Acknowledged)}
        self._told = deque(kept)
        for fence, errand in list(self.in_hand.items()):
            if fence in held:
                continue
            if errand.is_over:
                del self.in_hand[fence]
                self.over -= 1
            else:
                self.tell(errand.again())
        self._news.set()  # who still waits for the older connection
        over = {fence for fence, errand in self.in_hand.items() if errand.is_over}
        known = self.in_hand.keys() | self.unacknowledged | answered
        return tuple(sorted(each for each in held if each in over or each not in known))

    def remind(self, over: Iterable[str]) -> tuple[str, ...]:
        """Tell the worker again which of its tasks are over that it is still at: each keeps its room until it has ended.

        Args:
            over: as :meth:`attach` has returned them.

        Returns:
            the others, which the worker need not tell us of.
        """
        for fence in (over := tuple(over)):
            if fence in self.in_hand:
                self.tell(Cancelled(fence, "its attempt was over while the connection was broken, or before"))
        return tuple(fence for fence in over if fence not in self.in_hand)

    def detach(self, now: float) -> None:
        """Note that its connection is lost."""
        self.attached, self.left_at = False, now
        self._news.set()

    def wake(self) -> None:
        """Let who waits for news look."""
        self._news.set()

    def drain(self) -> None:
        """Tell the worker that no more tasks come."""
        self.draining = True
        self.tell(Draining())

    def acknowledge(self, fence: str, *, recorded: bool) -> None:
        """Tell the worker that an outcome need not be kept."""
        self.unacknowledged.discard(fence)
        self.tell(Acknowledged(fence, recorded))

    def cancel(self, errand: Errand, reason: str) -> None:
        """Tell the worker that a task is over. It keeps its room until the worker says that it has ended."""
        errand.is_over = True
        self.over += 1
        self.tell(Cancelled(errand.fence, reason))


def codes_of(registration: Registration) -> frozenset[Code]:
    """Return the sides of steps that a worker runs."""
    actions = {(step.name, Side.ACTION) for step in registration.steps}
    return frozenset(actions | {(step.name, Side.COMPENSATION) for step in registration.steps if step.compensation})
