"""The NATS server of the tests: the one at GOCONDUCTOR_TEST_NATS_URL, else the machine's own, else a container's."""

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
from goconductor.testing.servers.nats import NatsServer

URL_VARIABLE = "GOCONDUCTOR_TEST_NATS_URL"


@pytest.fixture(scope="session")
def nats_url() -> Iterator[str]:
    """A server that all tests share; who wants to break one takes ``nats_to_break``."""
    with ExitStack() as stack:
        yield os.environ.get(URL_VARIABLE) or start(stack)


@pytest.fixture
def nats_prefix() -> str:
    """Names that are this test's own, so that the server is empty for it."""
    return f"goconductor-test-{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def nats_to_break() -> Iterator[NatsServer]:
    """A server of our own, to be restarted or killed; each test leaves it running."""
    try:
        server = NatsServer()
    except ConfigurationError as error:
        pytest.fail(f"There is no NATS server that the tests may break: {error}", pytrace=False)
    with server:
        yield server


def start(stack: ExitStack) -> str:
    """The first kind that this machine can have."""
    try:
        return stack.enter_context(NatsServer()).url
    except ConfigurationError as error:
        problem = str(error)
    asked = subprocess.run(["docker", "info"], capture_output=True, check=False) if shutil.which("docker") else None
    if asked is None or asked.returncode:
        pytest.fail(f"There is no NATS for the tests; set {URL_VARIABLE}, or: {problem}; or start Docker", pytrace=False)
    from testcontainers.community.nats import NatsContainer

    return str(stack.enter_context(NatsContainer(versions.NATS_IMAGE).with_command("-js")).nats_uri())
