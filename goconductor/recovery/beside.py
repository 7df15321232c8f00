"""What the leader does beside its sweep, for as long as that lasts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from goconductor.aio.tasks import create_guarded_task, end
from goconductor.recovery.leadership import LeadTerm

Duty: TypeAlias = Callable[[LeadTerm], Coroutine[Any, Any, None]]


def beside(lead: Duty, *others: Duty) -> Duty:
    """Lead so, with the others beside it.

    Args:
        lead: when it ends, all end, and what it raises is raised.
        others: they end by themselves when another one leads. What one of them raises is logged; the others go on.
    """

    async def all_of_them(term: LeadTerm) -> None:
        running = [create_guarded_task(other(term), name="a duty beside the sweep") for other in others]
        try:
            await lead(term)
        finally:
            await end(*running)

    return all_of_them
