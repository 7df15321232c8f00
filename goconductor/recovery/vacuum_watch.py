"""A transaction that somebody left open keeps vacuum from its work, and every append becomes slower: the leader logs it.

Whatever died since that transaction began stays in tables and indexes, where each look at what is due must pass it by. It is
seldom one of ours: a report, a dump, a debugger, a prepared transaction that nobody remembers. The log names it with what to do,
once, and again whenever it is twice as old, so that a nightly dump does not fill the log.
"""

from __future__ import annotations

from collections.abc import Iterable

from goconductor.engine.node import Node
from goconductor.errors import GoConductorError
from goconductor.ports.health import Examinable, LongTransaction
from goconductor.recovery.leadership import LeadTerm
from goconductor.redaction import logger_of

logger = logger_of("goconductor.recovery")

INTERVAL_SECONDS = 60.0
"""Seconds between two looks."""
LONG_SECONDS = 300.0
"""Age in seconds from which a transaction is logged."""


class VacuumWatch:
    """Looks for transactions that are open for long.

    Args:
        node: the engine of this process; a store that cannot be examined is not watched.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._logged: dict[tuple[int, str], float] = {}

    async def watch(self, _: LeadTerm) -> None:
        """Look until cancelled."""
        store = self._node.store
        if not isinstance(store, Examinable):
            return
        while True:
            try:
                self.log((await store.examine(older_than_seconds=LONG_SECONDS)).transactions)
            except GoConductorError as error:
                logger.debug("long transactions cannot be looked for now: %s", error)
            except Exception:
                logger.exception("long transactions cannot be looked for now")
            await self._node.clock.sleep(INTERVAL_SECONDS)

    def log(self, transactions: Iterable[LongTransaction]) -> None:
        """Log the transactions that keep vacuum from its work, unless they were logged at about this age."""
        pins = {(each.pid, each.prepared): each for each in transactions if each.pins and each.age_seconds >= LONG_SECONDS}
        for key, each in pins.items():
            if each.age_seconds < 2 * self._logged.get(key, 0.0):
                continue
            self._logged[key] = each.age_seconds
            remedy = f"ROLLBACK PREPARED {each.prepared!a}" if each.prepared else f"SELECT pg_terminate_backend({each.pid})"
            logger.warning(
                "a transaction of %a (user %a, %s) has been open for %.0f minutes: vacuum removes nothing that died since, and "
                "every append becomes slower; let that program end it, or %s",
                each.application or each.prepared or "an unnamed program",
                each.user,
                f"pid {each.pid}" if each.pid else "prepared",
                each.age_seconds / 60,
                remedy,
            )
        self._logged = {key: age for key, age in self._logged.items() if key in pins}
