"""The diagrams of the documentation are the tables of the code. ``--rewrite-scenarios`` draws them anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from goconductor.lifecycle.diagram import action_diagram, compensation_diagram, saga_diagram
from goconductor.lifecycle.facts.events import EVENTS, SagaStarted
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.lifecycle.facts.transitions import ACTION_MOVES, COMPENSATION_MOVES, SAGA_MOVES, Advance, Lost, Rewound

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"
DIAGRAMS: dict[str, tuple[Callable[[], str], Mapping[type[Any], Mapping[Any, frozenset[Any]]], type[StrEnum]]] = {
    "saga": (saga_diagram, SAGA_MOVES, SagaStatus),
    "action": (action_diagram, ACTION_MOVES, ActionStatus),
    "compensation": (compensation_diagram, COMPENSATION_MOVES, CompensationStatus),
}


def drawn(page: str) -> str:
    for name, (diagram, _, _) in DIAGRAMS.items():
        fence = f"<!-- {name} -->\n```mermaid\n{diagram()}```\n<!-- /{name} -->"
        page, times = re.subn(rf"<!-- {name} -->\n.*?<!-- /{name} -->", lambda _, fence=fence: fence, page, flags=re.DOTALL)  # type: ignore[misc]
        assert times == 1, f"the page has no place for the diagram {name!r}"
    return page


def test_the_page_shows_the_tables(request: pytest.FixtureRequest) -> None:
    page = PAGE.read_text(encoding="utf-8")
    if request.config.getoption("--rewrite-scenarios", default=False):
        PAGE.write_text(drawn(page), encoding="utf-8")
        return
    assert page == drawn(page), "pytest tests/lifecycle tests/scenarios --rewrite-scenarios draws it anew"


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_has_each_move_of_its_table_once_and_no_other(name: str) -> None:
    diagram, moves, _ = DIAGRAMS[name]
    shown = {
        (before, after, cause)
        for before, after, causes in re.findall(r"^    (\w+) --> (\w+): (.+)$", diagram(), re.MULTILINE)
        for cause in causes.split(", ")
    }
    table = {
        (str(before), str(after), cause.__name__)
        for cause, by_status in moves.items()
        for before, afters in by_status.items()
        for after in afters
        if before is not after
    }
    assert shown == table
    assert len(re.findall(r" --> \w+:", diagram())) == len({(before, after) for before, after, _ in table})


@pytest.mark.parametrize("name", DIAGRAMS)
def test_each_status_is_explained(name: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    before = page.partition(f"<!-- {name} -->")[0].rpartition("| Status |")[2]
    assert sorted(re.findall(r"^\| (\w+) \|", before, re.MULTILINE)) == sorted(DIAGRAMS[name][2])


def test_the_ends_of_a_saga_are_its_final_statuses() -> None:
    ends = set(re.findall(r"^    (\w+) --> \[\*\]$", saga_diagram(), re.MULTILINE))
    assert ends == {str(status) for status in SagaStatus if status.ended}


def test_every_event_but_the_first_is_in_the_table() -> None:
    missing = set(EVENTS.values()) - {SagaStarted} - set(SAGA_MOVES)
    assert not missing, f"say in goconductor/lifecycle/facts/transitions.py which moves these make: {missing}"
    assert set(SAGA_MOVES) == set(EVENTS.values()) - {SagaStarted}
    assert set(ACTION_MOVES) | set(COMPENSATION_MOVES) <= set(SAGA_MOVES) | {Advance, Lost, Rewound}
