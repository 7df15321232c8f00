"""One request of the catalogue about many sagas, with a report that has each of them.

A request in bulk names its sagas, up to :data:`SAGAS_MAX`. A filter is no part of it: a moment later other sagas fit the filter,
so it would be unknown which sagas a request had been about, and it could not be repeated. A client with a filter first selects
(:func:`select`), looks at what the request would do to those (``dry_run``), and then sends it to the same ones.

Each saga gets the request for itself (:func:`goconductor.control.sagas.requests.ask`), and its own answer; no saga waits for
another. Each saga's log keeps the request under an id that is made of the bulk's. So a bulk that broke off in the middle is
repeated as a whole: sagas that had the request already are answered as before.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple
from uuid import UUID, uuid4, uuid5

from pydantic import Field

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import noted
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.models import Document, SagaDetail, StepStatus
from goconductor.control.sagas import restarts
from goconductor.control.sagas.queries import list_sagas, saga_status
from goconductor.control.sagas.requests import Precautions, ask, expected_of, kept, migrator
from goconductor.control.sagas.starting import KEY_CHARACTERS_MAX, key_faults
from goconductor.engine.node import Node
from goconductor.errors import (
    GoConductorError,
    RequestRefusedError,
    SagaNotFoundError,
    StoreUnavailableError,
    nearest,
)
from goconductor.lifecycle.facts.restart import RestartAsNew
from goconductor.lifecycle.requests.catalogue import CATALOGUE, Asked, Kind, Operation, Request
from goconductor.ports.store import Known

SAGAS_MAX = 500
"""Greatest number of sagas in one request."""
AT_ONCE = 8
"""Sagas that are asked at the same time: the database has other work as well."""
REQUEST_ID_CHARACTERS_MAX = 100
"""Longest id of a bulk: with a step's name behind it, or the hash of a long name, it still is the id of a request."""

_KINDS: dict[Kind, tuple[type[Any], str]] = {
    Kind.FLAG: (bool, "true or false"),
    Kind.TEXT: (str, "a text"),
    Kind.VALUES: (dict, "an object"),
    Kind.VALUE: (object, ""),
}


class Selected(Document):
    """One saga of a selection."""

    saga_id: UUID
    revision: Annotated[str | None, Field(description="only if the saga is still where this was seen")] = None


class BulkOutcome(enum.StrEnum):
    """What a request in bulk came to for one saga."""

    ALLOWED = "allowed"
    """A dry run: it would be accepted now."""
    DONE = "done"
    """It stands in the saga's history."""
    REFUSED = "refused"
    """The saga's state does not allow it, or the saga has moved on since it was seen."""
    PARTLY = "partly"
    """Of several stuck steps, some have had it, which stands in the saga's history, and then one has refused it."""
    NOT_FOUND = "not_found"
    UNKNOWN = "unknown"
    """The database went away, or the saga cannot be read: it may have been recorded. Repeat the request under its id."""


class BulkItem(Selected):
    """What a request in bulk came to for one saga."""

    outcome: BulkOutcome
    steps: list[str] = Field(default_factory=list, description="the steps that it was about; if partly, those that have had it")
    problem: Annotated[str | None, Field(description="why it was refused, and the remedy")] = None
    status: Annotated[str | None, Field(description="of the saga, after the request")] = None
    restarted_as: Annotated[UUID | None, Field(description="the saga that was started in its place")] = None


class BulkReport(Document):
    """What a request in bulk came to, saga by saga, in the order in which they were named."""

    request: Request
    dry_run: bool
    request_id: Annotated[str | None, Field(description="repeat the request under this; null of a dry run")]
    counts: dict[BulkOutcome, int]
    sagas: list[BulkItem]


class Bulk(NamedTuple):
    """A request that can be asked of any saga.

    Attributes:
        operation: its entry in the catalogue.
        step: the step that it is about; empty for each stuck step of a saga.
        reason: why.
        values: its parameters, by name.
    """

    operation: Operation
    step: str = ""
    reason: str = ""
    values: Mapping[str, Any] = {}

    def asked(self, step: str) -> Asked:
        """Make the request about one step, or about a saga as a whole where the request is."""
        return self.operation.asked(step=step, reason=self.reason, values=self.values)


