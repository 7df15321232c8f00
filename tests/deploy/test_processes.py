"""What the chart's pods run, run here: the rendered commands, variables and settings, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest

from goconductor.stores.postgres.database.revisions import REVISIONS
from goconductor.testing.faults import CuttableProxy
from tests.deploy.helm import Document, kept
from tests.deploy.pods import can_confine, start

pytestmark = pytest.mark.postgres

CONFINED = pytest.param(True, id="confined")
PLAIN = pytest.param(False, id="plain")


def of_kind(name: str, kind: str) -> Document:
    return next(each for each in kept(name) if each["kind"] == kind)


def settings_of(name: str, workload: str) -> str:
    (found,) = (each for each in kept(name) if each["kind"] == "ConfigMap" and each["metadata"]["name"] == workload)
    text: str = found["data"]["goconductor.yaml"]
    return text


def allowed(confined: bool) -> None:
    if confined and not can_confine():
        pytest.skip("a pod's read-only root and its user were not tried: that needs root, and leave to mount")


async def end(process: Process) -> tuple[int | None, str]:
    out, err = await process.communicate()
    return process.returncode, (out + err).decode()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that a pod's user can read."""
    made = tmp_path_factory.mktemp("pod")
    made.chmod(0o755)
    return made


@pytest.mark.parametrize("confined", [PLAIN, CONFINED])
async def test_the_job_migrates_and_the_server_serves_and_stops_in_order(folder: Path, postgres_url: str, confined: bool) -> None:
    allowed(confined)
    jobs = [await start(of_kind("goconductor", "Job"), folder, url=postgres_url, confined=confined) for _ in range(2)]
    for job, _ in jobs:
        code, said = await end(job)
        assert code == 0, said
    parts = urlsplit(postgres_url)
    async with CuttableProxy(parts.hostname or "", parts.port or 5432) as proxy:
        proxy.cut()
        away = urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{proxy.port}"))
        server, ports = await start(
            of_kind("goconductor", "Deployment"),
            folder,
            settings=settings_of("goconductor", "goconductor-server"),
            url=away,
            confined=confined,
        )
        assert server.stdout is not None
        assert server.stderr is not None
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports['GOCONDUCTOR_HEALTH_PORT']}", timeout=300) as probe:
            while b"waiting for PostgreSQL" not in (line := await server.stderr.readline()):
                assert line, "it ended"
            assert ((await probe.get("/livez")).status_code, (await probe.get("/readyz")).status_code) == (200, 503)
            proxy.heal()
            line = await server.stdout.readline()
            assert line.startswith(b"REST on http://0.0.0.0:"), (line, await server.stderr.read())
            assert ((await probe.get("/livez")).status_code, (await probe.get("/readyz")).status_code) == (200, 200)
            answer = await probe.get(f"http://127.0.0.1:{ports['GOCONDUCTOR_REST_PORT']}/v1/sagas", headers={"host": "sagas"})
            assert (answer.status_code, answer.json()["sagas"]) == (200, [])
        server.send_signal(signal.SIGTERM)
        code, said = await end(server)
    assert (code, said.splitlines()[0]) == (0, "stopped"), said


async def test_a_job_that_is_killed_in_the_middle_leaves_nothing_and_the_next_one_does_it_all(
    folder: Path, postgres_url: str
) -> None:
    hand, other = [await asyncpg.connect(postgres_url) for _ in range(2)]
    try:
        await hand.execute("CREATE SCHEMA goconductor")
        middle = hand.transaction()
        await middle.start()
        await hand.execute("CREATE TABLE goconductor.timelines ()")  # what a late revision makes: it waits for us
        job, _ = await start(of_kind("minimal", "Job"), folder, url=postgres_url)
        held = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while (waiting := await other.fetchval(held)) is None:
            assert job.returncode is None, await end(job)
        os.kill(job.pid, signal.SIGKILL)
        assert (await end(job))[0] == -signal.SIGKILL
        await middle.rollback()
        while await other.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", waiting):
            pass  # the server notices that its client is gone
        assert await other.fetchval("SELECT to_regclass('goconductor.sagas')") is None
        again, _ = await start(of_kind("minimal", "Job"), folder, url=postgres_url)
        code, said = await end(again)
        assert code == 0, said
        assert await other.fetchval("SELECT version_num FROM goconductor.alembic_version") == REVISIONS[-1]
    finally:
        await asyncio.gather(hand.close(), other.close())
