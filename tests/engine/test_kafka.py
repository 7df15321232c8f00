"""Sagas over Kafka, with the log in PostgreSQL; and a broker that is absent when a participant starts."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any

import httpx
import pytest

from goconductor import CompensatedError, Participant, RefusedError, Saga, Settings, app
from goconductor.app import migrate
from goconductor.rest.app import create_app
from tests.contracts.kafka_cluster import Cluster
from tests.servers.kafka import KafkaServer

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

SAGAS = 10


def settings_of(postgres_url: str, kafka_url: str) -> Settings:
    options = {"partitions": 3, "group_prefix": f"test-{secrets.token_hex(6)}."}
    bus = {"kind": "kafka", "url": kafka_url, "options": options}
    return Settings.model_validate({"database": {"url": postgres_url}, "bus": bus})


class Services:
    """Two participants, whose names are this test's own, as their topics are; and a saga that goes to and fro between them."""

    def __init__(self) -> None:
        name = secrets.token_hex(4)
        self.stock = Participant(f"stock-{name}")
        self.bank = Participant(f"bank-{name}")
        self.put_back: list[int] = []

        @self.stock.step
        async def reserve(number: int) -> int:
            return number

        @reserve.compensation
        async def restore(number: int, reserved: int | None) -> None:
            self.put_back.append(number)

        @self.bank.step
        async def charge(number: int) -> int:
            if number % 5 == 0:
                raise RefusedError("no money")
            return number * 100

        @self.stock.step
        async def ship(cents: int) -> str:
            return f"shipped for {cents}"

        self.saga: Saga[Any] = Saga(f"order-{name}")
        number = self.saga.input["number"]
        reserved = self.saga.step(reserve, inputs={"number": number})
        paid = self.saga.step(charge, inputs={"number": number}, after=[reserved])
        shipped = self.saga.step(ship, inputs={"cents": paid.output}, after=[paid], pivot=True)
        self.saga.returns(shipped.output)


async def test_sagas_over_two_participants_complete_or_are_compensated(postgres_url: str, kafka_server: str) -> None:
    services, settings = Services(), settings_of(postgres_url, kafka_server)
    await migrate(settings)

    async def outcome(conductor: Any, number: int) -> str:
        handle = await conductor.start(services.saga, {"number": number})
        try:
            return str(await handle.result(timeout_seconds=300))
        except CompensatedError:
            return "compensated"

    async with services.stock.running(settings) as conductor, services.bank.running(settings):
        outcomes = await asyncio.gather(*(outcome(conductor, number) for number in range(SAGAS)))
    assert outcomes == ["compensated" if number % 5 == 0 else f"shipped for {number * 100}" for number in range(SAGAS)]
    assert sorted(services.put_back) == [0, 5]


async def test_a_foreign_message_becomes_a_dead_letter_and_stops_nothing(postgres_url: str, kafka_server: str) -> None:
    services, settings = Services(), settings_of(postgres_url, kafka_server)
    await migrate(settings)
    topic = f"goconductor.steps.{services.stock.name}"
    cluster = Cluster(kafka_server)
    await cluster.make(topic, 3)
    cluster.write(topic, value=b"\x00\xff not ours", key=b"\xff", headers=[("kind", b"\xfe\x00")])
    async with services.stock.running(settings) as conductor, services.bank.running(settings):
        handle = await conductor.start(services.saga, {"number": 1})
        assert await handle.result(timeout_seconds=300) == "shipped for 100"
        async with asyncio.timeout(300):
            while conductor._node.counts["dead_letters"] < 1:
                await conductor._node.clock.sleep(0.05)


async def test_while_the_broker_is_absent_participants_wait_and_say_so_and_rest_answers(
    postgres_url: str, kafka_to_break: KafkaServer, caplog: pytest.LogCaptureFixture
) -> None:
    services, settings = Services(), settings_of(postgres_url, kafka_to_break.url)
    await migrate(settings)
    await asyncio.to_thread(kafka_to_break.kill)

    async def run() -> str:
        async with services.stock.running(settings) as conductor, services.bank.running(settings):
            return str(await (await conductor.start(services.saga, {"number": 2})).result(timeout_seconds=300))

    running = asyncio.create_task(run())
    with caplog.at_level(logging.WARNING):
        async with (
            app.server(settings) as node,
            httpx.AsyncClient(transport=httpx.ASGITransport(create_app(node, settings)), base_url="http://localhost") as client,
        ):
            definition = {"name": "island", "steps": [{"id": "wave", "run": "island.wave"}]}
            assert (await client.put("/v1/definitions/island", json=definition)).status_code == 200
            assert (await client.post("/v1/sagas/island", json={})).status_code == 202
            async with asyncio.timeout(300):
                while "waiting for the bus" not in caplog.text:
                    await node.clock.sleep(0.05)
            assert not running.done()
            await asyncio.to_thread(kafka_to_break.start)
            assert await running == "shipped for 200"
