"""Workers by long poll over REST: the same session as over gRPC, a connection at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from goconductor import Retry, Saga
from goconductor.gateway import gateway as gateways
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.rest.app import create_app
from tests.gateway.conftest import Server, eventually

HELLO: dict[str, Any] = {
    "participant": "payments",
    "steps": [
        {"name": "charge", "compensation": True, "inputs": {"card": {"required": True, "schema": {"type": "string"}}}},
        {"name": "ship"},
    ],
    "credit": 1,
}


class Poller:
    """A worker that polls: what it holds, and what it keeps."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.session = ""
        self.holding: list[str] = []
        self.tasks: list[dict[str, Any]] = []

    async def hello(self, **more: Any) -> None:
        answer = await self.client.post("/v1/workers", json=HELLO | more)
        assert answer.status_code == 201, answer.text
        self.session = answer.json()["session"]

    async def poll(self, *outcomes: dict[str, Any], credit: int = 1, wait_seconds: float = 10.0, **more: Any) -> dict[str, Any]:
        body = {"credit": credit, "holding": self.holding, "outcomes": outcomes, "wait_seconds": wait_seconds, **more}
        answer = await self.client.post(f"/v1/workers/{self.session}/poll", json=body, timeout=300)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        self.holding += [task["fence"] for task in told["tasks"]]
        self.tasks += told["tasks"]
        return told

    async def task(self, **more: Any) -> dict[str, Any]:
        while not self.tasks:
            await self.poll(**more)
        return self.tasks.pop(0)

    async def done(self, task: dict[str, Any], **outcome: Any) -> bool:
        self.holding.remove(task["fence"])
        sent = {"fence": task["fence"], **outcome}
        while not (told := await self.poll(sent))["acknowledged"]:
            pass
        (acknowledged,) = told["acknowledged"]
        return bool(acknowledged["recorded"])


@pytest.fixture
async def poller(server: Server) -> AsyncIterator[Poller]:
    app = create_app(server.node, server.settings, gateway=server.gateway)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080") as client:
        yield Poller(client)


def order() -> Any:
    saga: Saga[Any, Any] = Saga("order")
    saga.step("payments.charge", inputs={"card": saga.input.card}, retry=Retry(attempts_max=2, initial_seconds=0.01))
    return saga.definition


async def test_a_task_is_polled_and_its_outcome_acknowledged_and_again(server: Server, poller: Poller) -> None:
    await poller.hello()
    saga_id = await server.start(order(), {"card": "4242"})
    task = await poller.task()
    assert (task["step"], task["input"], task["attempt"], task["compensation"]) == ("charge", {"card": "4242"}, 1, False)
    assert await poller.done(task, output={"receipt": 3.0})
    assert (await server.ended(saga_id)).step("charge").output == {"receipt": 3.0}
    poller.holding = [task["fence"]]
    assert await poller.done(task, output="again")


async def test_an_answer_that_got_lost_loses_no_task(server: Server, poller: Poller) -> None:
    await poller.hello()
    await server.start(order(), {"card": "1"})
    task = await poller.task()
    poller.holding = []  # it never arrived
    assert (await poller.task())["fence"] == task["fence"]
    assert (await poller.poll(wait_seconds=0))["tasks"] == []
    assert (await poller.poll(wait_seconds=0, holding=["f" * 16, task["fence"]]))["over"] == ["f" * 16]


async def test_a_failure_and_its_compensation_go_over_it_as_well(server: Server, poller: Poller) -> None:
    saga: Saga[Any, Any] = Saga("two")
    saga.step("payments.charge", inputs={"card": "1"})
    saga.step("payments.ship")
    await poller.hello()
    saga_id = await server.start(saga.definition)
    await poller.done(await poller.task(), output="r-1")
    await poller.done(await poller.task(), failure={"kind": "refused", "message": "no stock"})
    back = await poller.task()
    assert (back["compensation"], back["output"], "no stock" in back["reason"]) == (True, "r-1", True)
    assert back["action_key"] != back["idempotency_key"]
    await poller.done(back)
    assert (await server.ended(saga_id)).status is SagaStatus.COMPENSATED


async def test_who_polls_no_more_is_gone_and_who_polls_in_time_is_back(
    server: Server, poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await poller.hello()
    await server.start(order(), {"card": "1"})
    task = await poller.task()
    monkeypatch.setattr(gateways, "SILENCE_SECONDS", 0.0)
    (session,) = server.gateway.sessions
    await eventually(lambda: not session.attached)
    monkeypatch.setattr(gateways, "SILENCE_SECONDS", 300.0)
    assert await poller.done(task)
    object.__setattr__(server.settings.gateway, "grace_seconds", 0.01)
    monkeypatch.setattr(gateways, "SILENCE_SECONDS", 0.0)
    await eventually(lambda: not server.gateway.sessions)
    answer = await poller.client.post(f"/v1/workers/{poller.session}/poll", json={"credit": 1})
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:goconductor:problem:session-gone")


async def test_a_worker_leaves_and_a_newer_poll_ends_the_older_one(server: Server, poller: Poller) -> None:
    await poller.hello()
    older = asyncio.create_task(poller.poll())
    (session,) = server.gateway.sessions
    await eventually(lambda: session.connection == 2)
    await poller.poll(wait_seconds=0)
    assert (await older)["tasks"] == []
    assert (await poller.client.delete(f"/v1/workers/{poller.session}")).status_code == 204
    assert list(server.gateway.sessions) == []


async def test_nonsense_is_refused_by_its_place_and_without_a_gateway_all_is(server: Server, poller: Poller) -> None:
    wrong = HELLO | {"steps": [{"name": "a b", "retry": {"attempts_max": 0}, "inputs": {"x": {"schema": {"type": 7}}}}]}
    answer = await poller.client.post("/v1/workers", json=wrong)
    assert answer.status_code == 400
    places = {each["path"] for each in answer.json()["errors"]}
    assert places == {"steps[0].name", "steps[0].retry", "steps[0].inputs.x.schema"}
    await poller.hello()
    answer = await poller.client.post(
        f"/v1/workers/{poller.session}/poll", json={"credit": 1, "outcomes": [{"fence": "1", "failure": {"kind": "odd"}}]}
    )
    assert answer.json()["errors"][0]["path"] == "failure.kind"
    app = create_app(server.node, server.settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080") as client:
        answer = await client.post("/v1/workers", json=HELLO)
    assert (answer.status_code, "gateway.enabled" in answer.json()["detail"]) == (409, True)


async def test_an_input_that_does_not_fit_its_schema_is_given_to_no_worker(server: Server, poller: Poller) -> None:
    await poller.hello()
    state = await server.ended(await server.start(order(), {"card": 7}))
    failure = state.step("charge").action.failure
    assert failure is not None
    assert (state.status, failure.called) == (SagaStatus.COMPENSATED, False)
    assert "7 is not of type 'string'" in failure.message
