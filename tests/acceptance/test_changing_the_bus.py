"""1,000 sagas run while their bus is changed from PostgreSQL to Kafka, to NATS and back; one service is killed in the middle."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from goconductor import Conductor, Settings, connect
from goconductor.app import migrate
from goconductor.control.actor import Actor
from goconductor.control.installation import changes
from goconductor.ports.store.leading.choices import BUS
from goconductor.testing import checkers
from goconductor.testing.postgres import PostgresAddress
from tests.acceptance import movers, tally, witness

pytestmark = [pytest.mark.postgres, pytest.mark.kafka, pytest.mark.nats, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SAGAS = 1000
AT_EACH_MOMENT = 100
LEASE_SECONDS = 5.0
ENDED = "SELECT NOT EXISTS (SELECT FROM goconductor.sagas WHERE status NOT IN ('completed', 'compensated'))"


class Installation:
    """Two participants, in processes of their own, and a client."""

    def __init__(self, store_url: str, effects_url: str, kafka_url: str, nats_url: str, folder: Path) -> None:
        self.mark = secrets.token_hex(4)
        self.near, self.far = f"near-{self.mark}", f"far-{self.mark}"
        self.saga = movers.move(self.near, self.far)
        self.store_url, self.effects_url = store_url, effects_url
        kafka = {"kind": "kafka", "url": kafka_url, "options": {"partitions": 3, "group_prefix": f"{self.mark}."}}
        nats = {"kind": "nats", "url": nats_url, "options": {"prefix": f"test-{self.mark}"}}
        self.environment = {
            "GOCONDUCTOR_DATABASE_URL": store_url,
            "GOCONDUCTOR_PARTICIPANT_LEASE_SECONDS": str(LEASE_SECONDS),
            "GOCONDUCTOR_BUS_OTHERS": json.dumps({"kafka": kafka, "nats": nats}),
            "EFFECTS_URL": effects_url,
        }
        self.settings = Settings.load(environ=self.environment)
        self.folder = folder
        self.services: list[asyncio.subprocess.Process] = []
        self.answers: list[tuple[str, UUID]] = []

    async def serve(self, participant: str) -> asyncio.subprocess.Process:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GOCONDUCTOR_")}
        with (self.folder / f"{participant}.log").open("ab") as log:
            service = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.acceptance.movers", participant),
                cwd=ROOT,
                env=environment | self.environment,
                stdout=log,
                stderr=log,
            )
        self.services.append(service)
        return service

    async def start(self, conductor: Conductor, sagas: int) -> None:
        """Let so many more sagas run."""
        numbers = range(len(self.answers) + 1, len(self.answers) + sagas + 1)
        handles = await asyncio.gather(
            *(conductor.start(self.saga, {"number": number}, key=f"move {number}") for number in numbers)
        )
        self.answers += [(f"move {number}", handle.saga_id) for number, handle in zip(numbers, handles, strict=True)]

    async def change(self, conductor: Conductor, to: str, *, sagas: int, kill: bool = False) -> None:
        """Change the bus. With each of its phases more sagas start; once the new bus is sent over perhaps a service is killed."""
        waiting = ["joining", "draining", "settled"]
        async with asyncio.timeout(600):
            while True:
                found = await changes.change(Actor("ann"), conductor._node.store, BUS, to=to, named=["postgres"])
                while waiting and (found.done or waiting[0] in {"joining", found.phase}):
                    waiting.pop(0)
                    await self.start(conductor, sagas)
                if kill and found.phase != "joining":
                    kill = False
                    self.services[0].send_signal(signal.SIGKILL)
                    await self.serve(self.near)
                if found.done:
                    break
                await conductor._node.clock.sleep(0.1)
        assert (found.chosen, {each.uses for each in found.instances}, kill) == (to, {to}, False)

    async def all_ended(self, conductor: Conductor) -> None:
        connection = await asyncpg.connect(self.store_url)
        try:
            async with asyncio.timeout(600):
                while not await connection.fetchval(ENDED):
                    await conductor._node.clock.sleep(0.1)
        finally:
            await connection.close()

    async def violations(self) -> list[str]:
        """From the databases alone."""
        sagas = await checkers.recorded(self.store_url)
        effects, journal = await movers.kept(self.effects_url)
        steps = frozenset(step.run for step in self.saga.definition.steps)
        keys = dict(self.answers)
        return [
            *tally.one_effect(sagas, effects, journal, steps),
            *(problem for saga in sagas for problem in checkers.compensation_order(saga)),
            *(problem for saga in sagas for problem in checkers.ended(saga)),
            *checkers.accepted(sagas, (saga_id for _, saga_id in self.answers)),
            *(problem for saga in sagas for problem in checkers.legal_history(saga)),
            *witness.leader_writes(await witness.witnessed(self.store_url)),
            *checkers.same_start(sagas, keys, self.answers),
        ]

    def words(self) -> str:
        return "\n".join(f"--- {log.name}\n{log.read_text()[-3000:]}" for log in self.folder.glob("*.log"))


@asynccontextmanager
async def opened(server: PostgresAddress, kafka_url: str, nats_url: str, folder: Path) -> AsyncIterator[Installation]:
    names = [f"changing_{secrets.token_hex(4)}_{part}" for part in ("store", "effects")]
    try:
        store_url, effects_url = (server.create_database(name) for name in names)
        made = Installation(store_url, effects_url, kafka_url, nats_url, folder)
        await movers.create(made.effects_url)
        await migrate(made.settings)
        connection = await asyncpg.connect(made.store_url)
        await connection.execute(witness.WITNESS)
        await connection.close()
        try:
            yield made
        finally:
            for service in made.services:
                if service.returncode is None:
                    service.kill()
                await service.wait()
    finally:
        for name in names:
            server.drop_database(name)


async def test_1000_sagas_run_from_postgresql_to_kafka_to_nats_and_back(
    postgres_server: PostgresAddress, kafka_server: str, nats_url: str, tmp_path: Path
) -> None:
    async with opened(postgres_server, kafka_server, nats_url, tmp_path) as installation:
        for participant in (installation.near, installation.far):
            await installation.serve(participant)
        try:
            async with connect(installation.settings) as conductor:
                await installation.start(conductor, AT_EACH_MOMENT)
                await installation.change(conductor, "kafka", sagas=AT_EACH_MOMENT)
                await installation.change(conductor, "nats", sagas=AT_EACH_MOMENT, kill=True)
                await installation.change(conductor, "postgres", sagas=AT_EACH_MOMENT)
                await installation.all_ended(conductor)
            assert await installation.violations() == []
        except BaseException as error:
            error.add_note(installation.words())
            raise
        statuses = {saga.head.status for saga in await checkers.recorded(installation.store_url)}
        assert (len(installation.answers), statuses) == (SAGAS, {"completed", "compensated"})
