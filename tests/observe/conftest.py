"""A world with two services that are observed, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from goconductor.testing.world import World
from tests.observe.services import Services


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    async with World() as world:
        yield Services(world)
