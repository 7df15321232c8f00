"""Kafka as one process, broker and controller, with what it needs from Maven Central.

Its jars are fetched once, into the project's own folder ``.services``, and each server has data of its own. Java 17 or newer
and, for the first time, Maven must be there.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from goconductor.errors import ConfigurationError
from goconductor.testing.loopback import LOOPBACK, free_port
from tests.servers import versions
from tests.servers.child import Child, answers
from tests.servers.maven import fetch_jars, find_java

DEPENDENCY = f"""
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{versions.KAFKA}</version>
      <exclusions>
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>kafka-tools-api</artifactId></exclusion>
      </exclusions>
    </dependency>
"""
JAVA_OPTIONS = ("-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
KEYS_PASSWORD = "not a secret"

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "num.partitions": "1",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.assignment.interval.ms": "0",
    "log.cleaner.enable": "false",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "controller.quorum.election.timeout.ms": "500",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "2000",  # so long a broker that was killed cannot come back
    "controlled.shutdown.enable": "false",
}


class KafkaServer:
    """A Kafka of our own on loopback, gone with us.

    Args:
        folder: its data and log; None makes a temporary one, which is removed.
        users: passwords by user name: clients must then show one of them by SASL/PLAIN.
        tls: speak TLS, with a certificate that is made for this server.
        settings: further settings of the broker.

    Attributes:
        port: on loopback.
        certificate: the file of the certificate, for clients to trust; with TLS only.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        users: Mapping[str, str] | None = None,
        tls: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._given = folder
        self._users = dict(users or {})
        self._tls = tls
        self._extra = dict(settings or {})
        self._stack = contextlib.ExitStack()
        self._child: Child | None = None
        self._data = Path()
        self._formatting: list[str | Path] = []
        self.port = 0
        self.certificate: Path | None = None

    @property
    def url(self) -> str:
        """Where it is, as ``bus.url``."""
        return f"kafka://{LOOPBACK}:{self.port}"

    @property
    def child(self) -> Child:
        """Its process.

        Raises:
            ConfigurationError: it was never started.
        """
        if self._child is None:
            raise ConfigurationError("this Kafka was not started: use it as `with KafkaServer() as server`")
        return self._child

    def __enter__(self) -> Self:
        try:
            jars = fetch()
            folder = self._given or Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="goconductor-kafka-")))
            self._child = self._prepared(folder, jars)
            self._stack.callback(self._child.stop)
            self.start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def kill(self) -> None:
        """By SIGKILL, as a machine fails."""
        self.child.kill()

    def stop(self) -> None:
        """In order."""
        self.child.stop()

    def start(self) -> None:
        """Again, on the same port with the same data; with none, as another cluster."""
        child = self.child
        if not (self._data / "meta.properties").exists():
            cluster = f"K{base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]}"  # an option must not begin with "-"
            formatted = subprocess.run([*self._formatting, "-t", cluster], capture_output=True, text=True, check=False)
            if formatted.returncode:
                raise ConfigurationError(f"Kafka could not make its data folder: {formatted.stderr[-1000:]}")
        child.start()

    def forget(self) -> None:
        """Remove all data of a stopped broker, as if its disk were lost."""
        shutil.rmtree(self._data)

    def pause(self) -> None:
        """It holds its connections and answers nothing."""
        self.child.pause()

    def go_on(self) -> None:
        """After a pause."""
        self.child.go_on()

    def _prepared(self, folder: Path, jars: Path) -> Child:
        folder.mkdir(parents=True, exist_ok=True)
        self.port, controller = free_port(), free_port()
        properties = folder / "server.properties"
        self._data = folder / "data"
        settings = SETTINGS | self._listeners(controller) | {"log.dirs": str(self._data)} | self._extra
        if self._tls:
            settings |= self._certified(folder)
        properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        java = [find_java("kafka"), *JAVA_OPTIONS, "-cp", f"{jars}/*"]
        self._formatting = [*java, "kafka.tools.StorageTool", "format", "-c", properties]
        return Child(
            "kafka",
            folder=folder,
            command=[*java, "kafka.Kafka", properties],
            ready=lambda: answers(self.port),
            environment={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
        )

    def _listeners(self, controller: int) -> dict[str, str]:
        """Clients come by one listener, the broker itself by others, which want neither password nor TLS."""
        outer = ("SASL_" if self._users else "") + ("SSL" if self._tls else "PLAINTEXT")
        addresses = f"CLIENTS://{LOOPBACK}:{self.port},INNER://{LOOPBACK}:{free_port()}"
        settings = {
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
            "listeners": f"{addresses},CONTROLLER://{LOOPBACK}:{controller}",
            "advertised.listeners": addresses,
            "listener.security.protocol.map": f"CLIENTS:{outer},INNER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "INNER",
        }
        if self._users:
            users = " ".join(f'user_{user}="{password}"' for user, password in self._users.items())
            settings["sasl.enabled.mechanisms"] = "PLAIN"
            settings["listener.name.clients.plain.sasl.jaas.config"] = (
                f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
            )
        return settings

    def _certified(self, folder: Path) -> dict[str, str]:
        keys, self.certificate = folder / "keys.p12", folder / "certificate.pem"
        store = ["-alias", "kafka", "-keystore", str(keys), "-storetype", "PKCS12", "-storepass", KEYS_PASSWORD]
        made = ["-genkeypair", "-keyalg", "EC", "-validity", "2", "-dname", "CN=kafka", "-ext", f"san=ip:{LOOPBACK}"]
        for command in (made, ["-exportcert", "-rfc", "-file", str(self.certificate)]):
            done = subprocess.run(["keytool", *command, *store], capture_output=True, text=True, check=False)
            if done.returncode:
                raise ConfigurationError(f"a certificate could not be made: {done.stdout[-500:]}")
        return {"ssl.keystore.location": str(keys), "ssl.keystore.type": "PKCS12", "ssl.keystore.password": KEYS_PASSWORD}


def fetch() -> Path:
    """The folder of Kafka's jars; they are fetched if they are missing. Safe for several processes at once.

    Raises:
        ConfigurationError: Java or Maven is missing, or Maven Central cannot be reached.
    """
    return fetch_jars("kafka", versions.KAFKA, DEPENDENCY)
