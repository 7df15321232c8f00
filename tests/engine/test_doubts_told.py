"""Of a definition that can run and is hardly meant a process tells in its log, or refuses it, whoever registers it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from goconductor import DefinitionError, Saga, Settings
from goconductor.control.actor import ANYBODY
from goconductor.control.definitions import versions
from goconductor.control.doors.conductor import Conductor
from goconductor.control.flows import editing
from goconductor.engine.node import Node
from goconductor.engine.observer import Observer
from goconductor.nodes import make_node
from goconductor.testing.world import World

LEFT = "what step 'reserve' does stays where the saga turns back, as nothing undoes it"


def order() -> Saga[Any]:
    saga: Saga[Any] = Saga("order")
    reserve = saga.step("stock.reserve", compensation=False)
    saga.step("payments.charge", after=[reserve], pivot=True)
    return saga


async def flow(node: Node) -> None:
    for step in (
        {"id": "reserve", "run": "stock.reserve", "compensation": False},
        {"id": "charge", "run": "payments.charge", "after": ["reserve"]},
    ):
        await editing.create_step(ANYBODY, node, "order", step)


async def test_a_saga_that_code_starts_is_told_of_once_in_a_process(world: World, caplog: pytest.LogCaptureFixture) -> None:
    node = await world.node()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            await Conductor(node).start(order(), None)
            await versions.register(ANYBODY, node, order().definition)
    assert [record.message.partition("; ")[0] for record in caplog.records] == [f"saga 'order': {LEFT}"]


async def test_it_is_told_once_of_many_first_starts_at_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Each comes here before the first is stored, which a database takes its time for."""
    node = await world.node()
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            node.definitions.judge(order().definition)
        await Conductor(node).start(order(), None)
    assert [record.message.partition("; ")[0] for record in caplog.records] == [f"saga 'order': {LEFT}"]


async def test_it_is_told_where_the_version_was_only_read_before(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await versions.register(ANYBODY, await world.node(), order().definition)
    node = await world.node()
    await node.definitions.plan("order")
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        await versions.register(ANYBODY, node, order().definition)
    assert [record.message.partition("; ")[0] for record in caplog.records] == [f"saga 'order': {LEFT}"]


async def test_an_edit_of_a_flow_is_told_of(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await flow(await world.node())
    assert [record.message.partition("; ")[0] for record in caplog.records] == [f"saga 'order': {LEFT}"]


async def test_a_strict_process_registers_no_such_thing(world: World) -> None:
    node, told = await world.node(), rf"cannot be registered, as definitions\.strict is set:\n  1\. {LEFT}"
    node.definitions.strict = True
    for asked in (
        lambda: Conductor(node).start(order(), None),
        lambda: versions.register(ANYBODY, node, order().definition),
        lambda: flow(node),
    ):
        with pytest.raises(DefinitionError, match=told):
            await asked()
    registered = await node.store.definitions.versions("default")
    assert [(each.saga, b"charge" in each.document) for each in registered] == [("order", False)]  # the flow's first step


async def test_what_was_registered_before_runs_on_in_a_strict_process(world: World) -> None:
    await versions.register(ANYBODY, await world.node(), order().definition)
    strict = await world.node()
    strict.definitions.strict = True
    await Conductor(strict).start("order", None)


def test_the_setting_reaches_the_engine() -> None:
    for strict in (False, True):
        settings = Settings.model_validate({"database": {"url": "postgresql://host/sagas"}, "definitions": {"strict": strict}})
        node = make_node(settings, None, "client", Observer(), recovers=False)
        assert node.definitions.strict is strict
