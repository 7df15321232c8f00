"""What the page on transactional steps shows is what happens: its code is run as printed, and prints what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine, inspect

PAGE = Path(__file__).parents[2] / "docs" / "transactional-steps.md"

pytestmark = pytest.mark.postgres


def blocks() -> tuple[str, str]:
    """The program, which is spread over the page, and the migration."""
    found = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (migration,) = [block for block in found if "def upgrade" in block]
    return "\n".join(block for block in found if block != migration), migration


def test_the_program_prints_what_the_page_says(postgres_url: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(blocks()[0], "utf-8")
    (printed,) = re.findall(r"it prints:\n\n((?: {4}.*\n)+)", PAGE.read_text("utf-8"))
    environment = {**os.environ, "GOCONDUCTOR_DATABASE_URL": postgres_url, "SHOP_URL": postgres_url, "PYTHONWARNINGS": "error"}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(str(Path(sys.executable).with_name("goconductor")), "migrate")
    assert run(sys.executable, "shop.py").splitlines() == [line.strip() for line in printed.splitlines()]


def test_the_program_is_typed(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(blocks()[0], "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(tmp_path / "shop.py")]
    done = subprocess.run(command, cwd=PAGE.parents[1], capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_migration_makes_and_drops_the_table(postgres_url: str) -> None:
    migration: dict[str, object] = {}
    exec(blocks()[1], migration)
    engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    for step, tables in (("upgrade", ["goconductor_effects"]), ("downgrade", [])):
        with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
            migration[step]()  # type: ignore[operator]
        with engine.connect() as connection:
            assert inspect(connection).get_table_names() == tables
    engine.dispose()
