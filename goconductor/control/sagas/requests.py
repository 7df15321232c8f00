"""Requests of operators about a saga that is on its way: one function for all requests of the catalogue.

A request is an event like any other. It is appended if the saga's state allows it, and the saga's history has its actor and its
reason. A client can give what it has seen (:class:`Expected`); if the saga has moved on, nothing is done. The append itself
decides that, not a look before it, so of two operators with the same sight only one succeeds::

    detail = await queries.saga_status(actor, node, saga_id)
    seen = Precautions(expected_of(detail.revision))
    await ask(actor, node, saga_id, SkipRequested("refund", reason="paid in cash"), seen)

A request may carry an id of its client. Its event then has an id made of that, so the log itself shows whether a request was
repeated because its answer was lost.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID, uuid5

import msgspec

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import noted
from goconductor.control.faults import Fault, RequestInvalidError, text_faults
from goconductor.control.models import Hindrance, RestartPreview, SagaDetail
from goconductor.control.sagas.attended import fenced, side_of, unattended
from goconductor.control.sagas.queries import saga_status, surroundings
from goconductor.control.sagas.restarts import restart
from goconductor.control.sagas.starting import key_faults
from goconductor.engine.facts import log
from goconductor.engine.facts.log import View
from goconductor.engine.log.folding import Expected, Submission
from goconductor.engine.log.migrating import Migrator
from goconductor.engine.node import Node
from goconductor.errors import PayloadError, RequestRefusedError, StoreUnavailableError, nearest
from goconductor.lifecycle.facts.events import (
    Event,
    OperatorRequest,
    OutcomeDeclared,
    PauseRequested,
    RestartRequested,
    SagaMigrated,
    SkipRequested,
    StepEvent,
)
from goconductor.lifecycle.facts.restart import RestartAsNew
from goconductor.lifecycle.grown import exists, in_order
from goconductor.lifecycle.requests.allowed import allowed
from goconductor.lifecycle.requests.catalogue import OPERATIONS, Asked, Kind, Request
from goconductor.lifecycle.requests.restarting import preview
from goconductor.ports.store import Known
from goconductor.ports.store.log.notes import unwritten, written
from goconductor.saga.data import values
from goconductor.saga.features import PAUSE_OF_CHILDREN, REWIND, REWIND_OF_MAP
from goconductor.saga.plan import Plan

REASON_CHARACTERS_MAX = 2_000
"""Greatest length of a reason, in characters."""
SKIPPED = "a compensation that is skipped on the way turns the saga back as a whole"
ANSWER_SECONDS = 10.0
"""Seconds that a request waits for a database that has just become unavailable."""

UnattendedRequest: TypeAlias = SkipRequested | OutcomeDeclared
"""Requests about a step that was sent and that nobody runs."""

DECIDED_LATER = frozenset({"answers", "at", "round", "version_before"})
"""Fields of an event that the client does not give."""

OPEN = "the database went away; look at the saga before you repeat the request, it may have been recorded"
_REVISION = re.compile(r"([0-9]{1,18})-([0-9a-f]{1,16})")


class RefusedNowError(RequestRefusedError):
    """The saga's state does not allow this now.

    Args:
        message: why.
        allowed: the requests that the saga would accept instead.
    """

    def __init__(self, message: str, allowed: Sequence[Request]) -> None:
        self.allowed = tuple(allowed)
        instead = f"allowed now: {', '.join(allowed)}" if allowed else "it has ended, nothing is allowed any more"
        super().__init__(f"{message}; {instead}")


class StepNotFoundError(RequestRefusedError):
    """The saga has no such step; look at its steps."""


class RequestIdReusedError(RequestRefusedError):
    """This request id stands in the saga's history with another request; use a new id for a new request."""


