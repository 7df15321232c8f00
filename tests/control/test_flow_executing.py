"""Executions of flows: with options of their own, in the words of flows, by services that fail, are gone or are stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from goconductor import (
    ArgumentError,
    CompensatedError,
    Conductor,
    DefinitionError,
    Flow,
    FlowStatus,
    Participant,
    PermanentError,
    RefusedNowError,
    RequestInvalidError,
    RequestRefusedError,
    Retry,
    SagaNotFoundError,
    StepNotFoundError,
    StepStatus,
    TemporaryError,
    TerminatedError,
)
from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.control.flows.statuses import of_execution, of_step
from goconductor.engine.node import Node
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.stores.memory import MemoryStore
from goconductor.testing import World


class Shop:
    """A service whose steps do what the input of an execution says, on a store in memory and real time."""

    def __init__(self) -> None:
        self.store, self.broker = MemoryStore(), MemoryBroker()
        self.at_gate, self.gate = asyncio.Event(), asyncio.Event()
        self.out, self.most = 0, 0
        self.participant = Participant("shop")
        self.attempts = 0

        @self.participant.step
        async def work(how: str = "well") -> str:
            self.out += 1
            self.most = max(self.most, self.out)
            try:
                await asyncio.sleep(0)  # others get their turn
                return await self.do(how)
            finally:
                self.out -= 1

        @work.compensation
        async def undo(how: str = "well") -> None: ...

    async def do(self, how: str) -> str:
        match how:
            case "gate":
                self.at_gate.set()
                await self.gate.wait()
            case "badly":
                raise PermanentError("it broke")
            case "twice" if self.attempts == 0:
                self.attempts += 1
                raise TemporaryError("not yet", delay_seconds=0)
        return how

    def node(self, participant: Participant | None = None) -> Node:
        return Node(store=self.store, bus=MemoryBus(self.broker), open_store=lambda: self.store, registry=participant)


@pytest.fixture
async def shop() -> Shop:
    return Shop()


@pytest.fixture
async def conductor(shop: Shop) -> AsyncIterator[Conductor]:
    node = shop.node(shop.participant)
    await node.open()
    yield Conductor(node)
    shop.gate.set()
    await node.close()


@pytest.fixture
def flow(conductor: Conductor) -> Flow:
    return Flow(conductor, "order")


async def chain(flow: Flow, *names: str, how: Any = None) -> None:
    for number, name in enumerate(names):
        inputs = {"how": getattr(flow.input, name) if how is None else how}
        await flow.create_step("shop.work", id=name, inputs=inputs, after=names[max(number - 1, 0) : number])


async def test_a_synchronous_execution_returns_the_result(flow: Flow) -> None:
    await chain(flow, "a", "b", how="well")
    assert await flow.execute(sync=True) == {"a": "well", "b": "well"}


async def test_an_asynchronous_one_returns_the_id(flow: Flow) -> None:
    await chain(flow, "a", how="well")
    execution = await flow.execute(key="one")
    assert await flow.execute(key="one") == execution
    assert await flow.result(execution) == {"a": "well"}
    assert await flow.result(str(execution), "a") == "well"
    status = await flow.status(execution)
    assert (status.status, status.output, [step.status for step in status.steps]) == (
        FlowStatus.SUCCESS,
        {"a": "well"},
        [FlowStatus.SUCCESS],
    )


async def test_an_execution_starts_at_a_step(flow: Flow) -> None:
    await chain(flow, "a", "b", "c", how="well")
    assert await flow.execute(sync=True, from_step="b") == {"a": None, "b": "well", "c": "well"}
    with pytest.raises(DefinitionError, match="no step 'd' to start at"):
        await flow.execute(from_step="d")
    assert (await flow.lookup()).steps[0].step == {"id": "a", "run": "shop.work", "inputs": {"how": {"value": "well"}}}


async def test_no_more_steps_are_out_at_once_than_an_execution_wants(shop: Shop, flow: Flow) -> None:
    for number in range(6):
        await flow.create_step("shop.work", id=f"s{number}")
    await flow.execute(sync=True, concurrency=2)
    assert shop.most <= 2
    await flow.execute(sync=True)


async def test_an_execution_has_attempts_of_its_own(shop: Shop, flow: Flow) -> None:
    await chain(flow, "a", how="twice")
    with pytest.raises(CompensatedError):
        await flow.execute(sync=True, retry=Retry(attempts_max=1))
    shop.attempts = 0
    assert await flow.execute(sync=True, retry=Retry(attempts_max=2, initial_seconds=0.01)) == {"a": "twice"}


async def test_an_execution_has_a_timeout_of_its_own() -> None:
    async with World() as world:
        flow = Flow(await world.conductor(), "order")
        await flow.create_step({"id": "paid", "wait": {"event": "paid"}})
        execution = await flow.execute(timeout="10s")
        assert (await world.end_of(execution)).status is SagaStatus.COMPENSATED
        assert (await flow.status(execution)).status is FlowStatus.FAILURE


async def test_a_failed_execution_is_a_failure_and_its_steps_are_undone(flow: Flow) -> None:
    await chain(flow, "a", "b", "c")
    execution = await flow.execute({"a": "well", "b": "badly", "c": "well"})
    with pytest.raises(CompensatedError, match="it broke"):
        await flow.result(execution)
    status = await flow.status(execution)
    assert status.status is FlowStatus.FAILURE
    assert {step.id: step.status for step in status.steps} == {
        "a": FlowStatus.ABORTED,
        "b": FlowStatus.FAILURE,
        "c": FlowStatus.ABORTED,
    }
    recovered = await flow.execute({"a": "twice", "b": "badly", "c": "well"}, retry=Retry(initial_seconds=0.01))
    with pytest.raises(CompensatedError):
        await flow.result(recovered)
    assert [step.status for step in (await flow.status(recovered)).steps][:2] == [FlowStatus.ABORTED, FlowStatus.FAILURE]
    with pytest.raises(RequestRefusedError, match="step 'b' has no result: it is compensated, PermanentError: it broke"):
        await flow.result(execution, "b")
    with pytest.raises(StepNotFoundError, match="has no step 'd'"):
        await flow.result(execution, "d")


async def test_an_execution_is_paused_resumed_and_aborted(shop: Shop, flow: Flow) -> None:
    await chain(flow, "a", "b")
    execution = await flow.execute({"a": "gate", "b": "well"})
    await shop.at_gate.wait()
    paused = await flow.pause(execution, reason="lunch", by="ann")
    assert (paused.status, paused.reason) == (FlowStatus.PAUSED, "lunch")
    assert [step.status for step in paused.steps] == [FlowStatus.PENDING, FlowStatus.PAUSED]
    assert (await flow.resume(execution)).status is FlowStatus.PENDING
    assert (await flow.abort(execution, reason="no more")).status is FlowStatus.PENDING
    shop.gate.set()
    with pytest.raises(CompensatedError, match="aborted: no more"):
        await flow.result(execution)
    assert (await flow.status(execution)).status is FlowStatus.ABORTED
    with pytest.raises(RefusedNowError):
        await flow.pause(execution)


async def test_who_stops_an_execution_waits_for_what_runs(shop: Shop, flow: Flow) -> None:
    await chain(flow, "a", "b")
    execution = await flow.execute({"a": "gate", "b": "well"})
    await shop.at_gate.wait()
    with pytest.raises(TimeoutError, match="is paused, and a ran on for 0 s; stop it again, or resume it"):
        await flow.stop(execution, reason="the end", wait_seconds=0)
    stopping = asyncio.ensure_future(flow.stop(execution, reason="the end", by="ann"))
    shop.gate.set()
    stopped = await stopping
    assert (stopped.status, [step.status for step in stopped.steps]) == (
        FlowStatus.STOPPED,
        [FlowStatus.SUCCESS, FlowStatus.STOPPED],
    )
    with pytest.raises(TerminatedError):
        await flow.result(execution)
    assert await flow.stop(execution, reason="again") == stopped
    assert await flow.result(execution, "a") == "gate"


async def test_what_has_ended_by_itself_is_not_stopped(flow: Flow) -> None:
    await chain(flow, "a", how="well")
    execution = await flow.execute()
    await flow.result(execution)
    assert (await flow.stop(execution, reason="too late")).status is FlowStatus.SUCCESS
    with pytest.raises(RequestInvalidError, match="give the reason"):
        await flow.stop(execution, reason=" ")


async def test_the_steps_of_a_service_that_is_gone_wait_visibly(shop: Shop, flow: Flow) -> None:
    other = Participant("bank")
    bank = shop.node(other)
    other.step(name="charge")(shop.do)
    await bank.open()
    await chain(flow, "a", how="well")
    await Flow(Conductor(bank), "order").create_step("bank.charge", inputs={"how": "well"}, after=["a"])
    assert await flow.execute(sync=True) == {"a": "well", "charge": "well"}
    await bank.close()
    execution = await flow.execute()
    with pytest.raises(TimeoutError, match="bank"):
        await flow.result(execution, wait_seconds=0.2)
    [_, charge] = (await flow.status(execution)).steps
    assert (charge.status, charge.reason) == (FlowStatus.PENDING, "bank has no live instance")
    with pytest.raises(RequestRefusedError, match="it is waiting, bank has no live instance"):
        await flow.result(execution, "charge")
    with pytest.raises(TimeoutError, match=r"what charge \(bank has no live instance\) has done; .*forced"):
        await flow.stop(execution, reason="it is gone", wait_seconds=0.05)  # the bank may have a journal
    assert (await flow.status(execution)).status is FlowStatus.PENDING
    assert (await flow.stop(execution, reason="for good", forced=True)).status is FlowStatus.STOPPED


async def test_an_execution_of_another_flow_is_none(flow: Flow, conductor: Conductor) -> None:
    await chain(flow, "a", how="well")
    execution = await flow.execute()
    other = Flow(conductor, "other")
    for asked in (other.status, other.result, other.pause, other.resume, other.abort):
        with pytest.raises(SagaNotFoundError, match="flow 'other' has no execution"):
            await asked(execution)
    with pytest.raises(SagaNotFoundError):
        await other.stop(execution, reason="no")


async def test_wrong_options_are_refused(flow: Flow) -> None:
    await chain(flow, "a", how="well")
    with pytest.raises(ArgumentError, match="no option 'retries'; did you mean retry"):
        await flow.execute(retries=3)  # type: ignore[call-overload]
    with pytest.raises(ArgumentError, match="concurrency is of type bool"):
        await flow.execute(concurrency=True)
    with pytest.raises(ValueError, match="not a duration"):
        await flow.execute(timeout="soon")


def test_each_status_has_a_word_and_what_has_ended_is_on_no_way() -> None:
    words = {(step, saga): of_step(step, saga) for step in StepStatus for saga in SagaStatus}
    assert {*words.values()} == {*FlowStatus}
    on_its_way = {FlowStatus.PENDING, FlowStatus.PAUSED}
    assert [key for key, word in words.items() if key[1].ended and word in on_its_way] == []
    assert {of_execution(saga, aborted=aborted) for saga in SagaStatus for aborted in (False, True)} == {*FlowStatus}
