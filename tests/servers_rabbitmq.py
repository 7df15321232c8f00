"""The RabbitMQ of the tests: the one at GOCONDUCTOR_TEST_RABBITMQ_URL, else the machine's own, else a container's."""

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
from goconductor.testing.servers.rabbitmq import RabbitmqServer

URL_VARIABLE = "GOCONDUCTOR_TEST_RABBITMQ_URL"


@pytest.fixture(scope="session")
def rabbitmq_url() -> Iterator[str]:
    """A broker that all tests share; who wants to break one takes ``rabbitmq_to_break``."""
    with ExitStack() as stack:
        yield os.environ.get(URL_VARIABLE) or start(stack)


@pytest.fixture
def rabbitmq_prefix() -> str:
    """Names that are this test's own, so that the broker is empty for it."""
    return f"goconductor.test-{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def rabbitmq_to_break() -> Iterator[RabbitmqServer]:
    """A server of our own, to be restarted or killed; each test leaves it running."""
    try:
        server = RabbitmqServer()
    except ConfigurationError as error:
        pytest.fail(f"There is no RabbitMQ that the tests may break: {error}", pytrace=False)
    with server:
        yield server


def start(stack: ExitStack) -> str:
    """The first kind that this machine can have."""
    try:
        return stack.enter_context(RabbitmqServer()).url
    except ConfigurationError as error:
        problem = str(error)
    asked = subprocess.run(["docker", "info"], capture_output=True, check=False) if shutil.which("docker") else None
    if asked is None or asked.returncode:
        pytest.fail(f"There is no RabbitMQ for the tests; set {URL_VARIABLE}, or: {problem}; or start Docker", pytrace=False)
    from testcontainers.community.rabbitmq import RabbitMqContainer

    container = stack.enter_context(RabbitMqContainer(versions.RABBITMQ_IMAGE))
    return f"amqp://guest:guest@{container.get_container_host_ip()}:{container.get_exposed_port(5672)}/"
