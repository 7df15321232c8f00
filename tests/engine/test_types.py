"""Users' types there and back: what a step returns, the next one gets, by whatever library it is written."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, NamedTuple

import pydantic
import pytest

from goconductor import PayloadError, Saga
from goconductor.control.doors.conductor import Conductor
from goconductor.engine.steps.registry import StepRegistry
from goconductor.saga.types.completing import normalised
from goconductor.saga.types.decoding import decoder
from goconductor.saga.types.encoding import to_json_value
from goconductor.testing.world import World


class Aliased(pydantic.BaseModel):
    sku: str = pydantic.Field(alias="SKU")
    amount: int = pydantic.Field(validation_alias="howMany", serialization_alias="AMOUNT")


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    at: dt.datetime
    sizes: tuple[int, ...]


class Computed(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    net: int

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def gross(self) -> int:
        return self.net * 2


class Basket(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    lines: list[Computed]
    best: Computed | None = None


@dataclass
class Holding:
    name: str
    model: Aliased
    others: dict[str, Computed]
    site: pydantic.AnyUrl


class Point(NamedTuple):
    x: int
    label: str


@dataclass
class Placed:
    at: Point


VALUES: list[Any] = [
    Aliased.model_validate({"SKU": "a", "howMany": 3}),
    Strict(at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC), sizes=(1, 2)),
    Computed(net=3),
    Basket(lines=[Computed(net=1), Computed(net=2)], best=Computed(net=9)),
    Holding(
        "a", Aliased.model_validate({"SKU": "a", "howMany": 1}), {"b": Computed(net=1)}, pydantic.AnyUrl("http://example.org/")
    ),
    Point(1, "a"),
    Placed(Point(1, "a")),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
async def test_what_one_step_returns_another_takes(world: World, value: Any) -> None:
    shop = StepRegistry("shop")
    kind, seen = type(value), []

    async def make() -> Any:
        return value

    async def take(thing: Any) -> None:
        seen.append(thing)

    make.__annotations__["return"] = take.__annotations__["thing"] = kind
    made = shop.step(make)
    taken = shop.step(take)
    await world.node(shop)
    saga: Saga[Any] = Saga("one")
    saga.step(taken, inputs={"thing": saga.step(made).output})
    assert (await world.end_of(await world.start(saga))).status == "completed"
    assert seen == [value]


def test_a_model_stands_under_its_fields_names_and_its_aliases_are_read() -> None:
    model = Aliased.model_validate({"SKU": "a", "howMany": 3})
    kept = to_json_value(model)
    assert kept == {"sku": "a", "amount": 3}
    assert (
        decoder(Aliased)(kept)
        == decoder(Aliased)({"SKU": "a", "howMany": 3})
        == Aliased.model_validate({"SKU": "a", "howMany": 3})
    )


@pytest.mark.parametrize("annotation", [dict[str, object], list[object], tuple[object, ...], object])
def test_an_object_is_anything_wherever_it_stands(annotation: Any) -> None:
    value = {"a": [1, None]} if annotation in (dict[str, object], object) else [{"a": 1}, "b"]
    assert to_json_value(decoder(annotation)(value)) == value


def test_an_extra_that_is_not_computed_is_still_refused() -> None:
    with pytest.raises(PayloadError, match="Extra inputs are not permitted"):
        decoder(Basket)({"lines": [{"net": 1, "gross": 2, "other": 3}]})


async def test_an_input_by_alias_is_kept_by_name_so_that_references_find_it(world: World) -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def take(sku: str) -> str:
        return sku

    await world.node(shop)
    order = Saga("order", input=Aliased)
    order.step(take, inputs={"sku": order.input.sku})
    anything: Any = {"SKU": "a", "howMany": 1}
    handle = await Conductor(world.nodes[0]).start(order, anything)
    assert (await world.end_of(handle.saga_id)).outputs() == {"take": "a"}
    schema = order.definition.input_schema
    assert schema is not None
    assert schema["required"] == ["sku", "amount"]


def test_what_a_model_computes_of_an_input_is_kept_with_it() -> None:
    for given in ({"net": 1}, {"net": 1, "gross": 2}):
        assert normalised(Computed, given) == ({"net": 1, "gross": 2}, {"net": 1, "gross": 2})


async def test_a_named_tuple_is_read_by_name_wherever_it_stands(world: World) -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def find() -> Placed | None:
        return Placed(Point(1, "here"))

    @shop.step
    async def take(x: int, label: str, home: str) -> list[Any]:
        return [x, label, home]

    await world.node(shop)
    saga = Saga("one", input=Point)
    found = saga.step(find)
    place: Any = found.output
    took = saga.step(take, inputs={"x": place.at.x, "label": place["at"][1], "home": saga.input.label})
    saga.returns(took.output)
    state = await world.end_of(await world.start(saga, to_json_value(Point(7, "home"))))
    assert state.outputs()["take"] == [1, "here", "home"]
    assert str(saga.definition.steps[1].inputs["x"].ref) == "$.steps.find.output.at[0]"


def test_a_model_with_a_secret_that_no_annotation_told_of_is_refused_when_it_is_kept() -> None:
    class Login(pydantic.BaseModel):
        password: pydantic.SecretStr

    with pytest.raises(PayloadError, match="SecretStr would be lost"):
        to_json_value(Login(password=pydantic.SecretStr("x")))
    with pytest.raises(PayloadError, match="cannot be encoded"):
        to_json_value([pydantic.SecretStr("x")])
