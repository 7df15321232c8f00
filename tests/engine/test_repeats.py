"""A repeat, run by the engine: over two participants, forward and back, each turn with its own data."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import PermanentError, Retry, Saga
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas import queries
from goconductor.control.sagas.requests import ask
from goconductor.control.sagas.story import saga_story
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.events import RetryRequested
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.testing.world import World


class Bank:
    """Charges part after part until nothing is due, and notes what it did and undid."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.charged, self.undone = list[Any](), list[Any]()
        self.bank, self.post = StepRegistry("bank"), StepRegistry("post")

        @self.bank.step(retry=Retry(attempts_max=1))
        async def charge(turn: int, due: int | None) -> dict[str, int]:
            left = (3 if due is None else due) - 1
            self.charged.append((turn, due))
            return {"due": left}

        @charge.compensation
        async def refund(turn: int, due: int | None, output: dict[str, int] | None) -> None:
            self.undone.append((turn, due, output))

        @self.post.step
        async def note(what: dict[str, int]) -> dict[str, int]:
            return what

        @self.post.step(retry=Retry(attempts_max=1))
        async def ship(last: dict[str, int]) -> dict[str, int]:
            if refuses:
                raise PermanentError("no such address")
            return last


def parts(*, delay: float | None = None, pivot_first: bool = False, max: int = 5) -> Saga[Any]:
    saga: Saga[Any] = Saga("parts")
    paid = [saga.step("post.note", id="paid", inputs={"what": {}}, pivot=True)] if pivot_first else []
    turns = saga.repeat(until="steps.note.output.due == 0", max=max, id="parts", delay=delay, after=paid)
    charged = turns.step("bank.charge", inputs={"turn": turns.index, "due": turns.previous.due})
    turns.step("post.note", inputs={"what": charged.output})
    return saga.returns(saga.step("post.ship", inputs={"last": turns.output}).output)


@pytest.mark.parametrize("delay", [None, 3_600.0], ids=["at once", "an hour apart"])
async def test_turns_are_done_until_the_condition_holds(world: World, delay: float | None) -> None:
    shop = Bank()
    node = await world.node(shop.bank)
    await world.node(shop.post)
    began = world.clock.now()
    saga_id = await world.start(parts(delay=delay))
    if delay is not None:
        await world.live(10.0)
        detail = await queries.saga_status(ANYBODY, node, saga_id)
        told = next(step for step in detail.steps if step.id == "parts")
        assert (detail.status, told.status) == ("waiting", "waiting")
        assert str(told.reason).endswith("UTC; then turn 2 begins")
    state = await world.end_of(saga_id, within_seconds=10_000)
    assert state.phase is SagaStatus.COMPLETED, state.reason
    assert shop.charged == [(0, None), (1, 2), (2, 1)]
    assert state.step("ship").output == {"due": 0}
    assert world.clock.now() - began >= 2 * (delay or 0)
    detail = await queries.saga_status(ANYBODY, node, saga_id)
    each = [f"parts[{turn}].{step}" for turn in range(3) for step in ("charge", "note")]
    assert [step.id for step in detail.steps] == [*each, "parts", "ship"]
    assert next(step.output for step in detail.steps if step.id == "parts") == {"due": 0}
    lines = [clause for line in (await saga_story(ANYBODY, node, saga_id)).lines for clause in line.consequences]
    assert [line for line in lines if line.startswith("turn")] == [f"turn {number} of parts begins" for number in (1, 2, 3)]


async def test_turns_are_undone_the_last_first_each_with_its_own_data(world: World) -> None:
    shop = Bank(refuses=True)
    await world.node(shop.bank)
    await world.node(shop.post)
    saga_id = await world.start(parts())
    assert (await world.end_of(saga_id)).phase is SagaStatus.COMPENSATED
    assert shop.undone == [(2, 1, {"due": 0}), (1, 2, {"due": 1}), (0, None, {"due": 2})]


async def test_an_operator_gives_a_stuck_repeat_one_turn_more(world: World) -> None:
    shop = Bank()
    node = await world.node(shop.bank)
    await world.node(shop.post)
    saga_id = await world.start(parts(pivot_first=True, max=2))
    assert (await world.end_of(saga_id)).stuck_steps == ["parts"]
    detail = await queries.saga_status(ANYBODY, node, saga_id)
    told = next(step for step in detail.steps if step.id == "parts")
    assert "after 2 turns its condition is still false: steps.note.output.due == 0" in str(told.error)
    assert {request.value for request in told.allowed} == {"retry", "skip", "declare"}
    await ask(ANYBODY, node, saga_id, RetryRequested("parts"))
    state = await world.end_of(saga_id)
    assert (state.phase, state.step("parts").length) == (SagaStatus.COMPLETED, 3)


@pytest.mark.parametrize("fallback", [False, True], ids=["allow_fail", "fallback"])
async def test_a_repeat_that_may_fail_is_a_saga_of_its_own_which_undoes_all_turns(world: World, fallback: bool) -> None:
    shop = Bank()

    @shop.post.step
    async def send(paid: dict[str, int] | None) -> dict[str, int] | None:
        return paid

    node = await world.node(shop.bank)
    await world.node(shop.post)
    paying: Saga[Any] = Saga("paying")
    turns = paying.repeat(until="steps.charge.output.due == 0", max=2, id="parts")
    turns.step("bank.charge", inputs={"turn": turns.index, "due": turns.previous.due})
    order: Saga[Any] = Saga("order")
    how: dict[str, Any] = {"fallback": order.later("invoice")} if fallback else {"allow_fail": True}
    paid = order.saga(paying, id="pay", inside=True, **how)
    if fallback:
        order.step("post.note", id="invoice", inputs={"what": {"due": 7}})
    order.returns(order.step("post.send", inputs={"paid": paid.output}).output)
    state = await world.end_of(await world.start(order, {}))
    assert state.status is SagaStatus.COMPLETED
    assert state.step("pay").action.status is ActionStatus.GIVEN_UP
    assert state.step("send").output == ({"due": 7} if fallback else None)
    assert shop.charged == [(0, None), (1, 2)]
    assert [turn for turn, *_ in shop.undone] == [1, 0]
    child = (await queries.list_sagas(ANYBODY, node, saga="order:pay")).sagas
    assert [each.status for each in child] == ["compensated"]
