"""What we export is what we promise, and it is documented where it is defined."""

from __future__ import annotations

import builtins
import inspect
import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import goconductor
from goconductor import ports, testing
from goconductor.plugins import installed

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
PUBLIC_MODULES = [
    "goconductor.errors",
    "goconductor.plugins",
    *(f"{package.__name__}.{found.name}" for package in (ports, testing) for found in iter_modules(package.__path__)),
]


def test_exports_are_sorted_and_there() -> None:
    assert list(goconductor.__all__) == sorted(goconductor.__all__)
    assert [name for name in goconductor.__all__ if not hasattr(goconductor, name)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_import_only_what_is_exported(path: Path) -> None:
    promised = re.findall(r"^ *from goconductor import \(?([\w, \n]+)", path.read_text(), re.MULTILINE)
    names = {name for line in promised for name in re.findall(r"\w+", line.split("\n")[0])}
    assert names - set(goconductor.__all__) == set()


def test_what_is_exported_is_documented() -> None:
    exported = {name: getattr(goconductor, name) for name in goconductor.__all__}
    assert [name for name, thing in exported.items() if callable(thing) and not inspect.getdoc(thing)] == []


JOURNALS = [f"goconductor.journals.{name}" for name in installed("journal")]
ASKED = ["goconductor", "goconductor.app", "goconductor.blocking", *JOURNALS]


@pytest.mark.parametrize("name", ASKED)
def test_errors_that_docstrings_name_can_be_imported(name: str) -> None:
    module = import_module(name)
    ours = [vars(module)[key] for key in module.__all__] if name == "goconductor" else list(vars(module).values())
    ours = [thing for thing in ours if getattr(thing, "__module__", "") == name or name == "goconductor"]
    members = [member for thing in ours if inspect.isclass(thing) for key, member in vars(thing).items() if key[0] != "_"]
    public = [thing for thing in (*ours, *members) if callable(thing)]
    texts = [inspect.getdoc(thing) or "" for thing in public]
    named = {error for text in texts for error in re.findall(r"^ *(\w+Error): ", text, re.MULTILINE)}
    assert named, "the docstrings' form has changed"
    assert sorted(error for error in named if not hasattr(goconductor, error) and not hasattr(builtins, error)) == []


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_public_modules_are_documented(name: str) -> None:
    module = import_module(name)
    defined = [thing for thing in vars(module).values() if getattr(thing, "__module__", None) == name]
    public = [thing for thing in defined if inspect.isclass(thing) or inspect.isfunction(thing) if thing.__name__[0] != "_"]
    assert module.__doc__
    assert [thing.__name__ for thing in public if not thing.__doc__] == []
