"""Does anything stay behind? What is held in a store and in its processes, checked once all sagas have ended.

A place or a lease that nobody gives back does no harm to its own saga, so no other checker of a run finds it; after a few such a
process runs nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import asyncpg

from goconductor.ports.store import Lease, LeaseKey
from goconductor.saga.ids import Direction


def nothing_held(leases: Iterable[Lease], places: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Once all sagas have ended nothing is held: no lease, no place of any process.

    Args:
        leases: what :func:`held` found.
        places: what each process says that it holds, by the process and the gauge.
    """
    for lease in leases:
        key = lease.key
        yield f"saga {key.saga_id}: instance {lease.instance} has a lease on the {key.direction} of step {key.step!r}"
    for process, gauges in places.items():
        yield from (f"{process} holds {value:g} of {gauge}" for gauge, value in gauges.items() if value)


async def held(url: str, *, schema: str = "goconductor") -> list[Lease]:
    """The leases of a store that are somebody's: those of instances that live, run out or not, and those that have not run out.
    What a dead instance held and let run out, the leader lets go in its own time.

    Args:
        url: the store's DSN.
        schema: where its tables are.
    """
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            f'SELECT saga_id, step, direction, round, instance, token FROM "{schema}".leases '
            f"WHERE expires_at > clock_timestamp() OR instance IN "
            f'(SELECT serial FROM "{schema}".participants WHERE dead_at IS NULL) ORDER BY saga_id, step'
        )
    finally:
        await connection.close()
    return [
        Lease(
            key=LeaseKey(row["saga_id"], row["step"], Direction(row["direction"]), row["round"]),
            instance=row["instance"],
            token=row["token"],
        )
        for row in rows
    ]
