"""Values of users' types made into JSON values, whole: what a type leaves out when it is written is put in again."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from typing import Any

import msgspec

from goconductor.errors import PayloadError
from goconductor.saga.data.values import as_read
from goconductor.saga.types.annotations import cannot_go, is_pydantic, parts
from goconductor.saga.types.fields import fields_of


def _pydantic_parts(value: Any) -> Any:
    kind: Any = type(value)
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()  # else Python warns of it in a place that nobody connects with the step
        raise TypeError(f"a {kind.__name__} is still to run: write the step as 'async def', and await it there")
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
    """Return a step's or caller's value as plain JSON data that can be kept, in the form in which it is read back.

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
    kind: Any = type(value)
    return as_read(_whole(value, plain) if kind not in _PLAIN and _leaves_out(kind) else plain)


_PLAIN = frozenset({dict, list, tuple, str, int, float})


@functools.lru_cache(maxsize=4096)
def _leaves_out(kind: Any) -> bool:
    """Return whether defaults may be left out when a value of this type is written.

    msgspec does so with ``omit_defaults``, and for a dataclass that it has read: there a default stays in the class, and the
    object's own dictionary is written.
    """
    return any(
        part.__struct_config__.omit_defaults
        if issubclass(part, msgspec.Struct)
        else any(field.default is not dataclasses.MISSING for field in getattr(part, "__dataclass_fields__", {}).values())
        for part in parts(kind)
        if inspect.isclass(part)
    )


def _whole(value: Any, plain: Any) -> Any:
    """Return the written form of a value, with the defaults that were left out."""
    if isinstance(plain, list | tuple):
        held = (
            value
            if isinstance(value, list | tuple)
            else [getattr(value, each) for each in getattr(value, "__struct_fields__", ())]
        )
        return [_whole(*pair) for pair in zip(held, plain, strict=True)] if len(held) == len(plain) else plain
    if not isinstance(plain, dict):
        return plain
    if isinstance(value, dict):
        return {key: _whole(member, other) for member, (key, other) in zip(value.values(), plain.items(), strict=True)}
    whole = dict(plain)
    for key, field in ({} if is_pydantic(type(value)) else fields_of(type(value)) or {}).items():
        member = getattr(value, field.name, msgspec.UNSET)
        if member is not msgspec.UNSET:
            whole[key] = _whole(member, plain[key]) if key in plain else to_json_value(member)
    return whole
