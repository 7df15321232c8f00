"""Gives the rows of the audit log their places in its chain. :mod:`goconductor.ports.store.leading.audit` has the theory.

Whatever is done twice is done in the same way: a link is made of the rows alone, a row that has a place keeps it, and the head is
read anew before each portion. So a leader may die between any two of its steps, and an answer may be lost.
"""

from __future__ import annotations

from goconductor.engine.node import Node
from goconductor.errors import FencedError, GoConductorError
from goconductor.ports.store import Link
from goconductor.ports.store.leading.audit import BEGINNING, link
from goconductor.recovery.leadership import LeadTerm
from goconductor.redaction import logger_of

logger = logger_of("goconductor.recovery")

INTERVAL_SECONDS = 5.0
"""Seconds between two looks at what has no place yet."""
LIMIT = 500
"""Rows that are given a place at one time."""


class Chaining:
    """Chains the audit log, beside the sweep.

    Args:
        node: the engine of this process.
        limit: rows that are given a place at one time.
    """

    def __init__(self, node: Node, *, limit: int = LIMIT) -> None:
        self._node = node
        self._limit = limit

    async def keep(self, term: LeadTerm) -> None:
        """Chain what comes, until cancelled or another process leads: the sweep notices that as well."""
        while True:
            try:
                while await self.chain_once(term.epoch) == self._limit:
                    pass
            except FencedError:
                return
            except GoConductorError as error:
                logger.warning("the audit log could not be chained, which is tried again: %s", error)
            except Exception:
                logger.exception("the audit log could not be chained, which is tried again")
            await self._node.clock.sleep(INTERVAL_SECONDS)

    async def chain_once(self, epoch: int) -> int:
        """Give the oldest rows without a place theirs; return how many these were.

        Raises:
            FencedError: another one leads.
            StoreUnavailableError: the store is away.
        """
        audit = self._node.store.audit
        rows = await audit.unplaced(limit=self._limit)
        if not rows:
            return 0
        head = await audit.head()
        seq, before = (0, BEGINNING) if head is None else (head.seq or 0, head.hash or b"")
        links: list[Link] = []
        for seq, row in enumerate(rows, seq + 1):  # noqa: B020  (it goes on from the head's)
            before = link(before, seq, row)
            links.append(Link(id=row.id, seq=seq, hash=before))
        await audit.place(links, epoch=epoch)
        return len(rows)
