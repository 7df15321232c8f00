"""Signals to a saga on its way, approvals, and outcomes of what was handed out: what happened outside, told once.

A signal has an id, which its sender gives or which is drawn here. One that is sent again under its id changes nothing, and is
answered as before, also by a saga that has ended meanwhile. The store knows the ids; so a signal costs the same, however many
came before it.

An approval names the step and the round that its sender was shown. Whoever shows the question puts both in; nobody corrects
them on arrival, since the person has approved what stood there and not what stands there now.

An outcome names its step by the task token that was handed out with it. A report that is repeated changes nothing, and is
answered as before: its id is made of the token. What comes too late is refused, and whoever reports it undoes what was done.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import noted
from goconductor.control.faults import Fault, RequestInvalidError, text_faults
from goconductor.control.models import SagaDetail
from goconductor.control.sagas.queries import saga_status
from goconductor.control.sagas.requests import (
    ANSWER_SECONDS,
    NO_PRECAUTIONS,
    REASON_CHARACTERS_MAX,
    Precautions,
    RequestIdReusedError,
    StepNotFoundError,
    keepable,
    stands,
)
from goconductor.control.sagas.starting import key_faults
from goconductor.engine.facts import log
from goconductor.engine.facts.log import View
from goconductor.engine.log.folding import Expected, Submission
from goconductor.engine.node import Node
from goconductor.errors import (
    ArgumentError,
    PermanentError,
    RefusedError,
    RequestRefusedError,
    StoreUnavailableError,
    TemporaryError,
    nearest,
)
from goconductor.lifecycle.facts.events import CompensationReported, OutcomeReported, Report, SignalReceived
from goconductor.lifecycle.facts.state import Failure
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus
from goconductor.lifecycle.grown import exists
from goconductor.ports.store.log.notes import unwritten, written
from goconductor.saga.ids import Direction, read_task_token
from goconductor.saga.plan import Plan


@noted("saga {saga_id}", detail=lambda given: given["name"])
async def signal(
    actor: Actor, node: Node, saga_id: UUID, name: str, payload: Any = None, *, precautions: Precautions = NO_PRECAUTIONS
) -> SagaDetail:
    """Tell a saga that something has happened.

    Args:
        actor: who tells it; the saga's history keeps the name.
        node: the engine.
        saga_id: the saga's id.
        name: the event that a step of it waits for, or will.
        payload: JSON values; the output of the step that takes it.
        precautions: what the sender has seen of the saga, and the signal's id; without one an id is drawn.

    Raises:
        SagaNotFoundError: there is no such saga.
        SagaChangedError: it is not at ``precautions.expected`` any more.
        RequestRefusedError: no step of it waits for such a signal, it keeps too many, or it has ended.
        RequestIdReusedError: another signal of this saga had this id.
        RequestInvalidError: the id is none.
        PayloadError: the payload cannot be kept.
        StoreUnavailableError: the database cannot be reached; whether the signal was recorded is then open.
    """
    payload = keepable(node, payload, "payload")
    event = SignalReceived(name=name, id=_id(precautions), payload=payload, by=actor.name)
    return await _send(actor, node, saga_id, event, precautions)


@noted("saga {saga_id}", detail=lambda given: given["step"])
async def approve(
    actor: Actor,
    node: Node,
    saga_id: UUID,
    step: str,
    *,
    reason: str,
    round: int = 0,
    precautions: Precautions = NO_PRECAUTIONS,
) -> SagaDetail:
    """Approve a step of a saga.

    Args:
        actor: who approves.
        node: the engine.
        saga_id: the saga's id.
        step: the step, as the question was shown with.
        reason: why.
        round: the step's round, as the question was shown with.
        precautions: as of :func:`signal`.

    Raises:
        RequestInvalidError: the reason is missing or cannot be kept, or the id is none.
        StepNotFoundError: the saga has no such step.
        SagaNotFoundError, SagaChangedError, RequestRefusedError, RequestIdReusedError, StoreUnavailableError: as of
            :func:`signal`.
    """
    found = text_faults("reason", reason, REASON_CHARACTERS_MAX)
    if not reason.strip():
        found.append(Fault("reason", f"is missing: an approval of step {step[:100]!a} is a person's word; give the reason"))
    if found:
        raise RequestInvalidError("the approval", found)
    event = SignalReceived(name=step, id=_id(precautions), approves=step, seen_round=round, reason=reason, by=actor.name)
    return await _send(actor, node, saga_id, event, precautions)


def _handed_out(given: Mapping[str, Any]) -> str:
    try:
        named = read_task_token(given["token"])
    except ArgumentError:
        return ""
    return f"saga {named.saga_id}"


@noted(_handed_out)
async def report(
    actor: Actor, node: Node, token: str, *, output: Any = None, failure: str = "", refused: bool = False, final: bool = True
) -> SagaDetail:
    """Report how a step, or its compensation, has ended that was handed out.

    Args:
        actor: who reports; the saga's history keeps the name.
        node: the engine.
        token: the task token that the code handed out; for a success its idempotency key will do.
        output: JSON values, the step's output. Of a compensation nobody reads one.
        failure: why it has failed; empty where it has succeeded.
        refused: of a failure, whether the outside refused to begin, so that there is nothing to undo.
        final: of a failure, whether another attempt cannot help; else the step's retry policy decides.

    Raises:
        SagaNotFoundError: there is no such saga.
        StepNotFoundError: it has no such step.
        RequestRefusedError: it comes too late, so that what was done is to be undone outside; or another attempt is at work.
        RequestIdReusedError: another outcome was reported for this token.
        RequestInvalidError: this is no token; or the failure is missing, cannot be kept, or comes with an output or by an
            idempotency key; or an output comes for a compensation.
        PayloadError: the output cannot be kept.
        StoreUnavailableError: the database cannot be reached; report it again.
    """
    try:
        named = read_task_token(token)
    except ArgumentError as error:
        raise RequestInvalidError("the outcome", [Fault("token", str(error))]) from None
    found = text_faults("failure", failure, REASON_CHARACTERS_MAX)
    if failure and output is not None:
        found.append(Fault("output", "comes with a failure; give one of them"))
    if not failure and (refused or not final):
        found.append(Fault("failure", "is missing: only a failure can be refused or tried again; say why it failed"))
    if output is not None and named.direction is Direction.COMPENSATION:
        found.append(Fault("output", "is of no use: nobody reads what a compensation gives; leave it out"))
    if failure and named.attempt is None:
        found.append(Fault("token", "is an idempotency key, which names no attempt; report a failure by its task token"))
    if found:
        raise RequestInvalidError("the outcome", found)
    kind = RefusedError if refused else PermanentError if final else TemporaryError
    why = Failure(kind.__name__, failure, retryable=not (refused or final)) if failure else None
    view = await node.view(named.saga_id)  # so that a saga or a database that is not there is reported at once
    plan, step = await node.plan_of(view.state), named.step
    if not exists(plan, view.state.steps, step):
        raise StepNotFoundError(f"saga {plan.name!r} has no step {step[:100]!a}; {nearest(step, plan.owners)}")
    told = 1 if why is None or named.attempt is None else named.attempt  # a success is the same by whichever token it comes
    event: Report
    if named.direction is Direction.COMPENSATION:
        event = CompensationReported(step, told, named.round, failure=why, by=actor.name)
    else:
        event = OutcomeReported(step, told, named.round, output=keepable(node, output, "output"), failure=why, by=actor.name)
    about = f"{step}/{named.round}" if why is None else f"{step}/{named.round}/{named.attempt}"
    what = "undo" if named.direction is Direction.COMPENSATION else "outcome"
    return await _report(actor, node, named.saga_id, event, uuid5(named.saga_id, f"{what} {about}"))


async def _report(actor: Actor, node: Node, saga_id: UUID, event: Report, event_id: UUID) -> SagaDetail:
    if not await _is_taken(node, saga_id, event, event_id):
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await node.request(saga_id, event, event_id=event_id)
        except TimeoutError:
            raise StoreUnavailableError("the database went away; report it again, it may have been recorded") from None
        except RequestRefusedError:
            if not await _is_taken(node, saga_id, event, event_id):
                raise  # else it came twice at once
    return await saga_status(actor, node, saga_id)


async def _has_succeeded(node: Node, saga_id: UUID, event: Report) -> bool:
    """Return whether this is a success that is known, and stands: somebody has asked meanwhile."""
    step = (await node.view(saga_id)).state.step(event.step)
    if isinstance(event, CompensationReported):
        stands = step.compensation.status is CompensationStatus.DONE
    else:
        stands = step.action.status is ActionStatus.SUCCEEDED and step.compensation.status is CompensationStatus.NONE
    return event.failure is None and stands and step.round == event.round


async def _is_taken(node: Node, saga_id: UUID, event: Report, event_id: UUID) -> bool:
    """Return whether this report changes nothing any more, and is answered as before.

    Raises:
        RequestIdReusedError: another outcome was reported before.
    """
    try:
        return await stands(node, saga_id, event, event_id) or await _has_succeeded(node, saga_id, event)
    except RequestIdReusedError:
        raise RequestIdReusedError("another outcome of this attempt was reported before; the first one counts") from None


def _id(precautions: Precautions) -> str:
    return uuid.uuid4().hex if precautions.request_id is None else precautions.request_id


async def _send(actor: Actor, node: Node, saga_id: UUID, event: SignalReceived, precautions: Precautions) -> SagaDetail:
    if found := key_faults("request_id", event.id):
        raise RequestInvalidError("the signal", found)
    if precautions.request_id is not None and await _stands(node, saga_id, event):
        return await saga_status(actor, node, saga_id)
    view = await node.view(saga_id)  # so that a saga or a database that is not there is reported at once
    plan = await node.plan_of(view.state)
    if event.approves and not exists(plan, view.state.steps, event.approves):
        raise StepNotFoundError(
            f"saga {plan.name!r} has no step {event.approves[:100]!a}; {nearest(event.approves, plan.approvals or plan.steps)}"
        )
    known: View | None = None
    try:
        known = await append(node, plan, view, event, precautions.expected)
    except RequestRefusedError:
        if not await _stands(node, saga_id, event):  # it came twice at once
            raise
    return await saga_status(actor, node, saga_id, known)


async def append(node: Node, plan: Plan, view: View, event: SignalReceived, expected: Expected | None) -> View:
    """Append a signal, and return the saga as it is then. Of the saga nothing is read that is known by ``view``.

    Raises:
        SagaChangedError, RequestRefusedError, StoreUnavailableError: as of :func:`signal`.
    """
    submission = Submission(view.state.saga_id, plan, event, view=view, expected=expected, note=unwritten())
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            appended = await node.appender.submit(submission)
    except TimeoutError:
        problem = "the database went away; send the signal again under the same id, it may have been recorded"
        raise StoreUnavailableError(problem) from None
    written()
    return appended.view or await node.view(view.state.saga_id)


async def _stands(node: Node, saga_id: UUID, event: SignalReceived) -> bool:
    """Return whether the saga has had this signal.

    Raises:
        RequestIdReusedError: it has had another one of this id.
    """
    known = await node.store.sagas.signalled(saga_id, event.id)
    if known is not None and known != log.signal_id(event).digest:
        raise RequestIdReusedError
    return known is not None
