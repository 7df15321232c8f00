"""A saga's input completed by its type: the defaults written in, and aliases become the fields' names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, get_origin

from goconductor.saga.types.annotations import parts
from goconductor.saga.types.decoding import decoder
from goconductor.saga.types.encoding import to_json_value
from goconductor.saga.types.fields import fields_of


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
