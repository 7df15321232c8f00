"""A reference to what a type or a schema lacks is refused when the saga is written, and nothing that may be there."""

from __future__ import annotations

import datetime as dt
import enum
import functools
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar

import msgspec
import pydantic
import pytest

from goconductor import DefinitionError, Participant, Saga
from goconductor.engine.steps.registry import check_definition
from goconductor.saga.checking.validate import problems
from goconductor.saga.definition import Binding, Definition, Step

T = TypeVar("T")
Number = NewType("Number", int)


class Colour(enum.StrEnum):
    RED = "red"


@dataclass
class Line:
    sku: str
    count: int = 1

    @functools.cached_property
    def whole(self) -> str:
        return self.sku

    @property
    def worth(self) -> int:
        return self.count


@dataclass
class LongLine(Line):
    note: str = ""


@dataclass
class Page(Generic[T]):
    items: list[T]
    next: Page[T] | None = None


class Pair(NamedTuple):
    left: Line
    right: int


class Record(TypedDict, total=False):
    line: Line


class Struct(msgspec.Struct, rename="camel", tag=True):
    order_id: str
    line: Line | None = None


class InOrder(msgspec.Struct, array_like=True):
    line: Line


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    sku: str


class Closed(pydantic.BaseModel):
    sku: str = pydantic.Field(alias="SKU")
    site: pydantic.AnyUrl | None = None

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def short(self) -> str:
        return self.sku[:3]


class Root(pydantic.RootModel[dict[str, int]]):
    pass


class Order(msgspec.Struct):
    line: Line
    lines: list[Line]
    by_name: dict[str, Line]
    page: Page[Line]
    pair: Pair
    fixed: tuple[Line, int]
    record: Record
    struct: Struct
    in_order: InOrder
    closed: Closed
    either: Line | Struct
    maybe: Annotated[Line | None, "why"]
    name: str
    at: dt.datetime
    colour: Colour
    number: Number
    literal: Literal["a"]
    open: Open
    root: Root
    anything: Any
    plain: dict[str, Any]
    unknown: list[Any]


REFUSED = {
    "lime": "Order has no 'lime'; did you mean line?",
    "line.skku": "Line has no 'skku'; did you mean sku?",
    "line.worth": "Line has no 'worth'; there are: count, sku",
    "line[0]": "Line has fields, and no [0]",
    "line.sku.upper": "str has nothing inside",
    "lines.sku": "a list has no 'sku'; name one of its items by its position, such as [0]",
    "lines[0].skku": "Line has no 'skku'",
    "by_name[0]": "has names, and no [0]",
    "by_name.a.skku": "Line has no 'skku'",
    "page.item": "Page has no 'item'; did you mean items?",
    "pair.middle": "Pair has no 'middle'; there are: left, right",
    "pair.left.skku": "Line has no 'skku'",
    "pair[2]": "Pair has 2 items",
    "fixed[2]": "the tuple has 2 items",
    "fixed[0].skku": "Line has no 'skku'",
    "record.lime": "Record has no 'lime'; did you mean line?",
    "struct.order_id": "'order_id' is kept as 'orderId'; write ['orderId']",
    "struct.line.skku": "Line has no 'skku'",
    "in_order.line": "'line' is kept as [0]; write that",
    "in_order.lime": "InOrder has no 'lime'; did you mean line?",
    "in_order[0].skku": "Line has no 'skku'",
    "in_order[1]": "InOrder has 1 items",
    "closed.SKU": "Closed has no 'SKU'",
    "either.other": "has no 'other'",
    "maybe.skku": "Line has no 'skku'",
    "at.year": "datetime has nothing inside",
    "colour.name": "Colour has nothing inside",
    "number.real": "int has nothing inside",
    "literal.a": "has nothing inside",
}
ALLOWED = [
    "line.sku",
    "line.note",  # a LongLine may stand there
    "line.whole",  # once computed, it is written
    "lines[-1].count",
    "by_name.a.sku",
    "page.next.items[0]",
    "pair.left.sku",
    "pair[1]",
    "fixed[-2].sku",
    "record.line.sku",
    "struct.orderId",
    "struct.type",
    "struct.line.sku",
    "in_order[0].sku",
    "closed.sku",
    "closed.short",
    "closed.site.host",
    "either.sku",
    "either.orderId",
    "maybe.sku",
    "open.anything.at.all",
    "root.a",
    "anything.at[0].all",
    "plain.a.b",
    "unknown[0].a",
]


