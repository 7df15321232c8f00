"""How Orchy's documents refer to data: ``$.input.age``, ``$.10.output.points``, ``$10.output.points``, ``$['10'].output.points``.

A whole text that is a reference stands for the value. Within a longer text a reference may stand in braces
(``for {$.input.name}``), and is replaced by the value as text. What it leads to may be missing; that is null.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_NAME = r"[A-Za-z_][0-9A-Za-z_]*"
_KEY = rf"(?:\.{_NAME}|\[(?:0|-?[1-9][0-9]{{0,8}})\]|\['[^'\\]*'\]|\[\"[^\"\\]*\"\])"
_OUTPUT = r"(?:\.output|\['output'\]|\[\"output\"\])"
_REFERENCE = (
    rf"\$(?:(?:\.input|\['input'\]|\[\"input\"\])|(?:\.?(?P<bare>[0-9]{{1,18}})|\[['\"](?P<quoted>[0-9]{{1,18}})['\"]\]){_OUTPUT})"
    rf"(?P<keys>{_KEY}*)(?![0-9A-Za-z_])"
)
_WHOLE = re.compile(_REFERENCE)
_BARE = re.sub(r"[?]P<(bare|quoted|keys)>", r"?P<\1_>", _REFERENCE)  # a name stands once in an expression
_INSIDE = re.compile(rf"\{{\s*{_REFERENCE}\s*\}}|{_BARE}")
_KEYS = re.compile(rf"\.(?P<name>{_NAME})|\[(?P<index>-?[0-9]+)\]|\[['\"](?P<text>[^'\"\\]*)['\"]\]")


class Place(NamedTuple):
    """What a reference leads to.

    Attributes:
        action: whose output it is in; None for the input.
        keys: what leads to it from there.
    """

    action: int | None
    keys: tuple[str | int, ...]


def place_of(text: str) -> Place | None:
    """Return what a text refers to, if the whole of it is a reference."""
    found = _WHOLE.fullmatch(text.strip())
    return None if found is None else _place(found["bare"] or found["quoted"], found["keys"])


def parts_of(text: str) -> Iterator[str | Place]:
    """Take a text apart at its references."""
    end = 0
    for found in _INSIDE.finditer(text):
        if found.start() > end:
            yield text[end : found.start()]
        action = found["bare"] or found["quoted"] or found["bare_"] or found["quoted_"]
        yield _place(action, found["keys"] or found["keys_"] or "")
        end = found.end()
    if end < len(text):
        yield text[end:]


def _place(action: str | None, keys: str) -> Place:
    found = tuple(
        match["name"] if match["name"] is not None else int(match["index"]) if match["index"] is not None else match["text"]
        for match in _KEYS.finditer(keys)
    )
    return Place(None if action is None else int(action), found)
