from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from goconductor.ports.store import Append, Outcome, Start, Store
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.log.appends import PostgresLog
from goconductor.stores.postgres.log.starts import PostgresStarts
from goconductor.testing.contracts.store import Faults, StoreContract
from goconductor.testing.contracts.store.appending import AppendContract
from goconductor.testing.contracts.store.leasing import LeaseContract
from goconductor.testing.contracts.store.material import Saga
from goconductor.testing.contracts.store.starting import StartContract
from tests.contracts.clerk import clerk
from tests.contracts.patient_store import PATIENT

pytestmark = pytest.mark.postgres


class PostgresFaults:
    def __init__(self, url: str) -> None:
        self._url = url

    async def kill(self, store: Store, serial: int) -> None:
        await store.close()

    async def age(self, store: Store, serial: int) -> None:
        await self._execute(
            "UPDATE goconductor.participants SET started_at = started_at - interval '1 hour' WHERE serial = $1", serial
        )

    async def truncate_leases(self, store: Store) -> None:
        unlogged = ("leases", "lease_marker", "permits", "permit_queue")
        await self._execute(f"TRUNCATE {', '.join(f'goconductor.{table}' for table in unlogged)}")

    async def _execute(self, statement: str, *arguments: object) -> None:
        connection = await asyncpg.connect(self._url)
        await connection.execute(statement, *arguments)
        await connection.close()


class Stores:
    """Of a role with the rights that the doctor asks for, and no others."""

    @pytest.fixture
    async def role_url(self, postgres_url: str) -> AsyncIterator[str]:
        await migrate(postgres_url, feed=True)
        async with clerk(postgres_url) as (_, url):
            yield url

    @pytest.fixture
    async def store(self, role_url: str, patient_starts: None) -> AsyncIterator[Store]:
        store = PostgresStore(role_url, **PATIENT)
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    async def other(self, store: Store, role_url: str) -> AsyncIterator[Store]:
        other = PostgresStore(role_url, **PATIENT)
        await other.open()
        yield other
        await other.close()

    @pytest.fixture
    def faults(self, postgres_url: str) -> Faults:
        return PostgresFaults(postgres_url)


class TestPostgresStore(Stores, StoreContract): ...


class TestPostgresStoreInCompany(Stores, StartContract, LeaseContract, AppendContract):
    """What is written for one saga alone has a statement of its own. Here nobody is alone: the same holds in a batch."""

    @pytest.fixture
    async def store(self, role_url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
        hand = await asyncpg.connect(postgres_url)
        await hand.execute(
            "INSERT INTO goconductor.start_keys (namespace, saga, key, saga_id, input_hash)"
            " VALUES ('company', 'order', 'k', gen_random_uuid(), '')"
        )
        await hand.close()
        append, start = PostgresLog.append, PostgresStarts.start

        async def append_in_company(log: PostgresLog, appends: Sequence[Append]) -> list[Outcome]:
            company = [Saga(seq=1, tag=1).append(epoch=each.epoch) for each in appends[:1]]  # of a saga that is not there
            return (await append(log, [*appends, *company]))[: len(appends)]

        async def start_in_company(rooms: PostgresStarts, starts: Sequence[Start]) -> list[Outcome]:
            company = [Saga().start(namespace="company", key="k") for _ in starts[:1]]  # with a key that is used
            return (await start(rooms, [*starts, *company]))[: len(starts)]

        monkeypatch.setattr(PostgresLog, "append", append_in_company)
        monkeypatch.setattr(PostgresStarts, "start", start_in_company)
        store = PostgresStore(role_url)
        await store.open()
        yield store
        await store.close()
