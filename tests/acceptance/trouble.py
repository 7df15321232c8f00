"""More than kills: a process that stands still, a database and a broker that go away and come back, a connection that is cut."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from goconductor.testing.checkers import Recorded
from goconductor.testing.postgres import PostgresServer, StopMode
from tests.acceptance.bank import SERVICES, Bank
from tests.acceptance.chaos import TAKEN_UP, Chaos, Kill, say
from tests.acceptance.load import Load
from tests.servers.pausing import pause

NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"
RUN_OUT = """
SELECT NOT EXISTS (
    SELECT FROM goconductor.leases JOIN goconductor.participants ON serial = instance
    WHERE name LIKE $1 AND expires_at > clock_timestamp()
)"""
ANYBODY = "%"


class Trouble:
    """Brings trouble of all kinds over a bank, one after the other.

    Args:
        bank: it has its processes.
        server: the bank's PostgreSQL, which nobody else uses.
        restart_broker: kills the broker and starts it again; None where PostgreSQL is the bus. It blocks.
        chance: seeded.
        load: what runs meanwhile.
    """

    def __init__(
        self, bank: Bank, server: PostgresServer, restart_broker: Callable[[], None] | None, chance: random.Random, load: Load
    ) -> None:
        self._bank = bank
        self._server = server
        self._restart_broker = restart_broker
        self._chance = chance
        self._chaos = Chaos(bank, chance, load)
        self._others: list[Kill] = []

    @property
    def kills(self) -> list[Kill]:
        """The kills among it."""
        return self._chaos.kills

    def plan(self, kills: int) -> list[str]:
        """Kinds of trouble, in an order by chance."""
        kinds = [*self._chaos.plan(kills), "stopped", "postgres fast", "postgres immediate", "backend terminated"]
        if self._restart_broker is not None:
            kinds.append("broker killed")
        self._chance.shuffle(kinds)
        return kinds

    async def bring(self, kind: str) -> None:
        """Bring this trouble, and return when what it interrupted goes on, or soon will."""
        match kind:
            case "stopped":
                await self._stand_still()
            case "postgres fast":
                await self._restart_postgres("fast")
            case "postgres immediate":
                await self._restart_postgres("immediate")
            case "backend terminated":
                await self._terminate_backend()
            case "broker killed" if self._restart_broker is not None:
                await self._after(kind, asyncio.to_thread(self._restart_broker))
            case _:
                await self._chaos.kill(kind)

    async def _stand_still(self) -> None:
        """SIGSTOP until its leases have run out and somebody else, or its own other instance, has taken them up; then SIGCONT."""
        victim = await self._chaos.in_the_middle("bank-a")  # there are two of it, so the work can go on
        kill = Kill("stopped", await self._bank.leader() is victim, await self._bank.store.fetchval(NOW))
        pause(victim.pid)
        instance = f"{victim.name}-%-{victim.pid}-%"
        try:
            await self._chaos.look_at(kill, instance)
            self._others.append(kill)
            await self._bank.until(RUN_OUT, instance)
            held = [(saga_id, step, kill.seqs[saga_id]) for saga_id, step in kill.leased]
            await self._bank.until(TAKEN_UP, *([each[place] for each in held] for place in range(3)))
        finally:
            os.kill(victim.pid, signal.SIGCONT)

    async def _restart_postgres(self, mode: StopMode) -> None:
        await self._after(f"postgres {mode}", asyncio.to_thread(self._server.restart, mode))

    async def _terminate_backend(self) -> None:
        name = self._chance.choice(SERVICES)
        pids: list[Any] = []
        while not pids:  # it may just be starting again
            pids = await self._bank.store.fetch(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE $1", f"goconductor {name}%"
            )
        pid = self._chance.choice([row["pid"] for row in pids])
        await self._after("backend terminated", self._bank.store.execute("SELECT pg_terminate_backend($1)", pid))

    async def _after(self, kind: str, trouble: object) -> None:
        """What was not over when the trouble was, and when it goes on."""
        await trouble  # type: ignore[misc]
        kill = Kill(kind, led=False, at=await self._healed())
        await self._chaos.look_at(kill, ANYBODY)
        kill.leased = []
        self._others.append(kill)

    async def _healed(self) -> float:
        give_up = time.monotonic() + 300
        while time.monotonic() < give_up:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return float(await self._bank.store.fetchval(NOW))
            await asyncio.sleep(0.02)
        raise AssertionError("the database did not come back")

    def report(self, sagas: Sequence[Recorded]) -> None:
        """Tell, by kind of trouble, how long it took until work went on."""
        by_kind: dict[str, list[list[float]]] = {}
        for kill in [*self.kills, *self._others]:
            kind = kill.victim if kill in self._others else "leader killed" if kill.led else "participant killed"
            by_kind.setdefault(kind, []).append(kill.recoveries(sagas))
        for kind, runs in sorted(by_kind.items()):
            first, last = [run[0] for run in runs if run], [run[-1] for run in runs if run]
            if first:
                say(
                    f"{kind:20} {len(runs):2} times; work goes on: p50 {statistics.median(first):.2f} s, "
                    f"worst {max(first):.2f} s; all of it: p50 {statistics.median(last):.2f} s, worst {max(last):.2f} s"
                )
