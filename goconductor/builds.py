"""Which build of the package this is: pure Python, or with modules that are compiled to machine code.

Both mean the same, and pure Python is the reference. A compiled wheel names its compiled modules in a file beside this one. Their
sources are in it as well, so a module whose machine code is lost would silently be the slower one: that is looked for here.
"""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

LISTED = Path(__file__).with_name("compiled.txt")


class Build(NamedTuple):
    """How the package was built.

    Attributes:
        compiled: the modules that were compiled; none of pure Python.
        lost: those of them that Python would import from their sources all the same.
    """

    compiled: tuple[str, ...]
    lost: tuple[str, ...]

    def __str__(self) -> str:
        if not self.compiled:
            return "pure Python"
        return f"compiled, but {len(self.lost)} of {len(self.compiled)} modules are not" if self.lost else "compiled"


def build() -> Build:
    """Return which build is installed."""
    compiled = tuple(LISTED.read_text().split()) if LISTED.exists() else ()
    return Build(compiled, tuple(name for name in compiled if not _is_native(name)))


def _is_native(module: str) -> bool:
    spec = find_spec(module)
    return spec is not None and spec.origin is not None and spec.origin.endswith(tuple(EXTENSION_SUFFIXES))
