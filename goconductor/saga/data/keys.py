"""Keys of locks: texts with references to a saga's data, such as ``account:{input.account_id}``.

Between braces is a reference without its ``$.``; a doubled brace stands for a brace. Only texts and whole numbers are filled in.
For any other value two processes might not write the same text, and then two sagas would not mean the same key. The text of a key
never changes, since a replay computes it again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from goconductor.errors import PayloadError
from goconductor.saga.data.references import Reference

KEY_CHARACTERS_MAX = 255
"""Greatest length of a lock's key, in characters."""
TEMPLATE_CHARACTERS_MAX = 2_000
"""Greatest length of what a key is made of, in characters."""

_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""Characters that no key has: control characters, and halves of a pair."""


class KeyTemplate(NamedTuple):
    """A key in its parts.

    Attributes:
        text: as it is written.
        parts: texts and references, in their order.
    """

    text: str
    parts: tuple[str | Reference, ...]

    @classmethod
    def parse(cls, text: str) -> KeyTemplate:
        """Read a template.

        Raises:
            PayloadError: it is empty or too long, a brace stands alone, or what is between two is no reference.
        """
        shown = f"{text[:100]!a}"
        if not text.strip() or len(text) > TEMPLATE_CHARACTERS_MAX or _UNFIT.search(text):
            problem = (
                f"is no key: write 1 to {TEMPLATE_CHARACTERS_MAX:,} printable characters, such as account:{{input.account_id}}"
            )
            raise PayloadError(shown, problem)
        parts: list[str | Reference] = []
        end = 0
        for found in _PARTS.finditer(text):
            parts.append(text[end : found.start()])
            end = found.end()
            if found[0] in ("{{", "}}"):
                parts.append(found[0][0])
            elif found[1] is None:
                problem = f"has a {found[0]!r} at {found.start()} that stands alone; write {{input.account_id}}, or double it"
                raise PayloadError(shown, problem)
            else:
                parts.append(Reference.parse(found[1] if found[1].startswith("$") else f"$.{found[1].strip()}"))
        return cls(text, tuple(part for part in (*parts, text[end:]) if part))

    @property
    def references(self) -> tuple[Reference, ...]:
        """What of the saga's data is in it."""
        return tuple(part for part in self.parts if isinstance(part, Reference))

    @property
    def prefix(self) -> str:
        """The text that each of its keys begins with."""
        found = ""
        for part in self.parts:
            if isinstance(part, Reference):
                break
            found += part
        return found

    def with_places(self, placed: Callable[[Reference], Reference]) -> str:
        """Return it as text, with other references in place of these."""
        return "".join(
            f"{{{placed(part)}}}" if isinstance(part, Reference) else part.replace("{", "{{").replace("}", "}}")
            for part in self.parts
        )

    def filled(self, read: Callable[[Reference], Any]) -> str:
        """Return the key.

        Args:
            read: gives the value at a place; raises PayloadError where there is none.

        Raises:
            PayloadError: a value is neither a text nor a whole number, or the key is empty or too long.
        """
        key = "".join(part if isinstance(part, str) else _text(read(part), part) for part in self.parts)
        if (what := _unfit(key)) is not None:
            problem = f"gives a key that {what}; a lock's key has 1 to {KEY_CHARACTERS_MAX} printable characters"
            raise PayloadError(self.text, problem)
        return key


def _unfit(key: str) -> str | None:
    """Return why a text cannot be a key; None if it can."""
    if len(key) > KEY_CHARACTERS_MAX:
        return f"has {len(key):,} characters"
    if not key.strip():
        return "is empty"
    unfit = _UNFIT.search(key)
    return None if unfit is None else f"has the character {unfit[0]!a}"


def _text(value: Any, reference: Reference) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    found = "null" if value is None else f"of type {type(value).__name__}"
    raise PayloadError(str(reference), f"is {found}; a lock's key is made of texts and whole numbers")
