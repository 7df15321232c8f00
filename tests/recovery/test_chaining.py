"""The leader chains the audit log: each row once, whoever leads, and also those that commit late."""

from __future__ import annotations

import asyncpg
import pytest

from goconductor.control.actor import ANYBODY
from goconductor.control.audit.reading import verify
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import FencedError
from goconductor.ports.store import Link, Note
from goconductor.ports.store.leading.audit import BEGINNING, link
from goconductor.recovery.chaining import Chaining
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.contracts.store.material import lead
from goconductor.testing.world import World

LATE = """
    INSERT INTO goconductor.audit (namespace, actor, roles, means, door, address, function, object, detail, request_id, outcome,
        problem, left_out) VALUES ('default', 'late', '', '', 'rest', '', 'f', '', '', '', 'done', '', 0) RETURNING id
"""


@pytest.fixture
async def node(world: World) -> Node:
    return await world.node(StepRegistry("leader"))


async def write(node: Node, *names: str) -> None:
    for name in names:
        await node.store.audit.write(Note(actor=name))


async def placed(node: Node) -> list[tuple[int | None, str]]:
    return [(row.seq, row.note.actor) for row in await node.store.audit.placed(after=0, limit=100)]


async def test_rows_are_chained_in_portions_from_the_head_on(node: Node) -> None:
    epoch = await lead(node.store)
    chaining = Chaining(node, limit=2)
    await write(node, "a", "b", "c")
    assert [await chaining.chain_once(epoch) for _ in range(3)] == [2, 1, 0]
    await write(node, "d")
    assert await chaining.chain_once(epoch) == 1
    assert await placed(node) == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]
    assert (await verify(ANYBODY, node)).sound


async def test_a_leader_of_the_past_chains_nothing(node: Node) -> None:
    epoch = await lead(node.store)
    await write(node, "a")
    await lead(node.store)
    with pytest.raises(FencedError):
        await Chaining(node).chain_once(epoch)
    assert await placed(node) == []


async def test_what_another_leader_has_chained_meanwhile_stays(node: Node) -> None:
    epoch = await lead(node.store)
    await write(node, "a", "b")
    one, other = await node.store.audit.unplaced(limit=2)
    hash = link(BEGINNING, 1, one)
    stale = [Link(id=one.id, seq=1, hash=hash), Link(id=other.id, seq=2, hash=link(hash, 2, other))]
    await Chaining(node).chain_once(epoch)
    await node.store.audit.place(stale, epoch=epoch)  # its answer was lost, and the server comes to it only now
    assert await placed(node) == [(1, "a"), (2, "b")]
    assert (await verify(ANYBODY, node)).sound


@pytest.mark.postgres
async def test_a_row_that_commits_late_is_chained_then(node: Node, postgres_url: str) -> None:
    await migrate(postgres_url)
    node.store = store = PostgresStore(postgres_url)
    await store.open()
    late = await asyncpg.connect(postgres_url, ssl=False)
    try:
        epoch = await lead(store)
        transaction = late.transaction()
        await transaction.start()
        number = await late.fetchval(LATE)
        await write(node, "soon")
        assert (await store.audit.unplaced(limit=1))[0].id > number
        await Chaining(node).chain_once(epoch)
        assert await placed(node) == [(1, "soon")]
        await transaction.commit()
        await Chaining(node).chain_once(epoch)
        assert await placed(node) == [(1, "soon"), (2, "late")]
        assert (await verify(ANYBODY, node)).sound
    finally:
        await late.close()
        await store.close()
