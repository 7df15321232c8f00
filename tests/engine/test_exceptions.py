"""Whatever user code raises becomes an event: tried again, given up on, or compensated as it says. The participant goes on."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from goconductor import PermanentError, RefusedError, Retry, Saga, StepContext, TemporaryError
from goconductor.engine.steps.registry import StepRegistry
from goconductor.testing.world import World

ONCE = Retry(attempts_max=1)
EVEN = Retry(attempts_max=4, initial_seconds=10.0, factor=3.0, jitter=0.0)


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class ForgetfulError(TemporaryError):
    def __init__(self) -> None:  # its author forgot super()
        Exception.__init__(self, "forgot")


RAISED: dict[str, tuple[BaseException, str]] = {
    "ValueError": (ValueError("bad"), "ValueError: bad"),
    "RefusedError": (RefusedError("no"), "RefusedError: no"),
    "SystemExit": (SystemExit(3), "SystemExit: 3"),
    "KeyboardInterrupt": (KeyboardInterrupt(), "KeyboardInterrupt"),
    "GeneratorExit": (GeneratorExit("gone"), "GeneratorExit: gone"),
    "CancelledError": (asyncio.CancelledError("mine"), "CancelledError: mine"),
    "StopIteration": (StopIteration("over"), "StopIteration"),
    "StopAsyncIteration": (StopAsyncIteration("over"), "StopAsyncIteration: over"),
    "ExceptionGroup": (ExceptionGroup("several", [ValueError("a"), KeyError("b")]), "ExceptionGroup: several (2 sub-exceptions)"),
    "BaseExceptionGroup": (BaseExceptionGroup("several", [SystemExit(1)]), "BaseExceptionGroup: several (1 sub-exception)"),
    "RecursionError": (RecursionError("deep"), "RecursionError: deep"),
    "MemoryError": (MemoryError(), "MemoryError"),
    "surrogate": (ValueError("\ud800"), "ValueError: ?"),
    "NUL": (ValueError("a\0b"), "ValueError: a\N{REPLACEMENT CHARACTER}b"),
    "no text": (SpeechlessError(), "SpeechlessError"),
    "a delay that was forgotten": (ForgetfulError(), "ForgetfulError"),
    "a long text": (ValueError("x" * 100_000), "ValueError: xxx"),
    "infinite delay": (TemporaryError("later", delay_seconds=float("inf")), "TemporaryError: later"),
    "NaN delay": (TemporaryError("later", delay_seconds=float("nan")), "TemporaryError: later"),
    "a delay that is text": (TemporaryError("later", delay_seconds="10s"), "TemporaryError: later"),  # type: ignore[arg-type]
}
kinds_of_errors = pytest.mark.parametrize(("error", "says"), RAISED.values(), ids=RAISED.keys())


def one_step_saga(retry: Retry | None = None, **options: Any) -> Saga[Any]:
    saga: Saga[Any] = Saga("one")
    saga.step("shop.pack", retry=retry, **options)
    return saga


async def goes_on(world: World, shop: StepRegistry) -> None:
    """Another saga of the same participant."""
    saga: Saga[Any] = Saga("other")
    saga.step("shop.other")
    assert (await world.end_of(await world.start(saga))).status == "completed"


@kinds_of_errors
@pytest.mark.parametrize("how", ["async", "thread"])
async def test_an_action_may_raise_anything(world: World, error: BaseException, says: str, how: str) -> None:
    shop = StepRegistry("shop")

    async def asynchronous() -> None:
        raise error

    def threaded() -> None:
        raise error

    shop.step(name="pack")(asynchronous if how == "async" else threaded)

    @shop.step
    async def other() -> None: ...

    node = await world.node(shop)
    state = await world.end_of(await world.start(one_step_saga(ONCE)))
    assert state.status == "compensated"
    assert says in state.reason
    assert len(state.reason) < 2_100
    assert node.counts["step_errors"] == 1
    await goes_on(world, shop)


@kinds_of_errors
async def test_a_compensation_may_raise_anything(world: World, error: BaseException, says: str) -> None:
    shop = StepRegistry("shop")

    @shop.step(compensation_retry=ONCE)
    async def pack() -> None:
        raise PermanentError

    @pack.compensation
    async def unpack() -> None:
        raise error

    @shop.step
    async def other() -> None: ...

    await world.node(shop)
    saga: Saga[Any] = Saga("one")
    saga.step(pack)
    state = await world.end_of(await world.start(saga))
    assert state.status == "stuck"
    assert says.partition(":")[0] in str(state.step("pack").failure)
    await goes_on(world, shop)


@pytest.mark.parametrize(
    "error",
    [error for error, _ in RAISED.values() if not isinstance(error, RefusedError)],
    ids=lambda error: type(error).__name__,
)
async def test_a_delay_that_makes_no_sense_leaves_the_wait_to_the_policy(world: World, error: BaseException) -> None:
    """Retries of whatever may be retried end within the policy's time."""
    shop = StepRegistry("shop")
    attempts = []

    @shop.step
    async def pack() -> str:
        attempts.append(world.clock.now())
        if len(attempts) == 1:
            raise error
        return "packed"

    await world.node(shop)
    saga_id = await world.start(one_step_saga(EVEN))
    await world.clock.advance(10)
    assert (await world.end_of(saga_id)).status == "completed"
    assert attempts[1] - attempts[0] == pytest.approx(10)


