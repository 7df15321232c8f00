"""Where the types of what is given and of what is taken are known and never fit, the saga is refused, with the place."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor import DefinitionError, Saga, optional
from goconductor.control.definitions.loading import check, load_definition, read
from goconductor.engine.steps.registry import StepRegistry, check_definition
from goconductor.errors import PayloadError
from goconductor.saga.data.fitting import Described, misfit
from goconductor.saga.types.decoding import decoder
from goconductor.saga.types.encoding import to_json_value
from goconductor.saga.types.schemas import read_as, written_as
from goconductor.testing.world import World


@dataclass
class Line:
    sku: str
    pieces: int


@dataclass
class Order:
    number: int
    lines: list[Line]
    note: str | None = None
    tags: list[str] = field(default_factory=list)


class Model(pydantic.BaseModel):
    number: int

    @pydantic.field_serializer("number")
    def _as_text(self, number: int) -> str:
        return str(number)


class Color(enum.Enum):
    RED = "red"


shop = StepRegistry("shop")


@shop.step
async def count(pieces: int) -> int:
    return pieces


@shop.step
async def name(text: str) -> None: ...


@shop.step
async def pack(line: Line) -> Line:
    return line


@shop.step
async def order() -> Order:
    return Order(number=1, lines=[])


@shop.step
async def order_of(lines: list[Line]) -> None: ...


@shop.step
async def model() -> Model:
    return Model(number=1)


def refused(write: Callable[[Saga[Order]], object]) -> list[str]:
    saga = Saga("order", input=Order)
    write(saga)
    with pytest.raises(DefinitionError) as error:
        _ = saga.definition
    return list(error.value.problems)


def test_a_place_of_the_input_that_never_fits_is_refused() -> None:
    (problem,) = refused(lambda saga: saga.step(name, inputs={"text": saga.input.number}))
    assert problem == (
        "step 'name' gives 'shop.name' $.input.number for its input 'text', which is a number, but a text is needed; "
        "refer to another place, or correct one of the types."
    )


def test_an_output_that_never_fits_is_refused() -> None:
    (problem,) = refused(lambda saga: saga.step(name, inputs={"text": saga.step(count, inputs={"pieces": 1}).output}))
    assert "$.steps.count.output for its input 'text', which is a number, but a text is needed" in problem
    (problem,) = refused(lambda saga: saga.step(pack, inputs={"line": saga.step(order).output}))
    assert "$.steps.order.output for its input 'line', which has no 'sku', which is required" in problem


def test_what_an_item_of_a_map_has_is_known() -> None:
    def lines(saga: Saga[Order], of: Callable[[Any], object]) -> None:
        each = saga.map(saga.input.lines, id="lines")
        each.step(count, inputs={"pieces": of(each)})

    (problem,) = refused(lambda saga: lines(saga, lambda each: each.item.sku))
    assert "$.item.sku for its input 'pieces', which is a text, but a number is needed" in problem
    for fits in (lambda each: each.item.pieces, lambda each: each.index):
        saga = Saga("order", input=Order)
        lines(saga, fits)
        assert saga.definition


@pytest.mark.parametrize(
    "write",
    [
        lambda saga: saga.step(name, inputs={"text": saga.input.note}),  # text or null
        lambda saga: saga.step(name, inputs={"text": optional(saga.input.note)}),
        lambda saga: saga.step(pack, inputs={"line": saga.input.lines[0]}),
        lambda saga: saga.step(name, inputs={"text": saga.step(model).output.number}),  # which is written otherwise
        lambda saga: saga.step(name, inputs={"text": saga.step("a.b").output}),
        lambda saga: saga.step(count, inputs={"pieces": saga.step(name, inputs={"text": "a"}).output}),  # which hands itself out
    ],
)
def test_what_may_fit_is_taken(write: Callable[[Saga[Order]], object]) -> None:
    saga = Saga("order", input=Order)
    write(saga)
    assert saga.definition


def test_an_input_may_be_kept_in_the_form_that_pydantic_writes() -> None:
    saga = Saga("order", input=Model)
    saga.step(name, inputs={"text": saga.input.number})
    saga.step(count, inputs={"pieces": saga.input.number})
    check_definition(shop, saga.definition, saga.input_type)
    lists = Saga("order", input=Model)
    lists.step(order_of, inputs={"lines": lists.input.number})
    with pytest.raises(DefinitionError, match="a number or a text, but a list is needed"):
        _ = lists.definition


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}, "l": {"type": "array"}}}


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"map": {"over": "$.input.n", "do": [{"id": "b", "run": "a.b"}]}}, "the list of map 'a' refers to $.input.n, which is"),
        ({"delay": {"until": "$.input.l"}}, "the delay of step 'a' refers to $.input.l, which is a list, but a number or"),
        ({"run": "a.b", "locks": [{"key": "x:{input.l}"}]}, "the lock 'x:{input.l}' of step 'a' refers to $.input.l, which is a"),
    ],
)
def test_what_the_saga_itself_reads_is_looked_at_in_documents(step: dict[str, Any], says: str) -> None:
    with pytest.raises(DefinitionError, match=r"correct one of the types") as error:
        read({"name": "order", "steps": [{"id": "a", **step}], "input_schema": SCHEMA})
    assert error.value.problems[0].startswith(says)


def test_a_participant_knows_the_types_of_its_own_steps_in_any_document() -> None:
    steps = [
        {"id": "count", "run": "shop.count", "inputs": {"pieces": {"value": 1}}},
        {"id": "name", "run": "shop.name", "inputs": {"text": {"ref": "$.steps.count.output"}}},
    ]
    with pytest.raises(DefinitionError, match=r"\$\.steps\.count\.output for its input 'text', which is a number"):
        check_definition(shop, read({"name": "order", "steps": steps}))


async def test_what_a_saga_that_is_started_takes_is_known_when_it_is_registered(world: World) -> None:
    node = await world.node()
    child = Saga("parcel", input=Line)
    child.step("a.b")
    await node.definitions.register(child.definition)

    def parent(**inputs: str) -> bytes:
        given = {name: {"ref": ref} for name, ref in inputs.items()}
        step = {"id": "p", "saga": {"name": "parcel"}, "inputs": given}
        return msgspec.json.encode({"name": "order", "steps": [step], "input_schema": SCHEMA})

    with pytest.raises(DefinitionError) as error:
        await node.definitions.register(load_definition(parent(sku="$.input.n")))
    wrong, missing = error.value.problems
    assert "'p' gives the saga that it starts $.input.n for its 'sku', which is a number, but a text is needed" in wrong
    assert missing == "step 'p' gives the saga that it starts no 'pieces', which its input must have; add it to the inputs."
    await node.definitions.register(load_definition(parent(sku="$.input.s", pieces="$.input.n")))


@pytest.mark.parametrize("choice", ["anyOf", "oneOf", "allOf"])
def test_a_place_of_which_a_schema_says_nothing_is_one(choice: str) -> None:
    """An empty schema means any value; a field of type Any has it."""
    schema = {choice: [{"type": "object", "properties": {"x": {}}, "additionalProperties": False}]}
    assert read({"name": "order", "steps": [A_STEP], "input_schema": schema})
    with pytest.raises(DefinitionError, match=r"the input's schema has no 'x' there"):
        read({"name": "order", "steps": [A_STEP], "input_schema": {choice: [{"additionalProperties": False}]}})


A_STEP = {"id": "a", "run": "a.b", "inputs": {"x": {"ref": "$.input.x"}}}


def test_a_schema_of_choices_in_choices_is_read_in_one_walk() -> None:
    """Each way through it would be one of 10¹⁵; and one that holds itself may be anything."""
    shared: dict[str, Any] = {f"c{i}": {"anyOf": [{"$ref": f"#/$defs/c{i + 1}"}] * 10} for i in range(15)}
    circle = {"a": {"anyOf": [{"$ref": "#/$defs/a"}] * 10}}
    for schema in (
        {"$defs": shared | {"c15": {"properties": {"x": {"type": "string"}}}}, "$ref": "#/$defs/c0"},
        {"$defs": circle, "$ref": "#/$defs/a"},
    ):
        described = Described(schema, schema)
        assert len(described.kinds()) == 6
        assert len(described.at("x")) == 1


def test_a_list_whose_first_items_are_others_may_be_one_of_lists() -> None:
    inside = {"id": "b", "when": "index > 0", "map": {"over": "$.item", "do": [{"id": "c", "run": "a.b"}]}}
    rows = {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "array"}}
    steps = [{"id": "a", "map": {"over": "$.input.rows", "do": [inside]}}]
    assert read({"name": "order", "steps": steps, "input_schema": {"properties": {"rows": rows}}})


class Tagged(msgspec.Struct, tag=True):
    number: int


def test_a_tag_that_only_one_struct_could_have_need_not_be_given() -> None:
    for gives, takes in ((Order, Tagged), (Tagged, Tagged), (dict[str, int], Tagged)):
        one, other = written_as(gives), read_as(takes)
        assert misfit([Described(one, one)], Described(other, other)) is None


def test_a_record_from_which_one_is_derived_later_is_open_from_then_on() -> None:
    @dataclass
    class Early:
        number: int

    other = read_as(Line)
    assert misfit([Described(closed := written_as(Early), closed)], Described(other, other)) is not None

    @dataclass
    class Late(Early, Line): ...

    assert misfit([Described(opened := written_as(Early), opened)], Described(other, other)) is None
    assert Late.__mro__


KINDS: list[Any] = [
    *(int, str, float, bool, bytes, Decimal, uuid.UUID, dt.datetime, dt.timedelta, Color, Line, Order),
    *(list[int], dict[str, int], tuple[int, str], int | None, Literal["red", 1], type(None), Any, Model, list[Line]),
]
VALUES: dict[Any, st.SearchStrategy[Any]] = {Any: st.from_type(Line) | st.none() | st.integers(0, 9)}


@given(st.sampled_from(KINDS), st.sampled_from(KINDS), st.data())
def test_no_type_is_refused_of_which_a_value_is_taken(gives: Any, takes: Any, data: st.DataObject) -> None:
    """Whatever a value of one type is kept as: where another type reads it, the two fit."""
    value = data.draw(VALUES.get(gives, st.from_type(gives)))
    try:
        decoder(takes)(to_json_value(value))
    except PayloadError:
        return
    one, other = written_as(gives), read_as(takes)
    if gives is not Model:
        assert misfit([Described(one, one)], Described(other, other)) is None


def test_a_check_of_a_file_tells_of_it() -> None:
    file = b"{name: o, steps: [{id: a, delay: {until: $.input.l}}], input_schema: {properties: {l: {type: array}}}}"
    assert "which is a list" in check(file, "f").problems[0]
