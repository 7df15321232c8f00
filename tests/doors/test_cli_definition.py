"""Definitions from the command line: registered, listed, shown, drawn and activated."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from goconductor import Saga
from goconductor.engine.node import Node
from tests.doors.conftest import INPUT, ORDER
from tests.doors.prompt import Prompt

pytestmark = pytest.mark.postgres

OTHER = {**ORDER, "timeout_seconds": 3600.0}


async def test_a_definition_goes_through_its_life(command_line: Prompt, open_shop: Node, tmp_path: Path) -> None:
    (first,) = (await command_line.ask("definition", "list", "--json")).json["definitions"]
    assert (first["saga"], first["active"]) == ("order", True)
    file = tmp_path / "order.json"
    file.write_text(json.dumps(OTHER))
    other = (await command_line.ask("definition", "register", str(file), "--no-activate", "--json")).json
    assert (other["saga"], other["active"], other["version"] != first["version"]) == ("order", False, True)
    shown = (await command_line.ask("definition", "show", "order", "--version", other["version"], "--json")).json
    assert (shown["active"], shown["document"]) == (False, OTHER)
    printed = await command_line.ask("definition", "show", "order")
    assert json.loads(printed.out) == ORDER
    again = await command_line.ask("definition", "register", "-", "--no-activate", "--json", stdin=printed.out.encode())
    assert again.json["version"] == first["version"]

    activated = await command_line.ask("definition", "activate", "order", other["version"])
    assert (activated.code, activated.lines) == (0, [f"order  {other['version']}  active, pinned"])
    listed = (await command_line.ask("definition", "list", "order", "--json")).json["definitions"]
    assert {each["version"]: each["active"] for each in listed} == {first["version"]: False, other["version"]: True}
    lines = (await command_line.ask("definition", "list")).lines
    assert [line.split()[:4] for line in lines if other["version"] in line] == [["order", other["version"], "active,", "pinned"]]
    started = await command_line.ask("saga", "start", "order", "--input", json.dumps(INPUT), "--json")
    assert started.json["version"] == other["version"]


async def test_what_is_not_there_or_cannot_run_is_refused(command_line: Prompt, open_shop: Node, tmp_path: Path) -> None:
    for arguments in (["show", "ordre"], ["list", "ordre"], ["diagram", "ordre"], ["activate", "order", "0" * 32]):
        answer = await command_line.ask("definition", *arguments)
        assert (answer.code, "there is no definition of" in answer.err) == (4, True), arguments
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: order\nsteps: []\n")
    answer = await command_line.ask("definition", "register", str(broken))
    assert (answer.code, answer.err.splitlines()) == (
        1,
        ["goconductor: Saga 'order' cannot run:", "  1. it has no step; add at least one."],
    )


async def test_a_document_of_orchy_is_imported(command_line: Prompt, open_shop: Node) -> None:
    examples = Path(__file__).parents[1] / "examples/orchy"
    document = json.loads((examples / "an-event.json").read_text("utf-8"))["document"]
    arguments = ("definition", "import", "orchy", "-", "--participant", "shop")
    made = await command_line.ask(*arguments, "--json", stdin=json.dumps(document).encode())
    assert (made.code, made.json["saga"], made.json["active"]) == (0, "an-event", True)
    shown = await command_line.ask(*arguments, "--show", stdin=json.dumps(document).encode())
    assert json.loads(shown.out) == (await command_line.ask("definition", "show", "an-event", "--json")).json["document"]
    refused = await command_line.ask(*arguments, stdin=json.dumps({**document, "rootAction": 7}).encode())
    assert (refused.code, "$.rootAction is 7, which is no action" in refused.err) == (1, True)


async def test_a_registered_definition_is_drawn(command_line: Prompt, open_shop: Node) -> None:
    drawn = await command_line.ask("definition", "diagram", "order")
    assert (drawn.code, drawn.lines[0]) == (0, "flowchart TD")
    assert "reserve<br/>shop.reserve" in drawn.out


async def test_a_registered_definition_is_written_in_each_way(command_line: Prompt, open_shop: Node) -> None:
    (first,) = (await command_line.ask("definition", "list", "--json")).json["definitions"]
    for language, words in (("json", '"name": "order"'), ("yaml", "name: order\n"), ("python", "order = Saga(")):
        shown = await command_line.ask("definition", "show", "order", "--as", language)
        assert (shown.code, words in shown.out) == (0, True), shown.out
        if language != "python":
            again = await command_line.ask("definition", "register", "-", "--json", stdin=shown.out.encode())
            assert again.json["version"] == first["version"]
    drawn = await command_line.ask("definition", "show", "order", "--as", "mermaid")
    assert drawn.out == (await command_line.ask("definition", "diagram", "order")).out


def test_a_file_is_written_in_each_way_without_a_database(tmp_path: Path) -> None:
    file, code = tmp_path / "order.json", tmp_path / "made.py"
    file.write_text(json.dumps(ORDER))
    version = Prompt().run("definition", "check", str(file), "--json").json["definitions"][0]["version"]
    for language in ("json", "yaml"):
        written = Prompt().run("definition", "show", str(file), "--as", language).out
        (again,) = Prompt().run("definition", "check", "-", "--json", stdin=written.encode()).json["definitions"]
        assert again["version"] == version
    code.write_text(Prompt().run("definition", "show", str(file), "--as", "python").out)
    assert runpy.run_path(str(code))["order"].definition.version == version
    assert Prompt().run("definition", "show", str(file), "--as", "mermaid").lines[0] == "flowchart TD"
    unknown = Prompt().run("definition", "show", str(file), "--as", "jsno")
    assert (unknown.code, "did you mean json" in unknown.err) == (2, True)


def test_what_a_file_has_not_and_what_excludes_another_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(ORDER))
    for command in ("show", "diagram"):
        versioned = Prompt().run("definition", command, str(file), "--version", "1")
        assert (versioned.code, "is a file, which has one; leave it out" in versioned.err) == (2, True)
    both = Prompt().run("definition", "show", str(file), "--as", "yaml", "--json")
    assert (both.code, "--as and --json exclude each other" in both.err) == (2, True)
    shown = Prompt().run("definition", "show", str(file), "--json").json
    checked = Prompt().run("definition", "check", str(file), "--json").json["definitions"][0]
    assert (shown["saga"], shown["version"], shown["active"]) == ("order", checked["version"], False)


def test_a_file_is_drawn_without_a_database(tmp_path: Path) -> None:
    file, picture = tmp_path / "order.json", tmp_path / "order.svg"
    file.write_text(json.dumps(ORDER))
    assert Prompt().run("definition", "diagram", str(file)).lines[0] == "flowchart TD"
    assert Prompt().run("definition", "diagram", "-", stdin=file.read_bytes()).lines[0] == "flowchart TD"
    answer = Prompt().run("definition", "diagram", str(file), "--form", "svg", "-o", str(picture))
    assert (answer.code, answer.out) == (0, "")
    assert ET.fromstring(picture.read_text()).tag.endswith("svg")
    nowhere = Prompt().run("definition", "diagram", str(file), "-o", str(tmp_path / "none" / "x.svg"))
    assert (nowhere.code, "cannot be written (No such file or directory)" in nowhere.err) == (2, True)
    file.write_text("name: order")
    assert Prompt().run("definition", "diagram", str(file)).code == 1


CODE = """
from goconductor import Saga

