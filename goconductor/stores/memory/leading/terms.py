"""The terms of a store in memory."""

from __future__ import annotations

from msgspec.structs import replace

from goconductor.ports.store import Term
from goconductor.ports.store.leading.choices import ELECTION
from goconductor.stores.memory.data import Data


class MemoryTerms:
    """Terms, numbered from 1."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def _present(self, term: Term) -> bool:
        return self._data.term is not None and (self._data.term.epoch, self._data.term.holder) == (term.epoch, term.holder)

    def _may_rule(self, election: str) -> bool:
        chosen, term = self._data.choices.get(ELECTION), self._data.term
        over = term is None or term.election in {"", election} or term.ends_at <= self._data.now()
        return not election or (over and (chosen is None or chosen.chosen == election))

    async def raise_epoch(
        self, holder: str, term_seconds: float, evidence: int | None = None, *, election: str = ""
    ) -> Term | None:
        if not self._may_rule(election):
            return None
        if evidence is not None:
            if self._data.evidence is not None and evidence <= self._data.evidence:
                return None
            self._data.evidence = evidence
        self._data.term = Term(
            epoch=self._data.epoch + 1, holder=holder, ends_at=self._data.now() + term_seconds, election=election
        )
        return self._data.term

    async def renew(self, term: Term, term_seconds: float) -> Term | None:
        if not self._present(term):
            return None
        self._data.term = replace(term, ends_at=self._data.now() + term_seconds)
        return self._data.term

    async def resign(self, term: Term) -> None:
        if self._present(term):
            self._data.term = replace(term, holder="", ends_at=self._data.now())

    async def current(self) -> Term | None:
        return self._data.term

    async def last_evidence(self) -> int | None:
        return self._data.evidence

    async def database_time(self) -> float:
        return self._data.now()
