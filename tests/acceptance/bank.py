"""The bank as its driver sees it: a store, three services with a database each, their processes, the world that is notified."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import re
import signal
import sys
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx

from goconductor import Settings
from goconductor.app import migrate
from goconductor.testing import checkers
from goconductor.testing.checkers import Recorded
from goconductor.testing.postgres import PostgresAddress
from tests.acceptance import accounts, holdings, tally, witness
from tests.acceptance.sagas import TRANSACTIONAL
from tests.acceptance.tally import Movement
from tests.acceptance.witness import LeaderWrite

ROOT = Path(__file__).parents[2]
MODULES = ("bank_a", "bank_b", "ledger")
SERVICES = tuple(module.replace("_", "-") for module in MODULES)
PAYERS = {f"payer {number}": 10_000 for number in range(10)} | {"poor payer": 100}
PAYEES = {f"payee {number}": 0 for number in range(10)}
LIMITS = {f"limit of {payee}": 100_000 for payee in PAYEES} | {"limit of payee 0": 300, "limit of closed payee": 100_000}
BALANCES = {"bank-a": PAYERS, "bank-b": PAYEES | LIMITS, "ledger": {"cases": 0, "book": 0}}
LEASE_SECONDS = 5.0
LEFT_OVER_SECONDS = 300.0
IN_HAND_LOOKS = 100
"""How often more work is begun, until a process is seen with some."""
HELD = (
    "goconductor_steps_running",
    "goconductor_places_taken",
    "goconductor_threads_lost",
    "goconductor_leases_orphaned",
)
"""The gauges of what a process holds."""


class World:
    """Whoever is notified over HTTP: it counts each key, and is sometimes too busy to answer a first request."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self._seen: set[str] = set()
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Serve on a free port."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # the caller was killed
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            key = head.partition("Idempotency-Key: ")[2].partition("\r\n")[0]
            busy = key not in self._seen and len(self._seen) % 5 == 0
            self._seen.add(key)
            if not busy:
                self.taken[key] += 1
            writer.write(b"HTTP/1.1 503 Busy\r\n\r\n" if busy else b"HTTP/1.1 200 OK\r\n\r\n")
            await writer.drain()
        writer.close()


class Service:
    """One process of a service, and after its end the next."""

    def __init__(self, module: str, environment: dict[str, str], folder: Path, code: Path = ROOT) -> None:
        self.name = module.replace("_", "-")
        self._module = module
        self._environment = environment
        self._code = code
        self._log = folder / f"{module}.log"
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The number of the present process."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start a process."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"tests.acceptance.{self._module}",
                cwd=self._code,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    async def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal and wait for the process's end; its exit code."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        return await self._process.wait()

    async def ended(self) -> int:
        """Wait for the end that the process takes by itself."""
        assert self._process is not None
        return await self._process.wait()

    @property
    def lives(self) -> bool:
        """Whether its present process has not ended."""
        return self._process is not None and self._process.returncode is None

    async def holds(self) -> dict[str, float]:
        """The places that its present process says are taken."""
        where = re.findall(r"metrics on (http://[\d.]+:\d+/metrics)", self._log.read_text())
        try:
            async with httpx.AsyncClient(timeout=300, verify=False) as client:
                text = (await client.get(where[-1])).text
        except (IndexError, httpx.TransportError):  # it has only begun, and the address is of the process before
            return {"an answer": math.nan}
        lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith(HELD)]
        return {gauge: float(value) for gauge, _, value in lines}

    def words(self) -> str:
        """What its processes said last."""
        return self._log.read_text()[-4000:]


