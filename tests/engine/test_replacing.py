"""Instances are replaced one by one: who has not the step leaves it to who has, and who is full leaves it to who is not."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from typing import Any

import pytest

from goconductor import Participant, Saga, Settings
from goconductor.app import migrate
from goconductor.control.doors.conductor import Conductor

pytestmark = pytest.mark.postgres

RESULT_SECONDS = 240.0


async def outputs(postgres_url: str, instances: list[Participant], saga: Saga[Any], count: int) -> tuple[list[Any], list[int]]:
    """Run so many sagas at once; what came out, and how many messages each instance left to others."""
    settings = Settings.model_validate({"database": {"url": postgres_url}, "bus": {"kind": "postgres"}})
    await migrate(settings)
    async with AsyncExitStack() as stack:
        running: list[Conductor] = [await stack.enter_async_context(each.running(settings)) for each in instances]
        client = await stack.enter_async_context(Participant("client").running(settings))
        handles = await asyncio.gather(*(client.start(saga, {}) for _ in range(count)))
        results = await asyncio.gather(*(handle.result(timeout_seconds=RESULT_SECONDS) for handle in handles))
        return results, [each._node.counts["messages_for_others"] for each in running]


async def test_who_has_not_the_step_sees_its_message_once_and_who_has_runs_it(postgres_url: str) -> None:
    name = f"shop-{secrets.token_hex(4)}"
    old, older, new = Participant(name), Participant(name), Participant(name)
    for each in (old, older):

        @each.step
        async def other() -> None: ...

    @new.step
    async def pack() -> str:
        return "packed"

    saga: Saga[Any] = Saga("parcel")
    saga.returns(saga.step(pack).output)
    results, left = await outputs(postgres_url, [old, older, new], saga, 60)
    assert results == ["packed"] * 60
    assert left[2] == 0
    assert all(count <= 60 for count in left), left


async def test_a_step_that_each_runs_once_at_a_time_is_run_by_two_instances_at_once(postgres_url: str) -> None:
    name = f"shop-{secrets.token_hex(4)}"
    instances, both, ran = [Participant(name), Participant(name)], asyncio.Barrier(2), [0, 0]
    steps = []
    for number, each in enumerate(instances):

        @each.step(concurrency=1, timeout="10m")
        async def pack(number: int = number) -> str:
            await both.wait()  # until the other one has a saga too, though this one could have taken all
            ran[number] += 1
            return "packed"

        steps.append(pack)
    saga: Saga[Any] = Saga("parcel")
    saga.returns(saga.step(steps[0]).output)
    results, _ = await outputs(postgres_url, instances, saga, 20)
    assert results == ["packed"] * 20
    assert ran == [10, 10]