def packing(path: str) -> Saga[Any]:
    """A saga of which one step takes what is at a path below an Order."""
    saga: Saga[Any] = Saga("one")
    order = saga.step("shop.find", output=Order).output
    saga.step("shop.pack", inputs={"box": eval(f"order.{path}", {"order": order})})
    return saga


@pytest.mark.parametrize(("path", "says"), REFUSED.items())
def test_what_a_type_lacks_is_refused_with_the_nearest_name(path: str, says: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        _ = packing(path).definition
    assert says in str(raised.value)
    assert "input 'box' of step 'pack' refers to $.steps.find.output." in str(raised.value)
    assert len(raised.value.problems) == 1


@pytest.mark.parametrize("path", ALLOWED)
def test_what_may_be_there_is_allowed(path: str) -> None:
    assert packing(path).definition.steps


def test_what_the_type_of_the_input_lacks_is_refused() -> None:
    saga = Saga("one", input=Line)
    line: Any = saga.input
    saga.step("shop.pack", inputs={"box": line.skku})
    with pytest.raises(DefinitionError, match=r"refers to \$\.input\.skku, but Line has no 'skku'; did you mean sku\?"):
        _ = saga.definition


@pytest.mark.parametrize("kind", [None, Any, dict, dict[str, Any], object])
def test_an_input_of_which_nothing_is_known_may_have_anything(kind: Any) -> None:
    saga: Saga[Any] = Saga("one", input=kind)
    saga.step("shop.pack", inputs={"box": saga.input.a.b})
    assert saga.definition.steps


def shop() -> tuple[Participant, Any, Any]:
    shop = Participant("shop")

    @shop.step
    async def find(sku: str = "a") -> Line | None: ...

    @shop.step
    async def pack(box: str, count: int = 1, line: Line | None = None) -> None: ...

    return shop, find, pack


def test_what_a_steps_output_lacks_is_refused_wherever_it_is_named() -> None:
    _, find, pack = shop()
    saga: Saga[Any] = Saga("one")
    found: Any = saga.step(find).output
    named: Any = saga.step("store.find", id="elsewhere", output=Line).output
    saga.step(pack, inputs={"box": found.skku, "count": named.coutn}, when="steps.find.output.coutn > 1")
    saga.returns(found.sku.first)
    with pytest.raises(DefinitionError) as raised:
        _ = saga.definition
    assert list(raised.value.problems) == [
        "input 'box' of step 'pack' refers to $.steps.find.output.skku, but Line has no 'skku'; did you mean sku?.",
        "input 'count' of step 'pack' refers to $.steps.elsewhere.output.coutn, but Line has no 'coutn'; did you mean count?.",
        "the saga's output refers to $.steps.find.output.sku.first, but str has nothing inside.",
        "the condition of step 'pack' refers to steps.find.output.coutn, but Line has no 'coutn'; did you mean count?.",
    ]


def test_a_condition_that_asks_first_whether_it_is_there_is_allowed() -> None:
    saga = Saga("one", input=Line)
    saga.step("shop.pack", when="has(input.old) && input.old > 1")
    saga.step("shop.ship", when="input.count > 1 && size(input.sku) > 0")
    assert saga.definition.steps


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (
            {"box": 17},
            "gives 'shop.pack' a constant for its input 'box' that does not fit: $: Expected `str`, got `int`; correct it.",
        ),
        ({"box": "b", "count": "3"}, "a constant for its input 'count' that does not fit: $: Expected `int`, got `str`"),
        ({"box": "b", "line": {"sku": 1}}, "a constant for its input 'line' that does not fit: $.sku: Expected `str`, got `int`"),
    ],
)
def test_a_constant_that_does_not_fit_its_parameter_is_refused(inputs: dict[str, Any], says: str) -> None:
    owner, _, pack = shop()
    saga: Saga[Any] = Saga("one")
    saga.step(pack, inputs=inputs)
    with pytest.raises(DefinitionError) as raised:
        _ = saga.definition
    assert says in str(raised.value)
    by_name: Saga[Any] = Saga("one")
    by_name.step("shop.pack", inputs=inputs)
    with pytest.raises(DefinitionError) as raised:
        check_definition(owner, by_name.definition)
    assert says in str(raised.value)


