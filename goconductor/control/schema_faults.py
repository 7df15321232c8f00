"""JSON Schema (2020-12, or the draft that ``$schema`` names): what is wrong with a value, and with a schema itself.

Nothing is fetched: a schema may refer to its own parts only. Its ``pattern`` is matched in linear time, by RE2 and not by
Python's own engine, which can be made to search for ever; ``patternProperties`` is refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from goconductor.control.faults import Fault
from goconductor.errors import ConditionError, nearest
from goconductor.saga.data.defaults import completed
from goconductor.saga.expressions.conditions import matches

FAULTS_MAX = 20
"""Number of places that are named, the first ones."""
_SHOWN_CHARACTERS = 200
"""Number of characters of a value that are shown."""
_KINDS = {"object": "an object", "array": "a list", "integer": "a whole number", "null": "null"}


def faults(schema: dict[str, Any], value: Any) -> list[Fault]:
    """Return where a value does not fit a schema, at most the first :data:`FAULTS_MAX` places.

    Args:
        schema: a schema that :func:`schema_faults` found sound.
        value: JSON values.
    """
    try:
        validator = _kind(schema)(schema, registry=Registry())
        return list(itertools.islice(_faults(validator.iter_errors(value)), FAULTS_MAX))
    except Unresolvable as error:
        return [Fault("$", f"cannot be checked: its schema refers to {error.ref!r}, which is not there; register it corrected")]
    except RecursionError:
        return [Fault("$", "cannot be checked: its schema refers to itself without end; register it corrected")]
    except ConditionError as error:
        return [Fault("$", f"cannot be checked: its schema has a pattern that cannot be used ({error}); register it corrected")]


def schema_faults(schema: dict[str, Any]) -> list[Fault]:
    """Return what is wrong with a schema."""
    kind = _kind(schema)
    errors = kind(kind.META_SCHEMA, format_checker=kind.FORMAT_CHECKER).iter_errors(schema)
    found = list(itertools.islice(_faults(errors), FAULTS_MAX))
    if _names(schema, "patternProperties"):
        found.append(Fault("$", "has patternProperties, which are not supported; spell the properties out"))
    remote = sorted({reference for reference in _references(schema) if not reference.startswith("#")})
    found += [Fault("$", f"refers to {name!r}, and nothing is fetched; put that schema under $defs") for name in remote]
    return found or list(itertools.islice(_unfit_defaults(schema), FAULTS_MAX))


def _unfit_defaults(schema: dict[str, Any]) -> Iterator[Fault]:
    """Yield the defaults that do not fit where they are stated: an input that is completed by one would be refused."""
    validator = _kind(schema)(schema, registry=Registry())
    for path, place in _places("$", schema):
        if "default" not in place:
            continue
        try:
            for fault in _faults(validator.evolve(schema=place).iter_errors(completed(schema, place["default"], place))):
                below = fault.path.removeprefix("$")
                yield Fault(f"{path}.default{below}", f"{fault.problem}; correct it, as it is filled in where the input lacks it")
        except (Unresolvable, RecursionError, ConditionError):
            continue  # what it fits is not to be found out; values that are sent are told so


def _places(path: str, schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the parts of a schema that describe values, each with its path."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for name in ("properties", "$defs", "definitions"):
        for key, place in schema[name].items() if isinstance(schema.get(name), dict) else ():
            yield from _places(f"{path}.{name}.{key}", place)
    for name in ("items", "additionalProperties"):
        yield from _places(f"{path}.{name}", schema.get(name))
    for name in ("items", "prefixItems", "allOf", "anyOf", "oneOf"):
        for number, place in enumerate(schema[name]) if isinstance(schema.get(name), list) else ():
            yield from _places(f"{path}.{name}[{number}]", place)


def struct_faults(kind: type[msgspec.Struct], value: Any) -> list[Fault]:
    """Return where a document does not have the shape of a struct: all places, while msgspec reports only the first."""
    return faults(msgspec.json.schema(kind), value)


def _kind(schema: dict[str, Any]) -> type[Validator]:
    draft = schema.get("$schema")
    known: dict[str, Any] = {"$schema": draft} if isinstance(draft, str) else {}
    base = validator_for(known, default=Draft202012Validator)
    kind: type[Validator] = extend(base, {"pattern": _pattern})  # type: ignore[no-untyped-call]
    return kind


def _pattern(_: Validator, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not matches(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _references(schema: Any) -> list[str]:
    return [found for name in ("$ref", "$dynamicRef") for found in _names(schema, name) if isinstance(found, str)]


def _names(schema: Any, name: str) -> list[Any]:
    """Return all values under a name, anywhere in a schema."""
    found, waiting = [], [schema]
    while waiting:
        match waiting.pop():
            case dict() as members:
                if name in members:
                    found.append(members[name])
                waiting.extend(members.values())
            case list() as items:
                waiting.extend(items)
    return found


def _faults(errors: Iterable[ValidationError]) -> Iterator[Fault]:
    for error in errors:
        branches = [branch for branch in error.context or () if branch.validator_value != "null"]
        if error.validator in ("anyOf", "oneOf") and len({branch.relative_schema_path[0] for branch in branches}) == 1:
            yield from _faults(branches)  # this or null: so it is this that was meant
        elif error.validator == "additionalProperties" and error.validator_value is False and isinstance(error.instance, dict):
            known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
            unknown = [name for name in error.instance if name not in known]
            yield from (Fault(error.json_path, f"has an unknown key {_cut(name)!r}; {nearest(name, known)}") for name in unknown)
        else:
            yield Fault(error.json_path, _problem(error))


def _problem(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    match error.validator:
        case "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            return f"should be {' or '.join(_KINDS.get(kind, f'a {kind}') for kind in kinds)}"
        case "required":
            missing = error.message.removesuffix(" is a required property")
            return f"lacks {_cut(missing)}; add it"
        case "enum":
            return f"should be one of {_cut(', '.join(map(repr, wanted)))}"
        case _:
            return f"does not fit: {_cut(error.message)}"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
