"""A password that a setting holds, also a misspelt one, reaches no error, no log and no saga: for every leaf."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.db import connections
from sqlalchemy import create_engine

from goconductor import Listener, Saga, StepContext, plugins
from goconductor.buses.kafka import KafkaBus
from goconductor.buses.kinesis import KinesisBus
from goconductor.buses.nats import NatsBus
from goconductor.buses.postgres import PostgresBus
from goconductor.buses.rabbitmq import RabbitmqBus
from goconductor.buses.sqs import SqsBus
from goconductor.elections.etcd import EtcdElection
from goconductor.elections.postgres import PostgresElection
from goconductor.elections.zookeeper import ZooKeeperElection
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import GoConductorError
from goconductor.journals.asyncpg import AsyncpgJournal
from goconductor.journals.blocking.django import DjangoJournal
from goconductor.journals.blocking.sqlalchemy import BlockingSqlalchemyJournal
from goconductor.journals.psycopg import PsycopgJournal
from goconductor.journals.sqlalchemy import SqlalchemyJournal
from goconductor.ports.journal import EffectKey
from goconductor.stores.memory import MemoryStore
from goconductor.stores.postgres import PostgresStore
from goconductor.testing.world import World
from tests.contracts.callers import django_settings_of

CANARY = "CaNaRyInTheMine"
PATIENCE_SECONDS = 300.0

MISSPELT = (
    "{}://shop:CANARY@127.0.0.1:1/shop",
    "{}://shop:CANARY/x@127.0.0.1:1/shop",
    "{}://shop:x/CANARY@127.0.0.1:1/shop",
    "{}://shop:x@CANARY@127.0.0.1:1/shop",
    "{}://shop:x:CANARY@127.0.0.1:1/shop",
    "{}://shop:CANARY#x@127.0.0.1:1/shop",
    "{}://shop:CANARY?x@127.0.0.1:1/shop",
    "{}://shop:[CANARY@127.0.0.1:1/shop",
    "{}://shop:CANARY%zz@127.0.0.1:1/shop",
    "{}://shop:CANARY x@127.0.0.1:1/shop",
    "{}://shop:x@127.0.0.1:CANARY/shop",
    "{}//shop:CANARY@127.0.0.1:1/shop",
    "other://shop:CANARY@127.0.0.1:1/shop",
    "CANARY",
)
"""Each is wrong, or names a port that nobody listens on."""
OF_POSTGRES = (
    "postgresql://127.0.0.1:1/shop?user=shop&password=CANARY",
    "postgresql://127.0.0.1:1/shop?user=shop&pasword=CANARY",
    "postgresql://127.0.0.1:1/shop?sslmode=CANARY",
    "postgresql://127.0.0.1:1/shop?connect_timeout=CANARY",
    "host=127.0.0.1 port=1 user=shop password=CANARY x",
)
OF_LIBRARIES = ("postgresql://shop:CANARY@127.0.0.1:1/shop", "postgresql://shop:x@127.0.0.1:1/shop?sslmode=CANARY")
"""What the library itself reads, and not we."""
SHORT: dict[str, Any] = {"open_timeout_seconds": 0.3, "connect_timeout_seconds": 5.0}

Make = Callable[[], Any]


def urls(scheme: str) -> list[str]:
    """The last is a word alone, which is a host to those that take hosts."""
    return [url.format(scheme) for url in MISSPELT] + list(OF_POSTGRES if scheme == "postgresql" else ())


def makes(kind: str, name: str) -> list[Make] | None:
    """Ways to make the leaf wrongly, each with the canary in it; none where it takes no secret."""
    match kind, name:
        case "store", "postgres":
            return [partial(PostgresStore, url) for url in urls("postgresql")]
        case "bus", "postgres":
            return [partial(PostgresBus, url, open_timeout_seconds=0.3) for url in urls("postgresql")]
        case "bus", "rabbitmq":
            return [partial(RabbitmqBus, url, **SHORT) for url in urls("amqp")]
        case "bus", "nats":
            return [partial(NatsBus, url, **SHORT) for url in urls("nats")]
        case "bus", "kafka":
            sasl = {"sasl.username": "shop", "sasl.password": "CANARY", "sasl.mechanism": "PLAIN"}
            secure = {"security.protocol": "sasl_plaintext", **sasl}
            misspelt = [secure | {"sasl.pasword": "CANARY"}, secure | {"security.protocol": "CANARY"}]
            return [
                *(partial(KafkaBus, url, open_timeout_seconds=0.3) for url in urls("kafka")[:-1]),
                *(partial(KafkaBus, "127.0.0.1:1", open_timeout_seconds=0.3, librdkafka=each) for each in [secure, *misspelt]),
            ]
        case "bus", "sqs":
            return [partial(SqsBus, url, region="eu-west-1", **SHORT) for url in urls("http")]
        case "bus", "kinesis":
            database = "postgresql://shop:x@127.0.0.1:1/shop"
            return [
                *(partial(KinesisBus, url, database_url=database, region="eu-west-1", **SHORT) for url in urls("http")),
                *(
                    partial(KinesisBus, "http://a:b@127.0.0.1:1", database_url=url, region="eu-west-1", **SHORT)
                    for url in urls("postgresql")
                ),
            ]
        case "election", "postgres":
            return [partial(PostgresElection, MemoryStore().terms, url) for url in urls("postgresql")]
        case "election", "etcd":
            asked: dict[str, Any] = {"user": "shop", "password": "CANARY"}
            return [
                partial(EtcdElection, MemoryStore().terms, endpoints="http://127.0.0.1:1", **asked),
                partial(EtcdElection, MemoryStore().terms, endpoints="http://127.0.0.1:1", password="CANARY"),
                *(partial(EtcdElection, MemoryStore().terms, endpoints=url) for url in urls("http")),
            ]
        case "election", "zookeeper":
            asked = {"user": "shop", "password": "CANARY", "timeout_seconds": 0.3}
            return [
                partial(ZooKeeperElection, MemoryStore().terms, hosts="127.0.0.1:1", **asked),
                partial(ZooKeeperElection, MemoryStore().terms, hosts="127.0.0.1:1", password="CANARY"),
                *(partial(ZooKeeperElection, MemoryStore().terms, hosts=url, timeout_seconds=0.3) for url in urls("zk")[:-1]),
            ]
        case "journal", ("asyncpg" | "psycopg" | "sqlalchemy"):
            leaf: Any = {"asyncpg": AsyncpgJournal, "psycopg": PsycopgJournal, "sqlalchemy": SqlalchemyJournal}[name]
            return [partial(leaf, url) for url in urls("postgresql")]
        case "journal", "blocking_sqlalchemy":
            return [partial(by_engine, url) for url in OF_LIBRARIES]
        case "journal", "django":
            return [partial(by_alias, url) for url in OF_LIBRARIES]
        case _:
            return None


def by_engine(url: str) -> BlockingSqlalchemyJournal[Any]:
    return BlockingSqlalchemyJournal(create_engine(url.replace("postgresql:", "postgresql+psycopg:")))


def by_alias(url: str) -> DjangoJournal:
    connections.databases["no_such_server"] = django_settings_of(url)
    return DjangoJournal("no_such_server")


def with_canary(make: Any) -> Make:
    """The canary in place of its name."""

    def put(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: put(each) for key, each in value.items()}
        return value.replace("CANARY", CANARY) if isinstance(value, str) else value

    return partial(make.func, *(put(each) for each in make.args), **put(make.keywords))


LEAVES = [(kind, name) for kind in ("store", "bus", "election", "journal") for name in plugins.installed(kind)]


class Told(logging.Handler):
    """All that is logged: ours at any level, that of libraries from INFO on."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = list[str]()
        self.heard = asyncio.Event()
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        ours = record.name.startswith("goconductor")
        if ours or record.levelno >= logging.INFO:
            self.lines.append(self.format(record))
        if ours and record.levelno >= logging.INFO:
            self.heard.set()


