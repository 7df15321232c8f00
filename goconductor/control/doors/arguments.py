"""Arguments that people give in Python, checked by the annotations of what they call."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from goconductor.errors import check_is_number, check_type

P = ParamSpec("P")
R = TypeVar("R")

_SPOKEN: dict[Any, str] = {
    str: "a text",
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    datetime: "a datetime",
    Mapping: "a dict",
    Sequence: "a list",
    types.NoneType: "None",
}


def checked(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Let a function refuse arguments of a wrong type, by ``ArgumentError``, before it does anything.

    Only plain types are checked: texts, numbers, moments, dicts, lists and None, and unions of them. It is for what is asked now
    and then, and not for what is asked a thousand times a second.
    """
    signature = inspect.signature(function)

    @functools.cache
    def kinds() -> dict[str, tuple[tuple[type, ...], str]]:
        hints = get_type_hints(function)
        found = {name: _plain(hints[name]) for name in signature.parameters if name in hints}
        return {name: (plain, _worded(plain)) for name, plain in found.items() if plain}

    @functools.wraps(function)
    async def checking(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs).arguments
        for name, (plain, wanted) in kinds().items():
            if name in given:
                check_type(name, given[name], plain, wanted)
                check_is_number(name, given[name])
        return await function(*args, **kwargs)

    return checking


def _plain(annotation: Any) -> tuple[type, ...]:
    """Return the types that an annotation accepts; empty where they are not plain."""
    found: list[type] = []
    for each in get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,):
        kind = get_origin(each) or each
        if kind not in _SPOKEN and not (inspect.isclass(kind) and issubclass(kind, str)):
            return ()
        found += (int, float) if kind is float else (kind,)
    return tuple(found)


def _worded(kinds: tuple[type, ...]) -> str:
    words = [_SPOKEN[kind] for kind in kinds if kind in _SPOKEN and not (kind is int and float in kinds)]
    return " or ".join(dict.fromkeys(words))
