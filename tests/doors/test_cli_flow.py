"""Flows from the command line, on a real PostgreSQL."""

from __future__ import annotations

import json

import pytest

from goconductor.engine.node import Node
from tests.doors.prompt import Prompt
from tests.doors.test_rest_flows import CHARGE, INPUT, RESERVE

pytestmark = pytest.mark.postgres


async def test_a_flow_is_edited_step_by_step_and_an_edit_that_comes_second_says_what_came_first(
    command_line: Prompt, open_shop: Node
) -> None:
    made = await command_line.ask("flow", "add", "basket", json.dumps(RESERVE), "--json")
    seen = made.json["version"]
    by_yaml = "id: ship\nrun: shop.ship\ninputs: {receipt: {value: r}}\npivot: true\nafter: [reserve]\n"
    assert (await command_line.ask("flow", "add", "basket", "-", stdin=by_yaml.encode())).code == 0
    inputs = json.dumps(CHARGE["inputs"])
    words = ("flow", "add", "basket", "shop.charge", "--after", "reserve", "--before", "ship", "--inputs", inputs)
    added = await command_line.ask(*words, "--by", "ann")
    assert added.lines[1:] == [
        "  reserve  shop.reserve",
        "  charge   shop.charge  after reserve",
        "  ship     shop.ship  after charge, reserve",
    ]
    assert (await command_line.ask(*words)).out == added.out
    late = await command_line.ask("flow", "delete", "basket", "charge", "--made-of", seen)
    assert (late.code, "step 'charge' is new, after 'reserve'" in late.err, len(late.err.splitlines())) == (1, True, 1)
    other = await command_line.ask("flow", "add", "basket", "shop.other", "--id", "charge")
    assert (other.code, "has another step 'charge'" in other.err) == (1, True)
    step = await command_line.ask("flow", "show", "basket", "charge")
    assert step.json == CHARGE
    changed = await command_line.ask("flow", "change", "basket", "--priority", "7", "--timeout", "10m")
    assert changed.lines[0].endswith(", priority 7, timeout 600 s")
    assert (await command_line.ask("flow", "change", "basket", "--timeout", "0")).lines[0].endswith(", priority 7")
    assert (await command_line.ask("flow", "replace", "basket", json.dumps({**CHARGE, "run": "bank.debit"}))).code == 0
    left = await command_line.ask("flow", "delete", "basket", "charge", "--json")
    assert [each["id"] for each in left.json["steps"]] == ["reserve", "ship"]
    assert (await command_line.ask("flow", "show", "basket", "--version", seen, "--json")).json == made.json


async def test_a_flow_is_executed_looked_at_paused_and_stopped(command_line: Prompt, open_shop: Node) -> None:
    for step in (RESERVE, CHARGE):
        assert (await command_line.ask("flow", "add", "basket", json.dumps(step))).code == 0
    given = json.dumps(INPUT)
    done = await command_line.ask("flow", "execute", "basket", "--input", given, "--key", "k-1", "--wait", "300")
    assert (done.code, "success" in done.lines[0], "receipt for 4242" in done.lines[-1]) == (0, True, True)
    assert (await command_line.ask("flow", "result", "basket", "basket/k-1", "charge")).json == "receipt for 4242"
    assert (await command_line.ask("flow", "result", "basket", "basket/k-1")).json["charge"] == "receipt for 4242"
    policy = ("--retry", '{"attempts_max": 2}', "--timeout", "5m", "--concurrency", "1", "--label", "who=ann")
    declined = json.dumps({**INPUT, "card": "declined"})
    failed = await command_line.ask("flow", "execute", "basket", "--input", declined, *policy, "--wait", "300", "--json")
    assert (failed.code, failed.json["status"]) == (1, "failure")
    none = await command_line.ask("flow", "result", "basket", failed.json["saga_id"])
    assert (none.code, "has no result, it is failure" in none.err) == (1, True)
    busy = json.dumps({**INPUT, "card": "busy"})
    waiting = (await command_line.ask("flow", "execute", "basket", "--input", busy, "--json")).json["saga_id"]
    assert (await command_line.ask("flow", "pause", "basket", waiting, "--reason", "look", "--json")).json["status"] == "paused"
    assert (await command_line.ask("flow", "status", "basket", waiting)).lines[0] == f"basket {waiting} paused: look"
    assert (await command_line.ask("flow", "resume", "basket", waiting)).code == 0
    stopped = await command_line.ask(
        "flow", "stop", "basket", waiting, "--reason", "enough", "--force", "--wait", "300", "--json"
    )
    assert stopped.json["status"] == "stopped"
    assert (await command_line.ask("flow", "abort", "basket", waiting)).code == 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("add", "basket", "[1]"), 2, "STEP is no step"),
        (("add", "basket", "{"), 2, "STEP is not YAML"),
        (("add", "basket", "{id: a, run: b.c, after: [x]}", "--after", "y"), 2, "--after: the document of the step has its own"),
        (("add", "basket", "@/nowhere/step.yaml"), 2, "cannot be read"),
        (("change", "basket"), 2, "give --priority or --timeout"),
        (("change", "basket", "--timeout", "soon"), 2, "--timeout: 'soon' is not a duration"),
        (("show", "basket", "a", "--version", "b"), 2, "--version is of a whole flow"),
        (("execute", "basket", "--retry", "5"), 2, "--retry: is no object"),
    ],
)
def test_nonsense_is_refused_before_a_database_is_asked(
    command_line: Prompt, words: tuple[str, ...], code: int, told: str
) -> None:
    answer = command_line.run("flow", *words)
    assert (answer.code, told in answer.err) == (code, True), answer.err


async def test_what_is_not_there_is_named(command_line: Prompt, open_shop: Node) -> None:
    for words in (
        ("show", "basket"),
        ("delete", "basket", "charge"),
        ("change", "basket", "--priority", "1"),
        ("execute", "basket"),
    ):
        absent = await command_line.ask("flow", *words)
        assert (absent.code, "goconductor: there is no" in absent.err) == (4, True), absent.err
