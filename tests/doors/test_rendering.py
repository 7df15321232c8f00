"""Sagas on a terminal: what stands in them is shown and never obeyed."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from goconductor.cli import rendering
from goconductor.cli.running import print_drawn, print_lines, print_saga
from goconductor.control.models import (
    DeadLetterDetail,
    DeadLetterPage,
    DefinitionSummary,
    InstanceDetail,
    ParticipantDetail,
    SagaDetail,
    SagaPage,
    SagaSummary,
    StepDetail,
    StepStatus,
)
from goconductor.lifecycle.facts.status import SagaStatus

ATTACK = "\x1b]0;owned\x07\x1b[2J[bold red]\r\nfake line"
SAGA = UUID("01920000-0000-7000-8000-000000000001")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def drawn(what: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=160, force_terminal=False)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_tree_has_a_line_for_each_step_with_what_matters_now() -> None:
    steps = [
        StepDetail(id="reserve", run="x.reserve", status=StepStatus.SUCCEEDED, attempt=1, after=[]),
        StepDetail(
            id="charge", run="x.charge", status=StepStatus.RUNNING, attempt=2, owner="x-1", error="E: busy", after=["reserve"]
        ),
        StepDetail(id="ship", run="x.ship", status=StepStatus.WAITING, reason="waits for charge", after=["charge"]),
    ]
    detail = SagaDetail(
        saga_id=SAGA,
        saga="order",
        version="v",
        revision="1-a",
        status=SagaStatus.RUNNING,
        started_at=NOW,
        updated_at=NOW,
        steps=steps,
    )
    assert [line.rstrip() for line in drawn(rendering.tree(detail)).splitlines()] == [
        f"order {SAGA} running",
        "├── ✓ reserve  succeeded",
        "├── ● charge  running  attempt 2  on x-1  E: busy",
        "└── … ship  waiting  waits for charge",
    ]


def test_control_characters_and_markup_from_a_saga_are_only_shown() -> None:
    step = StepDetail(id="a", run="x.a", status=StepStatus.FAILED, error=ATTACK, after=[])
    detail = SagaDetail(
        saga_id=SAGA,
        saga="order",
        version="v",
        revision="1-a",
        status=SagaStatus.COMPENSATED,
        reason=ATTACK,
        started_at=NOW,
        updated_at=NOW,
        steps=[step],
    )
    row = SagaSummary(
        saga_id=SAGA,
        saga="order",
        version="v",
        status="queued",
        started_at=NOW,
        updated_at=NOW,
        labels={"a": ATTACK},
    )
    for text in (drawn(rendering.tree(detail)), drawn(rendering.table(SagaPage(sagas=[row])))):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "[bold red]" in text
        assert not any(line.startswith("fake line") for line in text.splitlines())


def step(name: str, *after: str, status: StepStatus = StepStatus.PENDING) -> StepDetail:
    return StepDetail(id=name, run=f"x.{name}", status=status, after=list(after))


def tree(*steps: StepDetail, took: dict[str, str] | None = None) -> list[str]:
    """The tree without its head and marks."""
    detail = SagaDetail(
        saga_id=SAGA,
        saga="order",
        version="v",
        revision="1-a",
        status=SagaStatus.RUNNING,
        started_at=NOW,
        updated_at=NOW,
        steps=list(steps),
    )
    return [
        line.rstrip().replace("· ", "").replace("  pending", "") for line in drawn(rendering.tree(detail, took)).splitlines()
    ][1:]


def test_branches_stand_inside_the_step_where_they_part_and_go_on_outside_where_they_meet() -> None:
    parted = [step("a"), step("b", "a"), step("b2", "b"), step("c", "a"), step("d", "b2", "c"), step("e", "d")]
    assert tree(*parted) == [
        "├── a",
        "│   ├── b",
        "│   │   └── b2",
        "│   └── c",
        "├── d  after b2, c",
        "└── e",
    ]


def test_steps_that_begin_together_are_branches_too() -> None:
    assert tree(step("a"), step("a2", "a"), step("b"), step("c", "a2", "b")) == [
        "├── a",
        "│   └── a2",
        "├── b",
        "└── c  after a2, b",
    ]


def test_branches_within_a_branch_meet_inside_of_it() -> None:
    inner = [step("b2", "b"), step("x", "b2"), step("y", "b2"), step("b3", "x", "y")]
    assert tree(step("a"), step("b", "a"), step("c", "a"), *inner, step("d", "b3", "c")) == [
        "├── a",
        "│   ├── b",
        "│   │   ├── b2",
        "│   │   │   ├── x",
        "│   │   │   └── y",
        "│   │   └── b3  after x, y",
        "│   └── c",
        "└── d  after b3, c",
    ]


def test_a_step_that_follows_a_branch_and_where_it_parts_stands_outside() -> None:
    assert tree(step("a"), step("b", "a"), step("c", "a"), step("d", "a", "b")) == [
        "├── a",
        "│   ├── b",
        "│   └── c",
        "└── d  after a, b",
    ]


def test_how_long_a_step_took_stands_behind_it() -> None:
    lines = tree(step("a", status=StepStatus.SUCCEEDED), step("b", "a"), took={"a": "1.2 s"})
    assert lines == ["├── ✓ a  succeeded  1.2 s", "└── b"]


def test_a_participant_is_shown_with_instances_that_live_are_silent_or_have_left() -> None:
    found = ParticipantDetail(
        participant="bank\x1b",
        alive=1,
        leases=2,
        steps=["charge"],
        instances=[
            InstanceDetail(serial=1, name="bank-1", alive=True, started_at=NOW, leases=2),
            InstanceDetail(serial=2, name="bank-2", alive=False, started_at=NOW),
            InstanceDetail(serial=3, name="bank-3", alive=False, started_at=NOW, dead_at=NOW),
        ],
    )
    assert [line.rstrip() for line in drawn(rendering.participant(found)).splitlines()] == [
        "bank\\x1b  1 living  charge",
        "├── ● bank-1  since 2026-01-02 03:04:05Z  runs 2",
        "├── ✗ bank-2  since 2026-01-02 03:04:05Z  has lost its sign of life",
        "└── ✗ bank-3  since 2026-01-02 03:04:05Z  left or died 2026-01-02 03:04:05Z",
    ]


def test_tracebacks_stand_below_the_tree_for_all_steps_but_those_that_succeeded() -> None:
    where = "Traceback (most recent call last):\n  File x, in pack\n\x1b[2JValueError: bad"
    steps = [
        StepDetail(id="pack", run="x.pack", status=StepStatus.STUCK, traceback=where, after=[]),
        StepDetail(id="over", run="x.over", status=StepStatus.SUCCEEDED, traceback=where, after=[]),
        StepDetail(id="back", run="x.back", status=StepStatus.COMPENSATED, traceback="KeyError", after=[]),
    ]
    detail = SagaDetail(
        saga_id=SAGA,
        saga="order",
        version="v",
        revision="1-a",
        status=SagaStatus.STUCK,
        started_at=NOW,
        updated_at=NOW,
        steps=steps,
    )
    text = "".join(drawn(each) for each in rendering.tracebacks(detail))
    assert [line.rstrip() for line in text.splitlines()] == [
        "",
        "pack:",
        "Traceback (most recent call last):",
        "  File x, in pack",
        "\\x1b[2JValueError: bad",
        "",
        "back:",
        "KeyError",
    ]


SIGN = "\N{CYRILLIC CAPITAL LETTER ZHE}"
LONG = "word " * 60 + SIGN * 300
STEP = StepDetail(id="pack", run="x.pack", status=StepStatus.FAILED, error=LONG, traceback=LONG, after=[])
DETAIL = SagaDetail(
    saga_id=SAGA,
    saga="order",
    version="v",
    revision="1-a",
    status=SagaStatus.COMPENSATED,
    reason=LONG,
    started_at=NOW,
    updated_at=NOW,
    steps=[STEP],
)
ROW = SagaSummary(saga_id=SAGA, saga="order", version="v", status="queued", started_at=NOW, updated_at=NOW, labels={"a": LONG})
LETTER = DeadLetterDetail(letter_id=1, topic="t" * 50, reason=LONG, at=NOW, bytes=3, saga_id=SAGA)
VERSION = DefinitionSummary(saga=LONG, version="v" * 32, active=True, registered_at=NOW)
INSTANCE = InstanceDetail(serial=1, name=LONG, alive=True, started_at=NOW)
PEOPLE = ParticipantDetail(participant="bank", alive=1, leases=0, steps=[LONG], instances=[INSTANCE])
DRAWN: dict[str, tuple[Callable[[], None], int]] = {
    "a saga": (lambda: print_saga(DETAIL, as_json=False), 3),
    "sagas": (lambda: print_drawn(rendering.table(SagaPage(sagas=[ROW]))), 1),
    "letters": (lambda: print_drawn(rendering.letters(DeadLetterPage(letters=[LETTER]))), 1),
    "definitions": (lambda: print_drawn(rendering.definitions([VERSION])), 1),
    "participants": (lambda: print_drawn(rendering.participant(PEOPLE)), 2),
    "lines": (lambda: print_lines([Text(LONG)]), 1),
}


@pytest.mark.parametrize("what", DRAWN)
@pytest.mark.parametrize("columns", [None, 40, 80, 120])
def test_nothing_is_cut_on_a_terminal_or_into_a_pipe(what: str, columns: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Printed(io.StringIO):
        def isatty(self) -> bool:
            return columns is not None

    printed = Printed()
    monkeypatch.setattr(sys, "stdout", printed)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", str(columns or 80))
    monkeypatch.setenv("LINES", "25")  # rich believes in COLUMNS only beside it
    draw, times = DRAWN[what]
    draw()
    assert printed.getvalue().count(SIGN) == times * 300
    assert columns is not None or printed.getvalue().count(SIGN * 300) == times
