"""What people ask of a saga that is on its way, as methods of what a program holds: one for each request of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.doors.arguments import checked
from goconductor.control.models import RestartPreview, SagaDetail
from goconductor.control.sagas.requests import Precautions, ask, preview_restart
from goconductor.engine.node import Node
from goconductor.lifecycle.facts.events import (
    AbortRequested,
    InputEdited,
    OutcomeDeclared,
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    RetryRequested,
    SagaMigrated,
    SignalDropped,
    SkipRequested,
    TerminationRequested,
)
from goconductor.lifecycle.facts.restart import RestartAsNew
from goconductor.lifecycle.requests.catalogue import Asked


class SagaRequests:
    """The requests about one saga. Their common arguments and errors stand at :class:`SagaHandle`, which has them."""

    saga_id: UUID
    _node: Node

    @checked
    async def pause(
        self,
        *,
        children: bool = False,
        reason: str = "",
        by: str = "",
        revision: str | None = None,
        request_id: str | None = None,
    ) -> SagaDetail:
        """Start nothing new; what runs goes on, and its outcome is recorded.

        With ``children`` the sagas that its steps have started, or start meanwhile, are paused as well, and resumed with it.
        """
        return await self._ask(PauseRequested(children=children, reason=reason), Actor(by), Precautions.of(revision, request_id))

    @checked
    async def resume(self, *, by: str = "", revision: str | None = None, request_id: str | None = None) -> SagaDetail:
        """End a pause."""
        return await self._ask(ResumeRequested(), Actor(by), Precautions.of(revision, request_id))

    @checked
    async def abort(
        self, *, reason: str = "", by: str = "", revision: str | None = None, request_id: str | None = None
    ) -> SagaDetail:
        """Compensate what was done. It is refused once the pivot was sent.

        Args:
            reason: why, for its history.
            by: the name of the actor.
            revision: as every request has it.
            request_id: as every request has it.
        """
        return await self._ask(AbortRequested(reason=reason), Actor(by), Precautions.of(revision, request_id))

    @checked
    async def restart(
        self,
        from_step: str = "",
        *,
        reason: str,
        inputs: Mapping[str, Any] | None = None,
        by: str = "",
        revision: str | None = None,
        request_id: str | None = None,
    ) -> SagaDetail:
        """Compensate a step and all that comes after it, and then run them again in a new round. Refused once the pivot is due.

        Args:
            from_step: the step's id; empty begins everything again.
            reason: why, for its history.
            inputs: other JSON values for inputs of that step, by the names that its definition gives it.
            by: the name of the actor.
            revision: as every request has it.
            request_id: as every request has it.

        Raises:
            StepNotFoundError: the saga has no such step.
            PayloadError: a value cannot be kept.
        """
        request = RestartRequested(from_step=from_step, reason=reason, inputs=None if inputs is None else dict(inputs))
        return await self._ask(request, Actor(by), Precautions.of(revision, request_id))

    @checked
    async def preview_restart(self, from_step: str = "", *, inputs: Mapping[str, Any] | None = None) -> RestartPreview:
        """Tell what a restart would do, and change nothing: which steps go back, which are compensated, and what refuses it.

        Args:
            from_step: the step's id; empty begins everything again.
            inputs: other JSON values for inputs of that step.

        Raises:
            SagaNotFoundError: there is no such saga.
            StepNotFoundError: the saga has no such step.
            PayloadError: a value cannot be kept.
            StoreUnavailableError: the database cannot be reached.
        """
        return await preview_restart(ANYBODY, self._node, self.saga_id, from_step=from_step, inputs=inputs)

    @checked
    async def restart_as_new(
        self,
        *,
        reason: str,
        inputs: Mapping[str, Any] | None = None,
        version: str | None = None,
        despite_effects: bool = False,
        by: str = "",
        revision: str | None = None,
        request_id: str | None = None,
    ) -> SagaDetail:
        """Begin a new saga in place of this one, which has ended: ``restarted_as`` of the answer is its id. It can be done once.

        Args:
            reason: why; it stands in the new saga's history.
            inputs: other JSON values for members of the input, by name; the others stay as they were.
            version: of the definition; ``"active"`` for the one that new sagas take now, None for the one that this saga had.
            despite_effects: also where something that it did stands, and may then be there twice.
            by: the name of the actor.
            revision: as every request has it.
            request_id: as every request has it.
        """
        given = None if inputs is None else dict(inputs)
        asked = RestartAsNew(reason=reason, inputs=given, version=version, despite_effects=despite_effects)
        return await self._ask(asked, Actor(by), Precautions.of(revision, request_id))

    @checked
    async def terminate(
        self, *, reason: str, forced: bool = False, by: str = "", revision: str | None = None, request_id: str | None = None
    ) -> SagaDetail:
        """End it as it is: nothing is compensated.

        It is *terminating* until the owners of what is out have written its keys in their journals; no effect can come later.

        Args:
            reason: why, for its history.
            forced: True to end it at once, without their journals; late effects are possible.
            by: the name of the actor.
            revision: as every request has it.
            request_id: as every request has it.
        """
        return await self._ask(
            TerminationRequested(reason=reason, forced=forced), Actor(by), Precautions.of(revision, request_id)
        )

    @checked
    async def drop_signal(
        self, *, signal: str, reason: str, by: str = "", revision: str | None = None, request_id: str | None = None
    ) -> SagaDetail:
        """Forget a signal that no step has taken, so that there is room for others. Sent again, it still changes nothing.

        Args:
            signal: its id, as :meth:`view` shows it.
            reason: why, for the saga's history.
            by: the name of the actor.
            revision: as every request has it.
            request_id: as every request has it.
        """
        return await self._ask(SignalDropped(signal=signal, reason=reason), Actor(by), Precautions.of(revision, request_id))

    @checked
    async def migrate(
        self, *, version: str, reason: str = "", by: str = "", revision: str | None = None, request_id: str | None = None
    ) -> SagaDetail:
        """Let the saga go on by another version of its definition, where all that has happened would have happened by that one.

        Args:
            version: the version, as the list of definitions shows it.
            reason: why, for the saga's history.
            by: the name of the actor.
            revision: as every request has it.
            request_id: as every request has it.

        Raises:
            RefusedNowError: it cannot, or runs by that version already; says why.
        """
        asked = SagaMigrated(version=version, reason=reason)
        return await self._ask(asked, Actor(by), Precautions.of(revision, request_id))

    @checked
    async def retry(self, step: str, *, by: str = "", revision: str | None = None, request_id: str | None = None) -> SagaDetail:
        """Try a stuck step again, its action or its compensation, under the same idempotency key.

        Args:
            step: its id.
            by: the name of the actor.
            revision: as every request has it.
            request_id: as every request has it.

        Raises:
            StepNotFoundError: the saga has no such step.
        """
        return await self._ask(RetryRequested(step), Actor(by), Precautions.of(revision, request_id))

    @checked
    async def skip(
        self,
        step: str,
        *,
        reason: str,
        forced: bool = False,
        by: str = "",
        revision: str | None = None,
        request_id: str | None = None,
    ) -> SagaDetail:
        """Go on without a stuck step. Its owner first writes its keys into its journal, so that no effect can come later.

        Args:
            step: its id.
            reason: why, for the saga's history.
            forced: do not wait for the journal; a late effect is then possible, and the saga records that.
            by: the name of the actor.
            revision: as in every request.
            request_id: as in every request.

        Raises:
            StepNotFoundError: the saga has no such step.
        """
        return await self._ask(SkipRequested(step, reason=reason, forced=forced), Actor(by), Precautions.of(revision, request_id))

    @checked
    async def declare(
        self,
        step: str,
        *,
        happened: bool,
        reason: str,
        output: Any = None,
        by: str = "",
        revision: str | None = None,
        request_id: str | None = None,
    ) -> SagaDetail:
        """Declare the outcome of a stuck step: it happened, with this output, or it did not and never will.

        Args:
            step: its id.
            happened: whether it did.
            reason: how that is known.
            output: the output that the action would have returned; JSON values.
            by: the name of the actor.
            revision: as in every request.
            request_id: as in every request.

        Raises:
            StepNotFoundError: the saga has no such step.
            PayloadError: the output cannot be kept.
        """
        return await self._ask(
            OutcomeDeclared(step, happened=happened, output=output, reason=reason),
            Actor(by),
            Precautions.of(revision, request_id),
        )

    @checked
    async def edit_input(
        self,
        step: str,
        *,
        inputs: Mapping[str, Any],
        reason: str,
        by: str = "",
        revision: str | None = None,
        request_id: str | None = None,
    ) -> SagaDetail:
        """Give other values for some inputs of a step that is stuck or waits to try again. A stuck one is then to be retried.

        Args:
            step: its id.
            inputs: JSON values by the names that its definition gives it; the others stay as they are.
            reason: why, for the saga's history.
            by: the name of the actor.
            revision: as every request has it.
            request_id: as every request has it.

        Raises:
            StepNotFoundError: the saga has no such step.
            PayloadError: a value cannot be kept.
        """
        return await self._ask(
            InputEdited(step, inputs=dict(inputs), reason=reason), Actor(by), Precautions.of(revision, request_id)
        )

    async def _ask(self, request: Asked, actor: Actor, precautions: Precautions) -> SagaDetail:
        return await ask(actor, self._node, self.saga_id, request, precautions)
