"""Restarts of sagas that have ended: each is a new saga, and the two name each other.

The log of the saga that has ended stays as it is. The new saga's first event says whose place it takes, who asked for that and
why, and it has a label by which a list finds it. The way back is the new one's start key, which is made of the other one's id.
So the key decides: a saga is restarted once, whoever asks at the same moment and whatever crashes, and a request that is sent
again finds what it has started.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.sagas.starting import RESERVED, fitted, plan_of
from goconductor.control.wording import together
from goconductor.dataflow.shape import graph_of
from goconductor.engine.facts import log
from goconductor.engine.log.folding import Expected
from goconductor.engine.node import Node
from goconductor.errors import RequestRefusedError, SagaChangedError
from goconductor.lifecycle.facts.events import SagaStarted
from goconductor.lifecycle.facts.restart import Restart, RestartAsNew
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.lifecycle.grown import in_order
from goconductor.ports.store import Head
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.saga.plan import Plan

LABEL = f"{RESERVED}restarted-from"
"""The label of a saga that was started in place of another one: that one's id."""
ACTIVE = "active"

_NO_EFFECT = (ActionStatus.PENDING, ActionStatus.PREVENTED, ActionStatus.SKIPPED, ActionStatus.GIVEN_UP)


class Restarted(NamedTuple):
    """The saga that has taken another one's place, the request that has started it, and whether it was this one."""

    saga_id: UUID
    restart: Restart
    new: bool = False


def restarted_from(head: Head) -> UUID | None:
    """Return the saga in whose place this one was started; None where it was not."""
    label = head.labels.get(LABEL)
    return None if label is None else UUID(label)


async def restarted_as(node: Node, head: Head) -> UUID | None:
    """Return the saga that was started in place of one that has ended; None where none was.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    return await node.store.sagas.started(DEFAULT_NAMESPACE, head.saga, _key(head.saga_id), sure=False)


async def restart(
    node: Node, saga_id: UUID, asked: RestartAsNew, *, expected: Expected | None = None, request_id: str | None = None
) -> Restarted:
    """Start a saga in place of one that has ended, unless that was done before.

    Args:
        node: the engine.
        saga_id: the saga that has ended.
        asked: the request, with its reason and its actor.
        expected: where the saga was seen.
        request_id: the request's id, if it has one.

    Returns:
        What stands in its place by now. Another request may have been first.

    Raises:
        SagaNotFoundError: there is no such saga.
        SagaChangedError: it is not at ``expected``.
        RequestRefusedError: it has not ended, belongs to another saga or to a dataflow, or did what may stand.
        DefinitionNotFoundError: its definition has no such version.
        InputRefusedError: the input does not fit the version's schema.
        RequestInvalidError: it has no members that could be replaced.
        StoreUnavailableError: the database cannot be reached; the request can be repeated safely.
    """
    view = await node.view(saga_id)
    head = await node.store.sagas.head(saga_id)
    state = view.state
    if head is None or not state.phase.ended:
        raise RequestRefusedError(f"saga {saga_id} is {state.status}; only sagas that have ended can be {asked.verb}")
    if (found := await restarted_as(node, head)) is None:
        if expected is not None and expected != Expected(view.seq, view.tag):
            raise SagaChangedError
        plan, input = await _prepared(node, head, state, asked)
        started = await node.starting.start(
            plan,
            input,
            key=(key := _key(saga_id)),
            labels={name: value for name, value in head.labels.items() if not name.startswith(RESERVED)} | {LABEL: str(saga_id)},
            reply=False,
            identity=key,
            priority=state.priority if plan.version == head.version else state.priority or None,
            restart=(restart := Restart(saga_id=saga_id, asked=asked, request_id=request_id)),
        )
        if not started.existing:
            return Restarted(started.saga_id, restart, new=True)
        found = started.saga_id
    for first in await node.store.sagas.history(found, limit=1):
        begun = log.event(first)
        if isinstance(begun, SagaStarted) and begun.restart is not None:  # pragma: no branch  (nobody else has this key)
            return Restarted(found, begun.restart)
    raise RequestRefusedError(f"saga {saga_id} was restarted as saga {found}, which is deleted by now: start another one")


async def check(node: Node, saga_id: UUID, asked: RestartAsNew) -> None:
    """Refuse what a restart would refuse, and start nothing. Parameters and errors as of :func:`restart`."""
    head = await node.store.sagas.head(saga_id)
    state = (await node.view(saga_id)).state
    if head is not None and state.phase.ended:
        await _prepared(node, head, state, asked)


def standing(plan: Plan, state: SagaState) -> list[str]:
    """Return the steps of a saga that has ended whose effects may stand, in their order.

    Args:
        plan: its compiled definition.
        state: where it stands.
    """
    if state.phase is SagaStatus.COMPENSATED:
        return state.left_standing
    return [
        name
        for name in in_order(plan, state.steps)
        if name in plan.sent
        and state.step(name).compensation.status is not CompensationStatus.DONE
        and (state.step(name).action.status not in _NO_EFFECT or name in state.left_standing)
    ]


async def _prepared(node: Node, head: Head, state: SagaState, asked: RestartAsNew) -> tuple[Plan, Any]:
    """Return the definition and the input of the new saga.

    Raises:
        RequestRefusedError, RequestInvalidError: there is to be none; says why.
    """
    saga_id, plan = head.saga_id, await node.plan_of(state)
    if state.parent is not None:
        raise RequestRefusedError(
            f"saga {saga_id} was started by step {state.parent.step!r} of saga {state.parent.saga_id}: restart that one"
        )
    if _is_dataflow(plan):
        raise RequestRefusedError(f"saga {saga_id} is a dataflow, whose data its runs have given: run it under another id")
    effects = standing(plan, state)
    if (effects or state.late_effects) and not asked.despite_effects:
        what = f"what {together(effects)} did may stand" if effects else "an effect of it may stand or still come"
        late = "; an effect may even come later" if effects and state.late_effects else ""
        raise RequestRefusedError(
            f"saga {saga_id} is {state.status}, so {what}{late}, and would be there twice: see to that first, or restart it with "
            "despite_effects, if it is meant"
        )
    if asked.version is not None:
        plan = await plan_of(node, head.saga, None if asked.version == ACTIVE else asked.version)
        await node.definitions.refuse_unready(plan, "that version uses")
    if asked.inputs is None:
        return plan, fitted(plan, state.input)
    if not isinstance(state.input, dict):
        problem = "cannot be given: the input of the saga is no object; start another one"
        raise RequestInvalidError("the request", [Fault("inputs", problem)])
    return plan, fitted(plan, {**state.input, **asked.inputs})


def _is_dataflow(plan: Plan) -> bool:
    try:
        graph_of(plan.definition)
    except RequestRefusedError:
        return False
    return True


def _key(saga_id: UUID) -> str:
    """Return the start key of the saga that takes another one's place. Its first character can be in no user's key."""
    return f"\N{RIGHTWARDS ARROW}restart/{saga_id}"
