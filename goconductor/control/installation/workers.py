"""Remote workers: they join, and begin or go on with a session. Every door lets them in here, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import note_refusal
from goconductor.control.authority.roles import ForbiddenError, check_works_for
from goconductor.control.faults import Fault, RequestInvalidError, text_faults
from goconductor.control.settings.doors import GatewaySettings
from goconductor.engine.node import Node
from goconductor.engine.steps.failures import DELAY_SECONDS_MAX
from goconductor.errors import GoConductorError, RequestRefusedError
from goconductor.gateway.gateway import Gateway
from goconductor.gateway.protocol import Failed, FailureKind, OfferedStep, Outcome, Registration, Welcome
from goconductor.gateway.session import Session
from goconductor.gateway.steps import check_schema
from goconductor.saga.ids import is_name
from goconductor.saga.retry import Retry

STEPS_MAX = 1_000
"""Steps that one worker may offer."""
INPUTS_MAX = 200
"""Greatest number of inputs of a step that a worker names."""
NAME_CHARACTERS_MAX = 100
"""Greatest length of a worker's name, in characters."""
FENCE_CHARACTERS_MAX = 64
"""Greatest length of a fence, in characters."""
TYPE_CHARACTERS_MAX = 100
"""Greatest length of the name of an error's type, in characters."""
MESSAGE_CHARACTERS_MAX = 2_000
"""Number of characters of an error's message that are kept, the first ones."""
TRACEBACK_CHARACTERS_MAX = 20_000
"""Number of characters of a traceback that are kept, the last ones."""
TIMEOUT_SECONDS_MAX = 100 * 366 * 86_400.0
_RULES = ("retry", "compensation_retry")


async def join(actor: Actor, node: Node, gateway: Gateway | None, registration: Registration) -> tuple[Session, Welcome]:
    """Let a worker in. One that wants the steps of another participant is refused, and that is noted in the audit log.

    Args:
        actor: the actor of the request.
        node: the engine.
        gateway: of this server; None where it has none.
        registration: what the worker says, checked by :func:`registration_of`.

    Raises:
        ForbiddenError: the actor's role is bound to another participant.
        RequestRefusedError: this server takes no workers, or the participant has its steps in code.
        GatewayClosedError, GatewayFullError: this server takes none now.
        StoreUnavailableError: the database cannot be reached.
    """
    if gateway is None:
        raise _takes_none()
    try:
        check_works_for(actor, registration.participant)
    except ForbiddenError as error:
        await note_refusal(node.store.audit, actor, "installation.workers.join", error, what=registration.participant)
        raise
    return await gateway.join(registration, actor.name)


def known_session(actor: Actor, gateway: Gateway | None, session_id: str) -> tuple[Gateway, Session]:
    """Return a worker's session, for a door where each request is a connection of its own.

    Args:
        actor: the actor of the request.
        gateway: of this server; None where it has none.
        session_id: as the worker was told.

    Raises:
        ForbiddenError: the actor's role is bound to another participant.
        SessionGoneError: there is no such session of this actor, or not any more.
        RequestRefusedError: this server takes no workers.
    """
    if gateway is None:
        raise _takes_none()
    session = gateway.session(session_id, actor.name)
    check_works_for(actor, session.registration.participant)
    return gateway, session


def registration_of(
    given: Mapping[str, Any], steps: Iterable[Mapping[str, Any]], settings: GatewaySettings, holding: Iterable[str] = ()
) -> Registration:
    """Read what a worker says first.

    Args:
        given: ``participant``, ``credit``, ``worker`` and ``session``.
        steps: of each ``name``, and perhaps ``compensation``, ``inputs``, ``timeout_seconds``, ``retry``, ``compensation_retry``;
            ``inputs`` has by each name ``required`` and perhaps ``schema``.
        settings: have the greatest credit.
        holding: the fences of what the worker has.

    Raises:
        RequestInvalidError: with each place that is wrong.
    """
    faults: list[Fault] = []
    participant, worker = given["participant"], given.get("worker") or ""
    if not is_name(participant):
        faults.append(Fault("participant", "should be 1 to 100 letters, digits, '_' or '-'"))
    faults += text_faults("worker", worker, NAME_CHARACTERS_MAX)
    faults += credit_faults(given["credit"], settings)
    listed = list(steps)
    if not 0 < len(listed) <= STEPS_MAX:
        faults.append(Fault("steps", f"should be from 1 to {STEPS_MAX:,}"))
    offered = [_step(f"steps[{number}]", step, faults) for number, step in enumerate(listed[:STEPS_MAX])]
    if len({step.name for step in offered}) < len(offered):
        faults.append(Fault("steps", "name a step twice; leave one of them out"))
    if faults:
        raise RequestInvalidError("the worker's registration", faults)
    return Registration(
        participant=participant,
        steps=tuple(offered),
        credit=given["credit"],
        worker=worker,
        session=given.get("session") or "",
        holding=tuple(holding),
    )


