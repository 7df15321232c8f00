"""What the difference between two versions of a saga's definition means for sagas that run.

A saga keeps the version that it started with. It could go on under another one only where its past is the same in both. Each
step that has begun must be there, be the same step, have the same role around the pivot, and have the same steps before it.
Steps that have not begun may change in any way. So the steps in which two versions differ *hold* a saga: as soon as one of
them has begun, the saga cannot move. The same holds for the saga's timeout, whose end was fixed at the start, and for its
input's schema, by which the input was completed. All this is necessary, but not sufficient. The saga's own log, read by the
new version, decides (:mod:`goconductor.lifecycle.requests.migration`).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from goconductor.saga.data.values import canonical
from goconductor.saga.definition import Definition, Step
from goconductor.saga.plan import Plan

_JUDGED = frozenset({"name", "steps", "output", "timeout_seconds", "input_schema", "priority"})
"""Fields of a saga of which it is known whether they may differ; any other holds it."""


class Comparison(NamedTuple):
    """What the difference between two versions means for sagas that run.

    Attributes:
        holding: the steps of the old version that hold a saga in which they have begun, in an order that the graph allows.
        stays: why no saga could move, wherever it stands; empty where some could.
    """

    holding: tuple[str, ...] = ()
    stays: str = ""


def compare(old: Plan, new: Plan) -> Comparison:
    """Compare two versions.

    Args:
        old: the version that a saga has, compiled.
        new: the version that it could have.
    """
    if old.version == new.version:
        return Comparison()
    holding = tuple(name for name in old.order if _holds(old, new, name))
    return Comparison(holding, _stays(old.definition, new.definition))


def _holds(old: Plan, new: Plan, name: str) -> bool:
    """Return whether a saga in which this step has begun could not move."""
    if name not in new.steps or old.roles[name] is not new.roles[name]:
        return True
    if {*old.predecessors[name]} != {*new.predecessors[name]}:
        return True
    return not same(_essence(old.steps[name]), _essence(new.steps[name]))


def _essence(step: Step) -> Step:
    """Return what a step is: all of it but what only names the steps before it, in whatever order."""
    return msgspec.structs.replace(step, after=())


def _stays(old: Definition, new: Definition) -> str:
    if old.name != new.name:
        return f"{new.name!r} is another saga than {old.name!r}"
    if old.timeout_seconds != new.timeout_seconds:
        return "the saga's timeout differs, and its end was fixed when the saga started"
    if not same(old.input_schema, new.input_schema):
        return "the schema of the input differs, and the input was checked and completed by the old one"
    judged = (field for field in old.__struct_fields__ if field not in _JUDGED)
    others = [field for field in judged if not same(getattr(old, field), getattr(new, field))]
    return f"the saga's {others[0]} differs" if others else ""


def same(one: object, other: object) -> bool:
    """Return whether two parts of definitions are the same in each version; of equal values, 1 and true are not.

    Args:
        one: of a definition that has a version.
        other: of such a one, too.
    """
    if msgspec.json.encode(one) == msgspec.json.encode(other):
        return True
    plain = [msgspec.to_builtins(each) for each in (one, other)]
    return bool(plain[0] == plain[1]) and canonical(plain[0]) == canonical(plain[1])
