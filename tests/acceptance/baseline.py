"""The code of the baseline, unpacked beside ours: what those instances run that are not replaced yet.

It needs no environment of its own: Python finds the packages of a process's folder before those that are installed.
"""

from __future__ import annotations

import shutil
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
    """Write the code of the baseline into a folder. Where it cannot be had, the tests that want it say so in one line.

    Args:
        folder: is made.
    """
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("the code of the baseline is in the repository only: this is no clone of it, or git is missing")
    wanted = commit()
    archived = _git("archive", wanted, "--", *PARTS)
    if archived.returncode:
        missing = f"this clone has not the commit of the baseline, {wanted} ({archived.stderr.decode().strip()})"
        if _git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true":
            pytest.skip(f"{missing}: make it complete with `git fetch --unshallow`")
        pytest.fail(f"{missing}: fetch it, or name another one in {NAMED.relative_to(ROOT)}")
    with tarfile.open(fileobj=BytesIO(archived.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git on this clone, whoever owns it."""
    return subprocess.run(["git", "-c", f"safe.directory={ROOT}", *arguments], cwd=ROOT, capture_output=True, check=False)
