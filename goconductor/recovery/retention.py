"""Retention: the leader lets go of what is old, a little at a time.

A *pass* walks over leases that are left of sagas that are over, start keys, then the sagas that they name, then dead letters
and instances that are gone. It goes in short steps with pauses as long as the steps took, so that at most half of one
connection is busy with it however much there is. The time before which things are old is fixed when the pass begins: keys go
before their sagas, so that no key names a saga that is gone. A pass that breaks off is begun anew, by this leader or the next;
nothing is kept of it.

What lives is never touched: a saga counts as over by its status, and as old by its last change. Not promised: the moment at which
something goes; and that a message or a step's outcome which comes after its saga was forgotten is told from one of a saga that
never was.
"""

from __future__ import annotations

from collections import Counter

from goconductor.engine.node import Node
from goconductor.errors import FencedError, GoConductorError
from goconductor.lifecycle.state import ENDED
from goconductor.ports.retention import Cursor, Forgettable
from goconductor.recovery.leadership import LeadTerm
from goconductor.redaction import logger_of

logger = logger_of("goconductor.recovery")

DAY_SECONDS = 86_400.0
LEASE_DAYS = 60 / DAY_SECONDS
"""A lease of a saga that is over goes so long after it ran out."""
INTERVAL_SECONDS = 600.0
"""Between two passes."""
LIMIT = 1_000
"""How many one step looks at."""
PAUSE_SECONDS = 0.01
"""The shortest pause between two steps."""
OVER = tuple(sorted(status.value for status in ENDED))


class Retaining:
    """What the leader does beside the sweep.

    Args:
        node: the engine of this process.
        sagas_days: so long are sagas kept after they ended, with their keys; 0 is for ever.
        dead_letters_days: the same for dead letters, after they came.
        instances_days: the same for what is known of processes, after they were gone.
        limit: how many rows one step looks at.
    """

    def __init__(
        self, node: Node, *, sagas_days: float, dead_letters_days: float, instances_days: float, limit: int = LIMIT
    ) -> None:
        self._node = node
        self._limit = limit
        self._days = {
            Forgettable.LEASES: LEASE_DAYS,
            Forgettable.START_KEYS: sagas_days,
            Forgettable.SAGAS: sagas_days,
            Forgettable.DEAD_LETTERS: dead_letters_days,
            Forgettable.INSTANCES: instances_days,
        }

    async def keep(self, term: LeadTerm) -> None:
        """Pass after pass, until cancelled or another one leads: the sweep is told so as well."""
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
        """One pass; how many of each kind are gone, and ``entries`` of the log.

        Raises:
            FencedError: another one leads.
            StoreUnavailableError: the store is away.
        """
        clock = self._node.clock
        began, now = clock.monotonic(), await self._node.store.database_time()
        gone: Counter[str] = Counter()
        for kind, days in self._days.items():
            if days:
                await self._walk(kind, now - days * DAY_SECONDS, epoch, gone)
        if gone.total():
            told = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in gone.items() if count)
            logger.info("retention: %s are gone, in %.1f s", told.replace(" entries", " log entries"), clock.monotonic() - began)
        return gone

    async def _walk(self, kind: Forgettable, before: float, epoch: int, gone: Counter[str]) -> None:
        after: Cursor | None = None
        while True:
            began = self._node.clock.monotonic()
            step = await self._node.store.forget(kind, before=before, ended=OVER, after=after, limit=self._limit, epoch=epoch)
            for name, count in ((kind.value, step.taken), ("entries", step.entries)):
                if count:
                    gone[name] += count
                    self._node.observer.forgot(name, count)
            after = step.after
            if after is None:
                return
            await self._node.clock.sleep(max(PAUSE_SECONDS, self._node.clock.monotonic() - began))
