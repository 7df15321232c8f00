"""Files that can be read in one sitting, with names that say what is in them, and documents whose links lead somewhere."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES_MAX = 400
MODULES_MAX = 12
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc"}
OTHERS_WORDS = {"workflow", "job", "manager", "processor", "util", "utils", "rollback"}
NO_VERBS = {*re.findall(r"\w+", "a an as from how it that the this those what where whether who whose why")}
OUR_CODE = sorted(path for folder in ("goconductor", "migrations") for path in (ROOT / folder).rglob("*.py"))
ALL_CODE = [
    *OUR_CODE,
    *(path for folder in ("tests", "examples", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))),
]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(path for folder in ("docs", "examples", "benchmarks", "changes") for path in (ROOT / folder).rglob("*.md")),
    ]
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_is_longer_than_400_lines() -> None:
    lines = {name_of(path): len(path.read_text().splitlines()) for path in ALL_CODE}
    assert {name: count for name, count in lines.items() if count > LINES_MAX} == {}


def test_a_folder_holds_a_dozen_modules_at_most() -> None:
    package = ROOT / "goconductor"
    held = Counter(path.parent.relative_to(package).as_posix() for path in package.rglob("*.py") if path.stem != "__init__")
    assert {folder for folder, modules in held.items() if modules > MODULES_MAX} == set()


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [name_of(path) for path in ALL_CODE if {path.stem, path.parent.name} & EMPTY_NAMES] == []


def test_our_names_are_those_of_the_glossary() -> None:
    defined = [
        (f"{name_of(path)}:{node.lineno} {node.name}", re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", node.name))
        for path in OUR_CODE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lowered = [(where, [word.lower() for word in words]) for where, words in defined]
    assert [where for where, words in lowered if OTHERS_WORDS & set(words) or "exactly_once" in "_".join(words)] == []


def test_what_a_function_does_begins_with_a_verb() -> None:
    described = [
        (f"{name_of(path)}:{node.lineno} {node.name}", ast.get_docstring(node) or "")
        for path in OUR_CODE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not {"property", "fixture"} & {getattr(each, "attr", getattr(each, "id", "")) for each in node.decorator_list}
    ]
    assert [where for where, text in described if text.partition(" ")[0].lower() in NO_VERBS] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_a_document_has_one_title(path: Path) -> None:
    assert len([line for line in prose(path) if line.startswith("# ")]) == 1


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_the_links_of_a_document_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", "\n".join(prose(path))):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, heading = link.partition("#")
        goal = (path.parent / file).resolve() if file else path
        assert goal.exists(), link
        if heading and goal.suffix == ".md":
            assert heading in {anchor(line) for line in prose(goal) if line.startswith("#")}, link


def prose(path: Path) -> Iterator[str]:
    """The lines outside of code blocks."""
    in_code = False
    for line in path.read_text().splitlines():
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code:
            yield line


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lstrip("#").strip().lower()).replace(" ", "-")
