"""Three processes of two services over a database that fails over, in one address of it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from goconductor import Settings

ROOT = Path(__file__).parents[2]
PROCESSES = ("stock", "stock", "bank")


class Fleet:
    """The processes; made by :func:`sailing`."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.runs = folder / "runs"
        self.runs.touch()
        own = {name: value for name, value in os.environ.items() if not name.startswith("GOCONDUCTOR_")}
        self._settings = {
            "GOCONDUCTOR_DATABASE_URL": url,
            "GOCONDUCTOR_PARTICIPANT_LEASE_SECONDS": "5",
            "GOCONDUCTOR_METRICS_PORT": "0",
        }
        self.settings = Settings.load(environ=self._settings)
        self._environment = own | self._settings | {"JOURNAL_URL": url, "RUNS": str(self.runs)}
        self.logs = [folder / f"{number}-{service}.log" for number, service in enumerate(PROCESSES)]
        self._processes: list[Process] = []

    async def start(self) -> None:
        """Start all of them."""
        for service, log in zip(PROCESSES, self.logs, strict=True):
            with log.open("ab") as words:
                self._processes.append(
                    await asyncio.create_subprocess_exec(
                        *(sys.executable, "-m", "tests.failover.shop", service), cwd=ROOT, env=self._environment,
                        stdout=words, stderr=words,
                    )
                )  # fmt: skip

    async def end(self) -> list[int]:
        """Ask them to end, and return their exit codes: below zero where one had to be killed."""
        for process in self._processes:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(120):
                return [await process.wait() for process in self._processes]
        finally:
            for process in self._processes:
                if process.returncode is None:
                    process.kill()

    @property
    def all_live(self) -> bool:
        """Whether none has ended."""
        return all(process.returncode is None for process in self._processes)

    def words(self) -> str:
        """What they logged."""
        return "\n".join(f"--- {log.name}\n{log.read_text()[-6000:]}" for log in self.logs if log.exists())

    def logged(self, text: str) -> bool:
        """Whether one of them has logged this."""
        return any(text in log.read_text() for log in self.logs)

    async def metric(self, name: str) -> float:
        """The sum of a metric over the processes."""
        total = 0.0
        async with httpx.AsyncClient(timeout=60) as client:
            for log in self.logs:
                where = re.findall(r"metrics on (http://[\d.]+:\d+/metrics)", log.read_text())
                lines = (await client.get(where[-1])).text.splitlines()
                total += sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))
        return total

    async def told(self, *command: str) -> tuple[int, str]:
        """Run a command of the CLI; its exit code, and what it says."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from goconductor.cli import main; main()", *command), cwd=ROOT, env=self._environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()


@asynccontextmanager
async def sailing(url: str, folder: Path) -> AsyncIterator[Fleet]:
    """A fleet whose processes have been started; at the end none is left."""
    fleet = Fleet(url, folder)
    try:
        await fleet.start()
        yield fleet
    finally:
        await fleet.end()
