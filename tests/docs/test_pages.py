"""What the pages show is what happens: somebody who follows a page from its top to its bottom sees what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.page import DOCS, files, follow, pages

OWN_TEST = {"transactional-steps.md"}  # its program is spread over the page, and has a migration beside it
UNTYPED = """[mypy]
explicit_package_bases = true
[mypy-boto3.*,django.*]
ignore_missing_imports = true
[mypy-shop.models,shop.management.commands.billing]
disallow_subclassing_any = false
"""
FOLLOWED = [page for page in pages() if page.name not in OWN_TEST]
DATABASE = "postgresql://sagas:secret@db.example/sagas"
KAFKA = "kafka://one.example:9092,two.example:9092"


def name_of(page: Path) -> str:
    return str(page.relative_to(DOCS).with_suffix(""))


def marked(page: Path) -> object:
    return pytest.param(page, id=name_of(page), marks=[pytest.mark.kafka] if needs_kafka(page) else [])


def needs_kafka(page: Path) -> bool:
    return "kafka" in name_of(page) or KAFKA in page.read_text("utf-8")


@pytest.mark.postgres
@pytest.mark.parametrize("page", [marked(page) for page in FOLLOWED])
def test_who_follows_a_page_sees_what_it_says(
    page: Path, postgres_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    given = {DATABASE: postgres_url}
    if needs_kafka(page):
        given[KAFKA] = request.getfixturevalue("kafka_server")
    environment = {} if "database.py" in files(page) else {"GOCONDUCTOR_DATABASE_URL": postgres_url}
    if DATABASE in page.read_text("utf-8"):
        environment = {}
    follow(page, tmp_path, given, environment)


@pytest.mark.slow
@pytest.mark.parametrize("page", [pytest.param(page, id=name_of(page)) for page in FOLLOWED if files(page)])
def test_the_programs_of_a_page_are_typed(page: Path, tmp_path: Path) -> None:
    programs = files(page)
    for name, text in programs.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "mypy.ini").write_text(UNTYPED, "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *sorted(programs)]
    environment = {**os.environ, "MYPYPATH": str(tmp_path), "MYPY_CACHE_DIR": str(DOCS.parent / ".mypy_cache" / "pages")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
