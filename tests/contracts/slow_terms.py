"""Terms for a candidate that stands still between its lock and the epoch."""

from __future__ import annotations

import asyncio

from goconductor.ports.store import Term, Terms


class SlowTerms:
    """The terms of a store that raises an epoch only when it is told to go on; the rest is the real one."""

    def __init__(self, terms: Terms) -> None:
        self.renew, self.resign, self.current, self._raise_epoch = terms.renew, terms.resign, terms.current, terms.raise_epoch
        self.last_evidence, self.database_time = terms.last_evidence, terms.database_time
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def raise_epoch(
        self, holder: str, term_seconds: float, evidence: int | None = None, *, election: str = ""
    ) -> Term | None:
        self.asked.set()
        await self.go_on.wait()
        return await self._raise_epoch(holder, term_seconds, evidence, election=election)
