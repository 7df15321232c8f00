"""How time passes for a world, and how one of its instances dies."""

from __future__ import annotations

from uuid import UUID

from goconductor.engine.node import Node
from goconductor.testing.world import World

SIX_MINUTES = 360


async def until_ended(world: World, saga_ids: list[UUID], *, within_seconds: float) -> list[str]:
    """Let time pass with a leader until all have ended."""
    end = world.clock.now() + within_seconds
    while world.clock.now() < end:
        statuses = [(await world.state(saga_id)).status for saga_id in saga_ids]
        if all(status.ended for status in statuses):
            break
        await world.live(2)
    return [str((await world.state(saga_id)).status) for saga_id in saga_ids]


async def cut_off(world: World, node: Node) -> None:
    """Kill -9, as the others see it: no sign of life, no messages taken, nothing begun any more."""
    world.kill(node)
    for subscription in node.membership.subscriptions:
        await subscription.stop()
    node._executor._performer.draining = True
