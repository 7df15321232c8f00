"""Which version a start by name takes, through a rolling deployment and back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from goconductor import Saga
from goconductor.control.actor import ANYBODY
from goconductor.control.definitions import versions
from goconductor.control.doors.conductor import Conductor
from goconductor.engine.facts import registration
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import RequestRefusedError
from goconductor.messages import codec
from goconductor.saga.definition import Step
from goconductor.saga.features import KNOWN, USES
from goconductor.testing.world import World


def order(version: int) -> Saga[Any]:
    saga: Saga[Any] = Saga("order")
    saga.step("shop.pack", inputs={"version": version})
    return saga


def shop() -> StepRegistry:
    registry = StepRegistry("shop")

    @registry.step
    async def pack(version: int) -> int:
        return version

    return registry


async def deployed(world: World, version: int) -> Node:
    """An instance with this version in its code, which has used it once."""
    node = await world.node(shop())
    await Conductor(node).start(order(version), None)
    return node


async def taken(world: World, node: Node) -> int:
    """Which version a start by name takes."""
    handle = await Conductor(node).start("order", None)
    output: int = (await world.end_of(handle.saga_id)).outputs()["pack"]
    return output


async def test_a_deployment_switches_and_an_old_instance_that_restarts_does_not_turn_it_back(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    asking = await world.node()
    old = await deployed(world, 1)
    await world.clock.advance(1)
    assert await taken(world, asking) == 1
    with caplog.at_level(logging.INFO, "goconductor"):
        new = await deployed(world, 2)
        await world.clock.advance(1)
        assert await taken(world, asking) == 2
        await world.leave(old)
        old = await deployed(world, 1)
        assert await taken(world, asking) == 2
    one, two = order(1).definition.version, order(2).definition.version
    said = [each.getMessage() for each in caplog.records if each.getMessage().startswith("saga 'order': ")]
    assert said[0] == f"saga 'order': new sagas take version {two} now, after {one}"
    assert f"has version {one} in its code, but a start by name takes {two}, which is newer and in the code" in said[1]
    await world.leave(new)
    assert await taken(world, asking) == 1  # rolled back: whose steps are there
    await world.leave(old)
    (await world.node(shop()))  # runs the steps, has no saga in its code
    assert await taken(world, asking) == 2  # the one that was active last, as long as nobody says otherwise


async def test_a_pin_holds_against_newer_code_and_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await deployed(world, 1)
    node = world.nodes[0]
    await versions.activate(ANYBODY, node, "order", order(1).definition.version)
    with caplog.at_level(logging.WARNING, "goconductor"):
        await deployed(world, 2)
    assert any("which an operator has pinned" in each.getMessage() for each in caplog.records)
    assert await taken(world, node) == 1
    listed = await versions.versions_of(ANYBODY, node, "order")
    assert [(each.active, each.pinned, each.offered_by) for each in listed] == [(True, True, 1), (False, False, 1)]
    assert (await versions.unpin(ANYBODY, node, "order")).version == order(2).definition.version
    assert await taken(world, node) == 2


def learn(monkeypatch: pytest.MonkeyPatch, uses: Callable[[Step], bool]) -> None:
    """Let code know a feature, and instances that register from now on say so."""
    monkeypatch.setitem(USES, "loops", uses)
    for module in (registration, codec):
        monkeypatch.setattr(module, "KNOWN", KNOWN | {"loops"})


async def test_a_version_waits_for_the_last_instance_that_does_not_know_its_features(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await deployed(world, 1)
    learn(monkeypatch, lambda step: step.inputs["version"].value == 12)
    asking = await world.node()
    await world.clock.advance(1)
    with caplog.at_level(logging.WARNING, "goconductor"):
        new = await deployed(world, 12)  # a version that no other test has compiled, which would be at hand
    two = order(12).definition.version
    assert f"saga 'order': version {two} is not active before all instances know loops; these do not: {old.name}" in caplog.text
    assert await taken(world, asking) == 1
    listed = await versions.versions_of(ANYBODY, new, "order")
    assert [(each.active, each.features, each.waits_for) for each in listed] == [
        (True, [], []),
        (False, ["loops"], [old.name]),
    ]
    with pytest.raises(RequestRefusedError, match=f"uses loops, which {old.name} cannot run; upgrade these instances first"):
        await versions.activate(ANYBODY, asking, "order", two)
    await world.leave(old)
    assert await taken(world, asking) == 12  # by itself


async def test_a_document_is_not_active_before_all_know_its_features(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    old = await world.node(shop())
    learn(monkeypatch, lambda _: True)
    new = await world.node()
    registered = await versions.register(ANYBODY, new, order(13).definition)
    assert (registered.active, registered.waits_for) == (False, [old.name])
    with pytest.raises(RequestRefusedError, match=f"saga 'order' is active: .* uses loops, which {old.name} cannot run"):
        await Conductor(new).start("order", None)
    await world.leave(old)
    assert (await versions.register(ANYBODY, new, order(13).definition)).active
