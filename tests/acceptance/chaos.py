"""kill -9 at random, and how long it takes until somebody goes on with what the dead process had in hand."""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from goconductor.testing.checkers import Recorded
from tests.acceptance.bank import SERVICES, Bank, Service
from tests.acceptance.load import Load

RESTART_SECONDS = 0.3
MORE_SECONDS, MORE_TRANSFERS = 3.0, 5
"""So often so many more transfers are let go, while nobody wanted has work in hand."""
HASTE = 0.25
"""How often the next kill does not wait until what the last one interrupted goes on."""
TAKEN_UP = """
SELECT NOT EXISTS (
    SELECT FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS held (saga_id, step, seq) WHERE NOT EXISTS (
        SELECT FROM goconductor.saga_log AS e WHERE e.saga_id = held.saga_id AND e.step = held.step AND e.seq > held.seq
    ) AND (SELECT wake_at FROM goconductor.sagas WHERE sagas.saga_id = held.saga_id) IS NOT NULL
)"""
HOLDS_WORK = """
SELECT EXISTS (
    SELECT FROM goconductor.leases JOIN goconductor.participants ON serial = instance
    WHERE name LIKE $1 AND expires_at > clock_timestamp()
)"""


def say(line: str) -> None:
    """A figure of the run, for whoever runs it."""
    sys.stdout.write(f"{line}\n")


@dataclass
class Kill:
    """One kill, and what stood in the database right after it: the work in hand of the dead, and how far each saga was."""

    victim: str
    led: bool
    at: float
    leased: list[tuple[UUID, str]] = field(default_factory=list)
    touched: list[UUID] = field(default_factory=list)
    seqs: dict[UUID, int] = field(default_factory=dict)

    def recoveries(self, sagas: Sequence[Recorded]) -> list[float]:
        """For each saga that the dead had in hand (or, with nothing in hand, had touched last): seconds to its first new event.

        A leased step counts as taken up when an event names it: a parallel branch that went on elsewhere says nothing.
        """
        by_id = {saga.head.saga_id: saga for saga in sagas}
        waits = []
        for saga_id, step in self.leased or [(saga_id, "") for saga_id in self.touched]:
            after = (entry for entry in by_id[saga_id].entries if entry.seq > self.seqs[saga_id])
            new = next((entry.at for entry in after if not step or entry.step == step), None)
            if new is not None:  # else the dead held the lease of a message that came twice, and nothing was to be done
                waits.append(max(0.0, new - self.at))
        return sorted(waits)

    def told(self, sagas: Sequence[Recorded]) -> str:
        """One line of the record."""
        waits = self.recoveries(sagas)
        times = f"first {waits[0]:.2f} s, all {waits[-1]:.2f} s" if waits else "nothing was in hand"
        who = f"{self.victim}{' (leader)' if self.led else ''}"
        return f"{who:16} {len(self.leased):2} leased, {len(self.touched):2} touched: {times}"


class Chaos:
    """Kills services of a bank.

    Args:
        bank: it has one process of each service.
        chance: seeded.
        load: more is let go when nobody has work in hand any more, as this process was slow to look.
    """

    def __init__(self, bank: Bank, chance: random.Random, load: Load) -> None:
        self._bank = bank
        self._load = load
        self._chance = chance
        self.kills: list[Kill] = []

    def plan(self, kills: int) -> list[str]:
        """Whom to kill: each service once, the leader of the moment twice, the rest by chance; in an order by chance."""
        victims = [*SERVICES, "leader", "leader", *self._chance.choices([*SERVICES, "leader"], k=kills - len(SERVICES) - 2)]
        self._chance.shuffle(victims)
        return victims

    async def kill(self, wanted: str) -> None:
        """Kill the wanted one while it has work in hand, and start it again a moment later."""
        victim = await self.in_the_middle(wanted)
        store = self._bank.store
        led = wanted == "leader" or await self._bank.leader() is victim
        kill = Kill(victim.name, led, await store.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8"))
        instance = f"{victim.name}-%-{victim.pid}-%"
        await victim.end()
        restart_at = time.monotonic() + RESTART_SECONDS
        name = await store.fetchval("SELECT application_name FROM goconductor.participants WHERE name LIKE $1", instance)
        await self._bank.until(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1)", name, every_seconds=0.002
        )
        await self.look_at(kill, instance)
        self.kills.append(kill)
        await asyncio.sleep(max(0.0, restart_at - time.monotonic()))
        await victim.start()
        await self._bank.registered(victim)
        if self._chance.random() >= HASTE:
            held = [(saga_id, step, kill.seqs[saga_id]) for saga_id, step in kill.leased]
            await self._bank.until(TAKEN_UP, *([each[place] for each in held] for place in range(3)))

    async def look_at(self, kill: Kill, instance: str) -> None:
        """What those instances had in hand, and how far each saga is."""
        async with self._bank.store.acquire() as reader, reader.transaction(isolation="repeatable_read"):
            serials = "SELECT serial FROM goconductor.participants WHERE name LIKE $1"
            leases = await reader.fetch(f"SELECT saga_id, step FROM goconductor.leases WHERE instance IN ({serials})", instance)
            touched = await reader.fetch(
                f"SELECT saga_id FROM goconductor.sagas WHERE wake_at IS NOT NULL AND last_instance IN ({serials})", instance
            )
            seqs = await reader.fetch("SELECT saga_id, seq FROM goconductor.sagas")
        kill.leased = [(row["saga_id"], row["step"]) for row in leases]
        kill.touched = [row["saga_id"] for row in touched]
        kill.seqs = {row["saga_id"]: row["seq"] for row in seqs}

    async def in_the_middle(self, wanted: str) -> Service:
        """Wait until there is such a process, and it has work in hand."""
        began, more = time.monotonic(), 1
        while time.monotonic() < began + 300:
            if time.monotonic() > began + more * MORE_SECONDS:
                more += 1
                self._load.release(MORE_TRANSFERS)
            leader = await self._bank.leader()
            named = leader if wanted == "leader" else self._chance.choice([s for s in self._bank.services if s.name == wanted])
            if named is not None and await self._bank.store.fetchval(HOLDS_WORK, f"{named.name}-%-{named.pid}-%"):
                return named
            await asyncio.sleep(0.01 + self._chance.random() / 20)
        raise AssertionError(f"no {wanted} with work in hand\n{self._bank.words()}")

    def report(self, sagas: Sequence[Recorded]) -> tuple[float, float]:
        """Tell the recovery times; their median and the worst, over all kills, of the first and of the last saga taken up."""
        waits = [kill.recoveries(sagas) for kill in self.kills]
        for kill in self.kills:
            say(kill.told(sagas))
        first = [each[0] for each in waits if each]
        last = [each[-1] for each in waits if each]
        say(f"work goes on again: first saga p50 {statistics.median(first):.2f} s, worst {max(first):.2f} s; "
            f"all sagas p50 {statistics.median(last):.2f} s, worst {max(last):.2f} s")  # fmt: skip
        return statistics.median(first), max(last)
