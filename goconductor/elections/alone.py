"""The election of one: for a single instance, and for tests in memory. It wins every time, and still raises the epoch."""

from __future__ import annotations

from goconductor.ports.store import Term, Terms


class AloneElection:
    """An :class:`goconductor.ports.election.Election` that its candidate always wins.

    Two candidates by mistake do no harm, since the later one's epoch fences the earlier one, but take leadership from one
    another without end.

    Args:
        terms: the store, which numbers the terms.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    async def open(self) -> None: ...
    async def close(self) -> None: ...

    async def campaign(self, candidate: str, term_seconds: float) -> Term | None:
        return await self._terms.raise_epoch(candidate, term_seconds)

    async def renew(self, term: Term, term_seconds: float) -> Term | None:
        return await self._terms.renew(term, term_seconds)

    async def resign(self, term: Term) -> None:
        await self._terms.resign(term)
