"""Groups and switches: constructs that are written, and compiled to steps with ``after`` and ``when``. The core learns nothing.

A *group* is a step that holds a sequence of steps. Each comes after the one before it. A step after the group comes after its
last step, and a reference to the group means that step's output. A *switch* holds cases, each a sequence with a condition,
the last perhaps without one. It becomes a value: the name of the first case whose condition holds. The steps of a case run where
that is its name. A step after the switch comes after the case that ran. A group with a condition is compiled in the same way;
its value is called ``<group>.when``.

Steps inside get longer ids: ``group.step``, ``switch.case.step``. A name is looked up from the inside out, first among the steps
beside it, and a full id is found everywhere (:mod:`goconductor.saga.writing.groups.names`). The body of a map or a repeat is
compiled by itself, with names of its own. A definition without groups and switches is its own compiled form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import asdict, replace

from goconductor.errors import ConditionError, DefinitionError, PayloadError
from goconductor.saga.checking import expressions
from goconductor.saga.checking.fault import Fault, within
from goconductor.saga.data.keys import KeyTemplate
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Binding, Child, Definition, Map, Repeat, Step, Undo, in_saga_of
from goconductor.saga.expressions.condition_text import ROOTS, literal, renamed
from goconductor.saga.expressions.conditions import IN_MAP, IN_REPEAT, compile_condition
from goconductor.saga.ids import is_name
from goconductor.saga.writing.groups.forms import (
    Case,
    WrittenChild,
    WrittenDefinition,
    WrittenStep,
    below,
    in_form,
    of_steps,
    texts,
)
from goconductor.saga.writing.groups.names import Names

CASES_MAX = 20
"""Greatest number of cases of a switch."""
_OF_A_FRAME = frozenset({"id", "after", "when", "steps", "switch"})


def compiled(written: WrittenDefinition, *, full_names: bool = False) -> tuple[Definition, list[str]]:
    """Compile a definition, and find what is wrong with its groups and switches; the steps are checked as those of any other.

    Args:
        written: the definition.
        full_names: whether references, ``after`` and ``fallback`` give full names, so that nothing is looked up. Conditions are
            texts of people, in which names are looked up all the same.

    Raises:
        DefinitionError: its expressions are too many to be looked at.
    """
    if problem := expressions.too_many(texts(written.steps)):
        raise DefinitionError(written.name, [problem])
    compiler = _Compiler(Names(written.steps, full_names=full_names))
    steps = tuple(compiler.sequence(written.steps, "", in_order=False))
    output = None if written.output is None else compiler.binding(written.output, "")
    return in_form(Definition, written, steps=steps, output=output), compiler.problems


class _Compiler:
    """Compiles the steps of a saga, or those of the body of one map or repeat.

    Args:
        names: of these steps.
        roots: the names of the data that their conditions may ask about.
    """

    def __init__(self, names: Names, roots: frozenset[str] = ROOTS) -> None:
        self._names, self._roots = names, roots
        self.problems = [f"{name!r} is written twice; give each step an id of its own." for name in names.twice]

    def sequence(
        self, steps: Sequence[WrittenStep], path: str, *, first: Iterable[str] = (), guard: str = "", in_order: bool = True
    ) -> Iterator[Step]:
        """Yield the steps of a sequence.

        Args:
            steps: as they are written.
            path: the name of what holds them; empty for the saga itself.
            first: what the first of them comes after.
            guard: the condition under which all of them run; empty if they always do.
            in_order: whether each comes after the one before it.
        """
        before = [*first]
        for step in steps:
            yield from self._one(step, path, before, guard)
            if in_order:
                before = [*self._names.ends[below(path, step.id)]]

    def _one(self, step: WrittenStep, path: str, before: Sequence[str], guard: str) -> Iterator[Step]:
        name = below(path, step.id)
        after = tuple(dict.fromkeys([*before, *(end for each in step.after for end in self._names.ends_of(each, path))]))
        when = self._both(guard, step, path)
        if step.switch is None and step.steps is None:
            wait = step.wait
            if wait is not None and wait.where is not None:
                wait = replace(wait, where=self.expression(wait.where, path))
            delay = step.delay
            if delay is not None and delay.until is not None:
                delay = replace(delay, until=self.binding(Binding(ref=delay.until), path).ref)
            undo = step.undo
            if isinstance(undo, Undo):
                undo = replace(undo, inputs={parameter: self.binding(each, path) for parameter, each in undo.inputs.items()})
            yield in_form(
                Step,
                step,
                id=name,
                after=after,
                when=when,
                inputs={parameter: self.binding(each, path) for parameter, each in step.inputs.items()},
                value=None if step.value is None else self.expression(step.value, path),
                wait=wait,
                delay=delay,
                undo=undo,
                map=None if step.map is None else self._map(step, step.map, path),
                repeat=None if step.repeat is None else self._repeat(step, step.repeat, path),
                saga=self._saga(step),
                locks=tuple(replace(lock, key=self._key(lock.key, path)) for lock in step.locks),
                fallback=None if step.fallback is None else self._fallback(step.fallback, name, path),
            )
            return
        yield from self._frame(step, name, path, after, when, guard)

    def _map(self, step: WrittenStep, map: Map, path: str) -> Map:
        inner = self._inside(step, path, IN_MAP)
        over = self.binding(Binding(ref=map.over), path).ref or ""
        return in_form(Map, map, over=over, do=self._body(step, inner, path))

    def _repeat(self, step: WrittenStep, repeat: Repeat, path: str) -> Repeat:
        inner = self._inside(step, path, IN_REPEAT)
        return in_form(Repeat, repeat, until=inner.expression(repeat.until, ""), do=self._body(step, inner, path))

    def _inside(self, step: WrittenStep, path: str, roots: frozenset[str]) -> _Compiler:
        return _Compiler(self._names.inside(of_steps(step.body), path), self._roots | roots)

    def _body(self, step: WrittenStep, inner: _Compiler, path: str) -> tuple[Step, ...]:
        made = tuple(inner.sequence(of_steps(step.body), "", in_order=False))
        kind = "map" if step.map is not None else "repeat"
        self.problems += [within(f"in {kind} {below(path, step.id)!r}: ", each) for each in inner.problems]
        return made

    def _saga(self, step: WrittenStep) -> Child | None:
        """Return the saga that a step starts, compiled by itself: its steps see none of those around it."""
        if not isinstance(step.saga, WrittenChild):
            return step.saga
        inner = _Compiler(Names(step.saga.steps, full_names=False))
        steps = tuple(inner.sequence(step.saga.steps, "", in_order=False))
        output = None if step.saga.output is None else inner.binding(step.saga.output, "")
        self.problems += [within(in_saga_of(step), problem) for problem in inner.problems]
        return in_form(Child, step.saga, steps=steps, output=output)

    def _frame(
        self, step: WrittenStep, name: str, path: str, after: tuple[str, ...], when: str | None, guard: str
    ) -> Iterator[Step]:
        what = "a group" if step.switch is None else "a switch"
        if surplus := sorted(field for field, value in _given(step).items() if field not in _OF_A_FRAME and value):
            self.problems.append(f"step {name!r} is {what}, which nobody runs, but has {', '.join(surplus)}; leave that out.")
        if step.switch is not None and step.steps is not None:
            self.problems.append(f"step {name!r} is both a group and a switch; make two steps of it.")
        if step.switch is None:
            members = step.steps or ()
            self._check_sequence(name, members)
            if step.when is None:
                yield from self.sequence(members, name, first=after, guard=guard)
                return
            asked = f"{name}.when"
            yield Step(id=asked, value=f"({when}\n) ? true : false", after=after)
            yield from self.sequence(members, name, first=(asked,), guard=f"steps[{literal(asked)}].output == true")
            return
        self._check_cases(name, step.switch)
        chosen = "null"
        for case in reversed(step.switch):
            taken = f"dyn({literal(case.case)})"
            chosen = taken if case.when is None else f"({self.expression(case.when, path)}\n) ? {taken} : {chosen}"
        yield Step(id=name, value=chosen, after=after, when=when)
        for case in step.switch:
            branch = below(name, case.case)
            self._check_sequence(branch, case.steps)
            taken = f"steps[{literal(name)}].output == {literal(case.case)}"
            yield from self.sequence(case.steps, branch, first=(name,), guard=taken)

    def _check_sequence(self, name: str, steps: Sequence[WrittenStep]) -> None:
        if not steps:
            self.problems.append(f"{name!r} has no steps; add at least one, or remove it.")

    def _check_cases(self, name: str, cases: Sequence[Case]) -> None:
        if not 0 < len(cases) <= CASES_MAX:
            self.problems.append(f"switch {name!r} has {len(cases)} cases; give 1 to {CASES_MAX}, or a switch in the last case.")
        names = [case.case for case in cases]
        for case in cases:
            if not is_name(case.case):
                self.problems.append(f"switch {name!r} has a case {case.case!r}; name it by letters, digits, '_' or '-'.")
            if case.when is None and case is not cases[-1]:
                self.problems.append(f"case {case.case!r} of switch {name!r} has no condition; add when, or write it last.")
            if case.when is not None:
                self._compiles(case.when, f"case {case.case!r} of switch {name!r}")
        first: dict[str, str] = {}
        for case in cases:
            before = case.case if case.when is None else first.setdefault(case.when, case.case)
            if before != case.case:
                self.problems.append(
                    Fault(
                        f"case {case.case!r} of switch {name!r} is never taken: where its condition holds, that of case "
                        f"{before!r} held before; correct one of them, or remove the case.",
                        f"{case.when} holds",
                        f"{name} takes case {before}",
                    )
                )
        for twice in sorted({each for each in names if names.count(each) > 1}):
            self.problems.append(f"switch {name!r} has {twice!r} twice; give each case a name of its own.")

    def binding(self, binding: Binding, path: str) -> Binding:
        """Return a binding by the compiled steps' names."""
        if binding.ref is None:
            return binding
        try:
            reference = Reference.parse(binding.ref)
        except PayloadError:
            return binding  # is reported with the compiled step
        if reference.step is None:
            return binding
        step = self._output(reference.step, path)
        return binding if step == reference.step else replace(binding, ref=str(Reference.to("steps", step, *reference.keys)))

    def _fallback(self, fallback: str, name: str, path: str) -> str:
        """Return the step that stands in for another one. Steps before it in its group would run whether or not it is wanted."""
        step, several = self._names.fallback(fallback, path)
        if several:
            self.problems.append(
                Fault(
                    f"the fallback of step {name!r} is {fallback!r}, of which only the last step, {step!r}, would wait for the "
                    "failure; name one step, or put these steps into a saga that one step starts.",
                    f"{name} succeeds",
                    f"the first steps of {fallback} run all the same",
                )
            )
        return step

    def _key(self, key: str, path: str) -> str:
        """Return a lock's key by the compiled steps' names."""
        try:
            template = KeyTemplate.parse(key)
        except PayloadError:
            return key  # is reported with the compiled step
        named = {str(each): self.binding(Binding(ref=str(each)), path).ref or "" for each in template.references}
        if all(place == ref for place, ref in named.items()):
            return key
        return template.with_places(lambda each: Reference.parse(named[str(each)]))

    def expression(self, source: str, path: str) -> str:
        """Return an expression by the compiled steps' names."""
        return renamed(source, lambda name: self._output(name, path, of_text=True))

    def _output(self, name: str, path: str, *, of_text: bool = False) -> str:
        """Return the step whose output a name means."""
        step, hidden = self._names.output(name, path, of_text=of_text)
        if hidden:
            self.problems.append(
                f"{name!r} means {step!r} around the map or repeat, in which another step is called {step!r}; rename one of them."
            )
        return step

    def _compiles(self, when: str, of: str) -> bool:
        """Return whether a condition is one by itself: a bracket too many would close what is put around it."""
        try:
            compile_condition(when, self._roots)
        except ConditionError as error:
            self.problems.append(f"the condition of {of} does not compile: {error}")
            return False
        return True

    def _both(self, guard: str, step: WrittenStep, path: str) -> str | None:
        if step.when is None:
            return guard or None
        if (guard or step.steps is not None) and not self._compiles(step.when, f"step {below(path, step.id)!r}"):
            return guard or None
        own = self.expression(step.when, path)
        return f"{guard} && ({own}\n)" if guard else own


def _given(step: WrittenStep) -> Mapping[str, Any]:
    defaults = WrittenStep(id=step.id)
    return {field: value for field, value in asdict(step).items() if value != getattr(defaults, field)}
