"""Which sagas the steps of a saga have started."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from goconductor.engine.children import child_of, undoing_saga_of
from goconductor.engine.node import Node
from goconductor.lifecycle.facts.state import SagaState
from goconductor.saga.plan import Plan

LOOKED_UP_MAX = 100
"""Greatest number of steps whose sagas are looked up for one answer; of the others only the names are shown."""


async def started_by(node: Node, plan: Plan, state: SagaState) -> dict[str, UUID]:
    """Return the saga that each step has started, in its present round and by the last attempt that has started one.

    Of a step that a saga undoes, or has undone, it is that one.

    Args:
        node: the engine.
        plan: the saga's compiled definition.
        state: where it stands.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    if not plan.starts_sagas:
        return {}
    found: dict[str, UUID] = {}
    undone = {name for name, step in state.steps.items() if step.compensation.attempt and name in plan.undo_sagas}
    begun = [name for name, step in state.steps.items() if name in undone or (name in plan.children and step.action.attempt)]
    started = partial(node.store.sagas.started, sure=False)
    for name in begun[:LOOKED_UP_MAX]:
        if name in undone and (undoes := await undoing_saga_of(started, plan, state, name)) is not None:
            found[name] = undoes
        elif name in plan.children and (child := await child_of(started, plan, state, name)) is not None:
            found[name], _ = child
    return found
