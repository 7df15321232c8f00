"""The etcd and the ZooKeeper of the tests, in this order: the one that a variable names, the machine's own, a container."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from goconductor.errors import ConfigurationError
from goconductor.testing.servers import versions
from goconductor.testing.servers.child import Child
from goconductor.testing.servers.etcd import EtcdServer
from goconductor.testing.servers.zookeeper import ZooKeeperServer

Started = TypeVar("Started", bound=Child)
ETCD_VARIABLE = "GOCONDUCTOR_TEST_ETCD_URL"
ZOOKEEPER_VARIABLE = "GOCONDUCTOR_TEST_ZOOKEEPER_URL"


@pytest.fixture(scope="session")
def etcd_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An etcd that all tests share; who wants to break one takes ``etcd_to_break``."""
    with ExitStack() as stack:
        yield os.environ.get(ETCD_VARIABLE) or _etcd(tmp_path_factory.mktemp("etcd"), stack)


@pytest.fixture(scope="session")
def zookeeper_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A ZooKeeper that all tests share; who wants to break one takes ``zookeeper_to_break``."""
    with ExitStack() as stack:
        yield os.environ.get(ZOOKEEPER_VARIABLE) or _zookeeper(tmp_path_factory.mktemp("zookeeper"), stack)


@pytest.fixture
def etcd_to_break(tmp_path: Path) -> Iterator[EtcdServer]:
    """An etcd of this test's own."""
    with ExitStack() as stack:
        yield _started(lambda: EtcdServer(tmp_path / "etcd"), stack)


@pytest.fixture
def zookeeper_to_break(tmp_path: Path) -> Iterator[ZooKeeperServer]:
    """A ZooKeeper of this test's own."""
    with ExitStack() as stack:
        yield _started(lambda: ZooKeeperServer(tmp_path / "zookeeper"), stack)


def _started(make: Callable[[], Started], stack: ExitStack) -> Started:
    try:
        server = make()
    except ConfigurationError as error:
        pytest.fail(str(error), pytrace=False)
    server.start()
    stack.callback(server.stop)
    return server


def _etcd(folder: Path, stack: ExitStack) -> str:
    try:
        server = EtcdServer(folder)
    except ConfigurationError as error:
        command = "etcd --listen-client-urls=http://0.0.0.0:2379 --advertise-client-urls=http://0.0.0.0:2379"
        return f"http://{_container(versions.ETCD_IMAGE, command, 2379, f'{error}, or {ETCD_VARIABLE}', stack)}"
    server.start()
    stack.callback(server.stop)
    return server.endpoint


def _zookeeper(folder: Path, stack: ExitStack) -> str:
    try:
        server = ZooKeeperServer(folder)
    except ConfigurationError as error:
        return _container(versions.ZOOKEEPER_IMAGE, None, 2181, f"{error}, or {ZOOKEEPER_VARIABLE}", stack)
    server.start()
    stack.callback(server.stop)
    return server.host


def _container(image: str, command: str | None, port: int, problem: str, stack: ExitStack) -> str:
    """Host and port of a server in a container, if a Docker engine answers: the command alone proves nothing."""
    asked = subprocess.run(["docker", "info"], capture_output=True, check=False) if shutil.which("docker") else None
    if asked is None or asked.returncode:
        pytest.fail(f"{problem}; and no Docker engine answers", pytrace=False)
    from testcontainers.core.container import DockerContainer

    container = DockerContainer(image).with_exposed_ports(port)
    running = stack.enter_context(container.with_command(command) if command else container)
    return f"{running.get_container_host_ip()}:{running.get_exposed_port(port)}"