order = Saga("order")
order.step("shop.reserve", inputs={"sku": "a", "quantity": 1})
nothing = 3
"""


async def test_a_saga_in_code_is_registered_by_its_name_and_says_what_starts_take(
    command_line: Prompt, open_shop: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sagas_of_shop.py").write_text(CODE)
    (tmp_path / "broken_shop.py").write_text("raise RuntimeError('boom')")
    monkeypatch.chdir(tmp_path)
    registered = await command_line.ask("definition", "register", "sagas_of_shop:order", "--json")
    assert (registered.code, registered.json["saga"], registered.json["active"]) == (0, "order", True)
    version = registered.json["version"]

    saga = Saga[Any]("order")
    saga.step("shop.reserve", inputs={"sku": "b", "quantity": 1})
    await open_shop.definitions.register(saga.definition)  # a living instance has it in its code
    again = await command_line.ask("definition", "register", "sagas_of_shop:order")
    assert again.lines == [f"order  {version}"]
    assert f"new sagas take {saga.definition.version}, as a living instance has it in its code" in again.err
    lines = (await command_line.ask("definition", "list", "order")).lines
    assert [line.split()[1:5] for line in lines if "living" in line] == [[saga.definition.version, "active", "1", "living"]]
    assert (await command_line.ask("definition", "activate", "order", version)).lines == [f"order  {version}  active, pinned"]
    assert (await command_line.ask("definition", "unpin", "order")).lines == [f"order  {saga.definition.version}  active"]

    for what, says in (
        ("sagas_of_shop:ordre", "has no attribute 'ordre'; name the variable that holds the saga"),
        ("sagas_of_shop:nothing", "is a int; name the variable that holds the Saga"),
        ("sagas_of_nobody:order", "there is no module 'sagas_of_nobody'"),
        ("broken_shop:order", "importing it raised RuntimeError: boom"),
    ):
        answer = await command_line.ask("definition", "register", what)
        assert (answer.code, says in answer.err) == (2, True), answer.err


async def test_two_versions_are_compared_files_or_registered_ones(command_line: Prompt, open_shop: Node, tmp_path: Path) -> None:
    (first,) = (await command_line.ask("definition", "list", "--json")).json["definitions"]
    file = tmp_path / "order.json"
    file.write_text(
        json.dumps({**ORDER, "steps": [ORDER["steps"][0], {**ORDER["steps"][1], "timeout_seconds": 5}, ORDER["steps"][2]]})
    )
    told = await command_line.ask("definition", "diff", "order", str(file))
    assert (told.code, told.lines) == (
        0,
        [
            "- step 'charge': its timeout_seconds is new: 5.0",
            "A running saga could go on under the new version while none of these steps has begun: charge.",
        ],
    )
    same = await command_line.ask("definition", "diff", "order", f"order@{first['version']}", "--json")
    assert (same.json["changes"], same.json["summary"]) == ([], "Both are the same version.")
    file.write_text(json.dumps(OTHER))
    fixed = await command_line.ask("definition", "diff", "order", str(file), "--json")
    assert fixed.json["stays"] == "the saga's timeout differs, and its end was fixed when the saga started"
    unknown = await command_line.ask("definition", "diff", "order", "ordre")
    assert (unknown.code, "there is no definition of" in unknown.err) == (4, True)


async def test_switches_and_groups_are_shown_as_they_were_written(command_line: Prompt, open_shop: Node, tmp_path: Path) -> None:
    steps = [{"id": "g", "steps": [{"id": "a", "run": "shop.a", "undo": "none"}]}]
    file = tmp_path / "grouped.json"
    file.write_text(json.dumps({"name": "grouped", "steps": steps}))
    await command_line.ask("definition", "register", str(file))
    for what in ("grouped", str(file)):
        assert json.loads((await command_line.ask("definition", "show", what)).out)["steps"] == steps
        compiled = await command_line.ask("definition", "show", what, "--compiled")
        assert [step["id"] for step in json.loads(compiled.out)["steps"]] == ["g.a"]
        both = (await command_line.ask("definition", "show", what, "--json")).json
        assert (both["document"]["steps"][0]["id"], both["written"]["steps"]) == ("g.a", steps)
    refused = Prompt().run("definition", "show", str(file), "--compiled", "--json")
    assert (refused.code, "--compiled is for" in refused.err) == (2, True)
