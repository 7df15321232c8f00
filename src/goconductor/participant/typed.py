"""Users' types at the edge: dataclasses, msgspec and pydantic in and out of JSON values."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, get_args

import msgspec

from goconductor.errors import PayloadError
from goconductor.saga.values import as_read

Convert = Callable[[Any], Any]


def _is_pydantic(annotation: Any) -> bool:
    if inspect.isclass(annotation) and hasattr(annotation, "__pydantic_validator__"):
        return True
    return any(_is_pydantic(part) for part in get_args(annotation))


@functools.lru_cache(maxsize=4096)
def decoder(annotation: Any) -> Convert:
    """How a JSON value becomes a value of this annotation.

    The function returned raises :class:`PayloadError` with the place and the reason if the value does not fit.
    """
    if annotation in (Any, inspect.Parameter.empty, object):
        return lambda value: value
    if _is_pydantic(annotation):
        from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415  (only users of pydantic pay for its import)

        adapter: TypeAdapter[Any] = TypeAdapter(annotation)

        def from_pydantic(value: Any) -> Any:
            try:
                return adapter.validate_python(value)
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
                raise PayloadError("$" + place, first["msg"]) from None

        return from_pydantic

    def from_msgspec(value: Any) -> Any:
        try:
            return msgspec.convert(value, annotation)
        except msgspec.ValidationError as error:
            text, _, place = str(error).partition(" - at `")
            raise PayloadError(place.rstrip("`") or "$", text) from None

    return from_msgspec


def _pydantic_parts(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise NotImplementedError


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
