"""The transcripts are pages of the documentation. ``GOCONDUCTOR_TEST_REWRITE=1`` writes theirs anew."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from tests.docs.page import DOCS
from tests.doors.test_cli_reference import written
from tests.scenarios.test_transcripts import TRANSCRIPTS

PAGE = DOCS / "transcripts.md"


SUBJECTS = {
    "Termination": r"^TerminationRequested",
    "Restarts": r"^RestartRequested",
    "Locks": r"\blocks:",
    "Maps": r"\bmap:",
    "Repeats": r"\brepeat:",
    "Savepoints": r"\bsavepoint:",
    "Sagas that a step starts": r"\bsaga:",
    "Steps that are handed out": r"HandedOut",
    "Declared undo": r"\bundo:",
    "Steps that may fail": r"\b(?:allow_fail|fallback):",
    "Values, conditions and switches": r"\b(?:value|switch|when):",
    "Steps that wait": r"\b(?:wait|delay):",
    "The pivot": r"^# .*\b(?:pivot|deadline)\b",
    "What operators ask": r"^(?:Pause|Skip|Retry)Requested|^InputEdited|^OutcomeDeclared|^# .*\babort\b",
    "Forward, and back": r"",
}
"""Subject → what shows that a transcript is about it. The first that fits counts; the page has them in the reverse order."""

FIRST = "# A refused card puts the stock back\n"
"""The transcript that the page begins with."""


def lines() -> Iterator[str]:
    texts = [path.read_text("utf-8") for path in TRANSCRIPTS]
    found = [(next(each for each in SUBJECTS if re.search(SUBJECTS[each], text, re.MULTILINE)), text) for text in texts]
    found.sort(key=lambda each: FIRST not in each[1])
    for subject in reversed(SUBJECTS):
        yield f"## {subject}"
        yield ""
        for about, text in found:
            if about == subject:
                yield from _shown(text)


def _shown(text: str) -> Iterator[str]:
    title, *rest = text.splitlines()
    prose = [line.removeprefix("#").strip() for line in _head(rest)]
    yield f"### {title.removeprefix('# ')}"
    yield ""
    yield " ".join(prose).strip().replace("<", "&lt;")
    yield ""
    yield "```text"
    yield from "\n".join(rest[len(prose) :]).strip("\n").splitlines()
    yield "```"
    yield ""


def _head(rest: list[str]) -> list[str]:
    """The comment that a transcript begins with."""
    end = next(number for number, line in enumerate(rest) if not line.startswith("#"))
    return rest[:end]


def test_the_page_shows_all_transcripts() -> None:
    page = PAGE.read_text("utf-8")
    now = written(page, "transcripts", lines())
    if os.environ.get("GOCONDUCTOR_TEST_REWRITE"):
        PAGE.write_text(now, "utf-8")
        return
    assert page == now, "GOCONDUCTOR_TEST_REWRITE=1 pytest tests/docs/test_transcripts_page.py writes it anew"
