"""The keys that a saga must hold before a step of it begins, as its definition says.

The locks of the saga as a whole are taken for the step that begins first. From then on the saga holds them, and no step asks
again. So a saga whose first steps are skipped takes no lock before it needs one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from goconductor.errors import PayloadError
from goconductor.saga.data.keys import KeyTemplate
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Binding, Definition, Lock, Step, Undo

KEYS_MAX = 1_000
"""Number of keys that a step may ask for. It is read again in each replay, so it never changes."""


class Asked(NamedTuple):
    """A lock as a step asks for it: its key, and whether others that are shared may hold it too."""

    key: KeyTemplate
    shared: bool


def asked(definition: Definition) -> dict[str, tuple[Asked, ...]]:
    """Return the locks that each step asks for, by the steps' ids; the definition is sound."""
    of_all = [*map(_asked, definition.locks)]
    found = {step.id: (*of_all, *map(_asked, step.locks)) for step in definition.steps}
    return {name: locks for name, locks in found.items() if locks}


def _asked(lock: Lock) -> Asked:
    return Asked(KeyTemplate.parse(lock.key), lock.mode == "shared")


def keys(locks: tuple[Asked, ...], read: Callable[[Reference], Any], items: Callable[[], Iterator[Any]]) -> dict[str, bool]:
    """Return the keys that a step asks for, each with whether it may be shared, in the order in which they are taken.

    Args:
        locks: the step's.
        read: gives the value at a place; raises PayloadError where there is none.
        items: those of the map, where the step is one.

    Raises:
        PayloadError: a key cannot be made of this saga's data, or there are too many.
    """
    found: dict[str, bool] = {}
    for template, shared in locks:
        for key in _filled(template, read, items):
            found[key] = found.get(key, True) and shared
            if len(found) > KEYS_MAX:
                raise PayloadError(template.text, f"gives more than {KEYS_MAX:,} keys; lock what these have in common")
    return dict(sorted(found.items()))


def _filled(template: KeyTemplate, read: Callable[[Reference], Any], items: Callable[[], Iterator[Any]]) -> Iterator[str]:
    if all(reference.root != "item" for reference in template.references):
        yield template.filled(read)
        return
    for item in items():
        yield template.filled(lambda place, item=item: place.resolve(item, {}) if place.root == "item" else read(place))  # type: ignore[misc]


def inputs_locked(step: Step, locks: tuple[Asked, ...]) -> frozenset[str]:
    """Return the inputs of a step, and of its declared undo, that a key of its locks refers to: both are about one thing.

    Args:
        step: the step.
        locks: what it asks for, those of the saga included.
    """
    undo: Mapping[str, Binding] = step.undo.inputs if isinstance(step.undo, Undo) else {}
    bindings = [*step.editable.items(), *undo.items()]
    locked = [reference for lock in locks for reference in lock.key.references]
    if any(reference.root == "item" for reference in locked) and step.map is not None:
        locked.append(Reference.parse(step.map.over))
    return frozenset(
        name
        for name, binding in bindings
        if binding.ref is not None and any(_overlap(Reference.parse(binding.ref), each) for each in locked)
    )


def _overlap(one: Reference, other: Reference) -> bool:
    """Return whether one of two places is in the other."""
    shorter = min(len(one.keys), len(other.keys))
    return (one.root, one.step, one.keys[:shorter]) == (other.root, other.step, other.keys[:shorter])
