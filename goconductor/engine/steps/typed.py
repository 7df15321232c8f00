"""Users' types at the edge: dataclasses, msgspec and pydantic in and out of JSON values.

A pydantic model stands in the log under its fields' Python names, as references spell them; its aliases are read as well. JSON is
what pydantic is given, so a strict model takes a time or a tuple as JSON writes it. What it computes is written, and left aside
when it is read again.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, get_args, get_origin

import msgspec

from goconductor.errors import PayloadError
from goconductor.saga.data.values import as_read
from goconductor.saga.types.annotations import cannot_go, is_pydantic, is_pydantic_model, parts
from goconductor.saga.types.fields import fields_of

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
                    raise PayloadError("$" + place, first["msg"]) from None
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


def normalised(annotation: Any, value: Any) -> tuple[Any, Any]:
    """Check a saga's input by its type, and complete it by the type's defaults; a model's aliases become its fields' names.

    What was given is kept as it was given, also what the type does not know.

    Args:
        annotation: the type.
        value: JSON values.

    Returns:
        The input as it is kept, and the same without what a default made anew, such as an id: two starts that were given the
        same have the same there.

    Raises:
        PayloadError: it does not fit, or a default cannot be kept.
    """
    written = to_json_value(decoder(annotation)(value))
    if written == value:
        return value, value
    names = _names(annotation)
    kept = names.merged(value, written, frozenset())
    return kept, names.merged(value, written, names.made_anew) if names.made_anew else kept


class _Names(NamedTuple):
    """What the fields of a type, and of all that it holds, are called."""

    aliases: Mapping[str, frozenset[str]]
    pieces: frozenset[str]
    made_anew: frozenset[str]
    ordered: bool

    def merged(self, given: Any, written: Any, without: frozenset[str]) -> Any:
        """Return the given value with the written one beside it, but without the defaults of some names."""
        if isinstance(given, dict) and isinstance(written, dict):
            renamed = {self._renamed(name, given, written): member for name, member in given.items()}
            missing = {name: member for name, member in written.items() if name not in renamed and name not in without}
            both = {
                name: self.merged(member, written[name], without) if name in written else member
                for name, member in renamed.items()
                if name in written or not (missing and name in self.pieces)
            }
            return both | missing
        if isinstance(given, list) and isinstance(written, list) and self.ordered and len(given) <= len(written):
            both_items = [self.merged(item, other, without) for item, other in zip(given, written, strict=False)]
            return both_items + written[len(given) :]
        return given

    def _renamed(self, name: str, given: Mapping[str, Any], written: Mapping[str, Any]) -> str:
        if name in written or name not in self.aliases:
            return name
        return next((each for each in self.aliases[name] if each in written and each not in given), name)


@functools.lru_cache(maxsize=4096)
def _names(annotation: Any) -> _Names:
    fields = [field for part in parts(annotation) for field in (fields_of(part) or {}).values()]
    aliases: dict[str, set[str]] = {}
    for field in fields:
        for alias in field.aliases:
            aliases.setdefault(alias, set()).add(field.key)
    return _Names(
        aliases={alias: frozenset(keys) for alias, keys in aliases.items()},
        pieces=frozenset(piece for field in fields for piece in field.pieces),
        made_anew=frozenset(field.key for field in fields if field.made_anew),
        ordered=not any(_is_set(get_origin(part) or part) for part in parts(annotation)),
    )


def _is_set(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, AbstractSet)


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
