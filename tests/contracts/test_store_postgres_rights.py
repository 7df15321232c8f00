"""A role that lacks a right: each is found, and the error of a call names it with its GRANT."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import asyncpg
import pytest

from goconductor.errors import JournalError, RightsError
from goconductor.journals.asyncpg import AsyncpgJournal
from goconductor.ports.journal import EffectKey
from goconductor.ports.store import DeadLetter, Link, Note
from goconductor.postgres.dialling import Connection
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.database.rights import NEEDS
from goconductor.stores.postgres.database.tables import metadata
from goconductor.testing.contracts.store.material import lead
from tests.contracts.clerk import clerk

pytestmark = pytest.mark.postgres


class Desk(NamedTuple):
    role: str
    url: str
    owner: Connection


@pytest.fixture
async def desk(postgres_url: str) -> AsyncIterator[Desk]:
    await migrate(postgres_url)
    owner = await asyncpg.connect(postgres_url, ssl=False)
    try:
        async with clerk(postgres_url) as (role, url):
            yield Desk(role, url, owner)
    finally:
        await owner.close()


def test_each_table_of_ours_is_among_those_whose_rights_are_looked_at() -> None:
    tables = {table.name for table in metadata("goconductor").tables.values()}
    assert tables == NEEDS.keys() - {"alembic_version"}


async def test_each_right_that_is_revoked_is_found_with_the_statement_that_gives_it_back(desk: Desk) -> None:
    store = PostgresStore(desk.url)
    assert (await store.examine(older_than_seconds=60)).missing_rights == []
    for table, rights in NEEDS.items():
        for right in rights:
            if table == "alembic_version":
                continue
            await desk.owner.execute(f"REVOKE {right} ON goconductor.{table} FROM {desk.role}")
            (lacks,) = (await store.examine(older_than_seconds=60)).missing_rights
            assert lacks.what == f"the role '{desk.role}' lacks {right} on goconductor.{table}"
            assert lacks.grant == f"GRANT {right} ON goconductor.{table} TO {desk.role}"
            await desk.owner.execute(lacks.grant)


async def test_a_role_that_may_only_place_rows_of_the_audit_log_lacks_nothing_and_cannot_change_what_they_say(desk: Desk) -> None:
    await desk.owner.execute(f"REVOKE UPDATE ON goconductor.audit FROM {desk.role}")
    await desk.owner.execute(f"GRANT UPDATE (seq, hash) ON goconductor.audit TO {desk.role}")
    store = PostgresStore(desk.url)
    await store.open()
    try:
        assert (await store.examine(older_than_seconds=60)).missing_rights == []
        await store.audit.write(Note(actor="ann"))
        (row,) = await store.audit.unplaced(limit=2)
        await store.audit.place([Link(id=row.id, seq=1, hash=b"h")], epoch=await lead(store))
        assert (await store.audit.head() or row).seq == 1
    finally:
        await store.close()
    own = await asyncpg.connect(desk.url, ssl=False)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await own.execute("UPDATE goconductor.audit SET actor = 'bob'")
    finally:
        await own.close()


@pytest.mark.parametrize("thing", ["SELECT ON goconductor.alembic_version", "USAGE ON SCHEMA goconductor"])
async def test_a_role_that_may_not_even_see_the_version_is_told_what_it_lacks(desk: Desk, thing: str) -> None:
    await desk.owner.execute(f"REVOKE {thing} FROM {desk.role}")
    store = PostgresStore(desk.url)
    with pytest.raises(RightsError, match=f"; as the owner: GRANT {thing} TO {desk.role}$"):
        await store.examine(older_than_seconds=60)
    with pytest.raises(RightsError, match=f"; as the owner: GRANT {thing} TO {desk.role}$"):
        await store.open()


async def test_a_call_that_is_refused_names_table_right_and_grant_and_goes_on_once_it_is_given(desk: Desk) -> None:
    store = PostgresStore(desk.url)
    await store.open()
    try:
        await desk.owner.execute(f"REVOKE INSERT ON goconductor.dead_letters FROM {desk.role}")
        grant = f"GRANT INSERT ON goconductor.dead_letters TO {desk.role}"
        with pytest.raises(RightsError, match=f"lacks INSERT on goconductor.dead_letters; as the owner: {grant}$"):
            await store.dead_letters.put(DeadLetter(topic="t", payload=b"", reason="odd"))
        await desk.owner.execute(grant)
        await store.dead_letters.put(DeadLetter(topic="t", payload=b"", reason="odd"))
    finally:
        await store.close()


async def test_a_role_that_may_not_migrate_is_told_who_may(desk: Desk) -> None:
    with pytest.raises(RightsError, match=r"may not migrate the schema fresh .*; migrate as the owner"):
        await migrate(desk.url, schema="fresh")


async def test_a_journal_whose_role_lacks_a_right_names_the_grant(desk: Desk, postgres_url: str) -> None:
    journal = AsyncpgJournal(postgres_url)
    await journal.create_table()
    await journal.close()
    await desk.owner.execute(f"GRANT SELECT ON goconductor_effects TO {desk.role}")
    refused = AsyncpgJournal(desk.url)

    async def act(_tx: object) -> bytes:
        raise AssertionError

    try:
        with pytest.raises(JournalError, match=r"GRANT SELECT, INSERT, UPDATE, DELETE ON .*goconductor_effects"):
            await refused.run_action(EffectKey("action", "compensation"), act, timeout_seconds=60)
    finally:
        await refused.close()
