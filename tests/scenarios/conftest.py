"""``pytest tests/scenarios --rewrite-scenarios`` writes the transcripts' answers anew; the review is of the diff."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("goconductor").addoption(
        "--rewrite-scenarios", action="store_true", help="write the answers in tests/scenarios/*.txt anew instead of comparing"
    )
