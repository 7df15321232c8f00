"""The methods of the blocking client, written by ``tests/doors/test_blocking_interface.py``: change the asynchronous ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, overload
from uuid import UUID

from typing_extensions import TypeVar as DefaultedTypeVar

from goconductor.blocking.client import BlockingClient
from goconductor.blocking.saga import BlockingSaga
from goconductor.blocking.schedules import BlockingSchedules
from goconductor.blocking.transactions import of_this_thread
from goconductor.control.dataflows.documents import DataflowRun
from goconductor.control.models import SagaDetail, SagaPage
from goconductor.control.sagas.bulk import BulkReport
from goconductor.dataflow.dataflow import Dataflow
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.ports.store.log.transactions import BlockingTransaction
from goconductor.saga.writing.builder import Saga

I = TypeVar("I")  # noqa: E741
O = DefaultedTypeVar("O", default=Any)  # noqa: E741


class BlockingConductor(BlockingClient):
    """Starts sagas, finds them and asks after them, from any thread. It runs no steps.

    Every method blocks, and raises ``RuntimeError`` where it must not be called: in a child of the process that opened it,
    on a thread with a running event loop, or after :meth:`close`.

    Args:
        settings: None loads them when it opens.
        open_timeout_seconds: how long opening waits for the database; the next use then tries again.
    """

    @property
    def schedules(self) -> BlockingSchedules:
        """Starts by a cron expression or an interval."""
        return BlockingSchedules(self)

    @overload
    def start(
        self,
        saga: Saga[I, O],
        input: I,
        *,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: int | None = None,
        transaction: BlockingTransaction | None = None,
    ) -> BlockingSaga[O]: ...
    @overload
    def start(
        self,
        saga: str,
        input: Any,
        *,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: int | None = None,
        transaction: BlockingTransaction | None = None,
    ) -> BlockingSaga[Any]: ...
    def start(
        self,
        saga: Saga[Any, Any] | str,
        input: Any,
        *,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: int | None = None,
        transaction: BlockingTransaction | None = None,
    ) -> BlockingSaga[Any]:
        """Start a saga.

        Args:
            saga: a saga written in Python, which is registered if it is new, or the name of a registered one.
            input: its input.
            key: the same key again finds the same saga; up to 255 printable ASCII characters.
            labels: up to 20 words to find it by, each name and value a text.
            priority: of its steps where they wait for room in a process; from -100 to 100, greater ones come first; None takes
                the definition's.
            transaction: your own open transaction in the database of the saga log, over psycopg 3: a connection of psycopg,
                SQLAlchemy's ``Session``, ``scoped_session`` or ``Connection``, or Django's ``connection`` inside of
                ``transaction.atomic()``. The saga begins when it commits, or never; call :meth:`BlockingSaga.begin` after the
                commit. Until then nobody sees it, and another start with its key waits.

        Raises:
            ArgumentError: this is neither a saga nor a name.
            DefinitionError: the saga cannot run.
            PayloadError: the input cannot be kept, or does not fit the saga's input type.
            InputRefusedError: the input does not fit the registered definition's schema.
            SagaAlreadyStartedError: the key has started a saga with other input.
            RequestInvalidError: the key, a label or the priority cannot be one.
            DefinitionNotFoundError: there is no definition of that name.
            StoreUnavailableError: the store is away; with a key, the start can be repeated safely.
            TypeError: the transaction is of an unknown kind; the error names the known ones.
            ValueError: the connection is in no transaction.
            ConfigurationError: the transaction is in another database than the saga log, or may not write there.
        """
        own = of_this_thread(transaction)
        return BlockingSaga(
            self,
            self._ask(lambda conductor: conductor.start(saga, input, key=key, labels=labels, priority=priority, transaction=own)),
        )

    @overload
    def saga(self, saga_id: UUID | str, saga: Saga[Any, O]) -> BlockingSaga[O]: ...
    @overload
    def saga(self, saga_id: UUID | str, saga: None = None) -> BlockingSaga[Any]: ...
    def saga(self, saga_id: UUID | str, saga: Saga[Any, Any] | None = None) -> BlockingSaga[Any]:
        """Take up a saga that was started elsewhere. Whether there is one shows when it is asked.

        Args:
            saga_id: its id, or the text of it.
            saga: what it is in Python, where that is at hand: its result is then a value of the declared type.

        Raises:
            ArgumentError: this is no saga's id, or no saga written in Python.
            DefinitionError: the saga cannot run.
        """
        return BlockingSaga(self, self._conductor().saga(saga_id, saga))

    @overload
    def find(self, saga: Saga[Any, O], *, key: str) -> BlockingSaga[O]: ...
    @overload
    def find(self, saga: str, *, key: str) -> BlockingSaga[Any]: ...
    def find(self, saga: Saga[Any, Any] | str, *, key: str) -> BlockingSaga[Any]:
        """Find the saga that a start key has started.

        Args:
            saga: what it is in Python, or its name.
            key: the key, as it was given at the start.

        Raises:
            ArgumentError: this is neither a saga nor a name, or the key is no text.
            SagaNotFoundError: the key has started none.
            RequestInvalidError: the key can be none.
            StoreUnavailableError: the database cannot be reached.
        """
        return BlockingSaga(self, self._ask(lambda conductor: conductor.find(saga, key=key)))

    def sagas(
        self,
        *,
        saga: Saga[Any, Any] | str | None = None,
        status: SagaStatus | str | Sequence[SagaStatus | str] | None = None,
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        updated_after: datetime | None = None,
        updated_before: datetime | None = None,
        labels: Mapping[str, str] | None = None,
        error: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> SagaPage:
        """List sagas, newest first. A search stops after a second; the page then has how far it came.

        Args:
            saga: only those of this definition, or of this name.
            status: only those of this status, or of one of these.
            started_after: only those that started then or later.
            started_before: only those that started earlier.
            updated_after: only those with an event then or later.
            updated_before: only those without an event since.
            labels: only those with all of these.
            error: only those whose history has this text, in any case, in a failure or a reason.
            cursor: the cursor of the page before, with the same filters; a page without one is the last.
            limit: greatest number of sagas in the page.

        Raises:
            ArgumentError: an argument is of a wrong type.
            RequestInvalidError: a filter or the cursor makes no sense.
            StoreUnavailableError: the database cannot be reached.
        """
        return self._ask(
            lambda conductor: conductor.sagas(
                saga=saga,
                status=status,
                started_after=started_after,
                started_before=started_before,
                updated_after=updated_after,
                updated_before=updated_before,
                labels=labels,
                error=error,
                cursor=cursor,
                limit=limit,
            )
        )

    def report(
        self, token: str, *, output: Any = None, failure: str = "", refused: bool = False, final: bool = True, by: str = ""
    ) -> SagaDetail:
        """Report how a step has ended that was handed out. Reported again, it changes nothing.

        Args:
            token: its ``context.task_token``; for a success the step's idempotency key will do.
            output: JSON values, the step's output.
            failure: why it has failed; empty where it has succeeded.
            refused: of a failure, whether the outside refused to begin, as by :class:`RefusedError`.
            final: of a failure, whether another attempt cannot help; else the step's retry policy decides.
            by: the name of the actor.

        Raises:
            SagaNotFoundError: there is no such saga.
            StepNotFoundError: it has no such step.
            RequestRefusedError: it comes too late, so that what was done is to be undone outside; or another attempt is at work.
            RequestIdReusedError: another outcome was reported before.
            RequestInvalidError: this is no task token; or a failure cannot be kept, comes with an output, or by an idempotency
                key.
            PayloadError: the output cannot be kept.
            StoreUnavailableError: the database cannot be reached; report it again.
        """
        return self._ask(
            lambda conductor: conductor.report(token, output=output, failure=failure, refused=refused, final=final, by=by)
        )

    def bulk(
        self,
        request: str,
        sagas: Sequence[UUID | str],
        *,
        step: str | None = None,
        reason: str = "",
        values: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        by: str = "",
        request_id: str | None = None,
    ) -> BulkReport:
        """Ask the same of many sagas. Each gets the request for itself, and the report has each.

        Args:
            request: its name, as ``allowed`` of a saga has it: ``"retry"``.
            sagas: their ids, up to 500, each once.
            step: the step that it is about; without one, a retry or a skip is about each stuck step.
            reason: why, for the sagas' histories.
            values: the request's other arguments, such as ``{"forced": True}``.
            dry_run: change nothing, and say which sagas would accept it now.
            by: the name of the actor.
            request_id: 1 to 100 printable ASCII characters that name the request. Asked again with the same, each saga that has
                had it is answered as before. None draws some, which the report has.

        Raises:
            ArgumentError: an argument is of a wrong type.
            RequestInvalidError: there is no such request, it lacks something, or the sagas are too many.
            PayloadError: a value cannot be kept.
            StoreUnavailableError: the database cannot be reached, and nothing was done.
        """
        return self._ask(
            lambda conductor: conductor.bulk(
                request, sagas, step=step, reason=reason, values=values, dry_run=dry_run, by=by, request_id=request_id
            )
        )

    def run(
        self,
        dataflow: Dataflow | str,
        id: str,
        data: Mapping[str, Any] | None = None,
        *,
        close: bool = False,
        timeout_seconds: float = 60.0,
        by: str = "",
    ) -> DataflowRun:
        """Give a dataflow data, let run what can, and learn what is missing. A run while another one is under way joins it.

        Args:
            dataflow: a dataflow written in Python, which is registered if it is new, or the name of a registered one. What has
                begun keeps the version that it began with.
            id: which one: 1 to 255 printable ASCII characters. The first run of an id begins it.
            data: datum → its value. A new value of one that was given before runs again what was made of it.
            close: end it, once its target is there. Until then the dataflow stays open for further data.
            timeout_seconds: how long to wait for what runs; it goes on all the same, and the answer names it.
            by: the name of the actor.

        Raises:
            ArgumentError: this is neither a dataflow nor a name, or another argument is of a wrong type.
            DefinitionError: the dataflow cannot run; has all problems.
            DefinitionNotFoundError: there is no definition of that name.
            RequestInvalidError: the id cannot be one; or a datum is unknown, is made by a builder, or is None.
            RequestRefusedError: it is no dataflow; or it is closed, has ended or is paused, and there are new data.
            RefusedNowError: what was made of an older value cannot be taken back.
            PayloadError: a value cannot be kept.
            StoreUnavailableError: the database cannot be reached; the run can be repeated safely.
        """
        return self._ask(lambda conductor: conductor.run(dataflow, id, data, close=close, timeout_seconds=timeout_seconds, by=by))
