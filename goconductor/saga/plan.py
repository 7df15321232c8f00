"""A definition compiled: its order, its neighbours, its roles, its conditions and references, each worked out once."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from graphlib import TopologicalSorter
from typing import Any

from goconductor.saga.data.moments import moment_of
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Binding, Child, Definition, Map, Step, StepRole, Undo, Wait, every_step, named
from goconductor.saga.expressions.conditions import IN_MAP, IN_REPEAT, Condition, compile_condition
from goconductor.saga.expressions.value import Value
from goconductor.saga.features import features_of
from goconductor.saga.graph import chain, predecessors, reachable, with_fallbacks
from goconductor.saga.growth import AmongSteps, ByStep, inside_of, split, templates
from goconductor.saga.ids import Direction
from goconductor.saga.items import Data
from goconductor.saga.planning import locks
from goconductor.saga.planning.facts import StepFacts
from goconductor.saga.planning.sources import NOWHERE, Source, value_at
from goconductor.saga.retry import ACTION_RETRY, COMPENSATION_RETRY, RETRIABLE_RETRY, Retry


class Plan:
    """What the lifecycle asks of a definition. Built only from a definition that :func:`validate.problems` found sound."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.name, self.version = definition.name, definition.version
        self.features = features_of(definition)
        self.steps: Mapping[str, Step] = {step.id: step for step in definition.steps}
        self.stands_for: Mapping[str, str] = {step.fallback: step.id for step in definition.steps if step.fallback is not None}
        self.predecessors: Mapping[str, tuple[str, ...]] = with_fallbacks(
            self.steps, {step.id: predecessors(step) for step in definition.steps}
        )
        self.order: tuple[str, ...] = tuple(TopologicalSorter(self.predecessors).static_order())
        self.position = {step: index for index, step in enumerate(self.order)}
        followers: dict[str, list[str]] = {step.id: [] for step in definition.steps}
        for step in self.order:
            for before in self.predecessors[step]:
                followers[before].append(step)
        self.successors: Mapping[str, tuple[str, ...]] = {step: tuple(after) for step, after in followers.items()}
        self.roots = tuple(step for step in self.order if not self.predecessors[step])
        self.pivot = next((step.id for step in definition.steps if step.pivot), None)
        after_pivot = reachable(self.successors, self.pivot) if self.pivot else frozenset()
        self.roles: Mapping[str, StepRole] = {
            step: StepRole.PIVOT if step == self.pivot else StepRole.RETRIABLE if step in after_pivot else StepRole.COMPENSATABLE
            for step in self.order
        }
        self._note_facts(StepFacts(self.steps))
        self._note_locks(definition)
        self._moments = {
            s.id: (s.delay.until, self._source(Binding(ref=s.delay.until), s.id))
            for s in definition.steps
            if s.delay is not None and s.delay.until is not None
        }
        self._bindings = {
            s.id: {name: self._source(binding, s.id) for name, binding in s.inputs.items()} for s in definition.steps
        }
        self._undo_bindings = {
            step: {name: self._source(binding, step, of_undo=True) for name, binding in undo.inputs.items()}
            for step, undo in self.undoes.items()
        }
        self._output = self._source(definition.output) if definition.output is not None else None
        self._note_items([])
        self.untils: Mapping[str, Condition] = {}
        """The condition that ends each repeat."""
        self.data = Data(definition) if any(step.body for step in definition.steps) else None
        """Reads the data of steps in maps and repeats; None where there are none, so that a saga cannot grow."""
        if self.data is not None:
            self._grow(self.data)

    def _note_facts(self, facts: StepFacts) -> None:
        """Keep what follows from the steps alone; :class:`StepFacts` says what each of it is."""
        self.tolerated: AbstractSet[str] = facts.tolerated
        self.code: Mapping[Direction, Mapping[str, str]] = facts.code
        self.owners_of: Mapping[Direction, Mapping[str, tuple[str, str]]] = facts.owners_of
        self.owners: Mapping[str, tuple[str, str]] = self.owners_of[Direction.ACTION]
        """Participant and code of each step that a participant runs; the others have nothing to undo."""
        self.undoes: Mapping[str, Undo] = facts.undoes
        self.undo_waits: Mapping[str, Wait] = facts.undo_waits
        self.children: Mapping[str, Child] = {step: named(child, self.name, step) for step, child in facts.children.items()}
        self.undo_sagas: Mapping[str, Child] = facts.undo_sagas
        self.starts_sagas = bool(self.children or self.undo_sagas)
        self.holds: AbstractSet[str] = facts.holds
        self.sent: AbstractSet[str] = facts.sent
        self.undoable: AbstractSet[str] = facts.undoable
        self.savepoints = facts.savepoints
        self.approvals: AbstractSet[str] = facts.approvals
        self.conditions: Mapping[str, Condition] = facts.conditions
        self.wheres: Mapping[str, Condition] = facts.wheres
        self.values: Mapping[str, Value] = facts.values
        self.asks = facts.asks
        """Whether anything of it is answered by an expression."""
        self.signals: dict[str, tuple[str, ...]] = {}
        """The steps that wait for a signal, by its name, in the order of the definition."""
        self._note_signals(facts)
        in_turn = [step for waiters in self.signals.values() for step in waiters]
        self._wait_order = {step: place for place, step in enumerate(in_turn)}

    def _note_signals(self, facts: StepFacts) -> None:
        for step, wait in facts.waits.items():
            name = step if wait.event is None else wait.event
            self.signals[name] = (*self.signals.get(name, ()), step)

    def _note_locks(self, definition: Definition) -> None:
        self.locks = locks.asked(definition)
        """The locks that each step asks for, those of the saga included; empty where there are none."""
        self.inputs_locked = {step: locks.inputs_locked(self.steps[step], asked) for step, asked in self.locks.items()}
        """The inputs that these are made of, which nobody may edit."""

    def _note_items(self, maps: Sequence[Map], *, tolerated: bool = False) -> None:
        self.loses = tolerated or any(map.join != "all" for map in maps)
        """Whether items of a map may go back while the saga goes forward."""
        self.bounded = any(map.concurrency is not None for map in maps)
        """Whether a map has slots for its items."""
        self.ends_items = self.loses or self.bounded
        """Whether the end of an item is more than that its steps are done."""

    def _grow(self, data: Data) -> None:
        """Answer for the steps in maps and repeats as well, by their names (:mod:`goconductor.saga.growth`)."""
        placed = {f"{map}.{name}": (map, step) for map, body in data.bodies.items() for name, step in body.steps.items()}
        steps = {template: step for template, (_, step) in placed.items()}
        of_body = {template: data.bodies[map] for template, (map, _) in placed.items()}
        self.steps = ByStep(self.steps, steps)
        stands_for = {f"{map}.{step.fallback}": step.id for map, step in placed.values() if step.fallback is not None}
        self.stands_for = ByStep(self.stands_for, stands_for, lambda first, name: name.item + first)
        self.predecessors = ByStep(
            self.predecessors,
            {template: body.before[steps[template].id] for template, body in of_body.items()},
            lambda before, name: inside_of(name, before),
        )
        self.successors = ByStep(
            self.successors,
            {template: body.after[steps[template].id] for template, body in of_body.items()},
            lambda after, name: inside_of(name, after) if after else (name.map,),
        )
        self.roles = ByStep(self.roles, {template: self.roles[data.above(template)[0]] for template in steps})
        self._grow_facts(StepFacts(steps, lambda template: _seen_in(data, template)))
        untils = {t: compile_condition(each.until, _seen_in(data, t, among=True)) for t, each in data.repeats.items()}
        self.untils = ByStep({name: untils[name] for name in untils.keys() & self.steps.keys()}, untils)
        self.asks = self.asks or bool(data.repeats)
        self._wait_order = {template: place for place, template in enumerate(templates(self.definition.steps))}
        maps = [step for step in every_step(self.definition.steps) if step.map is not None]
        self._note_items([step.map for step in maps if step.map is not None], tolerated=any(step.tolerated for step in maps))

    def _grow_facts(self, inside: StepFacts) -> None:
        """Answer with the facts of the steps in maps and repeats as well."""
        self.tolerated = AmongSteps(self.tolerated | inside.tolerated)
        self.code = {side: ByStep(known, inside.code[side]) for side, known in self.code.items()}
        self.owners_of = {side: ByStep(known, inside.owners_of[side]) for side, known in self.owners_of.items()}
        self.owners = self.owners_of[Direction.ACTION]
        self.undoes = ByStep(self.undoes, inside.undoes)
        self.undo_waits = ByStep(self.undo_waits, inside.undo_waits) if inside.undo_waits else self.undo_waits
        children = {template: named(child, self.name, template) for template, child in inside.children.items()}
        self.children = ByStep(self.children, children)
        self.undo_sagas = ByStep(self.undo_sagas, inside.undo_sagas) if inside.undo_sagas else self.undo_sagas
        self.starts_sagas = self.starts_sagas or bool(inside.children or inside.undo_sagas)
        self.holds = AmongSteps(self.holds | inside.holds)
        self.sent = AmongSteps(self.sent | inside.sent)
        self.undoable = AmongSteps(self.undoable | inside.undoable)
        self.approvals = AmongSteps(self.approvals | inside.approvals)
        self.conditions = ByStep(self.conditions, inside.conditions)
        self.wheres = ByStep(self.wheres, inside.wheres)
        self.values = ByStep(self.values, inside.values)
        self.asks = self.asks or inside.asks
        self._note_signals(inside)

    def order_of_wait(self, step: str) -> tuple[int, ...]:
        """Return where a step stands among those that begin to wait by one event: by its place in the definition, then in lists.

        Args:
            step: the id of one that waits for a signal.
        """
        name, places = split(step), list[int]()
        place = self._wait_order[step if name is None else name.template]
        while name is not None:
            places.append(name.place)
            name = split(name.map)
        return (place, *reversed(places))

    def inputs(
        self, step: str, input: Any, outputs: Mapping[str, Any], edited: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the values of a step's parameters.

        Args:
            step: its id.
            input: the saga's.
            outputs: by step id.
            edited: values that stand in for what the definition refers to; such a reference may lead nowhere.

        Raises:
            PayloadError: a reference leads nowhere in this saga's data.
        """
        given = edited or {}
        if self.data is not None:
            return self.data.inputs(step, input, outputs, given)
        return {
            name: given[name] if name in given else value_at(source, input, outputs)
            for name, source in self._bindings[step].items()
        }

    def undo_inputs(
        self, step: str, input: Any, outputs: Mapping[str, Any], edited: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the values of the parameters of a declared undo; arguments and errors as of :meth:`inputs`.

        Args:
            step: the step that is undone.
            input: the saga's.
            outputs: by step id; the step's own is None where nobody knows it.
            edited: values that an operator gave to the undo.
        """
        given = edited or {}
        if self.data is not None:
            return self.data.undo_inputs(step, input, outputs, given)
        return {
            name: given[name] if name in given else value_at(source, input, outputs)
            for name, source in self._undo_bindings[step].items()
        }

    def wishes(
        self, step: str, input: Any, outputs: Mapping[str, Any], edited: Mapping[str, Any] | None = None
    ) -> dict[str, bool]:
        """Return the keys that a step must hold, each with whether it may be shared; arguments as of :meth:`inputs`.

        Raises:
            PayloadError: a key cannot be made of this saga's data.
        """

        def read(place: Reference) -> Any:
            binding = Binding(ref=str(place))
            if self.data is not None:
                return self.data.value(self.data.source(step, binding), step, input, outputs)
            return value_at(self._source(binding, step), input, outputs)

        def items() -> Iterator[Any]:
            assert self.data is not None  # noqa: S101  (only keys of maps refer to items)
            yield from self.data.items(step, edited or {}, input, outputs)

        return locks.keys(self.locks[step], read, items)

    def moment(self, step: str, input: Any, outputs: Mapping[str, Any]) -> float | None:
        """Return the time until which a delay lasts, in seconds since 1970; None where it is not one that data names.

        Args:
            step: its id.
            input: the saga's.
            outputs: by step id.

        Raises:
            PayloadError: there is no time at the place that it refers to.
        """
        if self.data is not None:
            return self.data.moment(step, input, outputs)
        if (moment := self._moments.get(step)) is None:
            return None
        path, source = moment
        return moment_of(value_at(source, input, outputs), path=path)

    def retry_of(self, step: str, own: Retry | None) -> Retry:
        """Return when the action of a step is tried again: as the definition says, else as its owner does, else by its role.

        Args:
            step: its id.
            own: what the owner's code says; None where it leaves that open.
        """
        by_role = RETRIABLE_RETRY if self.roles[step] is StepRole.RETRIABLE else ACTION_RETRY
        return self.steps[step].retry or own or by_role

    def ends_at(self, step: str, at: float) -> float | None:
        """Return when the time of all attempts of an action is over; None where it has no end.

        Args:
            step: its id.
            at: when its first attempt is sent, in seconds since 1970.
        """
        total = self.steps[step].total_timeout_seconds
        return None if total is None else at + total

    def compensation_retry_of(self, step: str, own: Retry | None) -> Retry:
        """Return when the compensation of a step is tried again; parameters as of :meth:`retry_of`."""
        return self.steps[step].compensation_retry or own or COMPENSATION_RETRY

    def output(self, input: Any, outputs: Mapping[str, Any]) -> Any:
        """Return what the completed saga answers.

        Raises:
            PayloadError: the output's reference leads nowhere in this saga's data.
        """
        if self.data is not None:
            return self.data.output(input, outputs)
        if self._output is not None:
            return value_at(self._output, input, outputs)
        answer = {step: outputs[step] for step in outputs}  # dict() would go by views of keys, which are made in Python
        for step in self.tolerated:
            answer[step] = next((outputs[one] for one in self.chain(step) if outputs[one] is not None), None)
        return answer

    def chain(self, step: str, reader: str | None = None) -> tuple[str, ...]:
        """Return a step and the fallbacks that stand in for it, one for the other; at most one of them has an output.

        Args:
            step: its id.
            reader: the step that asks. A fallback sees what it stands in for, and not itself.
        """
        if (name := split(step)) is not None and self.data is not None:
            return inside_of(name, chain(self.data.around(name.template), name.step, reader))
        return chain(self.steps, step, reader)

    def _source(self, binding: Binding, reader: str | None = None, *, of_undo: bool = False) -> Source:
        if binding.ref is None:
            return binding
        reference = Reference.parse(binding.ref)
        otherwise = (NOWHERE,) if binding.optional else ()
        step = reference.step
        if step is None or step not in self.tolerated or (of_undo and step == reader):
            # an undo is about its own step, whatever stands in for that elsewhere
            return (reference, *otherwise) if otherwise else reference
        found = (Reference.to(reference.root, each, *reference.keys) for each in self.chain(step, reader))
        return (*found, *otherwise)


def _seen_in(data: Data, template: str, *, among: bool = False) -> frozenset[str]:
    """Return what a condition of a step in maps and repeats may ask about; with ``among`` one among the steps in it."""
    around = (*data.above(template), *((template,) if among else ()))
    return frozenset().union(*(IN_REPEAT if each in data.repeats else IN_MAP for each in around))


@functools.lru_cache(maxsize=1024)
def _compiled(document: bytes) -> Plan:
    import msgspec  # noqa: PLC0415  (only to read our own document back)

    return Plan(msgspec.json.decode(document, type=Definition))


def plan(definition: Definition) -> Plan:
    """Return the compiled form of a definition, made once per version."""
    return _compiled(definition.document())
