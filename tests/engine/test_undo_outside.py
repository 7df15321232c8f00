"""Compensations that somebody outside ends: a refund that a bank takes today, and of which it says later what became of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from goconductor import Conductor, RefusedError, RequestRefusedError, Retry, Saga, StepContext, Undo
from goconductor.control.actor import ANYBODY
from goconductor.control.faults import RequestInvalidError
from goconductor.control.sagas.requests import RequestIdReusedError
from goconductor.control.sagas.story import saga_story
from goconductor.engine.log.folding import Submission
from goconductor.engine.steps.registry import StepRegistry
from goconductor.journals.memory import MemoryJournal
from goconductor.lifecycle.facts.events import OutcomeUnknown
from goconductor.lifecycle.facts.state import SagaState
from goconductor.saga.data.moments import SECONDS_MAX
from goconductor.saga.features import HANDED_OUT_UNDO
from goconductor.saga.ids import Direction, task_token
from goconductor.testing.world import World


class Bank:
    """A service whose refunds take days, and what it was told."""

    def __init__(self, *, ask_after: str | None = None) -> None:
        self.steps = StepRegistry("bank")
        self.tokens: list[str] = []
        self.keys: list[tuple[str, str]] = []
        self.done = False
        self.ask_after = ask_after
        self.steps.step(self.charge).compensation(self.refund)
        self.steps.step(self.credit)

    async def charge(self) -> str:
        return "paid"

    async def refund(self, ctx: StepContext) -> None:
        self.tokens.append(ctx.task_token)
        self.keys.append((ctx.idempotency_key, ctx.action_key))
        if not self.done:
            ctx.hand_out(ask_after=self.ask_after)

    async def credit(self, ctx: StepContext) -> None:
        await self.refund(ctx)


def order(**options: Any) -> Saga[Any]:
    saga: Saga[Any] = Saga("order")
    charge = saga.step("bank.charge", **options)
    saga.step("shop.ship", after=[charge])
    return saga


def shop() -> StepRegistry:
    steps = StepRegistry("shop")

    @steps.step
    async def ship() -> None:
        raise RefusedError("no van")

    return steps


async def waiting(world: World, bank: Bank, saga: Saga[Any] | None = None) -> tuple[Conductor, UUID, SagaState]:
    node = await world.node(bank.steps)
    await world.node(shop())
    saga_id = await world.start(saga or order())
    await world.live(1)
    state = await world.state(saga_id)
    assert state.step("charge").compensation.status == "waiting"
    return Conductor(node), saga_id, state


@pytest.mark.parametrize("options", [{}, {"undo": Undo("bank.credit")}], ids=["its own", "declared"])
async def test_a_report_ends_the_compensation(world: World, options: dict[str, Any]) -> None:
    bank = Bank()
    conductor, saga_id, state = await waiting(world, bank, order(**options))
    assert (state.status, state.wake_at, state.features) == ("compensating", SECONDS_MAX, (HANDED_OUT_UNDO,))
    detail = await conductor.saga(saga_id).view()
    assert (detail.steps[0].status, detail.steps[0].reason) == (
        *("compensating",),
        "was handed out: waits for a report of its outcome",
    )
    assert detail.steps[0].waits_for is not None
    assert bank.keys == [(f"{saga_id}/charge/compensation/0", f"{saga_id}/charge/action/0")]
    for token in (bank.tokens[0], bank.keys[0][0]):
        await conductor.report(token, by="bank")
    assert (await world.end_of(saga_id)).status == "compensated"
    assert (await conductor.report(bank.tokens[0], by="bank")).status == "compensated"  # as before
    told = [line.text for line in (await saga_story(ANYBODY, world.nodes[0], saga_id)).lines]
    assert "bank handed the compensation of charge out" in str(told)
    assert "bank reported that charge is compensated." in told


async def test_it_costs_nothing_while_it_waits_and_no_deadline_ends_it(world: World) -> None:
    bank = Bank()
    saga: Saga[Any] = Saga("order", timeout="1h")
    charge = saga.step("bank.charge")
    saga.step("shop.ship", after=[charge])
    conductor, saga_id, _ = await waiting(world, bank, saga)
    await world.live(3 * 86_400)
    state = await world.state(saga_id)
    assert (state.status, state.wake_at, len(bank.tokens)) == ("compensating", SECONDS_MAX, 1)
    await conductor.report(bank.tokens[0])
    assert (await world.end_of(saga_id)).status == "compensated"


async def test_silence_is_asked_about_under_the_same_key_and_that_is_no_retry(world: World) -> None:
    bank = Bank(ask_after="1h")
    conductor, saga_id, _ = await waiting(world, bank, order(compensation_retry=Retry(attempts_max=1)))
    await world.live(2 * 3605)
    assert (len(bank.tokens), len({key for key, _ in bank.keys})) == (3, 1)
    bank.done = True
    await conductor.saga(saga_id).retry("charge")
    assert (await world.end_of(saga_id)).status == "compensated"


async def test_a_failure_is_tried_again_counts_for_its_attempt_and_leaves_it_to_an_operator_at_last(world: World) -> None:
    bank = Bank()
    retry = Retry(attempts_max=2, initial_seconds=10, jitter=0)
    conductor, saga_id, _ = await waiting(world, bank, order(compensation_retry=retry))
    await conductor.report(bank.tokens[0], failure="closed today", final=False)
    with pytest.raises(RequestIdReusedError):
        await conductor.report(bank.tokens[0], failure="no such account")
    await world.live(11)
    with pytest.raises(RequestIdReusedError):
        await conductor.report(bank.tokens[0], failure="still closed", final=False)
    await conductor.report(bank.tokens[1], failure="closed for good", final=False)
    state = await world.state(saga_id)
    assert (state.status, str(state.step("charge").failure)) == ("stuck", "TemporaryError: closed for good")
    await conductor.report(bank.tokens[0])  # it has worked after all
    assert (await world.end_of(saga_id)).status == "compensated"


async def test_a_report_counts_though_its_process_died_before_it_could_say_so(world: World) -> None:
    bank = Bank()
    node = await world.node(shop())
    charged = await world.node(bank.steps)
    saga_id = await world.start(order())
    await world.live(1)
    await charged.close()
    other = Bank()
    other.done = True
    token = task_token(saga_id, "charge", Direction.COMPENSATION, 0, 1)
    await Conductor(node).report(token)
    assert (await world.end_of(saga_id)).status == "compensated"
    assert other.tokens == []


async def test_an_operator_skips_it_by_force_and_a_late_report_says_so(world: World) -> None:
    bank = Bank()
    conductor, saga_id, _ = await waiting(world, bank)
    handle = conductor.saga(saga_id)
    await handle.skip("charge", reason="never mind")
    await world.live(5)
    assert (await world.state(saga_id)).status == "stuck"  # without a journal nobody can keep it from happening
    await handle.skip("charge", reason="never mind", forced=True)
    state = await world.end_of(saga_id)
    assert (state.status, state.left_standing, state.late_effects) == ("compensated", ["charge"], True)
    with pytest.raises(RequestRefusedError, match="is compensated: no compensation of it waits for an outcome"):
        await conductor.report(bank.tokens[0])


async def test_an_operator_declares_it(world: World) -> None:
    conductor, saga_id, _ = await waiting(world, Bank())
    await conductor.saga(saga_id).declare("charge", happened=True, reason="seen in the ledger")
    assert (await world.end_of(saga_id)).status == "compensated"


@pytest.mark.parametrize("forced", [False, True])
async def test_a_saga_that_is_terminated_says_that_late_effects_are_possible(world: World, forced: bool) -> None:
    conductor, saga_id, _ = await waiting(world, Bank())
    await conductor.saga(saga_id).terminate(reason="enough", forced=forced)
    state = await world.end_of(saga_id)
    assert (state.status, state.late_effects) == ("terminated", True)


async def test_a_report_while_paused_is_recorded_and_asking_waits_for_resume(world: World) -> None:
    bank = Bank(ask_after="5s")
    conductor, saga_id, _ = await waiting(world, bank)
    await conductor.saga(saga_id).pause()
    await world.live(60)
    assert len(bank.tokens) == 1
    await conductor.saga(saga_id).resume()
    await world.live(3)
    assert len(bank.tokens) == 2
    await conductor.saga(saga_id).pause()
    await conductor.report(bank.tokens[0])
    assert (await world.end_of(saga_id)).status == "compensated"  # nothing was left to hold back


async def test_a_report_of_an_earlier_round_changes_nothing(world: World) -> None:
    bank = Bank()
    node = await world.node(bank.steps)
    saga: Saga[Any] = Saga("order")
    charge = saga.step("bank.charge")
    saga.wait("go", after=[charge])
    saga_id, conductor = await world.start(saga), Conductor(node)
    await world.live(1)
    await conductor.saga(saga_id).restart(from_step="charge", reason="another card")
    await world.live(1)
    state = await world.state(saga_id)
    assert (state.status, len(bank.tokens)) == ("running", 1)
    await conductor.report(bank.tokens[0])
    await world.live(1)
    await conductor.saga(saga_id).abort()
    await world.live(1)
    with pytest.raises(RequestRefusedError, match="the event is of round 0"):
        await conductor.report(bank.tokens[0], failure="it failed after all")
    await conductor.report(bank.tokens[1])
    assert (await world.end_of(saga_id)).status == "compensated"


async def test_what_is_no_report_of_a_compensation_is_refused(world: World) -> None:
    bank = Bank()
    node = await world.node(bank.steps)
    saga: Saga[Any] = Saga("order")
    charge = saga.step("bank.charge")
    saga.wait("go", after=[charge])
    saga_id = await world.start(saga)
    await world.live(1)
    conductor = Conductor(node)
    with pytest.raises(RequestRefusedError, match="is waiting: no compensation of it waits for an outcome"):
        await conductor.report(task_token(saga_id, "charge", Direction.COMPENSATION, 0, 1))
    await conductor.saga(saga_id).abort()
    await world.live(1)
    with pytest.raises(RequestRefusedError, match="the compensation of step 'go' was not handed out"):
        await conductor.report(task_token(saga_id, "go", Direction.COMPENSATION, 0, 1))
    with pytest.raises(RequestInvalidError, match="nobody reads what a compensation gives"):
        await conductor.report(task_token(saga_id, "charge", Direction.COMPENSATION, 0, 1), output="paid back")


async def test_a_lost_attempt_that_had_handed_it_out_may_still_be_reported(world: World) -> None:
    bank = Bank()
    node = await world.node(shop())
    first = await world.node(bank.steps)
    saga_id = await world.start(order())
    await world.live(1)
    await first.close()
    await node.submit(
        Submission(saga_id, None, OutcomeUnknown("charge", 1, direction=Direction.COMPENSATION))
    )  # it comes too late, as the saga knows that it was handed out
    await Conductor(node).report(bank.tokens[0])
    assert (await world.end_of(saga_id)).status == "compensated"


async def test_a_transactional_compensation_cannot_be_handed_out(world: World) -> None:
    steps = StepRegistry("bank")
    database = MemoryJournal()

    @steps.step(transaction=database, compensation_retry=Retry(attempts_max=9))
    async def charge(tx: Any) -> None:
        del tx

    @charge.compensation
    async def refund(tx: Any, ctx: StepContext) -> None:
        del tx
        ctx.hand_out()

    await world.node(steps)
    await world.node(shop())
    saga_id = await world.start(order())
    await world.live(5)
    state = await world.state(saga_id)
    assert state.status == "stuck"
    assert "a transactional step cannot be handed out" in str(state.step("charge").failure)
