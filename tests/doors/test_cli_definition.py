"""Definitions from the command line: registered, listed, shown, drawn and activated."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from goconductor.participant.node import Node
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
    assert (activated.code, activated.lines) == (0, [f"order  {other['version']}  active"])
    listed = (await command_line.ask("definition", "list", "order", "--json")).json["definitions"]
    assert {each["version"]: each["active"] for each in listed} == {first["version"]: False, other["version"]: True}
    lines = (await command_line.ask("definition", "list")).lines
    assert [line.split()[:3] for line in lines if other["version"] in line] == [["order", other["version"], "active"]]
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


async def test_a_registered_definition_is_drawn(command_line: Prompt, open_shop: Node) -> None:
    drawn = await command_line.ask("definition", "diagram", "order")
    assert (drawn.code, drawn.lines[0]) == (0, "flowchart TD")
    assert "reserve<br/>shop.reserve" in drawn.out


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
