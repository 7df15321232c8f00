"""Findings say what they found, show it without our code, and fail when it has changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FINDINGS = sorted((Path(__file__).parents[2] / "findings").glob("*.sh"))
PARTS = ("Versions", "Behaviour", "Source", "Why it matters")
INSTALLED = re.compile(r"pip\" install (?:--\S+ )*(.+)")
PINNED = re.compile(r"'?[\w.-]+(?:\[[\w,]+\])?==[\w.]+'?")


def test_there_are_findings() -> None:
    assert FINDINGS


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
def test_a_finding_is_whole(path: Path) -> None:
    text = path.read_text()
    comments = [line[2:] for line in text.splitlines() if line.startswith("# ")]
    assert [part for part in PARTS if not any(line.startswith(part) for line in comments)] == []
    packages = [package for line in INSTALLED.findall(text) for package in line.split()]
    assert packages
    assert [package for package in packages if not PINNED.fullmatch(package)] == []
    assert "set -e" in text
    assert "goconductor" not in text
    assert re.search(r"^ *assert |exit 1", text, re.MULTILINE), "it has to fail when the behaviour changes"
    assert text.rstrip().endswith('echo "as described"')
