"""One request about many sagas at the command line, on a real PostgreSQL with a real participant beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from goconductor.engine.node import Node
from tests.doors.prompt import Prompt
from tests.doors.test_cli_requests import Operator

pytestmark = pytest.mark.postgres


@pytest.fixture
async def operator(command_line: Prompt, open_shop: Node) -> Operator:
    return Operator(command_line, open_shop)


async def test_nothing_is_changed_without_yes_and_the_report_is_a_selection(operator: Operator, tmp_path: Path) -> None:
    first, second = await operator.waiting(), await operator.waiting()
    dry = await operator.ask("saga", "bulk", "pause", "--saga", "order", "--reason", "stocktaking", "--json")
    assert (dry.code, dry.json["counts"]) == (0, {"allowed": 2})
    report = tmp_path / "report.json"
    report.write_text(json.dumps(dry.json))
    third = await operator.waiting()
    pause = ("saga", "bulk", "pause", "--from", str(report), "--reason", "stocktaking", "--yes")
    done = await operator.ask(*pause, "--by", "ann", "--request-id", "monday")
    assert done.code == 0
    assert "pause: 2 done\nto repeat it: --request-id monday\n" in done.out
    assert first in done.out
    assert second in done.out
    assert (await operator.last(third))["event"] != "PauseRequested"
    again = await operator.ask(*pause, "--json")
    assert (again.code, again.json["counts"]) == (1, {"refused": 2})
    assert f"asking 2 sagas; to repeat it: --request-id {again.json['request_id']}\n" in again.err


async def test_what_fits_is_asked_at_once_with_yes(operator: Operator) -> None:
    await operator.stuck()
    assert "nothing was changed; --yes does it" in (await operator.ask("saga", "bulk", "retry", "--status", "stuck")).out
    answer = await operator.ask(
        "saga", "bulk", "skip", "--status", "stuck", "--value", "forced=true", "--reason", "soaked off", "--yes", "--json"
    )
    assert (answer.code, answer.json["sagas"][0]["status"]) == (0, "compensated")
    assert (await operator.ask("saga", "bulk", "retry", "--status", "stuck")).out == "no saga fits\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pause"], "name the sagas by a filter"),
        (["pause", "--saga", "order", "--from", "report.json"], "and not by both"),
        (["pause", "--from", "nowhere.json"], "cannot be read"),
        (["paus", "--saga", "order"], "did you mean pause?"),
        (["skip", "--saga", "order", "--value", "forced"], "write NAME=VALUE"),
    ],
)
async def test_what_makes_no_sense_is_refused(operator: Operator, arguments: list[str], says: str) -> None:
    answer = await operator.ask("saga", "bulk", *arguments)
    assert answer.code in (1, 2)
    assert says in answer.err


async def test_a_file_that_is_no_report_is_refused(operator: Operator, tmp_path: Path) -> None:
    for content in ("", "[]", '{"sagas": [1]}', '{"sagas": [{"saga_id": "x"}]}'):
        (tmp_path / "report.json").write_text(content)
        answer = await operator.ask("saga", "bulk", "pause", "--from", str(tmp_path / "report.json"))
        assert (answer.code, "this is no report of `saga bulk --json`" in answer.err) == (2, True)
