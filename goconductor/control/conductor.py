"""Sagas started from Python, and what is asked of them afterwards: the same over a real installation and in a test's memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec

from goconductor.control import commands
from goconductor.errors import (
    CompensatedError,
    StoreUnavailableError,
    StuckError,
    TerminatedError,
)
from goconductor.lifecycle.state import SagaState, SagaStatus
from goconductor.participant.node import Node
from goconductor.ports.transactions import Transaction
from goconductor.saga.builder import Saga
from goconductor.saga.definition import Definition
from goconductor.saga.graph import Plan
from goconductor.saga.values import copied

I = TypeVar("I")  # noqa: E741


class SagaHandle(Generic[I]):
    """One saga that was started.

    Attributes:
        saga_id: its id.
        existing: True if its key had started it before.
    """

    def __init__(self, node: Node, saga_id: UUID, *, existing: bool = False, begun: bool = True) -> None:
        self.saga_id = saga_id
        self.existing = existing
        self._node = node
        self._begun = begun

    async def begin(self) -> None:
        """Begin at once what was started in a transaction of one's own: to be called after its commit.

        It may be left out: the leader's sweep begins the saga within a second or so (``recovery.sweep_interval_seconds``), also
        when this process dies. :meth:`result` does it too. May be called twice, and for any saga.

        Raises:
            SagaNotFoundError: the transaction is not committed, or was rolled back.
        """
        if not self._begun:
            await self._node.begin(self.saga_id)
            self._begun = True

    async def state(self) -> SagaState:
        """Where it stands now.

        Raises:
            SagaNotFoundError: there is no such saga.
        """
        state = (await self._node.view(self.saga_id)).state
        return msgspec.convert(msgspec.to_builtins(state), SagaState)  # the engine's own is nobody's to change

    async def result(self, *, timeout_seconds: float = 60.0) -> Any:
        """What the saga answers, once it has completed.

        Raises:
            CompensatedError: it failed and was compensated.
            StuckError: it waits for an operator.
            TerminatedError: an operator ended it.
            TimeoutError: it has not ended by then, and goes on all the same; it says what the saga waits for.
            SagaNotFoundError: there is no such saga, or the transaction that it was started in is not committed.

        While the database is away, it waits on.
        """
        with suppress(StoreUnavailableError):  # the sweep begins it as well
            await self.begin()
        state = await self._node.wait_for_end(self.saga_id, timeout_seconds)
        status = state.status
        if status is SagaStatus.COMPLETED:
            return copied((await self._node.plan_of(state)).output(state.input, state.referable()))
        about: dict[str, Any] = {"saga_id": self.saga_id, "reason": state.reason}
        if status is SagaStatus.COMPENSATED:
            raise CompensatedError(f"saga {self.saga_id} was compensated: {state.reason}", **about)
        if status is SagaStatus.TERMINATED:
            raise TerminatedError(f"saga {self.saga_id} was {state.reason}", **about)
        failures = "; ".join(f"step {name!r}: {state.step(name).failure}" for name in state.stuck_steps)
        raise StuckError(f"saga {self.saga_id} is stuck and waits for an operator: {failures}", **about)


class Conductor:
    """Starts sagas and asks after them.

    Args:
        node: this process's engine, open.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._registered: WeakKeyDictionary[Saga[Any], tuple[Definition, Plan, int]] = WeakKeyDictionary()

    async def start(
        self,
        saga: Saga[I] | str,
        input: I,
        *,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        transaction: Transaction | None = None,
    ) -> SagaHandle[I]:
        """Start a saga.

        Args:
            saga: a saga written in Python, which is registered if it is new, or the name of a registered one.
            input: its input.
            key: the same key again finds the same saga; up to 255 printable ASCII characters.
            labels: up to 20 words to find it by, each name and value a text.
            transaction: your own open one in the database of the saga log: an asyncpg connection, SQLAlchemy's ``AsyncSession``
                or ``AsyncConnection``, or a psycopg ``AsyncConnection``. The saga begins when it commits, or never; call
                :meth:`SagaHandle.begin` after the commit. Until then nobody sees it, and another start with its key waits.

        Raises:
            DefinitionError: the saga cannot run.
            PayloadError: the input cannot be kept, or does not fit the saga's input type.
            InputRefusedError: the input does not fit the registered definition's schema.
            SagaAlreadyStartedError: the key has started a saga with other input.
            RequestInvalidError: the key or a label cannot be one.
            RequestRefusedError: there is no definition of that name.
            StoreUnavailableError: the store is away; with a key, the start can be repeated safely.
            TypeError: the transaction is of a kind that is not known; says which are.
            ValueError: the connection is in no transaction.
            ConfigurationError: the transaction is in another database than the saga log, or may not write there.
        """
        started = await commands.start(
            self.node,
            saga if isinstance(saga, str) else await self._plan(saga),
            input,
            key=key,
            labels=labels,
            reply=True,
            transaction=transaction,
            input_type=None if isinstance(saga, str) else saga.input_type,
        )
        return SagaHandle(self.node, started.saga_id, existing=started.existing, begun=transaction is None)

    async def _plan(self, saga: Saga[Any]) -> Plan:
        """Registered once by an instance, as long as the saga is not written further."""
        known, serial = self._registered.get(saga), self.node.instance.serial
        if known is None or known[0] is not saga.definition or known[2] != serial:
            self.node.registry.check_definition(saga.definition)
            known = self._registered[saga] = (saga.definition, await self.node.definitions.register(saga.definition), serial)
        return known[1]

    def saga(self, saga_id: UUID) -> SagaHandle[Any]:
        """A saga that was started elsewhere."""
        return SagaHandle(self.node, saga_id)
