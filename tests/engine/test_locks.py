"""Locks: of two sagas that need one key the second one waits, and of sagas that wait in a circle the youngest gives way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from goconductor import Lock, Retry, Saga, Undo
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas import queries
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import DefinitionError, RequestRefusedError
from goconductor.lifecycle.facts.events import (
    AbortRequested,
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    TerminationRequested,
)
from goconductor.lifecycle.facts.lock import Wish
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from tests.engine.bank import Bank, account, go, holders, one, started, status, two, waiting

ONCE = Retry(attempts_max=1)


@pytest.fixture
def bank() -> Bank:
    return Bank()


async def test_the_second_waits_until_the_first_has_ended(world: World, bank: Bank) -> None:
    node = await world.node(bank.steps)
    saga = one(bank)
    first, second, other = [await world.start(saga, {"a": a}) for a in ("7", "7", "8")]
    await settle()
    assert bank.done == [("book", "7"), ("book", "8")]
    assert await status(world, second) is SagaStatus.WAITING
    detail = await queries.saga_status(ANYBODY, node, second)
    assert detail.steps[0].reason == f"waits for lock 'account:7', which saga {first} holds"
    assert detail.steps[1].waits_for is None
    await go(node, first)
    assert await holders(world, "account:7") == [second]
    await go(node, second)
    await go(node, other)
    assert (await world.end_of(second)).status is SagaStatus.COMPLETED
    assert await world.store.locks.rows(limit=10) == []
    taken = [numbers["account:7"] for numbers in bank.numbers if "account:7" in numbers]
    assert len(taken) == 2
    assert taken[0] < taken[1]
    assert await world.events(second) == [
        *("SagaStarted", "LocksGranted", "ActionSucceeded book", "SignalReceived"),
    ]


async def test_sharers_run_side_by_side_and_who_wants_it_alone_waits_for_all(world: World, bank: Bank) -> None:
    node = await world.node(bank.steps)
    readers = [await world.start(one(bank, mode="shared"), {"a": "7"}) for _ in range(3)]
    writer = await world.start(one(bank), {"a": "7"})
    late = await world.start(one(bank, mode="shared"), {"a": "7"})
    await settle()
    assert sorted(await holders(world, "account:7")) == sorted(readers)
    for reader in readers:
        assert await status(world, writer) is SagaStatus.WAITING
        await go(node, reader)
    assert await holders(world, "account:7") == [writer]
    await go(node, writer)
    assert await holders(world, "account:7") == [late]


async def test_of_two_that_wait_for_each_other_the_younger_gives_way(world: World, bank: Bank) -> None:
    node = await world.node(bank.steps)
    saga = two(bank)
    older, younger = await started(world, saga, ("1", "2"), ("2", "1"))
    await go(node, older)
    await go(node, younger)
    gave_way, went_on = await world.end_of(younger), await world.end_of(older)
    assert (gave_way.status, went_on.status) == (SagaStatus.COMPENSATED, SagaStatus.COMPLETED)
    assert bank.done == [("book", "1"), ("book", "2"), ("unbook", "2"), ("book", "2")]
    assert gave_way.reason == (
        f"it waits in a circle: this saga waits for lock 'account:1', which saga {older} holds; "
        f"saga {older} waits for lock 'account:2', which this saga holds"
    )
    assert bank.numbers[2] == {"account:2": 2}  # what it undoes is about the same taking
    assert bank.numbers[3]["account:2"] > 2


async def test_a_circle_of_three_has_one_victim(world: World, bank: Bank) -> None:
    node = await world.node(bank.steps)
    saga = two(bank)
    sagas = await started(world, saga, ("1", "2"), ("2", "3"), ("3", "1"))
    for each in sagas:
        await go(node, each)
    ends = [(await world.end_of(each)).status for each in sagas]
    assert ends == [SagaStatus.COMPLETED, SagaStatus.COMPLETED, SagaStatus.COMPENSATED]


async def test_being_in_a_circle_is_tolerated_nowhere(world: World, bank: Bank) -> None:
    node = await world.node(bank.steps)
    saga = Saga[Any]("two")
    first = saga.step(bank.book, id="first", inputs={"account": saga.input["a"]}, locks=[account("input.a")])
    wait = saga.wait("go", after=[first])
    saga.step(bank.book, inputs={"account": saga.input["b"]}, after=[wait], allow_fail=True, locks=[account("input.b")])
    older, younger = await started(world, saga, ("1", "2"), ("2", "1"))
    await go(node, younger)
    await go(node, older)
    assert (await world.end_of(younger)).status is SagaStatus.COMPENSATED
    assert (await world.end_of(older)).status is SagaStatus.COMPLETED


async def test_a_paused_saga_gives_way_to_nobody_and_is_passed_over(world: World, bank: Bank) -> None:
    node = await world.node(bank.steps)
    first, paused, late = [await world.start(one(bank), {"a": "7"}) for _ in range(3)]
    await settle()
    await node.request(paused, PauseRequested())
    await settle()
    await go(node, first)
    assert await holders(world, "account:7") == [late]
    await node.request(paused, ResumeRequested())
    assert await status(world, paused) is SagaStatus.WAITING
    await go(node, late)
    assert await holders(world, "account:7") == [paused]


@pytest.mark.parametrize("how", ["abort", "terminate", "deadline"])
async def test_who_stops_waiting_makes_room_for_the_next(world: World, bank: Bank, how: str) -> None:
    node = await world.node(bank.steps)
    saga = Saga[Any]("one", timeout=60.0)
    saga.step(bank.book, inputs={"account": saga.input["a"]}, locks=[account("input.a")])
    reader = await world.start(one(bank, mode="shared"), {"a": "7"})
    await settle()
    writer = await world.start(saga, {"a": "7"})
    await settle()
    late = await world.start(one(bank, mode="shared"), {"a": "7"})
    assert await status(world, late) is SagaStatus.WAITING
    if how == "deadline":
        await world.live(70.0)
    else:
        event = AbortRequested(reason="no") if how == "abort" else TerminationRequested(reason="no")
        await node.request(writer, event)
    await settle()
    assert (await world.state(writer)).phase.ended
    assert sorted(await holders(world, "account:7")) == sorted([reader, late])
    assert await waiting(world, "account:7") == []


async def test_what_is_ended_by_force_keeps_its_key_while_a_step_of_it_runs(world: World, bank: Bank) -> None:
    slow, leave, inside = StepRegistry("slow"), asyncio.Event(), list[str]()

    @slow.step(retry=ONCE)
    async def work(account: str) -> None:
        inside.append(account)
        await leave.wait()

    node = await world.node(slow)
    saga = Saga[Any]("one")
    saga.step(work, undo="none", inputs={"account": saga.input["a"]}, locks=[account("input.a")])
    first = await world.start(saga, {"a": "7"})
    await settle()
    second = await world.start(saga, {"a": "7"})
    await settle()
    await node.request(first, TerminationRequested(reason="no", forced=True))
    await settle()
    assert inside == ["7"]
    assert await holders(world, "account:7") == [first]
    leave.set()
    await world.live(61.0)
    assert inside == ["7", "7"]
    assert (await world.end_of(second)).status is SagaStatus.COMPLETED


async def test_steps_that_wait_beside_one_that_fails_go_another_way_with_it(world: World, bank: Bank) -> None:
    node = await world.node(bank.steps)
    saga = Saga[Any]("ways")
    way = saga.savepoint("way", first="card", otherwise=["cash"])
    first = saga.step(bank.book, id="first", inputs={"account": "first"}, after=[way])
    lines = saga.map(saga.input["lines"], id="lines", after=[first], locks=[account("input.a")])
    lines.step(bank.book, inputs={"account": lines.item})
    saga.step(bank.book, id="beside", inputs={"account": "beside"}, after=[first], locks=[account("input.a")])
    holder = await world.start(one(bank), {"a": "7"})
    await settle()
    waits = await world.start(saga, {"a": "7", "lines": None})
    await settle()
    await go(node, holder)
    state = await world.end_of(waits)
    assert (state.status, state.ways["way"].number) == (SagaStatus.COMPENSATED, 1)
    assert "NoListError" in state.reason


async def test_a_saga_keeps_its_locks_while_it_goes_back_and_through_a_restart(world: World, bank: Bank) -> None:
    node = await world.node(bank.steps)
    saga = Saga[Any]("one")
    booked = saga.step(bank.book, inputs={"account": saga.input["a"]}, locks=[account("input.a")])
    saga.wait("go", after=[booked])
    holder = await world.start(saga, {"a": "7"})
    await settle()
    late = await world.start(saga, {"a": "7"})
    await settle()
    await node.request(holder, RestartRequested(from_step="book", reason="again"))
    await settle()
    assert bank.done == [("book", "7"), ("unbook", "7"), ("book", "7")]
    assert await holders(world, "account:7") == [holder]
    assert [each for each in await world.events(holder) if each == "LocksGranted"] == ["LocksGranted"]
    with pytest.raises(RequestRefusedError, match="'account': a lock is made of it"):
        await node.request(holder, RestartRequested(from_step="book", inputs={"account": "8"}, reason="other"))
    await node.request(holder, AbortRequested(reason="no"))
    await settle()
    assert bank.done[-2:] == [("unbook", "7"), ("book", "7")]
    assert await holders(world, "account:7") == [late]


async def test_a_restart_withdraws_a_wish_and_asks_anew(world: World, bank: Bank) -> None:
    node = await world.node(bank.steps)
    first = await world.start(one(bank), {"a": "7"})
    await settle()
    second = await world.start(one(bank), {"a": "7"})
    await settle()
    await node.request(second, RestartRequested(from_step="book", reason="again"))
    await settle()
    assert await waiting(world, "account:7") == [second]
    await go(node, first)
    state = await world.state(second)
    assert (state.step("book").round, state.step("book").output) == (1, "7")


async def test_a_process_that_dies_after_it_took_a_key_loses_nothing(
    world: World, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await world.node(bank.steps)
    first, second = await world.start(one(bank), {"a": "7"}), await world.start(one(bank), {"a": "7"})
    await settle()
    monkeypatch.setattr(node.locks, "see_to", lambda *_: None)  # nobody is woken, and nothing is given back
    await go(node, first)
    assert await status(world, second) is SagaStatus.WAITING
    await world.store.locks.look(second, [(await world.state(second)).step("book").wishes])  # taken, and its process is gone
    monkeypatch.undo()
    await world.live(61.0)
    assert await holders(world, "account:7") == [second]
    await go(node, second)
    assert (await world.end_of(second)).status is SagaStatus.COMPLETED


async def test_a_place_that_its_saga_wishes_no_more_holds_up_nobody(world: World, bank: Bank) -> None:
    node = await world.node(bank.steps)
    first, other = await world.start(one(bank), {"a": "7"}), await world.start(one(bank), {"a": "8"})
    await settle()
    late = await world.start(one(bank), {"a": "7"})
    await settle()

    await world.store.locks.look(other, [[Wish("account:7")]])  # by a process that was stopped for long
    later = await world.start(one(bank), {"a": "7"})
    await settle()
    await go(node, first)
    await go(node, late)
    assert await holders(world, "account:7") == [later]
    assert await waiting(world, "account:7") == []


async def test_a_saga_that_a_step_starts_asks_for_no_locks(world: World, bank: Bank) -> None:
    await world.node(bank.steps)
    parent = Saga[Any]("parent")
    parent.saga(one(bank), inputs={"a": "7"}, undo=Undo("bank.book", inputs={"account": "x"}))
    with pytest.raises(DefinitionError, match="starts saga 'one', which asks for locks"):
        await world.start(parent, {})


async def test_many_sagas_over_few_keys_all_end_and_never_two_of_them_hold_one(world: World, bank: Bank) -> None:
    inside: dict[str, int] = {}
    ran: list[str] = []
    registry = StepRegistry("shop")

    @registry.step(retry=ONCE)
    async def use(keys: list[str]) -> None:
        for key in keys:
            inside[key] = inside.get(key, 0) + 1
            assert inside[key] == 1, f"two sagas are at {key}"
        ran.extend(keys)

    @use.compensation
    async def unuse(keys: list[str]) -> None:
        leave(keys)

    @registry.step(retry=ONCE)
    async def done(keys: list[str]) -> None:
        leave(keys)

    def leave(keys: list[str]) -> None:
        for key in keys:
            inside[key] -= 1

    saga = Saga[Any]("use")
    a = saga.step(use, id="a", inputs={"keys": saga.input["first"]}, locks=[Lock("{input.first[0]}")])
    b = saga.step(use, id="b", inputs={"keys": saga.input["second"]}, after=[a], locks=[Lock("{input.second[0]}")])
    c = saga.step(done, id="c", inputs={"keys": saga.input["second"]}, after=[b])
    saga.step(done, id="d", inputs={"keys": saga.input["first"]}, after=[c], pivot=True)
    for _ in range(2):
        await world.node(registry)
    keys = "pqr"
    pairs = [(keys[n % 3], keys[(n + 1 + n % 2) % 3]) for n in range(30)]
    sagas = await asyncio.gather(*(world.start(saga, {"first": [x], "second": [y]}) for x, y in pairs))
    states: list[SagaState] = [await world.end_of(each) for each in sagas]
    assert {state.status for state in states} <= {SagaStatus.COMPLETED, SagaStatus.COMPENSATED}
    assert any(state.status is SagaStatus.COMPLETED for state in states)
    assert set(inside.values()) == {0}
    await settle()
    assert await world.store.locks.rows(limit=10) == []
