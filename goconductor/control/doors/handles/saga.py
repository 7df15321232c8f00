"""One saga, as a program holds it: what it answers, what it is doing, and what people ask of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Generic, cast
from uuid import UUID

from typing_extensions import TypeVar

from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.doors.arguments import checked
from goconductor.control.doors.handles.requests import SagaRequests
from goconductor.control.models import History, SagaDetail
from goconductor.control.sagas import queries, signals
from goconductor.control.sagas.requests import Precautions
from goconductor.engine.node import Node
from goconductor.errors import CompensatedError, PayloadError, StoreUnavailableError, StuckError, TerminatedError
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.saga.data.values import copied
from goconductor.saga.types.annotations import spelt
from goconductor.saga.types.decoding import decoder

O = TypeVar("O", default=Any)  # noqa: E741


class SagaHandle(SagaRequests, Generic[O]):
    """One saga: its result, its state, and the requests that people may make.

    Every request (:meth:`abort`, :meth:`pause` and so on) takes the same three arguments. ``by`` is the name of the actor, for
    the saga's history. With ``revision``, as :meth:`view` shows it, the request is refused if there was an event since. With
    ``request_id``, 1 to 255 printable ASCII characters, a repeated request changes nothing, for as long as the saga is kept. Each
    request returns the saga as it is then, and raises:

    - ``ArgumentError``: an argument is of a wrong type.
    - ``SagaNotFoundError``: there is no such saga.
    - ``RefusedNowError``: its state does not allow this; names what it allows.
    - ``SagaChangedError``: it is not at ``revision`` any more.
    - ``RequestIdReusedError``: another request of this saga had this id.
    - ``RequestInvalidError``: the reason or another argument cannot be kept.
    - ``StoreUnavailableError``: the database cannot be reached; whether the request was recorded is then open.

    Attributes:
        saga_id: its id.
        existing: True if its key had started it before.
    """

    def __init__(self, node: Node, saga_id: UUID, *, existing: bool = False, begun: bool = True, result_type: Any = Any) -> None:
        self.saga_id = saga_id
        self._node = node
        self.existing = existing
        self._begun = begun
        self._result_type = result_type

    async def begin(self) -> None:
        """Begin at once what was started in a transaction of one's own: to be called after its commit.

        It may be left out: the leader's sweep begins the saga within a second or so (``recovery.sweep_interval_seconds``), also
        when this process dies. :meth:`result` does it too. May be called twice, and for any saga.

        Raises:
            SagaNotFoundError: the transaction is not committed, or was rolled back.
        """
        if not self._begun:
            await self._node.starting.begin(self.saga_id)
            self._begun = True

    async def result(self, *, timeout_seconds: float = 60.0) -> O:
        """Wait for the saga's result, until it has completed; while the database is away, it waits on.

        Args:
            timeout_seconds: seconds to wait.

        Returns:
            The value that :meth:`Saga.returns` names, of the type that is declared there; JSON values where the saga is not at
            hand in Python, and None where the step was skipped.

        Raises:
            CompensatedError: it failed and was compensated.
            StuckError: it waits for an operator.
            TerminatedError: an operator ended it.
            TimeoutError: it has not ended by then, and goes on all the same; names what the saga waits for.
            SagaNotFoundError: there is no such saga, or the transaction that it was started in is not committed.
            PayloadError: the result is not of the declared type, because an older version of the saga gave it.
        """
        if not self._begun:
            with suppress(StoreUnavailableError):  # the sweep begins it as well
                await self.begin()
        state = await self._node.wait_for_end(self.saga_id, timeout_seconds)
        status = state.status
        if status in (SagaStatus.COMPLETED, SagaStatus.HELD):
            return self._typed((await self._node.plan_of(state)).output(state.input, state.referable()))
        about: dict[str, Any] = {"saga_id": self.saga_id, "reason": state.reason}
        if status is SagaStatus.COMPENSATED:
            raise CompensatedError(f"saga {self.saga_id} was compensated: {state.reason}", **about)
        if status is SagaStatus.TERMINATED:
            raise TerminatedError(f"saga {self.saga_id} was {state.reason}", **about)
        failures = "; ".join(f"step {name!r}: {state.step(name).failure}" for name in state.stuck_steps)
        raise StuckError(f"saga {self.saga_id} is stuck and waits for an operator: {failures}", **about)

    def _typed(self, value: Any) -> O:
        """Return the saga's result in the caller's type; the engine's own value must not be changed."""
        if value is None or self._result_type is Any:
            return cast("O", copied(value))  # None is what a skipped step answers, whatever its type
        try:
            result: O = decoder(self._result_type)(copied(value))
        except PayloadError as error:
            what = f"the result of saga {self.saga_id} is no {spelt(self._result_type)}: {error.problem}"
            raise PayloadError(error.path, f"{what}; take its output from view()") from None
        return result

    async def view(self) -> SagaDetail:
        """Read the saga with its steps, as REST and the command line show it.

        Raises:
            SagaNotFoundError: there is no such saga.
            StoreUnavailableError: the database cannot be reached.
        """
        return await queries.saga_status(ANYBODY, self._node, self.saga_id)

    @checked
    async def history(self, *, after: int = 0, limit: int = 1000) -> History:
        """Read what happened to the saga, oldest first.

        Args:
            after: only events with a higher seq; ``after`` of the page before gives the next one.
            limit: how many.

        Raises:
            SagaNotFoundError: there is no such saga.
            StoreUnavailableError: the database cannot be reached.
        """
        return await queries.history(ANYBODY, self._node, self.saga_id, after=after, limit=limit)

    @checked
    async def signal(
        self, name: str, payload: Any = None, *, by: str = "", revision: str | None = None, request_id: str | None = None
    ) -> SagaDetail:
        """Tell the saga that something has happened: a step that waits for it ends, or will when its turn has come.

        Args:
            name: the event, as the definition names it.
            payload: JSON values; they are the output of the step that takes the signal.
            by: the name of the actor.
            revision: as every request has it.
            request_id: the signal's id. Sent again under it, the signal changes nothing, also after the saga has ended.

        Raises:
            RequestRefusedError: no step waits for such a signal, the saga keeps too many, or it has ended.
            RequestIdReusedError: another signal of this saga had this id.
            PayloadError: the payload cannot be kept.
        """
        precautions = Precautions.of(revision, request_id)
        return await signals.signal(Actor(by), self._node, self.saga_id, name, payload, precautions=precautions)

    @checked
    async def approve(
        self,
        step: str,
        *,
        reason: str,
        by: str = "",
        round: int = 0,
        revision: str | None = None,
        request_id: str | None = None,
    ) -> SagaDetail:
        """Approve a step that waits for that, or will.

        Args:
            step: its id.
            reason: why; with the actor it is the step's output.
            by: the name of the actor.
            round: the step's round when its question was shown (``waits_for.round`` of :meth:`view`). It serves no other.
            revision: as every request has it.
            request_id: as of :meth:`signal`.

        Raises:
            StepNotFoundError: the saga has no such step.
            RequestRefusedError: the step is not one that is approved, or is in another round, or the saga has ended.
        """
        precautions = Precautions.of(revision, request_id)
        return await signals.approve(
            Actor(by), self._node, self.saga_id, step, reason=reason, round=round, precautions=precautions
        )
