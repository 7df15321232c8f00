"""Makes a definition of a document of Orchy's.

Such a document is a walk: it begins at one action, and each action says which one is next, a switch by a value. A definition is a
graph in which every step has its turn. So each action becomes a step with a condition: it runs where the walk came to it, that
is, where an action before it ran and chose it. All others are skipped, and their outputs are null. The step has the action's
number as its id, so whoever looks at the saga finds the action.

A switch becomes a value: ``{"value": …, "case": …}``, the text that was compared and the case that was taken. Where there is
neither a case nor a default, ``case`` is null, and the walk ends there. Where parameters have references within longer texts,
lists or objects, a value ``<id>-parameters`` before the step makes them.

A program in JavaScript becomes a step of the participant ``system`` (:mod:`goconductor.control.orchy.scripts`).

A reference to an action that does not lie on the way to the one that refers is null: it cannot have run.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from operator import or_
from typing import Any

from goconductor.control.orchy import scripts
from goconductor.control.orchy.document import DEFAULT, NAMELESS, Action, Document, read
from goconductor.control.orchy.references import Place, parts_of, place_of
from goconductor.errors import DefinitionError, PayloadError
from goconductor.saga.checking.validate import problems
from goconductor.saga.data.references import Reference
from goconductor.saga.data.values import decode
from goconductor.saga.definition import Binding, Definition, Delay, Step, Wait
from goconductor.saga.graph import reachable
from goconductor.system import checking as system

PARTICIPANT = "orchy"
"""The participant whose steps the workers' actions are, where the importer names no other."""


def load(data: bytes, *, participant: str = PARTICIPANT) -> Definition:
    """Make a definition of a file's content, as :func:`imported`.

    Raises:
        DefinitionError: it is no JSON, or as :func:`imported`.
    """
    try:
        content = decode(data)
    except PayloadError as error:
        raise DefinitionError(NAMELESS, [f"the document {error}"]) from None
    return imported(content, participant=participant)


def imported(content: Any, *, participant: str = PARTICIPANT) -> Definition:
    """Make a definition of a document.

    Args:
        content: the document, made of dicts, lists and plain values.
        participant: whose steps the actions of type ``user`` are: ``score`` becomes ``orchy.score``.

    Raises:
        DefinitionError: it cannot be imported, or could not run; has all faults with their places.
    """
    document = read(content)
    definition = Definition(name=document.name, steps=tuple(_Import(document, participant).steps()))
    if found := problems(definition) + system.problems(definition):
        raise DefinitionError(document.name, found)
    return definition


