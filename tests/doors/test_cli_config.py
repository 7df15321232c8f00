"""``goconductor config``: what is set, where it comes from, what it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from goconductor.control.settings.doors import RestSettings
from goconductor.control.settings.settings import names, variable
from tests.doors.prompt import CANARY, Prompt

URL = f"postgresql://app:{CANARY}@db.example/sagas"


@pytest.fixture
def prompt(tmp_path: Path) -> Prompt:
    file = tmp_path / "settings.yaml"
    file.write_text(f"database: {{url: '{URL}'}}\nrest: {{port: 9000}}\nbus: {{options: {{password: {CANARY}, a: 1}}}}\n")
    return Prompt(GOCONDUCTOR_CONFIG=str(file), GOCONDUCTOR_RECOVERY_BATCH="7", GOCONDUCTOR_BUS_OPTIONS__B="2")


def test_show_names_the_source_of_every_setting_and_hides_secrets(prompt: Prompt) -> None:
    shown = prompt.run("config", "show", "--json").json["settings"]
    assert [each["name"] for each in shown] == [".".join(name) for name in names()]
    by_name = {each["name"]: each for each in shown}
    sources = {name: (each["value"], each["source"]) for name, each in by_name.items()}
    assert sources["database.url"] == ("**********", "file")
    assert sources["rest.port"] == (9000, "file")
    assert sources["recovery.batch"] == (7, "variable")
    assert sources["rest.host"] == ("127.0.0.1", "default")
    assert sources["bus.options"] == ({"password": "**********", "a": 1, "b": 2}, "variable")
    assert by_name["recovery.batch"]["origin"] == "GOCONDUCTOR_RECOVERY_BATCH"
    assert by_name["rest.host"]["origin"] is None
    assert by_name["rest.port"]["origin"] == prompt.environ["GOCONDUCTOR_CONFIG"]

    lines = prompt.run("config", "show").lines
    assert "recovery.batch                   7  (from GOCONDUCTOR_RECOVERY_BATCH)" in lines
    assert "rest.host                        127.0.0.1  (the default)" in lines


def test_a_variable_that_covers_the_file_is_named_as_the_source(prompt: Prompt) -> None:
    (port,) = prompt.run("config", "explain", "rest.port", "--json", GOCONDUCTOR_REST__PORT="9001").json["settings"]
    assert (port["value"], port["source"], port["origin"]) == (9001, "variable", "GOCONDUCTOR_REST__PORT")


def test_every_setting_is_explained_with_type_unit_default_and_variable(prompt: Prompt) -> None:
    explained = {each["name"]: each for each in prompt.run("config", "explain", "--json").json["settings"]}
    assert {name for name, each in explained.items() if not (each["description"] and each["type"])} == set()
    assert [explained[".".join(name)]["variable"].removesuffix("__…") for name in names()] == [
        variable(*name) for name in names()
    ]
    lease = explained["participant.lease_seconds"]
    assert (lease["type"], lease["unit"], lease["default"]) == ("number from 1 to 3600", "seconds", 10.0)
    assert explained["participant.concurrency"]["type"] == "whole number from 1 to 100000"
    assert (explained["limits.payload_bytes_max"]["unit"], explained["log.level"]["type"]) == (
        "bytes",
        "one of debug, info, warning, error",
    )
    assert (explained["database.url"]["type"], explained["database.url"]["required"]) == ("text, secret", True)
    assert explained["recovery.sweep_interval_seconds"]["type"] == "number above 0 to 86400"
    assert "postgres" in explained["bus.kind"]["type"]


def test_one_setting_is_explained_by_its_name_its_variable_or_its_section(prompt: Prompt) -> None:
    lines = prompt.run("config", "explain", "rest.port").lines
    assert lines == [
        "rest.port",
        "  Its TCP port; 0 takes a free one.",
        "  type      whole number from 0 to 65535",
        "  default   8080",
        "  variable  GOCONDUCTOR_REST_PORT",
        f"  now       9000  (from {prompt.environ['GOCONDUCTOR_CONFIG']})",
    ]
    assert prompt.run("config", "explain", "GOCONDUCTOR_REST__PORT").lines == lines
    section = prompt.run("config", "explain", "rest", "--json").json["settings"]
    assert [each["name"] for each in section] == [f"rest.{key}" for key in RestSettings.model_fields]


@pytest.mark.parametrize(
    ("name", "hint"), [("rest.prot", "did you mean rest.port?"), ("port", "rest.port"), ("zzz", "there are:")]
)
def test_an_unknown_setting_is_refused_with_the_nearest_one(prompt: Prompt, name: str, hint: str) -> None:
    answer = prompt.run("config", "explain", name)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"goconductor: there is no setting '{name}'; ")
    assert hint in answer.err


def test_settings_that_cannot_be_used_are_not_shown_but_can_be_explained() -> None:
    prompt = Prompt(GOCONDUCTOR_REST_PORT="none", GOCONDUCTOR_DATABASE_URL=f"mysql://{CANARY}")
    shown = prompt.run("config", "show")
    assert (shown.code, shown.out, len(shown.err.splitlines())) == (2, "", 3)
    explained = prompt.run("config", "explain", "rest.port", "--json")
    (port,) = explained.json["settings"]
    assert (explained.code, port["default"], port["value"], port["source"]) == (0, 8080, None, None)
    assert "GOCONDUCTOR_REST_PORT" in explained.err
