"""Steps that somebody outside ends: handed out with a task token, reported from wherever, asked about where nobody reports."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import Conductor, RefusedError, RequestRefusedError, Retry, Saga, StepContext
from goconductor.control.faults import RequestInvalidError
from goconductor.control.sagas.requests import RequestIdReusedError, StepNotFoundError
from goconductor.engine.log.folding import Submission
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.events import OutcomeUnknown
from goconductor.lifecycle.facts.state import SagaState
from goconductor.saga.ids import Direction, task_token
from goconductor.testing.world import World


class Bank:
    """A service whose charges take days, and what the bank was asked."""

    def __init__(self, *, ask_after: float | str | None = None) -> None:
        self.steps = StepRegistry("bank")
        self.tokens: list[str] = []
        self.keys: list[str] = []
        self.undone: list[Any] = []
        self.answer: str | None = None
        action = self.steps.step(self.charge)
        action.compensation(self.refund)
        self.ask_after = ask_after

    async def charge(self, ctx: StepContext) -> str:
        self.tokens.append(ctx.task_token)
        self.keys.append(ctx.idempotency_key)
        if self.answer is not None:
            return self.answer
        return ctx.hand_out(ask_after=self.ask_after)

    async def refund(self, ctx: StepContext, output: str | None) -> None:
        self.undone.append((ctx.action_key, output, ctx.refused))


def order(*, total: str | None = None, retry: Retry | None = None, then: str | None = "shop.ship") -> Saga[Any]:
    saga: Saga[Any] = Saga("order")
    charge = saga.step("bank.charge", total_timeout=total, retry=retry)
    if then is not None:
        saga.step(then, after=[charge])
    return saga


def shop(*, fails: bool = False) -> StepRegistry:
    steps = StepRegistry("shop")

    @steps.step
    async def ship() -> str:
        if fails:
            raise RefusedError("no van")
        return "shipped"

    return steps


async def waiting(world: World, saga: Saga[Any], bank: Bank, **options: Any) -> tuple[Conductor, Any, SagaState]:
    node = await world.node(bank.steps)
    await world.node(shop(**options))
    saga_id = await world.start(saga)
    await world.live(1)
    state = await world.state(saga_id)
    assert state.status == "waiting"
    return Conductor(node), saga_id, state


async def test_a_report_ends_the_step_with_its_output(world: World) -> None:
    bank = Bank()
    conductor, saga_id, state = await waiting(world, order(), bank)
    assert (state.wake_at, state.step("charge").action.status) == (None, "waiting")
    detail = await conductor.saga(saga_id).view()
    assert detail.steps[0].reason == "was handed out: waits for a report of its outcome"
    assert [each.owner for each in detail.steps] == [None, None]

    await conductor.report(bank.tokens[0], output="paid", by="bank")
    state = await world.end_of(saga_id)
    assert (state.status, state.step("charge").output, bank.keys) == ("completed", "paid", [f"{saga_id}/charge/action/0"])


async def test_a_report_is_taken_once_and_answered_as_before(world: World) -> None:
    bank = Bank()
    conductor, saga_id, _ = await waiting(world, order(), bank)
    for token in (bank.tokens[0], bank.keys[0], bank.tokens[0]):
        await conductor.report(token, output="paid")
    await world.end_of(saga_id)
    assert (await conductor.report(bank.tokens[0], output="paid")).status == "completed"
    with pytest.raises(RequestIdReusedError, match="another outcome of this attempt was reported before"):
        await conductor.report(bank.tokens[0], output="paid twice")
    with pytest.raises(RequestRefusedError, match="is completed; undo outside what still stands of step 'charge'"):
        await conductor.report(bank.tokens[0], failure="declined")


async def test_a_reported_failure_turns_the_saga_back(world: World) -> None:
    bank = Bank()
    conductor, saga_id, _ = await waiting(world, order(), bank)
    await conductor.report(bank.tokens[0], failure="card declined", refused=True)
    state = await world.end_of(saga_id)
    assert (state.status, state.reason) == ("compensated", "step 'charge': RefusedError: card declined")
    assert bank.undone == [(bank.keys[0], None, True)]
    await conductor.report(bank.tokens[0], failure="card declined", refused=True)  # as before
    with pytest.raises(RequestRefusedError, match="undo outside"):
        await conductor.report(bank.tokens[0], output="paid")


async def test_a_failure_that_another_attempt_may_mend_is_tried_again_and_counts_for_its_attempt(world: World) -> None:
    bank = Bank()
    retry = Retry(attempts_max=3, initial_seconds=10, jitter=0)
    conductor, saga_id, _ = await waiting(world, order(retry=retry), bank)
    await conductor.report(bank.tokens[0], failure="try later", final=False)
    await world.live(11)
    await conductor.saga(saga_id).retry("charge")
    await world.live(1)
    await conductor.report(bank.tokens[1], failure="try later", final=False)  # the outside knows no token of who only asked
    await world.live(21)
    with pytest.raises(RequestRefusedError, match="the failure is of attempt 3 of step 'charge', which is at 4"):
        await conductor.report(bank.tokens[2], failure="I said no")
    await conductor.report(bank.tokens[3], failure="try later", final=False)
    state = await world.end_of(saga_id)
    assert (state.status, len(bank.tokens), len(set(bank.keys))) == ("compensated", 4, 1)


async def test_a_success_is_the_same_by_each_token_of_its_step(world: World) -> None:
    bank = Bank(ask_after="10m")
    conductor, saga_id, _ = await waiting(world, order(), bank)
    await world.live(601)
    for token in (*bank.tokens, bank.keys[0]):
        await conductor.report(token, output="paid")
    assert (await world.end_of(saga_id)).status == "completed"


async def test_what_lost_attempts_began_may_fail_by_the_first_token_alone(world: World) -> None:
    bank = Bank()
    node = await world.node(shop())
    saga_id = await world.start(order())
    for attempt in (1, 2):  # each began the same payment, and its process died before it had said so
        await node.submit(Submission(saga_id, None, OutcomeUnknown("charge", attempt)))
    assert (await world.state(saga_id)).step("charge").action.status == "backoff"
    first = task_token(saga_id, "charge", Direction.ACTION, 0, 1)
    with pytest.raises(RequestRefusedError, match="another attempt of step 'charge' comes anyway"):
        await Conductor(node).report(first, failure="busy", final=False)
    await Conductor(node).report(first, failure="declined")
    await world.node(bank.steps)
    state = await world.end_of(saga_id)
    assert (state.status, bank.tokens, bank.undone) == ("compensated", [], [(f"{saga_id}/charge/action/0", None, False)])


async def test_silence_is_asked_about_under_the_same_key_and_that_is_no_retry(world: World) -> None:
    bank = Bank(ask_after="10m")
    conductor, saga_id, _ = await waiting(world, order(retry=Retry(attempts_max=1)), bank)
    detail = await conductor.saga(saga_id).view()
    assert (detail.steps[0].reason or "").startswith("was handed out: waits for a report of its outcome; is asked about at ")
    await world.live(1805)
    assert (await world.state(saga_id)).status == "waiting"
    bank.answer = "paid"
    state = await world.end_of(saga_id)
    assert (state.status, state.step("charge").output, len(bank.tokens), set(bank.keys)) == (
        *("completed", "paid", 5),
        {f"{saga_id}/charge/action/0"},
    )


async def test_an_operator_has_it_asked_at_once(world: World) -> None:
    bank = Bank()
    conductor, saga_id, _ = await waiting(world, order(), bank)
    bank.answer = "paid"
    await conductor.saga(saga_id).retry("charge")
    assert (await world.end_of(saga_id)).step("charge").output == "paid"


async def test_a_total_timeout_ends_the_wait_and_what_may_have_happened_is_undone(world: World) -> None:
    bank = Bank(ask_after=5.0)
    conductor, saga_id, _ = await waiting(world, order(total="12s"), bank)
    state = await world.end_of(saga_id)
    assert (state.status, bank.undone) == ("compensated", [(bank.keys[0], None, False)])
    assert "nobody reported its outcome within its total timeout of 12 s" in state.reason
    with pytest.raises(RequestRefusedError, match="undo outside"):
        await conductor.report(bank.tokens[0], output="paid")


async def test_a_saga_that_turns_back_undoes_what_is_outside(world: World) -> None:
    bank = Bank()
    conductor, saga_id, _ = await waiting(world, order(), bank)
    await conductor.saga(saga_id).abort()
    state = await world.end_of(saga_id)
    assert (state.status, bank.undone) == ("compensated", [(bank.keys[0], None, False)])


async def test_what_came_before_the_compensation_is_in_its_hands(world: World) -> None:
    bank = Bank()
    conductor, saga_id, _ = await waiting(world, order(), bank, fails=True)
    await conductor.report(bank.tokens[0], output="paid")
    state = await world.end_of(saga_id)
    assert (state.status, bank.undone) == ("compensated", [(bank.keys[0], "paid", False)])


async def test_a_saga_that_is_terminated_says_that_late_effects_are_possible(world: World) -> None:
    bank = Bank()
    conductor, saga_id, _ = await waiting(world, order(), bank)
    await conductor.saga(saga_id).terminate(reason="enough")
    state = await world.end_of(saga_id)
    assert (state.status, state.late_effects) == ("terminated", True)


async def test_a_report_while_paused_is_recorded_and_asking_waits_for_resume(world: World) -> None:
    bank = Bank(ask_after=5.0)
    conductor, saga_id, _ = await waiting(world, order(), bank)
    await conductor.saga(saga_id).pause()
    await world.live(60)
    assert len(bank.tokens) == 1
    await conductor.report(bank.tokens[0], output="paid")
    await conductor.saga(saga_id).resume()
    assert (await world.end_of(saga_id)).status == "completed"


async def test_what_is_no_token_is_refused(world: World) -> None:
    bank = Bank()
    conductor, saga_id, _ = await waiting(world, order(), bank)
    for token in ("", "charge", f"{saga_id}/charge/settle/0", "-" * 36 + "/charge/action/0/1"):
        with pytest.raises(RequestInvalidError, match="which is no task token: give what"):
            await conductor.report(token)
    with pytest.raises(StepNotFoundError):
        await conductor.report(f"{saga_id}/change/action/0/1")
    with pytest.raises(RequestRefusedError, match="was not handed out"):
        await conductor.report(f"{saga_id}/ship/action/0/1")
    with pytest.raises(RequestRefusedError, match="round"):
        await conductor.report(f"{saga_id}/charge/action/7/1")
    with pytest.raises(RequestInvalidError, match="names no attempt"):
        await conductor.report(bank.keys[0], failure="declined")
    with pytest.raises(RequestInvalidError, match="comes with a failure"):
        await conductor.report(bank.tokens[0], failure="declined", output="paid")
    for refused, final in ((True, True), (False, False)):  # else it would be taken for a success
        with pytest.raises(RequestInvalidError, match="failure is missing: only a failure can be refused"):
            await conductor.report(bank.tokens[0], refused=refused, final=final)


async def test_a_plain_function_hands_out_as_well(world: World) -> None:
    steps, tokens = StepRegistry("bank"), list[str]()

    @steps.step
    def charge(ctx: StepContext) -> str:
        tokens.append(ctx.task_token)
        return ctx.hand_out()

    node = await world.node(steps)
    saga_id = await world.start(order(then=None))
    await world.live(1)
    await Conductor(node).report(tokens[0], output="paid")
    assert (await world.end_of(saga_id)).status == "completed"
