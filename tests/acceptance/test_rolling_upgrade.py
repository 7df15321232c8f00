"""A rolling upgrade under load: code of the baseline and ours side by side, kills, and the migration in the middle of it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from goconductor import Settings, connect
from goconductor.app import migrate
from goconductor.testing import checkers
from goconductor.testing.postgres import PostgresAddress
from tests.acceptance import asking, baseline
from tests.acceptance.bank import MODULES, Bank, opened
from tests.acceptance.load import Load

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

TRANSFERS = int(os.environ.get("GOCONDUCTOR_TEST_UPGRADED", "10"))
"""How many are let go at a time."""
SEED = int(os.environ.get("GOCONDUCTOR_TEST_SEED", "3"))
OF_OURS = 1_000_000
"""What the numbers of the transfers begin after that are started by our code."""
HOLDS_WORK = """
SELECT EXISTS (
    SELECT FROM goconductor.leases JOIN goconductor.participants ON serial = instance
    WHERE name LIKE $1 AND expires_at > clock_timestamp()
)"""


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return baseline.unpacked(tmp_path_factory.mktemp("baseline") / "code")


@pytest.fixture
async def bank(postgres_server: PostgresAddress, older: Path, tmp_path: Path) -> AsyncIterator[Bank]:
    """With the tables of the baseline."""

    async def of_baseline(settings: Settings) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GOCONDUCTOR_")}
        environment["GOCONDUCTOR_DATABASE_URL"] = settings.database.url.get_secret_value()
        command = [sys.executable, "-c", "from goconductor.cli.main import main; main()", "migrate"]
        done = await asyncio.to_thread(subprocess.run, command, cwd=older, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    async with opened(postgres_server, f"upgrade_{os.urandom(4).hex()}", tmp_path, migrated=of_baseline) as made:
        yield made


class Client:
    """A client that has the code of the baseline."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def release(self, transfers: int) -> None:
        """Let so many more transfers start."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{transfers}\n".encode())

    async def started(self) -> list[tuple[str, UUID]]:
        """Wait until all are accepted; what was answered."""
        said, words = await self._process.communicate(b"")  # the end of its input
        assert self._process.returncode == 0, words.decode()
        return [(key, UUID(saga_id)) for key, saga_id in json.loads(said)]


@asynccontextmanager
async def client_of(bank: Bank, code: Path) -> AsyncIterator[Client]:
    environment = bank.environment(PYTHONPATH=str(code))
    command = [sys.executable, asking.__file__ or "", str(SEED)]
    process = await asyncio.create_subprocess_exec(*command, cwd=code, env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        yield Client(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_every_saga_ends_though_the_code_and_the_tables_are_replaced_under_load(bank: Bank, older: Path) -> None:
    chance = random.Random(SEED)
    services = {module: await bank.service_of(older, module) for module in MODULES}
    for service in services.values():
        await bank.registered(service)
    async with client_of(bank, older) as client:

        async def more() -> None:
            client.release(TRANSFERS)

        in_hand = partial(bank.until_in_hand, HOLDS_WORK, more=more)
        await in_hand("bank-a-%")

        early = await bank.service("bank_b")
        assert await early.ended() != 0
        assert "run `goconductor migrate`" in early.words()
        bank.services.remove(early)

        await in_hand("bank-a-%")
        await migrate(bank.settings)
        await in_hand("bank-a-%")  # the older code goes on, on the newer tables

        async with connect(bank.settings) as conductor:
            load = Load(conductor, chance, after=OF_OURS)
            for module in chance.sample(MODULES, len(MODULES)):
                successor = await bank.service(module)
                await bank.registered(successor)
                load.release(TRANSFERS)
                victim, services[module] = services[module], successor
                await in_hand(f"{victim.name}-%-{victim.pid}-%")
                leads = victim is await bank.leader()
                number = signal.SIGKILL if leads or chance.random() < 0.5 else signal.SIGTERM
                code = await victim.end(number)
                assert code == 0 or number is signal.SIGKILL, victim.words()
                bank.services.remove(victim)
            answers = await client.started()
            load.release(TRANSFERS)
            victim = services[chance.choice(MODULES)]
            await victim.end()
            await victim.start()
            load.release(TRANSFERS)
            await load.started()
            await bank.all_ended()

    assert await bank.violations(answers + load.answers) == []
    assert {saga.head.status for saga in await checkers.recorded(bank.urls["store"])} == {"completed", "compensated"}
