"""What differs between two versions of a definition, in the words of who wrote it.

Stored are compiled definitions, so both are read off first (:mod:`goconductor.saga.writing.groups.restoring`): a change of a
group's condition is told once, and not of each step that carries it. Both are read with full names, which mean the same wherever
they stand. What a step comes after is told by its place in its group and by what it refers to, groups and switches as wholes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from goconductor.saga.comparing import same
from goconductor.saga.definition import Definition, Step, StepRole, definition_of, every_step, with_body
from goconductor.saga.graph import predecessors, with_fallbacks
from goconductor.saga.plan import Plan
from goconductor.saga.writing.groups.forms import Case, WrittenStep, below, of_plain, of_steps
from goconductor.saga.writing.groups.parts import Parts, every
from goconductor.saga.writing.groups.restoring import in_full

NAMES_MAX = 8
"""Number of steps of a group, or a case, that are named."""
VALUE_CHARACTERS_MAX = 80
"""Characters of a value that are shown."""

_BY_OTHER_WORDS = frozenset({"id", "case", "after", "pivot", "inputs", "steps", "switch"})
"""Fields of a step, or of a case, that are told by their meaning."""


def differences(old: Plan, new: Plan) -> tuple[str, ...]:
    """Return each difference between two versions, a clause; none where both are the same version.

    Args:
        old: the version that a saga has, compiled.
        new: the version that it could have.
    """
    if old.version == new.version:
        return ()
    before, after = old.definition, new.definition
    roles = {name: (old.roles[name], new.roles[name]) for name in old.order if name in new.steps}
    changes = [*_of_saga(before, after), *_of_steps(*_written(before, after), roles)]
    return tuple(changes) or ("the steps are the same, in another order",)  # which is part of a version


class _Part(NamedTuple):
    """A step, a group, a switch or a case.

    Attributes:
        kind: which of them.
        struct: as it is written, by full names.
        after: what it comes after; of a case nothing.
    """

    kind: str
    struct: WrittenStep | Case
    after: tuple[str, ...] = ()


def _written(old: Definition, new: Definition) -> tuple[Sequence[WrittenStep], Sequence[WrittenStep]]:
    """Return the steps of both as they were written, or both as they are compiled where one of them cannot be read off."""
    made = [in_full(old), in_full(new)]
    if any("." in step.id for each in made for step in every_step(each.steps)):
        made = [of_plain(old), of_plain(new)]
    return made[0].steps, made[1].steps


def _of_saga(old: Definition, new: Definition) -> Iterator[str]:
    for field in old.__struct_fields__:
        if field != "steps":
            yield from _of_field(f"the saga's {field}", getattr(old, field), getattr(new, field))


def _of_steps(
    old: Sequence[WrittenStep], new: Sequence[WrittenStep], roles: Mapping[str, tuple[StepRole, StepRole]]
) -> Iterator[str]:
    """Yield what differs between the steps of two sagas, or of what two maps or repeats do.

    Args:
        old: of the one.
        new: of the other.
        roles: those of each step that is in both.
    """
    before, after = dict(_parts(old)), dict(_parts(new))
    for place, (name, part) in enumerate(before.items()):
        if name not in after and not _is_told(name, before, after):
            yield f"{part.kind} {name!r} is gone{_with(name, islice(before.items(), place + 1, None))}"
    for place, (name, part) in enumerate(after.items()):
        if name not in before and not _is_told(name, after, before):
            where = f", after {_list(part.after)}" if part.after else _at_the_beginning(part)
            yield f"{part.kind} {name!r} is new{where}{_with(name, islice(after.items(), place + 1, None))}"
    for name, part in before.items():
        if name in after:
            yield from (f"{part.kind} {name!r}: {change}" for change in _of_part(part, after[name], roles.get(name)))


def _is_told(name: str, here: Mapping[str, _Part], there: Mapping[str, _Part]) -> bool:
    """Return whether what holds a part, and is only here as well, is told with what is in it."""
    above = name.rpartition(".")[0]
    return above in here and (above not in there or _is_told(above, here, there))


def _with(name: str, later: Iterable[tuple[str, _Part]]) -> str:
    """Return the steps in a part, in words. They stand right behind it."""
    inside = takewhile(lambda named: named[0].startswith(f"{name}."), later)
    steps = [each for each, part in inside if part.kind == "step"]
    more = f" and {len(steps) - NAMES_MAX:,} more" if len(steps) > NAMES_MAX else ""
    return f", with {_list(steps[:NAMES_MAX])}{more}" if steps else ""


def _at_the_beginning(part: _Part) -> str:
    return "" if isinstance(part.struct, Case) else ", at the beginning"


def _parts(steps: Sequence[WrittenStep]) -> Iterator[tuple[str, _Part]]:
    """Yield the parts of a sequence by their full names, each before what stands in it."""
    known = dict(every(steps))
    named = {name: [each for each in predecessors(_flat(step)) if each in known] for name, step in known.items()}
    yield from _sequence(steps, "", Parts(steps), with_fallbacks(known, named), in_order=False)


def _flat(step: WrittenStep) -> Step:
    """Return a map or a repeat with the steps of its groups and switches as its own; any other step as it is."""
    inside = ((name, each) for name, each in every(of_steps(step.body)) if each.steps is None and each.switch is None)
    return with_body(step, (_flat(replace(each, id=name)) for name, each in inside))


def _sequence(
    steps: Iterable[WrittenStep], path: str, parts: Parts, named_by: Mapping[str, Sequence[str]], *, in_order: bool = True
) -> Iterator[tuple[str, _Part]]:
    """Yield the parts of a sequence.

    Args:
        steps: of the sequence.
        path: the full name of what holds them.
        parts: the groups and switches of all.
        named_by: the steps that each one names, refers to or stands in for.
        in_order: whether each comes after the one before it.
    """
    before = ""
    for step in steps:
        name = below(path, step.id)
        named = dict.fromkeys([*([before] if before else []), *parts.gathered(named_by[name], name)])
        kind = "switch" if step.switch is not None else "step" if step.steps is None else "group"
        yield name, _Part(kind, step, tuple(named))
        yield from _sequence(step.steps or (), name, parts, named_by)
        for case in step.switch or ():
            branch = below(name, case.case)
            yield branch, _Part("case", case)
            yield from _sequence(case.steps, branch, parts, named_by)
        before = name if in_order else ""


def _of_part(part: _Part, other: _Part, roles: tuple[StepRole, StepRole] | None) -> Iterator[str]:
    if part.kind != other.kind:
        yield f"it is a {other.kind} now, and was a {part.kind}"
    if roles is not None and roles[0] is not roles[1]:
        yield f"it is {roles[1]} now, and was {roles[0]}"
    before, after = {*part.after}, {*other.after}
    if added := [each for each in other.after if each not in before]:
        yield f"it comes after {_list(added)} as well"
    if gone := [each for each in part.after if each not in after]:
        yield f"it does not come after {_list(gone)} any more"
    yield from _of_fields(part.struct, other.struct)


def _of_fields(one: WrittenStep | Case, other: WrittenStep | Case) -> Iterator[str]:
    if isinstance(one, WrittenStep) and isinstance(other, WrittenStep):
        for parameter in sorted({*one.inputs, *other.inputs}):
            yield from _of_field(f"its input {parameter!r}", one.inputs.get(parameter), other.inputs.get(parameter))
        cases, others = [[case.case for case in each.switch or ()] for each in (one, other)]
        if [case for case in cases if case in others] != [case for case in others if case in cases]:
            yield f"its cases are asked in the order {_list(others)}"
    for field in one.__struct_fields__:
        before, after = getattr(one, field), getattr(other, field, None)
        if field in _BY_OTHER_WORDS:
            continue
        if field in ("map", "repeat") and before is not None and after is not None:
            for part in before.__struct_fields__:
                if part != "do":
                    yield from _of_field(f"the {part!r} of its {field}", getattr(before, part), getattr(after, part))
            inside = _of_steps(of_steps(before.do), of_steps(after.do), {})
            yield from (f"in its {field}, {change}" for change in inside)
        elif field == "saga" and before is not None and after is not None and before.steps and after.steps:
            assert isinstance(one, WrittenStep)  # noqa: S101  (cases start no sagas)
            two = [Plan(definition_of(each, one.id)) for each in (before, after)]
            yield from (f"in its saga, {change}" for change in differences(*two))
        else:
            yield from _of_field(f"its {field}", before, after)


def _of_field(what: str, old: Any, new: Any) -> Iterator[str]:
    if old is new or same(old, new):
        return
    if old in (None, "", False, ()):
        yield f"{what} is new: {_shown(new)}"
    elif new in (None, "", False, ()):
        yield f"{what} is gone; it was {_shown(old)}"
    else:
        yield f"{what} is {_shown(new)}, and was {_shown(old)}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _shown(value: Any) -> str:
    text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[: VALUE_CHARACTERS_MAX - 1]}…"
