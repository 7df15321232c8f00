"""What docstrings of structs say, as people read it: for schemas that are made of the structs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator


def docstring_of(kind: type) -> tuple[str, dict[str, str]]:
    """Return what a docstring says of a class, and of each of its fields.

    Args:
        kind: the class, whose docstring has its fields below ``Args:``.
    """
    summary, _, rest = inspect.getdoc(kind).partition("\n\nArgs:\n") if inspect.getdoc(kind) else ("", "", "")  # type: ignore[union-attr]
    return _plain(summary), dict(_fields(rest.partition("\n\n")[0]))


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for entry in re.split(r"\n(?= {4}\S)", text):
        name, colon, words = entry.strip().partition(": ")
        if colon:
            yield name, _plain(words)


def _plain(text: str) -> str:
    """Return text of a docstring as people read it: in one line, without its markup."""
    text = re.sub(r" \(:mod:[^)]*\)", "", " ".join(text.split()))
    text = re.sub(r":\w+:`~?(?:\w+\.)*([^`]+)`", r"\1", text)
    return re.sub(r"\bNone\b", "null", text.replace("``", "`"))