class Precautions(NamedTuple):
    """What a request is to be safe from: a saga that has moved on since it was seen, and being asked twice.

    Attributes:
        expected: what was seen of the saga; None asks whatever has happened since.
        request_id: 1 to 255 printable ASCII characters that name the request. Asked again with the same id, for as long as the
            saga is kept, it changes nothing and is answered like the first time, also after the saga has ended.
    """

    expected: Expected | None = None
    request_id: str | None = None

    @classmethod
    def of(cls, revision: str | None, request_id: str | None) -> Precautions:
        """Make them of a saga's revision, where one was seen, and of the request's id, where it has one.

        Raises:
            RequestInvalidError: this is no revision.
        """
        return cls(None if revision is None else expected_of(revision), request_id)


NO_PRECAUTIONS = Precautions()


def expected_of(revision: str) -> Expected:
    """Read a saga's revision, as :attr:`SagaDetail.revision` shows it, for use as ``expected``.

    Raises:
        RequestInvalidError: it is none.
    """
    found = _REVISION.fullmatch(revision)
    if found is None:
        problem = f"{revision[:63]!a} is no revision of a saga; take it from the saga as you saw it"
        raise RequestInvalidError("the request", [Fault("revision", problem)])
    return Expected(int(found[1]), int(found[2], 16))


def _asked(given: Mapping[str, Any]) -> str:
    request = given["request"]
    named = (getattr(request, name, "") or "" for name in ("step", "from_step", "version"))
    return " ".join([type(request).__name__, *filter(None, named)])


@noted("saga {saga_id}", detail=_asked)
async def ask(actor: Actor, node: Node, saga_id: UUID, request: Asked, precautions: Precautions = NO_PRECAUTIONS) -> SagaDetail:
    """Make a request about a saga that is on its way, or about another one in place of one that has ended.

    Args:
        actor: the actor; the saga's history keeps the name.
        node: the engine.
        saga_id: the saga's id.
        request: the request. The actor and the step's round are written into it here.
        precautions: what the client has seen, and the request's id.

    Raises:
        SagaNotFoundError: there is no such saga.
        StepNotFoundError: it has no such step.
        RequestIdReusedError: another request of this saga had this id.
        SagaChangedError: it is not at ``precautions.expected`` any more.
        RefusedNowError: its state does not allow this; names what it allows.
        RequestInvalidError: a reason is missing; or the reason or another argument cannot be kept.
        PayloadError: an output or an input cannot be kept.
        DefinitionNotFoundError: a saga is to be restarted as a new one by a version that is not there.
        InputRefusedError: the input of the new one does not fit that version's schema.
        StoreUnavailableError: the database cannot be reached; whether the request was recorded is then open.
    """
    request = msgspec.structs.replace(kept(node, request, precautions.request_id), by=actor.name)
    view = await node.view(saga_id)  # so that a saga or a database that is not there is reported at once
    if isinstance(request, RestartAsNew):
        return await _restart_as_new(actor, node, saga_id, request, precautions)
    if isinstance(request, RestartRequested):
        await check_restart(node, await node.plan_of(view.state))
    elif isinstance(request, PauseRequested) and request.children:
        await _known_to_all(node, "was paused with its children", PAUSE_OF_CHILDREN)
    named = getattr(request, "step", "") or getattr(request, "from_step", "")
    if not named:
        return await _request(actor, node, saga_id, request, precautions)
    plan = await node.plan_of(view.state)
    if not exists(plan, view.state.steps, named):
        there = plan.steps if plan.data is None else [*in_order(plan, view.state.steps)]
        raise StepNotFoundError(f"saga {plan.name!r} has no step {named[:100]!a}; {nearest(named, there)}")
    if not isinstance(request, StepEvent):
        return await _request(actor, node, saga_id, request, precautions)
    step = view.state.step(request.step)
    about = msgspec.structs.replace(request, round=step.round)
    if not isinstance(about, UnattendedRequest) or side_of(step) is None:
        return await _request(actor, node, saga_id, about, precautions)
    return await _request(actor, node, saga_id, about, precautions, to_fence=(plan, view))


