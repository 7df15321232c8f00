"""Sagas that callers in this process start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from goconductor.engine.facts.definitions import Definitions
from goconductor.engine.log.append import Appender
from goconductor.engine.log.reader import Reader
from goconductor.engine.log.start import Started, Starter
from goconductor.engine.steps.listeners import Listener, notify
from goconductor.errors import SagaNotFoundError
from goconductor.lifecycle.facts.restart import Restart
from goconductor.ports.store.log.transactions import Transaction
from goconductor.saga.plan import Plan


class Starting:
    """Starts sagas for callers in this process: with the definition that they name, the notice that they want, and word to
    listeners.

    Args:
        definitions: compiled definitions.
        starter: starts sagas of a definition.
        reader: reads those that were started in a transaction.
        appender: goes on with them.
        listeners: the participant's, which may grow.
        replies_to: the topic on which this process gets the notices of ends.
        hear: has messages of a topic taken.
    """

    def __init__(
        self,
        *,
        definitions: Definitions,
        starter: Starter,
        reader: Reader,
        appender: Appender,
        listeners: Sequence[Listener],
        replies_to: str,
        hear: Callable[[str], None],
    ) -> None:
        self._definitions = definitions
        self._starter = starter
        self._reader = reader
        self._appender = appender
        self._listeners = listeners
        self._replies_to = replies_to
        self._hear = hear

    async def start(
        self,
        saga: str | Plan,
        input: Any,
        *,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        version: str | None = None,
        reply: bool = True,
        transaction: Transaction | None = None,
        identity: Any = msgspec.UNSET,
        priority: int | None = None,
        restart: Restart | None = None,
    ) -> Started:
        """Start a saga.

        Args:
            saga: its definition, or the definition's name.
            input: JSON data, or a dataclass, msgspec or pydantic model.
            key: a second start with this key and the same input finds the first.
            labels: free words to find it by.
            version: a version of that name; None takes the active one.
            reply: whether this process wants the notice of the end at once.
            transaction: the caller's own, in the database of the saga log; the saga exists from its commit on, and :meth:`begin`
                begins it then.
            priority: of its steps where they wait for room in a process; greater ones come first; None takes the definition's.
            identity: compared in place of the input when the key has started a saga before; the input, if left out.
            restart: the saga that had ended in whose place it begins, and who asked for that; not with a transaction.

        Raises:
            PayloadError: the input cannot be kept.
            SagaAlreadyStartedError: the key has started a saga with other input.
            RequestRefusedError: there is no such definition.
            StoreUnavailableError: the store is away; with a key, the start can be repeated safely.
            TypeError, ValueError, ConfigurationError: the transaction cannot be used; names which can.
        """
        plan = saga if isinstance(saga, Plan) else await self._definitions.plan(saga, version)
        reply_to = self._replies_to if reply else ""
        if reply:
            self._hear(reply_to)
        start = self._starter.start if transaction is None else partial(self._starter.start_in, transaction)
        if restart is not None:
            start = partial(start, restart=restart)
        words = labels or {}
        started = await start(
            plan,
            input,
            key=key,
            labels=words,
            reply_to=reply_to,
            identity=identity,
            priority=plan.definition.priority if priority is None else priority,
        )
        if transaction is None and self._listeners and not started.existing:
            await notify(self._listeners, "saga_started", started.saga_id, plan.name)
        return started

    async def begin(self, saga_id: UUID) -> None:
        """Begin a saga that was started in a transaction, after its commit. Where others have begun it, nothing happens.

        Raises:
            SagaNotFoundError: the transaction is not committed, or was rolled back.
        """
        try:
            plan, view = await self._reader.look(saga_id)
        except SagaNotFoundError:
            raise SagaNotFoundError(
                f"there is no saga {saga_id}: the transaction that it was started in is not committed yet, or was rolled back"
            ) from None
        if view.seq == 1:
            self._appender.catch_up(plan, view)
            if self._listeners:
                await notify(self._listeners, "saga_started", saga_id, plan.name)
