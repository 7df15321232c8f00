"""The written form of a stored definition: its groups and switches again, in place of the steps that they were compiled to.

Only the compiled form is stored. Compiling is regular: a switch is a value whose text has the cases, their steps come after it
with a condition that names one of them, and the ids say which step is in which. So the written form can be found in the compiled
one, also for versions that were registered long ago. It is shown only where it is proven: compiled again it must have the same
version. People may give steps such ids by hand; a definition whose steps only look compiled is shown as it is.

The same can be written in several ways. It comes back in one of them, with names as short as they can be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby

from msgspec.structs import replace

from goconductor.errors import DefinitionError
from goconductor.saga.definition import Definition, Step, definition_of, every_step, with_body
from goconductor.saga.expressions.condition_text import literal
from goconductor.saga.writing.groups.compiling import compiled
from goconductor.saga.writing.groups.forms import (
    Case,
    WrittenChild,
    WrittenDefinition,
    WrittenMap,
    WrittenRepeat,
    WrittenStep,
    below,
    in_form,
    of_plain,
)
from goconductor.saga.writing.groups.shortening import shortened

_CASE = re.compile(r'\((?P<when>.*?)\n\) \? dyn\((?P<case>"(?:[^"\\]|\\.)*")\) : ', re.DOTALL)
_LAST_CASE = re.compile(r'dyn\((?P<case>"(?:[^"\\]|\\.)*")\)')
_ASKED = re.compile(r"\((?P<when>.*)\n\) \? true : false", re.DOTALL)


class _Unlike(Exception):  # noqa: N818  (it is no error: the steps were written as they are)
    """Steps are not what a compiled group or switch looks like."""


def written(definition: Definition, *, full_names: bool = False) -> WrittenDefinition:
    """Return a definition as it was written; one without groups and switches as it is.

    Args:
        definition: the compiled one, which is sound.
        full_names: whether references, ``after`` and ``fallback`` keep the full names of steps, as objects in Python have them.
    """
    as_it_is = of_plain(definition)
    sagas = any(step.saga is not None and step.saga.steps for step in every_step(definition.steps)) and not full_names
    if not sagas and not _may_have_frames(definition):
        return as_it_is
    with suppress(_Unlike):
        restored = _restored(definition, _with_sagas(definition.steps) if sagas else definition.steps)
        for made in (shortened(restored, full_names=full_names), restored):
            if _means(made, definition, full_names=full_names):
                return made
    return as_it_is


def in_full(definition: Definition) -> WrittenDefinition:
    """Return a definition with its groups and switches, in which full names stand everywhere, so that each has one meaning.

    Two versions can be compared by it. Sagas that are written inside stay compiled: they are definitions of their own.
    """
    if _may_have_frames(definition):
        with suppress(_Unlike):
            restored = _restored(definition, definition.steps)
            if _means(restored, definition, full_names=False):
                return restored
    return of_plain(definition)


def _may_have_frames(definition: Definition) -> bool:
    return any("." in step.id for step in every_step(definition.steps))


def _restored(definition: Definition, steps: Iterable[Step]) -> WrittenDefinition:
    return replace(of_plain(definition), steps=tuple(_sequence(steps, "", in_order=False)))


def _with_sagas(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps, of those that start a saga which is written inside them with that saga as it was written."""
    for each in steps:
        step = with_body(each, _with_sagas(each.body)) if each.body else each
        if step.saga is not None and step.saga.steps:
            inside = written(definition_of(step.saga, step.id))
            step = replace(step, saga=in_form(WrittenChild, step.saga, steps=inside.steps, output=inside.output))
        yield step


def _means(made: WrittenDefinition, definition: Definition, *, full_names: bool) -> bool:
    try:
        again, problems = compiled(made, full_names=full_names)
    except DefinitionError:
        return False
    return not problems and again.version == definition.version


def _sequence(
    steps: Iterable[Step], path: str, *, first: Iterable[str] = (), guard: str = "", in_order: bool = True
) -> Iterator[WrittenStep]:
    """Yield what a sequence of steps was compiled from; parameters as of the compiler's method of that name."""
    before = [*first]
    for name, members in groupby(steps, key=lambda step: below(path, step.id[len(path) + 1 if path else 0 :].partition(".")[0])):
        made = _one(name, [*members], before, guard)
        yield made
        if in_order:
            before = [*_ends(made, path)]


