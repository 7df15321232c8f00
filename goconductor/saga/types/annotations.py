"""Checks users' annotations before anything runs: whether values of a type can come out of JSON, and go into it.

A type is looked through with all that it holds (fields, items, members of a union). So a mistake three models deep is found when
the step is declared, and not after the effects of the steps before it.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

_SECRETS = frozenset({"SecretStr", "SecretBytes", "Secret"})
_ANYTHING = (Any, inspect.Parameter.empty, object, None, types.NoneType)


def is_pydantic_model(kind: Any) -> bool:
    """Return whether a type is a model or a dataclass of pydantic's."""
    return inspect.isclass(kind) and hasattr(kind, "__pydantic_validator__")


def is_pydantic(kind: Any) -> bool:
    """Return whether pydantic decides how to read a type: a model, a dataclass of its own, or a type such as ``AnyUrl``."""
    return inspect.isclass(kind) and (is_pydantic_model(kind) or hasattr(kind, "__get_pydantic_core_schema__"))


def parts(annotation: Any) -> Iterator[Any]:
    """Yield a type and all its parts, each once."""
    seen: list[Any] = []
    waiting = [annotation]
    while waiting:
        each = waiting.pop()
        if any(each is known for known in seen):
            continue
        seen.append(each)
        yield each
        waiting += get_args(each) if get_origin(each) is not typing.Literal else ()
        waiting += _fields(each)


def _fields(kind: Any) -> list[Any]:
    kind = get_origin(kind) or kind
    if isinstance(kind, typing.TypeAliasType if hasattr(typing, "TypeAliasType") else ()):
        return [kind.__value__]
    if not inspect.isclass(kind):
        return []
    if is_pydantic_model(kind):
        fields = getattr(kind, "model_fields", None) or getattr(kind, "__pydantic_fields__", {})
        return [field.annotation for field in fields.values()]
    holds = hasattr(kind, "__dataclass_fields__") or hasattr(kind, "__attrs_attrs__") or hasattr(kind, "_fields")
    if holds or issubclass(kind, msgspec.Struct) or typing.is_typeddict(kind):
        try:
            return list(get_type_hints(kind).values())
        except Exception:  # noqa: BLE001  (a missing name is reported by the reader of the type itself)
            return []
    return []


def cannot_come(annotation: Any) -> str | None:
    """Return why no JSON value can become this type; None if one can."""
    return _secret(annotation) or _unreadable(annotation)


def cannot_go(annotation: Any) -> str | None:
    """Return why values of this type cannot be kept as JSON; None if they can, or if only the value shows it."""
    why = _secret(annotation)
    if why is not None or annotation in _ANYTHING:
        return why
    for each in parts(annotation):
        origin = get_origin(each)
        if origin is not None and inspect.isclass(origin) and any(hasattr(origin, name) for name in ("__await__", "__next__")):
            return f"{spelt(each)} is something that is still to run, and no value"
        if _is_opaque(each) and not (inspect.isabstract(each) or getattr(each, "_is_protocol", False) or each.__subclasses__()):
            return f"{spelt(each)} has no JSON form; use dataclasses, msgspec or pydantic models, or plain data"
    return None


def _secret(annotation: Any) -> str | None:
    for each in parts(annotation):
        kind = get_origin(each) or each
        if inspect.isclass(kind) and kind.__module__.startswith("pydantic") and kind.__name__ in _SECRETS:
            return (
                f"{kind.__name__} would be lost: what goes between steps is kept in the saga log, where secrets must not stand; "
                "keep it in a secret store and pass its name"
            )
    return None


def _unreadable(annotation: Any) -> str | None:
    if annotation in _ANYTHING:
        return None
    if any(is_pydantic(each) for each in [annotation, *get_args(annotation)]):
        return None  # pydantic reports it when the adapter is made
    try:
        msgspec.json.Decoder(annotation)
    except TypeError as error:
        reason = str(error).partition(" - type ")[0]
        if "union" in reason.lower():
            return (
                f"{reason}: they cannot be distinguished; tag them (msgspec's 'tag', pydantic's discriminator), or take one type"
            )
        return reason
    except Exception as error:  # noqa: BLE001  (such as a missing name)
        return f"{spelt(annotation)} cannot be read ({error})"
    for each in parts(annotation):
        if _is_opaque(each):
            return f"no JSON value becomes a {spelt(each)}; use dataclasses, msgspec or pydantic models, or plain data"
    return None


def _is_opaque(kind: Any) -> bool:
    """Return whether nobody knows how to write a class as JSON."""
    if not inspect.isclass(kind) or kind in _ANYTHING or is_pydantic(kind) or hasattr(kind, "model_dump"):
        return False
    try:
        return isinstance(msgspec.inspect.type_info(kind), msgspec.inspect.CustomType)
    except Exception:  # noqa: BLE001  (its reader reports it)
        return False


def spelt(annotation: Any) -> str:
    """Return an annotation as it is written in code."""
    return annotation.__name__ if inspect.isclass(annotation) and not get_args(annotation) else str(annotation)
