"""A Kafka for the tests: the one at GOCONDUCTOR_TEST_KAFKA_URL; else one that we start; else one in a container."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from goconductor.errors import ConfigurationError
from goconductor.testing.servers import versions
from goconductor.testing.servers.child import LOOPBACK, free_port
from goconductor.testing.servers.kafka import SETTINGS, KafkaServer

URL_VARIABLE = "GOCONDUCTOR_TEST_KAFKA_URL"


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[str]:
    """The url of the broker that all tests share, each with topics and groups of its own."""
    if given := os.environ.get(URL_VARIABLE):
        yield given
        return
    with ExitStack() as stack:
        problems = []
        for start in (start_own, start_container):
            try:
                url = start(stack)
            except ConfigurationError as error:
                problems.append(f"  {error}")
            else:
                break
        else:
            pytest.fail("\n".join([f"There is no Kafka for the tests; set {URL_VARIABLE}, or:", *problems]), pytrace=False)
        yield url


@pytest.fixture
def kafka_to_break() -> Iterator[KafkaServer]:
    """A broker of this test's own, to be killed and started again."""
    with KafkaServer() as server:
        yield server


def start_own(stack: ExitStack) -> str:
    return stack.enter_context(KafkaServer()).url


def start_container(stack: ExitStack) -> str:
    asked = subprocess.run(["docker", "info"], capture_output=True, check=False) if shutil.which("docker") else None
    if asked is None or asked.returncode:
        raise ConfigurationError("no Docker engine answers")
    from testcontainers.core.container import DockerContainer

    port = free_port()
    settings = SETTINGS | {
        "controller.quorum.voters": f"1@{LOOPBACK}:9093",
        "listeners": f"CLIENTS://0.0.0.0:{port},CONTROLLER://{LOOPBACK}:9093",
        "advertised.listeners": f"CLIENTS://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENTS",
    }
    container = DockerContainer(versions.KAFKA_IMAGE).with_bind_ports(port, port)
    for name, value in settings.items():
        container.with_env(f"KAFKA_{name.replace('.', '_').upper()}", value)
    stack.enter_context(container)
    return f"kafka://{LOOPBACK}:{port}"