class _Import:
    def __init__(self, document: Document, participant: str) -> None:
        self._participant = participant
        actions = {action.id: action for action in document.actions}
        following = {str(each.id): {str(after) for after in each.next.values()} for each in document.actions}
        walked = {str(document.root_action), *reachable(following, str(document.root_action))}
        self._actions = {number: action for number, action in actions.items() if str(number) in walked}
        self._chosen: dict[int, dict[int, list[str]]] = {number: {} for number in self._actions}
        """For each action those from which the walk comes to it, and by which values."""
        for number, action in self._actions.items():
            for value, follower in action.next.items():
                self._chosen[follower].setdefault(number, []).append(value)
        self._order = [*TopologicalSorter(self._chosen).static_order()]
        self._bit = {number: 1 << place for place, number in enumerate(self._order)}
        self._before: dict[int, int] = {}
        """For each action the bits of all that lie on the ways to it: sets of thousands would be slow."""
        self._always = {document.root_action}
        """The actions to which every walk comes."""
        for number in self._order:
            chosen = self._chosen[number]
            self._before[number] = functools.reduce(or_, (self._bit[one] | self._before[one] for one in chosen), 0)
            if any(one in self._always and self._actions[one].kind != "switch" for one in chosen):
                self._always.add(number)

    def steps(self) -> Iterator[Step]:
        for number in self._order:
            action = self._actions[number]
            place: dict[str, Any] = {
                "after": tuple(str(before) for before in self._chosen[number]),
                "when": None if number in self._always else " || ".join(self._ways(number)),
            }
            match action.kind:
                case "user":
                    yield from self._call(action, place)
                case "wait":
                    yield Step(id=str(number), wait=Wait(event=action.event), **place)
                case "javascript":
                    yield self._script(action, place)
                case "delay" if action.delay_seconds:
                    yield Step(id=str(number), delay=Delay(seconds=action.delay_seconds), **place)
                case "delay":
                    yield Step(id=str(number), value="null", **place)
                case _:
                    yield self._switch(action, place)

    def _ways(self, number: int) -> Iterator[str]:
        """Yield for each action before one the condition that the walk comes from there."""
        for before, values in self._chosen[number].items():
            ran = f"!steps[{_text(str(before))}].skipped"
            if self._actions[before].kind != "switch":
                yield ran
                continue
            cases = f"steps[{_text(str(before))}].output.case in [{', '.join(map(_text, values))}]"
            yield cases if before in self._always else f"({ran} && {cases})"

    def _switch(self, action: Action, place: Mapping[str, Any]) -> Step:
        text = '(inputs.it == null ? "null" : type(inputs.it) in [list, map] ? "" : string(inputs.it))'
        otherwise = _text(DEFAULT) if DEFAULT in action.next else "null"
        return Step(
            id=str(action.id),
            value=f'{{"value": {text}, "case": {text} in inputs.cases ? dyn({text}) : dyn({otherwise})}}',
            inputs={
                "it": self._binding(action, place_of(action.expression or "") or Place(None, ())),
                "cases": Binding(value=[value for value in action.next if value != DEFAULT]),
            },
            **place,
        )

    def _script(self, action: Action, place: Mapping[str, Any]) -> Step:
        program = action.expression or ""
        given = [each for each in scripts.numbers_in(program) if self._bit.get(each, 0) & self._before[action.id]]
        return Step(
            id=str(action.id),
            run=scripts.RUN,
            inputs={
                scripts.CODE: Binding(value=scripts.script(program, given)),
                scripts.INPUT: self._binding(action, Place(None, ())),
                **{str(each): self._binding(action, Place(each, ())) for each in given},
            },
            **place,
        )

    def _call(self, action: Action, place: Mapping[str, Any]) -> Iterator[Step]:
        inputs: dict[str, Binding] = {}
        made = f"{action.id}-parameters"
        parts: dict[str, str] = {}
        needed: dict[str, Binding] = {}
        for name, value in action.parameters.items():
            whole = place_of(value) if isinstance(value, str) else None
            if whole is not None:
                inputs[name] = self._binding(action, whole)
            elif _refers(value):
                parts[name] = self._expression(action, value, needed)
                inputs[name] = Binding(ref=str(Reference.to("steps", made, name)), optional=True)
            else:
                inputs[name] = Binding(value=value)
        if parts:
            members = ", ".join(f"{_text(name)}: {text}" for name, text in parts.items())
            yield Step(id=made, value=f"{{{members}}}", inputs=needed, **place)
        yield Step(id=str(action.id), run=f"{self._participant}.{action.name}", inputs=inputs, **place)

    def _binding(self, action: Action, place: Place) -> Binding:
        if place.action is None:
            return Binding(ref=str(Reference.to("input", None, *place.keys)), optional=bool(place.keys))
        if not self._bit.get(place.action, 0) & self._before[action.id]:
            return Binding()
        return Binding(ref=str(Reference.to("steps", str(place.action), *place.keys)), optional=bool(place.keys))

    def _expression(self, action: Action, value: Any, needed: dict[str, Binding]) -> str:
        """Write the expression that makes a parameter; what it reads is added to the inputs that are needed."""

        def given(binding: Binding) -> str:
            name = f"v{len(needed)}"
            needed[name] = binding
            return f"inputs.{name}"

        if not _refers(value):
            return given(Binding(value=value))
        if isinstance(value, dict):
            return f"{{{', '.join(f'{_text(key)}: {self._expression(action, each, needed)}' for key, each in value.items())}}}"
        if isinstance(value, list | tuple):
            return f"[{', '.join(self._expression(action, each, needed) for each in value)}]"
        if (whole := place_of(value)) is not None:
            return given(self._binding(action, whole))
        texts = []
        for part in parts_of(value):
            if isinstance(part, str):
                texts.append(_text(part))
            else:
                read = given(self._binding(action, part))
                texts.append(f'({read} == null ? "null" : string({read}))')
        return " + ".join(texts)


def _refers(value: Any) -> bool:
    """Return whether there is a reference anywhere in a value."""
    if isinstance(value, str):
        return any(isinstance(part, Place) for part in parts_of(value))
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(_refers(each) for each in members)


def _text(text: str) -> str:
    """Write a text as CEL does."""
    return json.dumps(text, ensure_ascii=False)
