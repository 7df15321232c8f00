"""Outcomes from outside, reported over REST and gRPC: the same answers, and the same refusals."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from goconductor.engine.node import Node
from goconductor.engine.steps.context import StepContext
from goconductor.engine.steps.registry import StepRegistry
from tests.doors.conftest import Shop
from tests.doors.over_grpc import Caller, value

URN = "urn:goconductor:problem:"
PARCEL = {"name": "parcel", "steps": [{"id": "send", "run": "post.send"}, {"id": "tell", "run": "post.tell", "after": ["send"]}]}


class Post:
    """A service whose parcels take days."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.tokens, steps = shop, list[str](), StepRegistry("post")

        @steps.step
        async def send(context: StepContext) -> str:
            self.tokens.append(context.task_token)
            return context.hand_out()

        @steps.step
        async def tell() -> None: ...

        self.node: Node = shop.node(steps)

    async def sent(self) -> str:
        """Start a parcel, and return the token that was handed out."""
        started = (await self.shop.client.post("/v1/sagas/parcel", json={})).json()

        async def waits() -> bool:
            return bool((await self.shop.step(started["saga_id"], "send"))["status"] == "waiting")

        await self.shop.until(waits)
        return self.tokens[-1]


@pytest.fixture
async def post(shop: Shop) -> AsyncIterator[Post]:
    await shop.register(PARCEL)
    post = Post(shop)
    await post.node.open()
    yield post
    await post.node.close()


async def test_an_outcome_is_reported_over_rest_and_grpc(shop: Shop, caller: Caller, post: Post) -> None:
    token = await post.sent()
    for _ in range(2):
        told = await shop.client.post("/v1/outcomes", json={"token": token, "output": "delivered", "by": "van"})
        assert (told.status_code, told.json()["steps"][0]["output"]) == (200, "delivered")
    other = await shop.client.post("/v1/outcomes", json={"token": token, "output": "lost"})
    assert (other.status_code, other.json()["type"]) == (409, f"{URN}request-id-taken")

    token = await post.sent()
    detail = await caller.call("Report", token=token, output=value("delivered"))
    assert json.loads(detail.steps[0].output.data) == "delivered"
    token = await post.sent()
    detail = await caller.call("Report", token=token, failure="fell into the river", refused=True)
    await shop.server.wait_for_end(UUID(detail.saga_id), 300)
    late = await shop.client.post("/v1/outcomes", json={"token": token, "output": "delivered"})
    assert (late.status_code, late.json()["type"]) == (409, f"{URN}refused")
    assert "undo outside what still stands" in late.json()["detail"]


async def test_what_is_no_outcome_is_refused_at_each_door(shop: Shop, caller: Caller) -> None:
    for body in ({}, {"token": "x", "output": 1, "more": 2}, {"token": "x"}):
        assert (await shop.client.post("/v1/outcomes", json=body)).status_code == 400
    refusal = await caller.refused("Report", token="x")
    assert refusal.code.name == "INVALID_ARGUMENT"
