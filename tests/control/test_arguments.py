"""An argument of a wrong type is one clear error of ours, which names the argument and what to give, wherever it is given."""

from __future__ import annotations

import inspect
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import goconductor
from goconductor import (
    ArgumentError,
    Conductor,
    GoConductorError,
    Listener,
    Participant,
    PayloadError,
    Retry,
    Saga,
    SagaHandle,
    Settings,
    blocking,
)
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.effects import RunAction
from goconductor.lifecycle.facts.events import SagaStarted
from goconductor.saga.writing.steps import Step, StepOptions
from goconductor.testing import Scenario
from goconductor.testing.world import World

SHOP = StepRegistry("shop")


@SHOP.step
async def pack(box: str = "b") -> str:
    return box


def saga() -> Saga[Any]:
    one: Saga[Any] = Saga("one")
    one.step(pack)
    return one


class Wrong:
    """What nobody takes."""


TABLE: list[tuple[str, Callable[[Any], Any], str]] = [
    ("Participant", Participant, "name"),
    ("Participant", lambda wrong: Participant("x", concurrency=wrong), "concurrency"),
    ("Participant.step", lambda wrong: Participant("x").step(wrong), "step"),
    ("Participant.step", lambda wrong: Participant("x").step(name=wrong), "name"),
    ("Participant.step", lambda wrong: Participant("x").step(transaction=wrong), "transaction"),
    ("Participant.step", lambda wrong: Participant("x").step(concurrency=wrong), "concurrency"),
    ("Participant.step", lambda wrong: Participant("x").step(retry=wrong)(pack.function), "retry"),
    ("Participant.step", lambda wrong: Participant("x").step(compensation_retry=wrong)(pack.function), "compensation_retry"),
    ("Participant.step", lambda wrong: Participant("x").step(timeout=wrong)(pack.function), "duration"),
    ("Participant.listen", lambda wrong: Participant("x").listen(wrong), "listener"),
    ("Participant.listen", lambda _: Participant("x").listen(Listener), "listener"),  # type: ignore[arg-type]
    ("Participant.run", lambda wrong: Participant("x").run(wrong), "settings"),
    ("Participant.running", lambda wrong: Participant("x").running(wrong).__aenter__(), "settings"),
    ("Action.compensation", lambda wrong: StepRegistry("x").step(pack.function).compensation(wrong), "compensation"),
    ("Saga", Saga, "name"),
    ("Saga", lambda _: Saga("x", input={"sku": str}), "input"),  # type: ignore[arg-type]
    ("Saga", lambda _: Saga("x", input=RunAction("pack")), "input"),  # type: ignore[arg-type]
    ("Saga", lambda wrong: Saga("x", input_schema=wrong), "input_schema"),
    ("Saga", lambda wrong: Saga("x", timeout=wrong), "duration"),
    ("Saga.step", lambda wrong: saga().step(wrong), "action"),
    ("Saga.step", lambda _: saga().step(pack.function), "action"),  # type: ignore[call-overload]
    ("Saga.step", lambda _: saga().step(saga().input.pack), "action"),
    *(
        ("Saga.step", lambda wrong, option=option: saga().step("a.b", **{option: wrong}), option)
        for option in StepOptions.__annotations__
    ),
    ("Saga.step", lambda _: saga().step("a.b", after="pack"), "after"),  # type: ignore[arg-type]
    ("Saga.step", lambda _: saga().step("a.b", after=["pack"]), r"after\[0\]"),  # type: ignore[list-item]
    ("Saga.step", lambda _: saga().step("a.b", after=saga().step("a.c")), "after"),  # type: ignore[call-overload]
    ("Saga.step", lambda _: saga().step("a.b", inputs={"box": Step("pack")}), r"inputs\['box'\]"),
    ("Saga.step", lambda _: saga().step("a.b", inputs={"box": saga()}), r"inputs\['box'\]"),
    ("Saga.step", lambda wrong: saga().step("a.b", inputs={wrong: 1}), "inputs"),
    ("Saga.step", lambda wrong: saga().step("a.b", pivott=wrong), "did you mean pivot"),  # type: ignore[call-overload]
    ("Saga.step", lambda _: saga().step(pack, compensation=True), "compensation"),
    ("Saga.later", lambda wrong: saga().later(wrong), "id"),
    ("Saga.returns", lambda _: saga().returns(Step("pack")), "place"),
    ("Retry", lambda wrong: Retry(attempts_max=wrong), "attempts_max"),
    ("Retry", lambda wrong: Retry(initial_seconds=wrong), "initial_seconds"),
    ("Retry", lambda wrong: Retry(factor=wrong), "factor"),
    ("Retry", lambda wrong: Retry(max_seconds=wrong), "max_seconds"),
    ("Retry", lambda wrong: Retry(jitter=wrong), "jitter"),
    ("Settings.load", Settings.load, "path"),
    ("connect", lambda wrong: goconductor.connect(wrong).__aenter__(), "settings"),
    ("blocking.connect", blocking.connect, "settings"),
    ("blocking.connect", lambda wrong: blocking.connect(open_timeout_seconds=wrong), "open_timeout_seconds"),
    ("Scenario", Scenario, "saga"),
    ("Scenario.given", lambda wrong: Scenario(saga()).given(wrong), "event"),
    ("Scenario.given", lambda _: Scenario(saga()).given(SagaStarted), "event"),  # type: ignore[arg-type]
    ("Scenario.wait", lambda wrong: Scenario(saga()).given(SagaStarted()).wait(wrong), "duration"),
    ("Scenario.expect", lambda wrong: Scenario(saga()).given(SagaStarted()).expect(wrong), r"effects\[0\]"),
]
IN_A_WORLD: list[tuple[str, Callable[[World, Conductor, Any], Awaitable[Any]], str]] = [
    ("start", lambda _, conductor, wrong: conductor.start(wrong, None), "saga"),
    ("start", lambda _, conductor, __: conductor.start(Saga, None), "saga"),  # type: ignore[call-overload]
    ("start", lambda _, conductor, wrong: conductor.start(saga(), wrong), "encoded"),
    ("start", lambda _, conductor, wrong: conductor.start(saga(), None, key=wrong), "key"),
    ("start", lambda _, conductor, wrong: conductor.start(saga(), None, labels=wrong), "labels"),
    ("saga", lambda _, conductor, wrong: conductor.saga(wrong).result(), "saga_id"),
    ("saga", lambda _, conductor, __: conductor.saga("order 17").result(), "saga_id 'order 17' is no UUID"),
    ("World.node", lambda world, _, wrong: world.node(wrong), "registry"),
    ("World.start", lambda world, _, wrong: world.start(wrong), "saga"),
    ("World.state", lambda world, _, wrong: world.state(wrong), "saga_id"),
    ("World.end_of", lambda world, _, wrong: world.end_of(wrong), "saga_id"),
    ("World.events", lambda world, _, wrong: world.events(wrong), "saga_id"),
]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


