"""A broker loses everything that it has while 1,000 sagas run, and starts again empty: every saga ends, on each bus.

What the broker held is in the log as well: the sweep sends it again. The bus makes its topics, streams and queues again
by itself, since nobody who runs opens it a second time.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

import asyncpg
import pytest

from goconductor import Participant, Saga, Settings, StepContext
from goconductor.app import migrate
from goconductor.control.doors.conductor import Conductor
from goconductor.journals.asyncpg import AsyncpgJournal, Connection
from goconductor.testing import checkers
from tests.acceptance import tally
from tests.contracts.bus_on_a_server import in_thread, until
from tests.servers.elasticmq import ElasticmqServer
from tests.servers.kafka import KafkaServer
from tests.servers.kinesis import KinesisServer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

SAGAS = 1_000
ENDED = ("completed", "compensated")
TRANSACTIONAL = frozenset({"stock.reserve", "bank.charge", "post.ship"})


class Broker(Protocol):
    """A server with a disk to lose."""

    def kill(self) -> None: ...
    def forget(self) -> None: ...
    def start(self) -> None: ...


@dataclass
class Bus:
    """A bus by its settings, and how all that it holds is lost while it is in use. Losing blocks."""

    kind: str
    lose: Callable[[], None]
    url: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def lost(broker: Broker) -> Callable[[], None]:
    def lose() -> None:
        broker.kill()
        broker.forget()
        broker.start()

    return lose


def postgres(url: str, statement: str) -> Bus:
    """Its tables, since the log is in the same database."""

    async def execute() -> None:
        connection = await asyncpg.connect(url)
        try:
            while True:
                try:
                    await connection.execute(statement)
                except asyncpg.DeadlockDetectedError:  # it wants all at once of what others have in hand one by one
                    continue
                else:
                    return
        finally:
            await connection.close()

    return Bus("postgres", lambda: asyncio.run(execute()))


def kafka(broker: KafkaServer) -> Bus:
    return Bus("kafka", lost(broker), broker.url, {"partitions": 3, "group_prefix": f"test-{secrets.token_hex(6)}."})


@pytest.fixture(
    params=[
        "postgres-emptied",
        "postgres-dropped",
        pytest.param("kafka", marks=pytest.mark.kafka),
        pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
        pytest.param("nats", marks=pytest.mark.nats),
        pytest.param("kinesis", marks=pytest.mark.kinesis),
        pytest.param("sqs", marks=pytest.mark.sqs),
    ]
)
def bus(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[Bus]:
    match request.param:
        case "postgres-emptied":
            yield postgres(postgres_url, "TRUNCATE goconductor_bus.messages, goconductor_bus.queues")
        case "postgres-dropped":
            yield postgres(postgres_url, "DROP SCHEMA goconductor_bus CASCADE")
        case "kafka":
            yield kafka(request.getfixturevalue("kafka_to_break"))
        case "rabbitmq" | "nats" as kind:
            broker = request.getfixturevalue(f"{kind}_to_break")
            yield Bus(kind, lost(broker), broker.url, {"prefix": f"test-{secrets.token_hex(6)}"})
        case "kinesis":
            with KinesisServer() as kinesis:  # nor does this

                def lose() -> None:
                    kinesis.kill()
                    kinesis.start()

                yield Bus("kinesis", lose, kinesis.url, {"prefix": f"test-{secrets.token_hex(6)}-", "poll_seconds": 0.1})
        case "sqs":
            with ElasticmqServer() as elasticmq:  # it keeps nothing on a disk

                def lose() -> None:
                    elasticmq.kill()
                    elasticmq.start()

                yield Bus("sqs", lose, elasticmq.url, {"wait_seconds": 1, "groups_cache_seconds": 0.2})


class Services:
    """Three participants, each with a step that has its effect in a transaction."""

    def __init__(self, journal: AsyncpgJournal) -> None:
        self.stock, self.bank, self.post = Participant("stock"), Participant("bank"), Participant("post")

        async def effect(tx: Connection, ctx: StepContext) -> None:
            await tx.execute("INSERT INTO effects (key) VALUES ($1)", ctx.idempotency_key)

        @self.stock.step(transaction=journal)
        async def reserve(tx: Connection, ctx: StepContext) -> None:
            await effect(tx, ctx)

        @self.bank.step(transaction=journal)
        async def charge(tx: Connection, ctx: StepContext) -> None:
            await effect(tx, ctx)

        @self.post.step(transaction=journal)
        async def ship(tx: Connection, ctx: StepContext) -> None:
            await effect(tx, ctx)

        @reserve.compensation
        @charge.compensation
        async def put_back(tx: Connection) -> None:
            raise AssertionError("nothing is refused here")

        self.saga: Saga[Any] = Saga("order")
        reserved = self.saga.step(reserve)
        charged = self.saga.step(charge, after=[reserved])
        self.saga.step(ship, after=[charged], pivot=True)


async def test_a_bus_that_loses_everything_loses_no_saga(bus: Bus, postgres_url: str) -> None:
    settings = Settings.model_validate(
        {
            "database": {"url": postgres_url},
            "bus": {"kind": bus.kind, "url": bus.url, "options": bus.options},
            "participant": {"lease_seconds": 2.0},
            "recovery": {"sweep_interval_seconds": 0.2},
        }
    )
    await migrate(settings)
    journal = AsyncpgJournal(postgres_url)
    await journal.create_table()
    store = await asyncpg.create_pool(postgres_url, min_size=0, max_size=1)
    await store.execute("CREATE TABLE effects (key text NOT NULL)")

    async def holds(question: str, *arguments: object) -> bool:
        return bool(await store.fetchval(f"SELECT {question}", *arguments))

    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        stack.push_async_callback(journal.close)
        services = Services(journal)
        conductors: list[Conductor] = [
            await stack.enter_async_context(participant.running(settings))
            for participant in (services.stock, services.bank, services.post)
        ]
        (at_bank,) = conductors[1]._node.membership.subscriptions
        at_bank.pause()  # so that the broker keeps what it has for the bank
        await asyncio.gather(*(conductors[0].start(services.saga, None) for _ in range(SAGAS)))
        await until(lambda: holds("count(*) = $1 FROM effects", SAGAS))
        await until(lambda: not any(conductor._node.metrics()["messages_waiting"] for conductor in conductors))
        sent_again = resent(conductors)

        await in_thread(bus.lose)
        at_bank.resume()
        await until(lambda: holds(f"NOT EXISTS (SELECT FROM goconductor.sagas WHERE status NOT IN {ENDED})"))
        assert (
            resent(conductors) >= sent_again + SAGAS // 4
        )  # what was on its way stayed with its sender; the broker had the rest

        sagas = await checkers.recorded(postgres_url)
        keys = Counter[str](row["key"] for row in await store.fetch("SELECT key FROM effects"))
        states = {row["key"]: row["state"] for row in await store.fetch("SELECT key, state FROM goconductor_effects")}
        assert {(saga.head.saga, saga.head.status) for saga in sagas} == {("order", "completed")}
        assert len(sagas) == SAGAS
        assert list(tally.one_effect(sagas, keys, states, TRANSACTIONAL)) == []


def resent(conductors: list[Conductor]) -> int:
    return sum(conductor._node.counts["sweep_resent"] for conductor in conductors)
