"""Whether an instance runs a step that was sent, or could run it, and the lease that an operator takes before deciding about it.

A step that no living instance offers waits without an end. An operator who declares or skips it must be sure that no instance
begins it at the same moment: so the request takes the step's lease, and its append ends it. See
:mod:`goconductor.lifecycle.moves.requests` for why that is enough.
"""

from __future__ import annotations

from collections.abc import Collection

from goconductor.control.sagas.steps import Surroundings
from goconductor.engine.facts.log import View
from goconductor.engine.node import Node
from goconductor.engine.work.granted import random_number
from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.facts.state import SagaState, StepState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus
from goconductor.ports.store import Acquire, Lease, LeaseKey
from goconductor.saga.ids import SETTLEMENTS, Direction
from goconductor.saga.plan import Plan

FENCE_SECONDS = 10.0
"""Seconds that the lease of a request lives if the request never comes to its append."""


def side_of(step: StepState) -> Direction | None:
    """Return which side of a step was sent and is waited for."""
    settling = (CompensationStatus.FENCING, CompensationStatus.SETTLING)
    if step.action.status is ActionStatus.SETTLING or step.compensation.status in settling:
        return Direction.SETTLE
    if step.compensation.status is CompensationStatus.FENCING_UNDO:
        return Direction.SETTLE_UNDO
    if step.compensation.status is CompensationStatus.SENT:
        return Direction.COMPENSATION
    return Direction.ACTION if step.action.status is ActionStatus.SENT else None


def unattended(plan: Plan, state: SagaState, around: Surroundings) -> Collection[str]:
    """Return the steps that were sent, that nobody runs, and that no living instance offers; a saga that a step has started runs
    by itself.
    """
    return {
        name
        for name, step in state.steps.items()
        if (side := side_of(step)) is not None
        and (name not in plan.owners_of[side] or plan.owners_of[side][name] not in around.offered)
        and LeaseKey(state.saga_id, name, side, step.round) not in around.leases
    }


async def fenced(node: Node, plan: Plan, view: View, name: str, around: Surroundings) -> Lease | None:
    """Take the lease of a step for an operator's request; return None where the step has none to take.

    Args:
        node: the engine.
        plan: the saga's compiled definition.
        view: the saga at the last look.
        name: the step.
        around: the leases and the living instances.

    Raises:
        RequestRefusedError: an instance runs the step, or could.
    """
    state = view.state
    side = side_of(state.step(name))
    if side is None or name not in plan.owners_of[side]:
        return None
    key = LeaseKey(state.saga_id, name, side, state.step(name).round)
    if key in around.leases:
        raise RequestRefusedError(f"step {name!r} is being run just now; wait for its outcome")
    if plan.owners_of[side][name] in around.offered:
        raise RequestRefusedError(f"step {name!r} is about to be run: a living instance offers it; wait for its outcome")
    if side in SETTLEMENTS:
        return None  # it runs no code: what its owner may still answer finds another state
    lease = Lease(key=key, instance=node.instance.serial, token=random_number())
    (acquired,) = await node.store.leases.acquire([Acquire(lease=lease, lease_seconds=FENCE_SECONDS, known=view.known)])
    if not acquired.granted:
        raise RequestRefusedError(f"step {name!r} has just been begun; wait for its outcome")
    return lease
