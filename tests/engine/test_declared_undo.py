"""A declared undo, run by the engine: by another participant, with the output that is known, and not where nothing happened."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import PermanentError, RefusedError, Retry, Saga, Undo
from goconductor.control.actor import ANYBODY
from goconductor.control.models import StepDetail
from goconductor.control.sagas import queries
from goconductor.control.sagas.story import saga_story
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import JournalUnavailableError
from goconductor.journals.memory import MemoryJournal, MemoryTransaction
from goconductor.lifecycle.facts.events import InputEdited, RetryRequested, SkipRequested
from goconductor.lifecycle.facts.status import CompensationStatus, SagaStatus
from goconductor.ports.journal import EffectKey, Entry
from goconductor.saga.ids import Direction, idempotency_key
from goconductor.testing.world import World

ONCE = Retry(attempts_max=1)


class FlakyJournal(MemoryJournal):
    """A journal that cannot keep a failure, and can be away when it is asked to settle."""

    away = False

    async def fail_action(self, key: EffectKey, failure: bytes, *, timeout_seconds: float) -> Entry:
        raise JournalUnavailableError("the database is away")

    async def settle(self, key: EffectKey, *, timeout_seconds: float) -> Entry:
        if self.away:
            raise JournalUnavailableError("the database is away")
        return await super().settle(key, timeout_seconds=timeout_seconds)


class Services:
    """Payments charges, and fails after its effect where it is told to; the ledger refunds. Each with a journal or without."""

    def __init__(self, *, journal: MemoryJournal | None = None, undo_journal: MemoryJournal | None = None) -> None:
        self.refunds: list[Any] = []
        self.compensated = 0
        self.problems: list[BaseException] = []
        self.charge_fails = False
        self.payments, self.ledger = StepRegistry("payments"), StepRegistry("ledger")
        if journal is None:

            @self.payments.step(retry=ONCE)
            async def charge() -> dict[str, int]:
                return self._charge()

            @charge.compensation
            async def own() -> None:
                self.compensated += 1

        else:

            @self.payments.step(transaction=journal, retry=ONCE)
            async def charge(tx: MemoryTransaction) -> dict[str, int]:
                tx["charged"] += 1
                return self._charge()

        @self.payments.step(retry=ONCE)
        async def ship() -> None:
            raise RefusedError("no such address")

        if undo_journal is None:

            @self.ledger.step(retry=ONCE)
            async def refund(order: int, receipt: dict[str, int] | None) -> None:
                self._refund(order, receipt)

        else:

            @self.ledger.step(transaction=undo_journal, retry=ONCE)
            async def refund(tx: MemoryTransaction, order: int, receipt: dict[str, int] | None) -> str:
                tx["refunded"] += 1
                self._refund(order, receipt)
                return "nobody reads this"

    def _charge(self) -> dict[str, int]:
        if self.charge_fails:
            raise PermanentError("the line broke")
        return {"number": 3}

    def _refund(self, order: int, receipt: dict[str, int] | None) -> None:
        if self.problems:
            raise self.problems.pop(0)
        self.refunds.append((order, receipt))

    async def start(self, world: World) -> tuple[Node, Any]:
        node = await world.node(self.payments)
        await world.node(self.ledger)
        saga: Saga[Any] = Saga("order")
        undo = Undo("ledger.refund", inputs={"order": saga.input["order"], "receipt": saga.later("charge").output})
        charged = saga.step("payments.charge", undo=undo)
        saga.step("payments.ship", after=[charged])
        return node, await world.start(saga, {"order": 7})


async def step_of(node: Node, saga_id: Any) -> StepDetail:
    detail = await queries.saga_status(ANYBODY, node, saga_id)
    return next(each for each in detail.steps if each.id == "charge")


@pytest.mark.parametrize("with_journals", [True, False])
async def test_another_participant_undoes_a_step_with_the_output_that_the_log_has(world: World, with_journals: bool) -> None:
    effects = {"charged": 0, "refunded": 0}
    journal = MemoryJournal(effects) if with_journals else None
    services = Services(journal=journal, undo_journal=journal)
    _, saga_id = await services.start(world)
    state = await world.end_of(saga_id)
    assert state.phase is SagaStatus.COMPENSATED
    assert services.refunds == [(7, {"number": 3})]
    assert services.compensated == 0, "the service's own compensation is not called"
    events = await world.events(saga_id)
    assert events[-1] == "CompensationSucceeded charge"
    assert not [event for event in events if event.startswith("Settle")], "the log had the success"
    assert effects == ({"charged": 1, "refunded": 1} if with_journals else {"charged": 0, "refunded": 0})


async def test_what_never_happened_by_its_journal_is_not_undone(world: World) -> None:
    services = Services(journal=FlakyJournal({"charged": 0}))
    services.charge_fails = True
    node, saga_id = await services.start(world)
    state = await world.end_of(saga_id)
    assert state.phase is SagaStatus.COMPENSATED
    assert services.refunds == []
    assert await world.events(saga_id) == ["SagaStarted", "ActionFailed charge", "ActionSettled charge"]
    assert state.step("charge").compensation.status is CompensationStatus.NONE
    story = await saga_story(ANYBODY, node, saga_id)
    assert "charge has nothing to undo" in [clause for line in story.lines for clause in line.consequences]


async def test_what_happened_by_its_journal_is_undone_with_the_output_that_stands_there(world: World) -> None:
    """The failure was another run's: one of two runs of an attempt has committed."""
    journal = FlakyJournal({"charged": 0})
    services = Services(journal=journal)
    services.charge_fails = journal.away = True
    _, saga_id = await services.start(world)
    await world.live(5.0)
    key = EffectKey(
        action=idempotency_key(saga_id, "charge", Direction.ACTION, 0),
        compensation=idempotency_key(saga_id, "charge", Direction.COMPENSATION, 0),
    )

    async def charged(tx: MemoryTransaction) -> bytes:
        tx["charged"] += 1
        return b'{"number":4}'

    await journal.run_action(key, charged, timeout_seconds=5.0)
    journal.away = False
    assert (await world.end_of(saga_id)).phase is SagaStatus.COMPENSATED
    assert services.refunds == [(7, {"number": 4})]


