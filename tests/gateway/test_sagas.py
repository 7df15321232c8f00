"""Sagas whose steps run in the Python worker: outcomes, failures, compensations, and what a definition may ask."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest

from goconductor import DefinitionError, Output, PermanentError, RefusedError, Retry, Saga, StepContext, TemporaryError, Undo
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import ConfigurationError, RequestRefusedError, StoreUnavailableError
from goconductor.lifecycle.facts.status import CompensationStatus, SagaStatus
from goconductor.nodes import check_name
from goconductor.ports.store import Instance
from goconductor.worker import Worker
from tests.gateway.conftest import PATIENCE_SECONDS, Server, eventually, working


def payments(server: Server, seen: list[Any], **more: Any) -> Worker:
    worker = Worker(server.address, participant="payments", **more)

    @worker.step(retry=Retry(attempts_max=2, initial_seconds=0.01), timeout="30s")
    async def charge(card: str, context: StepContext) -> dict[str, Any]:
        seen.append(("charge", card, context.attempt, context.idempotency_key))
        match card:
            case "declined":
                raise RefusedError("card declined")
            case "busy" if context.attempt == 1:
                raise TemporaryError("the bank is busy", delay_seconds=0.01)
            case "broken":
                raise LookupError("no such bank")
        return {"receipt": f"r-{card}"}

    @charge.compensation
    def refund(card: str, receipt: Annotated[dict[str, Any] | None, Output], context: StepContext) -> None:
        seen.append(("refund", card, receipt, context.action_key))

    @worker.step
    def ship(receipt: Any) -> str:
        seen.append(("ship", receipt))
        if receipt and receipt["receipt"] == "r-nowhere":
            raise PermanentError("there is no such place")
        return "p-1"

    return worker


def order() -> Saga[Any, Any]:
    saga: Saga[Any, Any] = Saga("order")
    charged = saga.step("payments.charge", inputs={"card": saga.input.card})
    shipped = saga.step("payments.ship", inputs={"receipt": charged.output})
    return saga.returns(shipped.output)


async def test_a_saga_runs_in_a_worker_that_reaches_neither_database_nor_bus(server: Server) -> None:
    seen: list[Any] = []
    async with working(payments(server, seen)):
        saga_id = await server.start(order().definition, {"card": "4242"})
        state = await server.ended(saga_id)
    assert state.status is SagaStatus.COMPLETED
    assert state.step("ship").output == "p-1"
    assert [each[:2] for each in seen] == [("charge", "4242"), ("ship", {"receipt": "r-4242"})]


async def test_a_failure_turns_back_and_the_compensation_gets_the_output_and_the_key_of_the_action(server: Server) -> None:
    seen: list[Any] = []
    async with working(payments(server, seen)):
        state = await server.ended(await server.start(order().definition, {"card": "nowhere"}))
    assert state.status is SagaStatus.COMPENSATED
    (charged,) = [each for each in seen if each[0] == "charge"]
    assert seen[-1] == ("refund", "nowhere", {"receipt": "r-nowhere"}, charged[3])
    assert state.step("charge").compensation.status is CompensationStatus.DONE


@pytest.mark.parametrize(("card", "attempts", "kind"), [("declined", 1, "RefusedError"), ("broken", 2, "LookupError")])
async def test_a_failure_keeps_its_kind_its_name_and_where_it_was_raised(
    server: Server, card: str, attempts: int, kind: str
) -> None:
    seen: list[Any] = []
    async with working(payments(server, seen)):
        state = await server.ended(await server.start(order().definition, {"card": card}))
    failure = state.step("charge").action.failure
    assert failure is not None
    assert (state.status, failure.type) == (SagaStatus.COMPENSATED, kind)
    assert len([each for each in seen if each[0] == "charge"]) == attempts
    assert ("no such bank" in failure.traceback) == (kind == "LookupError")


async def test_a_temporary_failure_is_tried_again_under_the_same_key(server: Server) -> None:
    seen: list[Any] = []
    async with working(payments(server, seen)):
        state = await server.ended(await server.start(order().definition, {"card": "busy"}))
    assert state.status is SagaStatus.COMPLETED
    first, second = [each for each in seen if each[0] == "charge"]
    assert (first[2], second[2], first[3]) == (1, 2, second[3])


async def test_a_failure_may_ask_for_a_wait_as_long_as_one_of_code_may(server: Server) -> None:
    worker = Worker(server.address, participant="payments")

    @worker.step
    async def charge() -> str:
        raise TemporaryError("much later", delay_seconds=5 * 366 * 86_400.0)

    saga: Saga[Any, Any] = Saga("late")
    saga.step("payments.charge")
    async with working(worker):
        saga_id = await server.start(saga.definition)

        async def has_failed() -> bool:
            return "ActionFailed" in await server.events(saga_id)

        await eventually(has_failed)


async def test_a_step_of_a_worker_cannot_be_handed_out_and_is_not_tried_again(server: Server) -> None:
    worker = Worker(server.address, participant="payments")

    @worker.step
    async def charge(context: StepContext) -> str:
        return context.hand_out()

    saga: Saga[Any, Any] = Saga("elsewhere")
    saga.step("payments.charge")
    async with working(worker):
        state = await server.ended(await server.start(saga.definition))
    action = state.step("charge").action
    assert (state.status, action.attempt) == (SagaStatus.COMPENSATED, 1)
    assert action.failure is not None
    assert "cannot be handed out" in action.failure.message


async def test_a_worker_runs_the_declared_undo_of_another_participants_step(server: Server) -> None:
    seen: list[Any] = []
    shop, worker = StepRegistry("shop"), Worker(server.address, participant="payments")

    @shop.step
    async def reserve() -> str:
        return "r-1"

    @worker.step
    async def free(reservation: str | None, context: StepContext) -> None:
        seen.append((reservation, context.idempotency_key != context.action_key))

    @worker.step
    async def refuse() -> None:
        raise RefusedError("no")

    saga: Saga[Any, Any] = Saga("order")
    saga.step("shop.reserve", id="reserve", undo=Undo("payments.free", inputs={"reservation": saga.later("reserve").output}))
    saga.step("payments.refuse")
    async with server.opened(shop), working(worker):
        state = await server.ended(await server.start(saga.definition))
    assert (state.status, seen) == (SagaStatus.COMPENSATED, [("r-1", True)])


async def test_what_a_worker_has_said_of_its_inputs_is_checked_in_definitions(server: Server) -> None:
    async with working(payments(server, [])):
        await eventually(lambda: server.gateway.sessions)
        wrong: Saga[Any, Any] = Saga("wrong")
        wrong.step("payments.charge", inputs={"cart": wrong.input.card})
        with pytest.raises(DefinitionError, match="'cart' that it does not take"):
            await server.start(wrong.definition)


async def test_a_participant_belongs_to_workers_or_to_code(server: Server) -> None:
    shop = StepRegistry("payments")

    @shop.step
    async def other() -> None: ...

    async with server.opened(shop):
        with pytest.raises(RequestRefusedError, match="'payments' has its steps in code"):
            await payments(server, []).serve(asyncio.Event())
    ours = Worker(server.address, participant="system")
    ours.step(other.function)
    with pytest.raises(RequestRefusedError, match="cannot be named 'system'"):
        await ours.serve(asyncio.Event())


async def test_code_that_begins_while_the_store_is_away_waits_until_it_knows_whose_the_participant_is(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that restarts just after a process has registered ends no process."""
    shop = StepRegistry("payments")

    @shop.step
    async def charge() -> None: ...

    code = server.make(shop)
    registered, away = code.store.instances.registered, ["once", "twice"]

    async def unavailable(participant: str | None = None) -> list[Instance]:
        if away:
            away.pop()
            raise StoreUnavailableError("the database system is starting up")
        return await registered(participant)

    monkeypatch.setattr(code.store.instances, "registered", unavailable)
    await check_name(code)
    assert not away
    async with working(payments(server, [])):
        await eventually(lambda: server.gateway.sessions)
        away.append("once more")
        with pytest.raises(ConfigurationError, match="'payments' are run by remote workers"):
            await check_name(code)
    assert not away


async def test_a_worker_that_stops_while_its_stream_is_broken_comes_back_with_its_outcome(server: Server) -> None:
    begun, going_on = asyncio.Event(), asyncio.Event()
    worker = Worker(server.address, participant="payments", drain_seconds=PATIENCE_SECONDS)

    @worker.step
    async def charge() -> str:
        begun.set()
        await going_on.wait()
        return "paid"

    saga: Saga[Any, Any] = Saga("one")
    saga.step("payments.charge")
    async with working(worker) as stopping:
        saga_id = await server.start(saga.definition)
        await begun.wait()
        (session,) = server.gateway.sessions
        session.detach(0.0)  # its stream ends
        stopping.set()
        going_on.set()
        state = await server.ended(saga_id)
    assert (state.step("charge").output, state.step("charge").action.attempt) == ("paid", 1)


async def test_a_step_that_no_worker_offers_waits_and_runs_when_one_comes(server: Server) -> None:
    saga_id = await server.start(order().definition, {"card": "4242"})
    seen: list[Any] = []
    async with working(payments(server, seen)):
        assert (await server.ended(saga_id)).status is SagaStatus.COMPLETED
