"""A policy chooses which errors are tried again: by the names of their types, and of the types that these derive from."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import PermanentError, Retry, Saga, TemporaryError
from goconductor.engine.facts import log
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.events import ActionFailed
from goconductor.ports.store import Known
from goconductor.saga.plan import Plan
from goconductor.testing.world import World


class GatewayError(ConnectionError):
    """An error of a library of the participant's: only its own process knows what it derives from."""


class JournalAwayError(GatewayError, TemporaryError):
    """Derives from two."""


def policy(on: tuple[str, ...] = (), not_on: tuple[str, ...] = ()) -> Retry:
    return Retry(attempts_max=3, initial_seconds=0, on=on, not_on=not_on)


CASES: dict[str, tuple[BaseException, Retry, int]] = {
    "its name": (GatewayError("x"), policy(on=("GatewayError",)), 3),
    "a base class": (GatewayError("x"), policy(on=("OSError",)), 3),
    "another name": (ValueError("x"), policy(on=("OSError",)), 1),
    "all but one": (ValueError("x"), policy(not_on=("KeyError",)), 3),
    "the one": (KeyError("x"), policy(not_on=("LookupError",)), 1),
    "not_on counts before on": (GatewayError("x"), policy(on=("OSError",), not_on=("ConnectionError",)), 1),
    "an answer that is final stays final": (PermanentError("x"), policy(on=("PermanentError",)), 1),
    "a temporary answer is an error like another": (TemporaryError("x"), policy(on=("OSError",)), 1),
    "a second base class": (JournalAwayError("x"), policy(on=("TemporaryError",)), 3),
    "each error of a group": (ExceptionGroup("g", [OSError("a"), KeyError("b")]), policy(on=("OSError", "KeyError")), 3),
    "not each error of a group": (ExceptionGroup("g", [OSError("a"), KeyError("b")]), policy(on=("OSError",)), 1),
    "the group by its own name": (ExceptionGroup("g", [OSError("a"), KeyError("b")]), policy(on=("ExceptionGroup",)), 3),
    "one of a group that is not": (ExceptionGroup("g", [OSError("a"), KeyError("b")]), policy(not_on=("KeyError",)), 1),
    "an answer in a group": (ExceptionGroup("g", [TemporaryError("a"), KeyError("b")]), policy(not_on=("KeyError",)), 3),
}
cases = pytest.mark.parametrize(("error", "retry", "attempts"), CASES.values(), ids=CASES.keys())


@cases
@pytest.mark.parametrize("who", ["the definition", "the owner"])
async def test_an_action_is_tried_again_where_its_policy_says_so(
    world: World, error: BaseException, retry: Retry, attempts: int, who: str
) -> None:
    shop = StepRegistry("shop")
    calls = []

    @shop.step(retry=retry if who == "the owner" else None)
    async def pack() -> None:
        calls.append(1)
        raise error

    node = await world.node(shop)
    saga: Saga[Any] = Saga("one")
    saga.step("shop.pack", retry=retry if who == "the definition" else None)
    saga_id = await world.start(saga)
    state = await world.end_of(saga_id)
    assert (state.status, len(calls)) == ("compensated", attempts)
    (tail,) = await node.store.log.read([Known(saga_id)])
    failed = [log.event(entry) for entry in tail.entries if entry.event == ActionFailed.__name__]
    assert len(failed) == attempts
    assert all(isinstance(event, ActionFailed) and event.retry in (None, policy()) for event in failed)


@cases
async def test_a_compensation_that_is_not_tried_again_waits_for_an_operator(
    world: World, error: BaseException, retry: Retry, attempts: int
) -> None:
    shop = StepRegistry("shop")
    calls = []

    @shop.step(compensation_retry=retry)
    async def pack() -> None:
        raise PermanentError

    @pack.compensation
    async def unpack() -> None:
        calls.append(1)
        raise error

    await world.node(shop)
    saga: Saga[Any] = Saga("one")
    saga.step(pack)
    assert (await world.end_of(await world.start(saga))).status == "stuck"
    assert len(calls) == attempts


async def test_a_step_behind_the_pivot_that_is_not_tried_again_waits_for_an_operator(world: World) -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def pay() -> None: ...

    @shop.step
    async def pack() -> None:
        raise ValueError("bad")

    await world.node(shop)
    saga: Saga[Any] = Saga("one")
    paid = saga.step(pay, pivot=True)
    saga.step(pack, after=[paid], retry=policy(on=("OSError",)))
    state = await world.end_of(await world.start(saga))
    assert (state.status, state.stuck_steps) == ("stuck", ["pack"])


def test_a_definition_with_names_is_one_that_older_code_does_not_know() -> None:
    def features(**options: Any) -> tuple[str, ...]:
        saga: Saga[Any] = Saga("one")
        saga.step("shop.pack", **options)
        return Plan(saga.definition).features

    assert features(retry=Retry(attempts_max=5)) == ()
    assert features(retry=policy(on=("OSError",))) == ("retry_on",)
    assert features(compensation_retry=policy(not_on=("OSError",))) == ("retry_on",)
