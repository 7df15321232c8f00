"""Which processes are dead, and what they leave behind.

A process is dead when the lock of its database session is free at two looks, half a second apart; that distance is measured,
since the loop runs sooner when it has a lot to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from uuid import UUID

from goconductor.lifecycle.facts.state import PATIENCE_SECONDS
from goconductor.ports.clock import Clock
from goconductor.ports.store import Instance, Store
from goconductor.redaction import logger_of

logger = logger_of("goconductor.recovery")

DEATH_SECONDS = 0.5
"""Seconds between two looks at a free lock after which its process counts as dead."""


class Burials:
    """Declares instances dead and inherits from them, for one leader.

    Args:
        store: the saga log.
        clock: monotonic time.
        lease_seconds: the life of a lease.
        batch: number of sagas that are inherited in one go.
    """

    def __init__(self, store: Store, clock: Clock, *, lease_seconds: float, batch: int) -> None:
        self._store = store
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._batch = batch
        self._suspects: dict[int, float] = {}
        """Processes that were missing at every look, with the time of the first one by the machine's clock."""
        self._unburied: dict[int, Instance] | None = None
        self._inherited: deque[tuple[int, Sequence[UUID]]] = deque()
        """Batches of sagas that dead instances left, with the serials of those instances."""

    @property
    def left(self) -> bool:
        """Whether something that was inherited is not looked at yet."""
        return bool(self._inherited)

    def begin(self) -> None:
        """Begin a term: what an earlier one had found proves nothing any more."""
        self._suspects.clear()
        self._inherited.clear()
        self._unburied = None

    async def next_batch(self, epoch: int) -> tuple[int, Sequence[UUID]] | None:
        """Take over from those that are dead by now. Return sagas that one left, with its serial; None where all are seen.

        Raises:
            FencedError: another one leads.
            StoreUnavailableError: the store is away.
        """
        asked_at = self._clock.monotonic()
        missing = {instance.serial: instance for instance in await self._store.instances.missing()}
        unburied = self._unburied if self._unburied is not None else await self._lately_dead()
        answered_at = self._clock.monotonic()
        self._suspects = {serial: self._suspects.get(serial, answered_at) for serial in missing}
        unburied |= {serial: missing[serial] for serial, since in self._suspects.items() if asked_at - since >= DEATH_SECONDS}
        self._unburied = unburied
        for serial, instance in list(unburied.items()):
            await self._take_over(instance, epoch)
            self._suspects.pop(serial, None)
            del unburied[serial]
        return self._inherited.popleft() if self._inherited else None

    async def _lately_dead(self) -> dict[int, Instance]:
        """Return the instances that died since the last walk through all sagas.

        A leader may die between declaring another one dead and taking over from it; then its successor takes over.
        """
        since = await self._store.terms.database_time() - max(PATIENCE_SECONDS, 2 * self._lease_seconds)
        return {
            one.serial: one for one in await self._store.instances.registered() if one.dead_at is not None and one.dead_at > since
        }

    async def _take_over(self, instance: Instance, epoch: int) -> None:
        leases, sagas = await self._store.instances.mark_dead(instance.serial, epoch=epoch)
        touched = list(dict.fromkeys([lease.key.saga_id for lease in leases] + list(sagas)))
        if touched or instance.dead_at is None:
            logger.warning("instance %s is dead; leases taken over: %d, sagas: %d", instance.name, len(leases), len(touched))
        batches = (touched[start : start + self._batch] for start in range(0, len(touched), self._batch))
        self._inherited.extend((instance.serial, batch) for batch in batches)