async def test_retries_come_on_time_with_their_backoff_and_then_it_is_given_up(world: World) -> None:
    shop = StepRegistry("shop")
    began = world.clock.now()
    at: list[tuple[int, float]] = []

    @shop.step
    async def pack() -> None:
        at.append((len(at) + 1, world.clock.now() - began))
        raise ValueError("bad")

    await world.node(shop)
    saga_id = await world.start(one_step_saga(EVEN))
    await world.clock.advance(30)
    assert [each for each, _ in at] == [1, 2]
    await world.clock.advance(200)
    assert at == [(1, 0), (2, pytest.approx(10)), (3, pytest.approx(40)), (4, pytest.approx(100))]
    assert (await world.end_of(saga_id)).status == "compensated"


async def test_a_step_may_say_how_long_to_wait_and_that_trying_again_is_useless(world: World) -> None:
    shop = StepRegistry("shop")
    at: list[float] = []

    @shop.step
    async def pack() -> None:
        at.append(world.clock.now())
        if len(at) == 1:
            raise TemporaryError("busy", delay_seconds=45)
        raise PermanentError("broken")

    await world.node(shop)
    saga_id = await world.start(one_step_saga(EVEN))
    await world.clock.advance(44)
    assert len(at) == 1
    await world.clock.advance(1)
    state = await world.end_of(saga_id)
    assert state.reason == "step 'pack': PermanentError: broken"
    assert len(at) == 2


async def test_what_a_step_knows_of_its_run(world: World) -> None:
    shop = StepRegistry("shop")
    seen: list[StepContext] = []

    @shop.step(timeout="20s", retry=EVEN)
    async def pack(ctx: StepContext) -> None:
        seen.append(ctx)
        if ctx.attempt == 1:
            raise ValueError
        assert 0 < ctx.seconds_left <= 20

    await world.node(shop)
    saga_id = await world.start(one_step_saga())
    await world.clock.advance(10)
    await world.end_of(saga_id)
    assert [(each.attempt, each.round, each.saga, each.step, each.saga_id) for each in seen] == [
        (1, 0, "one", "pack", saga_id),
        (2, 0, "one", "pack", saga_id),
    ]
    assert {each.idempotency_key for each in seen} == {f"{saga_id}/pack/action/0"}


async def test_the_logger_of_a_step_says_whose_it_is(world: World, caplog: pytest.LogCaptureFixture) -> None:
    shop = StepRegistry("shop")

    @shop.step
    def pack(ctx: StepContext) -> None:
        ctx.logger.warning("packing")

    await world.node(shop)
    saga_id = await world.start(one_step_saga())
    await world.end_of(saga_id)
    (record,) = [each for each in caplog.records if each.getMessage() == "packing"]
    assert (record.__dict__["saga_id"], record.__dict__["step"], record.__dict__["attempt"]) == (str(saga_id), "pack", 1)


async def test_an_async_step_that_takes_too_long_is_cancelled_and_may_be_tried_again(world: World) -> None:
    shop = StepRegistry("shop")
    runs: list[str] = []

    @shop.step(timeout="50ms", retry=EVEN)
    async def pack() -> str:
        runs.append("begun")
        if len(runs) == 1:
            try:
                await asyncio.Event().wait()
            finally:
                runs.append("cancelled")
        return "packed"

    await world.node(shop)
    saga_id = await world.start(one_step_saga())
    appended = world.store.appended
    while "ActionFailed pack" not in await world.events(saga_id):
        await appended.wait()
        appended = world.store.appended
    assert (await world.state(saga_id)).step("pack").failure is not None
    assert "TimeoutError" in str((await world.state(saga_id)).step("pack").failure)
    await world.clock.advance(10)
    assert (await world.end_of(saga_id)).outputs() == {"pack": "packed"}
    assert runs == ["begun", "cancelled", "begun"]


async def test_an_async_step_that_finishes_in_spite_of_its_timeout_has_succeeded(world: World) -> None:
    shop = StepRegistry("shop")

    @shop.step(timeout="20ms")
    async def pack() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "late, but packed"

    await world.node(shop)
    assert (await world.end_of(await world.start(one_step_saga()))).outputs() == {"pack": "late, but packed"}


async def test_a_thread_that_takes_too_long_is_left_behind(world: World) -> None:
    shop = StepRegistry("shop")
    release, finished = threading.Event(), threading.Event()

    @shop.step(timeout="50ms", retry=ONCE)
    def pack() -> str:
        release.wait(600)
        finished.set()
        return "late"

    await world.node(shop)
    state = await world.end_of(await world.start(one_step_saga()))
    assert state.status == "compensated"
    assert "TimeoutError" in state.reason
    release.set()
    assert await asyncio.to_thread(finished.wait, 300)


async def test_a_step_that_cancels_itself_is_no_drain(world: World) -> None:
    shop = StepRegistry("shop")

    @shop.step(retry=ONCE)
    async def pack() -> None:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()

    await world.node(shop)
    assert "TimeoutError" in (await world.end_of(await world.start(one_step_saga()))).reason


async def test_a_plain_pivot_whose_output_cannot_be_kept_is_no_failure(world: World) -> None:
    """It returned, so what it did stands: nothing before it may be compensated; an operator is asked."""
    registry = StepRegistry("shop")

    @registry.step
    async def book() -> float:
        return float("nan")

    node = await world.node(registry)
    saga: Saga[Any] = Saga("booking")
    saga.step(book, pivot=True)
    saga_id = await world.start(saga)
    await world.live(60.0)
    assert (await node.view(saga_id)).state.status == "stuck"
