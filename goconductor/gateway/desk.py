"""Gives tasks to the workers of one participant, each in its turn and none beyond its credit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from goconductor.aio.recent import Recent
from goconductor.engine.running.attempt import NotBegunError
from goconductor.gateway.protocol import Acknowledged, Outcome
from goconductor.gateway.session import Code, Errand, Gone, Session

REMEMBERED_MAX = 20_000
"""Acknowledgements that are remembered, for outcomes that come again."""


class Desk:
    """The sessions of one participant, and the tasks that wait for one.

    Which session is next is known by queues: one for each side of a step, of the sessions that offer it and have room. A session
    that gets a task goes to the end of them. So a task costs the same with a thousand sessions as with one.

    Args:
        on_room: called with how the room for each step has changed, and the room in all.
    """

    def __init__(self, on_room: Callable[[Mapping[str, int], int], None]) -> None:
        self.sessions: dict[str, Session] = {}
        self._on_room = on_room
        self._free: dict[Code, dict[Session, None]] = {}
        self._waiting: dict[Code, dict[Errand, None]] = {}
        self._unacknowledged: dict[str, Session] = {}
        self._answered: Recent[str, bool] = Recent(count_max=REMEMBERED_MAX)
        self._closed = False

    def open(self, session: Session) -> None:
        """Take a session in."""
        self.sessions[session.id] = session
        self.refresh(session)

    def refresh(self, session: Session) -> None:
        """Note that what a session can take has changed, and give it what waits."""
        self._count(session)
        for errand in self._next_for(session):
            self._give(session, errand)
        self._queue(session)

    def change(self, session: Session, codes: frozenset[Code]) -> None:
        """Let a session offer other steps."""
        self._unqueue(session)
        self._count(session, gone=True)
        session.codes, session.steps = codes, {name for name, _ in codes}
        self.refresh(session)

    def leave(self, session: Session, reason: str) -> None:
        """Let a session go. What it has in hand is unknown for ever.

        Args:
            session: which.
            reason: why, for the histories of sagas.
        """
        if self.sessions.pop(session.id, None) is None:
            return
        session.draining = True
        self._unqueue(session)
        self._count(session, gone=True)
        for fence in session.unacknowledged:
            self._unacknowledged.pop(fence, None)
        for errand in session.in_hand.values():
            if not errand.answered.done():
                errand.answered.set_result(Gone(reason))
        session.in_hand.clear()

    def close(self) -> None:
        """Give out nothing more. What waits was never begun."""
        self._closed = True
        for session in self.sessions.values():
            session.drain()
            self._unqueue(session)
            self._count(session)
        for waiting in self._waiting.values():
            for errand in waiting:
                if not errand.answered.done():
                    errand.answered.set_exception(_closed())
        self._waiting.clear()

    def put(self, errand: Errand) -> None:
        """Give a task to the worker whose turn it is, or let it wait for one.

        Raises:
            NotBegunError: the desk is closed.
        """
        if self._closed:
            raise _closed()
        free = self._free.get(errand.code)
        if free:
            session = next(iter(free))
            self._give(session, errand)
            self._queue(session)
        else:
            self._waiting.setdefault(errand.code, {})[errand] = None

    def withdraw(self, errand: Errand, reason: str) -> None:
        """Want no outcome any more, if there is none yet."""
        if (waiting := self._waiting.get(errand.code)) is not None:
            waiting.pop(errand, None)
        session = errand.session
        if session is not None and session.in_hand.get(errand.fence) is errand:
            session.cancel(errand, reason)
            self._count(session)

    def outcome(self, session: Session, outcome: Outcome) -> None:
        """Take an outcome in. It is acknowledged when it is in the log, or at once where its attempt is over.

        Args:
            session: of the worker that sent it.
            outcome: perhaps sent before.
        """
        fence = outcome.fence
        errand = session.in_hand.pop(fence, None)
        if errand is None:
            if self._unacknowledged.get(fence) is session:
                return  # it is on its way into the log
            session.tell(Acknowledged(fence, recorded=self._answered.use(fence) is True))
            return
        if errand.answered.done() or errand.is_over:
            session.over -= errand.is_over
            session.tell(Acknowledged(fence, recorded=False))
        else:
            session.unacknowledged.add(fence)
            self._unacknowledged[fence] = session
            errand.answered.set_result(outcome)
        self.refresh(session)

    def kept(self, fence: str, *, taken: bool) -> None:
        """Note that the engine is done with an attempt.

        Args:
            fence: the attempt.
            taken: whether its outcome is in the log.
        """
        session = self._unacknowledged.pop(fence, None)
        if session is not None:
            self._answered.put(fence, taken)
            session.acknowledge(fence, recorded=taken)

    def _give(self, session: Session, errand: Errand) -> None:
        errand.session = session
        session.in_hand[errand.fence] = errand
        session.tell(errand.begin())

    def _next_for(self, session: Session) -> Iterator[Errand]:
        """Yield waiting tasks for a session while it has room, one of each of its steps in turn."""
        queues = [queue for code in session.codes if (queue := self._waiting.get(code))]
        while queues and session.room > 0:
            for queue in queues:
                if session.room <= 0:
                    return
                errand = next(iter(queue))
                del queue[errand]
                yield errand
            queues = [queue for queue in queues if queue]

    def _queue(self, session: Session) -> None:
        """Put a session at the end of its queues, if it has room."""
        self._unqueue(session)
        if session.room > 0 and session.id in self.sessions:
            for code in session.codes:
                self._free.setdefault(code, {})[session] = None

    def _unqueue(self, session: Session) -> None:
        for code in session.codes:
            if (free := self._free.get(code)) is not None:
                free.pop(session, None)

    def _count(self, session: Session, *, gone: bool = False) -> None:
        """Tell how the room for its steps has changed."""
        before, in_all = session.counted, session.counted_in_all
        session.counted, session.counted_in_all = ({}, 0) if gone else session.capacity()
        if session.counted != before or session.counted_in_all != in_all:
            steps = before.keys() | session.counted.keys()
            more = {step: session.counted.get(step, 0) - before.get(step, 0) for step in steps}
            self._on_room(more, session.counted_in_all - in_all)


def _closed() -> NotBegunError:
    return NotBegunError("the gateway stops, and no worker was given this")
