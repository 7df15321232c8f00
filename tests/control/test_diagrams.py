"""Diagrams of definitions: every step and edge is in them, nothing overlaps, and nothing in them is more than text."""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from goconductor.control.actor import ANYBODY
from goconductor.control.definitions.versions import register
from goconductor.control.diagrams.drawing import Form, diagram, saga_diagram
from goconductor.control.diagrams.mermaid import mermaid
from goconductor.control.diagrams.svg import FILLS, STEPS_MAX, svg
from goconductor.control.faults import RequestInvalidError
from goconductor.control.models import StepStatus
from goconductor.engine.steps.registry import StepRegistry
from goconductor.saga.definition import Definition, Step, StepRole
from goconductor.saga.plan import plan
from goconductor.saga.writing.builder import Saga
from goconductor.testing.world import World
from tests.lifecycle.sagas import definitions, many_examples

NAMESPACE = "{http://www.w3.org/2000/svg}"
ORDER = plan(
    Definition(
        name="order",
        steps=(
            Step(id="reserve", run="inventory.reserve"),
            Step(id="check", run="fraud.check"),
            Step(id="gift", run="inventory.gift", after=("reserve",), when='input.total > 10 && input.note != "<b>"'),
            Step(id="ship", run="shipping.ship", after=("reserve", "check", "gift"), pivot=True),
            Step(id="mail", run="mail.send", after=("ship",)),
        ),
    )
)


class Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float


def boxes(drawn: str) -> dict[str, Box]:
    found = {}
    for group in ET.fromstring(drawn).iter(f"{NAMESPACE}g"):
        title, rect = group.find(f"{NAMESPACE}title"), group.find(f"{NAMESPACE}rect")
        assert title is not None
        assert rect is not None
        found[str(title.text).split(",")[0]] = Box(*(float(rect.attrib[name]) for name in Box._fields))
    return found


@many_examples
@given(definitions(steps_max=9))
def test_every_step_has_a_place_of_its_own_below_those_before_it(definition: Definition) -> None:
    compiled = plan(definition)
    drawn = svg(compiled)
    placed = boxes(drawn)
    assert set(placed) == set(compiled.order)
    for one, other in itertools.combinations(placed.values(), 2):
        apart = one.x + one.width <= other.x or other.x + other.width <= one.x or one.y != other.y
        assert apart, f"{one} and {other} overlap"
    for step in compiled.order:
        for before in compiled.predecessors[step]:
            assert placed[before].y + placed[before].height < placed[step].y
    assert drawn.count("marker-end") == sum(len(before) for before in compiled.predecessors.values())


def test_an_edge_over_several_layers_passes_no_step() -> None:
    drawn = svg(ORDER)
    placed = boxes(drawn)
    (edge,) = [
        path.attrib["d"]
        for path in ET.fromstring(drawn).findall(f"{NAMESPACE}path")
        if path.attrib["d"].count("C") == 2 and f"M{placed['reserve'].x + 95:.0f} " in path.attrib["d"]
    ]
    passage = float(re.findall(r"L(-?\d+) ", edge)[0])
    gift = placed["gift"]
    assert not gift.x <= passage <= gift.x + gift.width


def test_what_a_condition_says_is_text_and_nothing_else() -> None:
    assert 'when input.total &gt; 10 &amp;&amp; input.note != "&lt;b&gt;"' in svg(ORDER)
    label = next(line for line in mermaid(ORDER).splitlines() if "inventory.gift" in line)
    assert label.count('"') == 2
    assert "#38;#38;" in label
    assert "<b>" not in label


def test_what_xml_cannot_hold_is_replaced() -> None:
    odd = plan(Definition(name="odd", steps=(Step(id="a", run="x.a", when="input.a == '\x01\x85'"),)))
    assert boxes(svg(odd))


def test_the_roles_can_be_told_apart() -> None:
    drawn = mermaid(ORDER)
    assert drawn.startswith("flowchart TD\n")
    assert re.search(r's\d\{\{"ship<br/>shipping.ship"\}\}', drawn)
    assert re.search(r's\d\(\["mail<br/>mail.send"\]\)', drawn)
    assert {colour for role in StepRole for colour in FILLS[role]} <= set(re.findall(r"#[0-9a-f]{6}", svg(ORDER)))


def test_a_saga_is_coloured_by_what_its_steps_are_doing() -> None:
    statuses = {"reserve": StepStatus.SUCCEEDED, "check": StepStatus.STUCK, "ship": StepStatus.PENDING}
    drawn = mermaid(ORDER, statuses)
    assert "classDef stuck fill:#fecaca" in drawn
    assert len(re.findall(r"class s\d stuck", drawn)) == 1
    drawn = svg(ORDER, statuses)
    assert FILLS[StepStatus.STUCK][0] in drawn
    assert "stuck" in drawn


def test_every_status_and_role_has_its_colours() -> None:
    assert set(FILLS) == {*StepStatus, *StepRole}


def test_a_large_graph_is_laid_out_in_time() -> None:
    steps = [Step(id=f"s{n}", run="x.y", after=tuple(f"s{m}" for m in range(max(0, n - 40), n, 7))) for n in range(STEPS_MAX)]
    assert len(boxes(svg(plan(Definition(name="large", steps=tuple(steps)))))) == STEPS_MAX


async def test_a_drawn_is_asked_for_by_name_and_by_saga() -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def reserve() -> None:
        pass

    saga: Saga[object] = Saga("order")
    saga.step(reserve)
    async with World() as world:
        node = await world.node(shop)
        saga_id = await world.start(saga)
        await world.end_of(saga_id)
        assert await diagram(ANYBODY, node, "order") == mermaid(plan(saga.definition))
        assert (await diagram(ANYBODY, node, "order", form=Form.SVG)).startswith("<svg")
        assert "succeeded" in await saga_diagram(ANYBODY, node, saga_id)
        many = Definition(name="many", steps=tuple(Step(id=f"s{n}", run="x.y") for n in range(STEPS_MAX + 1)))
        await register(ANYBODY, node, many)
        with pytest.raises(RequestInvalidError, match="ask for mermaid"):
            await diagram(ANYBODY, node, "many", form=Form.SVG)
        assert (await diagram(ANYBODY, node, "many")).count("x.y") == STEPS_MAX + 1
