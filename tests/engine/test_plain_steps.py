"""Errors of a plain step that are not its code's: what it returned cannot be kept, or it cannot be called with its inputs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
import pytest

from goconductor import Output, Retry, Saga
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.events import OutcomeDeclared
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.ports.store import Append, Log, Outcome, Verdict
from goconductor.stores.memory import MemoryStore
from goconductor.testing.world import World

OFTEN = Retry(attempts_max=5, initial_seconds=0.0)


class Moody:
    """A model of the user's, whose own code fails."""

    def model_dump(self, **_: Any) -> Any:
        raise RuntimeError("no mood for it")


class Response:
    """What a client for HTTP gives."""


def round_in_itself() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


UNKEEPABLE: dict[str, tuple[Callable[[], Any], str]] = {
    "a response": (Response, "cannot be encoded"),
    "a model whose code fails": (Moody, "no mood for it"),
    "too large": (lambda: "x" * 2_000, "the output is 2002 bytes, at most 1000 are kept"),
    "NaN": (lambda: float("nan"), "JSON does not have"),
    "NUL": (lambda: "a\0b", "NUL"),
    "a circle": (round_in_itself, "cannot be encoded"),
}
unkeepable = pytest.mark.parametrize(("made", "says"), UNKEEPABLE.values(), ids=UNKEEPABLE.keys())


class Shop:
    """``pay`` returns what it is given; what ran is noted."""

    def __init__(self, made: Callable[[], Any]) -> None:
        self.registry = StepRegistry("shop")
        self.ran: list[object] = []

        @self.registry.step(retry=OFTEN)
        async def reserve() -> int:
            self.ran.append("reserve")
            return 7

        @reserve.compensation
        async def release() -> None:
            self.ran.append("release")

        @self.registry.step(retry=OFTEN)
        async def pay() -> Any:
            self.ran.append("pay")
            return made()

        @pay.compensation
        async def pay_back(receipt: Annotated[Any, Output]) -> None:
            self.ran.append(("pay back", receipt))

        @self.registry.step(retry=OFTEN)
        async def charge() -> Any:
            self.ran.append("charge")
            return made()


