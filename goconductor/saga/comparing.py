"""What differs between two versions of a saga's definition, in words, and what that means for sagas that run.

A saga keeps the version that it started with. It could go on under another one only where its past is the same in both: each
step that has begun is there, is the same step, plays the same part around the pivot, and has the same steps before it. What has
not begun may change in any way. So the steps in which two versions differ like that *hold* a saga: as soon as one of them has
begun, the saga cannot move. The same is true of the saga's timeout, whose end was fixed at the start, and of its input's schema,
by which the input was completed. All this is necessary. Whether it is enough shows only when a saga's own log is read by the new
version (:mod:`goconductor.lifecycle.requests.migration`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from goconductor.saga.definition import Definition, Step, definition_of
from goconductor.saga.plan import Plan

VALUE_CHARACTERS_MAX = 80
"""Characters of a value that are shown."""

_JUDGED = frozenset({"name", "steps", "output", "timeout_seconds", "input_schema", "priority"})
"""Fields of a saga of which it is known whether they may differ; any other holds it."""

_BY_OTHER_WORDS = frozenset({"id", "after", "pivot", "inputs"})
"""Fields of a step that are told by their meaning."""


class Comparison(NamedTuple):
    """What differs between two versions.

    Attributes:
        changes: each difference, a clause; empty where both are the same version.
        holding: the steps of the old version that hold a saga in which they have begun, in an order that the graph allows.
        stays: why no saga could move, wherever it stands; empty where some could.
    """

    changes: tuple[str, ...]
    holding: tuple[str, ...] = ()
    stays: str = ""


def compare(old: Plan, new: Plan) -> Comparison:
    """Compare two versions.

    Args:
        old: the version that a saga has, compiled.
        new: the version that it could have.
    """
    if old.version == new.version:
        return Comparison(())
    before, after = old.definition, new.definition
    changes = [
        *_of_saga(before, after),
        *(f"step {name!r} is gone" for name in old.order if name not in new.steps),
        *(f"step {name!r} is new, {_place(new, name)}" for name in new.order if name not in old.steps),
    ]
    for name in old.order:
        if name in new.steps:
            changes += [f"step {name!r}: {change}" for change in _of_step(old, new, name)]
    if not changes:  # the order of steps in the document is part of a version
        changes = ["the steps are the same, in another order"]
    return Comparison(tuple(changes), tuple(name for name in old.order if _holds(old, new, name)), _stays(before, after))


def _of_saga(old: Definition, new: Definition) -> Iterator[str]:
    for field in old.__struct_fields__:
        if field != "steps":
            yield from _of_field(f"the saga's {field}", getattr(old, field), getattr(new, field))


def _of_step(old: Plan, new: Plan, name: str) -> Iterator[str]:
    one, other = old.steps[name], new.steps[name]
    if old.roles[name] is not new.roles[name]:
        yield f"it is {new.roles[name]} now, and was {old.roles[name]}"
    gone = [each for each in old.predecessors[name] if each not in new.predecessors[name]]
    added = [each for each in new.predecessors[name] if each not in old.predecessors[name]]
    if added:
        yield f"it comes after {_list(added)} as well"
    if gone:
        yield f"it does not come after {_list(gone)} any more"
    for parameter in sorted({*one.inputs, *other.inputs}):
        yield from _of_field(f"its input {parameter!r}", one.inputs.get(parameter), other.inputs.get(parameter))
    for field in one.__struct_fields__:
        before, after = getattr(one, field), getattr(other, field)
        if field in ("map", "repeat") and before is not None and after is not None:
            for part in before.__struct_fields__:
                yield from _of_field(f"the {part!r} of its {field}", getattr(before, part), getattr(after, part))
        elif field == "saga" and before is not None and after is not None and before.steps and after.steps:
            one_saga, other_saga = (definition_of(each, name) for each in (before, after))
            yield from (f"in its saga, {change}" for change in compare(Plan(one_saga), Plan(other_saga)).changes)
        elif field not in _BY_OTHER_WORDS:
            yield from _of_field(f"its {field}", before, after)


def _of_field(what: str, old: Any, new: Any) -> Iterator[str]:
    if _plain(old) == _plain(new):
        return
    if old in (None, "", False, ()):
        yield f"{what} is new: {_shown(new)}"
    elif new in (None, "", False, ()):
        yield f"{what} is gone; it was {_shown(old)}"
    else:
        yield f"{what} is {_shown(new)}, and was {_shown(old)}"


def _holds(old: Plan, new: Plan, name: str) -> bool:
    """Return whether a saga in which this step has begun could not move."""
    if name not in new.steps or old.roles[name] is not new.roles[name]:
        return True
    if {*old.predecessors[name]} != {*new.predecessors[name]}:
        return True
    return _essence(old.steps[name]) != _essence(new.steps[name])


def _essence(step: Step) -> object:
    """Return what a step is: all of it but what only names the steps before it, in whatever order."""
    return _plain(msgspec.structs.replace(step, after=()))


def _stays(old: Definition, new: Definition) -> str:
    if old.name != new.name:
        return f"{new.name!r} is another saga than {old.name!r}"
    if old.timeout_seconds != new.timeout_seconds:
        return "the saga's timeout differs, and its end was fixed when the saga started"
    if old.input_schema != new.input_schema:
        return "the schema of the input differs, and the input was checked and completed by the old one"
    others = [field for field in old.__struct_fields__ if field not in _JUDGED and getattr(old, field) != getattr(new, field)]
    return f"the saga's {others[0]} differs" if others else ""


def _place(plan: Plan, name: str) -> str:
    before = plan.predecessors[name]
    return f"after {_list(before)}" if before else "at the beginning"


def _list(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)


def _shown(value: Any) -> str:
    text = json.dumps(_plain(value), ensure_ascii=False)
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[: VALUE_CHARACTERS_MAX - 1]}…"
