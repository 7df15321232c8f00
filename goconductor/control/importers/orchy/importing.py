"""Makes a definition of a document of Orchy's.

Such a document is a walk: it begins at one action, and each action says which one is next, a switch by a value. A definition is a
graph in which every step has its turn. So each action becomes a step with a condition: it runs where the walk came to it, that
is, where an action before it ran and chose it. All others are skipped, and their outputs are null. The step has the action's
number as its id, so whoever looks at the saga finds the action.

A switch becomes a value: ``{"value": …, "case": …}``, the text that was compared and the case that was taken. Where there is
neither a case nor a default, ``case`` is null, and the walk ends there. Where parameters have references within longer texts,
lists or objects, a value ``<id>-parameters`` before the step makes them.

A program in JavaScript becomes a step of the participant ``system`` (:mod:`goconductor.control.importers.orchy.scripts`).

A circle of actions becomes a repeat (:mod:`goconductor.control.importers.orchy.circles`). A turn ends where the walk comes back
to the entry, or leaves the circle, and the repeat goes on as long as it came back. The last step of a turn, ``<entry>-outputs``,
has what the actions gave that somebody asks for: the newest output of each, from this turn or from one before it.

A reference to an action that does not lie on the way to the one that refers is null: it cannot have run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from operator import or_
from typing import Any, NamedTuple

from goconductor.control.file_places import with_lines
from goconductor.control.importers.orchy import scripts
from goconductor.control.importers.orchy.circles import Circle, circles_of, faults_of, walked
from goconductor.control.importers.orchy.document import DEFAULT, NAMELESS, Action, Document, read
from goconductor.control.importers.orchy.references import Place, parts_of, place_of
from goconductor.errors import DefinitionError, PayloadError
from goconductor.saga.checking.validate import problems
from goconductor.saga.data.references import Reference
from goconductor.saga.data.values import decode
from goconductor.saga.definition import Binding, Definition, Delay, Repeat, Step, Wait
from goconductor.saga.expressions.condition_text import literal
from goconductor.system import checking as system

PARTICIPANT = "orchy"
"""The participant whose steps the workers' actions are, where the importer names no other."""
TURNS_MAX = 100
"""How often a circle of actions may go round, where the importer does not say; from 1 to 1,000."""


def load(data: bytes, *, participant: str = PARTICIPANT, turns_max: int = TURNS_MAX) -> Definition:
    """Make a definition of a file's content, as :func:`imported`.

    Raises:
        DefinitionError: it is no JSON, or as :func:`imported`.
    """
    try:
        content = decode(data)
    except PayloadError as error:
        raise DefinitionError(NAMELESS, [f"the document {error}"]) from None
    try:
        return imported(content, participant=participant, turns_max=turns_max)
    except DefinitionError as error:
        raise DefinitionError(error.name, with_lines(data, error.problems)) from None


def imported(content: Any, *, participant: str = PARTICIPANT, turns_max: int = TURNS_MAX) -> Definition:
    """Make a definition of a document.

    Args:
        content: the document, made of dicts, lists and plain values.
        participant: whose steps the actions of type ``user`` are: ``score`` becomes ``orchy.score``.
        turns_max: how often a circle of actions may go round.

    Raises:
        DefinitionError: it cannot be imported, or could not run; has all faults with their places.
    """
    document = read(content)
    places = {action.id: f"$.actions[{number}]" for number, action in enumerate(document.actions)}
    actions = walked(document.root_action, {action.id: action for action in document.actions})
    if faults := [str(fault) for fault in faults_of(document.root_action, actions, places)]:
        raise DefinitionError(document.name, faults)
    definition = Definition(name=document.name, steps=tuple(_Import(document, participant, turns_max).steps()))
    if found := problems(definition) + system.problems(definition):
        raise DefinitionError(document.name, found)
    return definition


class _Region:
    """Actions with no circle among them: those of one turn of a circle, or all of a document, where a circle is one node.

    Args:
        root: the node that begins.
        chosen: for each node those from which the walk comes to it, and by which actions and values.
        circle: whose turn it is; None of the document.
    """

    def __init__(self, root: int, chosen: dict[int, dict[int, list[_Edge]]], circle: Circle | None = None) -> None:
        self.circle = circle
        self.chosen = chosen
        self.order = [*TopologicalSorter(chosen).static_order()]
        self.always = {root}
        """The nodes to which every walk comes."""
        self._bit = {node: 1 << place for place, node in enumerate(self.order)}
        self._before: dict[int, int] = {}
        """For each node the bits of all that lie on the ways to it: sets of thousands would be slow."""
        for node in self.order:
            self._before[node] = functools.reduce(or_, (self._bit[one] | self._before[one] for one in chosen[node]), 0)
            if any(one in self.always and not edge.is_chosen for one, edges in chosen[node].items() for edge in edges):
                self.always.add(node)

    def leads(self, first: int, second: int) -> bool:
        """Return whether a node lies on a way to another one."""
        return bool(self._bit.get(first, 0) & self._before[second])


