"""The units on the page: systemd takes them, and what they start is started here as they say. No systemd runs in the tests."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from configparser import RawConfigParser
from pathlib import Path
from textwrap import dedent

import httpx
import pytest

from goconductor.stores.postgres import migrate
from goconductor.testing.loopback import LOOPBACK, free_port
from tests.docs.test_deploy_page import TEXT

UNITS = {
    name: dedent(text) for name, text in re.findall(r"^    # /etc/systemd/system/(\S+)\n((?:    .*\n|\n)+)", TEXT, re.MULTILINE)
}
PROGRAM = """
import asyncio
from goconductor import Participant

shop = Participant("shop")


@shop.step
async def pack() -> None:
    ...


asyncio.run(shop.run())
"""


def test_there_is_one_for_participants_and_one_for_the_server() -> None:
    assert list(UNITS) == ["shop@.service", "goconductor.service"]


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_it(name: str, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("the units were not verified: there is no systemd-analyze")
    unit = tmp_path / name
    unit.write_text(here(UNITS[name], tmp_path))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    mine = [line for line in done.stderr.splitlines() if str(tmp_path) in line or name.removesuffix(".service") in line]
    assert (done.returncode, mine) == (0, []), done.stderr
    unit.write_text(unit.read_text().replace("TimeoutStopSec=40", "TimeoutStopSec=soon"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert "Failed to parse time value" in done.stderr


def here(unit: str, folder: Path) -> str:
    """The unit with programs and a folder that this machine has."""
    return unit.replace("/srv/shop/.venv/bin", str(Path(sys.executable).parent)).replace("/srv/shop", str(folder))


async def start(name: str, instance: str, folder: Path, **variables: str) -> tuple[Process, dict[str, str]]:
    """The process of a unit's instance, with the variables that it has there; its ports are free ones."""
    parser = RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(here(UNITS[name], folder).replace("%i", instance))
    service = parser["Service"]
    given = dict(pair.split("=", 1) for pair in service.get("Environment", "").split())
    given = {variable: str(free_port()) for variable in given} | variables
    command = shlex.split(service["ExecStart"])
    return await create_subprocess_exec(*command, cwd=folder, env=given, stdout=PIPE, stderr=PIPE), given


async def until_ready(process: Process, port: str) -> None:
    async with httpx.AsyncClient(timeout=300) as client:
        while process.returncode is None:
            try:
                if (await client.get(f"http://{LOOPBACK}:{port}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
    raise AssertionError((await process.communicate())[1].decode())


@pytest.mark.postgres
async def test_two_instances_and_a_server_start_and_stop_in_order(tmp_path: Path, postgres_url: str) -> None:
    await migrate(postgres_url)
    (tmp_path / "shop.py").write_text(PROGRAM)
    environment = {"GOCONDUCTOR_DATABASE_URL": postgres_url}
    begun = [await start("shop@.service", instance, tmp_path, **environment) for instance in ("1", "2")]
    rest = str(free_port())
    begun.append(await start("goconductor.service", "", tmp_path, **environment, GOCONDUCTOR_REST_PORT=rest))
    for process, variables in begun:
        await until_ready(process, variables.get("GOCONDUCTOR_HEALTH_PORT", rest))
    for process, _ in begun:
        process.send_signal(signal.SIGTERM)
        _, said = await process.communicate()
        assert process.returncode == 0, said.decode()


async def test_with_wrong_settings_they_end_as_the_unit_expects(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(PROGRAM)
    for name, unit in UNITS.items():
        process, _ = await start(name, "1", tmp_path, GOCONDUCTOR_DATABASE_URL="mysql://nowhere")
        await process.communicate()
        assert process.returncode == 2
        assert "RestartPreventExitStatus=2" in unit