class Bank:
    """All of it; made by :func:`opened`."""

    def __init__(
        self, urls: dict[str, str], store: asyncpg.Pool[asyncpg.Record], folder: Path, world: World, bus: dict[str, str]
    ) -> None:
        self.urls = urls
        self._bus = bus
        self.store = store
        self.folder = folder
        self.world = world
        self.settings = Settings.load(environ=self._environment())
        self.services: list[Service] = []

    def _environment(self, **more: str) -> dict[str, str]:
        return {
            "GOCONDUCTOR_DATABASE_URL": self.urls["store"],
            "GOCONDUCTOR_PARTICIPANT_LEASE_SECONDS": str(LEASE_SECONDS),
            "GOCONDUCTOR_METRICS_PORT": "0",
            **self._bus,
        } | more

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of a process of the bank."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("GOCONDUCTOR_")}
        return ours | self._environment(**more)

    async def service(self, module: str, **more: str) -> Service:
        """A new process of a service, started; when it is ready :meth:`registered` tells."""
        return await self.service_of(ROOT, module, **more)

    async def service_of(self, code: Path, module: str, **more: str) -> Service:
        """A new process of a service, started.

        Args:
            code: the folder of its code, and of all that this is built on.
            module: in it.
            more: variables of its environment.
        """
        url = self.urls.get(module.replace("_", "-"), self.urls["bank-a"])
        environment = self.environment(BANK_URL=url, NOTIFY_PORT=str(self.world.port), **more)
        service = Service(module, environment, self.folder, code)
        await service.start()
        self.services.append(service)
        return service

    async def until(self, holds: str, *arguments: object, seconds: float = 600.0, every_seconds: float = 0.02) -> None:
        """Wait until a query of the store's database answers true."""
        came = await self._comes(holds, *arguments, seconds=seconds, every_seconds=every_seconds)
        assert came, f"waited {seconds} s for: {holds} {arguments}\n{self.words()}"

    async def until_in_hand(self, holds: str, *arguments: object, more: Callable[[], Awaitable[None]]) -> None:
        """Wait until a query about work in hand answers true. Steps may be over before we look, so more are begun."""
        for _ in range(IN_HAND_LOOKS):
            await more()
            if await self._comes(holds, *arguments, seconds=2.0, every_seconds=0.002):
                return
        raise AssertionError(f"never so, however much was begun: {holds} {arguments}\n{self.words()}")

    async def _comes(self, holds: str, *arguments: object, seconds: float, every_seconds: float) -> bool:
        give_up = time.monotonic() + seconds
        while True:
            if await self.store.fetchval(holds, *arguments):
                return True
            if time.monotonic() > give_up:
                return False
            await asyncio.sleep(every_seconds)

    async def registered(self, service: Service) -> None:
        """Wait until a service's present process is there."""
        await self.until(
            "SELECT EXISTS (SELECT FROM goconductor.participants WHERE name LIKE $1)", f"{service.name}-%-{service.pid}-%"
        )

    async def leader(self) -> Service | None:
        """Whose process leads, as the database has it."""
        holder = await self.store.fetchval("SELECT holder FROM goconductor.leadership WHERE ends_at > clock_timestamp()")
        return next((service for service in self.services if holder and f"-{service.pid}-" in holder), None)

    async def all_ended(self, within_seconds: float = 600.0) -> None:
        """I4: every saga ends in time; if not, the logs of those that have not are told."""
        nobody_lives = "SELECT NOT EXISTS (SELECT FROM goconductor.sagas WHERE status NOT IN ('completed', 'compensated'))"
        if await self._comes(nobody_lives, seconds=within_seconds, every_seconds=0.05):
            return
        late = [problem for saga in await checkers.recorded(self.urls["store"]) for problem in checkers.ended(saga)]
        leases = await self.store.fetch("SELECT * FROM goconductor.leases")
        queued = await self._queued()
        raise AssertionError("\n".join([*late, *map(str, leases), *map(str, queued), self.words()]))

    async def _queued(self) -> list[asyncpg.Record]:
        if self._bus:
            return []
        return await self.store.fetch(
            "SELECT queue_id, message_id, visible_at, deliveries FROM goconductor_bus.messages WHERE deliveries > 0"
        )

    def words(self) -> str:
        """What the services said last."""
        return "\n".join(f"--- {service.name}\n{service.words()}" for service in self.services)

    async def violations(self, answers: list[tuple[str, UUID]]) -> list[str]:
        """I1 to I8, from the databases alone."""
        sagas = await checkers.recorded(self.urls["store"])
        movements, journal, balances = await self._kept()
        before = {account: money for bank in ("bank-a", "bank-b") for account, money in BALANCES[bank].items()}
        customers = (PAYERS | PAYEES).keys()
        keys = {row["key"]: row["saga_id"] for row in await self.store.fetch("SELECT key, saga_id FROM goconductor.start_keys")}
        effects = Counter(movement.key for movement in movements)
        found = [
            *tally.money(
                {account: money for account, money in before.items() if account in customers},
                {account: money for account, money in balances.items() if account in customers},
                [movement for movement in movements if movement.account in customers],
            ),
            *tally.one_effect(sagas, effects, journal, TRANSACTIONAL),
            *self._of_limits_and_books(sagas, balances),
            *self._of_notices(sagas),
            *(problem for saga in sagas for problem in checkers.compensation_order(saga)),
            *(problem for saga in sagas for problem in checkers.ended(saga)),
            *checkers.accepted(sagas, (saga_id for _, saga_id in answers)),
            *(problem for saga in sagas for problem in checkers.legal_history(saga)),
            *witness.leader_writes(await self.leader_writes()),
            *checkers.same_start(sagas, keys, answers),
            *await self.left_over(),
        ]
        letters = await self.store.fetchval("SELECT count(*) FROM goconductor.dead_letters")
        return [*found, *([f"{letters} dead letters"] if letters else [])]

    async def left_over(self) -> list[str]:
        """The leases and places that are held though every saga has ended. What is under way has time to come to its end."""
        give_up = time.monotonic() + LEFT_OVER_SECONDS
        while True:
            leases = await holdings.held(self.urls["store"])
            places = {f"{service.name} {service.pid}": await service.holds() for service in self.services if service.lives}
            left = list(holdings.nothing_held(leases, places))
            if not left or time.monotonic() > give_up:
                return left
            await asyncio.sleep(0.1)

    async def leader_writes(self) -> list[LeaderWrite]:
        """What leaders wrote."""
        return await witness.witnessed(self.urls["store"])

    def _of_limits_and_books(self, sagas: list[Recorded], balances: dict[str, int]) -> list[str]:
        """What only follows from the completed sagas: the sum of their amounts, and how many cases there are."""
        completed = [saga for saga in sagas if saga.head.status == "completed"]
        amount = sum(saga.events[0].input.get("amount", 0) for saga in completed)  # type: ignore[union-attr]
        reserved = sum(LIMITS.values()) - sum(balances[account] for account in LIMITS)
        credited = sum(balances[account] for account in PAYEES)
        expected = (amount, amount, amount, sum(_runs(saga, "ledger.screen") for saga in completed))
        found = (reserved, credited, balances["book"], balances["cases"])
        return [] if found == expected else [f"(reserved, credited, booked, cases) are {found}, should be {expected}"]

    def _of_notices(self, sagas: list[Recorded]) -> list[str]:
        """I2 on the other side of HTTP: each completed saga that notifies was told of under one key, no other was."""
        told = {key.split("/")[0] for key in self.world.taken}
        completed = {str(saga.head.saga_id) for saga in sagas if saga.head.status == "completed" and _runs(saga, "ledger.notify")}
        keys_per_saga = Counter(key.split("/")[0] for key in self.world.taken)
        found = [f"the world was told of {sorted(told ^ completed)} wrongly"] if told != completed else []
        return found + [f"the world got {times} keys of {saga}" for saga, times in keys_per_saga.items() if times > 1]

    async def _kept(self) -> tuple[list[Movement], dict[str, str], dict[str, int]]:
        movements: list[Movement] = []
        journal: dict[str, str] = {}
        balances: dict[str, int] = {}
        for service in SERVICES:
            connection = await asyncpg.connect(self.urls[service])
            try:
                rows = await connection.fetch("SELECT key, account, amount, balance FROM movements ORDER BY movement_id")
                movements += [Movement(**dict(row)) for row in rows]
                journal |= {
                    row["key"]: row["state"] for row in await connection.fetch("SELECT key, state FROM goconductor_effects")
                }
                balances |= {row["account"]: row["balance"] for row in await connection.fetch("SELECT * FROM accounts")}
            finally:
                await connection.close()
        return movements, journal, balances


