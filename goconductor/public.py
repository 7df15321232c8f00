"""The public face: users import from a few packages, whichever module a thing is written in, so modules can move.

A package of the face ends its ``__init__`` with :func:`publish`. Its classes and functions then name that package as their
module, so tracebacks, documentation and pickles show ``goconductor.SagaHandle``. What needs a library that ``import goconductor``
is not to load is found upon its first use, by :func:`lazily`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import FunctionType
from typing import Any

OURS = "goconductor."


def publish(package: str) -> None:
    """Give what a package exports the package's name as its module.

    Args:
        package: its ``__name__``; ``__all__`` has its exports.
    """
    names = vars(sys.modules[package])
    for name in names["__all__"]:
        if name in names:
            _move(names[name], name, package)


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make a package's ``__getattr__``, which imports a thing when it is first asked for.

    Args:
        package: its ``__name__``.
        homes: by each thing's name the module in which it is written, or ``module:name`` where it has another name there.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, there = homes[name].partition(":")
        thing = getattr(import_module(module), there or name)
        _move(thing, name, package)
        setattr(sys.modules[package], name, thing)
        return thing

    return find


def _move(thing: Any, name: str, package: str) -> None:
    """Leave alone what is not ours, such as an alias, and what has another name than it would be found by."""
    if not isinstance(thing, type | FunctionType) or not thing.__module__.startswith(OURS) or thing.__qualname__ != name:
        return
    if isinstance(thing, type) and "__annotations__" in vars(thing):
        # Whoever reads them later (msgspec, pydantic, dataclasses) would look for their names in the module that the class names.
        thing.__annotations__ = inspect.get_annotations(thing, locals={}, eval_str=True)
    thing.__module__ = package
