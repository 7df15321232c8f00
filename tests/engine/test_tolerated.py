"""A step that may fail, run by the engine: settled by its journal or undone first, then given up, and the saga goes on."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import PermanentError, Retry, Saga
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas import queries
from goconductor.control.sagas.story import saga_story
from goconductor.engine.facts import log
from goconductor.engine.steps.registry import StepRegistry
from goconductor.journals.memory import MemoryJournal, MemoryTransaction
from goconductor.lifecycle.facts.events import SkipRequested
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.testing.world import World

ONCE = Retry(attempts_max=1)


class Marketing:
    """Grants a discount, and fails after its effect; with or without a journal."""

    def __init__(self, journal: MemoryJournal | None = None) -> None:
        self.granted = self.taken_back = 0
        self.refuses_to_undo = False
        self.registry = StepRegistry("marketing")
        if journal is None:

            @self.registry.step(retry=ONCE)
            async def discount() -> int:
                self.granted += 1
                raise PermanentError("no campaign")

            @discount.compensation
            async def take_back() -> None:
                if self.refuses_to_undo:
                    raise PermanentError("it was spent")
                self.taken_back += 1

        else:

            @self.registry.step(transaction=journal, retry=ONCE)
            async def discount(tx: MemoryTransaction) -> int:
                tx["granted"] += 1
                raise PermanentError("no campaign")

        @self.registry.step
        async def voucher() -> dict[str, int]:
            return {"percent": 3}

        @self.registry.step
        async def ship(percent: int | None = None) -> int | None:
            return percent


def order(*, fallback: bool = False) -> Saga[Any]:
    saga: Saga[Any] = Saga("order")
    voucher = saga.step("marketing.voucher") if fallback else None
    given: dict[str, Any] = {"fallback": voucher} if fallback else {"allow_fail": True}
    discount = saga.step("marketing.discount", compensation_retry=ONCE, **given)
    return saga.returns(saga.step("marketing.ship", inputs={"percent": discount.output["percent"]}).output)


async def test_a_step_whose_failure_stands_in_its_journal_is_given_up_at_once(world: World) -> None:
    effects = {"granted": 0}
    journal = MemoryJournal(effects)
    await world.node(Marketing(journal).registry)
    saga_id = await world.start(order())
    state = await world.end_of(saga_id)
    assert (state.phase, state.reason) == (SagaStatus.COMPLETED, "")
    assert state.step("discount").action.status is ActionStatus.GIVEN_UP
    assert await world.events(saga_id) == ["SagaStarted", "ActionFailed discount", "ActionSucceeded ship"]
    assert effects == {"granted": 0}


async def test_a_plain_step_is_undone_before_it_is_given_up(world: World) -> None:
    marketing = Marketing()
    node = await world.node(marketing.registry)
    saga_id = await world.start(order())
    state = await world.end_of(saga_id)
    assert state.phase is SagaStatus.COMPLETED
    assert (marketing.granted, marketing.taken_back) == (1, 1)
    assert await world.events(saga_id) == [
        "SagaStarted",
        "ActionFailed discount",
        "SettleUnavailable discount",
        "CompensationSucceeded discount",
        "ActionSucceeded ship",
    ]
    detail = await queries.saga_status(ANYBODY, node, saga_id)
    [step] = [each for each in detail.steps if each.id == "discount"]
    assert (step.status, step.reason) == ("given_up", "it failed, and the saga goes on without it; it was compensated first")
    assert (detail.reason, detail.left_standing) == (None, [])
    assert node.counts["steps_given_up"] == 1


async def test_a_fallback_runs_in_its_place_and_its_output_stands_for_it(world: World) -> None:
    node = await world.node(Marketing().registry)
    saga_id = await world.start(order(fallback=True))
    state = await world.end_of(saga_id)
    assert state.step("ship").output == 3
    detail = await queries.saga_status(ANYBODY, node, saga_id)
    assert {each.id: each.status for each in detail.steps} == {
        "discount": "given_up",
        "voucher": "succeeded",
        "ship": "succeeded",
    }
    assert "voucher stands for it" in str(detail.steps[0].reason)
    lines = [clause for line in (await saga_story(ANYBODY, node, saga_id)).lines for clause in line.consequences]
    assert "discount is given up, and the saga goes on without" in lines


async def test_a_skip_leaves_the_effect_and_the_saga_says_of_which_step(world: World) -> None:
    marketing = Marketing()
    marketing.refuses_to_undo = True
    node = await world.node(marketing.registry)
    saga_id = await world.start(order())
    state = await world.end_of(saga_id)
    assert state.status is SagaStatus.STUCK
    await node.request(saga_id, SkipRequested("discount", reason="only a discount", forced=True, by="ann"))
    state = await world.end_of(saga_id)
    assert (state.phase, state.left_standing) == (SagaStatus.COMPLETED, ["discount"])
    assert state.step("discount").compensation.status is CompensationStatus.SKIPPED
    detail = await queries.saga_status(ANYBODY, node, saga_id)
    assert (detail.left_standing, detail.late_effects, detail.reason) == (["discount"], True, None)
    lines = [clause for line in (await saga_story(ANYBODY, node, saga_id)).lines for clause in line.consequences]
    assert "the saga is completed, effects left standing: discount" in lines
    assert node.counts["effects_left"] == 1


@pytest.mark.parametrize(
    ("when", "status", "answer"),
    [
        ("steps.notify.failed", SagaStatus.COMPLETED, True),
        ("!steps.notify.failed", SagaStatus.COMPLETED, False),
        ("input.m.filter(k, k == 'a').size() > 0", SagaStatus.COMPENSATED, None),
    ],
)
async def test_what_is_asked_after_a_step_that_has_nothing_to_undo_stands_in_the_same_append(
    world: World, when: str, status: SagaStatus, answer: bool | None
) -> None:
    """It is given up by a compensation that does nothing, which is folded into the append of the failure."""
    shop, ran = StepRegistry("shop"), list[str]()

    @shop.step
    async def reserve() -> None: ...

    @reserve.compensation
    async def release() -> None:
        ran.append("release")

    @shop.step(retry=ONCE)
    async def notify() -> None:
        raise PermanentError("no address")

    @shop.step
    async def ship() -> None:
        ran.append("ship")

    saga: Saga[Any] = Saga("order")
    notified = saga.step("shop.notify", after=[saga.step("shop.reserve")], allow_fail=True)
    saga.step("shop.ship", after=[notified], when=when)
    node = await world.node(shop)
    saga_id = await world.start(saga, {"m": {"a": 1}})
    end = await world.end_of(saga_id)
    head = await world.store.sagas.head(saga_id)
    assert head is not None
    assert (head.status, end.phase) == (status, status), "the log says of the saga what its head says"
    assert (await node.view(saga_id)).state.unkept == end.unkept == {}
    events = [log.event(entry) for entry in world.store.data.logs[saga_id]]
    (asked,) = [event for event in events if event.answers]
    assert asked.answers is not None
    assert "a list of a map" in str(asked.answers["ship"]) if answer is None else asked.answers == {"ship": answer}
    assert ran == (["release"] if answer is None else ["ship"] if answer else [])
