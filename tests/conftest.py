"""Real servers for the tests, and the count of contract tests that every leaf has passed.

The PostgreSQL is, in this order: the one at GOCONDUCTOR_TEST_POSTGRES_URL; the machine's own binaries, started by us; a
container, where a Docker engine answers; the embedded one. ``--postgres`` chooses one of them. Without any, the tests that
need it fail and say what to install: nothing real is skipped silently.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import settings

from goconductor.builds import build
from goconductor.errors import ConfigurationError
from goconductor.testing.loopback import free_port
from goconductor.testing.postgres import PostgresAddress, PostgresServer
from tests.servers import versions

pytest.register_assert_rewrite("goconductor.testing.contracts", "tests.contracts", "tests.acceptance", "tests.engine")
settings.register_profile("goconductor", deadline=None)  # a busy machine is slow, and nothing is wrong with the code
settings.register_profile("landing", deadline=None, derandomize=True, database=None)  # what CI finds, it finds at each try
settings.load_profile("goconductor")
pytest_plugins = [
    "tests.servers.fixtures.kafka",
    "tests.servers.fixtures.rabbitmq",
    "tests.servers.fixtures.nats",
    "tests.servers.fixtures.amazon",
    "tests.servers.fixtures.election",
    "tests.servers.fixtures.primaries",
    "tests.servers.fixtures.pooler",
    "tests.contracts.patient_store",
]

URL_VARIABLE = "GOCONDUCTOR_TEST_POSTGRES_URL"
LONGEST = ("tests/acceptance/", "tests/examples/", "tests/contracts/", "tests/docs/")
SETTINGS = {"max_connections": "200", "track_commit_timestamp": "on"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our options."""
    group = parser.getgroup("goconductor")
    choices = ("auto", "system", "container", "embedded")
    group.addoption("--postgres", choices=choices, default="auto", help="which PostgreSQL the tests use")
    group.addoption("--per-leaf", action="store_true", help="fail unless every leaf passed its whole contract suite")


class Failures:
    """Names what fails at once, so that a long run that is cut off has named it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write one line; in a process that runs tests for another one nobody would read it."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None or hasattr(self._config, "workerinput"):
            return
        if report.failed:
            terminal.write_line(f" {report.nodeid} failed ({report.when})")
        elif str(report.outcome) == "rerun":
            terminal.write_line(f" {report.nodeid} failed ({report.when}) and is tried again")


def pytest_configure(config: pytest.Config) -> None:
    """Name failures at once, and count per leaf, if that is wanted."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # by a shell that runs us in the background; our children would too
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(Failures(config), "failures")
    if config.getoption("--per-leaf"):
        from tests.per_leaf import PerLeaf

        config.pluginmanager.register(PerLeaf(), "per-leaf")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes, so that several processes end at about the same time."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    if build().compiled:
        for item in items:
            if (mark := item.get_closest_marker("pure")) is not None:
                item.add_marker(pytest.mark.skip(reason=f"left out of a compiled build: {mark.args[0]}"))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Let a report cross between processes whatever a test has written: lone surrogates cannot be sent as UTF-8."""
    return _sendable((yield))


def _sendable(data: Any) -> Any:
    match data:
        case str():
            return data.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {_sendable(key): _sendable(value) for key, value in data.items()}
        case list() | tuple():
            return type(data)(map(_sendable, data))
    return data


@pytest.fixture
def unused_tcp_port() -> int:
    """The plugin's own would be one that an outgoing connection may have by then."""
    return free_port()


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[PostgresAddress]:
    """The server that all tests share; who wants to break one takes ``postgres_to_break``."""
    choice = request.config.getoption("--postgres")
    given = os.environ.get(URL_VARIABLE)
    with ExitStack() as stack:
        if choice == "auto" and given:
            yield PostgresAddress(given)
        else:
            yield start_postgres(("system", "container", "embedded") if choice == "auto" else (choice,), stack)


@pytest.fixture
def postgres_url(postgres_server: PostgresAddress) -> Iterator[str]:
    """The DSN of an empty database, which is this test's own and goes with it."""
    name = f"test_{secrets.token_hex(6)}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.fixture
def postgres_to_break(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A server of this test's own, to be restarted or killed."""
    choice = request.config.getoption("--postgres")
    with ExitStack() as stack:
        server = start_postgres(("embedded",) if choice == "embedded" else ("system", "embedded"), stack)
        assert isinstance(server, PostgresServer)
        yield server


def start_postgres(kinds: tuple[str, ...], stack: ExitStack) -> PostgresAddress:
    """The first of these kinds that this machine can have."""
    problems = []
    for kind in kinds:
        try:
            match kind:
                case "container":
                    return start_container(stack)
                case "system" | "embedded":
                    return stack.enter_context(PostgresServer(kind, settings=SETTINGS))
        except ConfigurationError as error:
            problems.append(f"  {kind}: {error}")
    pytest.fail("\n".join([f"There is no PostgreSQL for the tests; set {URL_VARIABLE}, or:", *problems]), pytrace=False)


def start_container(stack: ExitStack) -> PostgresAddress:
    """A PostgreSQL in a container, if a Docker engine answers: the command alone proves nothing."""
    asked = subprocess.run(["docker", "info"], capture_output=True, check=False) if shutil.which("docker") else None
    if asked is None or asked.returncode:
        raise ConfigurationError("no Docker engine answers")
    from testcontainers.community.postgres import PostgresContainer

    return PostgresAddress(stack.enter_context(PostgresContainer(versions.POSTGRES_IMAGE, driver=None)).get_connection_url())