async def test_without_a_journal_the_undo_runs_and_gets_null(world: World) -> None:
    services = Services()
    services.charge_fails = True
    _, saga_id = await services.start(world)
    assert (await world.end_of(saga_id)).phase is SagaStatus.COMPENSATED
    assert services.refunds == [(7, None)]
    assert await world.events(saga_id) == [
        "SagaStarted",
        "ActionFailed charge",
        "SettleUnavailable charge",
        "CompensationSucceeded charge",
    ]


async def test_a_journal_that_is_away_is_asked_until_it_answers(world: World) -> None:
    journal = FlakyJournal({"charged": 0})
    services = Services(journal=journal)
    services.charge_fails = journal.away = True
    node, saga_id = await services.start(world)
    await world.live(30.0)
    assert (await world.state(saga_id)).step("charge").compensation.status is CompensationStatus.SETTLING
    step = await step_of(node, saga_id)
    assert step.undo == "ledger.refund"
    assert "journal" in str(step.reason)
    assert services.refunds == []
    journal.away = False
    assert (await world.end_of(saga_id)).phase is SagaStatus.COMPENSATED
    assert services.refunds == []


@pytest.mark.parametrize("undo_happened", [True, False])
async def test_a_skip_writes_the_key_where_the_undo_runs(world: World, undo_happened: bool) -> None:
    journal = MemoryJournal({"refunded": 0})
    services = Services(undo_journal=journal)
    services.problems = [PermanentError("the account is closed")]
    node, saga_id = await services.start(world)
    assert (await world.end_of(saga_id)).status is SagaStatus.STUCK
    undo = EffectKey(action=idempotency_key(saga_id, "charge", Direction.COMPENSATION, 0), compensation="another")

    async def refunded(tx: MemoryTransaction) -> bytes:
        tx["refunded"] += 1
        return b"null"

    if undo_happened:
        await journal.run_action(undo, refunded, timeout_seconds=5.0)
    await node.request(saga_id, SkipRequested("charge", reason="by cheque", by="ann"))
    state = await world.end_of(saga_id)
    assert state.phase is SagaStatus.COMPENSATED
    after = CompensationStatus.DONE if undo_happened else CompensationStatus.SKIPPED
    assert state.step("charge").compensation.status is after
    late = await journal.run_action(undo, refunded, timeout_seconds=5.0)
    assert late.found == ("seen" if undo_happened else "refused"), "an attempt that was stopped cannot land any more"


async def test_a_skip_of_an_undo_without_a_journal_must_be_forced(world: World) -> None:
    services = Services()
    services.problems = [PermanentError("the account is closed")]
    node, saga_id = await services.start(world)
    assert (await world.end_of(saga_id)).status is SagaStatus.STUCK
    await node.request(saga_id, SkipRequested("charge", reason="by cheque", by="ann"))
    state = await world.end_of(saga_id)
    assert state.status is SagaStatus.STUCK
    assert "the undo has no journal" in str(state.step("charge").failure)
    await node.request(saga_id, SkipRequested("charge", reason="by cheque", forced=True, by="ann"))
    state = await world.end_of(saga_id)
    assert (state.phase, state.left_standing, state.late_effects) == (SagaStatus.COMPENSATED, ["charge"], True)


async def test_a_stuck_undo_is_given_other_inputs_of_its_own(world: World) -> None:
    services = Services()
    services.problems = [PermanentError("unknown order")]
    node, saga_id = await services.start(world)
    assert (await world.end_of(saga_id)).status is SagaStatus.STUCK
    await node.request(saga_id, InputEdited("charge", inputs={"order": 8}, reason="mistyped", by="ann"))
    await node.request(saga_id, RetryRequested("charge", by="ann"))
    assert (await world.end_of(saga_id)).phase is SagaStatus.COMPENSATED
    assert services.refunds == [(8, {"number": 3})]


async def test_a_step_with_nothing_to_undo_is_asked_nothing(world: World) -> None:
    services = Services()
    node = await world.node(services.payments)
    saga: Saga[Any] = Saga("order")
    saga.step("payments.ship", after=[saga.step("payments.charge", undo="none")])
    saga_id = await world.start(saga)
    state = await world.end_of(saga_id)
    assert state.phase is SagaStatus.COMPENSATED
    assert services.compensated == 0
    assert [event for event in await world.events(saga_id) if event.endswith("charge")] == ["ActionSucceeded charge"]
    story = await saga_story(ANYBODY, node, saga_id)
    assert "charge has nothing to undo" in [clause for line in story.lines for clause in line.consequences]
    assert (await step_of(node, saga_id)).undo == "none"
