"""Retention: the leader deletes what is old, a little at a time.

A *pass* walks over leases of sagas that are over, start keys, then the sagas that they name, then dead letters and instances that
are gone. It goes in short steps, with pauses as long as the steps took, so that it uses at most half of one connection. A pass
fixes at its begin which moment counts as old: keys go before their sagas, so that no key names a deleted saga. A pass that breaks
off is begun anew, by this leader or the next; nothing of it is kept.

A live saga is never touched: a saga is over by its status, and old by its last change. Nor is a saga, or its key, that a step of
a live one has started: the live one may go back for days and ask only then how the other ended. Without the key the answer would
be that there never was one, and what it did would stand. Nor is one whose events are still to be told to the outside.

Not promised: the moment of a deletion; and that a late message or outcome of a deleted saga is distinguished from one of a saga
that never existed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from goconductor.engine.node import Node
from goconductor.errors import FencedError, GoConductorError
from goconductor.lifecycle.facts.status import ENDED
from goconductor.ports.store import Cursor, Forgettable
from goconductor.recovery.leadership import LeadTerm
from goconductor.redaction import logger_of

logger = logger_of("goconductor.recovery")

DAY_SECONDS = 86_400.0
"""Seconds of a day."""
LEASE_DAYS = 60 / DAY_SECONDS
"""Days after its expiry until the lease of a saga that is over is deleted."""
INTERVAL_SECONDS = 600.0
"""Seconds between two passes."""
LIMIT = 1_000
"""Rows that one step looks at."""
PAUSE_SECONDS = 0.01
"""Least seconds between two steps."""
TOLD = frozenset({Forgettable.START_KEYS, Forgettable.SAGAS})
"""What stays until the events of its saga are told to whoever gets them."""
OVER = tuple(sorted(status.value for status in ENDED))


class Retaining:
    """Runs retention beside the sweep.

    Args:
        node: the engine of this process.
        sagas_days: days that sagas are kept after they ended, with their keys; 0 is for ever.
        dead_letters_days: the same for dead letters, after they came.
        audit_days: the same for rows of the audit log, after they were written.
        instances_days: the same for records of processes, after these were gone.
        limit: number of rows that one step looks at.
        told: answers a moment before which all events are told to whoever gets them; sagas that changed later stay. None where
            nobody does.
    """

    def __init__(
        self,
        node: Node,
        *,
        sagas_days: float,
        dead_letters_days: float,
        instances_days: float,
        audit_days: float = 0.0,
        limit: int = LIMIT,
        told: Callable[[], Awaitable[float | None]] | None = None,
    ) -> None:
        self._node = node
        self._told = told
        self._limit = limit
        self._days = {
            Forgettable.LEASES: LEASE_DAYS,
            Forgettable.START_KEYS: sagas_days,
            Forgettable.SAGAS: sagas_days,
            Forgettable.DEAD_LETTERS: dead_letters_days,
            Forgettable.INSTANCES: instances_days,
            Forgettable.AUDIT: audit_days,
        }

    async def keep(self, term: LeadTerm) -> None:
        """Run pass after pass, until cancelled or another process leads: the sweep notices that as well."""
        while True:
            try:
                await self.pass_once(term.epoch)
            except FencedError:
                return
            except GoConductorError as error:
                logger.warning("retention could not go on, and begins anew later: %s", error)
            except Exception:
                logger.exception("retention could not go on, and begins anew later")
            await self._node.clock.sleep(INTERVAL_SECONDS)

    async def pass_once(self, epoch: int) -> Counter[str]:
        """Run one pass; return how many of each kind were deleted, and ``entries`` of the log.

        Raises:
            FencedError: another one leads.
            StoreUnavailableError: the store is away.
        """
        clock = self._node.clock
        began, now = clock.monotonic(), await self._node.store.terms.database_time()
        gone: Counter[str] = Counter()
        told = await self._told() if self._told is not None else None
        for kind, days in self._days.items():
            if days:
                before = now - days * DAY_SECONDS
                if told is not None and kind in TOLD:
                    before = min(before, told)
                await self._walk(kind, before, epoch, gone)
        if gone.total():
            counts = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in gone.items() if count)
            logger.info(
                "retention: %s are gone, in %.1f s", counts.replace(" entries", " log entries"), clock.monotonic() - began
            )
        return gone

    async def _walk(self, kind: Forgettable, before: float, epoch: int, gone: Counter[str]) -> None:
        after: Cursor | None = None
        while True:
            began = self._node.clock.monotonic()
            step = await self._node.store.retention.forget(
                kind, before=before, ended=OVER, after=after, limit=self._limit, epoch=epoch
            )
            for name, count in ((kind.value, step.taken), ("entries", step.entries)):
                if count:
                    gone[name] += count
                    self._node.observer.forgot(name, count)
            after = step.after
            if after is None:
                return
            await self._node.clock.sleep(max(PAUSE_SECONDS, self._node.clock.monotonic() - began))
