"""The gateway of one process: a node for each participant that workers offer, and the sessions of the workers.

A participant belongs to workers or to code. A gateway opens its node with the first worker of a participant, and closes it when
the last one has been away for a while: until then its steps wait here, and afterwards on the bus, where ``saga show`` says that
nobody offers them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from goconductor.aio.tasks import Tasks, create_guarded_task, end
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import DefinitionError, GoConductorError, RequestRefusedError, StoreUnavailableError
from goconductor.gateway.hosted import Hosted
from goconductor.gateway.protocol import (
    SILENCE_SECONDS,
    GatewayClosedError,
    GatewayFullError,
    Outcome,
    Registration,
    SessionGoneError,
    Welcome,
)
from goconductor.gateway.session import Session, codes_of
from goconductor.gateway.steps import WORKERS, WorkerAction
from goconductor.ports.store import Instance
from goconductor.redaction import logger_of
from goconductor.saga.checking.code import unfit_inputs, unfit_undo
from goconductor.saga.checking.known import Known
from goconductor.saga.definition import Definition, Undo, each_saga
from goconductor.saga.ids import split_target

logger = logger_of("goconductor.gateway")

OURS = frozenset({"system", "server", "client"})
"""Names that no participant of workers can have."""
LOOK_SECONDS = 1.0
"""Seconds between two looks for workers that are silent or gone."""


class Limits(Protocol):
    """How much a gateway takes, as the settings have it."""

    @property
    def sessions_max(self) -> int: ...
    @property
    def participants_max(self) -> int: ...
    @property
    def credit_max(self) -> int: ...
    @property
    def grace_seconds(self) -> float: ...


class Gateway:
    """Takes workers in, and has them run the steps of their participants.

    Args:
        make_node: makes the engine of a participant's steps, not open.
        registered: asks the store for the instances of a participant.
        limits: how much it takes.
        monotonic: a clock that never goes back, in seconds.
    """

    def __init__(
        self,
        make_node: Callable[[StepRegistry], Node],
        registered: Callable[[str], Awaitable[list[Instance]]],
        limits: Limits,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_node = make_node
        self._registered = registered
        self._limits = limits
        self._monotonic = monotonic
        self._hosted: dict[str, Hosted] = {}
        self._opening = asyncio.Lock()
        self._sessions: dict[str, tuple[Session, Hosted]] = {}
        self._closing = Tasks()
        self._closed = False
        self._looking: asyncio.Task[None] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether it takes no workers any more."""
        return self._closed

    @property
    def sessions(self) -> Iterable[Session]:
        """The sessions of all workers."""
        return [session for session, _ in self._sessions.values()]

    def start(self) -> None:
        """Look after the workers from now on."""
        self._looking = create_guarded_task(self._look_after(), name="looking after workers")

    async def join(self, registration: Registration, owner: str = "") -> tuple[Session, Welcome]:
        """Begin a session, or go on with one.

        Args:
            registration: as the door has checked it.
            owner: who is known to be behind the worker; nobody else goes on with the session.

        Raises:
            GatewayClosedError: this server stops.
            GatewayFullError: it has no room for another worker, or another participant.
            RequestRefusedError: the participant is one of code, or its steps cannot be as they are offered.
            StoreUnavailableError: the database is away.
        """
        self._check_open()
        known = self._sessions.get(registration.session)
        if known is not None and known[0].owner == owner:
            session, hosted = known
            if hosted.registry.name != registration.participant:
                raise RequestRefusedError(f"the session is one of {hosted.registry.name!r}; begin a new one")
            hosted.describe(registration)
            session.registration = registration
            over = session.remind(session.attach(registration.credit, registration.holding, self._monotonic()))
            hosted.desk.change(session, codes_of(registration))
            with suppress(StoreUnavailableError):  # it is told later
                await hosted.offer()
            return session, Welcome(session=session.id, over=over)
        self._check_room()
        hosted = self._hosted.get(registration.participant) or await self._host(registration)
        self._check_open()
        self._check_room()  # others have come meanwhile
        hosted.describe(registration)
        session = Session(registration, self._monotonic(), owner)
        self._sessions[session.id] = session, hosted
        hosted.left_at = None
        hosted.desk.open(session)
        try:
            await hosted.offer()
        except BaseException:
            self._let_go(session, "its worker could not be registered")
            raise
        logger.info("worker %r of %r has joined, with credit for %d", session.name, registration.participant, session.credit)
        return session, Welcome(session=session.id, over=registration.holding)

    def session(self, session_id: str, owner: str = "") -> Session:
        """Return a session.

        Args:
            session_id: as the worker was told.
            owner: who is known to be behind the worker.

        Raises:
            SessionGoneError: there is no such session of that owner, or not any more.
        """
        found = self._sessions.get(session_id)
        if found is None or found[0].owner != owner:
            raise SessionGoneError
        return found[0]

    def heard(self, session: Session) -> None:
        """Note a sign of life."""
        session.heard_at = self._monotonic()

    def poll(self, session: Session, credit: int, holding: Sequence[str]) -> tuple[str, ...]:
        """Go on with a session over a connection that is new each time.

        Args:
            session: which.
            credit: how many tasks its worker may have at once.
            holding: the fences of what the worker has.

        Returns:
            of these the ones whose attempts are over.
        """
        over = session.attach(credit, holding, self._monotonic())
        self._refresh(session)
        return over

    def outcome(self, session: Session, outcome: Outcome) -> None:
        """Take in what came of a task."""
        if (found := self._sessions.get(session.id)) is not None:
            found[1].desk.outcome(session, outcome)

    def credit(self, session: Session, credit: int) -> None:
        """Change how many tasks a worker may have at once."""
        session.credit = credit
        self._refresh(session)

    def drain(self, session: Session) -> None:
        """Give a worker no more tasks, as it wants."""
        session.draining = True
        self._refresh(session)

    def leave(self, session: Session) -> None:
        """Let a worker go that wants to. What it has in hand is unknown."""
        self._let_go(session, f"worker {session.name!r} has left")

    def lost(self, session: Session, connection: int) -> None:
        """Note that a connection is over. With nothing in hand the session is too, else the worker may come back to it.

        Args:
            session: of the worker.
            connection: its number; an older one than the session's is of no interest.
        """
        if session.connection != connection or session.id not in self._sessions:
            return
        if session.is_idle:
            self._let_go(session, "its worker has left")
            return
        session.detach(self._monotonic())
        self._refresh(session)

    async def close(self) -> None:
        """Take no more workers, let them finish what they have within the drain's time, and leave."""
        self._closed = True
        await end(self._looking)
        for hosted in self._hosted.values():
            hosted.desk.close()
        await asyncio.gather(*(hosted.node.close() for hosted in self._hosted.values()))
        await self._closing.join()
        for session in self.sessions:
            self._let_go(session, "its gateway has stopped")

    def check(self, definition: Definition) -> None:
        """Refuse a definition that gives a step of workers what it does not take, as far as these are known here.

        Raises:
            DefinitionError: with all problems.
        """
        problems = [f"{where}{problem}" for where, saga in each_saga(definition) for problem in self._unfit(saga)]
        if problems:
            raise DefinitionError(definition.name, problems)

    def _unfit(self, definition: Definition) -> Iterator[str]:
        for step, known in Known(schema=definition.input_schema).each(definition.steps):
            if step.run and (action := self._action(step.run)) is not None:
                yield from unfit_inputs(step, action, known)
            undo = step.undo
            if isinstance(undo, Undo) and undo.run and (action := self._action(undo.run)) is not None:
                yield from unfit_undo(definition, step, action, known)

    def _action(self, run: str) -> WorkerAction | None:
        participant, name = split_target(run)
        hosted = self._hosted.get(participant)
        action = None if hosted is None else hosted.registry.steps.get(name)
        return action if isinstance(action, WorkerAction) and action.offered and action.described.inputs is not None else None

    async def _host(self, registration: Registration) -> Hosted:
        """Open the participant of a worker, unless somebody else has meanwhile."""
        name = registration.participant
        async with self._opening:
            return self._hosted.get(name) or await self._opened(name, registration)

    async def _opened(self, name: str, registration: Registration) -> Hosted:
        if name in OURS:
            raise RequestRefusedError(f"a participant cannot be named {name!r}, as goconductor's own is; give it another name")
        if len(self._hosted) >= self._limits.participants_max:
            raise GatewayFullError(
                f"this server has workers of {self._limits.participants_max} participants, as many as gateway.participants_max"
            )
        await self._check_name(name)
        hosted = Hosted(name, self._make_node)
        hosted.describe(registration)
        await hosted.node.open()
        if self._closed:
            await hosted.node.close()
            self._check_open()
        self._hosted[name] = hosted
        try:
            await self._check_name(name)  # code may have come at the same time; it looks as well
        except BaseException:
            self._unhost(name)
            raise
        return hosted

    async def _check_name(self, name: str) -> None:
        if any(is_of_code(each) for each in await self._registered(name)):
            raise RequestRefusedError(
                f"participant {name!r} has its steps in code; give the workers' participant another name, or stop its processes"
            )

    def _check_open(self) -> None:
        if self._closed:
            raise GatewayClosedError

    def _check_room(self) -> None:
        if len(self._sessions) >= self._limits.sessions_max:
            raise GatewayFullError(
                f"this server has {self._limits.sessions_max:,} workers, as many as gateway.sessions_max; use another server"
            )

    def _refresh(self, session: Session) -> None:
        if (found := self._sessions.get(session.id)) is not None:
            found[1].desk.refresh(session)

    def _let_go(self, session: Session, reason: str) -> None:
        found = self._sessions.pop(session.id, None)
        if found is None:
            return
        hosted = found[1]
        hosted.desk.leave(session, reason)
        session.detach(self._monotonic())
        if not hosted.desk.sessions:
            hosted.left_at = self._monotonic()
        logger.info("worker %r of %r is gone: %s", session.name, hosted.registry.name, reason)

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = self._monotonic()
            for session in self._silent(now):
                logger.warning("worker %r has given no sign of life for %.0f s", session.name, SILENCE_SECONDS)
                session.detach(now)
                self._refresh(session)
            for session in self.sessions:
                if session.left_at is not None and now - session.left_at >= self._limits.grace_seconds:
                    self._let_go(session, f"worker {session.name!r} is gone")
            for name, hosted in list(self._hosted.items()):
                if hosted.left_at is not None and now - hosted.left_at >= self._limits.grace_seconds:
                    logger.info("participant %r has no workers here any more", name)
                    self._unhost(name)
                elif hosted.left_at is None:
                    try:
                        await hosted.offer()
                    except GoConductorError as error:  # whatever it is, it is no reason to look after nobody any more
                        level = logging.DEBUG if isinstance(error, StoreUnavailableError) else logging.WARNING
                        logger.log(level, "what the workers of %r offer is told later: %s", name, error)

    def _silent(self, now: float) -> Iterator[Session]:
        for session in self.sessions:
            if session.attached and now - session.heard_at >= SILENCE_SECONDS:
                yield session

    def _unhost(self, name: str) -> None:
        """Let a participant go. One of that name may be opened anew meanwhile, as another instance."""
        hosted = self._hosted.pop(name)
        for session in list(hosted.desk.sessions.values()):  # of workers that came while it was not certain whose the name is
            self._let_go(session, f"participant {name!r} is not one of workers")
        hosted.desk.close()
        self._closing.start(hosted.node.close(), name=f"closing participant {name}")


def is_of_code(instance: Instance) -> bool:
    """Return whether a living instance has steps of its own, and none of workers."""
    return instance.dead_at is None and any(not each.get(WORKERS) for each in instance.steps.values())


def is_of_workers(instance: Instance) -> bool:
    """Return whether a living instance has steps that workers run."""
    return instance.dead_at is None and any(each.get(WORKERS) for each in instance.steps.values())
