"""``goconductor audit …``."""

from __future__ import annotations

import json

import asyncpg

from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.contracts.store.leading.auditing import chain
from goconductor.testing.contracts.store.material import lead
from tests.doors.prompt import Prompt


async def test_requests_are_listed_and_a_change_of_the_table_is_found(command_line: Prompt, postgres_url: str) -> None:
    await migrate(postgres_url)
    assert "nothing is chained yet" in (await command_line.ask("audit", "verify")).out
    for name in ("one", "two", "three"):
        assert (await command_line.ask("key", "create", name, "--role", "viewer", "--by", "ann")).code == 0
    assert (await command_line.ask("key", "revoke", "0" * 12, "--by", "bob")).code == 4
    listed = await command_line.ask("audit", "list", "--by", "ann", "--limit", "2")
    assert "key of three" in listed.out
    assert "more: --before " in listed.out
    rows = json.loads((await command_line.ask("audit", "list", "--json")).out)["entries"]
    assert [(row["actor"], row["door"], row["means"], row["outcome"], row["problem"]) for row in rows] == [
        ("bob", "cli", "", "refused", "key-not-found"),
        *[("ann", "cli", "", "done", "")] * 3,
    ]
    store = PostgresStore(postgres_url)
    await store.open()
    await chain(store, await lead(store))
    await store.close()
    proof = await command_line.ask("audit", "verify")
    assert proof.out.splitlines()[0] == "4 rows, from 1 to 4"
    assert proof.out.splitlines()[-1] == "the chain is sound"
    head = proof.out.splitlines()[1].removeprefix("head ")
    assert (await command_line.ask("audit", "verify", "--against", head)).code == 0
    connection = await asyncpg.connect(postgres_url, ssl=False)
    await connection.execute("UPDATE goconductor.audit SET actor = 'eve' WHERE seq = 2")
    await connection.close()
    broken = await command_line.ask("audit", "verify", "--json")
    assert (broken.code, json.loads(broken.out)["broken_at"]) == (1, 2)
    assert (await command_line.ask("audit", "verify", "--against", "x")).code == 2
