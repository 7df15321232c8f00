"""A ZooKeeper on loopback: its jars, run by java. GOCONDUCTOR_TEST_ZOOKEEPER_CLASSPATH names others than the machine's."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from goconductor.errors import ConfigurationError
from goconductor.testing.loopback import LOOPBACK, free_port
from tests.servers.child import Child

CLASSPATH_VARIABLE = "GOCONDUCTOR_TEST_ZOOKEEPER_CLASSPATH"
JARS = [Path("/usr/share/java") / f"{jar}.jar" for jar in ("zookeeper", "slf4j-simple", "netty-codec", "netty-resolver")]
"""Debian's; the first one names most of what it needs itself, but not what it needs for TLS."""
JAVA = ("-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class ZooKeeperServer(Child):
    """A ZooKeeper that we start and stop; a restart finds its data and its port again.

    Args:
        folder: its own, for settings, data and log.
        tls: the server's certificate with its key, and the authority, as PEM files; ``tls_port`` is then served as well, and
            clients must show a certificate there.
        session_seconds_min: the shortest session that it grants.
    """

    def __init__(self, folder: Path, *, tls: tuple[Path, Path] | None = None, session_seconds_min: float = 1.0) -> None:
        self.port = free_port()
        self.tls_port = free_port() if tls else 0
        self.host = f"{LOOPBACK}:{self.port}"
        self._data = folder / "data"
        settings = {
            "dataDir": str(self._data),
            "clientPort": str(self.port),
            "clientPortAddress": LOOPBACK,
            "tickTime": "250",
            "minSessionTimeout": str(int(session_seconds_min * 1000)),
            "maxSessionTimeout": "60000",
            "admin.enableServer": "false",
            "4lw.commands.whitelist": "srvr",
        }
        if tls:
            settings |= {
                "serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory",
                "secureClientPort": str(self.tls_port),
                "secureClientPortAddress": LOOPBACK,
                "ssl.keyStore.location": str(tls[0]),
                "ssl.trustStore.location": str(tls[1]),
            }
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / "zoo.cfg"
        written.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        command = [_java(), *JAVA, "-cp", _classpath(), "org.apache.zookeeper.server.ZooKeeperServerMain", str(written)]
        super().__init__("zookeeper", folder=folder, command=command, ready=self._serves)

    def forget(self) -> None:
        """Remove all data of a stopped server, as if its disk were lost: transactions begin again at 1."""
        shutil.rmtree(self._data)

    def _serves(self) -> bool:
        """Ask it for its state, with a bound: a server that is just starting may take the question and never answer."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1.0) as asked:
                asked.sendall(b"srvr")
                return b"Mode:" in b"".join(iter(lambda: asked.recv(4096), b""))
        except OSError:
            return False


def _java() -> str:
    found = shutil.which("java")
    if found is None:
        raise ConfigurationError("ZooKeeper needs java: apt-get install default-jre-headless, or brew install openjdk")
    return found


def _classpath() -> str:
    given = os.environ.get(CLASSPATH_VARIABLE)
    if given:
        return given
    if not all(jar.exists() for jar in JARS):
        raise ConfigurationError(
            f"there is no ZooKeeper: apt-get install libzookeeper-java, or set {CLASSPATH_VARIABLE} to its jars"
        )
    return ":".join(map(str, JARS))
