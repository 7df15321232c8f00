"""What the README shows is what happens: its example is run as printed, and prints what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"

pytestmark = pytest.mark.postgres


def blocks(text: str) -> tuple[str, list[str]]:
    """The Python example, and the lines that running it prints according to the transcript below it."""
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (transcript,) = re.findall(r"( {4}\$ export GOCONDUCTOR_DATABASE_URL.*?)\n\n", text, re.DOTALL)
    lines = [line.removeprefix("    ") for line in transcript.splitlines()]
    return code, [line for line in lines if not line.startswith("$ ")]


def test_the_example_prints_what_the_readme_says(postgres_url: str, tmp_path: Path) -> None:
    code, expected = blocks(README.read_text("utf-8"))
    (tmp_path / "order.py").write_text(code, "utf-8")
    environment = {**os.environ, "GOCONDUCTOR_DATABASE_URL": postgres_url}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(str(Path(sys.executable).with_name("goconductor")), "migrate")
    assert run(sys.executable, "order.py").splitlines() == expected