def _takes_none() -> RequestRefusedError:
    return RequestRefusedError("this server takes no workers; set gateway.enabled, or use a server that has it")


def credit_faults(credit: int, settings: GatewaySettings) -> list[Fault]:
    """Find what is wrong with how many tasks a worker wants at once."""
    if 0 <= credit <= settings.credit_max:
        return []
    return [Fault("credit", f"should be from 0 to {settings.credit_max:,}, as many as gateway.credit_max")]


def outcome_of(given: Mapping[str, Any], output: bytes) -> Outcome:
    """Read an outcome.

    Args:
        given: ``fence``, and of a failure ``kind``, ``message``, ``type``, ``traceback``, ``retry_after_seconds``; without a kind
            it is a success.
        output: as JSON; empty is null.

    Raises:
        RequestInvalidError: it cannot be understood. A worker that sends it has a fault, which no other attempt would mend.
    """
    faults: list[Fault] = []
    fence, kind = given["fence"], given.get("kind") or ""
    if not 0 < len(fence) <= FENCE_CHARACTERS_MAX:
        faults.append(Fault("fence", "should be the fence of the task"))
    if kind and kind not in set(FailureKind):
        faults.append(Fault("failure.kind", f"should be one of {', '.join(FailureKind)}"))
    after = given.get("retry_after_seconds")
    if after is not None and not 0 <= after <= DELAY_SECONDS_MAX:
        faults.append(Fault("failure.retry_after_seconds", "should be from 0 to ten years"))
    if faults:
        raise RequestInvalidError("the outcome", faults)
    if not kind:
        return Outcome(fence=fence, output=output)
    failure = Failed(
        kind=FailureKind(kind),
        message=(given.get("message") or "")[:MESSAGE_CHARACTERS_MAX],
        type=_type(given.get("type") or ""),
        traceback=(given.get("traceback") or "")[-TRACEBACK_CHARACTERS_MAX:],
        retry_after_seconds=after,
    )
    return Outcome(fence=fence, failure=failure)


def _type(name: str) -> str:
    """Return an error's name as policies know it; what cannot be a name is left out."""
    last = name.rpartition(".")[2]
    return last if last.isidentifier() and last.isascii() and len(last) <= TYPE_CHARACTERS_MAX else ""


def _step(path: str, given: Mapping[str, Any], faults: list[Fault]) -> OfferedStep:
    name, timeout, inputs = given["name"], given.get("timeout_seconds"), given.get("inputs")
    if not is_name(name):
        faults.append(Fault(f"{path}.name", "should be 1 to 100 letters, digits, '_' or '-'"))
    if timeout is not None and not 0 < timeout <= TIMEOUT_SECONDS_MAX:
        faults.append(Fault(f"{path}.timeout_seconds", "should be above 0, and at most a hundred years"))
    schemas = {key: each["schema"] for key, each in (inputs or {}).items() if each.get("schema") is not None}
    if len(inputs or ()) > INPUTS_MAX:
        faults.append(Fault(f"{path}.inputs", f"should be at most {INPUTS_MAX}"))
    for key, schema in schemas.items():
        if (why := check_schema(schema)) is not None:
            faults.append(Fault(f"{path}.inputs.{key}.schema", f"is no JSON Schema: {why[:200]}"))
    rules: dict[str, Retry | None] = {}
    for rule in _RULES:
        rules[rule] = None
        if given.get(rule) is not None:
            try:
                rules[rule] = msgspec.convert(given[rule], Retry)
            except (msgspec.ValidationError, ValueError, TypeError, GoConductorError) as error:
                faults.append(Fault(f"{path}.{rule}", f"is no retry policy: {error}"))
    return OfferedStep(
        name=name,
        compensation=bool(given.get("compensation")),
        inputs=None if inputs is None else {key: bool(each.get("required")) for key, each in inputs.items()},
        schemas=schemas,
        timeout_seconds=timeout,
        **rules,
    )
