"""The public face: what we export is what we promise, it is documented, and documents and examples need nothing else."""

from __future__ import annotations

import ast
import builtins
import inspect
import pickle
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, get_type_hints

import msgspec
import pytest

import goconductor
from goconductor import errors, ports, testing
from goconductor.plugins import GROUPS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
PROGRAMS = sorted((ROOT / "examples").rglob("*.py"))
FACE = [
    "goconductor",
    "goconductor.blocking",
    "goconductor.buses.shared",
    "goconductor.grpc",
    "goconductor.journals",
    "goconductor.outbox",
    "goconductor.ports",
    "goconductor.testing",
    "goconductor.worker",
]
PUBLIC_MODULES = [
    "goconductor.errors",
    "goconductor.plugins",
    *(f"{package.__name__}.{found.name}" for package in (ports, testing) for found in iter_modules(package.__path__)),
]
IMPORT = re.compile(r"^ *(?:from goconductor[\w.]* import (?:\([^)]*\)|[^\n]*)|import goconductor[^\n]*)", re.MULTILINE)


def exported(place: str) -> dict[str, Any]:
    """What a package of the face offers, also what is loaded upon its first use."""
    module = import_module(place)
    names = {*getattr(module, "__all__", ()), *_lazy(module)} or {
        name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == place and name[0] != "_"
    }
    return {name: getattr(module, name) for name in sorted(names)}


def _lazy(module: ModuleType) -> set[str]:
    find = vars(module).get("__getattr__")
    return set(inspect.getclosurevars(find).nonlocals["homes"]) if find is not None else set()


OFFERED = {place: exported(place) for place in FACE}
THINGS = [(place, name) for place, things in OFFERED.items() for name in things]


@pytest.mark.parametrize("place", FACE)
def test_exports_are_sorted_and_there(place: str) -> None:
    promised = getattr(import_module(place), "__all__", [])
    assert list(promised) == sorted(promised)
    assert [name for name in promised if name not in OFFERED[place]] == []


def imports(text: str) -> Iterator[tuple[str, str]]:
    """The module and the name of each import of ours in a text, code or not."""
    for found in IMPORT.findall(text):
        for node in ast.parse(found.strip()).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                yield from ((node.module, alias.name) for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from ((alias.name, "") for alias in node.names)


@pytest.mark.parametrize("path", [*DOCUMENTS, *PROGRAMS], ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_and_examples_import_only_what_is_public(path: Path) -> None:
    deep = [
        f"{module}.{name}"
        for module, name in imports(path.read_text())
        if not (module in FACE and name in {"", *OFFERED[module]})
    ]
    assert deep == []


def _named_by_place(place: str, name: str) -> bool:
    """No alias of types, no module, and no function that another one makes."""
    thing = OFFERED[place][name]
    return (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__qualname__ == name


@pytest.mark.parametrize(("place", "name"), [each for each in THINGS if _named_by_place(*each)])
def test_what_is_public_is_documented_and_names_its_place(place: str, name: str) -> None:
    thing = OFFERED[place][name]
    assert inspect.getdoc(thing)
    assert thing.__module__ == place
    assert pickle.loads(pickle.dumps(thing)) is thing  # found again by the name that it bears


@pytest.mark.parametrize(("place", "name"), [each for each in THINGS if inspect.isclass(OFFERED[each[0]][each[1]])])
def test_the_types_of_what_is_public_are_resolved(place: str, name: str) -> None:
    """Who reads a class's annotations later would look for their names in the module that the class names now."""
    kind = OFFERED[place][name]
    assert [each for each in inspect.get_annotations(kind).values() if isinstance(each, str)] == []
    if issubclass(kind, msgspec.Struct) or is_dataclass(kind):
        assert get_type_hints(kind).keys() >= inspect.get_annotations(kind).keys()


def test_values_of_public_classes_are_read_by_their_types() -> None:
    retry = goconductor.Retry(attempts_max=7)
    assert msgspec.json.decode(msgspec.json.encode(retry), type=goconductor.Retry) == retry
    assert pickle.loads(pickle.dumps(retry)) == retry

    class Ours(goconductor.Settings):
        name: str = "shop"

    assert Ours.model_validate({"database": {"url": "postgresql://one/two"}}).database.schema_name == "goconductor"


def raised(place: str) -> set[str]:
    """Every class that a public docstring names under "Raises:"."""
    found: set[str] = set()
    for thing in OFFERED[place].values():
        ours = (
            [each for each in inspect.getmro(thing) if each.__module__.startswith("goconductor")]
            if inspect.isclass(thing)
            else []
        )
        members = [member for each in ours for key, member in vars(each).items() if key[0] != "_" or key == "__init__"]
        for text in filter(None, map(inspect.getdoc, (thing, *members))):
            for section in re.findall(r"^Raises:\n((?:[ \n].*\n?)+)", text, re.MULTILINE):
                found |= set(re.findall(r"^ {4}(\w+): ", section, re.MULTILINE))
    return found - {"others"}


@pytest.mark.parametrize("place", FACE)
def test_errors_that_docstrings_name_can_be_imported(place: str) -> None:
    assert sorted(raised(place) - {*OFFERED["goconductor"], *OFFERED[place], *vars(builtins)}) == []


def test_docstrings_name_what_they_raise() -> None:
    assert raised("goconductor") > {"DefinitionError", "StuckError", "TimeoutError", "InputRefusedError"}


def test_every_error_of_the_tree_can_be_imported() -> None:
    def walk(kind: type[Exception]) -> Iterator[type[Exception]]:
        yield kind
        for each in kind.__subclasses__():
            yield from walk(each)

    tree = {each.__name__ for each in walk(errors.GoConductorError) if vars(errors).get(each.__name__) is each}
    assert "StuckError" in tree
    assert tree - set(goconductor.__all__) == set()


JOURNALS = sorted(point.module for point in entry_points(group=GROUPS["journal"]))


@pytest.mark.parametrize("name", [*PUBLIC_MODULES, *JOURNALS])
def test_public_modules_are_documented(name: str) -> None:
    module = import_module(name)
    public = [thing for key, thing in vars(module).items() if key[0] != "_" and _is_ours(thing)]
    assert module.__doc__
    assert [thing.__name__ for thing in public if not thing.__doc__] == []


def _is_ours(thing: Any) -> bool:
    return (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__.startswith("goconductor")
