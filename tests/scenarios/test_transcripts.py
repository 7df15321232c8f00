"""Every transcript says what the saga says. They are also pages of the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.transcript import answered, parse

TRANSCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) >= 12


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path, request: pytest.FixtureRequest) -> None:
    text = path.read_text(encoding="utf-8")
    now = answered(text)
    if request.config.getoption("--rewrite-scenarios"):
        path.write_text(now, encoding="utf-8")
        return
    assert now.splitlines() == text.splitlines(), "if the new answers are right: pytest tests/scenarios --rewrite-scenarios"


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript_says_what_it_shows_and_reaches_an_end(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# "), "begin with a title"
    assert len([line for line in text.splitlines() if line.startswith("#")]) >= 2, "say in prose what it shows"
    last = [line for line in text.splitlines() if line.startswith("  = ")][-1]
    assert last.startswith(("  = completed", "  = compensated", "  = terminated"))


def test_a_changed_answer_is_noticed() -> None:
    text = TRANSCRIPTS[0].read_text(encoding="utf-8")
    assert "  = queued\n" in text
    assert answered(text.replace("  = queued\n", "  = running\n", 1)).splitlines() == text.splitlines()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ActionSucceeded a outcome=3", "has no outcome"),
        ("ActionSucceeded a 3", "expected field=value"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(line: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(line)
