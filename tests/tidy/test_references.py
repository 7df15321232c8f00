"""What docstrings refer to by its whole name is there, so that a move leaves no stale name behind."""

from __future__ import annotations

import re
from collections import defaultdict
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
REFERENCE = re.compile(r":(?:mod|class|func|meth|data|attr):`~?(goconductor(?:\.\w+)+)`")


def test_every_reference_names_something() -> None:
    places = defaultdict(list)
    for path in sorted((ROOT / "goconductor").rglob("*.py")):
        for name in REFERENCE.findall(path.read_text("utf-8")):
            places[name].append(path.relative_to(ROOT).as_posix())
    assert places
    assert {name: files for name, files in places.items() if not is_there(name)} == {}


def test_a_name_that_is_gone_is_seen() -> None:
    assert is_there("goconductor.postgres.dialling.Address.cluster")  # set when one is made
    assert is_there("goconductor.ports.store.Head.seq")
    assert not is_there("goconductor.ports.store.SagaReader")
    assert not is_there("goconductor.ports.store.Head.gone")
    assert not is_there("goconductor.stores.postgres.schema")


def is_there(name: str) -> bool:
    """Whether it is a module, or an attribute of one, of a class in it, or of the objects that the class makes."""
    return _found(name) is not None


def _found(name: str) -> object | None:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        inside, _, attribute = name.rpartition(".")
    holder = _found(inside)
    made = getattr(getattr(holder, "__init__", None), "__code__", None)  # what it sets stands among the names of its code
    return getattr(holder, attribute, attribute if made is not None and attribute in made.co_names else None)
