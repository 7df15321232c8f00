"""Executions of flows: started with options of their own, asked after, and stopped.

An execution is a saga. What is asked of any saga is asked of it by its id (:mod:`goconductor.control.sagas`); here stands what a
flow adds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from pydantic import Field

from goconductor.aio.first_of import first_of
from goconductor.control.actor import Actor
from goconductor.control.definitions.versions import plan_of
from goconductor.control.flows.options import Options, with_options
from goconductor.control.flows.statuses import FlowStatus, of_execution, of_step
from goconductor.control.models import Document, SagaDetail, StepDetail, StepStatus
from goconductor.control.sagas import starting
from goconductor.control.sagas.queries import saga_status
from goconductor.control.sagas.requests import Precautions, RefusedNowError, StepNotFoundError, ask, expected_of
from goconductor.control.watching.changes import changes
from goconductor.engine.log.start import Started
from goconductor.engine.node import Node
from goconductor.errors import RequestRefusedError, SagaNotFoundError, nearest
from goconductor.lifecycle.facts.events import AbortRequested, OperatorRequest, PauseRequested, TerminationRequested
from goconductor.lifecycle.facts.status import SagaStatus

HISTORY_PAGE = 500
"""Number of events that are read at a time."""
_OPEN = {StepStatus.QUEUED, StepStatus.RUNNING, StepStatus.WAITING, StepStatus.UNKNOWN, StepStatus.COMPENSATING}


class FlowStepStatus(Document):
    """How a step of an execution is doing."""

    id: str
    status: FlowStatus
    reason: Annotated[str | None, Field(description="why it waits, or why it is what it is")] = None


class FlowStepResult(Document):
    """What a step of an execution has given."""

    id: str
    output: Any = None


class FlowExecution(Document):
    """How an execution of a flow is doing."""

    saga_id: UUID
    flow: str
    version: str
    status: FlowStatus
    reason: Annotated[str | None, Field(description="why it turned back, was paused or was stopped")] = None
    output: Annotated[Any, Field(description="what it answers; only of one that has succeeded")] = None
    steps: Annotated[list[FlowStepStatus], Field(description="in an order that the flow allows")]


async def execute(
    actor: Actor,
    node: Node,
    flow: str,
    input: Any,
    options: Options,
    *,
    key: str | None = None,
    labels: Mapping[str, str] | None = None,
    version: str | None = None,
    priority: int = 0,
) -> Started:
    """Start an execution of a flow.

    Args:
        actor: the actor of the request.
        node: the engine.
        flow: its name.
        input: JSON values.
        options: those of this execution.
        key: the same key and input again find the same execution, whatever the options are.
        labels: up to 20 words to find it by.
        version: of the flow; None takes the newest.
        priority: of its steps where they wait for room in a process, from -100 to 100; 0 takes the flow's.

    Raises:
        DefinitionNotFoundError: there is no such flow, or no such version.
        DefinitionError: it cannot be executed so; has all reasons.
        RequestRefusedError: a living instance does not know what an option uses.
        RequestInvalidError, PayloadError, SagaAlreadyStartedError, StoreUnavailableError: as of :func:`starting.start`.
    """
    plan = await plan_of(node, flow, version)
    definition = with_options(plan, options)
    if definition != plan.definition:
        plan = await node.definitions.register(definition, activate=False, derived=True)
        await node.definitions.refuse_unready(plan, "an execution with these options would use")
    return await starting.start(actor, node, plan, input, key=key, labels=labels, reply=True, priority=priority or None)


async def execution(actor: Actor, node: Node, flow: str, saga_id: UUID) -> FlowExecution:
    """Return how an execution is doing.

    Raises:
        SagaNotFoundError: this flow has no such execution.
        StoreUnavailableError: the database cannot be reached.
    """
    detail = await _of_flow(actor, node, flow, saga_id)
    aborted = detail.status is SagaStatus.COMPENSATED and await _was_aborted(node, saga_id)
    return FlowExecution(
        saga_id=saga_id,
        flow=flow,
        version=detail.version,
        status=of_execution(detail.status, aborted=aborted),
        reason=detail.reason,
        output=detail.output,
        steps=[
            FlowStepStatus(
                id=each.id,
                status=of_step(each.status, detail.status, failed=each.error is not None),
                reason=each.reason or each.error,
            )
            for each in detail.steps
        ],
    )


async def step_result(actor: Actor, node: Node, flow: str, saga_id: UUID, step: str) -> Any:
    """Return the output of a step.

    Raises:
        StepNotFoundError: the execution has no such step.
        RequestRefusedError: the step has no output; says why.
        SagaNotFoundError: this flow has no such execution.
        StoreUnavailableError: the database cannot be reached.
    """
    detail = await _of_flow(actor, node, flow, saga_id)
    found = next((each for each in detail.steps if each.id == step), None)
    if found is None:
        raise StepNotFoundError(f"execution {saga_id} has no step {step[:100]!a}; {nearest(step, [s.id for s in detail.steps])}")
    if found.status is not StepStatus.SUCCEEDED:
        why = found.reason or found.error
        raise RequestRefusedError(f"step {step!r} has no result: it is {found.status}" + (f", {why}" if why else ""))
    return found.output


async def checked(actor: Actor, node: Node, flow: str, saga_id: UUID) -> None:
    """Refuse an id that is not that of an execution of this flow.

    Raises:
        SagaNotFoundError: it is none.
    """
    await _of_flow(actor, node, flow, saga_id)


async def request(
    actor: Actor, node: Node, flow: str, saga_id: UUID, asked: OperatorRequest, *, request_id: str | None = None
) -> FlowExecution:
    """Make a request of operators about an execution, and return how it is doing then.

    Args:
        actor: the actor; the saga's history keeps the name.
        node: the engine.
        flow: its name.
        saga_id: the execution's id.
        asked: the request.
        request_id: names the request: made again, it changes nothing.

    Raises:
        SagaNotFoundError: this flow has no such execution.
        RefusedNowError: its state does not allow this; names what it allows.
        RequestInvalidError, StoreUnavailableError: as of :func:`ask`.
    """
    await checked(actor, node, flow, saga_id)
    await ask(actor, node, saga_id, asked, Precautions.of(None, request_id))
    return await execution(actor, node, flow, saga_id)


async def stop(
    actor: Actor,
    node: Node,
    flow: str,
    saga_id: UUID,
    reason: str,
    *,
    forced: bool = False,
    within_seconds: float,
    stopping: asyncio.Event | None = None,
) -> FlowExecution:
    """Stop an execution: nothing new begins, what runs comes to its end, and then it is ended as it stands.

    May be asked again, also after its end.

    Args:
        actor: the actor; the saga's history keeps the name.
        node: the engine.
        flow: its name.
        saga_id: the execution's id.
        reason: why, for its history.
        forced: do not wait for the journals of services that may be gone; a late effect is then possible.
        within_seconds: how long to wait for what runs, and for the end.
        stopping: ends these waits, too.

    Raises:
        TimeoutError: it has not ended by then; names what it waits for. While something runs on it is paused.
        RequestInvalidError: the reason is missing or cannot be kept.
        RefusedNowError: its state does not allow this; names what it allows.
        SagaNotFoundError: this flow has no such execution.
        StoreUnavailableError: the database cannot be reached; it may be paused by now.
    """
    termination = TerminationRequested(reason=reason, forced=forced)
    if not reason.strip():
        await ask(actor, node, saga_id, termination, Precautions())  # is refused, before anything is done
    time = _Time(asyncio.get_running_loop().time() + within_seconds, stopping or asyncio.Event())
    detail = await _of_flow(actor, node, flow, saga_id)
    if not (detail.status.ended or detail.status in (SagaStatus.PAUSED, SagaStatus.TERMINATING)):
        await ask(actor, node, saga_id, PauseRequested(reason=reason), Precautions())
    detail = await _until(lambda seen: not _running(seen), time, actor, node, saga_id)
    if running := _running(detail):
        names = ", ".join(each.id for each in running)
        raise TimeoutError(
            f"execution {saga_id} is paused, and {names} ran on for {within_seconds:g} s; stop it again, or resume it"
        )
    try:
        await ask(actor, node, saga_id, termination, Precautions())
    except RefusedNowError:
        status = (await saga_status(actor, node, saga_id)).status
        if not status.ended and status is not SagaStatus.TERMINATING:
            raise
    detail = await _until(lambda seen: seen.status.ended, time, actor, node, saga_id)
    if not detail.status.ended:
        raise TimeoutError(
            f"execution {saga_id} has not ended within {within_seconds:g} s, as nobody knows yet what {_open(detail)} has done; "
            "stop it again, or forced, which does not wait for that"
        )
    return await execution(actor, node, flow, saga_id)


class _Time(NamedTuple):
    """How long somebody waits."""

    ends_at: float
    stopping: asyncio.Event


async def _until(is_so: Callable[[SagaDetail], bool], time: _Time, actor: Actor, node: Node, saga_id: UUID) -> SagaDetail:
    """Wait until a saga is so, while there is time, and return it as it is then."""
    detail = await saga_status(actor, node, saga_id)
    if is_so(detail):
        return detail

    async def watched() -> None:
        async for _ in changes(actor, node, saga_id, expected_of(detail.revision).seq):
            if is_so(await saga_status(actor, node, saga_id)):
                return

    with suppress(TimeoutError):
        async with asyncio.timeout_at(time.ends_at):
            await first_of(watched(), time.stopping.wait())
    return await saga_status(actor, node, saga_id)


def _open(detail: SagaDetail) -> str:
    """Name the steps whose outcome is open, and why."""
    waiting = [each for each in detail.steps if each.status in _OPEN]
    return ", ".join(f"{each.id} ({each.reason})" if each.reason else each.id for each in waiting) or "it"


def _running(detail: SagaDetail) -> list[StepDetail]:
    return [each for each in detail.steps if each.owner is not None]


async def _of_flow(actor: Actor, node: Node, flow: str, saga_id: UUID) -> SagaDetail:
    detail = await saga_status(actor, node, saga_id)
    if detail.saga != flow:
        raise SagaNotFoundError(f"flow {flow[:100]!a} has no execution {saga_id}; that is one of {detail.saga!r}")
    return detail


async def _was_aborted(node: Node, saga_id: UUID) -> bool:
    after = 0
    while entries := await node.store.sagas.history(saga_id, after=after, limit=HISTORY_PAGE):
        if any(entry.event == AbortRequested.__name__ for entry in entries):
            return True
        after = entries[-1].seq
    return False
