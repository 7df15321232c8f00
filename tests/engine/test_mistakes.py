"""A mistake in a declaration is refused before any effect, with one text that names it and the remedy."""

from __future__ import annotations

import functools
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest

from goconductor import ArgumentError, DefinitionError, Participant, Retry, Saga
from goconductor.control.doors.conductor import Conductor
from goconductor.engine.steps.registry import StepRegistry, check
from goconductor.testing.world import World

if typing.TYPE_CHECKING:
    from decimal import Decimal


class Shelf:
    def pack(self, box: str) -> str:
        return box

    async def ship(self, box: str) -> str:
        return f"shipped {box}"

    def __call__(self) -> None: ...


def generator() -> Iterator[int]:
    yield 1


async def asynchronous_generator() -> AsyncIterator[int]:
    yield 1


async def coroutine(box: str) -> str:
    return box


@functools.wraps(coroutine)
def wrapper(*args: Any, **kwargs: Any) -> Any:
    return coroutine(*args, **kwargs)


SHAPES: dict[str, tuple[Any, str]] = {
    "a method": (Shelf.pack, "is a method of Shelf, and nobody would give it 'self'"),
    "a generator": (generator, "is a generator: calling it runs nothing"),
    "an async generator": (asynchronous_generator, "is a generator: calling it runs nothing"),
    "a plain wrapper of a coroutine": (wrapper, "is a plain 'def' around an 'async def'"),
    "an object": (Shelf(), "is a Shelf, not a function"),
    "a partial": (functools.partial(coroutine, box="b"), "is a partial, not a function"),
}


@pytest.mark.parametrize(("declared", "says"), SHAPES.values(), ids=SHAPES.keys())
def test_what_could_not_be_called_as_a_step_is_refused_when_it_is_declared(declared: Any, says: str) -> None:
    shop = StepRegistry("shop")
    with pytest.raises(DefinitionError, match="pack") as raised:
        shop.step(name="pack")(declared)
    assert says in str(raised.value)

    @shop.step
    def ship() -> None: ...

    with pytest.raises(DefinitionError, match="the compensation of step 'ship'") as raised:
        ship.compensation(declared)
    assert says in str(raised.value)


async def test_the_method_of_an_object_is_a_step(world: World) -> None:
    shop = StepRegistry("shop")
    ship = shop.step(Shelf().ship)
    await world.node(shop)
    saga: Saga[Any] = Saga("one")
    saga.step(ship, inputs={"box": "b"})
    assert (await world.end_of(await world.start(saga))).outputs() == {"ship": "shipped b"}


def test_a_number_that_is_true_or_a_policy_that_is_a_number_is_refused() -> None:
    shop = StepRegistry("shop")
    anything: Any = True
    with pytest.raises(ValueError, match="a duration must be a number of seconds above zero"):
        shop.step(timeout=anything)(coroutine)
    with pytest.raises(ValueError, match="a duration must be a number of seconds above zero"):
        Saga("one", timeout=anything)
    with pytest.raises(ValueError, match="attempts_max must be at least 1"):
        Retry(attempts_max=anything)
    with pytest.raises(DefinitionError, match=r"the retry of step 'coroutine' is True; write it as Retry"):
        shop.step(retry=anything)(coroutine)
    saga: Saga[Any] = Saga("one")
    with pytest.raises(ArgumentError, match=r"unknowns_max is of type bool; give a whole number"):
        saga.step("shop.pack", unknowns_max=anything)


@dataclass
class Card:
    number: str


@dataclass
class Invoice:
    number: str


class Opaque:
    pass


class Login(pydantic.BaseModel):
    name: str
    password: pydantic.SecretStr


@dataclass
class Account:
    logins: list[Login]


def two_dataclasses(means: Card | Invoice) -> None: ...
def opaque(thing: Opaque) -> None: ...
def opaque_inside(things: dict[str, list[Opaque]]) -> None: ...
def opaque_answer() -> Opaque: ...  # type: ignore[empty-body]
def awaitable_answer() -> Awaitable[int]: ...  # type: ignore[empty-body]
def secret(password: pydantic.SecretStr) -> None: ...
def secret_inside(account: Account) -> None: ...
def secret_answer() -> Login: ...  # type: ignore[empty-body]
def only_for_type_checkers(price: Decimal) -> None: ...


