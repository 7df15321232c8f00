"""The site of the documentation, built once for all tests that look at it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.page import DOCS

ROOT = DOCS.parent


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build a copy, so that nobody else's site is touched."""
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--clean"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)


def copy(folder: Path) -> Path:
    for page in DOCS.rglob("*"):
        if page.is_file():
            goal = folder / "docs" / page.relative_to(DOCS)
            goal.parent.mkdir(parents=True, exist_ok=True)
            goal.write_bytes(page.read_bytes())
    (folder / "zensical.toml").write_bytes((ROOT / "zensical.toml").read_bytes())
    return folder


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy(tmp_path_factory.mktemp("site"))
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"