async def refusal_of(asked: Callable[[], Any]) -> BaseException:
    async def ask() -> None:
        answer = asked()
        if inspect.isawaitable(answer):
            await answer

    with pytest.raises((GoConductorError, ValueError)) as raised:
        await ask()
    raised_in = pathlib.Path(raised.traceback[-1].path)
    assert raised_in.is_relative_to(pathlib.Path(goconductor.__file__).parent)
    return raised.value


@pytest.mark.parametrize(("name", "ask", "says"), TABLE, ids=lambda each: each if isinstance(each, str) else "")
async def test_an_argument_of_a_wrong_type_is_named(name: str, ask: Callable[[Any], Any], says: str) -> None:
    error = await refusal_of(lambda: ask(Wrong()))
    assert says.replace("\\", "") in str(error), name


@pytest.mark.parametrize(("name", "ask", "says"), IN_A_WORLD, ids=lambda each: each if isinstance(each, str) else "")
async def test_an_argument_of_a_wrong_type_is_named_in_a_world(
    world: World, name: str, ask: Callable[[World, Conductor, Any], Awaitable[Any]], says: str
) -> None:
    conductor = await world.conductor(SHOP)
    error = await refusal_of(lambda: ask(world, conductor, Wrong()))
    assert says in str(error), name
    assert not world.store.data.heads


