"""The transcripts are pages of the documentation. ``GOCONDUCTOR_TEST_REWRITE=1`` writes theirs anew."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tests.docs.page import DOCS
from tests.doors.test_cli_reference import written
from tests.scenarios.test_transcripts import TRANSCRIPTS

PAGE = DOCS / "transcripts.md"


def lines() -> Iterator[str]:
    for path in TRANSCRIPTS:
        title, *rest = path.read_text("utf-8").splitlines()
        prose = [line.removeprefix("#").strip() for line in _head(rest)]
        yield f"## {title.removeprefix('# ')}"
        yield ""
        yield " ".join(prose).strip().replace("<", "&lt;")
        yield ""
        yield "```text"
        yield from rest[len(prose) :]
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
