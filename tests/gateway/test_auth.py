"""Workers where the server asks for API keys: one role lets them in, over both doors, and lets them do nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from goconductor import Saga
from goconductor.control.actor import Actor
from goconductor.control.authority import authenticating
from goconductor.control.authority.authenticating import UnauthenticatedError
from goconductor.control.authority.keys import list_keys, revoke_key
from goconductor.control.authority.roles import ForbiddenError
from goconductor.grpc import Client
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.ports.store import AuditWanted
from goconductor.rest.app import create_app
from goconductor.worker import Worker
from tests.doors.auth import asking, bearer, key_of
from tests.doors.over_grpc import Refusal
from tests.gateway.conftest import Hand, Server, eventually, working
from tests.gateway.test_long_poll import HELLO
from tests.gateway.test_protocol import ended, one


@pytest.fixture
async def guarded() -> AsyncIterator[Server]:
    server = Server(*Server.leaves(), grace_seconds=3600.0)
    server.settings = asking(server.settings)
    async with server.running() as running:
        yield running


def payments(server: Server, key: str) -> Worker:
    worker = Worker(server.address, participant="payments", api_key=key)

    @worker.step
    async def charge() -> str:
        return "paid"

    return worker


async def test_a_key_with_the_role_of_a_worker_works_and_may_do_nothing_else(guarded: Server) -> None:
    key = await key_of(guarded.node, "worker")
    saga: Saga[Any, Any] = Saga("one")
    saga.step("payments.charge")
    async with working(payments(guarded, key)):
        assert (await guarded.ended(await guarded.start(saga.definition))).status is SagaStatus.COMPLETED
    async with Client(guarded.address, api_key=key) as client:
        with pytest.raises(ForbiddenError):
            await client.start("one")


@pytest.mark.parametrize("role", ["viewer", "operator", "deployer"])
async def test_another_role_does_not_work(guarded: Server, role: str) -> None:
    key = await key_of(guarded.node, role)
    with pytest.raises(ForbiddenError, match="it needs one of: admin, worker"):
        await payments(guarded, key).serve(asyncio.Event())
    app = create_app(guarded.node, guarded.settings, gateway=guarded.gateway)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080") as client:
        assert (await client.post("/v1/workers", json=HELLO, headers=bearer(key))).status_code == 403
        assert (await client.post("/v1/workers", json=HELLO)).status_code == 401
        mine = bearer(await key_of(guarded.node, "worker"))
        session = (await client.post("/v1/workers", json=HELLO, headers=mine)).json()["session"]
        answer = await client.post(f"/v1/workers/{session}/poll", json={"credit": 1}, headers=bearer(key))
        assert answer.status_code == 403
        assert (await client.delete(f"/v1/workers/{session}", headers=mine)).status_code == 204


async def test_a_key_that_is_bound_to_a_participant_offers_the_steps_of_no_other(guarded: Server) -> None:
    bound, other = [await key_of(guarded.node, f"worker:{name}", name="mill") for name in ("payments", "stock")]
    with pytest.raises(ForbiddenError, match="may not run the steps of 'payments'; it needs the role worker:payments"):
        await payments(guarded, other).serve(asyncio.Event())
    saga: Saga[Any, Any] = Saga("one")
    saga.step("payments.charge")
    async with working(payments(guarded, bound)):
        assert (await guarded.ended(await guarded.start(saga.definition))).status is SagaStatus.COMPLETED
    app = create_app(guarded.node, guarded.settings, gateway=guarded.gateway)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080") as client:
        assert (await client.post("/v1/workers", json=HELLO, headers=bearer(other))).status_code == 403
        joined = await client.post("/v1/workers", json=HELLO, headers=bearer(bound))
        place = f"/v1/workers/{joined.json()['session']}"
        assert (await client.post(f"{place}/poll", json={"credit": 1}, headers=bearer(other))).status_code == 403
        assert (await client.delete(place, headers=bearer(other))).status_code == 403
        assert (await client.delete(place, headers=bearer(bound))).status_code == 204
    noted = await guarded.node.store.audit.newest(AuditWanted(function="installation.workers.join"), limit=10)
    assert [(row.note.door, row.note.actor, row.note.detail, row.note.problem) for row in noted] == [
        (door, "mill", "payments", "forbidden") for door in ("rest", "grpc")
    ]


async def test_nobody_goes_on_with_the_session_of_another_key_and_one_of_the_same_name_does(guarded: Server) -> None:
    first, second, stranger = [await key_of(guarded.node, "worker", name=name) for name in ("mill", "mill", "other")]
    hand = Hand(guarded.address, metadata=(("authorization", f"Bearer {first}"),))
    await hand.hello()
    await guarded.start(one(), {"card": "1"})
    task = await hand.next("task")
    thief = Hand(guarded.address, metadata=(("authorization", f"Bearer {stranger}"),))
    welcome = await thief.hello(session=hand.session, holding=[task.fence])
    assert (welcome.session != hand.session, list(welcome.over)) == (True, [task.fence])
    await thief.done(task.fence, b'"stolen"')
    assert not (await thief.next("acknowledged")).recorded
    app = create_app(guarded.node, guarded.settings, gateway=guarded.gateway)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080") as client:
        place, theirs = f"/v1/workers/{hand.session}", bearer(stranger)
        assert (await client.post(f"{place}/poll", json={"credit": 1}, headers=theirs)).status_code == 404
        assert (await client.delete(place, headers=theirs)).status_code == 404
    again = Hand(guarded.address, metadata=(("authorization", f"Bearer {second}"),))
    assert (await again.hello(session=hand.session, holding=[task.fence])).session == hand.session
    await again.done(task.fence)
    assert (await again.next("acknowledged")).recorded
    for each in (hand, thief, again):
        await each.close()


async def test_a_stream_ends_soon_after_its_key(guarded: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in vars(authenticating):
        if name.endswith("_SECONDS"):
            monkeypatch.setattr(authenticating, name, 0.05)
    key = await key_of(guarded.node, "worker")
    hand = Hand(guarded.address, metadata=(("authorization", f"Bearer {key}"),))
    await hand.hello()
    (kept,) = (await list_keys(Actor("root"), guarded.node)).keys
    await revoke_key(Actor("root"), guarded.node, kept.key_id)
    assert Refusal(await ended(hand)).kind == "unauthenticated"
    await eventually(lambda: not guarded.gateway.sessions)
    await hand.close()


async def test_a_worker_whose_key_ends_goes_on_with_the_next_that_it_is_given(
    guarded: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in vars(authenticating):
        if name.endswith("_SECONDS"):
            monkeypatch.setattr(authenticating, name, 0.05)
    keys = [await key_of(guarded.node, "worker", name="mill") for _ in range(2)]
    asked: list[str] = []

    async def token() -> str:
        asked.append(keys[min(len(asked), 1)])
        return asked[-1]

    async def charge() -> str:
        return "paid"

    worker = Worker(guarded.address, participant="payments", token=token)
    worker.step(charge)
    async with working(worker):
        await eventually(lambda: bool(guarded.gateway.sessions))
        await revoke_key(Actor("root"), guarded.node, keys[0])
        await eventually(lambda: len(asked) >= 2)
        saga: Saga[Any, Any] = Saga("one")
        saga.step("payments.charge")
        assert (await guarded.ended(await guarded.start(saga.definition))).status is SagaStatus.COMPLETED
    over = Worker(guarded.address, participant="payments", token=lambda: keys[0])
    over.step(charge)
    with pytest.raises(UnauthenticatedError):  # it was never welcome, so another try would be the same
        await over.serve(asyncio.Event())
