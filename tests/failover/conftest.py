"""Clusters of Patroni for tests/failover, which `make test-all` runs alone: each of its tests takes a minute or two.

A cluster is driven by one thread of its own, as the kernel kills servers with the thread that has started them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeVar

import pytest

from tests.servers.haproxy import HaproxyServer
from tests.servers.patroni import Cluster
from tests.servers.pgbouncer import PgbouncerServer

T = TypeVar("T")
VARIABLE = "GOCONDUCTOR_TEST_FAILOVER"


@dataclass(frozen=True)
class Driven:
    """A cluster with its HAProxy and pgbouncer, and the thread that drives it."""

    cluster: Cluster
    haproxy: HaproxyServer
    pgbouncer: PgbouncerServer
    thread: ThreadPoolExecutor

    async def do(self, call: Callable[[], T]) -> T:
        """Let its thread do something, and wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, call)

    def url(self, way: str, database: str) -> str:
        """Return the DSN of a way to it: ``hosts``, ``haproxy`` or ``pgbouncer``."""
        ports = {"hosts": None, "haproxy": self.haproxy.port, "pgbouncer": self.pgbouncer.port}
        return self.cluster.url(database, port=ports[way])


@pytest.fixture(scope="session")
def driven(request: pytest.FixtureRequest) -> Iterator[Driven]:
    """A cluster, synchronous or not, that the tests of its kind share. Each finds it whole."""
    with ExitStack() as stack:
        thread = stack.enter_context(ThreadPoolExecutor(1, "cluster"))
        inside = ExitStack()
        stack.callback(lambda: thread.submit(inside.close).result())
        yield thread.submit(_start, bool(request.param), inside, thread).result()


def _start(synchronous: bool, stack: ExitStack, thread: ThreadPoolExecutor) -> Driven:
    cluster = stack.enter_context(Cluster(synchronous=synchronous))
    haproxy = HaproxyServer(cluster.folder / "haproxy", cluster.members)
    stack.callback(haproxy.kill)
    haproxy.start()
    pgbouncer = PgbouncerServer(cluster.folder / "pgbouncer", haproxy.port)
    stack.callback(pgbouncer.kill)
    pgbouncer.start()
    return Driven(cluster, haproxy, pgbouncer, thread)


@pytest.fixture
def database() -> str:
    """The name of a database that is this test's own."""
    return f"failover_{secrets.token_hex(4)}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave them out, and say so, unless they are asked for."""
    if not os.environ.get(VARIABLE):
        skip = pytest.mark.skip(f"no failover of a real Patroni was tried: make test-all does it, or {VARIABLE}=1")
        for item in items:
            if "/failover/" in item.nodeid:
                item.add_marker(skip)
