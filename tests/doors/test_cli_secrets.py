"""``goconductor secrets …``, and processes whose settings refer to secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from goconductor import app, errors
from goconductor.control.doors.conductor import engine
from goconductor.control.secrets.filling import without_secrets
from goconductor.control.settings.settings import Settings
from goconductor.errors import SecretError
from goconductor.rest.app import create_app
from goconductor.stores.postgres import migrate
from tests.contracts.wrapping_keys import text_of
from tests.doors.conftest import ORDER
from tests.doors.prompt import CANARY, Prompt


@pytest.fixture(autouse=True)
def _nothing_is_hidden_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_SECRETS", [])


@pytest.fixture
def prompt(postgres_url: str, tmp_path: Path) -> Prompt:
    (tmp_path / "keys").write_text(text_of(["k1"]))
    return Prompt(
        GOCONDUCTOR_DATABASE_URL=postgres_url,
        GOCONDUCTOR_SECRETS_KIND="file",
        GOCONDUCTOR_SECRETS_OPTIONS__PATH=str(tmp_path / "keys"),
    )


async def test_a_secret_is_set_listed_used_and_deleted(prompt: Prompt, postgres_url: str, tmp_path: Path) -> None:
    await migrate(postgres_url)
    referring: Any = {"GOCONDUCTOR_BUS_KIND": "postgres", "GOCONDUCTOR_BUS_URL": "${secret:bus}"}
    settings = Settings.load(environ=prompt.environ | referring)
    with pytest.raises(SecretError, match=r"there is no secret 'bus', to which bus\.url refers"):
        async with app.connect(settings):
            pass

    made = await prompt.ask("secrets", "set", "bus", "--by", "ann", stdin=f"{postgres_url}\n".encode(), **referring)
    assert (made.code, made.err) == (0, "")
    assert made.out == "the secret bus has version 1 now; processes that use it take it when they start again\n"
    async with app.connect(settings) as conductor:
        assert engine(conductor).bus_problem == ""

    (tmp_path / "new").write_bytes(f"{CANARY}\r\n".encode())
    assert (await prompt.ask("secrets", "set", "other", "--file", str(tmp_path / "new"))).code == 0
    listed = await prompt.ask("secrets", "list", "--json")
    first = listed.json["secrets"][0]
    assert (first["name"], first["version"], first["key_id"], first["created_by"]) == ("bus", 1, "k1", "ann")
    table = await prompt.ask("secrets", "list")
    assert [line.split()[0] for line in table.lines if line.strip()][-2:] == ["bus", "other"]
    verified = await prompt.ask("secrets", "verify", **referring)
    assert (verified.code, verified.lines) == (0, ["can be decrypted: bus, other"])

    shown = await prompt.ask("config", "explain", "bus.url", **referring)
    assert "  now       ${secret:bus}  (from GOCONDUCTOR_BUS_URL)" in shown.lines
    audited = await prompt.ask("audit", "list", "--json")
    assert [(each["function"], each["object"]) for each in audited.json["entries"]] == [
        ("secrets.keeping.set_secret", "secret other"),
        ("secrets.keeping.set_secret", "secret bus"),
    ]

    assert (await prompt.ask("secrets", "delete", "bus")).out == "the secret bus is deleted\n"
    assert (await prompt.ask("secrets", "delete", "bus")).code == 4
    vain = await prompt.ask("secrets", "verify", **referring)
    assert (vain.code, "there is no secret 'bus', to which the settings refer" in vain.err) == (1, True)
    refused = await prompt.ask("saga", "list", **referring)
    assert (refused.code, "set it: goconductor secrets set bus" in refused.err) == (2, True)


async def test_the_wrapping_key_is_changed_without_a_stop(prompt: Prompt, postgres_url: str, tmp_path: Path) -> None:
    await migrate(postgres_url)
    for name in ("one", "two"):
        assert (await prompt.ask("secrets", "set", name, stdin=CANARY.encode())).code == 0
    (tmp_path / "keys").write_text(text_of(["k1", "k2"]))
    assert "wrapped by an older key: one, two" in (await prompt.ask("secrets", "verify")).out
    assert (await prompt.ask("secrets", "rewrap")).out == "wrapped by k2 now: one, two\n"
    assert (await prompt.ask("secrets", "rewrap")).out == "wrapped by k2 now: none more\n"
    (tmp_path / "keys").write_text(text_of(["k2"]))
    assert (await prompt.ask("secrets", "verify")).lines == ["can be decrypted: one, two"]
    (tmp_path / "keys").write_text(text_of(["k3"]))
    lost = await prompt.ask("secrets", "verify")
    assert (lost.code, lost.err.count("the wrapping key 'k2' is not among")) == (1, 2)
    again = await prompt.ask("secrets", "rewrap")
    assert (again.code, again.err.count("the wrapping key 'k2' is not among")) == (1, 2)


async def test_nonsense_is_refused_and_no_value_is_shown(prompt: Prompt, postgres_url: str, tmp_path: Path) -> None:
    await migrate(postgres_url)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for wrong in (["a b"], ["empty"], ["gone", "--file", str(tmp_path / "gone")], ["b", "--file", str(tmp_path / "binary")]):
        assert (await prompt.ask("secrets", "set", *wrong)).code == 2, wrong
    assert (await prompt.ask("secrets", "set", "a", CANARY[:3], stdin=b"x")).code == 2  # no argument is a value
    keyless = await prompt.ask(
        "secrets", "set", "a", stdin=CANARY.encode(), GOCONDUCTOR_SECRETS_KIND="environment", GOCONDUCTOR_SECRETS_OPTIONS__PATH=""
    )
    assert keyless.code == 2
    assert (await prompt.ask("secrets", "list", "--json")).json == {"secrets": []}


async def test_a_dump_of_the_database_has_no_value(prompt: Prompt, postgres_url: str) -> None:
    await migrate(postgres_url)
    await prompt.ask("secrets", "set", "bus", stdin=CANARY.encode())
    connection = await asyncpg.connect(postgres_url)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'goconductor'"
        )
        texts = [await connection.fetchval(f"SELECT string_agg(t::text, '') FROM {each['name']} t") for each in tables]
    finally:
        await connection.close()
    dump = "".join(text or "" for text in texts)
    assert "secret bus" in dump  # in the audit log
    for form in (CANARY, quote(CANARY), CANARY.encode().hex()):
        assert form not in dump


async def test_a_secret_that_is_missing_is_a_finding_of_the_doctor(prompt: Prompt, postgres_url: str) -> None:
    await migrate(postgres_url)
    found = await prompt.ask("doctor", "--json", GOCONDUCTOR_BUS_URL="${secret:bus}")
    assert found.code == 1
    by_name = {each["name"]: each for each in found.json["checks"]}
    (finding,) = by_name["bus"]["findings"]
    assert finding["what"].startswith("there is no secret 'bus', to which bus.url refers")
    assert "goconductor secrets set bus" in finding["remedy"]
    assert by_name["database"]["outcome"] == "sound"


async def test_a_server_whose_secret_is_missing_reads_only_and_says_why(prompt: Prompt, postgres_url: str) -> None:
    await migrate(postgres_url)
    settings = Settings.load(environ=prompt.environ | {"GOCONDUCTOR_BUS_URL": "${secret:bus}"})
    with pytest.raises(SecretError) as missing:
        await app.with_secrets(settings)
    async with (
        app.server(without_secrets(settings), reads_only=str(missing.value)) as node,
        httpx.AsyncClient(transport=httpx.ASGITransport(create_app(node, settings)), base_url="http://127.0.0.1") as client,
    ):
        assert (await client.get("/v1/sagas")).status_code == 200
        assert (await client.get("/v1/definitions")).json() == {"definitions": []}
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["errors"][0]["path"]) == (503, "secrets")
        assert "'bus'" not in ready.text
        assert (await client.get("/livez")).status_code == 200
        asked = [
            await client.post("/v1/sagas/order", json={}),
            await client.put("/v1/definitions/order", json=ORDER),
            await client.post("/v1/keys", json={"name": "ci", "roles": ["viewer"]}),
            await client.post("/v1/bus/migrate", params={"to": "postgres", "force": "true"}),
        ]
        for answer in asked:
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:goconductor:problem:not-ready")
            assert "this server reads only, and changes nothing: there is no secret 'bus'" in answer.json()["detail"]
        kept = await client.put("/v1/secrets/bus", json={"value": postgres_url})  # the remedy
        assert kept.status_code == 200
    assert (await app.with_secrets(settings)).references == []


def test_a_server_that_reads_only_names_the_buses_of_its_settings_so_that_no_change_waits_for_it(prompt: Prompt) -> None:
    others = {"GOCONDUCTOR_BUS_OTHERS__NEXT__KIND": "rabbitmq", "GOCONDUCTOR_BUS_OTHERS__NEXT__URL": "${secret:next}"}
    settings = Settings.load(environ=prompt.environ | {"GOCONDUCTOR_BUS_URL": "${secret:bus}"} | others)
    bare = without_secrets(settings)
    assert [*bare.bus.named()] == [*settings.bus.named()] == ["postgres", "next"]
    assert bare.references == []


async def test_a_secret_where_a_setting_cannot_have_it_is_quoted_by_no_command(prompt: Prompt, postgres_url: str) -> None:
    await migrate(postgres_url)
    await prompt.ask("secrets", "set", "bus", stdin=CANARY.encode())
    for name, told in (("BUS_OPTIONS__SCHEMA", "cannot be the bus's schema"), ("TRACES_ENDPOINT", "should look like http://col")):
        referring: Any = {f"GOCONDUCTOR_{name}": "${secret:bus}"}
        refused = await prompt.ask("saga", "list", **referring)  # a prompt sees to it that no value is shown
        assert (refused.code, told in refused.err) == (2, True), refused.err
        found = await prompt.ask("doctor", "--json", **referring)
        (finding,) = next(each for each in found.json["checks"] if each["name"] == "bus")["findings"]
        assert (found.code, told in finding["what"] + finding["remedy"]) == (1, True), found.out
