"""Two installations in one database, apart by ``database.schema_name`` alone."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest

from goconductor import Participant, Saga, Settings
from goconductor.app import migrate
from goconductor.leaves import make_store, makes_of_buses, makes_of_elections
from goconductor.stores.memory import MemoryStore

pytestmark = pytest.mark.postgres

LONG = "x" * 63


def settings_of(url: str, schema: str, **more: str) -> Settings:
    return Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url, "GOCONDUCTOR_DATABASE_SCHEMA_NAME": schema, **more})


def service(answer: str) -> tuple[Participant, Saga[Any]]:
    shop = Participant("shop")

    @shop.step
    async def pack() -> str:
        return answer

    @shop.step
    async def ship(parcel: str) -> str:
        return f"{parcel}, shipped by {answer}"

    saga: Saga[Any] = Saga("order")
    packed = saga.step(pack)
    saga.returns(saga.step(ship, inputs={"parcel": packed.output}).output)
    return shop, saga


async def test_each_runs_its_own_sagas_and_has_a_leader(postgres_url: str) -> None:
    onlooker = await asyncpg.connect(postgres_url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(onlooker.close)
        results = []
        for schema in ("bakery", "brewery"):
            settings = settings_of(postgres_url, schema)
            await migrate(settings)
            shop, saga = service(schema)
            conductor = await stack.enter_async_context(shop.running(settings))
            handles = [await conductor.start(saga, None) for _ in range(5)]
            results += [handle.result(timeout_seconds=300) for handle in handles]
        told = await asyncio.gather(*results)
        assert told == [f"{schema}, shipped by {schema}" for schema in ("bakery", "brewery") for _ in range(5)]
        for schema in ("bakery", "brewery"):
            store = make_store(settings_of(postgres_url, schema), "onlooker")
            await store.open()
            stack.push_async_callback(store.close)
            while await store.terms.current() is None:
                pass
        schemas = await onlooker.fetch("SELECT nspname FROM pg_namespace WHERE nspname ~ '^(b|gocon)' ORDER BY 1")
        assert [row[0] for row in schemas] == ["bakery", "bakery_bus", "brewery", "brewery_bus"]


@pytest.mark.parametrize(
    ("schema", "more", "bus_schema"),
    [
        ("goconductor", {}, "goconductor_bus"),
        ("bakery", {}, "bakery_bus"),
        ("bakery", {"GOCONDUCTOR_BUS_OPTIONS__SCHEMA": "goconductor_bus"}, "goconductor_bus"),
        (LONG, {}, f"{'x' * 50}_6897ac3f_bus"),
    ],
)
def test_the_tables_of_the_bus_are_named_after_the_logs_unless_an_option_says_otherwise(
    schema: str, more: dict[str, str], bus_schema: str
) -> None:
    made: Any = makes_of_buses(settings_of("postgresql://127.0.0.1/shop", schema, **more))["postgres"]()
    assert made._schema == bus_schema
    assert len(bus_schema) <= 63


@pytest.mark.parametrize("kind", ["postgres", "etcd", "zookeeper"])
def test_candidates_of_an_installation_elect_their_own_leader_wherever_they_do(kind: str) -> None:
    groups = []
    for schema, more in (
        ("goconductor", {}),
        ("bakery", {}),
        ("bakery", {"GOCONDUCTOR_ELECTION_OPTIONS__GROUP": "goconductor"}),
    ):
        settings = settings_of("postgresql://127.0.0.1/shop", schema, GOCONDUCTOR_ELECTION_KIND=kind, **more)
        election: Any = makes_of_elections(settings)[kind](MemoryStore().terms)
        groups.append(next(filter(None, (getattr(election, name, None) for name in ("_group", "_key", "_path")))))
    assert groups[0] == groups[2] != groups[1]