async def preview_restart(
    actor: Actor, node: Node, saga_id: UUID, *, from_step: str = "", inputs: Mapping[str, Any] | None = None
) -> RestartPreview:
    """Tell what a restart would do, and change nothing.

    Args:
        actor: the actor of the request.
        node: the engine.
        saga_id: the saga's id.
        from_step: the step's id; empty begins everything again.
        inputs: other JSON values for inputs of that step.

    Raises:
        SagaNotFoundError: there is no such saga.
        StepNotFoundError: it has no such step.
        RequestInvalidError: the inputs are empty.
        PayloadError: a value cannot be kept.
        StoreUnavailableError: the database cannot be reached.
    """
    given = None if inputs is None else dict(inputs)
    asked = kept(node, RestartRequested(from_step=from_step, reason="preview", inputs=given, by=actor.name), None)
    assert isinstance(asked, RestartRequested)  # noqa: S101  (for the type checker)
    view = await node.view(saga_id)
    plan = await node.plan_of(view.state)
    if from_step and not exists(plan, view.state.steps, from_step):
        there = plan.steps if plan.data is None else [*in_order(plan, view.state.steps)]
        raise StepNotFoundError(f"saga {plan.name!r} has no step {from_step[:100]!a}; {nearest(from_step, there)}")
    found = preview(plan, view.state, asked)
    return RestartPreview(
        saga_id=saga_id,
        revision=f"{view.seq}-{view.tag:x}",
        accepted=not found.problem,
        problem=found.problem or None,
        steps=list(found.steps),
        compensated=list(found.undone),
        awaited=list(found.awaited),
        refusing=[Hindrance(step=step, problem=why) for step, why in found.hindrances.items()],
        warning=SKIPPED if found.undone and not found.problem else None,
    )


async def check_restart(node: Node, plan: Plan) -> None:
    """Refuse a restart while there is older code that would have to leave the saga alone.

    Raises:
        RequestRefusedError: a living instance has such code.
    """
    await _known_to_all(node, "was restarted", *((REWIND,) if plan.data is None else (REWIND, REWIND_OF_MAP)))


async def _known_to_all(node: Node, what: str, *needed: str) -> None:
    if behind := await node.definitions.unready(needed):
        raise RequestRefusedError(f"{', '.join(behind)} cannot run a saga that {what}: replace them by newer ones first")


async def _request(
    actor: Actor,
    node: Node,
    saga_id: UUID,
    event: OperatorRequest,
    precautions: Precautions,
    *,
    to_fence: tuple[Plan, View] | None = None,
) -> SagaDetail:
    request_id = precautions.request_id
    event_id = None if request_id is None else uuid5(saga_id, request_id)
    if event_id is not None and await stands(node, saga_id, event, event_id):
        return await saga_status(actor, node, saga_id)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            if to_fence is not None and isinstance(event, UnattendedRequest):
                await _request_under_lease(node, *to_fence, event, precautions.expected, event_id)
            elif isinstance(event, SagaMigrated):
                await migrator(node).migrate(saga_id, event, expected=precautions.expected, event_id=event_id)
            else:
                await node.request(saga_id, event, expected=precautions.expected, event_id=event_id)
    except TimeoutError:
        raise StoreUnavailableError(OPEN) from None
    except RequestRefusedError as error:
        if event_id is not None and await stands(node, saga_id, event, event_id):
            return await saga_status(actor, node, saga_id)  # the same request came twice at once
        raise await with_what_is_allowed(node, saga_id, error) from None
    if event_id is not None:
        await stands(node, saga_id, event, event_id)  # raises where another request with this id came at the same moment
    return await saga_status(actor, node, saga_id)


async def _restart_as_new(actor: Actor, node: Node, saga_id: UUID, asked: RestartAsNew, precautions: Precautions) -> SagaDetail:
    request_id = precautions.request_id
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            there = await restart(node, saga_id, asked, expected=precautions.expected, request_id=request_id)
    except TimeoutError:
        problem = "the database went away; repeat the request, a saga is restarted once however often that is asked"
        raise StoreUnavailableError(problem) from None
    except RequestRefusedError as error:
        raise await with_what_is_allowed(node, saga_id, error) from None
    if not there.new and (request_id is None or there.restart.request_id != request_id):
        raise RefusedNowError(f"saga {saga_id} was restarted before, as saga {there.saga_id}; see to that one", ())
    if there.restart.asked != asked:
        raise RequestIdReusedError
    return await saga_status(actor, node, saga_id)


