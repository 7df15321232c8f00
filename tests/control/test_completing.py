"""A saga keeps its input complete: what its type or schema has a default for is there for every step and condition."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest

from goconductor import Conductor, Saga, SagaAlreadyStartedError
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas import starting
from goconductor.engine.steps.registry import StepRegistry
from goconductor.saga.data.defaults import completed
from goconductor.saga.types.completing import normalised
from goconductor.saga.types.encoding import to_json_value
from goconductor.testing.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


@dataclass
class Line:
    sku: str
    count: int = 1


@dataclass
class AsDataclass:
    lines: list[Line]
    note: str = "none"
    tags: list[str] = field(default_factory=list)
    gift: Line | None = None


class AsStruct(msgspec.Struct, omit_defaults=True):
    lines: list[Line]
    note: str = "none"
    tags: list[str] = []
    gift: Line | None = None


class LineModel(pydantic.BaseModel):
    sku: str = pydantic.Field(alias="SKU")
    count: int = 1


class AsModel(pydantic.BaseModel):
    lines: list[LineModel]
    note: str = "none"
    tags: list[str] = pydantic.Field(default_factory=list)
    gift: LineModel | None = None


GIVEN = {"lines": [{"sku": "tea"}]}
WHOLE = {"lines": [{"sku": "tea", "count": 1}], "note": "none", "tags": [], "gift": None}
KINDS: list[Any] = [AsDataclass, AsStruct, AsModel]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_input_is_completed_at_each_door_and_is_the_same_start_there(world: World, kind: Any) -> None:
    shop = StepRegistry("shop")
    seen = []

    @shop.step
    async def note(note: str, count: int, tags: list[str], gift: dict[str, Any] | None) -> None:
        seen.append((note, count, tags, gift))

    conductor = Conductor(await world.node(shop))
    order = Saga("order", input=kind)
    given: Any = order.input
    inputs = {"note": given.note, "count": given.lines[0].count, "tags": given.tags, "gift": given.gift}
    order.step(note, inputs=inputs, when="input.note == 'none'")
    started: list[Any] = [
        await conductor.start(order, GIVEN, key="k"),
        await conductor.start(order, WHOLE, key="k"),
        await conductor.start(
            order, msgspec.convert(GIVEN, kind) if kind is not AsModel else kind.model_validate(GIVEN, by_name=True), key="k"
        ),
        await conductor.start("order", GIVEN, key="k"),
        await conductor.start("order", WHOLE, key="k"),
        await starting.start(ANYBODY, conductor._node, "order", GIVEN, key="k"),  # as REST and the command line do
    ]
    assert len({each.saga_id for each in started}) == 1
    state = await world.end_of(started[0].saga_id)
    assert (state.status, state.input) == ("completed", WHOLE)
    with pytest.raises(SagaAlreadyStartedError):
        await conductor.start(order, {**GIVEN, "note": "other"}, key="k")

    by_schema = await starting.start(ANYBODY, conductor._node, "order", GIVEN)
    assert (await world.end_of(by_schema.saga_id)).input == WHOLE
    assert seen == [("none", 1, [], None)] * 2


class Numbered(pydantic.BaseModel):
    sku: str
    number: uuid.UUID = pydantic.Field(default_factory=uuid.uuid4)


@dataclass
class Dated:
    sku: str
    at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


@pytest.mark.parametrize("kind", [Numbered, Dated])
async def test_a_default_that_is_made_anew_is_kept_and_does_not_make_another_start(world: World, kind: Any) -> None:
    conductor = Conductor(await world.node())
    order = Saga("order", input=kind)
    order.step("shop.note")
    given: Any = {"sku": "tea"}
    first, again = [await conductor.start(order, given, key="k") for _ in range(2)]
    assert (first.saga_id, again.existing) == (again.saga_id, True)
    kept = (await world.state(first.saga_id)).input
    assert list(kept) == list(kind.__annotations__)
    with pytest.raises(SagaAlreadyStartedError):
        await conductor.start(order, {"sku": "coffee"}, key="k")


class Pair(NamedTuple):
    sku: str
    amount: int = 1


class Renamed(pydantic.BaseModel):
    sku: str = pydantic.Field(validation_alias=pydantic.AliasChoices("SKU", "item"))
    first: str = pydantic.Field(validation_alias=pydantic.AliasPath("names", 0))
    more: LineModel = LineModel(SKU="gift")


@dataclass(frozen=True)
class Bag:
    lines: frozenset[Line]
    note: str = "none"


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        (Pair, ["tea"], ["tea", 1]),
        (Line, {"sku": "tea", "more": 1}, {"sku": "tea", "more": 1, "count": 1}),
        (Renamed, {"item": "a", "names": ["b"]}, {"sku": "a", "first": "b", "more": {"sku": "gift", "count": 1}}),
        (
            Renamed,
            {"SKU": "a", "names": ["b"], "more": {"SKU": "c"}},
            {"sku": "a", "first": "b", "more": {"sku": "c", "count": 1}},
        ),
        (dict[str, LineModel], {"SKU": {"SKU": "a"}}, {"SKU": {"sku": "a", "count": 1}}),
        (Line | None, None, None),
        (Any, {"a": 1}, {"a": 1}),
        (float, 5, 5),
    ],
)
def test_what_was_given_is_kept_and_only_what_lacks_is_added(kind: Any, given: Any, kept: Any) -> None:
    assert normalised(kind, given) == (kept, kept)


class Inner(msgspec.Struct, omit_defaults=True, tag=True):
    a: int = 1
    never: int | msgspec.UnsetType = msgspec.UNSET


class Outer(msgspec.Struct, array_like=True, omit_defaults=True):
    one: dict[str, Inner]
    two: tuple[Inner, int] = (Inner(), 2)


def test_a_struct_that_omits_defaults_is_written_whole() -> None:
    inner = {"type": "Inner", "a": 1}
    assert to_json_value(Inner()) == inner
    assert to_json_value(Outer({"x": Inner()})) == [{"x": inner}, [inner, 2]]


SCHEMA: dict[str, Any] = {
    "$defs": {
        "line": {"type": "object", "required": ["sku"], "properties": {"sku": {}, "count": {"default": 1}}},
        "tree": {"type": "object", "properties": {"leaf": {"default": "x"}, "left": {"$ref": "#/$defs/tree"}}},
        "endless": {"properties": {"self": {"$ref": "#/$defs/endless", "default": {}}}},
    },
    "properties": {
        "note": {"type": "string", "default": "none"},
        "line": {"$ref": "#/$defs/line", "default": {"sku": "tea"}},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "by_name": {"additionalProperties": {"$ref": "#/$defs/line"}},
        "pair": {"prefixItems": [{}, {"default": 2}, {}, {"default": 4}]},
        "tree": {"$ref": "#/$defs/tree"},
        "maybe": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/line"}]},
        "kind": {
            "oneOf": [
                {"properties": {"is": {"const": "a"}, "a": {"default": 1}}, "required": ["is"]},
                {"properties": {"is": {"enum": ["b"]}, "b": {"default": 2}}, "required": ["is"]},
            ]
        },
        "unclear": {"anyOf": [{"properties": {"a": {"default": 1}}}, {"properties": {"b": {"default": 2}}}]},
    },
    "allOf": [{"properties": {"also": {"default": [1]}}}],
}
ALWAYS = {"note": "none", "line": {"sku": "tea", "count": 1}, "also": [1]}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, {}),
        ({"note": "mine"}, {"note": "mine"}),
        ({"note": None}, {"note": None}),
        (
            {"lines": [{"sku": "a"}, {"sku": "b", "count": 2}, 3]},
            {"lines": [{"sku": "a", "count": 1}, {"sku": "b", "count": 2}, 3]},
        ),
        ({"by_name": {"x": {"sku": "a"}}}, {"by_name": {"x": {"sku": "a", "count": 1}}}),
        ({"pair": [1]}, {"pair": [1, 2]}),
        ({"pair": [1, 2, 3]}, {"pair": [1, 2, 3, 4]}),
        ({"tree": {"left": {}}}, {"tree": {"left": {"leaf": "x"}, "leaf": "x"}}),
        ({"maybe": {"sku": "a"}}, {"maybe": {"sku": "a", "count": 1}}),
        ({"maybe": None}, {"maybe": None}),
        ({"kind": {"is": "b"}}, {"kind": {"is": "b", "b": 2}}),
        ({"unclear": {}}, {"unclear": {}}),
    ],
)
def test_the_defaults_of_a_schema_are_filled_in_wherever_they_stand(given: Any, kept: Any) -> None:
    before = msgspec.json.encode([SCHEMA, given])
    whole = completed(SCHEMA, given)
    assert whole == ALWAYS | kept
    whole["also"].append(2)
    assert msgspec.json.encode([SCHEMA, given]) == before


@pytest.mark.parametrize("value", [None, 1, "text", [1, {"a": 1}]])
def test_what_is_no_object_stays_as_it_is(value: Any) -> None:
    assert completed(SCHEMA, value) == value


def test_a_default_without_end_is_left_out() -> None:
    assert completed({"$defs": SCHEMA["$defs"], "$ref": "#/$defs/endless"}, {"a": 1}) == {"a": 1}
