"""A client of the gRPC door, for programs that reach neither the database nor the bus.

A call that a server cannot answer now is made again, with growing pauses, until its time is over. That is safe: a start has
a key, and a request an id, which are drawn where none is given.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import grpc.aio
from google.protobuf.message_factory import GetMessageClass

from goconductor.aio.backoff import Backoff
from goconductor.control.authority.bearer import Bearer, Metadata, Token
from goconductor.control.models import DefinitionSummary, History, HistoryEntry, SagaDetail, SagaPage
from goconductor.errors import GoConductorError, check_type
from goconductor.grpc.answers import document, error_of
from goconductor.grpc.channel import client_options
from goconductor.grpc.documents import value_of
from goconductor.grpc.sending import request_of
from goconductor.grpc.v1 import SERVICES
from goconductor.grpc.v1.values_pb2 import SagaFilter
from goconductor.lifecycle.facts.status import SagaStatus

_METHODS = {method.name: method for service in SERVICES for method in service.methods}
_GONE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED}
"""How a stream may end that its client wants still."""
_PAUSES = (0.05, 5.0)
_WAIT_SECONDS = 60.0
"""How long one call waits for the end of a saga; proxies between may cut longer ones."""


class Client:
    """Starts sagas, looks at them, and asks something of them, over gRPC. Opened by ``async with``.

    Its errors are those that the same request raises inside of an installation.

    Args:
        target: the server, such as ``127.0.0.1:50051``.
        credentials: of the channel, where the server, or a proxy before it, speaks TLS; None speaks without.
        api_key: who calls; None takes the variable ``GOCONDUCTOR_API_KEY``, if it is there. Without TLS whoever is on the way can
            read it.
        token: in place of that, where tokens of an identity provider come from: the path of a file, read again when it changes,
            or a function, called for each call, that returns one or is awaited for it. Without either, the variable
            ``GOCONDUCTOR_TOKEN_FILE`` may name a file.
        timeout_seconds: how long a call may take, with all its tries.
    """

    def __init__(
        self,
        target: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        api_key: str | None = None,
        token: Token | None = None,
        timeout_seconds: float = 60.0,
    ) -> None:
        self._target = target
        self._credentials = credentials
        self._timeout_seconds = timeout_seconds
        self._bearer = Bearer(api_key, token)
        self._channel: Any = None

    async def __aenter__(self) -> Self:
        options = client_options()
        self._channel = (
            grpc.aio.insecure_channel(self._target, options=options)
            if self._credentials is None
            else grpc.aio.secure_channel(self._target, self._credentials, options=options)
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        channel, self._channel = self._channel, None
        await channel.close()

    async def start(
        self,
        saga: str,
        input: Any = None,
        *,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        version: str | None = None,
        wait_seconds: float = 0.0,
        priority: int | None = None,
    ) -> SagaDetail:
        """Start a saga.

        Args:
            saga: its definition's name.
            input: JSON values.
            key: the same key again finds the same saga; None draws one, for the tries of this call.
            labels: up to 20 words to find it by.
            version: of the definition; None takes the active one.
            wait_seconds: how long to wait for its end, up to 300.
            priority: of its steps where they wait for room in a process; from -100 to 100, greater ones come first; None takes
                the definition's.

        Raises:
            ArgumentError: an argument is of another type.
            RequestInvalidError: an argument cannot be sent, or is none that the server takes.
            InputRefusedError: the input does not fit the definition's schema.
            SagaAlreadyStartedError: the key has started a saga with other input.
            StoreUnavailableError: neither the server nor its database could be reached in time; ask again with the same key.
            GoConductorError: another error of the same request inside of an installation.
        """
        answer = await self._call(
            "StartSaga",
            wait_seconds,
            saga=saga,
            input=value_of(input),
            key=key or str(uuid.uuid4()),
            labels=labels,
            version=version,
            wait_seconds=wait_seconds,
            priority=priority,
        )
        return document(SagaDetail, answer.saga)

    async def saga(self, saga_id: UUID | str) -> SagaDetail:
        """Return a saga with its steps.

        Raises:
            SagaNotFoundError: there is no such saga.
            GoConductorError: as :meth:`start`.
        """
        return document(SagaDetail, await self._call("GetSaga", saga_id=str(saga_id)))

    async def find(self, saga: str, *, key: str) -> SagaDetail:
        """Return the saga that a start key has started.

        Raises:
            SagaNotFoundError: the key has started none.
            GoConductorError: as :meth:`start`.
        """
        return document(SagaDetail, await self._call("FindSaga", saga=saga, key=key))

    async def ended(self, saga_id: UUID | str, *, timeout_seconds: float | None = None) -> SagaDetail:
        """Wait until a saga has ended or is stuck, and return it.

        Args:
            saga_id: the saga's id.
            timeout_seconds: how long to wait; None waits for ever.

        Raises:
            SagaNotFoundError: there is no such saga.
            TimeoutError: it has not ended by then.
            GoConductorError: as :meth:`start`.
        """
        async with asyncio.timeout(timeout_seconds):
            while True:
                answer = await self._call("GetResult", _WAIT_SECONDS, saga_id=str(saga_id), wait_seconds=_WAIT_SECONDS)
                detail = document(SagaDetail, answer)
                if detail.status.done or detail.status is SagaStatus.STUCK:
                    return detail

    async def sagas(
        self,
        *,
        saga: str | None = None,
        status: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        error: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> SagaPage:
        """List sagas, newest first.

        Args:
            saga: only those of this definition.
            status: only those of one of these.
            labels: only those with all of these.
            error: only those whose history has this text in a failure or a reason.
            cursor: the cursor of the page before, with the same filters.
            limit: greatest number of sagas in the page.

        Raises:
            RequestInvalidError: a filter or the cursor makes no sense.
            GoConductorError: as :meth:`start`.
        """
        where = request_of(SagaFilter.DESCRIPTOR, {"saga": saga, "status": status, "labels": labels, "error": error})
        return document(SagaPage, await self._call("ListSagas", where=where, cursor=cursor, limit=limit))

    async def history(self, saga_id: UUID | str, *, after: int = 0, limit: int = 1000) -> History:
        """Return a saga's events after a seq, oldest first.

        Raises:
            SagaNotFoundError: there is no such saga.
            GoConductorError: as :meth:`start`.
        """
        return document(History, await self._call("GetHistory", saga_id=str(saga_id), after=after, limit=limit))

    async def watch(self, saga_id: UUID | str, *, after: int = 0) -> AsyncIterator[HistoryEntry]:
        """Yield a saga's events after a seq, and those to come, until it has ended. A stream that breaks is opened again.

        Raises:
            SagaNotFoundError: there is no such saga.
            GoConductorError: as :meth:`start`.
        """
        pauses = Backoff(*_PAUSES, jitter=0.5)
        while True:
            fields = {"saga_id": str(saga_id), "after": after}
            request, heard = request_of(_METHODS["WatchSaga"].input_type, fields), False
            call = self._begin("WatchSaga", None, request, await self._bearer.metadata())
            try:
                while (event := await self._read(call)) is not grpc.aio.EOF:
                    pauses.reset()
                    heard = True
                    match event.WhichOneof("said"):
                        case "entry":
                            after = event.entry.seq
                            yield document(HistoryEntry, event.entry)
                        case "ended":
                            return
            except grpc.aio.AioRpcError as error:
                renewed = heard and self._bearer.renews and error.code() is grpc.StatusCode.UNAUTHENTICATED
                if error.code() not in _GONE and not renewed:
                    raise error_of(error, self._target) from None
            finally:
                call.cancel()
            await asyncio.sleep(pauses.next())

    async def signal(
        self, saga_id: UUID | str, name: str, payload: Any = None, *, by: str = "", signal_id: str | None = None
    ) -> SagaDetail:
        """Tell a saga that something has happened.

        Args:
            saga_id: the saga's id.
            name: the event that a step of it waits for, or will.
            payload: JSON values.
            by: who tells it.
            signal_id: names the signal; sent again, it changes nothing. None draws one, for the tries of this call.

        Raises:
            SagaNotFoundError: there is no such saga.
            GoConductorError: as :meth:`start`.
        """
        fields = {"name": name, "payload": value_of(payload), "by": by, "request_id": signal_id or str(uuid.uuid4())}
        return document(SagaDetail, await self._call("Signal", saga_id=str(saga_id), **fields))

    async def report(
        self, token: str, *, output: Any = None, failure: str = "", refused: bool = False, final: bool = True, by: str = ""
    ) -> SagaDetail:
        """Report how a step has ended that was handed out. Reported again, it changes nothing.

        Args:
            token: the task token that the step's code handed out.
            output: JSON values, the step's output.
            failure: why it has failed; empty where it has succeeded.
            refused: of a failure, whether the outside refused to begin, so that there is nothing to undo.
            final: of a failure, whether another attempt cannot help.
            by: who reports it.

        Raises:
            SagaNotFoundError: there is no such saga.
            RequestRefusedError: it comes too late, or another attempt is at work.
            GoConductorError: as :meth:`start`.
        """
        fields = {"output": value_of(output), "failure": failure, "refused": refused, "again": not final, "by": by}
        return document(SagaDetail, await self._call("Report", token=token, **fields))

    async def ask(
        self,
        request: str,
        saga_id: UUID | str,
        *,
        by: str = "",
        revision: str | None = None,
        request_id: str | None = None,
        **fields: Any,
    ) -> SagaDetail:
        """Make an operator's request about a saga.

        Args:
            request: its name, as the ``allowed`` of a saga has it.
            saga_id: the saga's id.
            by: who asks; kept in the saga's history.
            revision: of the saga as it was seen: refused if it has moved on since.
            request_id: names the request; sent again, it changes nothing. None draws one, for the tries of this call.
            **fields: its own: ``step``, ``reason``, ``forced`` and so on.

        Raises:
            RefusedNowError: the saga's state does not allow this; names what it allows.
            SagaChangedError: the saga has moved on.
            ValueError: there is no such request, or it has no such field.
            GoConductorError: as :meth:`start`.
        """
        check_type("request", request, str, "its name, as the saga's allowed has it")
        method = _METHODS.get(request.title().replace("_", ""))
        if method is None or "saga_id" not in method.input_type.fields_by_name:
            raise ValueError(f"there is no request {request!r}; take one of the saga's allowed")
        kinds = {field.name: field.message_type for field in method.input_type.fields}
        if unknown := sorted(fields.keys() - kinds):
            raise ValueError(f"{request} has no {', '.join(unknown)}; it has {', '.join(kinds)}")
        given = {name: each if kinds[name] is None else value_of(each) for name, each in fields.items()}
        safe = {"by": by, "revision": revision, "request_id": request_id or str(uuid.uuid4())}
        return document(SagaDetail, await self._call(method.name, saga_id=str(saga_id), **safe, **given))

    async def register(self, definition: Mapping[str, Any], *, activate: bool = True) -> DefinitionSummary:
        """Register a version of a saga's definition; the same again changes nothing.

        Args:
            definition: the document.
            activate: whether new sagas take this version.

        Raises:
            DefinitionError: it cannot run; has its problems.
            GoConductorError: as :meth:`start`.
        """
        check_type("definition", definition, Mapping, "the document, a mapping")
        document_of = value_of(dict(definition))
        return document(DefinitionSummary, await self._call("PutDefinition", document=document_of, activate=activate))

    async def _call(self, name: str, wait_seconds: float = 0.0, /, **fields: Any) -> Any:
        """Make a call, again while the server cannot answer, within the call's time and what it is to wait."""
        request = request_of(_METHODS[name].input_type, fields)
        pauses, loop = Backoff(*_PAUSES, jitter=0.5), asyncio.get_running_loop()
        ends = loop.time() + self._timeout_seconds + wait_seconds
        while True:
            metadata = await self._bearer.metadata()
            try:
                with self._open_all_along():
                    return await self._begin(name, max(ends - loop.time(), 0.001), request, metadata)
            except grpc.aio.AioRpcError as error:
                pause = pauses.next()
                if error.code() is not grpc.StatusCode.UNAVAILABLE or loop.time() + pause >= ends:
                    raise error_of(error, self._target) from None
            await asyncio.sleep(pause)

    async def _read(self, call: Any) -> Any:
        with self._open_all_along():
            return await call.read()

    def _begin(self, name: str, timeout_seconds: float | None, request: Any, metadata: Metadata) -> Any:
        if self._channel is None:
            raise GoConductorError("the client is not open; use it in 'async with Client(…) as client:'")
        method = _METHODS[name]
        make = self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        return make(
            f"/{method.containing_service.full_name}/{name}",
            request_serializer=_written,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )(request, timeout=timeout_seconds, metadata=metadata)

    @contextmanager
    def _open_all_along(self) -> Iterator[None]:
        """Enter a context for a call. A channel that closes cancels its calls, though nobody has cancelled who awaits one."""
        try:
            yield
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._channel is not None or (task is not None and task.cancelling()):
                raise
            raise GoConductorError("the client was closed during this call; close it after its calls have ended") from None


def _written(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
