"""A NATS server of one's own, with JetStream."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from goconductor.errors import ConfigurationError
from goconductor.testing.loopback import LOOPBACK, free_port
from tests.servers.child import Child, SingleServer, answers
from tests.servers.versions import NATS, SERVICES

REMEDY = (
    f"GOBIN=$PWD/.services/nats/{NATS} go install github.com/nats-io/nats-server/v2@v{NATS}, "
    "apt-get install nats-server (Debian, Ubuntu), or brew install nats-server (macOS)"
)
RELOAD_SECONDS = 300.0


class NatsServer(SingleServer):
    """A single server on loopback. Every method blocks.

    Args:
        user: the first user's name.
        password: the first user's password; a random one if None.

    Raises:
        ConfigurationError: no NATS server is installed.
    """

    def __init__(self, *, user: str = "goconductor", password: str | None = None) -> None:
        self.port = free_port()
        self._user, self._password = user, password or secrets.token_hex(8)
        self._users = {self._user: self._password}
        self.folder = Path(tempfile.mkdtemp(prefix="goconductor-nats-"))
        self._configuration = self.folder / "nats.conf"
        self.child = Child(
            "nats",
            folder=self.folder,
            command=[find_program(), "-c", self._configuration],
            ready=lambda: answers(self.port),
        )

    @property
    def url(self) -> str:
        """Where the first user connects."""
        return self.url_of(self._user, self._password)

    def url_of(self, user: str, password: str, *, port: int | None = None) -> str:
        """Where somebody connects, perhaps through a proxy."""
        return f"nats://{quote(user)}:{quote(password)}@{LOOPBACK}:{port or self.port}"

    def url_through(self, port: int) -> str:
        """Where the first user connects through a proxy."""
        return self.url_of(self._user, self._password, port=port)

    def start(self) -> None:
        self._write_configuration()
        super().start()

    def forget(self) -> None:
        """Remove all data of a stopped server, as if its disk were lost."""
        shutil.rmtree(self.folder / "data")

    def add_user(self, user: str, password: str) -> None:
        """Let somebody in."""
        self._users[user] = password
        self._reload()

    def remove_user(self, user: str) -> None:
        """Let somebody in no more; the server ends their connections."""
        self._users.pop(user, None)
        self._reload()

    def _reload(self) -> None:
        """Tell it of the new users, and wait until it has taken them in: it reads its configuration when it gets to it."""
        self._write_configuration()
        before = self._reloads()
        os.kill(self.child.pid, signal.SIGHUP)
        give_up = time.monotonic() + RELOAD_SECONDS
        while self._reloads() == before:
            if time.monotonic() > give_up:
                raise ConfigurationError(f"NATS did not read its configuration again; its log ends: {self.child.words()}")
            time.sleep(0.01)

    def _reloads(self) -> int:
        return self.child.log.read_bytes().count(b"Reloaded server configuration")

    def _write_configuration(self) -> None:
        configuration = {
            "host": LOOPBACK,
            "port": self.port,
            "jetstream": {"store_dir": str(self.folder / "data")},
            "authorization": {"users": [{"user": user, "password": password} for user, password in self._users.items()]},
        }
        written = self._configuration.with_suffix(".new")
        written.write_text(json.dumps(configuration))
        written.replace(self._configuration)


def find_program() -> Path:
    """The pinned version that ``make servers`` built, else the one on the PATH.

    Raises:
        ConfigurationError: there is none.
    """
    if (built := SERVICES / "nats" / NATS / "nats-server").exists():
        return built
    if program := shutil.which("nats-server"):
        return Path(program)
    raise ConfigurationError(f"no NATS server is installed: {REMEDY}")