def test_a_constant_that_fits_is_allowed() -> None:
    owner, find, pack = shop()
    saga: Saga[Any] = Saga("one")
    found: Any = saga.step(find).output
    saga.step(pack, inputs={"box": "b", "count": 3, "line": {"sku": "a"}})
    saga.step(pack, id="again", inputs={"box": found.sku, "line": None})
    check_definition(owner, saga.definition)


def test_a_reference_to_the_output_of_a_step_of_the_same_process_is_checked_by_its_code() -> None:
    owner, _, _ = shop()
    saga: Saga[Any] = Saga("one")
    found: Any = saga.step("shop.find").output
    saga.step("shop.pack", inputs={"box": found.skku})
    with pytest.raises(DefinitionError, match=r"\$\.steps\.find\.output\.skku, but Line has no 'skku'; did you mean sku"):
        check_definition(owner, saga.definition)


SCHEMA: dict[str, Any] = {
    "$defs": {
        "line": {"type": "object", "properties": {"sku": {"type": "string"}}, "additionalProperties": False},
        "open": {"type": "object", "properties": {"sku": {"type": "string"}}},
        "circle": {"$ref": "#/$defs/circle"},
    },
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "line": {"$ref": "#/$defs/line"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "pair": {"type": "array", "prefixItems": [{"$ref": "#/$defs/line"}], "items": False},
        "open": {"$ref": "#/$defs/open"},
        "maybe": {"anyOf": [{"$ref": "#/$defs/line"}, {"type": "null"}]},
        "either": {"oneOf": [{"$ref": "#/$defs/line"}, {"$ref": "#/$defs/open"}]},
        "both": {"allOf": [{"$ref": "#/$defs/open"}, {"$ref": "#/$defs/line"}]},
        "by_name": {"additionalProperties": {"$ref": "#/$defs/line"}},
        "patterns": {"patternProperties": {"^x": {}}, "additionalProperties": False},
        "circle": {"$ref": "#/$defs/circle"},
        "anything": True,
        "nothing": False,
        "nullable": {"type": ["object", "null"], "properties": {"sku": {"type": "string"}}},
    },
}
LACKING = [
    "lime",
    "line.skku",
    "line[0]",
    "line.sku.x",
    "lines.sku",
    "lines[0].skku",
    "pair[1]",
    "pair[0].skku",
    "open.sku.x",
    "maybe.skku",
    "both.skku",
    "by_name.a.skku",
    "nothing.a",
    "nullable.sku.x",
]
POSSIBLE = [
    "line.sku",
    "lines[0].sku",
    "pair[0].sku",
    "pair[-1].skku",
    "open.skku",
    "maybe.sku",
    "either.skku",
    "both.sku",
    "by_name.a.sku",
    "patterns.xy",
    "circle.a",
    "anything.a[0]",
    "nullable.skku",
]


def of_document(path: str, **options: Any) -> list[str]:
    steps = (Step(id="pack", run="shop.pack", inputs={"box": Binding(ref=f"$.input.{path}")}),)
    return problems(Definition(name="one", steps=steps, input_schema=SCHEMA), **options)


@pytest.mark.parametrize("path", LACKING)
def test_what_the_schema_of_a_document_lacks_is_refused(path: str) -> None:
    (found,) = of_document(path)
    assert found.startswith(f"input 'box' of step 'pack' refers to $.input.{path}, but the input's schema has no ")
    assert of_document(path, stored=True) == []


def test_the_nearest_name_of_a_schema_is_given() -> None:
    assert "no 'skku' there; did you mean sku?" in of_document("line.skku")[0]


@pytest.mark.parametrize("path", POSSIBLE)
def test_what_the_schema_of_a_document_leaves_open_is_allowed(path: str) -> None:
    assert of_document(path) == []
