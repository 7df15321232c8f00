"""References to secrets in settings: ``${secret:NAME}``.

One may stand wherever a value is hidden when settings are shown: in a URL, in a leaf's own options, as a secret of system steps.
Elsewhere it is refused, since the value would stand in logs and answers there. So a reference never makes a value visible.

It may be all of a value, or a part of it. As a part of a URL the value is written with ``%40`` for ``@`` and so on, so that no
password can end the part of the URL that it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticCustomError

NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")
"""The name of a secret."""
REFERENCE = re.compile(r"\$\{secret:([^{}]*)\}")
MISPLACED = "misplaced_reference"
"""Type of the error about a reference where none may stand."""
BEGINNING = "${secret:"
"""How a reference begins."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
OF_THE_DATABASE = (
    "cannot refer to a secret, as secrets are kept in this very database; give the URL in the variable GOCONDUCTOR_DATABASE_URL, "
    "which your platform fills from a secret of its own"
)
_KEYS = "cannot refer to a secret, as it says where the keys are that decrypt secrets; name a file or a variable"
_SHOWN = (
    "cannot refer to a secret, as its value is shown in logs and answers; use secrets in URLs, in `options`, and as `value` "
    "of a secret of system steps"
)


class Reference(NamedTuple):
    """Where a secret is referred to.

    Args:
        name: the secret's.
        place: section, key, and what is below it.
    """

    name: str
    place: tuple[str, ...]


class _Text(NamedTuple):
    text: str
    place: tuple[str, ...]
    hidden: bool


def references_in(settings: BaseModel) -> list[Reference]:
    """Return all references, in the order of the settings.

    Args:
        settings: all sections.

    Raises:
        PydanticCustomError: one stands where none may, or names no secret; its context has the place.
    """
    found = []
    for text, place, hidden in _texts(settings, (), hidden=False):
        if BEGINNING not in text:
            continue
        problem = _misplaced(place, hidden=hidden)
        names = REFERENCE.findall(text)
        if not problem and (len(names) < text.count(BEGINNING) or not all(map(NAME.fullmatch, names))):
            problem = "should refer to a secret as ${secret:NAME}, a name of up to 60 letters, digits, '_' and '-'"
        if problem:
            raise PydanticCustomError(MISPLACED, "{problem}", {"problem": problem, "place": place})
        found += [Reference(name, place) for name in names]
    return found


def filled(document: Any, values: Mapping[str, str]) -> Any:
    """Return a document of settings with values in place of references.

    Args:
        document: dicts, lists and texts.
        values: of the secrets, by their names.
    """
    return _mapped(document, lambda text: _filled(text, values))


def told(value: Any) -> str | None:
    """Return the references of a value that is hidden, without what stands around them; None where it has none."""
    texts = (each.text for each in _texts(value, (), hidden=True))
    return " ".join(found.group() for text in texts for found in REFERENCE.finditer(text)) or None


def _misplaced(place: tuple[str, ...], *, hidden: bool) -> str:
    match place[0]:
        case "database":
            return OF_THE_DATABASE
        case "secrets":
            return _KEYS
        case _:
            return "" if hidden else _SHOWN


def _filled(text: str, values: Mapping[str, str]) -> str:
    scheme = _URL.match(text)

    def value(found: re.Match[str]) -> str:
        is_part = scheme is not None and found.start() >= scheme.end()
        return quote(values[found[1]], safe="") if is_part else values[found[1]]

    return REFERENCE.sub(value, text)


def _texts(value: Any, place: tuple[str, ...], *, hidden: bool) -> Iterator[_Text]:
    match value:
        case SecretStr():
            yield _Text(value.get_secret_value(), place, hidden=True)
        case str():
            yield _Text(value, place, hidden)
        case BaseModel():
            for name in type(value).model_fields:
                yield from _texts(getattr(value, name), (*place, name), hidden=hidden or name == "options")
        case dict():
            for key, each in value.items():
                yield from _texts(each, (*place, str(key)), hidden=hidden)
        case list() | tuple():
            for each in value:
                yield from _texts(each, place, hidden=hidden)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case SecretStr():
            return change(value.get_secret_value())
        case str():
            return change(value)
        case dict():
            return {key: _mapped(each, change) for key, each in value.items()}
        case list() | tuple():
            return [_mapped(each, change) for each in value]
        case _:
            return value