def _runs(saga: Recorded, code: str) -> bool:
    """Whether a step of it is this code, as ``participant.step``."""
    return any(step.run == code for step in saga.plan.definition.steps)


@asynccontextmanager
async def opened(
    server: PostgresAddress,
    name: str,
    folder: Path,
    *,
    bus: dict[str, str] | None = None,
    migrated: Callable[[Settings], Awaitable[None]] = migrate,
) -> AsyncIterator[Bank]:
    """A bank with fresh databases and no process yet; at the end all of it is gone.

    Args:
        server: where the store and the services' databases are.
        name: what the databases' names begin with.
        folder: for the services' logs.
        bus: the settings of another bus than PostgreSQL's, as variables of the environment.
        migrated: makes the store's tables.
    """
    databases = {each: f"{name}_{each.replace('-', '_')}" for each in ("store", *SERVICES)}
    urls = {each: server.create_database(database) for each, database in databases.items()}
    world = World()
    try:
        for service, balances in BALANCES.items():
            await accounts.create(urls[service], balances)
        store = await asyncpg.create_pool(urls["store"], min_size=0, max_size=2, timeout=300.0, command_timeout=300.0)
        bank = Bank(urls, store, folder, world, bus or {})
        await migrated(bank.settings)
        await store.execute(witness.WITNESS)
        async with world.listening():
            try:
                yield bank
            finally:
                await asyncio.gather(*(service.end() for service in bank.services))
                await store.close()
    finally:
        for database in databases.values():
            server.drop_database(database)
