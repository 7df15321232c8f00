"""Transactional steps: their effect happens once, and a compensation always meets it or prevents it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from goconductor import PermanentError, RefusedError, Retry, Saga, StepContext
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import JournalError
from goconductor.journals.memory import MemoryJournal, MemoryTransaction
from goconductor.lifecycle.facts.events import OutcomeDeclared, RetryRequested, SkipRequested
from goconductor.ports.journal import EffectKey, Entry
from goconductor.saga.ids import Direction, idempotency_key
from goconductor.testing.clock import settle
from goconductor.testing.world import World

ONCE = Retry(attempts_max=1)
RETRY = Retry(attempts_max=3, initial_seconds=1.0, jitter=0.0)


class Shop:
    """A transactional step that keeps count in the journal's own database."""

    def __init__(self, *, retry: Retry = RETRY, journal: MemoryJournal | None = None, final: bool = False) -> None:
        self.journal = journal or MemoryJournal({"sold": 0, "taken back": 0})
        self.registry = StepRegistry("shop")
        self.runs = 0
        self.given: list[Any] = []
        self.errors: list[BaseException] = []
        self.gate: asyncio.Event | None = None
        self.begun = asyncio.Event()

        @self.registry.step(transaction=self.journal, retry=retry)
        async def sell(tx: MemoryTransaction) -> dict[str, int]:
            self.runs += 1
            self.begun.set()
            tx["sold"] += 1
            if self.gate is not None:
                await self.gate.wait()
            if self.errors:
                raise self.errors.pop(0)
            return {"number": tx["sold"]}

        async def take_back(tx: MemoryTransaction, output: dict[str, int] | None) -> None:
            self.given.append(output)
            tx["taken back"] += 1

        if not final:  # neither a pivot nor what follows it has a compensation
            sell.compensation(take_back)

        @self.registry.step
        async def refuse() -> None:
            raise RefusedError("no")

        @self.registry.step
        async def follow() -> str:
            return "followed"

        self.sell = sell

    def saga(self, *then: str, pivot: bool = False, name: str = "sale") -> Saga[Any]:
        saga: Saga[Any] = Saga(name)
        last = saga.step(self.sell, pivot=pivot, unknowns_max=3)
        for step in then:
            last = saga.step(f"shop.{step}", after=[last])
        return saga

    def key(self, saga_id: Any) -> EffectKey:
        return EffectKey(
            action=idempotency_key(saga_id, "sell", Direction.ACTION, 0),
            compensation=idempotency_key(saga_id, "sell", Direction.COMPENSATION, 0),
        )


async def test_attempts_that_raise_leave_nothing_and_the_last_one_stays(world: World) -> None:
    shop = Shop()
    shop.errors = [ValueError("once"), ValueError("twice")]
    await world.node(shop.registry)
    saga_id = await world.start(shop.saga())
    await world.clock.advance(10)
    assert (await world.end_of(saga_id)).outputs() == {"sell": {"number": 1}}
    assert (shop.runs, shop.journal.store["sold"]) == (3, 1)


async def test_a_compensation_gets_what_the_journal_stored(world: World) -> None:
    shop = Shop()
    await world.node(shop.registry)
    state = await world.end_of(await world.start(shop.saga("refuse")))
    assert state.status == "compensated"
    assert shop.given == [{"number": 1}]
    assert shop.journal.store == {"sold": 1, "taken back": 1}


async def test_a_last_failure_is_proven_and_not_compensated(world: World) -> None:
    shop = Shop(retry=ONCE)
    shop.errors = [ValueError("broken")]
    await world.node(shop.registry)
    state = await world.end_of(saga_id := await world.start(shop.saga()))
    assert (state.status, state.step("sell").action.status) == ("compensated", "prevented")
    assert shop.journal.store == {"sold": 0, "taken back": 0}
    assert "CompensationSucceeded sell" not in await world.events(saga_id)


