"""Every example runs, prints what its expected.txt says, and leaves no process behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import DOCS, blocks
from tests.examples.running import EXAMPLES, differences, processes_in, start

OWN_BUS = next(example for example in EXAMPLES if example.name.endswith("own-bus"))


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_prints_what_is_expected_and_leaves_no_process(example: Path, tmp_path: Path) -> None:
    process = start(example, tmp_path)
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    assert differences((example / "expected.txt").read_text(), printed) == [], printed
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize("name", ["sqlite_bus.py", "pyproject.toml", "test_sqlite_bus.py"])
def test_the_page_about_a_bus_of_ones_own_shows_the_example(name: str) -> None:
    """So that it is the example's bus that passes the suite on the page."""
    shown = {block.title: block.text for block in blocks(DOCS / "how-to" / "own-bus.md")}
    assert shown[name] == (OWN_BUS / name).read_text("utf-8")


@pytest.mark.parametrize(
    ("expected", "printed", "differs"),
    [
        ("took   <1.5> s", "took 12.25 s", False),
        ("<payments> leads", "orders leads", False),
        ("── total\n", "───── total", False),
        ("took <1.5> s", "took long s", True),
        ("158 completed", "157 completed", True),
        ("(a+b)", "(a+b)", False),
        ("one", "one\ntwo", True),
        ("one\ntwo", "one", True),
    ],
)
def test_what_counts_as_expected(expected: str, printed: str, *, differs: bool) -> None:
    assert bool(differences(expected, printed)) is differs
