"""Elections: leaves of :mod:`goconductor.ports.election`. They name a candidate; the epoch in the store fences it.

This page describes what the elections by another system (etcd, ZooKeeper) share: how a lock over there becomes a term here.

**The lock is evidence, not the token.** Its number (create revision, czxid) grows with every lock, and the store refuses a number
that is not above the last one. So a candidate that was stopped after it had locked cannot raise the epoch over one that locked
later. Both systems can bring about two holders at once, when a process or the network stops. These get two epochs one after the
other, and the store takes writes of the higher only.

**The numbers can go back**: the other system's data were lost and made anew, an old backup was restored, or an election of
another kind led in between. Then no honest number would be accepted any more. A refused candidate therefore reads the last number
accepted, makes sure over there that it has the lock *now*, and offers that number plus one. If another candidate has raised the
epoch in the meantime, the last number has moved, and the offer is refused. If none has, the candidate is the only one that can
have locked.

**The term's end is in the database**, and nowhere else. The other system's own time-out frees a dead holder's lock. But it can be
longer than the term, and starts anew when its servers restart or elect a leader of their own. So the holder writes the epoch into
its lock, and when that epoch's term is over any candidate may take the lock away. A lock without an epoch has a holder that is
just about to raise it; only the other system's time-out ends that one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from goconductor.ports.store import Term, Terms
from goconductor.redaction import logger_of

log = logger_of("goconductor.elections")


async def raise_by_evidence(
    terms: Terms, candidate: str, term_seconds: float, evidence: int, still_holds: Callable[[], Awaitable[bool]]
) -> Term | None:
    """Return the term of a candidate that has the lock, or None if it has lost the lock to a later one.

    Args:
        terms: the store's terms.
        candidate: the holder of the lock.
        term_seconds: duration of the term.
        evidence: the lock's number.
        still_holds: asks the other system, without a cache, whether the candidate has the lock now.
    """
    term = await terms.raise_epoch(candidate, term_seconds, evidence)
    if term is not None:
        return term
    last = await terms.last_evidence()
    if last is None or not await still_holds():
        return None
    log.warning(
        "%s has the lock, but its number %d is not above %d, the last one: the election's servers lost data or were restored, or "
        "another kind of election led in between. Going on with %d",
        *(candidate, evidence, last, last + 1),
    )
    return await terms.raise_epoch(candidate, term_seconds, last + 1)


async def may_be_taken(terms: Terms, written: bytes) -> bool:
    """Return whether a lock may be taken from its holder, because its term is over.

    Args:
        terms: the store's terms.
        written: the content of the lock.
    """
    if not written.isdigit():
        return False
    term = await terms.current()
    return term is not None and int(written) <= term.epoch and term.ends_at < await terms.database_time()
