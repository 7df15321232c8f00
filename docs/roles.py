"""Docstrings as the site shows them: Markdown, of the few things that they take from reStructuredText.

The API reference is made of the docstrings by mkdocstrings, which loads this file as an extension of Griffe: ``zensical.toml``.
"""

import re
from typing import Any

from griffe import Extension, Module, Object

ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`[~.]?([^`]+)`")
CODE_FOLLOWS = re.compile(r"(?:(?<=\n\n)|^)::\n\n|(?<=\S)::(?=\n\n)")


def markdown(docstring: str) -> str:
    """Turn roles into code, and drop the colons by which a block of code is announced."""
    plain = ROLE.sub(r"`\1`", docstring)
    return CODE_FOLLOWS.sub(lambda found: ":" if found[0] == "::" else "", plain)


class Roles(Extension):
    """Read each docstring as Markdown."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute once Griffe has read it."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Rewrite the docstring of the package itself, which is no object of anything."""
        self.on_object(obj=pkg)
