"""Runs an example as a user would, in a folder of its own, and finds what it leaves behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[0-9][0-9]-*"))
MAINS = ("demo.py", "main.py", "sale.py", "day.py", "shop.py", "loans.py", "returns.py")


def start(example: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Its main script, with the folder as the place where it is called; what is a package is installed before."""
    main = next(script for name in MAINS if (script := example / name).exists())
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("GOCONDUCTOR_", "FORCE_COLOR", "TTY_"))
    }
    if (example / "pyproject.toml").exists():
        environment["PYTHONPATH"] = str(install(example, folder / "installed"))
    return subprocess.Popen(
        [sys.executable, str(main), *arguments],
        cwd=folder,
        env=environment | {"COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def install(package: Path, folder: Path) -> Path:
    """Install a package into a folder of its own, with its entry points and without what it needs, which is here."""
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), str(package)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def processes_in(folder: Path) -> list[psutil.Process]:
    """The processes that have their working directory there: services, and a PostgreSQL, whose is its data folder."""
    found = []
    for process in psutil.process_iter(["cwd", "name"]):
        cwd = process.info["cwd"]
        if cwd and Path(cwd).is_relative_to(folder):
            found.append(process)
    return found


def differences(expected: str, printed: str) -> list[str]:
    """Where the lines differ; spaces and rules count once, and <1.5> or <word> stands for any number or word."""
    wanted, found = (re.sub(r"─+", "─", text).splitlines() for text in (expected.strip(), printed.strip()))
    told = [
        f"line {number}: expected {want!r}, printed {line!r}"
        for number, (want, line) in enumerate(zip(wanted, found, strict=False), 1)
        if not re.fullmatch(_pattern(want), " ".join(line.split()))
    ]
    return told if len(wanted) == len(found) else [*told, f"{len(wanted)} lines expected, {len(found)} printed"]


def _pattern(line: str) -> str:
    parts = re.split(r"<([^<>]+)>", " ".join(line.split()))
    kinds = [r"[\d.,]+" if re.fullmatch(r"[\d.,]+", part) else r"\w+" for part in parts[1::2]]
    literals = [re.escape(part) for part in parts[::2]]
    return "".join(part for pair in zip(literals, [*kinds, ""], strict=True) for part in pair)
