"""``goconductor definition check``: faults of files, all at once, without a database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from goconductor.control.definitions.json_schema import definition_schema
from tests.doors.conftest import ORDER
from tests.doors.prompt import Prompt

BROKEN = """
name: order
steps:
  - {id: reserve, run: inventory.reserve, after: [nope]}
  - {id: ship, run: shippingship, pivot: true, after: [reserve]}
"""


NOPE = "step 'reserve' comes after 'nope', which is not a step of this saga; add that step or correct the name."


@pytest.fixture
def good(tmp_path: Path) -> str:
    path = tmp_path / "good.json"
    path.write_text(json.dumps(ORDER))
    return str(path)


@pytest.fixture
def broken(tmp_path: Path) -> str:
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN)
    return str(path)


def test_a_sound_file_says_what_it_would_be_registered_as(good: str) -> None:
    answer = Prompt().run("definition", "check", good)
    assert (answer.code, answer.err) == (0, "")
    checked = Prompt().run("definition", "check", good, "--json").json
    (found,) = checked["definitions"]
    assert answer.lines == [f"{good}: saga order, 3 steps, version {found['version']}: it can run"]
    assert checked["sound"] is True
    assert (found["file"], found["saga"], found["steps"], found["problems"]) == (good, "order", 3, [])
    assert len(found["version"]) == 32


def test_all_faults_of_all_files_are_told_with_their_remedies(good: str, broken: str) -> None:
    answer = Prompt().run("definition", "check", broken, good)
    assert answer.code == 1
    assert answer.lines[:3] == [
        f"{broken}: saga order cannot run:",
        f"  1. {NOPE} (line 4, column 10)",
        "  2. step 'ship' runs 'shippingship'; name its code as 'participant.step'. (line 5, column 10)",
    ]
    assert answer.lines[3].startswith(f"{good}: saga order")
    checked = Prompt().run("definition", "check", broken, good, "--json")
    assert (checked.code, checked.json["sound"]) == (1, False)
    assert [len(each["problems"]) for each in checked.json["definitions"]] == [2, 0]
    assert checked.json["definitions"][0]["version"] is None


def test_what_can_run_and_is_hardly_meant_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "doubtful.yaml"
    path.write_text("{name: order, steps: [{id: a, run: a.b, compensation: false}, {id: b, run: a.b, after: [a]}]}")
    answer = Prompt().run("definition", "check", str(path))
    assert (answer.code, answer.lines[0]) == (1, f"{path}: saga order can run, but hardly as it is meant:")
    assert "Path: a succeeds → b fails → what a has done stays." in answer.lines[1]


def test_the_standard_input_is_a_file_too() -> None:
    assert Prompt().run("definition", "check", "-", stdin=json.dumps(ORDER).encode()).code == 0
    answer = Prompt().run("definition", "check", "-", stdin=b"a: [")
    assert (answer.code, answer.lines[0]) == (1, "-: saga (without a name) cannot run:")


def test_a_saga_in_python_is_checked_as_one_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["from goconductor import Saga", "sound, faulty = Saga('sound'), Saga('faulty')", "sound.step('stock.pack')"]
    (tmp_path / "trips_of_test.py").write_text("\n".join([*lines, "faulty.step('stock.pack', when='input.n >> 3')"]))
    monkeypatch.chdir(tmp_path)
    sound = Prompt().run("definition", "check", "trips_of_test:sound")
    assert (sound.code, sound.lines[0].startswith("trips_of_test:sound: saga sound, 1 steps, version ")) == (0, True)
    faulty = Prompt().run("definition", "check", "trips_of_test:faulty")
    assert (faulty.code, faulty.lines[0]) == (1, "trips_of_test:faulty: saga faulty cannot run:")
    assert "the condition of step 'pack' does not compile: condition 'input.n >> 3': line 1, column" in faulty.lines[1]
    for command in ("check", "register"):
        answer = Prompt().run("definition", command, "trips_of_test.py")
        assert (answer.code, answer.out) == (2, "")
        assert "trips_of_test.py: is Python" in answer.err
        assert answer.err.endswith("such as trips_of_test:order\n")


def test_a_file_that_is_not_there_is_a_wrong_command() -> None:
    answer = Prompt().run("definition", "check", "none.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "goconductor: none.yaml: cannot be read (No such file or directory); name a file that is there\n"


def test_the_schema_is_printed_or_written(tmp_path: Path) -> None:
    printed = Prompt().run("definition", "schema")
    assert (printed.code, json.loads(printed.out)) == (0, definition_schema())
    file = tmp_path / "definition.schema.json"
    assert Prompt().run("definition", "schema", "--out", str(file)).code == 0
    assert json.loads(file.read_text()) == definition_schema()


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**63 - 1])
@pytest.mark.parametrize(
    ("place", "member"),
    [
        (
            "$.steps[0].inputs.v.value",
            '{{"steps": [{{"id": "a", "run": "p.a", "inputs": {{"v": {{"value": {0}}}}}}}], "name": "x"}}',
        ),
        (
            "$.input_schema.maximum",
            '{{"steps": [{{"id": "a", "run": "p.a"}}], "name": "x", "input_schema": {{"type": "object", "maximum": {0}}}}}',
        ),
    ],
)
def test_an_integer_that_has_no_canonical_form_is_a_problem_with_its_place(
    tmp_path: Path, number: int, place: str, member: str
) -> None:
    path = tmp_path / "big.json"
    path.write_text(member.format(number))
    (found,) = Prompt().run("definition", "check", str(path), "--json").json["definitions"]
    (problem,) = found["problems"]
    assert problem.startswith(f"{place}: is an integer beyond")
    assert "write it as a string" in problem
    for arguments in (
        ["register", str(path)],
        *(["show", str(path), "--as", form] for form in ("json", "yaml", "python", "mermaid")),
    ):
        answer = Prompt(GOCONDUCTOR_DATABASE_URL="postgresql://nowhere/x").run("definition", *arguments)
        assert answer.code != 0
        assert place in answer.err
        assert "Traceback" not in answer.err
