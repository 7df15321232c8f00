"""kinesis-local: a server that speaks Kinesis, with parents and children on a reshard. It checks no credentials."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from goconductor.errors import ConfigurationError
from goconductor.testing.loopback import LOOPBACK, free_port
from tests.servers.child import Child, SingleServer, answers
from tests.servers.maven import alone
from tests.servers.versions import KINESIS, SERVICES

INSTALL = "apt-get install nodejs npm (Debian, Ubuntu), brew install node (macOS)"
FETCH_SECONDS = 300.0
ON_LOOPBACK = """\
// The server binds all interfaces, and has no setting for it.
const { Server } = require("net");
const listen = Server.prototype.listen;
Server.prototype.listen = function (first, ...rest) {
  if (typeof first === "object" && first !== null) return listen.call(this, { ...first, host: "127.0.0.1" }, ...rest);
  return listen.call(this, first, "127.0.0.1", ...rest.filter((each) => typeof each === "function"));
};
"""


class KinesisServer(SingleServer):
    """A single server on loopback. Every method blocks. It keeps its data in memory: a restart loses everything.

    Raises:
        ConfigurationError: Node.js or npm is missing, or the package could not be fetched.
    """

    def __init__(self) -> None:
        package, node = fetch(), find_node()
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="goconductor-kinesis-"))
        preload = self.folder / "loopback.cjs"
        preload.write_text(ON_LOOPBACK)
        durations = dict.fromkeys(("CREATE_STREAM", "DELETE_STREAM", "MERGE_SHARDS", "SPLIT_SHARD", "UPDATE_SHARD_COUNT"), "50ms")
        self.child = Child(
            "kinesis",
            folder=self.folder,
            command=[node, "--max-old-space-size=1024", "--require", preload, package / "main.js"],
            ready=lambda: answers(self.port),
            environment={
                "PATH": os.environ.get("PATH", ""),
                "KINESIS_MOCK_PLAIN_PORT": str(self.port),
                "KINESIS_MOCK_TLS_PORT": str(free_port()),
                "KINESIS_MOCK_CERT_PATH": str(package / "server.json"),
                "SHARD_LIMIT": "100000",
                "LOG_LEVEL": "ERROR",
                **{f"{name}_DURATION": duration for name, duration in durations.items()},
            },
        )

    @property
    def url(self) -> str:
        """Where it is; it takes any credentials."""
        return self.url_through(self.port)

    def url_through(self, port: int) -> str:
        """Where it is through a proxy."""
        return f"http://anybody:anything@{LOOPBACK}:{port}"


def fetch() -> Path:
    """The folder of the package; it is fetched if it is missing. Safe for several processes at once.

    Raises:
        ConfigurationError: Node.js or npm is missing, or the registry cannot be reached.
    """
    find_node()
    place = SERVICES / "kinesis-local" / KINESIS
    package = place / "node_modules" / "kinesis-local"
    if (place / "complete").exists():
        return package
    npm = shutil.which("npm")
    if npm is None:
        raise ConfigurationError(f"kinesis-local is fetched by npm, which is not installed: {INSTALL}")
    place.mkdir(parents=True, exist_ok=True)
    with alone(place / "lock"):
        if not (place / "complete").exists():
            command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(place), f"kinesis-local@{KINESIS}"]
            try:
                fetched = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS)
            except subprocess.TimeoutExpired:
                raise ConfigurationError(f"kinesis-local could not be fetched within {FETCH_SECONDS:g} s") from None
            if fetched.returncode:
                raise ConfigurationError(f"kinesis-local could not be fetched: {fetched.stderr[-1000:]}")
            (place / "complete").touch()
    return package


def find_node() -> str:
    """The program.

    Raises:
        ConfigurationError: there is none.
    """
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        raise ConfigurationError(f"kinesis-local needs Node.js, which is not installed: {INSTALL}")
    return node
