"""Fixtures for pytest, which finds them by an entry point. Where it loads no plugins, a ``conftest.py`` names them.

::

    pytest_plugins = ["goconductor.testing.fixtures"]

``world`` is a :class:`~goconductor.testing.world.World` of the test's own, closed after it; it needs an asynchronous test, by
pytest-asyncio or anyio. ``step_context`` makes contexts for steps that are called as functions. ``goconductor_postgres`` is a
PostgreSQL server for all tests, and ``goconductor_database_url`` a database of a test's own in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from goconductor.engine.steps.context import StepContext
from goconductor.testing import world as worlds
from goconductor.testing.postgres import PostgresServer
from goconductor.testing.world import World

try:
    from pytest_asyncio import fixture as async_fixture
except ImportError:  # pragma: no cover  (the tests have it; anyio runs plain ones)
    async_fixture: Any = pytest.fixture  # type: ignore[no-redef]


@async_fixture
async def world() -> AsyncIterator[World]:
    """Participants in memory, under a clock that jumps."""
    async with World() as made:
        yield made


@pytest.fixture
def step_context() -> Callable[..., StepContext]:
    """:func:`goconductor.testing.world.step_context`."""
    return worlds.step_context


@pytest.fixture(scope="session")
def goconductor_postgres() -> Iterator[PostgresServer]:
    """Provide a server that is started with the first test that asks for it, and gone after the last one."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def goconductor_database_url(goconductor_postgres: PostgresServer) -> Iterator[str]:
    """Provide an empty database; :func:`goconductor.app.migrate` makes its tables."""
    name = f"sagas_{uuid4().hex}"
    yield goconductor_postgres.create_database(name)
    goconductor_postgres.drop_database(name)