async def test_a_failure_that_could_not_be_written_down_is_compensated_as_null(world: World) -> None:
    class Failing(MemoryJournal):
        async def fail_action(self, key: EffectKey, failure: bytes, *, timeout_seconds: float) -> Entry:
            raise JournalError

    shop = Shop(retry=ONCE, journal=Failing({"sold": 0, "taken back": 0}))
    shop.errors = [ValueError("broken")]
    await world.node(shop.registry)
    state = await world.end_of(saga_id := await world.start(shop.saga()))
    assert (state.status, state.step("sell").action.status) == ("compensated", "failed")
    assert shop.given == []
    assert shop.journal.store == {"sold": 0, "taken back": 0}
    assert "CompensationSucceeded sell" in await world.events(saga_id)


async def test_a_lost_commit_answer_is_looked_up_and_nothing_runs_twice(world: World) -> None:
    class Unanswered(MemoryJournal):
        lost = 1

        async def run_action(
            self, key: EffectKey, call: Callable[[MemoryTransaction], Awaitable[bytes]], *, timeout_seconds: float
        ) -> Entry:
            entry = await super().run_action(key, call, timeout_seconds=timeout_seconds)
            if self.lost:
                self.lost -= 1
                raise JournalError
            return entry

    shop = Shop(journal=Unanswered({"sold": 0, "taken back": 0}))
    await world.node(shop.registry)
    assert (await world.end_of(await world.start(shop.saga()))).outputs() == {"sell": {"number": 1}}
    assert (shop.runs, shop.journal.store["sold"]) == (1, 1)


async def test_a_run_whose_transaction_was_ended_from_outside_runs_again_and_happens_once(world: World) -> None:
    """As the database does with the transaction of a process that was stopped for too long."""
    shop = Shop()
    shop.gate = asyncio.Event()
    await world.node(shop.registry)
    saga_id = await world.start(shop.saga())
    await settle()
    assert shop.runs == 1
    key = shop.key(saga_id)
    for holder in list(shop.journal._holders.values()):
        shop.journal._end(holder)
    shop.gate.set()
    shop.gate = None
    assert (await world.end_of(saga_id)).outputs() == {"sell": {"number": 1}}
    assert (shop.runs, shop.journal.store["sold"]) == (2, 1)
    assert (await shop.journal.settle(key, timeout_seconds=1)).found == "seen"


async def test_a_compensation_that_comes_before_its_action_is_null_and_the_late_action_is_refused(world: World) -> None:
    shop = Shop()
    await world.node()
    saga_id = await world.start(shop.saga("refuse"))
    key = shop.key(saga_id)
    await shop.journal.run_compensation(key, lambda tx, output: asyncio.sleep(0), timeout_seconds=1)
    await world.node(shop.registry)
    state = await world.end_of(saga_id)
    assert (state.status, state.step("sell").action.status) == ("compensated", "prevented")
    assert "its key is refused in the journal" in state.reason
    assert (shop.runs, shop.journal.store["sold"]) == (0, 0)


async def test_a_pivot_that_reported_its_last_failure_is_settled_and_goes_back(world: World) -> None:
    class Failing(MemoryJournal):
        async def fail_action(self, key: EffectKey, failure: bytes, *, timeout_seconds: float) -> Entry:
            raise JournalError

    shop = Shop(retry=ONCE, journal=Failing({"sold": 0}), final=True)
    shop.errors = [ValueError("broken")]
    await world.node(shop.registry)
    saga_id = await world.start(shop.saga(pivot=True, name="pivotal"))
    state = await world.end_of(saga_id)
    assert state.status == "compensated"
    assert "ActionSettled sell" in await world.events(saga_id)
    assert shop.journal.store["sold"] == 0


async def die_in(world: World, registry: StepRegistry, begun: asyncio.Event) -> None:
    """An instance comes, begins the step, and dies in it; the leader takes over."""
    begun.clear()
    node = await world.node(registry, drain_seconds=0)
    while not begun.is_set():
        await world.live(1)
    world.kill(node)
    for subscription in node.membership.subscriptions:
        await subscription.stop()
    node._executor._performer.draining = True  # nothing more is begun here
    await world.live(3)