@unkeepable
@pytest.mark.parametrize("pivot", [True, False])
async def test_what_cannot_be_undone_is_stuck_at_once_with_the_reason(
    world: World, made: Callable[[], Any], says: str, pivot: bool, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop(made)
    await world.node(shop.registry, payload_bytes_max=1_000)
    saga: Saga[Any] = Saga("order")
    reserve = saga.step("shop.reserve", pivot=not pivot)
    saga.step("shop.charge", after=[reserve], pivot=pivot)
    saga_id = await world.start(saga)
    state = await world.end_of(saga_id)
    assert (state.status, state.step("charge").action.status) == (SagaStatus.STUCK, ActionStatus.STUCK)
    failure = state.step("charge").failure
    assert failure is not None
    assert failure.message.startswith("it ran, but its output cannot be kept: ")
    assert says in failure.message
    assert failure.message.endswith("declare that it happened, with the output that it should have had")
    assert any(says in record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
    assert shop.ran == ["reserve", "charge"]
    await world.nodes[0].request(saga_id, OutcomeDeclared("charge", happened=True, output={"id": 5}, reason="seen at the bank"))
    state = await world.end_of(saga_id)
    assert (state.status, state.step("charge").output) == (SagaStatus.COMPLETED, {"id": 5})
    assert shop.ran == ["reserve", "charge"]


@unkeepable
async def test_what_can_be_undone_is_undone_without_an_output(world: World, made: Callable[[], Any], says: str) -> None:
    shop = Shop(made)
    await world.node(shop.registry, payload_bytes_max=1_000)
    saga: Saga[Any] = Saga("order")
    reserve = saga.step("shop.reserve")
    saga.step("shop.pay", after=[reserve])
    saga_id = await world.start(saga)
    state = await world.end_of(saga_id)
    assert state.status is SagaStatus.COMPENSATED
    assert says in state.reason
    assert shop.ran == ["reserve", "pay", ("pay back", None), "release"]
    assert (await world.events(saga_id))[2] == "OutputRejected pay"


class Unwilling:
    """The log of a database that will never take one output: somebody's trigger says no."""

    def __init__(self, truth: Log) -> None:
        self._truth = truth
        self.read = truth.read

    async def append(self, appends: Sequence[Append]) -> list[Outcome]:
        refused = Outcome(verdict=Verdict.REJECTED, problem="no such number")
        ours = [append for append in appends if not any(b"unwanted" in entry.data for entry in append.entries)]
        done = iter(await self._truth.append(ours))
        return [next(done) if append in ours else refused for append in appends]


@pytest.mark.parametrize("step", ["pay", "charge"])
async def test_what_the_database_refuses_for_good_is_an_output_that_cannot_be_kept(world: World, step: str) -> None:
    shop = Shop(lambda: "unwanted")
    store = MemoryStore(data=world.store.data)
    store.log = Unwilling(world.store.log)
    await world.node(shop.registry, store=store)
    saga: Saga[Any] = Saga("order")
    reserve = saga.step("shop.reserve")
    saga.step(f"shop.{step}", after=[reserve], pivot=step == "charge")
    state = await world.end_of(await world.start(saga))
    failure = state.step(step).failure
    assert failure is not None
    assert "it ran, but its output cannot be kept: the database refuses an event of saga" in failure.message
    assert "no such number" in failure.message
    undone = [("pay back", None), "release"] if step == "pay" else []
    assert (state.status, shop.ran) == ("compensated" if undone else "stuck", ["reserve", step, *undone])


class Cart(msgspec.Struct):
    lines: int


def shelf(ran: list[str], *, retry: Retry | None = None, fails_first: bool = False) -> StepRegistry:
    registry = StepRegistry("shop")

    @registry.step
    async def look() -> None:
        ran.append("look")

    @look.compensation
    async def look_away() -> None:
        ran.append("look away")

    @registry.step(retry=retry)
    async def pack(cart: Cart) -> None:
        ran.append("pack")
        if fails_first:
            raise ValueError("no tape")

    @pack.compensation
    async def unpack(cart: Cart) -> None:
        ran.append("unpack")

    return registry


def packing(**inputs: object) -> Saga[Any]:
    saga: Saga[Any] = Saga("packing")
    look = saga.step("shop.look")
    saga.step("shop.pack", after=[look], inputs=inputs)
    return saga


@pytest.mark.parametrize("inputs", [{"cart": 5}, {}, {"cart": Saga("packing").input.cart}])
async def test_a_step_that_cannot_be_called_leaves_nothing_to_undo(world: World, inputs: dict[str, object]) -> None:
    """Its compensation takes the same inputs, so it cannot be called either."""
    ran: list[str] = []
    await world.node(shelf(ran))
    saga_id = await world.start(packing(**inputs), {})
    state = await world.end_of(saga_id)
    assert state.status is SagaStatus.COMPENSATED
    assert state.step("pack").compensation.status is CompensationStatus.DONE
    assert state.reason.startswith("step 'pack': PayloadError: ")
    assert ran == ["look", "look away"]


async def test_a_converter_of_the_users_that_fails_is_the_same(world: World) -> None:
    ran: list[str] = []

    class Strict(msgspec.Struct):
        lines: int

        def __post_init__(self) -> None:
            raise RuntimeError("the catalogue is away")

    registry = StepRegistry("shop")

    async def pack(cart: Strict) -> None:
        ran.append("pack")

    pack.__annotations__ = {"cart": Strict}
    registry.step(retry=OFTEN)(pack)
    await world.node(registry)
    saga: Saga[Any] = Saga("packing")
    saga.step("shop.pack", inputs={"cart": {"lines": 3}})
    state = await world.end_of(await world.start(saga, {}))
    assert state.status is SagaStatus.COMPENSATED
    assert (ran, state.step("pack").action.attempt) == ([], 1)


async def test_a_step_that_was_called_before_is_left_to_a_person(world: World) -> None:
    """Its first attempt may have had an effect, though the second could not be called: by other code, in a rolling deployment."""
    ran: list[str] = []
    old = await world.node(shelf(ran, retry=Retry(attempts_max=3, initial_seconds=30.0), fails_first=True))
    saga_id = await world.start(packing(cart={"lines": 3}), {})
    appended = world.store.appended
    while (await world.state(saga_id)).step("pack").action.status is not ActionStatus.BACKOFF:
        await appended.wait()
        appended = world.store.appended

    class Cart2(msgspec.Struct):
        weight: float

    new = StepRegistry("shop")

    @new.step
    async def look() -> None: ...

    @look.compensation
    async def look_away() -> None: ...

    async def pack(cart: Cart2) -> None:
        ran.append("pack anew")

    async def unpack(cart: Cart2) -> None:
        ran.append("unpack anew")

    pack.__annotations__ = unpack.__annotations__ = {"cart": Cart2}
    new.step(pack).compensation(unpack)
    await world.node(new)
    await world.leave(old)
    while not (await world.state(saga_id)).stuck_steps:
        await world.live(5.0)
    state = await world.state(saga_id)
    assert state.step("pack").compensation.status is CompensationStatus.STUCK
    assert ran == ["look", "pack"]
