"""Users' types at the edge: dataclasses, msgspec and pydantic in and out of JSON values.

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
from goconductor.saga.annotations import cannot_go, is_pydantic, is_pydantic_model
from goconductor.saga.values import as_read

Convert = Callable[[Any], Any]


@functools.lru_cache(maxsize=4096)
def decoder(annotation: Any) -> Convert:
    """How a JSON value becomes a value of this annotation.

    The function returned raises :class:`PayloadError` with the place and the reason if the value does not fit.

    Raises:
        TypeError: pydantic cannot make anything of the annotation; says why.
    """
    if annotation in (Any, inspect.Parameter.empty, object):
        return lambda value: value
    if is_pydantic(annotation) or any(is_pydantic_model(part) for part in _arguments(annotation)):
        return _from_pydantic(annotation)

    def from_msgspec(value: Any) -> Any:
        try:
            return msgspec.convert(value, annotation, dec_hook=_inside)
        except msgspec.ValidationError as error:
            text, _, place = str(error).partition(" - at `")
            raise PayloadError(place.rstrip("`") or "$", text) from None

    return from_msgspec


def _arguments(annotation: Any) -> Iterator[Any]:
    for part in get_args(annotation):
        yield part
        yield from _arguments(part)


def _inside(kind: Any, value: Any) -> Any:
    """A type of pydantic's inside one of msgspec's."""
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
                    raise PayloadError("$" + place, first["msg"]) from None
                value = _without(value, extra)
        raise AssertionError  # pragma: no cover  (the second round returns or raises)

    return from_pydantic


def _computed(schema: Any) -> Iterator[str]:
    """The names of all computed fields in a schema of pydantic's core."""
    if isinstance(schema, dict):
        for field in schema.get("computed_fields", ()):
            yield field["property_name"]
        for each in schema.values():
            yield from _computed(each)
    elif isinstance(schema, list | tuple):
        for each in schema:
            yield from _computed(each)


def _without(value: Any, places: list[tuple[int | str, ...]]) -> Any:
    """The value without what stands at these places. A name that pydantic puts in (a member of a union) is passed over."""
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


def normalised(annotation: Any, value: Any) -> Any:
    """A saga's input as it is kept: checked by its type, and with a model's aliases replaced by the names of its fields.

    Raises:
        PayloadError: it does not fit.
    """
    made = decoder(annotation)(value)
    written = to_json_value(made) if is_pydantic_model(annotation) and isinstance(value, dict) else value
    renamed = isinstance(written, dict) and not value.keys() <= written.keys()
    return written if renamed else value


def _pydantic_parts(value: Any) -> Any:
    kind: Any = type(value)
    if hasattr(value, "model_dump"):
        if (why := _kept(kind)) is not None:
            raise TypeError(why)
        return value.model_dump(mode="json", by_alias=False)
    if is_pydantic(kind) and _kept(kind) is None:
        from pydantic_core import to_jsonable_python  # noqa: PLC0415  (only users of pydantic pay for its import)

        return to_jsonable_python(value, by_alias=False)
    raise NotImplementedError


@functools.lru_cache(maxsize=4096)
def _kept(kind: Any) -> str | None:
    return cannot_go(kind)


def to_json_value(value: Any) -> Any:
    """A step's or caller's value as plain JSON data, checked so that it can be kept, and in the form that reading it back gives.

    Raises:
        PayloadError: it cannot be encoded (naming the type), or holds what JSON or PostgreSQL cannot keep.
    """
    if value is None or value is True or value is False:
        return value
    try:
        plain = msgspec.to_builtins(value, enc_hook=_pydantic_parts)
    except (NotImplementedError, TypeError, ValueError, RecursionError) as error:
        reason = str(error) or f"a {type(value).__qualname__} has no JSON form"
        raise PayloadError(
            "$", f"cannot be encoded ({reason}); return dataclasses, msgspec or pydantic models, or plain data"
        ) from None
    return as_read(plain)