def read_bulk(request: str, *, step: str | None = None, reason: str = "", values: Mapping[str, Any] | None = None) -> Bulk:
    """Make a request of what somebody gave.

    Args:
        request: its name in the catalogue.
        step: the step that it is about. Without one, a retry or a skip is about each stuck step.
        reason: why, where it takes a reason.
        values: its parameters, by name.

    Raises:
        RequestInvalidError: there is no such request, or something of it is missing, unknown or of another type.
    """
    operation = next((each for each in CATALOGUE if each.request == request), None)
    if operation is None:
        raise _invalid(Fault("request", f"{request[:63]!a} is unknown; {nearest(request, Request)}"))
    given, known = dict(values or {}), {each.name: each for each in operation.parameters}
    found = [Fault(f"values.{name[:63]}", f"is unknown; {_known(name, known)}") for name in given if name not in known]
    for name, parameter in known.items():
        kind, wanted = _KINDS[parameter.kind]
        if name in given and not isinstance(given[name], kind):
            found.append(Fault(f"values.{name}", f"should be {wanted}"))
        elif name not in given and parameter.required:
            found.append(Fault(f"values.{name}", f"is missing: {parameter.about}"))
    if step is not None and not operation.about_step:
        found.append(Fault("step", f"is given, but {operation.request} is about the saga as a whole; leave it out"))
    if not step and operation.about_step and any(each.required for each in operation.parameters):
        found.append(Fault("step", f"is missing: {operation.request} is about one step, so name it"))
    if reason and not operation.takes_reason:
        found.append(Fault("reason", f"is given, but {operation.request} takes none; leave it out"))
    if found:
        raise _invalid(*found)
    return Bulk(operation, step or "", reason, given)


async def select(actor: Actor, node: Node, *, sagas_max: int = SAGAS_MAX, **filters: Any) -> list[Selected]:
    """Return the sagas that fit a filter now, newest first, as a selection for a request.

    Args:
        actor: the actor of the request.
        node: the engine.
        sagas_max: greatest number of them.
        filters: those of :func:`goconductor.control.sagas.queries.list_sagas`.

    Raises:
        RequestInvalidError: the filter makes no sense, or more sagas fit it.
        StoreUnavailableError: the database cannot be reached.
    """
    found: list[Selected] = []
    cursor: str | None = None
    while True:
        page = await list_sagas(actor, node, **filters, cursor=cursor, limit=SAGAS_MAX)
        found += [Selected(saga_id=each.saga_id) for each in page.sagas]
        if len(found) > sagas_max:
            raise _invalid(Fault("where", f"fits more than {sagas_max:,} sagas; narrow it, by a time for example"))
        if (cursor := page.cursor) is None:
            return found


@noted(
    lambda given: f"{len(given['sagas'])} sagas",
    detail=lambda given: given["asked"].operation.request,
    parts=True,
    unless=lambda given: given["dry_run"],
)
async def bulk(
    actor: Actor, node: Node, asked: Bulk, sagas: Sequence[Selected], *, request_id: str | None = None, dry_run: bool = False
) -> BulkReport:
    """Ask the same of many sagas.

    Args:
        actor: the actor; each saga's history keeps the name.
        node: the engine.
        asked: the request.
        sagas: the sagas, each once.
        request_id: 1 to 100 printable ASCII characters that name the bulk; None draws some, which the report has.
        dry_run: change nothing, and say which sagas would accept the request now.

    Raises:
        RequestInvalidError: they are too many, or none, or one stands twice; or the request cannot be kept.
        PayloadError: a value of the request cannot be kept.
        StoreUnavailableError: the database cannot be reached: not one saga could be looked at, so nothing was done.
    """
    _check(sagas, request_id)
    name = None if dry_run else request_id or uuid4().hex
    kept(node, asked.asked(asked.step or "…"), request_id)  # what no saga could accept is refused as a whole
    places = asyncio.Semaphore(AT_ONCE)
    unseen: list[StoreUnavailableError] = []

    async def one(selected: Selected) -> BulkItem:
        async with places:
            return await _one(actor, node, asked, selected, name, unseen)

    items = await asyncio.gather(*map(one, sagas))
    if len(unseen) == len(sagas):
        raise unseen[0]
    return BulkReport(
        request=asked.operation.request,
        dry_run=dry_run,
        request_id=name,
        counts=dict(sorted(Counter(each.outcome for each in items).items())),
        sagas=items,
    )


