"""``goconductor doctor`` on a real PostgreSQL: green when all is well, and of use when nothing works."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import asyncpg
import pytest

from goconductor import app
from goconductor.control.actor import ANYBODY
from goconductor.control.definitions import loading, versions
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.stores.postgres import migrate
from tests.contracts.clerk import clerk
from tests.doors.conftest import ORDER, Shop
from tests.doors.prompt import CANARY, Prompt

pytestmark = pytest.mark.postgres


@pytest.fixture
def prompt(postgres_url: str) -> Prompt:
    return Prompt(GOCONDUCTOR_DATABASE_URL=postgres_url)


@pytest.fixture
async def shop(prompt: Prompt, postgres_url: str) -> AsyncIterator[Node]:
    """A shop that offers its steps and leads."""
    await migrate(postgres_url)
    settings = Settings.load(environ=prompt.environ)
    shop = app.Participant("shop")
    shop.steps.update(Shop().steps().steps)
    async with shop.running(settings) as conductor:
        await versions.register(ANYBODY, conductor._node, loading.read(ORDER))
        while await conductor._node.store.terms.current() is None:
            pass
        yield conductor._node


async def test_all_is_well(prompt: Prompt, shop: Node) -> None:
    started = await shop.starting.start("order", {"sku": "tea", "quantity": 1, "card": "busy"})
    answer = await prompt.ask("doctor")
    assert (answer.code, answer.err) == (0, ""), answer.out
    assert answer.lines[-1] == "all is well"
    assert {line[0] for line in answer.lines[:-1]} == {"✓"}
    diagnosis = (await prompt.ask("doctor", "--json")).json
    assert diagnosis["healthy"] is True
    assert {check["outcome"] for check in diagnosis["checks"]} == {"sound"}
    saw = {check["name"]: check["saw"] for check in diagnosis["checks"]}
    assert saw["instances"] == "1 living: shop"
    assert saw["invariants"] == "1 live sagas are as they should be"
    assert saw["bus"].startswith("postgres carried a message in ")
    assert started.saga_id


async def test_errors_are_told_with_their_remedies_and_fail_the_command(prompt: Prompt, postgres_url: str) -> None:
    await migrate(postgres_url)
    answer = await prompt.ask("doctor")
    assert answer.code == 1
    where = answer.lines.index("✗ leader")
    assert answer.lines[where + 1 : where + 3] == [
        "    nobody has ever led",
        "    → run at least one participant or `goconductor serve`; without a leader nothing is recovered",
    ]
    assert answer.lines[-1] == "1 error"


async def test_warnings_do_not_fail_the_command(prompt: Prompt, shop: Node, postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url, ssl=False)
    await connection.execute(
        "INSERT INTO goconductor.dead_letters (topic, payload, reason, headers) VALUES ('t', '', 'odd', '{}')"
    )
    await connection.close()
    answer = await prompt.ask("doctor")
    assert (answer.code, answer.lines[-1]) == (0, "1 warning"), answer.out
    assert "! dead letters" in answer.lines


async def test_a_log_that_lost_its_end_is_found(prompt: Prompt, shop: Node, postgres_url: str) -> None:
    started = await shop.starting.start("order", {"sku": "tea", "quantity": 1, "card": "busy"})
    while (await shop.view(started.saga_id)).seq < 3:
        pass
    connection = await asyncpg.connect(postgres_url, ssl=False)
    await connection.execute("DELETE FROM goconductor.saga_log WHERE saga_id = $1 AND seq = 3", started.saga_id)
    await connection.close()
    answer = await prompt.ask("doctor")
    assert answer.code == 1
    assert f"    the log of saga {started.saga_id} is damaged: its head is at seq 3, its log ends at 2" in answer.lines


async def test_a_database_that_is_not_migrated(prompt: Prompt) -> None:
    answer = await prompt.ask("doctor", "--json")
    assert answer.code == 1
    checks = {check["name"]: check for check in answer.json["checks"]}
    assert "goconductor migrate" in checks["schema"]["findings"][0]["remedy"]
    assert checks["leader"]["outcome"] == "skipped"


async def test_a_database_that_is_away(prompt: Prompt) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = await prompt.ask("doctor", GOCONDUCTOR_DATABASE_URL=f"postgresql://u:{CANARY}@127.0.0.1:{port}/x")
    assert (answer.code, answer.err) == (3, "")
    assert "✗ database" in answer.lines
    assert any(line.startswith("    → start PostgreSQL") for line in answer.lines)


async def test_a_bus_that_is_away(prompt: Prompt, shop: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = await prompt.ask(
        "doctor",
        GOCONDUCTOR_BUS_URL=f"postgresql://u:{CANARY}@127.0.0.1:{port}/x",
        GOCONDUCTOR_BUS_OPTIONS__OPEN_TIMEOUT_SECONDS="0.5",
    )
    assert answer.code == 3
    assert "✗ bus" in answer.lines


async def test_settings_that_cannot_be_used(prompt: Prompt) -> None:
    answer = await prompt.ask("doctor", GOCONDUCTOR_REST_PORT="none", GOCONDUCTOR_DATABASE_URL=f"mysql://{CANARY}")
    assert (answer.code, answer.lines[0], answer.lines[-1]) == (2, "✗ settings", "2 errors")
    as_json = await prompt.ask("doctor", "--json", GOCONDUCTOR_REST_PORT="none")
    assert (as_json.code, as_json.json["healthy"]) == (2, False)


async def _run_as_owner(postgres_url: str, statement: str) -> None:
    connection = await asyncpg.connect(postgres_url, ssl=False)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize("migrated", [False, True])
async def test_a_look_makes_no_tables_of_the_bus(prompt: Prompt, postgres_url: str, *, migrated: bool) -> None:
    if migrated:
        await migrate(postgres_url)
    answer = await prompt.ask("doctor", "--json")
    (bus,) = [check for check in answer.json["checks"] if check["name"] == "bus"]
    assert (bus["outcome"], bus["findings"]) == ("skipped", [])
    assert ("has no tables yet" in bus["saw"]) is migrated
    elsewhere = await prompt.ask("doctor", "--json", GOCONDUCTOR_BUS_URL=postgres_url)
    (bus,) = [check for check in elsewhere.json["checks"] if check["name"] == "bus"]
    assert "has no tables yet" in bus["saw"]
    connection = await asyncpg.connect(postgres_url, ssl=False)
    try:
        made = await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'goconductor%'")
    finally:
        await connection.close()
    assert made == int(migrated)


async def test_rights_that_are_missing_are_found_each_with_its_grant(prompt: Prompt, shop: Node, postgres_url: str) -> None:
    async with clerk(postgres_url) as (role, url):
        await _run_as_owner(
            postgres_url,
            f"""REVOKE INSERT, DELETE ON goconductor.saga_log FROM {role};
            GRANT USAGE ON SCHEMA goconductor_bus TO {role};
            GRANT SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA goconductor_bus TO {role}""",
        )
        answer = await prompt.ask("doctor", GOCONDUCTOR_DATABASE_URL=url)
    assert answer.code == 1
    where = answer.lines.index("✗ rights")
    assert answer.lines[where + 1 : where + 3] == [
        f"    the role '{role}' lacks INSERT, DELETE on goconductor.saga_log",
        f"    → as the owner: GRANT INSERT, DELETE ON goconductor.saga_log TO {role}",
    ]
    assert f"    → GRANT INSERT ON goconductor_bus.queues TO {role}" in answer.lines
    assert f"    → GRANT USAGE ON SEQUENCE goconductor_bus.message_ids TO {role}" in answer.lines


async def test_a_bus_whose_server_takes_no_writes_is_told_as_that(prompt: Prompt, shop: Node, postgres_url: str) -> None:
    async with clerk(postgres_url) as (role, url):
        await _run_as_owner(postgres_url, f"ALTER ROLE {role} SET default_transaction_read_only = on")
        apart = await prompt.ask("doctor", GOCONDUCTOR_BUS_URL=url)
        as_store = await prompt.ask("doctor", GOCONDUCTOR_DATABASE_URL=url)
    where = apart.lines.index("✗ bus")
    assert "takes no writes, as default_transaction_read_only is on" in apart.lines[where + 1]
    assert apart.lines[where + 2] == "    → lift it for the role, the database or the server"
    assert any("the database takes no writes" in line for line in as_store.lines)
    assert "- bus            not looked at: it is in the same database, which cannot be used yet" in as_store.lines
