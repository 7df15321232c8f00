"""The services as operating-system processes, which end with the one that started them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

STOP_SECONDS = 5.0


class Service:
    """A program with a log file, to be killed and started again.

    Args:
        name: also the name of its log file.
        command: the program and its arguments.
        folder: where its log file is; its working directory, too.
        environment: variables to add to ours; settings of goconductor that we have ourselves are not handed on.
    """

    def __init__(self, name: str, command: list[str], *, folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.state = "not started"
        self._command = command
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("GOCONDUCTOR_")}
        self._environment |= environment
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def of_script(cls, script: Path, *, folder: Path, environment: Mapping[str, str]) -> Service:
        """A service whose code is in one file."""
        return cls(script.stem, [sys.executable, str(script)], folder=folder, environment=environment)

    def start(self) -> None:
        dies_with_us = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []  # where we are killed ourselves
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*dies_with_us, *self._command],
                cwd=self.log.parent,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.state = "starting"

    def kill(self) -> None:
        """By SIGKILL: it cannot tidy up, or say goodbye to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.state = "killed"

    def ask_to_stop(self) -> None:
        """It may finish what it is at."""
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """See it end; by force if it takes too long."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=STOP_SECONDS)
        self.kill()

    def check(self) -> None:
        """Complain if it has ended by itself.

        Raises:
            RuntimeError: with the end of its log.
        """
        if self.state != "killed" and self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"{self.name} has ended:\n{self.log.read_text(errors='replace')[-1500:]}")


@contextmanager
def running(*services: Service) -> Iterator[None]:
    """Start them all; stop them all, side by side."""
    try:
        for service in services:
            service.start()
        yield
    finally:
        for service in services:
            service.ask_to_stop()
        for service in services:
            service.stop()
