"""What operators ask of a saga that is on its way. One function per request; each answers with the saga as it is then.

A request is an event like any other: it is appended if the saga's state allows it, and stands in its history with who asked and
why. Who looked first can say what was seen (:class:`Expected`): if the saga has moved on, nothing is done. That is decided by
the append itself, not by a look before it, so of two operators who act on the same sight only one succeeds::

    detail = await queries.saga_status(node, saga_id)
    await requests.skip(node, saga_id, "refund", reason="paid in cash", by="ann", expected=expected_of(detail.revision))

A request may carry an id of its client's. Its event then has an id made of that, so the log itself tells a request that was
repeated because its answer was lost.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID, uuid5

import msgspec

from goconductor.control.attended import fenced, side_of, unattended
from goconductor.control.commands import KEY, KEY_CHARACTERS_MAX, RequestInvalidError
from goconductor.control.faults import Fault
from goconductor.control.models import SagaDetail
from goconductor.control.queries import saga_status, surroundings
from goconductor.errors import PayloadError, RequestRefusedError, StoreUnavailableError, nearest
from goconductor.lifecycle import events
from goconductor.lifecycle.allowed import Request, allowed
from goconductor.lifecycle.events import Event
from goconductor.participant import log
from goconductor.participant.folding import Expected, Submission
from goconductor.participant.log import View
from goconductor.participant.node import Node
from goconductor.ports.store import Known
from goconductor.saga import values
from goconductor.saga.plan import Plan

REASON_CHARACTERS_MAX = 2_000
BY_CHARACTERS_MAX = 255
ANSWER_SECONDS = 10.0
"""How long a request waits for a database that has gone away under it."""

AboutStep: TypeAlias = events.RetryRequested | events.SkipRequested | events.OutcomeDeclared | events.InputEdited

DECIDED_LATER = frozenset({"answers", "at", "round"})
"""Fields of an event that do not come from who asks."""

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


def expected_of(revision: str) -> Expected:
    """A saga's revision, as :attr:`SagaDetail.revision` shows it, for use as ``expected``.

    Raises:
        RequestInvalidError: it is none.
    """
    found = _REVISION.fullmatch(revision)
    if found is None:
        problem = f"{revision[:63]!a} is no revision of a saga; take it from the saga as you saw it"
        raise RequestInvalidError("the request", [Fault("revision", problem)])
    return Expected(int(found[1]), int(found[2], 16))


async def pause(
    node: Node, saga_id: UUID, *, reason: str = "", by: str = "", expected: Expected | None = None, request_id: str | None = None
) -> SagaDetail:
    """Start nothing new; what runs goes on, and its outcome is recorded.

    Args:
        node: the engine.
        saga_id: which saga.
        reason: why, for its history.
        by: who asks.
        expected: what was seen of the saga; None asks whatever has happened since.
        request_id: 1 to 255 printable ASCII characters that name this request. Asked again with the same id, for as long as the
            saga is kept, it changes nothing and is answered like the first time, also after the saga has ended.

    Raises:
        SagaNotFoundError: there is no such saga.
        RequestIdReusedError: another request of this saga had this id.
        SagaChangedError: it is not at ``expected`` any more.
        RefusedNowError: its state does not allow this; says what it does.
        RequestInvalidError: the reason or another argument cannot be kept.
        StoreUnavailableError: the database cannot be reached; whether the request was recorded is then open.
    """
    return await _ask(node, saga_id, events.PauseRequested(reason=reason, by=by), expected, request_id)


async def resume(
    node: Node, saga_id: UUID, *, by: str = "", expected: Expected | None = None, request_id: str | None = None
) -> SagaDetail:
    """Lift a pause. Arguments and errors are those of :func:`pause`."""
    return await _ask(node, saga_id, events.ResumeRequested(by=by), expected, request_id)


async def abort(
    node: Node, saga_id: UUID, *, reason: str = "", by: str = "", expected: Expected | None = None, request_id: str | None = None
) -> SagaDetail:
    """Compensate what was done. Arguments and errors are those of :func:`pause`."""
    return await _ask(node, saga_id, events.AbortRequested(reason=reason, by=by), expected, request_id)


async def terminate(
    node: Node, saga_id: UUID, *, reason: str, by: str = "", expected: Expected | None = None, request_id: str | None = None
) -> SagaDetail:
    """End it as it stands: nothing is compensated. Arguments and errors are those of :func:`pause`."""
    _required(reason, "terminating leaves effects standing")
    return await _ask(node, saga_id, events.TerminateRequested(reason=reason, by=by), expected, request_id)


async def retry(
    node: Node, saga_id: UUID, step: str, *, by: str = "", expected: Expected | None = None, request_id: str | None = None
) -> SagaDetail:
    """Try a stuck step again, its action or its compensation, under the same idempotency key.

    Raises:
        StepNotFoundError: the saga has no such step.
        others: as :func:`pause`.
    """
    return await _ask_about(node, saga_id, events.RetryRequested(step, by=by), expected, request_id)


async def skip(
    node: Node,
    saga_id: UUID,
    step: str,
    *,
    reason: str,
    forced: bool = False,
    by: str = "",
    expected: Expected | None = None,
    request_id: str | None = None,
) -> SagaDetail:
    """Go on without a stuck step. Its owner first writes its keys into its journal, so that nothing can land later.

    Args:
        node: the engine.
        saga_id: which saga.
        step: its step.
        reason: why.
        forced: do not wait for the journal; a late effect may then land, and the saga says so.
        by: who asks.
        expected: what was seen of the saga.
        request_id: as for :func:`pause`.

    Raises:
        StepNotFoundError: the saga has no such step.
        others: as :func:`pause`.
    """
    _required(reason, f"skipping step {step!a} leaves its work undone")
    return await _ask_about(node, saga_id, events.SkipRequested(step, reason=reason, forced=forced, by=by), expected, request_id)


async def declare(
    node: Node,
    saga_id: UUID,
    step: str,
    *,
    happened: bool,
    output: Any = None,
    reason: str,
    by: str = "",
    expected: Expected | None = None,
    request_id: str | None = None,
) -> SagaDetail:
    """Say what a person found out about a stuck step: it happened, with this output, or it did not and never will.

    Args:
        node: the engine.
        saga_id: which saga.
        step: its step.
        happened: whether it did.
        output: what the action would have answered; JSON values.
        reason: how that is known.
        by: who asks.
        expected: what was seen of the saga.
        request_id: as for :func:`pause`.

    Raises:
        StepNotFoundError: the saga has no such step.
        PayloadError: the output cannot be kept.
        others: as :func:`pause`.
    """
    _required(reason, f"declaring the outcome of step {step!a} stands in for its own word")
    output = _keepable(node, output, "output")
    event = events.OutcomeDeclared(step, happened=happened, output=output, reason=reason, by=by)
    return await _ask_about(node, saga_id, event, expected, request_id)


async def edit_input(
    node: Node,
    saga_id: UUID,
    step: str,
    *,
    inputs: Mapping[str, Any],
    reason: str,
    by: str = "",
    expected: Expected | None = None,
    request_id: str | None = None,
) -> SagaDetail:
    """Give other values for some inputs of a step that is stuck or waits to try again. A stuck one is then to be retried.

    Args:
        node: the engine.
        saga_id: which saga.
        step: its step.
        inputs: values by the names that its definition gives it; the others stay as they are.
        reason: why.
        by: who asks.
        expected: what was seen of the saga.
        request_id: as for :func:`pause`.

    Raises:
        StepNotFoundError: the saga has no such step.
        PayloadError: a value cannot be kept.
        others: as :func:`pause`.
    """
    _required(reason, f"editing the input of step {step!a} departs from what its saga says")
    if not inputs:
        raise RequestInvalidError("the request", [Fault("inputs", "are empty; name at least one input with its new value")])
    kept = _keepable(node, dict(inputs), "inputs")
    event = events.InputEdited(step, inputs=kept, reason=reason, by=by)
    return await _ask_about(node, saga_id, event, expected, request_id)


async def _ask_about(
    node: Node, saga_id: UUID, event: AboutStep, expected: Expected | None, request_id: str | None
) -> SagaDetail:
    view = await node.view(saga_id)
    plan = await node.plan_of(view.state)
    if event.step not in plan.steps:
        raise StepNotFoundError(f"saga {plan.name!r} has no step {event.step[:100]!a}; {nearest(event.step, plan.steps)}")
    about = msgspec.structs.replace(event, round=view.state.step(event.step).round)
    if isinstance(event, events.InputEdited | events.RetryRequested) or side_of(view.state.step(event.step)) is None:
        return await _request(node, saga_id, about, expected, request_id)
    return await _request(node, saga_id, about, expected, request_id, spoken_for=(plan, view))


async def _ask(node: Node, saga_id: UUID, event: Event, expected: Expected | None, request_id: str | None) -> SagaDetail:
    await node.view(saga_id)  # so that a saga or a database that is not there is told at once
    return await _request(node, saga_id, event, expected, request_id)


async def _request(
    node: Node,
    saga_id: UUID,
    event: Event,
    expected: Expected | None,
    request_id: str | None,
    *,
    spoken_for: tuple[Plan, View] | None = None,
) -> SagaDetail:
    _texts(reason=getattr(event, "reason", ""), by=getattr(event, "by", ""), request_id=request_id)
    event_id = None if request_id is None else uuid5(saga_id, request_id)
    if event_id is not None and await _stands(node, saga_id, event, event_id):
        return await saga_status(node, saga_id)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            if spoken_for is not None and isinstance(event, events.SkipRequested | events.OutcomeDeclared):
                await _speak_for(node, *spoken_for, event, expected, event_id)
            else:
                await node.request(saga_id, event, expected=expected, event_id=event_id)
    except TimeoutError:
        problem = "the database went away; look at the saga before you repeat the request, it may have been recorded"
        raise StoreUnavailableError(problem) from None
    except RequestRefusedError as error:
        if event_id is not None and await _stands(node, saga_id, event, event_id):
            return await saga_status(node, saga_id)  # the same request came twice at once
        if type(error) is not RequestRefusedError:
            raise
        now = (await node.view(saga_id)).state
        plan = await node.plan_of(now)
        alone = unattended(plan, now, await surroundings(node, plan, now))
        raise RefusedNowError(str(error), allowed(plan, now, alone)) from None
    if event_id is not None:
        await _stands(node, saga_id, event, event_id)  # raises where another request with this id came at the same moment
    return await saga_status(node, saga_id)


async def _speak_for(
    node: Node,
    plan: Plan,
    view: View,
    event: events.SkipRequested | events.OutcomeDeclared,
    expected: Expected | None,
    event_id: UUID | None,
) -> None:
    """Append a request about a step that was sent, under its lease, so that nobody begins it meanwhile.

    Raises:
        RequestRefusedError: somebody runs it, or could, or the saga's state does not allow this.
    """
    lease = await fenced(node, plan, view, event.step, await surroundings(node, plan, view.state))
    saga_id = view.state.saga_id
    submission = Submission(saga_id, plan.name, event, view=view, lease=lease, expected=expected, doubtful=event_id is not None)
    submission.event_id = event_id or submission.event_id
    appended = False
    try:
        answer = await node.appender.submit(submission)
        appended = not answer.dropped
    finally:
        if lease is not None and not appended:
            await node.store.release_leases([lease])
    if answer.dropped:
        raise RequestRefusedError(answer.dropped)


async def _stands(node: Node, saga_id: UUID, event: Event, event_id: UUID) -> bool:
    """Whether the log holds this request already.

    Raises:
        RequestIdReusedError: what stands there under its id is another request.
    """
    (tail,) = await node.store.read([Known(saga_id)])
    stored = next((entry for entry in tail.entries if entry.event_id == event_id), None)
    if stored is None:
        return False
    asked, found = msgspec.structs.asdict(event), msgspec.structs.asdict(log.event(stored))
    if stored.event != type(event).__name__ or any(asked[name] != found[name] for name in asked.keys() - DECIDED_LATER):
        raise RequestIdReusedError
    return True


def _required(reason: str, what: str) -> None:
    if not reason.strip():
        raise RequestInvalidError("the request", [Fault("reason", f"is missing: {what}; say why")])


def _texts(*, reason: str, by: str, request_id: str | None) -> None:
    found = []
    if request_id is not None and not KEY.fullmatch(request_id):
        found.append(Fault("request_id", f"should be 1 to {KEY_CHARACTERS_MAX} printable ASCII characters, a UUID say"))
    for name, text, longest in (("reason", reason, REASON_CHARACTERS_MAX), ("by", by, BY_CHARACTERS_MAX)):
        if len(text) > longest:
            found.append(Fault(name, f"is {len(text):,} characters, at most {longest:,} are kept"))
        try:
            values.check_value(text)
        except PayloadError as error:
            found.append(Fault(name, error.problem))
    if found:
        raise RequestInvalidError("the request", found)


def _keepable(node: Node, value: Any, name: str) -> Any:
    """The value as it will be read, and no longer the caller's to change."""
    try:
        return values.decode(values.encode(value, bytes_max=node.payload_bytes_max))
    except PayloadError as error:
        raise PayloadError(error.path.replace("$", f"$.{name}", 1), error.problem) from None
