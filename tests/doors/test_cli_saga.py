"""Starting sagas and looking at them from the command line, and what is refused, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import socket
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import pytest
from typer.testing import CliRunner

from goconductor.cli import running
from goconductor.cli.commands.sagas import watch
from goconductor.cli.main import cli
from goconductor.cli.seeking import Sought
from goconductor.control.doors.exits import Exit
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.lifecycle.facts.events import AbortRequested
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.stores.postgres import migrate
from goconductor.testing.loopback import free_port
from tests.contracts.clerk import clerk
from tests.doors.conftest import INPUT
from tests.doors.prompt import CANARY, Answer, Prompt
from tests.doors.relay import relay

pytestmark = pytest.mark.postgres

UNKNOWN = "01920000-0000-7000-8000-000000000000"


async def test_a_saga_is_started_shown_watched_and_listed(command_line: Prompt, open_shop: Node) -> None:
    started = await command_line.ask(
        "saga", "start", "order", "--input", json.dumps(INPUT), "--wait", "300", "--label", "team=x", "--json"
    )
    assert started.code == 0, started.err
    assert (started.json["status"], started.json["labels"]) == ("completed", {"team": "x"})
    saga_id = started.json["saga_id"]

    assert (await command_line.ask("saga", "show", saga_id, "--json")).json == started.json
    shown = await command_line.ask("saga", "show", saga_id)
    assert shown.code == 0
    assert [line.split()[1:] for line in shown.out.splitlines()] == [
        [saga_id, "completed"],
        ["✓", "reserve", "succeeded"],
        ["✓", "charge", "succeeded"],
        ["✓", "ship", "succeeded"],
    ]
    watched = await command_line.ask("saga", "watch", saga_id)
    assert (watched.code, watched.out.splitlines()[-1]) == (0, f"order {saga_id}  completed")

    listed = await command_line.ask("saga", "list", "--saga", "order", "--status", "completed", "--json")
    assert [saga["saga_id"] for saga in listed.json["sagas"]] == [saga_id]
    assert saga_id in (await command_line.ask("saga", "list")).out
    assert (await command_line.ask("saga", "list", "--status", "stuck", "--json")).json == {
        "sagas": [],
        "cursor": None,
        "searched_until": None,
    }


async def test_a_saga_that_compensates_fails_the_command_that_waits(command_line: Prompt, open_shop: Node) -> None:
    declined = json.dumps({**INPUT, "card": "declined"})
    started = await command_line.ask("saga", "start", "order", "--input", declined, "--wait", "300")
    assert started.code == 1
    assert "compensated" in started.out
    assert "PermanentError: the card was declined" in started.out
    saga_id = started.out.split()[1]
    watched = await command_line.ask("saga", "watch", saga_id, "--json")
    assert watched.code == 1
    assert [json.loads(line)["status"] for line in watched.out.splitlines()] == ["compensated"]


async def test_a_saga_that_does_not_end_in_time_fails_the_command_and_goes_on(command_line: Prompt, open_shop: Node) -> None:
    busy = json.dumps({**INPUT, "card": "busy"})
    start = ("saga", "start", "order", "--input", busy, "--key", "busy", "--json")
    begun = (await command_line.ask(*start)).json
    while (await open_shop.view(UUID(begun["saga_id"]))).state.step("charge").action.status is not ActionStatus.BACKOFF:
        pass
    waited = await command_line.ask(*start, "--wait", "0.5")
    assert (waited.code, waited.json["saga_id"], waited.json["status"]) == (1, begun["saga_id"], "running")


async def test_a_watch_without_a_terminal_tells_every_change_until_the_end(
    command_line: Prompt, open_shop: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("goconductor.cli.commands.sagas.watch.typer.echo", told.append)
    saga_id = (await open_shop.starting.start("order", {**INPUT, "card": "busy"})).saga_id
    watching = asyncio.create_task(watch.watch(Settings.load(environ=command_line.environ), Sought(saga_id), as_json=False))
    while not any("charge  waiting" in line for line in told):
        await asyncio.wait([watching], timeout=0.05)
    await open_shop.request(saga_id, AbortRequested(at=open_shop.clock.now(), reason="test"))
    assert await watching is Exit.FAILED
    assert told[-1] == f"order {saga_id}  compensated"
    assert "reserve  succeeded" in told


async def test_the_input_may_be_a_file_or_the_standard_input_and_a_key_finds_the_same_saga(
    command_line: Prompt, open_shop: Node, tmp_path: Path
) -> None:
    (tmp_path / "order.json").write_text(json.dumps(INPUT))
    first = await command_line.ask("saga", "start", "order", "--input", f"@{tmp_path}/order.json", "--key", "order-17", "--json")
    second = await command_line.ask(
        "saga", "start", "order", "--input", "-", "--key", "order-17", "--json", stdin=json.dumps(INPUT).encode()
    )
    assert (first.code, second.code) == (0, 0)
    assert second.json["saga_id"] == first.json["saga_id"]
    for command in ("show", "story"):
        by_key = await command_line.ask("saga", command, "order/order-17", "--json")
        assert by_key.json == (await command_line.ask("saga", command, first.json["saga_id"], "--json")).json
    listed = await command_line.ask("saga", "list", "--saga", "order", "--key", "order-17", "--json")
    assert [each["saga_id"] for each in listed.json["sagas"]] == [first.json["saga_id"]]
    unknown = await command_line.ask("saga", "show", "order/order-18")
    assert (unknown.code, unknown.err[:59]) == (4, "goconductor: no saga 'order' was started with the key 'orde")
    other = await command_line.ask("saga", "start", "order", "--input", json.dumps({**INPUT, "quantity": 3}), "--key", "order-17")
    assert other.code == 1
    assert other.err.startswith("goconductor: key 'order-17' has started saga 'order'")


async def test_what_is_refused_is_one_line_and_an_exit_code(command_line: Prompt, open_shop: Node) -> None:
    cases: list[tuple[list[str], int, str]] = [
        (["saga", "start", "ordre"], 4, "there is no definition of saga 'ordre'"),
        (["saga", "show", UNKNOWN], 4, f"there is no saga {UNKNOWN}"),
        (["saga", "watch", UNKNOWN], 4, f"there is no saga {UNKNOWN}"),
        (["saga", "start", "order", "--input", '{"sku": 1}'], 1, "$.sku should be a string"),
        (["saga", "start", "order", "--input", "{NaN}"], 2, "--input: $: is not JSON"),
        (["saga", "start", "order", "--input", '{"a": "\\u0000"}'], 2, "--input: $.a: holds a NUL"),
        (
            ["saga", "start", "order", "--input", "@none.json"],
            2,
            "--input @none.json: cannot be read (No such file or directory)",
        ),
        (["saga", "start", "order", "--label", "team"], 2, "label 'team': write name=value, each name once"),
    ]
    for arguments, code, says in cases:
        ran = await command_line.ask(*arguments)
        assert (ran.code, ran.out) == (code, ""), arguments
        assert says in ran.err
        assert ran.err.startswith("goconductor: ")
        assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [["saga", "show", "x"], ["saga", "list", "--limit", "0"], ["sag"], ["saga", "list", "--status", "x"], ["saga"]]
)
def test_a_command_that_is_none_is_a_usage_error(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, arguments).exit_code == 2


async def test_a_database_is_migrated_once_however_often_it_is_asked(command_line: Prompt) -> None:
    before = await command_line.ask("saga", "list")
    assert before.code == 3
    assert "goconductor migrate" in before.err
    for _ in range(2):
        ran = await command_line.ask("migrate")
        assert (ran.code, ran.out) == (0, "schema 'goconductor' is at this version\n"), ran.err
    assert (await command_line.ask("saga", "list")).code == 0
    assert (await command_line.ask("migrate", GOCONDUCTOR_DATABASE_SCHEMA_NAME="other")).code == 0


async def test_settings_that_cannot_be_used_are_all_told(
    command_line: Prompt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "goconductor.yaml").write_text(f"database: {{url: '{CANARY}'}}\nrest: {{prot: 1}}")
    ran = await command_line.ask("saga", "list", GOCONDUCTOR_DATABASE_URL=f"mysql://{CANARY}", GOCONDUCTOR_REST_PROT="1")
    assert ran.code == 2
    assert ran.err.splitlines()[0] == "goconductor: the settings cannot be used:"
    assert len(ran.err.splitlines()) == 4
    named = await command_line.ask("--config", "none.yaml", "saga", "list")
    assert (named.code, "none.yaml: cannot be read" in named.err) == (2, True)


async def test_a_file_that_is_named_is_used(command_line: Prompt, open_shop: Node, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f"database: {{url: '{command_line.environ['GOCONDUCTOR_DATABASE_URL']}'}}")
    ran = await Prompt().ask("--config", str(file), "saga", "list")
    assert ran.code == 0, ran.err


async def test_a_database_that_refuses_us_is_told_without_the_password(command_line: Prompt) -> None:
    parts = urlsplit(command_line.environ["GOCONDUCTOR_DATABASE_URL"])
    host = parts.netloc.rpartition("@")[2]
    changes: list[dict[str, str]] = [
        {"path": "/no_such_database"},
        {"netloc": f"nobody:{CANARY}@{host}"},
        {"netloc": f"u:{CANARY}@127.0.0.1:port"},
        {"query": f"sslmode={CANARY}"},
    ]
    for change in changes:
        url = urlunsplit(parts._replace(**change))
        for command in (["migrate"], ["saga", "list"]):
            ran = await command_line.ask(*command, GOCONDUCTOR_DATABASE_URL=url)
            assert (ran.code, ran.out) == (2, ""), (url, command, ran.err)


async def refused(prompt: Prompt, monkeypatch: pytest.MonkeyPatch, *arguments: str, url: str) -> Answer:
    """What a command says whose database refuses it. On a busy machine it takes a while to learn why."""
    for seconds in (1.0, 10.0, 100.0):
        monkeypatch.setattr(running, "OPEN_SECONDS", seconds)
        answer = await prompt.ask(*arguments, GOCONDUCTOR_DATABASE_URL=url)
        if "did not answer within" not in answer.err:
            break
    return answer


async def test_a_database_that_is_away_is_waited_for_only_so_long(command_line: Prompt, monkeypatch: pytest.MonkeyPatch) -> None:
    away = f"postgresql://u:{CANARY}@127.0.0.1:{free_port()}/x"
    listing = await refused(command_line, monkeypatch, "saga", "list", url=away)
    assert listing.code == 3
    monkeypatch.setattr(running, "OPEN_SECONDS", 0.5)
    assert "cannot be reached" in listing.err
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u:{CANARY}@127.0.0.1:{silent.getsockname()[1]}/x"
        listing = await command_line.ask("saga", "list", GOCONDUCTOR_DATABASE_URL=url)
    assert listing.err == ("goconductor: the database did not answer within 0.5 s; see that it is up and reachable from here\n")
    migrating = await command_line.ask("migrate", GOCONDUCTOR_DATABASE_URL=away)
    assert (migrating.code, len(migrating.err.splitlines())) == (3, 1)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("ALTER ROLE {role} CONNECTION LIMIT 0", "raise this role's limit (ALTER ROLE … CONNECTION LIMIT)"),
        ("ALTER DATABASE {database} CONNECTION LIMIT 0", "raise this database's limit (ALTER DATABASE … CONNECTION LIMIT)"),
        (
            "ALTER ROLE {role} SET default_transaction_read_only = on",
            "it takes no writes, as default_transaction_read_only is on; lift",
        ),
    ],
)
async def test_a_database_that_takes_no_more_connections_or_no_writes_is_told_as_that(
    command_line: Prompt, monkeypatch: pytest.MonkeyPatch, statement: str, says: str
) -> None:
    ours = command_line.environ["GOCONDUCTOR_DATABASE_URL"]
    owner = await asyncpg.connect(ours, ssl=False)
    try:
        await migrate(ours)
        async with clerk(ours) as (role, url):
            database = await owner.fetchval("SELECT current_database()")
            await owner.execute(statement.format(role=role, database=database))
            for command in (["saga", "list"], ["migrate"]):
                ran = await refused(command_line, monkeypatch, *command, url=url)
                assert ran.code == 3
                assert says in ran.err
    finally:
        await owner.close()


async def test_migrate_waits_for_a_database_that_is_not_there_yet(command_line: Prompt) -> None:
    parts = urlsplit(command_line.environ["GOCONDUCTOR_DATABASE_URL"])
    place = socket.socket()
    place.bind(("127.0.0.1", 0))  # ours from now on, and nobody listens
    late = urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{place.getsockname()[1]}"))
    for wait in ("0.6", "6", "60"):  # a busy machine needs longer for the first look
        gone = await command_line.ask("migrate", "--wait", wait, GOCONDUCTOR_DATABASE_URL=late)
        assert gone.code == 3
        said, *more = [line[:32] for line in gone.err.splitlines()]
        if more:
            break
    assert (said, more) == (f"goconductor: waiting up to {wait} s"[:32], ["goconductor: PostgreSQL at 127.0"])
    migrating = asyncio.create_task(command_line.ask("migrate", "--wait", "300", GOCONDUCTOR_DATABASE_URL=late))
    await asyncio.wait([migrating], timeout=0.3)
    async with await asyncio.start_server(partial(relay, parts.hostname or "", parts.port or 5432), sock=place):
        ended = await migrating
    assert (ended.code, ended.out) == (0, "schema 'goconductor' is at this version\n"), ended.err
