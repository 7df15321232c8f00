"""A server as a child process of ours: started on loopback, known by its process, stopped by it, gone when we are.

It has a folder of its own for data and log, and a session of its own, so that a Ctrl-C of the terminal does not reach it. On
Linux the kernel kills it when the thread that started it dies; elsewhere the interpreter's exit stops it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from goconductor.errors import ConfigurationError
from goconductor.testing.loopback import LOOPBACK
from tests.servers.pausing import pause

LOG_CHARACTERS = 2000
"""How much of a log an error quotes."""


class Child:
    """One server's process, and after a restart the next.

    Every method blocks.

    Args:
        name: the server's, for messages and its log's name.
        folder: where its log goes; it is made if it is missing.
        command: what is run, again at each start.
        ready: whether the server answers by now.
        environment: the child's whole environment; None hands on ours.
        start_timeout_seconds: bounds a start.
        stop_timeout_seconds: after so long a stop becomes a kill.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: Path,
        command: Sequence[str | Path],
        ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        start_timeout_seconds: float = 300.0,
        stop_timeout_seconds: float = 120.0,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = [str(part) for part in command]
        self._ready = ready
        self._environment = None if environment is None else dict(environment)
        self._start_timeout_seconds = start_timeout_seconds
        self._stop_timeout_seconds = stop_timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The number of the present process.

        Raises:
            ConfigurationError: it is not running.
        """
        if self._process is None:
            raise ConfigurationError(f"{self.name} is not running: start() it first")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not been stopped."""
        return self._process is not None

    def start(self) -> None:
        """Start a process, and return when the server answers.

        Raises:
            ConfigurationError: it ended, or did not answer in time; the message quotes the end of its log.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        dies_with_us = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*dies_with_us, *self._command],
                cwd=self.log.parent,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        atexit.register(self.kill)
        give_up = time.monotonic() + self._start_timeout_seconds
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.kill()
                raise ConfigurationError(f"{self.name} did not start; its log {self.log} ends: {self.words()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to end by SIGTERM, kill it if it does not in time, and wait for its end. Stopping twice is no error."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it by SIGKILL, and wait for its end."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it in its tracks by SIGSTOP, and return when all its threads stand."""
        pause(self.pid)

    def go_on(self) -> None:
        """Let a paused one go on."""
        os.kill(self.pid, signal.SIGCONT)

    def words(self) -> str:
        """What it logged last."""
        return self.log.read_text(errors="replace")[-LOG_CHARACTERS:] if self.log.exists() else ""

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        atexit.unregister(self.kill)
        if process is None:
            return
        process.send_signal(number)
        if number is not signal.SIGKILL:
            process.send_signal(signal.SIGCONT)  # one that is paused could not end
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self._stop_timeout_seconds)
            return
        process.kill()
        process.wait()


class SingleServer:
    """A server that is one child with a folder of its own, gone with it. Every method blocks.

    Who derives from it gives ``folder`` and ``child`` their values.
    """

    folder: Path
    child: Child

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, or start it again with what it has stored.

        Raises:
            ConfigurationError: it does not start; the message quotes its log.
        """
        self.child.start()

    def stop(self) -> None:
        """Let it end in good order."""
        self.child.stop()

    def kill(self) -> None:
        """End it at once."""
        self.child.kill()

    def pause(self) -> None:
        """Stop it in its tracks."""
        self.child.pause()

    def go_on(self) -> None:
        """Let a paused one go on."""
        self.child.go_on()


def answers(port: int) -> bool:
    """Whether somebody accepts connections on a loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0):
            return True
    except OSError:
        return False


def installed(program: str) -> str:
    """Return the path of a program that a package manager installs, also where only administrators have it on their path.

    Raises:
        ConfigurationError: it is not there.
    """
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise ConfigurationError(f"there is no {program}: apt-get install {program}, or brew install {program}")
    return found