ANNOTATIONS: list[tuple[Callable[..., Any], str]] = [
    (two_dataclasses, "takes 'means', which no saga can give it: Type unions may not contain more than one dataclass"),
    (opaque, "takes 'thing', which no saga can give it: no JSON value becomes a Opaque"),
    (opaque_inside, "takes 'things', which no saga can give it: no JSON value becomes a Opaque"),
    (opaque_answer, "returns what cannot be kept: Opaque has no JSON form"),
    (awaitable_answer, "is something that is still to run, and no value"),
    (secret, "takes 'password', which no saga can give it: SecretStr would be lost"),
    (secret_inside, "takes 'account', which no saga can give it: SecretStr would be lost"),
    (secret_answer, "returns what cannot be kept: SecretStr would be lost"),
    (only_for_type_checkers, "has an annotation that cannot be read (name 'Decimal' is not defined)"),
]


@pytest.mark.parametrize(("pack", "says"), ANNOTATIONS, ids=lambda each: getattr(each, "__name__", ""))
async def test_a_type_that_cannot_come_out_of_json_or_go_into_it_is_refused(
    world: World, pack: Callable[..., Any], says: str
) -> None:
    shop = StepRegistry("shop")
    shop.step(pack)
    with pytest.raises(DefinitionError) as raised:
        await world.node(shop)
    assert says in str(raised.value)


def test_a_misspelt_optional_parameter_of_a_compensation_is_refused() -> None:
    shop = StepRegistry("shop")

    @shop.step
    def pack(box: str, colour: str = "red") -> None: ...

    @pack.compensation
    def unpack(box: str, color: str = "red") -> None: ...

    with pytest.raises(DefinitionError, match=r"'color', which is neither an input .* \(did you mean 'colour'\?\)"):
        check(shop)


SHOP = StepRegistry("shop")


@SHOP.step
def pack(box: str, colour: str = "red") -> None: ...


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"box": "b", "color": "blue"}, "gives 'shop.pack' an input 'color' that it does not take; did you mean colour?"),
        ({"colour": "blue"}, "gives 'shop.pack' no value for its input 'box'; add it to the inputs"),
    ],
)
async def test_inputs_that_do_not_fit_the_action_at_hand_are_refused(world: World, inputs: dict[str, Any], says: str) -> None:
    saga: Saga[Any] = Saga("one")
    saga.step(pack, inputs=inputs)
    with pytest.raises(DefinitionError) as raised:
        _ = saga.definition
    assert says in str(raised.value)
    by_name: Saga[Any] = Saga("one")
    by_name.step("shop.pack", inputs=inputs)  # whose code is in the process that registers it
    with pytest.raises(DefinitionError) as raised:
        await Conductor(await world.node(SHOP)).start(by_name, None)
    assert says in str(raised.value)


async def test_a_step_that_the_same_participant_lacks_is_refused(world: World) -> None:
    saga: Saga[Any] = Saga("one")
    saga.step("shop.park", inputs={"box": "b"})
    saga.step("elsewhere.park", id="other")
    with pytest.raises(DefinitionError, match=r"participant 'shop' has no such step here; did you mean pack\?") as raised:
        await Conductor(await world.node(SHOP)).start(saga, None)
    assert len(raised.value.problems) == 1


async def test_a_participant_without_steps_starts_what_others_run(world: World) -> None:
    saga: Saga[Any] = Saga("one")
    saga.step("shop.pack", inputs={"box": "b"})
    handle = await Conductor(await world.node(Participant("shop"))).start(saga, None)
    assert (await handle.view()).status == "queued"


def test_an_input_type_with_a_secret_is_refused() -> None:
    saga = Saga("one", input=Login)
    saga.step("shop.pack")
    with pytest.raises(DefinitionError, match="its input cannot be kept: SecretStr would be lost"):
        _ = saga.definition


class Tagged(msgspec.Struct, tag=True):
    x: int


class Other(msgspec.Struct, tag=True):
    x: int


def test_unions_that_can_be_told_apart_are_no_mistake() -> None:
    shop = StepRegistry("shop")

    @shop.step
    def fits(a: Tagged | Other, b: int | str | None, c: list[Card] | None, d: Any, e: object, f: dict[str, Any]) -> None: ...

    check(shop)
