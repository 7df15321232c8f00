"""Texts with places for values: ``https://api.example.com/orders/{order}``, ``Bearer ${secret:token}``.

``{name}`` stands for an input of the step, ``{output.body.id}`` for a part of what an action has answered, and ``{action_key}``
for the action's idempotency key. ``{{`` and ``}}`` are braces. ``${secret:name}`` stands for a secret of the settings.

A template comes from a definition, never from a saga's data, and what is filled in is never read as a template again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from goconductor.errors import RefusedError

ACTION_KEY = "action_key"
OUTPUT = "output"

_NAME = r"[A-Za-z0-9_-]+"
_PARTS = re.compile(rf"\$\{{secret:({_NAME})\}}|\{{({_NAME}(?:\.{_NAME})*)\}}|(\{{\{{|\}}\}})|([{{}}])")


@dataclass(frozen=True)
class Placeholder:
    """A place for a value: the name of an input, ``output`` or ``action_key``, and a path into it."""

    name: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *self.path))


@dataclass(frozen=True)
class SecretName:
    """A place for a secret."""

    name: str


@dataclass(frozen=True)
class Template:
    """A text in its parts.

    Args:
        source: the text as it was written.
        parts: texts, placeholders and names of secrets, in their order.
    """

    source: str
    parts: tuple[str | Placeholder | SecretName, ...]

    @classmethod
    def parse(cls, source: str) -> Template:
        """Read a template.

        Raises:
            ValueError: a brace stands alone, or what is between two is no name.
        """
        parts: list[str | Placeholder | SecretName] = []
        end = 0
        for found in _PARTS.finditer(source):
            secret, placeholder, doubled, alone = found.groups()
            if alone:
                raise ValueError(
                    f"has a {alone!r} at {found.start()} that begins or ends no placeholder; write a name between braces, "
                    "such as {order}, or double a brace that is meant as one"
                )
            parts.append(source[end : found.start()])
            end = found.end()
            if secret:
                parts.append(SecretName(secret))
            elif placeholder:
                name, *path = placeholder.split(".")
                parts.append(Placeholder(name, tuple(path)))
            else:
                parts.append(doubled[0])
        return cls(source, tuple(part for part in (*parts, source[end:]) if part != ""))

    @property
    def placeholders(self) -> Iterator[Placeholder]:
        """The placeholders, in their order."""
        return (part for part in self.parts if isinstance(part, Placeholder))

    @property
    def secrets(self) -> Iterator[str]:
        """The names of the secrets, in their order."""
        return (part.name for part in self.parts if isinstance(part, SecretName))

    def filled(self, text_of: Callable[[Placeholder], str], secret_of: Callable[[str], str] | None = None) -> str:
        """Return the text with values in place.

        Args:
            text_of: answers the text of a value, as it is to stand there.
            secret_of: answers a secret; None where the template may have none.
        """
        shown = []
        for part in self.parts:
            if isinstance(part, Placeholder):
                shown.append(text_of(part))
            elif isinstance(part, SecretName):
                if secret_of is None:
                    raise RefusedError(f"{self.source!r} has a secret, which may stand in a header only; put it there")
                shown.append(secret_of(part.name))
            else:
                shown.append(part)
        return "".join(shown)


class Values:
    """The values that placeholders stand for.

    Args:
        given: the step's inputs by their names, and ``action_key``; in a compensation ``output`` too, if it is known.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def value_of(self, placeholder: Placeholder) -> Any:
        """Return the value of a placeholder.

        Raises:
            RefusedError: there is none; nothing was called yet.
        """
        if placeholder.name not in self._given:
            raise RefusedError(f"{{{placeholder}}} has no value; add {placeholder.name!r} to the step's inputs")
        value = self._given[placeholder.name]
        for key in placeholder.path:
            if isinstance(value, dict) and key in value:
                value = value[key]
            elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            else:
                raise RefusedError(f"{{{placeholder}}} has no value: there is no {key!r}; correct the path, or what it reads")
        return value

    def text_of(self, placeholder: Placeholder) -> str:
        """Return the value of a placeholder as text: a text as it is, a number or true and false as JSON writes them.

        Raises:
            RefusedError: it is null, a list or a map, or there is none.
        """
        value = self.value_of(placeholder)
        if isinstance(value, str):
            return value
        if value is None or isinstance(value, list | dict):
            kind = {type(None): "null", list: "a list"}.get(type(value), "a map")
            raise RefusedError(f"{{{placeholder}}} is {kind}; give it a text or a number")
        return msgspec.json.encode(value).decode()

    def within(self, template: Any) -> Any:
        """Return JSON values with the placeholders of their texts filled in.

        A text that is nothing but a placeholder becomes the value itself, whatever its type.

        Raises:
            RefusedError: a placeholder has no value.
            ValueError: a text is no template.
        """
        match template:
            case str():
                read = Template.parse(template)
                if len(read.parts) == 1 and isinstance(read.parts[0], Placeholder):
                    return self.value_of(read.parts[0])
                return read.filled(self.text_of)
            case list() | tuple():
                return [self.within(item) for item in template]
            case dict():
                return {key: self.within(item) for key, item in template.items()}
            case _:
                return template


def templates_in(value: Any) -> Iterator[Template]:
    """Yield the templates of all texts in JSON values.

    Raises:
        ValueError: a text is no template.
    """
    match value:
        case str():
            yield Template.parse(value)
        case list() | tuple():
            for item in value:
                yield from templates_in(item)
        case dict():
            for item in value.values():
                yield from templates_in(item)
