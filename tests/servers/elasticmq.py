"""ElasticMQ: a server that speaks SQS, and keeps its queues and messages on the disk. It checks no credentials."""

from __future__ import annotations

import tempfile
from pathlib import Path

from goconductor.testing.loopback import LOOPBACK, free_port
from tests.servers import versions
from tests.servers.child import Child, SingleServer, answers
from tests.servers.maven import fetch_jars, find_java

DEPENDENCY = f"""
    <dependency>
      <groupId>org.elasticmq</groupId>
      <artifactId>elasticmq-server_2.13</artifactId>
      <version>{versions.ELASTICMQ}</version>
    </dependency>
"""
JAVA_OPTIONS = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")

CONFIGURATION = """\
include classpath("application.conf")
node-address {{ protocol = http, host = "{host}", port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-hostname = "{host}", bind-port = {port}, sqs-limits = strict }}
rest-stats {{ enabled = false }}
messages-storage {{ enabled = {durable}, uri = "jdbc:h2:file:{folder}/messages;WRITE_DELAY=0", prune-data-on-init = false }}
queues-storage {{ enabled = false }}
"""


class ElasticmqServer(SingleServer):
    """A single server on loopback. Every method blocks.

    Args:
        durable: keep what it has over a restart.

    Raises:
        ConfigurationError: Java is missing, or the jars could not be fetched.
    """

    def __init__(self, *, durable: bool = False) -> None:
        jars, java = fetch(), find_java("elasticmq")
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="goconductor-elasticmq-"))
        configuration = self.folder / "elasticmq.conf"
        configuration.write_text(
            CONFIGURATION.format(host=LOOPBACK, port=self.port, folder=self.folder, durable=str(durable).lower())
        )
        self.child = Child(
            "elasticmq",
            folder=self.folder,
            command=[java, *JAVA_OPTIONS, f"-Dconfig.file={configuration}", "-cp", f"{jars}/*", "org.elasticmq.server.Main"],
            ready=lambda: answers(self.port),
        )

    @property
    def url(self) -> str:
        """Where it is; it takes any credentials."""
        return self.url_through(self.port)

    def url_through(self, port: int) -> str:
        """Where it is through a proxy."""
        return f"http://anybody:anything@{LOOPBACK}:{port}"


def fetch() -> Path:
    """The folder of its jars; they are fetched if they are missing. Safe for several processes at once.

    Raises:
        ConfigurationError: Java or Maven is missing, or Maven Central cannot be reached.
    """
    return fetch_jars("elasticmq", versions.ELASTICMQ, DEPENDENCY)
