"""What the steps in maps and repeats see of a saga's data: their item, its place, their siblings' outputs; and what a map gives.

A reference in a body means the nearest step of that name: first the siblings in the same item, then those of the map around it,
at last the steps outside. The definition says which one that is. Only the place in front of its name differs from item to
item.

The list of a map is never copied: an item is read where the list is, and the list cannot change once the map has grown.
A join's output is not kept either. It is made of its items' outputs where somebody reads it, and only of one item where a
reference names one. In the same way a repeat gives what its last turn has given, unless an operator has declared its output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from goconductor.errors import PayloadError
from goconductor.saga.data.moments import moment_of
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Binding, Definition, Step, Undo
from goconductor.saga.graph import chain
from goconductor.saga.growth import Body, ByStep, Items, Name, bodies, split, template


class Source(NamedTuple):
    """Where a value comes from, as a step in a map names it.

    Attributes:
        value: a constant.
        reference: a place; None of a constant.
        depth: in how many maps the step is that the place belongs to.
        steps: the ids of that step and of its fallbacks.
        optional: whether it is null where there is no such place.
    """

    value: Any = None
    reference: Reference | None = None
    depth: int = 0
    steps: tuple[str, ...] = ()
    optional: bool = False


class Data:
    """Reads the data of sagas of one definition that has maps or repeats."""

    def __init__(self, definition: Definition) -> None:
        self.bodies: dict[str, Body] = bodies(definition)
        """What is done for each item, or in each turn, by the templates of maps and repeats."""
        self._top = {step.id: step for step in definition.steps}
        self._around = {f"{map}.{name}": (map, name) for map, body in self.bodies.items() for name in body.steps}
        inside = {template: self.bodies[map].steps[name] for template, (map, name) in self._around.items()}
        growing = {name: step for name, step in (self._top | inside).items() if name in self.bodies}
        self._over = {
            name: self.source(name, Binding(ref=step.map.over)) for name, step in growing.items() if step.map is not None
        }
        self.repeats = {name: step.repeat for name, step in growing.items() if step.repeat is not None}
        """The repeats, by their templates."""
        self._heads = {name: _heads(body) for name, body in self.bodies.items()}
        self._bindings = ByStep(self._of_inputs(self._top), self._of_inputs(inside))
        self._undo_bindings = ByStep(self._of_undos(self._top), self._of_undos(inside))
        self._moments = ByStep(self._of_delays(self._top), self._of_delays(inside))
        self._returned = None if definition.output is None else self.source("", definition.output)

    def _of_inputs(self, steps: Mapping[str, Step]) -> dict[str, dict[str, Source]]:
        return {name: {key: self.source(name, each) for key, each in step.inputs.items()} for name, step in steps.items()}

    def _of_undos(self, steps: Mapping[str, Step]) -> dict[str, dict[str, Source]]:
        return {
            name: {key: self.source(name, each) for key, each in step.undo.inputs.items()}
            for name, step in steps.items()
            if isinstance(step.undo, Undo)
        }

    def _of_delays(self, steps: Mapping[str, Step]) -> dict[str, tuple[str, Source]]:
        return {
            name: (step.delay.until, self.source(name, Binding(ref=step.delay.until)))
            for name, step in steps.items()
            if step.delay is not None and step.delay.until is not None
        }

    def around(self, template: str) -> Mapping[str, Step]:
        """Return the steps that a step is among, by their ids: those of the same body, or those outside of all maps."""
        found = self._around.get(template)
        return self._top if found is None else self.bodies[found[0]].steps

    def above(self, template: str) -> tuple[str, ...]:
        """Return the maps and repeats that a step is in, by their templates, from the outside in."""
        found = self._around.get(template)
        return () if found is None else (*self.above(found[0]), found[0])

    def source(self, reader: str, binding: Binding) -> Source:
        """Return where a value comes from.

        Args:
            reader: the template of the step that asks.
            binding: what it asks for.
        """
        if binding.ref is None:
            return Source(binding.value)
        reference = Reference.parse(binding.ref)
        if reference.step is None:
            return Source(reference=reference, optional=binding.optional)
        seen, (above, own) = reader, self._around.get(reader, ("", reader))
        while above and reference.step not in self.around(seen):
            seen, (above, own) = above, self._around.get(above, ("", above))
        # an undo is about its own step, whatever stands in for that elsewhere
        steps = (own,) if reference.step == own else chain(self.around(seen), reference.step, own)
        return Source(None, reference, len(self.above(seen)), steps, binding.optional)

    def inputs(self, step: str, input: Any, outputs: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a step's parameters: those that an operator has given, else what the definition refers to.

        Raises:
            PayloadError: as :meth:`value`.
        """
        return {
            name: given[name] if name in given else self.value(source, step, input, outputs)
            for name, source in self._bindings[step].items()
        }

    def undo_inputs(self, step: str, input: Any, outputs: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the parameters of a declared undo, as :meth:`inputs`."""
        return {
            name: given[name] if name in given else self.value(source, step, input, outputs)
            for name, source in self._undo_bindings[step].items()
        }

    def moment(self, step: str, input: Any, outputs: Mapping[str, Any]) -> float | None:
        """Return the time until which a delay lasts, in seconds since 1970; None where it is not one that data names.

        Raises:
            PayloadError: there is no time at the place that it refers to.
        """
        if (moment := self._moments.get(step)) is None:
            return None
        path, source = moment
        return moment_of(self.value(source, step, input, outputs), path=path)

    def output(self, input: Any, outputs: Mapping[str, Any]) -> Any:
        """Return what the completed saga answers: as its definition says, else the outputs of the steps outside of maps.

        Raises:
            PayloadError: as :meth:`value`.
        """
        if self._returned is not None:
            return self.value(self._returned, "", input, outputs)
        places = {step: self.source("", Binding(ref=str(Reference.to("steps", step)))) for step in self._top if step in outputs}
        return {step: self.value(place, "", input, outputs) for step, place in places.items()}

    def value(self, source: Source, reader: str, input: Any, outputs: Mapping[str, Any]) -> Any:
        """Return a value.

        Args:
            source: where it comes from.
            reader: the name of the step that asks.
            input: the saga's.
            outputs: by the names of the steps; :class:`Items` of a map that has grown.

        Raises:
            PayloadError: the reference leads nowhere in this saga's data.
        """
        try:
            return self._value(source, reader, input, outputs)
        except PayloadError:
            if source.optional:
                return None
            raise

    def _value(self, source: Source, reader: str, input: Any, outputs: Mapping[str, Any]) -> Any:
        reference = source.reference
        if reference is None:
            return source.value
        if reference.root == "input":
            return reference.resolve(input, {})
        if reference.root == "steps":
            return self._output(source, reference, reader, outputs)
        name = split(reader)
        if name is not None and reference.root == "index":
            return reference.resolve(name.place, {})
        of_repeat = reference.root == "previous"
        if name is None or (name := self._nearest(name, of_repeat=of_repeat)) is None:
            around = "repeat" if of_repeat else "map"
            raise PayloadError(str(reference), f"is not there: it is no step of a {around} that reads it")
        return reference.resolve(self._previous(name, outputs) if of_repeat else self._item(name, input, outputs), {})

    def length(self, map: str, given: Mapping[str, Any], input: Any, outputs: Mapping[str, Any]) -> int:
        """Return how many items a map has, whose turn has come.

        Args:
            map: its name.
            given: the inputs that an operator gave it: ``over``.
            input: the saga's.
            outputs: as for :meth:`value`.

        Raises:
            PayloadError: there is no list.
        """
        return len(self.items(map, given, input, outputs))

    def items(self, map: str, given: Mapping[str, Any], input: Any, outputs: Mapping[str, Any]) -> Sequence[Any]:
        """Return the list of a map whose turn has come; arguments and errors as of :meth:`length`."""
        source = self._over[template(map)]
        over = given["over"] if "over" in given else self.value(source, map, input, outputs)
        if not isinstance(over, list | tuple):
            found = "null" if over is None else f"of type {type(over).__name__}"
            raise PayloadError(str(source.reference), f"is {found}, not a list; a map is over a list")
        return over

    def join(self, map: str, items: Items, outputs: Mapping[str, Any]) -> list[Any]:
        """Return the output of a map: those of its items, in the order of the list."""
        return [self._of_item(map, index, outputs) for index in range(items.length)]

    def here(self, name: Name, input: Any, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a step sees of where it is: ``index`` and, of the nearest map and repeat, ``item`` and ``previous``.

        Args:
            name: the step's.
            input: the saga's.
            outputs: as for :meth:`value`.
        """
        found: dict[str, Any] = {"index": name.place}
        if (item := self._nearest(name, of_repeat=False)) is not None:
            found["item"] = self._item(item, input, outputs)
        if (turn := self._nearest(name, of_repeat=True)) is not None:
            found["previous"] = self._previous(turn, outputs)
        return found

    def _nearest(self, name: Name, *, of_repeat: bool) -> Name | None:
        """Return a step, or the nearest one around it, that is in a map, or in a repeat; None where there is none."""
        if not self.repeats:
            return None if of_repeat else name
        found: Name | None = name
        while found is not None and (template(found.map) in self.repeats) is not of_repeat:
            found = split(found.map)
        return found

    def _previous(self, name: Name, outputs: Mapping[str, Any]) -> Any:
        return self._of_item(name.map, name.place - 1, outputs) if name.place else None

    def given(self, name: str, value: Any, outputs: Mapping[str, Any]) -> Any:
        """Return what a step has given: a map the outputs of its items, in the order of the list, a repeat its last turn's.

        Args:
            name: the step's.
            value: what ``outputs`` have of it.
            outputs: as for :meth:`value`.
        """
        if not isinstance(value, Items):
            return value
        if template(name) in self.repeats:
            return self._of_item(name, value.length - 1, outputs)
        return self.join(name, value, outputs)

    def _item(self, name: Name, input: Any, outputs: Mapping[str, Any]) -> Any:
        items = outputs.get(name.map)
        if isinstance(items, Items) and items.given is not None:
            return items.given[name.place]
        source = self._over[template(name.map)]
        reference = source.reference
        assert reference is not None  # noqa: S101  (a map is over a reference)
        at = Reference.to(reference.root, reference.step, *reference.keys, name.place)
        return self.value(source._replace(reference=at), name.map, input, outputs)

    def _output(self, source: Source, reference: Reference, reader: str, outputs: Mapping[str, Any]) -> Any:
        scope = "".join(f"{part}]." for part in reader.split("].")[: source.depth])
        names = [scope + step for step in source.steps]
        name = next((each for each in names if outputs.get(each) is not None), names[0])
        if name not in outputs:
            return Reference.to("steps", name, *reference.keys).resolve(None, {})
        value, keys = outputs[name], reference.keys
        if isinstance(value, Items) and template(name) not in self.repeats:
            index = keys[0] if keys else None
            if isinstance(index, int) and -value.length <= index < value.length:
                one = self._of_item(name, index % value.length, outputs)
                try:
                    return Reference.to("steps", name, *keys[1:]).resolve(None, {name: one})
                except PayloadError:
                    pass  # it is said with the whole path below
        value = self.given(name, value, outputs)
        return Reference.to("steps", name, *keys).resolve(None, {name: value})

    def _of_item(self, map: str, index: int, outputs: Mapping[str, Any]) -> Any:
        known = template(map)
        steps, heads, item = self.bodies[known].steps, self._heads[known], f"{map}[{index}]."
        if (items := outputs.get(map)) is not None and index in items.lost:
            return None
        found = {}
        for head in heads:
            given = (self.given(item + each, outputs.get(item + each), outputs) for each in chain(steps, head))
            found[head] = next((each for each in given if each is not None), None)
        return found[heads[0]] if len(heads) == 1 else found


def _heads(body: Body) -> tuple[str, ...]:
    """Return the steps whose outputs are an item's: those that none comes after. For a fallback it is what it stands in for."""
    first = {step.fallback: step.id for step in body.steps.values() if step.fallback is not None}
    heads = []
    for last in body.last:
        head = last
        while head in first:
            head = first[head]
        heads.append(head)
    return tuple(dict.fromkeys(heads))
