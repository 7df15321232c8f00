"""Schedules on a real PostgreSQL: a leader is killed between the start and its note, and two lead at once."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from goconductor import Saga, Schedules
from goconductor.control.sagas.starting import start_fire
from goconductor.engine.node import Node
from goconductor.errors import FencedError
from goconductor.ports.store import EVERYTHING
from goconductor.recovery.scheduling import Scheduling
from goconductor.schedules.schedule import read
from goconductor.stores.postgres import migrate
from tests.recovery.dying_leader import leader_node

pytestmark = pytest.mark.postgres


@pytest.fixture
async def node(postgres_url: str) -> AsyncIterator[Node]:
    await migrate(postgres_url)
    node = leader_node(postgres_url)
    await node.open()
    wait: Saga[Any, Any] = Saga("wait")
    wait.delay("1h", id="hour")
    await node.definitions.register(wait.definition)
    yield node
    await node.close()


async def make_due(node: Node) -> float:
    """A schedule whose time has come a second ago; return that time."""
    await Schedules(node).create("hourly", "wait", every_seconds=3600)
    row = await node.store.schedules.get("default", "hourly")
    assert row is not None
    kept = read(row.body)
    at = float(int(await node.store.terms.database_time()) - 1)
    kept = replace(kept, progress=replace(kept.progress, next_at=at))
    assert await node.store.schedules.replace(replace(row, tag=1, look_at=at, body=kept.written()), tag=row.tag)
    return at


async def fire(node: Node, name: str) -> None:
    term = await node.store.terms.raise_epoch(name, 600.0)
    assert term is not None
    await Scheduling(node, partial(start_fire, node), sagas_days=0.0).fire_once(term.epoch)


async def assert_started_once(node: Node, at: float) -> None:
    shown = await Schedules(node).show("hourly")
    assert [(fire.at.timestamp(), fire.status) for fire in shown.last_fires] == [(at, "waiting")]
    page = await node.store.sagas.heads(EVERYTHING, limit=10, seconds=600.0)
    assert [head.saga_id for head in page.heads] == [shown.last_fires[0].saga_id]


async def test_a_leader_that_is_killed_between_start_and_note_starts_nothing_twice(node: Node, postgres_url: str) -> None:
    at = await make_due(node)
    program = Path(__file__).parents[2]
    killed = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.recovery.dying_leader", postgres_url, cwd=program)
    assert await killed.wait() == -signal.SIGKILL
    page = await node.store.sagas.heads(EVERYTHING, limit=10, seconds=600.0)
    assert len(page.heads) == 1  # it was started
    assert (await Schedules(node).show("hourly")).last_fires == []  # and not noted
    await fire(node, "the next one")
    await assert_started_once(node, at)


async def test_of_many_leaders_at_once_each_finds_the_same_saga(node: Node, postgres_url: str) -> None:
    at = await make_due(node)
    other = leader_node(postgres_url)
    await other.open()
    try:
        done = await asyncio.gather(
            *(fire((node, other)[number % 2], f"leader {number}") for number in range(6)), return_exceptions=True
        )
        assert {type(each) for each in done} <= {type(None), FencedError}
        await fire(node, "the last one")
        await assert_started_once(node, at)
    finally:
        await other.close()
