"""The terms of leaders: numbered, never two at once."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """One continuous leadership, numbered, never reused. The epoch is the fencing token of all that the leader writes.

    ``election`` names the one in which it was won, where that is known.
    """

    epoch: int
    holder: str
    ends_at: float
    election: str = ""


class Terms(Protocol):
    """The store's part in an election: it numbers the terms and knows their ends. Evidence is another system's number
    (etcd's revision, ZooKeeper's zxid) that must grow for the epoch to rise; None where the store itself elects.

    1. ``raise_epoch`` returns a term with an epoch higher than any before, and the old epoch is refused from then on.
    2. ``raise_epoch`` with evidence not above the last accepted evidence returns None.
    3. ``renew`` prolongs only the present epoch; a late renewal of an older one returns None and changes nothing.
    4. ``resign`` ends only the present epoch's term, at once: what its leader writes from then on is refused, though nobody
       followed. A late one of an older epoch changes nothing.
    5. ``current`` is the term as the database has it now, or None if there never was one.
    6. ``last_evidence`` is the evidence that was accepted last, or None if there never was any. Where the other system's numbers
       went back (its data were lost, or another election is used now), who has made sure that it leads goes on with the next
       number: of two who read the same one, the second is refused.
    7. ``database_time`` is read from the clock by which terms end.
    8. ``raise_epoch`` for a named election returns None while another election is the chosen one, and until the term is over that
       was won in another one: so that an election can be changed for another without two leaders.
    """

    async def raise_epoch(
        self, holder: str, term_seconds: float, evidence: int | None = None, *, election: str = ""
    ) -> Term | None: ...
    async def renew(self, term: Term, term_seconds: float) -> Term | None: ...
    async def resign(self, term: Term) -> None: ...
    async def current(self) -> Term | None: ...
    async def last_evidence(self) -> int | None: ...
    async def database_time(self) -> float: ...
