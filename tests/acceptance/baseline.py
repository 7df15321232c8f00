"""The code of the baseline, unpacked beside ours: what those instances run that are not replaced yet.

It needs no environment of its own: Python finds the packages of a process's folder before those that are installed.
"""

from __future__ import annotations

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = ROOT / "compatibility" / "baseline"
PARTS = ("goconductor", "migrations", "tests", "pyproject.toml")


def commit() -> str:
    """Return the baseline's commit, as ``compatibility/baseline`` has it."""
    (word,) = (line.strip() for line in NAMED.read_text().splitlines() if line.strip() and not line.startswith("#"))
    return word


def unpacked(folder: Path) -> Path:
    """Write the code of the baseline into a folder.

    Args:
        folder: is made.
    """
    if not (ROOT / ".git").exists():
        pytest.skip("the code of the baseline is in the repository only, and this is no clone of it")
    wanted = commit()
    archived = subprocess.run(["git", "archive", wanted, "--", *PARTS], cwd=ROOT, capture_output=True, check=False)
    if archived.returncode:
        pytest.fail(
            f"this clone has not the commit of the baseline, {wanted} ({archived.stderr.decode().strip()}): "
            "make it complete with `git fetch --unshallow`, or fetch that commit"
        )
    with tarfile.open(fileobj=BytesIO(archived.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder
