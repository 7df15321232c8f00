"""JSON values made into values of users' types: dataclasses, msgspec and pydantic.

A pydantic model stands in the log under its fields' Python names, as references spell them; its aliases are read as well. JSON is
what pydantic is given, so a strict model takes a time or a tuple as JSON writes it. What it computes is written, and left aside
when it is read again.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args

import msgspec

from goconductor.errors import PayloadError
from goconductor.saga.types.annotations import is_pydantic, is_pydantic_model, parts
from goconductor.saga.types.complaints import unfit

Convert = Callable[[Any], Any]


@functools.lru_cache(maxsize=4096)
def decoder(annotation: Any) -> Convert:
    """Return the function that makes a value of this annotation from a JSON value.

    That function raises :class:`PayloadError` with the place and the reason if the value does not fit.

    Raises:
        TypeError: pydantic cannot read the annotation; names the reason.
    """
    if annotation in (Any, inspect.Parameter.empty, object):
        return lambda value: value
    if is_pydantic(annotation) or any(is_pydantic_model(part) for part in _arguments(annotation)):
        return _from_pydantic(annotation)

    # where there is nothing for the hook, none is given: it would be asked about each value of ``object``
    hook = _inside if any(is_pydantic(part) for part in parts(annotation)) else None

    def from_msgspec(value: Any) -> Any:
        try:
            return msgspec.convert(value, annotation, dec_hook=hook)
        except msgspec.ValidationError as error:
            text, _, place = str(error).partition(" - at `")
            raise PayloadError(place.rstrip("`") or "$", text) from None

    return from_msgspec


def _arguments(annotation: Any) -> Iterator[Any]:
    for part in get_args(annotation):
        yield part
        yield from _arguments(part)


def _inside(kind: Any, value: Any) -> Any:
    """Convert a type of pydantic's inside one of msgspec's; ``object`` takes anything, also where a hook is asked."""
    if kind is object:
        return value
    if not is_pydantic(kind):
        raise NotImplementedError
    try:
        return decoder(kind)(value)
    except PayloadError as error:
        raise ValueError(f"{error.path}: {error.problem}") from None


def _from_pydantic(annotation: Any) -> Convert:
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415  (only users of pydantic pay for its import)
    from pydantic.errors import PydanticUserError  # noqa: PLC0415
    from pydantic_core import to_json  # noqa: PLC0415

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        computed = frozenset(_computed(adapter.core_schema))
    except PydanticUserError as error:
        raise TypeError(str(error).partition("\n")[0]) from None

    def from_pydantic(value: Any) -> Any:
        for left_aside in (False, True):
            try:
                return adapter.validate_json(to_json(value), by_alias=True, by_name=True)
            except ValidationError as error:
                errors = error.errors(include_url=False, include_input=False)
                extra = [each["loc"] for each in errors if each["type"] == "extra_forbidden" and each["loc"][-1] in computed]
                if left_aside or not extra or len(extra) < len(errors):
                    first = errors[0]
                    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
                    raise PayloadError("$" + place, unfit(first)) from None
                value = _without(value, extra)
        raise AssertionError  # pragma: no cover  (the second round returns or raises)

    return from_pydantic


def _computed(schema: Any) -> Iterator[str]:
    """Yield the names of all computed fields in a schema of pydantic's core."""
    if isinstance(schema, dict):
        for field in schema.get("computed_fields", ()):
            yield field["property_name"]
        for each in schema.values():
            yield from _computed(each)
    elif isinstance(schema, list | tuple):
        for each in schema:
            yield from _computed(each)


def _without(value: Any, places: list[tuple[int | str, ...]]) -> Any:
    """Return the value without these places. A name that pydantic puts in (a member of a union) is passed over."""
    heads = {place[0] for place in places if len(place) == 1}
    if isinstance(value, dict):
        left = {name: each for name, each in value.items() if name not in heads}
        return {name: _below(name, each, places) for name, each in left.items()}
    if isinstance(value, list):
        return [_below(index, each, places) for index, each in enumerate(value)]
    return value


def _below(key: int | str, value: Any, places: list[tuple[int | str, ...]]) -> Any:
    further = [place[1:] for place in places if len(place) > 1 and place[0] == key]
    return _without(value, further) if further else value