def _one(name: str, members: Sequence[Step], before: Sequence[str], guard: str) -> WrittenStep:
    own_id, head = name.rpartition(".")[2], members[0]
    if len(members) == 1 and head.id == name:
        step = in_form(WrittenStep, _opened(head), id=own_id, steps=None, switch=None)
        return replace(step, after=_own_after(head, before), when=_own_when(head, guard))
    if head.id == name:
        return _switch(own_id, name, members, before, guard)
    after = _own_after(head, before)
    asked = _ASKED.fullmatch(head.value) if head.id == f"{name}.when" and head.value is not None else None
    if asked is not None and len(members) > 1:  # else it is a step of the group that has this name
        inside = f"steps[{literal(head.id)}].output == true"
        do = tuple(_sequence(members[1:], name, first=(head.id,), guard=inside))
        return WrittenStep(id=own_id, after=after, when=_without(asked["when"], guard), steps=do)
    return WrittenStep(id=own_id, after=after, steps=tuple(_sequence(members, name, first=head.after, guard=guard)))


def _switch(own_id: str, name: str, members: Sequence[Step], before: Sequence[str], guard: str) -> WrittenStep:
    head, rest, place = members[0], [*members[1:]], 0
    text = head.value or ""
    cases: list[Case] = []
    while (found := _CASE.match(text, place)) is not None:
        cases.append(_case(name, json.loads(found["case"]), found["when"], rest))
        place = found.end()
    if (last := _LAST_CASE.fullmatch(text, place)) is not None:
        cases.append(_case(name, json.loads(last["case"]), None, rest))
    if not cases or rest:
        raise _Unlike
    return WrittenStep(id=own_id, after=_own_after(head, before), when=_own_when(head, guard), switch=tuple(cases))


def _case(name: str, case: str, when: str | None, rest: list[Step]) -> Case:
    """Return a case, and take its steps from those that are left of the switch."""
    branch = below(name, case)
    steps = [step for step in rest if step.id.startswith(f"{branch}.")]
    rest[:] = [step for step in rest if not step.id.startswith(f"{branch}.")]
    if not steps:
        raise _Unlike
    taken = f"steps[{literal(name)}].output == {literal(case)}"
    return Case(case=case, when=when, steps=tuple(_sequence(steps, branch, first=(name,), guard=taken)))


def _opened(step: Step) -> Step:
    """Return a map or a repeat with the body that was written; any other step as it is."""
    if step.map is not None:
        do = tuple(_sequence(step.body, "", in_order=False))
        return replace(step, map=in_form(WrittenMap, step.map, do=do))
    if step.repeat is not None:
        do = tuple(_sequence(step.body, "", in_order=False))
        return replace(step, repeat=in_form(WrittenRepeat, step.repeat, do=do))
    return step


def _ends(step: WrittenStep, path: str) -> Iterator[str]:
    """Yield the steps after which a written one is over."""
    name = below(path, step.id)
    if step.switch is not None:
        yield from () if step.switch[-1].when is None else (name,)
        for case in step.switch:
            yield from _ends(case.steps[-1], below(name, case.case))
    elif step.steps is not None:
        yield from _ends(step.steps[-1], name)
    else:
        yield name


def _own_after(step: Step, before: Sequence[str]) -> tuple[str, ...]:
    """Return what a step comes after, beside those that it comes after by its place."""
    given = tuple(dict.fromkeys(before))
    if step.after[: len(given)] != given:
        raise _Unlike
    return step.after[len(given) :]


def _own_when(step: Step, guard: str) -> str | None:
    return None if step.when == (guard or None) else _without(step.when or "", guard)


def _without(when: str, guard: str) -> str:
    """Return a condition without the one that it stands under."""
    if not guard:
        return when
    begin, end = f"{guard} && (", "\n)"
    if not when.startswith(begin) or not when.endswith(end):
        raise _Unlike
    return when[len(begin) : -len(end)]