async def with_what_is_allowed(node: Node, saga_id: UUID, error: RequestRefusedError) -> RequestRefusedError:
    """Return a refusal with the requests that the saga would accept instead, unless it is about something else."""
    if type(error) is not RequestRefusedError:
        return error
    now = (await node.view(saga_id)).state
    plan = await node.plan_of(now)
    alone = unattended(plan, now, await surroundings(node, plan, now))
    return RefusedNowError(str(error), allowed(plan, now, alone))


def migrator(node: Node) -> Migrator:
    """Return what moves this engine's sagas to other versions."""
    return Migrator(
        log=node.store.log,
        definitions=node.definitions,
        appender=node.appender,
        clock=node.clock,
        instance=node.instance.serial,
        participant=node.registry.name,
    )


async def _request_under_lease(
    node: Node,
    plan: Plan,
    view: View,
    event: UnattendedRequest,
    expected: Expected | None,
    event_id: UUID | None,
) -> None:
    """Append a request about a step that was sent, under its lease, so that nobody begins it meanwhile.

    Raises:
        RequestRefusedError: somebody runs it, or could, or the saga's state does not allow this.
    """
    lease = await fenced(node, plan, view, event.step, await surroundings(node, plan, view.state))
    saga_id = view.state.saga_id
    submission = Submission(
        saga_id, plan, event, view=view, lease=lease, expected=expected, doubtful=event_id is not None, note=unwritten()
    )
    submission.event_id = event_id or submission.event_id
    appended = False
    try:
        answer = await node.appender.submit(submission)
        appended = not answer.dropped
        if appended:
            written()
    finally:
        if lease is not None and not appended:
            await node.store.leases.release([lease])
    if answer.dropped:
        raise RequestRefusedError(answer.dropped)


async def stands(node: Node, saga_id: UUID, event: Event, event_id: UUID) -> bool:
    """Return whether the log holds this request already.

    Raises:
        RequestIdReusedError: the log has another request under its id.
    """
    (tail,) = await node.store.log.read([Known(saga_id)])
    stored = next((entry for entry in tail.entries if entry.event_id == event_id), None)
    if stored is None:
        return False
    asked, found = msgspec.structs.asdict(event), msgspec.structs.asdict(log.event(stored))
    if stored.event != type(event).__name__ or any(asked[name] != found[name] for name in asked.keys() - DECIDED_LATER):
        raise RequestIdReusedError
    return True


def kept(node: Node, request: Asked, request_id: str | None) -> Asked:
    """Return the request as it will be read, and no longer the caller's to change.

    Raises:
        RequestInvalidError, PayloadError: it cannot be kept, or lacks something.
    """
    operation = OPERATIONS[type(request)]
    reason, step = getattr(request, "reason", ""), getattr(request, "step", "")
    found = text_faults("reason", reason, REASON_CHARACTERS_MAX)
    if operation.needs_reason and not reason.strip():
        found.append(Fault("reason", f"is missing: {operation.why.format(step=step)}; give the reason"))
    if request_id is not None:
        found += key_faults("request_id", request_id)
    kept = {}
    for each in operation.parameters:
        value = getattr(request, each.name)
        if each.kind is Kind.VALUES and not value and (each.required or value is not None):
            found.append(Fault(each.name, "are empty; name at least one with its new value"))
        if each.kind not in (Kind.FLAG, Kind.STEP):
            kept[each.name] = value
    if found:
        raise RequestInvalidError("the request", found)
    return msgspec.structs.replace(request, **{name: keepable(node, value, name) for name, value in kept.items()})


def keepable(node: Node, value: Any, name: str) -> Any:
    """Return the value as it will be read, and no longer the caller's to change."""
    try:
        return values.decode(values.encode(value, bytes_max=node.payload_bytes_max))
    except PayloadError as error:
        raise type(error)(error.path.replace("$", f"$.{name}", 1), error.problem) from None
