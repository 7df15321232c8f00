"""The list of holes is complete: what was found by a model has a run that finds it again, and no run is without a reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
SURE = {"M", "P", "R"}
# the readings that found holes, and how many: of rewind, of waiting, of a saga's life, and those that the models here found later
READINGS = {"R": 28, "W": 32, "L": 12, "T": 14}


class Hole(NamedTuple):
    name: str
    sure: str
    broke: str
    rule: str
    shown_by: tuple[str, ...]


def holes() -> list[Hole]:
    rows = re.findall(r"^\| ([A-Z]\d+) \| (\w) \| (.+?) \| (.+?) \| (.*?) \|$", (HERE / "holes.md").read_text(), re.MULTILINE)
    return [Hole(name, sure, broke, rule, tuple(re.findall(r"[\w-]+", shown))) for name, sure, broke, rule, shown in rows]


def runs() -> set[str]:
    """The names of all runs, whether this test run searches them or not."""
    calls = r'\b(?:holds|breaks)\(\s*"([\w-]+)"'
    return {name for path in HERE.rglob("test_*.py") if path.parent != HERE for name in re.findall(calls, path.read_text())}


def trials() -> set[str]:
    """The names of all tests that try a rule on PostgreSQL."""
    return {name for path in HERE.rglob("test_postgresql*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}


def test_the_list_is_read() -> None:
    text = (HERE / "holes.md").read_text()
    assert len(holes()) == len(re.findall(r"^\| [A-Z]\d", text, re.MULTILINE))
    assert len({hole.name for hole in holes()}) == len(holes())
    assert {hole.sure for hole in holes()} <= SURE


@pytest.mark.parametrize(("letter", "count"), READINGS.items())
def test_no_hole_of_a_reading_is_left_out(letter: str, count: int) -> None:
    numbers = [int(hole.name[1:]) for hole in holes() if hole.name[0] == letter]
    assert sorted(numbers) == list(range(1, count + 1))


def test_a_hole_that_a_model_found_has_runs_that_find_it_again() -> None:
    assert [hole.name for hole in holes() if hole.sure == "M" and not set(hole.shown_by) & runs()] == []


def test_a_hole_that_was_tried_on_postgresql_has_a_trial() -> None:
    assert [hole.name for hole in holes() if hole.sure == "P" and not set(hole.shown_by) & trials()] == []


def test_what_shows_a_hole_exists() -> None:
    named = {name for hole in holes() for name in hole.shown_by}
    assert sorted(named - runs() - trials()) == []


def test_each_run_is_named() -> None:
    text = (HERE / "holes.md").read_text()
    assert sorted(name for name in runs() | trials() if name not in re.findall(r"[\w-]+", text)) == []
