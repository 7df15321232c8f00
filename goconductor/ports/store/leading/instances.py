"""Instances: the running processes of participants, and their signs of life."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol
from uuid import UUID

import msgspec

from goconductor.ports.store.leading.choices import Report
from goconductor.ports.store.log.leases import Lease


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One running process of a participant; ``serial`` is its number for ever. ``steps`` maps step name to facts about it.

    ``features`` are those that its code knows (:mod:`goconductor.saga.features`).

    ``reports`` has its reports on the buses and elections that it names, by their kind, and on journals that it cannot use.
    """

    serial: int
    participant: str
    name: str
    steps: dict[str, dict[str, object]] = {}
    features: tuple[str, ...] = ()
    started_at: float = 0.0
    dead_at: float | None = None
    reports: dict[str, Report] = {}


def ignore(_: Instance) -> None:
    """Do nothing, for a caller who does not want to know of a rewind."""


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """An instance's sign of life as of this moment.

    Args:
        serial: the instance.
        alive: whether its sign of life is there.
        heard_at: the database's time of its last sign of life; None where it is not known.
        leases: the number of its valid leases.
        lease_ends_at: when the first of them ends unless it is renewed.
    """

    serial: int
    alive: bool
    heard_at: float | None = None
    leases: int = 0
    lease_ends_at: float | None = None


class Instances(Protocol):
    """The instances.

    2. **Register** gives an instance its serial and takes its sign of life, which ends when the process does. ``features`` are
       those that its code knows. ``on_rewind`` is
       called where the log may have lost commits of this process, as after a failover: with the instance as it is then
       registered, which may have another serial. **Unregister** ends the sign of life of one that leaves.
       **Offer** changes the steps of one that is registered; where it has to be registered anew, it is with these.
    11. **Missing** names instances whose sign of life is gone and that have no other connection left, as of this moment; the
        caller asks twice, half a second apart, before it believes it. An instance that registered less than a second ago is never
        named.
    12. **Mark dead** records the death under the epoch. It returns the leases of the dead instance, which end with that, and the
        live sagas whose last append was its own. It frees none: the next holder of a lease must know that another had it.
    18. **Registered** lists instances in the order of their serials, all or those of one participant. **Presence** answers the
        presence of each instance that lives or has died since ``dead_since``, in the same order.
    """

    async def register(
        self,
        participant: str,
        name: str,
        steps: Mapping[str, Mapping[str, object]],
        *,
        features: Collection[str] = (),
        on_rewind: Callable[[Instance], None] = ignore,
    ) -> Instance: ...
    async def offer(self, serial: int, steps: Mapping[str, Mapping[str, object]]) -> None: ...
    async def unregister(self, serial: int) -> None: ...
    async def missing(self) -> list[Instance]: ...
    async def mark_dead(self, serial: int, *, epoch: int) -> tuple[list[Lease], list[UUID]]: ...
    async def registered(self, participant: str | None = None) -> list[Instance]: ...
    async def presence(self, *, dead_since: float) -> list[tuple[Instance, Presence]]: ...
