"""The methods of a blocking handle, written by ``tests/doors/test_blocking_interface.py``: change the asynchronous ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic

from typing_extensions import TypeVar as DefaultedTypeVar

from goconductor.blocking.client import BlockingClient
from goconductor.control.doors.handles.saga import SagaHandle
from goconductor.control.models import History, RestartPreview, SagaDetail

O = DefaultedTypeVar("O", default=Any)  # noqa: E741


class BlockingSaga(Generic[O]):
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

    def __init__(self, client: BlockingClient, handle: SagaHandle[O]) -> None:
        self.saga_id = handle.saga_id
        self.existing = handle.existing
        self._ask = client._ask  # noqa: SLF001
        self._handle = handle

    def begin(self) -> None:
        """Begin at once what was started in a transaction of one's own: to be called after its commit.

        It may be left out: the leader's sweep begins the saga within a second or so (``recovery.sweep_interval_seconds``), also
        when this process dies. :meth:`result` does it too. May be called twice, and for any saga.

        Raises:
            SagaNotFoundError: the transaction is not committed, or was rolled back.
        """
        return self._ask(lambda _: self._handle.begin())

    def result(self, *, timeout_seconds: float = 60.0) -> O:
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
        return self._ask(lambda _: self._handle.result(timeout_seconds=timeout_seconds))

    def view(self) -> SagaDetail:
        """Read the saga with its steps, as REST and the command line show it.

        Raises:
            SagaNotFoundError: there is no such saga.
            StoreUnavailableError: the database cannot be reached.
        """
        return self._ask(lambda _: self._handle.view())

    def history(self, *, after: int = 0, limit: int = 1000) -> History:
        """Read what happened to the saga, oldest first.

        Args:
            after: only events with a higher seq; ``after`` of the page before gives the next one.
            limit: how many.

        Raises:
            SagaNotFoundError: there is no such saga.
            StoreUnavailableError: the database cannot be reached.
        """
        return self._ask(lambda _: self._handle.history(after=after, limit=limit))

    def signal(
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
        return self._ask(lambda _: self._handle.signal(name, payload, by=by, revision=revision, request_id=request_id))

    def approve(
        self, step: str, *, reason: str, by: str = "", round: int = 0, revision: str | None = None, request_id: str | None = None
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
        return self._ask(
            lambda _: self._handle.approve(step, reason=reason, by=by, round=round, revision=revision, request_id=request_id)
        )

    def pause(
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
        return self._ask(
            lambda _: self._handle.pause(children=children, reason=reason, by=by, revision=revision, request_id=request_id)
        )

    def resume(self, *, by: str = "", revision: str | None = None, request_id: str | None = None) -> SagaDetail:
        """End a pause."""
        return self._ask(lambda _: self._handle.resume(by=by, revision=revision, request_id=request_id))

    def abort(self, *, reason: str = "", by: str = "", revision: str | None = None, request_id: str | None = None) -> SagaDetail:
        """Compensate what was done. It is refused once the pivot was sent.

        Args:
            reason: why, for its history.
            by: the name of the actor.
            revision: as every request has it.
            request_id: as every request has it.
        """
        return self._ask(lambda _: self._handle.abort(reason=reason, by=by, revision=revision, request_id=request_id))

    def restart(
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
        return self._ask(
            lambda _: self._handle.restart(
                from_step, reason=reason, inputs=inputs, by=by, revision=revision, request_id=request_id
            )
        )

    def preview_restart(self, from_step: str = "", *, inputs: Mapping[str, Any] | None = None) -> RestartPreview:
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
        return self._ask(lambda _: self._handle.preview_restart(from_step, inputs=inputs))

    def restart_as_new(
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
        return self._ask(
            lambda _: self._handle.restart_as_new(
                reason=reason,
                inputs=inputs,
                version=version,
                despite_effects=despite_effects,
                by=by,
                revision=revision,
                request_id=request_id,
            )
        )

    def terminate(
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
        return self._ask(
            lambda _: self._handle.terminate(reason=reason, forced=forced, by=by, revision=revision, request_id=request_id)
        )

    def drop_signal(
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
        return self._ask(
            lambda _: self._handle.drop_signal(signal=signal, reason=reason, by=by, revision=revision, request_id=request_id)
        )

    def migrate(
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
        return self._ask(
            lambda _: self._handle.migrate(version=version, reason=reason, by=by, revision=revision, request_id=request_id)
        )

    def retry(self, step: str, *, by: str = "", revision: str | None = None, request_id: str | None = None) -> SagaDetail:
        """Try a stuck step again, its action or its compensation, under the same idempotency key.

        Args:
            step: its id.
            by: the name of the actor.
            revision: as every request has it.
            request_id: as every request has it.

        Raises:
            StepNotFoundError: the saga has no such step.
        """
        return self._ask(lambda _: self._handle.retry(step, by=by, revision=revision, request_id=request_id))

    def skip(
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
        return self._ask(
            lambda _: self._handle.skip(step, reason=reason, forced=forced, by=by, revision=revision, request_id=request_id)
        )

    def declare(
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
        return self._ask(
            lambda _: self._handle.declare(
                step, happened=happened, reason=reason, output=output, by=by, revision=revision, request_id=request_id
            )
        )

    def edit_input(
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
        return self._ask(
            lambda _: self._handle.edit_input(step, inputs=inputs, reason=reason, by=by, revision=revision, request_id=request_id)
        )
