"""An election by the terms in the store, as PostgreSQL's is, which errs as all elections do: it may let two lead."""

from __future__ import annotations

from goconductor.ports.clock import Clock
from goconductor.ports.store import Term, Terms
from tests.simulation.simulated.faults import Fault, Faults


class SimulatedElection:
    """A candidate's view of the election.

    Args:
        terms: the store's, as the candidate reaches it.
        clock: the database's.
        faults: decides when it errs.
    """

    def __init__(self, terms: Terms, clock: Clock, faults: Faults) -> None:
        self._terms, self._clock, self._faults = terms, clock, faults

    async def open(self) -> None:
        """Nothing is needed."""

    async def close(self) -> None:
        """Nothing is held."""

    async def campaign(self, candidate: str, term_seconds: float) -> Term | None:
        evidence = await self._terms.last_evidence()
        present = await self._terms.current()
        free = present is None or not present.holder or present.ends_at <= self._clock.now()
        if not free and not self._faults.strikes(Fault.TWO_LEADERS):
            return None
        return await self._terms.raise_epoch(candidate, term_seconds, (evidence or 0) + 1)

    async def renew(self, term: Term, term_seconds: float) -> Term | None:
        return await self._terms.renew(term, term_seconds)

    async def resign(self, term: Term) -> None:
        await self._terms.resign(term)
