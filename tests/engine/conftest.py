"""A world for each test, after which nothing may be held: whatever was cancelled, refused or lost, every place is free again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.testing.world import World


class Watched(World):
    """A world that remembers all its nodes, also those that have left."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[Node] = []

    async def node(self, registry: StepRegistry | None = None, **given: Any) -> Node:
        node = await super().node(registry, **given)
        self.opened.append(node)
        return node


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with Watched() as world:
        yield world
    held = {node.name: places for node in world.opened if (places := node.metrics()["steps_running"])}
    assert held == {}
