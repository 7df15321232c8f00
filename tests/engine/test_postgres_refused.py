"""A participant's own process that cannot begin: one message with its remedy, no traceback, and the command line's exit codes."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from goconductor.control.doors.exits import Exit
from goconductor.stores.postgres import migrate
from goconductor.testing.loopback import free_port

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parents[2]
CANARY = "hunter2-canary"
SHOP = """
import asyncio
import sys

from goconductor import Participant

sys.modules.update(dict.fromkeys(sys.argv[1:]))  # as if these were not installed
shop = Participant("shop")


@shop.step
async def pack() -> None: ...


asyncio.run(shop.run())
"""


async def launched(folder: Path, *absent: str, **environ: str) -> asyncio.subprocess.Process:
    """A shop in a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SHOP,
        *absent,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def words(process: asyncio.subprocess.Process) -> list[str]:
    """All that it says until it ends."""
    out, _ = await asyncio.wait_for(process.communicate(), 300)
    text = out.decode()
    assert CANARY not in text
    assert "Traceback" not in text
    return text.splitlines()


async def test_a_database_that_is_not_migrated(tmp_path: Path, postgres_url: str) -> None:
    process = await launched(tmp_path, GOCONDUCTOR_DATABASE_URL=postgres_url)
    (line,) = await words(process)
    assert process.returncode == Exit.UNAVAILABLE
    assert "participant 'shop' cannot run: " in line
    assert line.endswith("there are no tables of goconductor yet; run `goconductor migrate`")


@pytest.mark.parametrize(
    ("environ", "absent", "says"),
    [
        ({"GOCONDUCTOR_BUS_KIND": "pigeon"}, [], "GOCONDUCTOR_BUS_KIND: should be one of those installed"),
        ({"GOCONDUCTOR_BUS_OPTIONS__WINGS": "2"}, [], "the bus 'postgres' has no option 'wings'; it has: "),
        ({"GOCONDUCTOR_REST_PORT": "none"}, [], "GOCONDUCTOR_REST_PORT"),
        ({"GOCONDUCTOR_METRICS_PORT": "0"}, ["prometheus_client"], "pip install 'goconductor[metrics]'"),
        ({"GOCONDUCTOR_ELECTION_KIND": "etcd", "GOCONDUCTOR_ELECTION_OPTIONS__ENDPOINTS": "x"}, [], "etcd"),
        ({"GOCONDUCTOR_BUS_KIND": "nats", "GOCONDUCTOR_BUS_URL": "nats://x"}, ["nats"], "pip install 'goconductor[nats]'"),
    ],
)
async def test_settings_that_cannot_be_used(
    tmp_path: Path, postgres_url: str, environ: dict[str, str], absent: list[str], says: str
) -> None:
    await migrate(postgres_url)
    process = await launched(tmp_path, *absent, GOCONDUCTOR_DATABASE_URL=postgres_url, **environ)
    lines = await words(process)
    assert process.returncode == Exit.USAGE, lines
    assert says in lines[-1]


async def test_a_database_that_refuses_us(tmp_path: Path, postgres_url: str) -> None:
    parts = urlsplit(postgres_url)
    url = urlunsplit(parts._replace(netloc=f"nobody:{CANARY}@{parts.netloc.rpartition('@')[2]}"))
    process = await launched(tmp_path, GOCONDUCTOR_DATABASE_URL=url)
    (line,) = await words(process)
    assert process.returncode == Exit.USAGE
    assert "correct user, password or database in the store's url" in line


async def test_who_waits_for_its_database_can_be_stopped(tmp_path: Path) -> None:
    process = await launched(tmp_path, GOCONDUCTOR_DATABASE_URL=f"postgresql://u:{CANARY}@127.0.0.1:{free_port()}/x")
    assert process.stdout is not None
    assert b"waiting for PostgreSQL" in await asyncio.wait_for(process.stdout.readline(), 300)
    process.send_signal(signal.SIGTERM)
    lines = await words(process)
    assert process.returncode == 0
    assert "stopped before it was ready" in lines[-1]
