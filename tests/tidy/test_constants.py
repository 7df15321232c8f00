"""A number that is a constant says its use, and its unit where the name does not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "goconductor"


def test_every_number_says_what_it_is_for() -> None:
    found = [f"{path.relative_to(PACKAGE)}: {name}" for path in sorted(PACKAGE.rglob("*.py")) for name in bare(path.read_text())]
    assert found == []


def test_a_number_without_a_word_is_seen() -> None:
    assert [*bare('A_SECONDS = 1.0\n"""Seconds between two looks."""\nB: int = 2\nC = 3\n')] == ["B", "C"]
    assert [*bare('a = 1\nNAMES = ("x",)\n')] == []


def bare(source: str) -> Iterator[str]:
    """The numbers of a module that no docstring follows."""
    body = ast.parse(source).body
    for node, after in zip_longest(body, body[1:]):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            named = isinstance(target, ast.Name) and target.id.isupper() and type(node.value.value) in (int, float)
            said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
            if named and not said:
                yield ast.unparse(target)
