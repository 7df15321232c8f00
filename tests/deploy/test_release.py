"""A release: the same commit gives the same bytes, and what is said about its security speaks of each port that there is."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploy.helm import ROOT

INCLUDED = ("goconductor", "migrations", "requirements", "helm", "deploy", "examples")
FILES = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    ".gitignore",
)


def build(folder: Path, *, rights: int) -> dict[str, str]:
    """Build from a copy in a folder, whose files are new and have these rights."""
    for name in INCLUDED:
        shutil.copytree(ROOT / name, folder / name, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copyfile(ROOT / name, folder / name)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(rights)
            os.utime(path, (rights * 1e6, rights * 1e6))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "dist").iterdir()}


@pytest.mark.slow
def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "another" / "folder").mkdir(parents=True)
    first = build(tmp_path / "one", rights=0o644)
    assert len(first) == 2
    assert build(tmp_path / "another" / "folder", rights=0o600) == first


def test_each_port_has_its_threats() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    ports = set(re.findall(r"^\| `ports/(\w+)", (ROOT / "ARCHITECTURE.md").read_text("utf-8"), re.MULTILINE))
    assert len(ports) >= 5
    headed = {heading.lower() for heading in re.findall(r"^### (\w+)$", text, re.MULTILINE)}
    assert ports <= headed
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (ROOT / target).exists()


def test_the_templates_of_issues_can_be_read() -> None:
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"):
        _, front, body = path.read_text("utf-8").split("---\n", 2)
        assert set(yaml.safe_load(front)) == {"name", "about"}
        assert body.strip()
