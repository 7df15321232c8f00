"""What the leader does beside its sweep, for as long as that lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from goconductor.recovery.leadership import LeadTerm

Duty: TypeAlias = Callable[[LeadTerm], Coroutine[Any, Any, None]]


def beside(lead: Duty, *others: Duty) -> Duty:
    """Lead so, with the others beside it.

    Args:
        lead: when it ends, all end, and what it raises is raised.
        others: they must not raise. They end by themselves when another one leads.
    """

    async def all_of_them(term: LeadTerm) -> None:
        running = [asyncio.create_task(other(term)) for other in others]
        try:
            await lead(term)
        finally:
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    return all_of_them