@pytest.fixture
def told() -> Iterator[Told]:
    told, root = Told(), logging.getLogger()
    before = root.level
    root.addHandler(told)
    root.setLevel(logging.DEBUG)
    yield told
    root.removeHandler(told)
    root.setLevel(before)


async def opened(leaf: Any, heard: asyncio.Event) -> None:
    """Until it fails, or waits and has said so."""
    if hasattr(leaf, "settle"):
        await leaf.settle(EffectKey("action", "compensation"), timeout_seconds=PATIENCE_SECONDS)
        return
    opening, waits = asyncio.ensure_future(leaf.open()), asyncio.ensure_future(heard.wait())
    endless = isinstance(leaf, PostgresStore)
    await asyncio.wait([opening, waits] if endless else [opening], return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_SECONDS)
    waits.cancel()
    failed = opening.done()
    opening.cancel()
    await asyncio.wait([opening])
    await leaf.close()
    if failed:
        opening.result()


@pytest.mark.parametrize(("kind", "name"), LEAVES)
async def test_what_cannot_connect_tells_no_password(kind: str, name: str, told: Told) -> None:
    ways = makes(kind, name)
    if ways is None:
        assert name in ("memory", "alone"), "a leaf that connects has ways to do so wrongly"
        return
    for make in map(with_canary, ways):
        told.heard.clear()
        texts = []
        try:
            leaf = make()
            texts.append(repr(leaf))
            await opened(leaf, told.heard)
        except GoConductorError as error:
            texts += [repr(error), *traceback.format_exception(error)]
        else:
            assert told.heard.is_set(), f"nothing was wrong with {make}"
        text = "".join([*texts, *told.lines])
        assert CANARY.lower() not in text.lower(), make
        told.lines.clear()


async def test_a_saga_whose_journal_cannot_connect_tells_no_password(told: Told) -> None:
    shop = StepRegistry("shop")
    heard = asyncio.Event()

    class Hearing(Listener):
        def on_error(self, context: StepContext, error: BaseException) -> None:
            told.lines.append(f"{context} {error!r}")
            heard.set()

    @shop.step(transaction=AsyncpgJournal(f"postgresql://shop:x/{CANARY}@127.0.0.1:1/shop"))
    async def charge(tx: Any) -> None: ...

    shop.listen(Hearing())
    async with World() as world:
        node = await world.node(shop, drain_seconds=0)
        saga: Saga[Any] = Saga("order")
        saga.step(charge)
        saga_id = await world.start(saga)
        await heard.wait()
        history = await node.store.sagas.history(saga_id)
    text = "".join([*told.lines, *(repr(entry) for entry in history)])
    assert history
    assert CANARY.lower() not in text.lower()