class _Edge(NamedTuple):
    """A way from one node to another: the action that leads there, and for which values, where it is a switch."""

    action: int
    values: list[str]
    is_chosen: bool


class _Import:
    def __init__(self, document: Document, participant: str, turns_max: int) -> None:
        self._participant = participant
        self._turns_max = turns_max
        root = document.root_action
        self._actions = walked(root, {action.id: action for action in document.actions})
        circles = circles_of(root, self._actions)
        self._circle = {number: circle for circle in circles for number in circle.members}
        self._kept: dict[Circle, set[int]] = {circle: set() for circle in circles}
        """For each circle the actions whose newest outputs its turns hand on."""
        nodes = [number for number in self._actions if number == self._node(number)]
        self._whole = _Region(self._node(root), self._edges(nodes, self._actions, self._node))
        self._turns = {circle: self._turn(circle) for circle in circles}

    def _node(self, number: int) -> int:
        """Return the node of an action in the document as a whole."""
        return self._circle[number].entry if number in self._circle else number

    def _turn(self, circle: Circle) -> _Region:
        members = sorted(circle.members)
        return _Region(circle.entry, self._edges(members, members, {number: number for number in members}.get), circle)

    def _edges(
        self, nodes: Iterable[int], numbers: Iterable[int], node_of: Callable[[int], int | None]
    ) -> dict[int, dict[int, list[_Edge]]]:
        chosen: dict[int, dict[int, list[_Edge]]] = {node: {} for node in nodes}
        for number in numbers:
            action = self._actions[number]
            following: dict[int, list[str]] = {}
            for value, follower in action.next.items():
                following.setdefault(follower, []).append(value)
            for follower, values in following.items():
                here, there = node_of(number), node_of(follower)
                goes_back = number in self._circle and follower == self._circle[number].entry
                if here is None or there is None or here == there or goes_back:
                    continue
                chosen[there].setdefault(here, []).append(_Edge(number, values, action.kind == "switch"))
        return chosen

    def steps(self) -> Iterator[Step]:
        turns = {circle: [*self._steps(region)] for circle, region in self._turns.items()}
        yield from self._steps(self._whole)
        for circle, steps in turns.items():
            yield self._repeat(circle, steps)

    def _steps(self, region: _Region) -> Iterator[Step]:
        for number in region.order:
            if region.circle is None and number in self._circle:
                continue  # is made when all that is asked of it is known
            yield from self._step(region, self._actions[number], self._placed(region, number))

    def _placed(self, region: _Region, node: int) -> dict[str, Any]:
        return {
            "after": tuple(self._named(region, before) for before in region.chosen[node]),
            "when": None if node in region.always else " || ".join(self._ways(region, node)),
        }

    def _named(self, region: _Region, node: int) -> str:
        return self._circle[node].step if region.circle is None and node in self._circle else str(node)

    def _step(self, region: _Region, action: Action, place: Mapping[str, Any]) -> Iterator[Step]:
        match action.kind:
            case "user":
                yield from self._call(region, action, place)
            case "wait":
                yield Step(id=str(action.id), wait=Wait(event=action.event), **place)
            case "javascript":
                yield self._script(region, action, place)
            case "delay" if action.delay_seconds:
                yield Step(id=str(action.id), delay=Delay(seconds=action.delay_seconds), **place)
            case "delay":
                yield Step(id=str(action.id), value="null", **place)
            case _:
                yield self._switch(region, action, place)

    def _repeat(self, circle: Circle, steps: list[Step]) -> Step:
        """Return a circle as a step. Its turns hand on what the actions have given that somebody asks for, the newest of each."""
        leaving = {each for each in circle.members if set(self._actions[each].next.values()) - circle.members}
        members = ", ".join(
            f"{name}: steps[{name}].skipped ? (previous == null ? dyn(null) : dyn(previous[{name}])) : dyn(steps[{name}].output)"
            for name in (literal(str(number)) for number in sorted(self._kept[circle] | leaving))
        )
        after = tuple(str(number) for number in sorted(circle.members))
        handed_on = Step(id=f"{circle.entry}-outputs", value=f"{{{members}}}", after=after)
        back = [
            _Edge(number, [value for value, follower in action.next.items() if follower == circle.entry], action.kind == "switch")
            for number in sorted(circle.members)
            if circle.entry in (action := self._actions[number]).next.values()
        ]
        again = " || ".join(_taken(edge) for edge in back)
        repeat = Repeat(do=(*steps, handed_on), until=f"!({again})", max=self._turns_max)
        return Step(id=circle.step, repeat=repeat, **self._placed(self._whole, circle.entry))

    def _ways(self, region: _Region, node: int) -> Iterator[str]:
        """Yield for each node before one the condition that the walk comes from there."""
        for before, edges in region.chosen[node].items():
            for edge in edges:
                if region.circle is None and before in self._circle:
                    name = literal(self._circle[before].step)
                    output = f"steps[{name}].output[{literal(str(edge.action))}]"
                    yield f"(!steps[{name}].skipped && {output} != null && {output}.case in {_list(edge.values)})"
                else:
                    yield _taken(edge, always=before in region.always)

    def _switch(self, region: _Region, action: Action, place: Mapping[str, Any]) -> Step:
        text = '(inputs.it == null ? "null" : type(inputs.it) in [list, map] ? "" : string(inputs.it))'
        otherwise = literal(DEFAULT) if DEFAULT in action.next else "null"
        return Step(
            id=str(action.id),
            value=f'{{"value": {text}, "case": {text} in inputs.cases ? dyn({text}) : dyn({otherwise})}}',
            inputs={
                "it": self._binding(region, action, place_of(action.expression or "") or Place(None, ())),
                "cases": Binding(value=[value for value in action.next if value != DEFAULT]),
            },
            **place,
        )

    def _script(self, region: _Region, action: Action, place: Mapping[str, Any]) -> Step:
        program = action.expression or ""
        given = [each for each in scripts.numbers_in(program) if self._binding(region, action, Place(each, ())).ref is not None]
        return Step(
            id=str(action.id),
            run=scripts.RUN,
            inputs={
                scripts.CODE: Binding(value=scripts.script(program, given)),
                scripts.INPUT: self._binding(region, action, Place(None, ())),
                **{str(each): self._binding(region, action, Place(each, ())) for each in given},
            },
            **place,
        )

    def _call(self, region: _Region, action: Action, place: Mapping[str, Any]) -> Iterator[Step]:
        inputs: dict[str, Binding] = {}
        made = f"{action.id}-parameters"
        parts: dict[str, str] = {}
        needed: dict[str, Binding] = {}
        for name, value in action.parameters.items():
            whole = place_of(value) if isinstance(value, str) else None
            if whole is not None:
                inputs[name] = self._binding(region, action, whole)
            elif _refers(value):
                parts[name] = self._expression(region, action, value, needed)
                inputs[name] = Binding(ref=str(Reference.to("steps", made, name)), optional=True)
            else:
                inputs[name] = Binding(value=value)
        if parts:
            members = ", ".join(f"{literal(name)}: {text}" for name, text in parts.items())
            yield Step(id=made, value=f"{{{members}}}", inputs=needed, **place)
        yield Step(id=str(action.id), run=f"{self._participant}.{action.name}", inputs=inputs, **place)

    def _binding(self, region: _Region, action: Action, place: Place) -> Binding:
        if place.action is None:
            return Binding(ref=str(Reference.to("input", None, *place.keys)), optional=bool(place.keys))
        circle, keys = self._circle.get(place.action), place.keys
        if place.action not in self._actions:
            return Binding()
        if circle is not None and circle is region.circle and not region.leads(place.action, action.id):
            self._kept[circle].add(place.action)
            return Binding(ref=str(Reference.to("previous", None, str(place.action), *keys)), optional=True)
        if circle is None or circle is not region.circle:
            if not self._whole.leads(self._node(place.action), self._node(action.id)):
                return Binding()
            if circle is not None:
                self._kept[circle].add(place.action)
                return Binding(ref=str(Reference.to("steps", circle.step, str(place.action), *keys)), optional=True)
        return Binding(ref=str(Reference.to("steps", str(place.action), *keys)), optional=bool(keys))

    def _expression(self, region: _Region, action: Action, value: Any, needed: dict[str, Binding]) -> str:
        """Write the expression that makes a parameter; what it reads is added to the inputs that are needed."""

        def given(binding: Binding) -> str:
            name = f"v{len(needed)}"
            needed[name] = binding
            return f"inputs.{name}"

        if not _refers(value):
            return given(Binding(value=value))
        if isinstance(value, dict):
            members = (f"{literal(key)}: {self._expression(region, action, each, needed)}" for key, each in value.items())
            return f"{{{', '.join(members)}}}"
        if isinstance(value, list | tuple):
            return f"[{', '.join(self._expression(region, action, each, needed) for each in value)}]"
        if (whole := place_of(value)) is not None:
            return given(self._binding(region, action, whole))
        texts = []
        for part in parts_of(value):
            if isinstance(part, str):
                texts.append(literal(part))
            else:
                read = given(self._binding(region, action, part))
                texts.append(f'({read} == null ? "null" : string({read}))')
        return " + ".join(texts)


def _refers(value: Any) -> bool:
    """Return whether there is a reference anywhere in a value."""
    if isinstance(value, str):
        return any(isinstance(part, Place) for part in parts_of(value))
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(_refers(each) for each in members)


def _taken(edge: _Edge, *, always: bool = False) -> str:
    """Write the condition that the walk went along an edge; of an action that always runs, where it is so."""
    name = literal(str(edge.action))
    ran = f"!steps[{name}].skipped"
    if not edge.is_chosen:
        return ran
    cases = f"steps[{name}].output.case in {_list(edge.values)}"
    return cases if always else f"({ran} && {cases})"


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(map(literal, values))}]"
