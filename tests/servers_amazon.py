"""Servers that speak Amazon's services: the one at GOCONDUCTOR_TEST_SQS_URL, else the machine's own, else a container's."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from goconductor.errors import ConfigurationError
from goconductor.testing.servers import versions
from goconductor.testing.servers.elasticmq import ElasticmqServer
from goconductor.testing.servers.kinesis import KinesisServer

SQS_VARIABLE = "GOCONDUCTOR_TEST_SQS_URL"
KINESIS_VARIABLE = "GOCONDUCTOR_TEST_KINESIS_URL"


@pytest.fixture(scope="session")
def sqs_url() -> Iterator[str]:
    """A server that all tests share; who wants to break one takes ``sqs_to_break``."""
    with ExitStack() as stack:
        yield os.environ.get(SQS_VARIABLE) or start_sqs(stack)


@pytest.fixture
def amazon_prefix() -> str:
    """Names that are this test's own, so that the server is empty for it."""
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def sqs_to_break() -> Iterator[ElasticmqServer]:
    """A server of our own that keeps its messages on the disk, to be restarted or killed; each test leaves it running."""
    try:
        server = ElasticmqServer(durable=True)
    except ConfigurationError as error:
        pytest.fail(f"There is no SQS server that the tests may break: {error}", pytrace=False)
    with server:
        yield server


@pytest.fixture(scope="session")
def kinesis_to_break() -> Iterator[KinesisServer]:
    """A server of our own, to be restarted or killed; each test leaves it running."""
    try:
        server = KinesisServer()
    except ConfigurationError as error:
        pytest.fail(f"There is no Kinesis server that the tests may break: {error}", pytrace=False)
    with server:
        yield server


@pytest.fixture(scope="session")
def kinesis_url() -> Iterator[str]:
    """A server that all tests share; who wants to break one takes ``kinesis_to_break``."""
    with ExitStack() as stack:
        yield os.environ.get(KINESIS_VARIABLE) or start_kinesis(stack)


def start_kinesis(stack: ExitStack) -> str:
    """The one that npm brings."""
    try:
        return stack.enter_context(KinesisServer()).url
    except ConfigurationError as error:
        pytest.fail(f"There is no Kinesis for the tests; set {KINESIS_VARIABLE}, or: {error}", pytrace=False)


def docker_answers() -> bool:
    """Whether there is an engine: the command alone proves nothing."""
    return bool(shutil.which("docker")) and not subprocess.run(["docker", "info"], capture_output=True, check=False).returncode


def start_sqs(stack: ExitStack) -> str:
    """The first kind that this machine can have."""
    try:
        return stack.enter_context(ElasticmqServer()).url
    except ConfigurationError as error:
        problem = str(error)
    if not docker_answers():
        pytest.fail(f"There is no SQS for the tests; set {SQS_VARIABLE}, or: {problem}; or start Docker", pytrace=False)
    from testcontainers.core.container import DockerContainer

    container = DockerContainer(f"softwaremill/elasticmq-native:{versions.ELASTICMQ}").with_exposed_ports(9324)
    started = stack.enter_context(container)
    return f"http://anybody:anything@{started.get_container_host_ip()}:{started.get_exposed_port(9324)}"
