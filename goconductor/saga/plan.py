"""A definition compiled: its order, its neighbours, its roles, its conditions and references, each worked out once."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from typing import Any

from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Binding, Definition, Step, StepRole
from goconductor.saga.expressions.conditions import ABOUT_SIGNAL, Condition, compile_condition
from goconductor.saga.features import features_of
from goconductor.saga.ids import split_target
from goconductor.saga.retry import ACTION_RETRY, RETRIABLE_RETRY, Retry


class Plan:
    """What the lifecycle asks of a definition. Built only from a definition that :func:`validate.problems` found sound."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.name = definition.name
        self.version = definition.version
        self.features = features_of(definition)
        self.steps: dict[str, Step] = {step.id: step for step in definition.steps}
        self.predecessors: dict[str, tuple[str, ...]] = {step.id: predecessors(step) for step in definition.steps}
        self.order: tuple[str, ...] = tuple(TopologicalSorter(self.predecessors).static_order())
        self.position = {step: index for index, step in enumerate(self.order)}
        followers: dict[str, list[str]] = {step.id: [] for step in definition.steps}
        for step in self.order:
            for before in self.predecessors[step]:
                followers[before].append(step)
        self.successors = {step: tuple(after) for step, after in followers.items()}
        self.roots = tuple(step for step in self.order if not self.predecessors[step])
        self.pivot = next((step.id for step in definition.steps if step.pivot), None)
        after_pivot = reachable(self.successors, self.pivot) if self.pivot else frozenset()
        self.roles = {
            step: StepRole.PIVOT if step == self.pivot else StepRole.RETRIABLE if step in after_pivot else StepRole.COMPENSATABLE
            for step in self.order
        }
        self.owners = {step.id: split_target(step.run) for step in definition.steps if step.run}
        """Participant and code of each step that a participant runs; the others wait, and have nothing to undo."""
        self.conditions: dict[str, Condition] = {s.id: compile_condition(s.when) for s in definition.steps if s.when is not None}
        waits = {s.id: s.wait for s in definition.steps if s.wait is not None}
        self.wheres = {
            step: compile_condition(wait.where, ABOUT_SIGNAL) for step, wait in waits.items() if wait.where is not None
        }
        self.signals: dict[str, tuple[str, ...]] = {}
        """The steps that wait for a signal, by its name, in the order of the definition."""
        for step, wait in waits.items():
            name = step if wait.event is None else wait.event
            self.signals[name] = (*self.signals.get(name, ()), step)
        self.asks = bool(self.conditions or self.wheres)
        """Whether anything of it is answered by an expression."""
        self.moments = {s.id: Reference.parse(s.delay.until) for s in definition.steps if s.delay and s.delay.until is not None}
        self._bindings = {s.id: {name: _source(binding) for name, binding in s.inputs.items()} for s in definition.steps}
        self._output = _source(definition.output) if definition.output is not None else None

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
        return {
            name: given[name] if name in given else _value(source, input, outputs)
            for name, source in self._bindings[step].items()
        }

    def retry_of(self, step: str, own: Retry | None) -> Retry:
        """Return when the action of a step is tried again: as the definition says, else as its owner does, else by its role.

        Args:
            step: its id.
            own: what the owner's code says; None where it leaves that open.
        """
        by_role = RETRIABLE_RETRY if self.roles[step] is StepRole.RETRIABLE else ACTION_RETRY
        return self.steps[step].retry or own or by_role

    def output(self, input: Any, outputs: Mapping[str, Any]) -> Any:
        """Return what the completed saga answers.

        Raises:
            PayloadError: the output's reference leads nowhere in this saga's data.
        """
        if self._output is not None:
            return _value(self._output, input, outputs)
        return {step: outputs[step] for step in outputs}  # dict() would go by views of keys, which are made in Python


def predecessors(step: Step) -> tuple[str, ...]:
    """Return the steps before this one: those it names and those whose output it uses, in a stable order.

    A version does not depend on the order of the inputs in its document, so that order must not show here. It decides which of
    several steps begins first, and a step that cannot begin may hinder the next.
    """
    named = dict.fromkeys(step.after)
    refs = [binding.ref for _, binding in sorted(step.inputs.items())]
    if step.delay is not None:
        refs.append(step.delay.until)
    for ref in refs:
        if ref is not None and (owner := Reference.parse(ref).step) is not None:
            named[owner] = None
    return tuple(named)


def reachable(edges: Mapping[str, Iterable[str]], start: str) -> frozenset[str]:
    """Return all that can be reached from ``start`` along ``edges``, itself left out unless it lies on a cycle."""
    seen: set[str] = set()
    open_ends = [start]
    while open_ends:
        for step in edges.get(open_ends.pop(), ()):
            if step not in seen:
                seen.add(step)
                open_ends.append(step)
    return frozenset(seen)


def _source(binding: Binding) -> Reference | Binding:
    return binding if binding.ref is None else Reference.parse(binding.ref)


def _value(source: Reference | Binding, input: Any, outputs: Mapping[str, Any]) -> Any:
    return source.value if isinstance(source, Binding) else source.resolve(input, outputs)


@functools.lru_cache(maxsize=1024)
def _compiled(document: bytes) -> Plan:
    import msgspec  # noqa: PLC0415  (only to read our own document back)

    return Plan(msgspec.json.decode(document, type=Definition))


def plan(definition: Definition) -> Plan:
    """Return the compiled form of a definition, made once per version."""
    return _compiled(definition.document())