async def _one(
    actor: Actor,
    node: Node,
    asked: Bulk,
    selected: Selected,
    request_id: str | None,
    unseen: list[StoreUnavailableError],
) -> BulkItem:
    """Ask one saga, and return what came of it. What happens to this saga keeps no other one from its answer.

    Args:
        actor: the actor.
        node: the engine.
        asked: the request.
        selected: the saga.
        request_id: the bulk's id; None of a dry run.
        unseen: gets the error, where the database went away before the saga was asked.
    """
    steps: list[str] = []
    have_had_it: list[str] = []
    is_asked = False
    detail: SagaDetail | None = None
    try:
        detail = await saga_status(actor, node, selected.saga_id)
        steps = await _steps(node, asked, detail, request_id)
        if request_id is None:
            if asked.operation.request is Request.MIGRATE:
                _check_revision(selected, detail)
                await migrator(node).prove(selected.saga_id, asked.values["version"])
            else:
                _check_allowed(asked, selected, detail, steps)
                if isinstance(would := asked.asked(""), RestartAsNew):
                    await restarts.check(node, selected.saga_id, would)
            return _item(detail, BulkOutcome.ALLOWED, steps)
        expected = None if selected.revision is None else expected_of(selected.revision)
        is_asked = True
        for step in steps:
            precautions = Precautions(expected, _id_of(request_id, step))
            detail = await ask(actor, node, selected.saga_id, asked.asked(step), precautions)
            have_had_it.append(step)
            expected = None  # of the next step the saga has moved on, by this request
    except SagaNotFoundError:
        return BulkItem(saga_id=selected.saga_id, outcome=BulkOutcome.NOT_FOUND, problem="there is no such saga")
    except RequestRefusedError as error:
        if detail is None:
            return BulkItem(saga_id=selected.saga_id, outcome=BulkOutcome.REFUSED, problem=str(error))
        if have_had_it:
            refusing = steps[len(have_had_it)]
            return _item(detail, BulkOutcome.PARTLY, have_had_it, f"step {refusing!r} has not had it: {error}")
        return _item(detail, BulkOutcome.REFUSED, steps, str(error))
    except GoConductorError as error:
        if isinstance(error, StoreUnavailableError) and not is_asked:
            unseen.append(error)
        named = [step for step in steps if step]
        return BulkItem(saga_id=selected.saga_id, outcome=BulkOutcome.UNKNOWN, steps=named, problem=str(error))
    return _item(detail, BulkOutcome.DONE, steps)


def _id_of(request_id: str, step: str) -> str:
    """Return the id of the request about a step. Where the step's name has no room in it, its hash stands for it."""
    if not step:
        return request_id
    name = f"{request_id}/{step}"
    return name if len(name) <= KEY_CHARACTERS_MAX else f"{request_id}/{hashlib.sha256(step.encode()).hexdigest()}"


async def _steps(node: Node, asked: Bulk, detail: SagaDetail, request_id: str | None) -> list[str]:
    """Return the steps that a request is about; one without a name where it is about the saga as a whole.

    Where it is about each stuck step, those belong to it as well that have had it before.
    """
    if asked.step or not asked.operation.about_step:
        return [asked.step]
    had: set[str] = set()
    if request_id is not None:
        (tail,) = await node.store.log.read([Known(detail.saga_id)])
        ids = {entry.event_id for entry in tail.entries}
        had = {step.id for step in detail.steps if uuid5(detail.saga_id, _id_of(request_id, step.id)) in ids}
    found = [step.id for step in detail.steps if step.status is StepStatus.STUCK or step.id in had]
    if not found:
        raise RequestRefusedError("none of its steps is stuck; name the step that is meant")
    return found


def _check_allowed(asked: Bulk, selected: Selected, detail: SagaDetail, steps: Sequence[str]) -> None:
    """Refuse what the saga would refuse now.

    Raises:
        RequestRefusedError: it would.
    """
    request = asked.operation.request
    _check_revision(selected, detail)
    allowed = {step.id: step.allowed for step in detail.steps} | {"": detail.allowed}
    for step in steps:
        if step not in allowed:
            raise RequestRefusedError(f"it has no step {step[:100]!a}; {nearest(step, [each.id for each in detail.steps])}")
        if request not in allowed[step]:
            instead = ", ".join(allowed[step]) or "nothing"
            raise RequestRefusedError(f"{f'step {step!r}' if step else 'it'} does not accept {request} now; allowed: {instead}")


def _check_revision(selected: Selected, detail: SagaDetail) -> None:
    if selected.revision not in (None, detail.revision):
        raise RequestRefusedError(f"it has moved on since it was seen: it is at {detail.revision}")


def _item(detail: SagaDetail, outcome: BulkOutcome, steps: Sequence[str], problem: str | None = None) -> BulkItem:
    return BulkItem(
        saga_id=detail.saga_id,
        revision=detail.revision,
        outcome=outcome,
        steps=[step for step in steps if step],
        problem=problem,
        status=detail.status,
        restarted_as=detail.restarted_as,
    )


def _check(sagas: Sequence[Selected], request_id: str | None) -> None:
    found = []
    if not 0 < len(sagas) <= SAGAS_MAX:
        found.append(Fault("sagas", f"are {len(sagas):,}; name 1 to {SAGAS_MAX} of them, and send the others in another request"))
    twice = [str(saga_id) for saga_id, times in Counter(each.saga_id for each in sagas).items() if times > 1]
    if twice:
        found.append(Fault("sagas", f"name {twice[0]} more than once; name it once"))
    if request_id is not None:
        found += key_faults("request_id", request_id)
        if len(request_id) > REQUEST_ID_CHARACTERS_MAX:
            found.append(Fault("request_id", f"is longer than {REQUEST_ID_CHARACTERS_MAX} characters; shorten it"))
    if found:
        raise _invalid(*found)
    for each in sagas:
        if each.revision is not None:
            expected_of(each.revision)


def _known(name: str, known: Mapping[str, object]) -> str:
    return nearest(name, known) if known else "it takes none"


def _invalid(*found: Fault) -> RequestInvalidError:
    return RequestInvalidError("the request", found)