REQUESTS: dict[str, dict[str, Any]] = {
    "history": {},
    "pause": {},
    "resume": {},
    "abort": {},
    "terminate": {"reason": "why"},
    "drop_signal": {"signal": "bank-17", "reason": "why"},
    "migrate": {"version": "another"},
    "retry": {"step": "pack"},
    "skip": {"step": "pack", "reason": "why"},
    "declare": {"step": "pack", "reason": "why", "happened": True},
    "edit_input": {"step": "pack", "reason": "why", "inputs": {}},
}
ASKED = [(name, each) for name in REQUESTS for each in inspect.signature(getattr(SagaHandle, name)).parameters if each != "self"]
FILTERS = [each for each in inspect.signature(Conductor.sagas).parameters if each != "self"]


@pytest.mark.parametrize(("name", "argument"), ASKED)
async def test_each_argument_of_what_is_asked_of_a_saga_is_named(world: World, name: str, argument: str) -> None:
    handle = await (await world.conductor()).start(saga(), None)
    with pytest.raises(PayloadError if argument == "output" else ArgumentError, match=argument):
        await getattr(handle, name)(**{**REQUESTS[name], argument: Wrong()})
    assert (await world.state(handle.saga_id)).status == "queued"


@pytest.mark.parametrize("argument", FILTERS)
async def test_each_filter_of_a_list_is_named(world: World, argument: str) -> None:
    filters: dict[str, Any] = {argument: Wrong()}
    with pytest.raises(ArgumentError, match=f"{argument} is of type Wrong; give "):
        await (await world.conductor()).sagas(**filters)


async def test_a_key_that_is_no_text_finds_nothing(world: World) -> None:
    wrong: Any = 17
    with pytest.raises(ArgumentError, match="key is of type int; give a text"):
        await (await world.conductor()).find("one", key=wrong)


async def test_a_wait_that_is_no_number_is_refused_and_the_saga_goes_on(world: World) -> None:
    conductor = Conductor(await world.node(SHOP))
    handle = await conductor.start(saga(), None)
    for wrong in ("3", None, Wrong()):
        with pytest.raises(ArgumentError, match=r"timeout_seconds is .*; give seconds as a number"):
            await handle.result(timeout_seconds=wrong)  # type: ignore[arg-type]
    assert await handle.result() == {"pack": "b"}


async def test_a_saga_is_taken_up_by_the_text_of_its_id(world: World) -> None:
    conductor = await world.conductor(SHOP)
    handle = await conductor.start(saga(), None)
    again = conductor.saga(str(handle.saga_id))
    assert again.saga_id == handle.saga_id
    assert await again.result() == {"pack": "b"}
    assert (await world.state(str(handle.saga_id))).status == "completed"


async def test_a_plain_step_that_returns_a_coroutine_says_how_to_write_it(world: World) -> None:
    shop = StepRegistry("shop")

    async def ask() -> str:
        raise AssertionError

    @shop.step
    def forgets() -> Any:
        return ask()

    @shop.step
    def forgets_inside() -> Any:
        return {"answer": [ask()]}

    @shop.step
    async def forgets_to_await() -> Any:
        return ask()

    conductor = await world.conductor(shop)
    for action in (forgets, forgets_inside, forgets_to_await):
        one: Saga[Any] = Saga("one")
        one.step(action)
        handle = await conductor.start(one, None)
        with pytest.raises(GoConductorError, match="a coroutine is still to run: write the step as 'async def', and await it"):
            await handle.result()
