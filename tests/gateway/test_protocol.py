"""The protocol, message by message: credit, fences, sessions, signs of life, and what ends a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

from goconductor import Retry, Saga
from goconductor.engine.log.append import Appender
from goconductor.gateway import gateway as gateways
from goconductor.gateway.protocol import Outcome
from goconductor.grpc.v1 import workers_pb2 as pb
from goconductor.grpc.v1.values_pb2 import Nothing
from goconductor.lifecycle.facts.status import SagaStatus
from tests.doors.over_grpc import Refusal
from tests.gateway.conftest import Hand, Server, eventually

Hands = Iterator[Hand]


def one(**options: Any) -> Any:
    saga: Saga[Any, Any] = Saga("one")
    saga.step("payments.charge", inputs={"card": saga.input.card}, retry=Retry(attempts_max=3, initial_seconds=0.01), **options)
    return saga.definition


async def ended(hand: Hand) -> grpc.aio.AioRpcError:
    """How the stream ends that has nothing more to say."""
    try:
        while await hand.call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("it ended in order")


async def test_a_worker_gets_no_more_than_its_credit_and_more_when_it_gives_more(server: Server, hands: Hands) -> None:
    hand = next(hands)
    await hand.hello(credit=2)
    sagas = [await server.start(one(), {"card": str(number)}) for number in range(5)]
    tasks = [await hand.next("task") for _ in range(2)]
    (session,) = server.gateway.sessions
    assert len(session.in_hand) == 2
    await hand.say(credit=3)
    tasks.append(await hand.next("task"))
    await hand.done(tasks[0].fence)
    told = [await hand.call.read(), await hand.call.read()]
    assert {each.WhichOneof("said") for each in told} == {"task", "acknowledged"}
    assert len(session.in_hand) == 3
    del sagas


async def test_tasks_go_round_the_workers_that_have_room(server: Server, hands: Hands) -> None:
    first, second = next(hands), next(hands)
    await first.hello(credit=2)
    await second.hello(credit=2)
    for number in range(4):
        await server.start(one(), {"card": str(number)})
    for hand in (first, second, first, second):
        await hand.next("task")
    assert [len(session.in_hand) for session in server.gateway.sessions] == [2, 2]


async def test_a_worker_that_takes_nothing_delays_nobody_else(server: Server, hands: Hands) -> None:
    mute, other = next(hands), next(hands)
    await mute.hello(credit=1)
    stuck = await server.start(one(), {"card": "0"})
    await eventually(lambda: any(session.in_hand for session in server.gateway.sessions))
    await other.hello(credit=1)
    for number in range(20):
        saga_id = await server.start(one(), {"card": str(number)})
        await other.done((await other.next("task")).fence)
        await other.next("acknowledged")
        assert (await server.ended(saga_id)).status is SagaStatus.COMPLETED
    assert (await server.node.view(stuck)).state.status is SagaStatus.QUEUED


async def test_an_outcome_is_acknowledged_when_it_is_recorded_and_again_when_it_comes_again(server: Server, hands: Hands) -> None:
    hand = next(hands)
    await hand.hello()
    saga_id = await server.start(one(), {"card": "1"})
    fence = (await hand.next("task")).fence
    await hand.done(fence, b'"paid"')
    assert (await hand.next("acknowledged")).recorded
    assert (await server.ended(saga_id)).step("charge").output == "paid"
    await hand.done(fence, b'"paid twice"')
    assert (await hand.next("acknowledged")).recorded
    await hand.done("0" * 16)
    assert not (await hand.next("acknowledged")).recorded
    assert (await server.node.view(saga_id)).state.step("charge").output == "paid"


async def test_a_worker_comes_back_to_its_tasks_and_gets_again_what_never_arrived(server: Server, hands: Hands) -> None:
    hand = next(hands)
    await hand.hello(credit=2)
    sagas = [await server.start(one(), {"card": str(number)}) for number in range(2)]
    kept, lost = [await hand.next("task") for _ in range(2)]
    await hand.close()
    again = next(hands)
    welcome = await again.hello(credit=2, session=hand.session, holding=[kept.fence, "f" * 16])
    assert (welcome.session, list(welcome.over)) == (hand.session, ["f" * 16])
    assert (await again.next("task")).fence == lost.fence
    for fence in (kept.fence, lost.fence):
        await again.done(fence)
        assert (await again.next("acknowledged")).recorded
    for saga_id in sagas:
        state = await server.ended(saga_id)
        assert (state.status, state.step("charge").action.attempt) == (SagaStatus.COMPLETED, 1)


async def test_a_newer_connection_ends_the_older_one(server: Server, hands: Hands) -> None:
    hand, again = next(hands), next(hands)
    await hand.hello()
    await again.hello(session=hand.session)
    while await hand.call.read() is not grpc.aio.EOF:
        pass
    await server.start(one(), {"card": "1"})
    await again.next("task")


async def test_the_outcome_of_a_worker_that_is_gone_is_unknown_and_another_gets_the_next_attempt(
    server: Server, hands: Hands
) -> None:
    hand, other = next(hands), next(hands)
    await hand.hello(worker="first")
    saga_id = await server.start(one(), {"card": "1"})
    task = await hand.next("task")
    await hand.close()
    object.__setattr__(server.settings.gateway, "grace_seconds", 0.1)
    await other.hello(worker="second")
    again = await other.next("task")
    assert (again.attempt, again.idempotency_key, again.fence != task.fence) == (2, task.idempotency_key, True)
    await other.done(task.fence)  # what the first would say
    assert not (await other.next("acknowledged")).recorded
    await other.done(again.fence)
    await other.next("acknowledged")
    assert (await server.ended(saga_id)).status is SagaStatus.COMPLETED
    (unknown,) = [each for each in await server.store.sagas.history(saga_id) if each.event == "OutcomeUnknown"]
    assert b"worker 'first' is gone" in unknown.data


async def test_a_silent_worker_is_gone_though_its_connection_stands(
    server: Server, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "SILENCE_SECONDS", 0.5)
    object.__setattr__(server.settings.gateway, "grace_seconds", 0.1)
    hand, other = next(hands), next(hands)
    await hand.hello()
    saga_id = await server.start(one(), {"card": "1"})
    await hand.next("task")
    refusal = Refusal(await ended(hand))
    assert (refusal.code, refusal.kind) == (grpc.StatusCode.NOT_FOUND, "session-gone")
    monkeypatch.setattr(gateways, "SILENCE_SECONDS", 300.0)
    await other.hello()
    await other.done((await other.next("task")).fence)
    assert (await server.ended(saga_id)).status is SagaStatus.COMPLETED


async def test_a_task_whose_time_is_over_is_cancelled_and_keeps_its_room_until_the_worker_has_ended_it(
    server: Server, hands: Hands
) -> None:
    hand, other = next(hands), next(hands)
    await hand.hello()
    saga_id = await server.start(one(timeout=0.3), {"card": "1"})
    task = await hand.next("task")
    assert 0 < task.timeout_seconds <= 0.3
    assert (await hand.next("cancelled")).fence == task.fence
    await other.hello()
    again = await other.next("task")  # not to the first, which is still at it
    await hand.done(task.fence)
    assert not (await hand.next("acknowledged")).recorded
    await other.done(again.fence)
    assert (await server.ended(saga_id)).status is SagaStatus.COMPLETED
    assert [session.room for session in server.gateway.sessions] == [1, 1]


async def test_an_outcome_that_comes_in_the_turn_in_which_its_time_is_over_is_not_said_to_be_recorded(
    server: Server, hands: Hands
) -> None:
    hand = next(hands)
    await hand.hello()
    saga_id = await server.start(one(timeout=60), {"card": "1"})
    task = await hand.next("task")
    (session,) = server.gateway.sessions
    hosted = server.gateway._hosted["payments"]
    performer = hosted.node._executor._performer
    (queue,) = [each for each in performer._deadlines._queues.values() if each._running]
    (limit,) = queue._running
    hosted.desk.outcome(session, Outcome(fence=task.fence, output=b"1"))
    queue.drop(limit)
    limit.expired = True
    limit.task.cancel()  # as its queue does
    answered = await hand.next("acknowledged")
    assert (answered.fence, answered.recorded) == (task.fence, False)
    await hand.done((await hand.next("task")).fence)
    assert (await hand.next("acknowledged")).recorded
    assert (await server.ended(saga_id)).status is SagaStatus.COMPLETED


async def test_an_outcome_that_an_unforeseen_error_keeps_from_the_log_is_acknowledged_all_the_same(
    server: Server, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = next(hands)
    await hand.hello()
    await server.start(one(), {"card": "1"})
    task = await hand.next("task")
    monkeypatch.setattr(Appender, "submit", _broken)
    await hand.done(task.fence)
    assert not (await hand.next("acknowledged")).recorded


async def _broken(*_: Any) -> Any:
    raise ZeroDivisionError


async def test_a_worker_that_comes_back_with_a_task_whose_time_was_over_gives_its_room_back(server: Server, hands: Hands) -> None:
    hand = next(hands)
    await hand.hello()
    await server.start(one(timeout=0.3), {"card": "1"})
    task = await hand.next("task")
    await hand.next("cancelled")
    again = next(hands)
    welcome = await again.hello(session=hand.session, holding=[task.fence])
    assert (welcome.session, list(welcome.over)) == (hand.session, [])  # what is over takes room until it has ended
    assert (await again.next("cancelled")).fence == task.fence
    await again.done(task.fence)
    assert not (await again.next("acknowledged")).recorded
    await again.done((await again.next("task")).fence)
    assert (await again.next("acknowledged")).recorded


async def test_a_worker_that_drains_gets_no_more_and_leaves_nothing_behind(server: Server, hands: Hands) -> None:
    hand, other = next(hands), next(hands)
    await hand.hello(credit=5)
    await server.start(one(), {"card": "1"})
    task = await hand.next("task")
    await hand.say(drain=Nothing())
    await other.hello()
    saga_id = await server.start(one(), {"card": "2"})
    await other.done((await other.next("task")).fence)
    assert (await server.ended(saga_id)).status is SagaStatus.COMPLETED
    await hand.done(task.fence)
    assert (await hand.next("acknowledged")).recorded
    await hand.call.done_writing()
    while await hand.call.read() is not grpc.aio.EOF:
        pass
    assert len(list(server.gateway.sessions)) == 1


async def test_a_server_that_stops_takes_outcomes_and_hands_on_what_no_worker_was_given(server: Server, hands: Hands) -> None:
    server.drain_seconds, hand = 300.0, next(hands)
    await hand.hello(credit=1)
    sagas = [await server.start(one(), {"card": str(number)}) for number in range(2)]
    task = await hand.next("task")
    closing = asyncio.create_task(server.gateway.close())
    await hand.next("drain")
    refused = next(hands)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await refused.hello()
    assert Refusal(error.value).kind == "not-ready"
    await hand.done(task.fence)
    assert (await hand.next("acknowledged")).recorded
    assert Refusal(await ended(hand)).kind == "not-ready"
    await closing
    states = [(await server.node.view(saga_id)).state for saga_id in sagas]
    assert sorted(state.status for state in states) == [SagaStatus.COMPLETED, SagaStatus.QUEUED]
    assert "OutcomeUnknown" not in [each for saga_id in sagas for each in await server.events(saga_id)]


@pytest.mark.parametrize(
    ("first", "place"),
    [
        ({"alive": Nothing()}, "hello"),
        ({"hello": pb.Hello(participant="pay ments", steps=[pb.OfferedStep(name="a")])}, "participant"),
        ({"hello": pb.Hello(participant="p")}, "steps"),
        ({"hello": pb.Hello(participant="p", steps=[pb.OfferedStep(name="a"), pb.OfferedStep(name="a")])}, "steps"),
        ({"hello": pb.Hello(participant="p", steps=[pb.OfferedStep(name="")])}, "steps[0].name"),
        ({"hello": pb.Hello(participant="p", steps=[pb.OfferedStep(name="a")], credit=-1)}, "credit"),
        ({"hello": pb.Hello(participant="p", steps=[pb.OfferedStep(name="a")], credit=10**6)}, "credit"),
        ({"hello": pb.Hello(participant="p", steps=[pb.OfferedStep(name="a", timeout_seconds=0)])}, "steps[0].timeout_seconds"),
    ],
)
async def test_nonsense_at_the_beginning_is_refused_by_its_place(
    server: Server, hands: Hands, first: dict[str, Any], place: str
) -> None:
    hand = next(hands)
    await hand.say(**first)
    refusal = Refusal(await ended(hand))
    assert (refusal.code, list(refusal.places)) == (grpc.StatusCode.INVALID_ARGUMENT, [place])
    assert list(server.gateway.sessions) == []


async def test_nonsense_later_ends_the_stream_and_the_task_is_kept_for_who_comes_back(server: Server, hands: Hands) -> None:
    hand, again = next(hands), next(hands)
    await hand.hello()
    await server.start(one(), {"card": "1"})
    task = await hand.next("task")
    await hand.done(task.fence, kind="strange")
    assert list(Refusal(await ended(hand)).places) == ["failure.kind"]
    await again.hello(session=hand.session, holding=[task.fence])
    await again.done(task.fence, b"{not json")
    assert (await again.next("acknowledged")).recorded  # as an output that cannot be kept


async def test_who_offers_what_is_told_and_untold(server: Server, hands: Hands) -> None:
    async def offered() -> set[str]:
        living = [each for each in await server.store.instances.registered("payments") if each.dead_at is None]
        return {step for each in living for step in each.steps}

    object.__setattr__(server.settings.gateway, "grace_seconds", 0.1)
    first, second = next(hands), next(hands)
    await first.hello("payments", "charge")
    assert await offered() == {"charge"}
    await second.hello("payments", "refund")
    assert await offered() == {"charge", "refund"}
    await second.close()
    while await offered() != {"charge"}:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    await first.close()
    while await offered():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def test_a_server_has_room_for_so_many_workers_and_participants(server: Server, hands: Hands) -> None:
    for name, value in (("sessions_max", 2), ("participants_max", 1)):
        object.__setattr__(server.settings.gateway, name, value)
    await next(hands).hello()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await next(hands).hello("shipping")
    assert Refusal(refused.value).kind == "busy"
    await next(hands).hello()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await next(hands).hello()
    assert Refusal(refused.value).code is grpc.StatusCode.RESOURCE_EXHAUSTED