@pytest.mark.parametrize("happened", [True, False])
async def test_an_unknown_pivot_is_settled_through_its_journal(world: World, happened: bool) -> None:
    shop = Shop(final=True)
    await world.node()
    shop.gate = asyncio.Event()
    saga_id = await world.start(shop.saga("follow", pivot=True, name="pivotal"))
    for _ in range(3):
        await die_in(world, shop.registry, shop.begun)
        for holder in list(shop.journal._holders.values()):
            shop.journal._end(holder)  # the database ends what a dead connection left open
    key = shop.key(saga_id)
    if happened:

        async def call(tx: MemoryTransaction) -> bytes:
            tx["sold"] += 1
            return b'{"number":77}'

        await shop.journal.run_action(key, call, timeout_seconds=1)
    assert (await world.state(saga_id)).step("sell").action.status == "settling"
    await world.node(shop.registry)
    await world.live(130)
    state = await world.end_of(saga_id)
    assert state.status == ("completed" if happened else "compensated")
    assert shop.journal.store["sold"] == (1 if happened else 0)
    assert state.outputs() == ({"sell": {"number": 77}, "follow": "followed"} if happened else {})


async def test_a_pivot_without_a_journal_whose_outcome_is_unknown_is_stuck_and_settled_by_hand(world: World) -> None:
    client, registry = await world.node(), StepRegistry("shop")
    begun = asyncio.Event()

    @registry.step
    async def sell() -> None:
        begun.set()
        await asyncio.Event().wait()

    saga: Saga[Any] = Saga("pivotal")
    saga.step(sell, pivot=True, unknowns_max=3)
    saga_id = await world.start(saga)
    for _ in range(3):
        await die_in(world, registry, begun)
    await world.node(registry)
    await world.live(130)
    state = await world.state(saga_id)
    assert (state.status, state.step("sell").action.status) == ("stuck", "stuck")
    assert "find out whether it happened" in str(state.step("sell").failure)
    assert (await world.store.sagas.head(saga_id)).wake_at is None  # type: ignore[union-attr]
    await client.request(saga_id, OutcomeDeclared("sell", happened=True, output={"by": "hand"}, reason="seen in the bank"))
    assert (await world.end_of(saga_id)).outputs() == {"sell": {"by": "hand"}}


async def test_a_compensation_that_comes_after_its_skip_says_nothing(world: World) -> None:
    """The skip's own answer is the one that counts: it would be called compensated otherwise, though nothing was."""
    journal = MemoryJournal({"taken back": 0})
    registry = StepRegistry("shop")
    skipped = False

    @registry.step(transaction=journal)
    async def sell(tx: MemoryTransaction) -> None: ...

    @sell.compensation
    async def take_back(tx: MemoryTransaction) -> None:
        tx["taken back"] += 1

    @registry.step
    async def refuse(ctx: StepContext) -> None:
        nonlocal skipped
        await journal.skip(EffectKey(f"{ctx.saga_id}/sell/action/0", f"{ctx.saga_id}/sell/compensation/0"), timeout_seconds=1)
        skipped = True
        raise RefusedError

    await world.node(registry)
    saga: Saga[Any] = Saga("sale")
    saga.step(refuse, after=[saga.step(sell)])
    saga_id = await world.start(saga)
    await world.live(1.0)
    assert skipped
    assert "CompensationSucceeded sell" not in await world.events(saga_id)
    assert journal.store["taken back"] == 0


