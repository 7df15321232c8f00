"""Who may sweep. An election names one candidate; the store's epoch (:class:`goconductor.ports.store.Terms`) fences it."""

from __future__ import annotations

from typing import Protocol

from goconductor.ports.store import Term


class Election(Protocol):
    """A candidate's view of an election.

    1. ``campaign`` returns a term if this candidate leads now, else None; it does not wait for the present leader to go.
    2. Of candidates that race, one gets the term. The epoch of a term is higher than that of all before it.
    3. A leader whose process died is replaced as soon as the leaf can tell; one that is merely silent after its term's end.
    4. ``renew`` returns the prolonged term, or None: then the term is lost, for ever, whatever the caller believes.
    5. A late ``renew`` or ``resign`` of an old term changes nothing for the new one.
    6. ``resign`` lets a follower take over at once.
    7. ``close`` resigns nothing by itself, frees connections, and may be called twice.
    """

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def campaign(self, candidate: str, term_seconds: float) -> Term | None: ...
    async def renew(self, term: Term, term_seconds: float) -> Term | None: ...
    async def resign(self, term: Term) -> None: ...
