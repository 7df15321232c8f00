"""What is kept and logged of an exception: what it is to count as, where it was raised, and no secret."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from goconductor import PermanentError, RefusedError, Retry, Saga, TemporaryError
from goconductor.engine.steps.failures import TRACEBACK_MAX, delay_of, failure_of
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.state import Failure, SagaState
from goconductor.testing.world import World

ONCE = Retry(attempts_max=1)
EVEN = Retry(attempts_max=3, initial_seconds=10.0, factor=1.0, jitter=0.0)


async def failed(world: World, pack: Callable[[], Any], *, retry: Retry = ONCE, limit: str | None = None) -> SagaState:
    """The end of a saga whose only step is this."""
    shop = StepRegistry("shop")
    shop.step(name="pack", retry=retry, timeout=limit)(pack)
    await world.node(shop)
    saga: Saga[Any] = Saga("one")
    saga.step("shop.pack")
    saga_id = await world.start(saga)
    await world.clock.advance(60)
    return await world.end_of(saga_id)


def reason_of(state: SagaState) -> Failure:
    failure = state.step("pack").failure
    assert failure is not None
    return failure


def deep() -> None:
    raise ValueError("bad")


async def asynchronous() -> None:
    deep()


def threaded() -> None:
    deep()


@pytest.mark.parametrize("pack", [asynchronous, threaded])
async def test_a_failure_keeps_where_it_was_raised_from_the_steps_own_code_on(world: World, pack: Callable[[], Any]) -> None:
    text = reason_of(await failed(world, pack)).traceback
    assert text.startswith("Traceback (most recent call last):")
    assert text.endswith("ValueError: bad")
    assert 'raise ValueError("bad")' in text
    assert f", in {pack.__name__}" in text
    assert "invoke.py" not in text  # nor any other code of ours


async def test_a_traceback_is_logged_once_over_all_attempts(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "goconductor"):
        await failed(world, asynchronous, retry=EVEN)
    said = [each for each in caplog.records if "raised ValueError: bad" in each.getMessage()]
    assert [each.exc_info is not None for each in said] == [True, False, False]


async def test_an_answer_is_logged_without_a_traceback(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def pack() -> None:
        raise PermanentError("broken")

    with caplog.at_level(logging.WARNING, "goconductor"):
        state = await failed(world, pack)
    (said,) = [each for each in caplog.records if "raised PermanentError: broken" in each.getMessage()]
    assert said.exc_info is None
    assert "in pack" in reason_of(state).traceback  # but it is kept


async def test_a_refusal_has_no_traceback() -> None:
    assert failure_of(RefusedError("no")) == Failure("RefusedError", "no", retryable=False)


async def test_what_is_kept_of_a_traceback_is_bounded_and_is_its_end() -> None:
    error = ValueError("x" * 100_000)
    kept = failure_of(error).traceback
    assert len(kept) <= TRACEBACK_MAX + 1
    assert kept.endswith("xxx")


async def test_no_password_of_a_url_is_kept() -> None:
    failure = failure_of(ValueError("cannot reach postgresql://app:hunter2@db/orders"))
    assert "hunter2" not in failure.message + failure.traceback
    assert all("postgresql://app:**********@db/orders" in each for each in (failure.message, failure.traceback))


GROUPED: dict[str, tuple[BaseException, str, bool, float | None]] = {
    "a refusal": (RefusedError("no stock"), "RefusedError: no stock", False, None),
    "a permanent failure": (PermanentError("broken"), "PermanentError: broken", False, None),
    "a temporary failure": (TemporaryError("busy", delay_seconds=7), "TemporaryError: busy", True, 7.0),
    "the longest of several waits": (
        ExceptionGroup("two", [TemporaryError("a", delay_seconds=3), TemporaryError("b", delay_seconds=9)]),
        "TemporaryError: b",
        True,
        9.0,
    ),
    "the strictest of several": (
        ExceptionGroup("three", [TemporaryError("busy"), ExceptionGroup("in", [RefusedError("no")]), ValueError("bad")]),
        "RefusedError: no",
        False,
        None,
    ),
}


@pytest.mark.parametrize(("error", "says", "retryable", "delay"), GROUPED.values(), ids=GROUPED.keys())
async def test_an_answer_inside_a_group_counts_as_what_it_is(
    error: BaseException, says: str, retryable: bool, delay: float | None
) -> None:
    group = BaseExceptionGroup("unhandled errors in a TaskGroup", [error])
    failure = failure_of(group)
    assert (str(failure), failure.retryable, delay_of(group)) == (says, retryable, delay)


async def test_a_refusal_inside_a_task_group_turns_the_saga_back_at_once(world: World) -> None:
    runs: list[str] = []

    async def refuse() -> None:
        raise RefusedError("no stock")

    async def pack() -> None:
        runs.append("begun")
        async with asyncio.TaskGroup() as group:
            group.create_task(refuse())
            group.create_task(asyncio.Event().wait())

    state = await failed(world, pack, retry=EVEN)
    assert (state.status, state.reason) == ("compensated", "step 'pack': RefusedError: no stock")
    assert runs == ["begun"]


async def test_a_group_without_an_answer_names_its_parts() -> None:
    failure = failure_of(ExceptionGroup("several", [ValueError("a"), KeyError("b")]))
    assert str(failure) == "ExceptionGroup: several (2 sub-exceptions): ValueError: a; KeyError: 'b'"
    assert failure.retryable


async def test_our_own_time_limit_says_so_and_names_it(world: World) -> None:
    async def pack() -> None:
        await asyncio.Event().wait()

    failure = reason_of(await failed(world, pack, limit="50ms"))
    assert failure.type == "TimeoutError"
    assert failure.message == (
        "the action took longer than its time limit of 0.05 s; give step 'shop.pack' a longer one, or find what it waits for"
    )
    assert "await asyncio.Event().wait()" in failure.traceback  # where it was when its time was over


async def test_a_time_limit_of_the_steps_own_code_is_not_called_ours(world: World) -> None:
    async def pack() -> None:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()

    failure = reason_of(await failed(world, pack))
    assert (failure.type, failure.message) == ("TimeoutError", "")
    assert "asyncio.timeout(0.001)" in failure.traceback


async def test_a_failure_that_an_older_version_wrote_has_none() -> None:
    assert Failure("ValueError", "bad").traceback == ""