@pytest.mark.parametrize("happened", [True, False])
async def test_a_skip_of_a_stuck_compensation_is_fenced_in_the_journal(world: World, happened: bool) -> None:
    journal = MemoryJournal({"sold": 0, "taken back": 0})
    registry = StepRegistry("shop")

    @registry.step(transaction=journal, compensation_retry=ONCE)
    async def sell(tx: MemoryTransaction) -> None:
        tx["sold"] += 1

    @sell.compensation
    async def take_back(tx: MemoryTransaction) -> None:
        raise PermanentError("broken")

    @registry.step
    async def refuse() -> None:
        raise RefusedError

    node = await world.node(registry)
    saga: Saga[Any] = Saga("sale")
    saga.step(refuse, after=[saga.step(sell)])
    saga_id = await world.start(saga)
    assert (await world.end_of(saga_id)).status == "stuck"
    key = EffectKey(f"{saga_id}/sell/action/0", f"{saga_id}/sell/compensation/0")

    async def compensated(tx: MemoryTransaction, output: bytes) -> None:
        tx["taken back"] += 1

    if happened:
        await journal.run_compensation(key, compensated, timeout_seconds=1)
    await node.request(saga_id, SkipRequested("sell", reason="by hand"))
    state = await world.end_of(saga_id)
    assert state.status == "compensated"
    assert state.step("sell").compensation.status == ("done" if happened else "skipped")
    assert not state.late_effects
    late = await journal.run_compensation(key, compensated, timeout_seconds=1)
    assert late.found == ("seen" if happened else "refused")
    assert journal.store["taken back"] == int(happened)


async def test_a_retriable_step_never_writes_its_failure_so_that_an_operators_retry_runs_it(world: World) -> None:
    shop = Shop(final=True)
    shop.errors = [PermanentError("broken")]
    node = await world.node(shop.registry)
    saga: Saga[Any] = Saga("after")
    saga.step(shop.sell, after=[saga.step("shop.follow", pivot=True)])
    saga_id = await world.start(saga)
    assert (await world.end_of(saga_id)).status == "stuck"
    await node.request(saga_id, RetryRequested("sell"))
    assert (await world.end_of(saga_id)).status == "completed"
    assert shop.journal.store["sold"] == 1


@pytest.mark.parametrize("side", ["action", "compensation"])
async def test_while_the_services_own_database_is_away_no_attempt_is_counted(world: World, side: str) -> None:
    class Away(MemoryJournal):
        away = 200

        def _check_here(self) -> None:
            if self.away:
                self.away -= 1
                raise JournalError

        async def run_action(self, key: EffectKey, call: Any, *, timeout_seconds: float) -> Entry:
            if side == "action":
                self._check_here()
            return await super().run_action(key, call, timeout_seconds=timeout_seconds)

        async def run_compensation(self, key: EffectKey, call: Any, *, timeout_seconds: float) -> Entry:
            if side == "compensation":
                self._check_here()
            return await super().run_compensation(key, call, timeout_seconds=timeout_seconds)

    shop = Shop(retry=ONCE, journal=Away({"sold": 0, "taken back": 0}))
    await world.node(shop.registry)
    saga_id = await world.start(shop.saga("refuse"))
    await world.clock.advance(120)  # several times the step's timeout
    assert shop.runs == (0 if side == "action" else 1)
    assert not {"ActionFailed sell", "CompensationFailed sell", "OutcomeUnknown sell"} & set(await world.events(saga_id))
    await world.clock.advance(200)
    assert (await world.end_of(saga_id)).status == "compensated"
    assert shop.journal.store == {"sold": 1, "taken back": 1}
    assert shop.runs == 1


async def test_a_settlement_waits_for_its_journal(world: World) -> None:
    class Away(MemoryJournal):
        away = 3

        async def fail_action(self, key: EffectKey, failure: bytes, *, timeout_seconds: float) -> Entry:
            raise JournalError

        async def settle(self, key: EffectKey, *, timeout_seconds: float) -> Entry:
            if self.away:
                self.away -= 1
                raise JournalError
            return await super().settle(key, timeout_seconds=timeout_seconds)

    shop = Shop(retry=ONCE, journal=Away({"sold": 0}), final=True)
    shop.errors = [ValueError("broken")]
    node = await world.node(shop.registry)
    saga_id = await world.start(shop.saga(pivot=True, name="pivotal"))
    await world.clock.advance(3)
    assert (await world.end_of(saga_id)).status == "compensated"
    assert node.counts["step_errors"] == 3  # its own, that it could not be written, and once that the settlement waits
