"""A fault in a file has the line and column of what it names."""

from __future__ import annotations

import json

import pytest

from goconductor.control.definitions.loading import check, load_definition
from goconductor.control.file_places import PLACED_BYTES_MAX, with_lines
from goconductor.errors import DefinitionError
from tests.lifecycle.calls import calls_of

YAML = b"""# a comment
name: tea
steps:
  - id: boil
    run: kitchen.boil
    aftr: [x]
  - id: pour
    run: 3
  - run: kitchen.drink
"""
JSON = b"""{"name": "tea",
 "steps": [
  {"id": "boil", "run": "kitchen.boil"},
  {"id": "pour", "run": "kitchen.pour", "after": ["biol"]}]}"""


def told(data: bytes) -> list[str]:
    with pytest.raises(DefinitionError) as refused:
        load_definition(data)
    return [*refused.value.problems]


def test_a_wrong_form_is_found_at_its_key_its_value_or_where_it_is_missing() -> None:
    assert told(YAML) == [
        "$.steps[0] has an unknown key 'aftr'; did you mean after? (line 6, column 5)",
        "$.steps[1].run should be a string (line 8, column 10)",
        "$.steps[2] lacks 'id'; add it (line 9, column 5)",
    ]


def test_what_is_wrong_with_a_step_is_found_at_its_id_also_in_json() -> None:
    (problem,) = told(JSON)
    assert problem.startswith("step 'pour' comes after 'biol'")
    assert problem.endswith(" (line 4, column 10)")
    assert check(JSON, "tea.json").problems == [problem]


@pytest.mark.parametrize(
    ("problem", "place"),
    [
        ("$ lacks 'name'; add it", " (line 1, column 1)"),
        ("$.steps[7].run is wrong", " (line 2, column 11)"),  # where it would stand
        ("$.steps[0]['run'] is wrong", " (line 3, column 25)"),
        ("the saga's name is wrong", ""),
        ("step 'nowhere' is wrong", ""),
        ("pivot 'pour' has a condition", " (line 4, column 10)"),
    ],
)
def test_what_is_not_there_has_the_nearest_place_or_none(problem: str, place: str) -> None:
    assert with_lines(JSON, [problem]) == [f"{problem}{place}"]


def test_an_id_that_stands_twice_has_no_place() -> None:
    assert with_lines(b"[{id: a}, {id: a}]", ["step 'a' is wrong"]) == ["step 'a' is wrong"]


def test_what_is_large_or_cannot_be_read_is_named_without_lines() -> None:
    large = json.dumps({"name": "x" * PLACED_BYTES_MAX, "steps": 3}).encode()
    assert "(line" not in "".join(told(large))
    for unreadable in (b"", b"\xff", b"{", b"[" * 5000):
        assert with_lines(unreadable, ["$.steps is wrong"]) == ["$.steps is wrong"]


def test_a_file_is_looked_through_once_however_many_faults_it_has() -> None:
    def calls(count: int) -> int:
        data = json.dumps({"steps": [{"id": f"s{number}", "run": "boil"} for number in range(count)]}).encode()
        faults = [f"step 's{number}' is wrong" for number in range(count)]
        assert all("(line 1, column" in each for each in with_lines(data, faults))
        return calls_of(lambda: with_lines(data, faults))

    assert calls(400) < 12 * calls(40)
