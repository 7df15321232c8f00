"""Signals to a saga on its way, and approvals: what happened outside, told once.

A signal has an id, which its sender gives or which is drawn here. One that is sent again under its id changes nothing, and is
answered as before, also by a saga that has ended meanwhile. The store knows the ids; so a signal costs the same, however many
came before it.

An approval names the step and the round that its sender was shown. Whoever shows the question puts both in; nobody corrects
them on arrival, since the person has approved what stood there and not what stands there now.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any
from uuid import UUID

from goconductor.control.actor import Actor
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
)
from goconductor.control.sagas.starting import key_faults
from goconductor.engine.facts import log
from goconductor.engine.log.folding import Submission
from goconductor.engine.node import Node
from goconductor.errors import RequestRefusedError, StoreUnavailableError, nearest
from goconductor.lifecycle.facts.events import SignalReceived
from goconductor.lifecycle.grown import exists


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


def _id(precautions: Precautions) -> str:
    return uuid.uuid4().hex if precautions.request_id is None else precautions.request_id


async def _send(actor: Actor, node: Node, saga_id: UUID, event: SignalReceived, precautions: Precautions) -> SagaDetail:
    if found := key_faults("request_id", event.id):
        raise RequestInvalidError("the signal", found)
    if await _stands(node, saga_id, event):
        return await saga_status(actor, node, saga_id)
    view = await node.view(saga_id)  # so that a saga or a database that is not there is reported at once
    plan = await node.plan_of(view.state)
    if event.approves and not exists(plan, view.state.steps, event.approves):
        raise StepNotFoundError(
            f"saga {plan.name!r} has no step {event.approves[:100]!a}; {nearest(event.approves, plan.approvals or plan.steps)}"
        )
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await node.appender.submit(Submission(saga_id, None, event, expected=precautions.expected))
    except TimeoutError:
        problem = "the database went away; send the signal again under the same id, it may have been recorded"
        raise StoreUnavailableError(problem) from None
    except RequestRefusedError:
        if not await _stands(node, saga_id, event):  # it came twice at once
            raise
    return await saga_status(actor, node, saga_id)


async def _stands(node: Node, saga_id: UUID, event: SignalReceived) -> bool:
    """Return whether the saga has had this signal.

    Raises:
        RequestIdReusedError: it has had another one of this id.
    """
    known = await node.store.sagas.signalled(saga_id, event.id)
    if known is not None and known != log.signal_id(event).digest:
        raise RequestIdReusedError
    return known is not None
