"""Writes a definition as the Python code that makes it: the same document, with the same version.

The code gives the participants' steps by their names, as nobody knows here what module their code is in. It has no types for the
same reason, so the input's schema stands in it.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from goconductor.errors import DefinitionError
from goconductor.saga.checking.constructs.undo import inputs_of
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import KINDS, Binding, Child, Definition, Lock, Repeat, Step, Undo, definition_of, with_body
from goconductor.saga.graph import predecessors
from goconductor.saga.retry import Retry
from goconductor.saga.writing.groups.forms import Case, WrittenStep, below
from goconductor.saga.writing.groups.restoring import written

WIDTH = 100
"""Longest line, in characters, where it can be broken."""

_INDENT = " " * 4
_BY_PLACE = {"id", *KINDS, "steps", "switch"}
"""Fields of a step that say which call makes it."""
_OF_ALL = {*_BY_PLACE, "after", "when", "allow_fail", "fallback", "locks"}
"""Fields that every call has an option for; that of a participant's step has one for each."""

_OF_MAP, _OF_REPEAT = frozenset({"item", "index"}), frozenset({"previous", "index"})


def as_python(definition: Definition, *, as_compiled: bool = False) -> str:
    """Write a definition as Python code.

    Args:
        definition: one that can run.
        as_compiled: whether groups and switches are written as the steps that they are compiled to.

    Raises:
        DefinitionError: Python could not make the same version; says why.
    """
    writer = _Writer(definition, as_compiled=as_compiled)
    if writer.nameless:  # only a compiled step has that name, such as the value of a group's condition
        writer = _Writer(definition, as_compiled=True)
    if writer.refused:
        raise DefinitionError(definition.name, writer.refused, cannot="be written in Python")
    return writer.text


class _Writer:
    def __init__(self, definition: Definition, *, as_compiled: bool) -> None:
        self._as_compiled = as_compiled
        definition = self._form(definition)
        self.refused: list[str] = []
        """Why Python could not make this version."""
        self.nameless = False
        """Whether a step is named that no call makes by itself."""
        self._taken = {"Saga", "Lock", "Retry", "Undo", "optional", *keyword.kwlist, *keyword.softkwlist}
        self._saga = _variable(definition.name, self._taken)
        self._scopes: list[_Scope] = []
        """The saga, and the maps and repeats that are being written, from the outside in."""
        self._enter(self._saga, definition.steps, definition.output)
        lines = [*self._lines(self._saga, definition)]
        calls = {"Lock": "Lock(", "Retry": "Retry(", "Undo": "Undo(", "optional": "optional("}
        made = {"Saga", *(name for name, call in calls.items() if any(call in line or f"={name}." in line for line in lines))}
        imported = ", ".join(sorted(made, key=lambda name: (name.islower(), name)))
        self.text = "\n".join([f"from goconductor import {imported}", "", *lines]) + "\n"

    def _form(self, definition: Definition) -> Definition:
        return definition if self._as_compiled else written(definition, full_names=True)

    def _lines(self, variable: str, definition: Definition) -> Iterator[str]:
        options = {
            "timeout": None if definition.timeout_seconds is None else _number(definition.timeout_seconds),
            "locks": _locks(definition.locks) if definition.locks else None,
            "priority": repr(definition.priority) if definition.priority else None,
            "input_schema": None if definition.input_schema is None else _constant(definition.input_schema),
        }
        yield _call(f"{variable} = Saga", [repr(definition.name)], options)
        yield from self._all(definition.steps, variable, "")
        if definition.output is not None:
            yield _call(f"{variable}.returns", [self._binding(definition.output, "the saga's output")], {})

    def _enter(
        self, variable: str, steps: tuple[Step, ...], output: Binding | None = None, roots: frozenset[str] = frozenset({"input"})
    ) -> None:
        named = _named(steps, output)
        names = [*_names(steps)]
        variables = {name: _variable(own_id, self._taken) for name, own_id, _ in names if name in named}
        self._scopes.append(_Scope(variable, {name for name, *_ in names}, variables, set(), roots))

    def _all(self, steps: Iterable[Step], holder: str, path: str) -> Iterator[str]:
        """Write steps.

        Args:
            steps: in their order.
            holder: the variable of what they are added to.
            path: the full name of the group or case that they are in; empty where they are in none.
        """
        scope = self._scopes[-1]
        for step in steps:
            name = below(path, step.id)
            inside = yield from self._written(step)
            target = f"{scope.variables[name]} = " if name in scope.variables else ""
            yield self._step(step, f"{target}{holder}", inside)
            scope.written.add(name)
            if isinstance(step, WrittenStep):
                yield from self._all(step.steps or (), scope.variables.get(name, ""), name)
                yield from self._cases(step.switch or (), name)
            if step.body:
                self._enter(scope.variables[name], step.body, roots=_OF_MAP if step.map is not None else _OF_REPEAT)
                yield from self._all(step.body, self._scopes[-1].variable, "")
                self._scopes.pop()

    def _written(self, step: Step) -> Generator[str, None, str | None]:
        """Write the saga that is written inside a step, above it; return its variable. Its steps see none of those around it."""
        if step.saga is None or not step.saga.steps:
            return None
        around, self._scopes = self._scopes, []
        name = step.id.rpartition(".")[2]
        variable = _variable(name, self._taken)
        inside = self._form(definition_of(step.saga, name))
        self._enter(variable, inside.steps, inside.output)
        yield from self._lines(variable, inside)
        self._scopes = around
        return variable

    def _cases(self, cases: Iterable[Case], switch: str) -> Iterator[str]:
        scope = self._scopes[-1]
        for case in cases:
            name = below(switch, case.case)
            when = {"when": None if case.when is None else repr(case.when)}
            yield _call(f"{scope.variables[name]} = {scope.variables[switch]}.case", [repr(case.case)], when)
            scope.written.add(name)
            yield from self._all(case.steps, scope.variables[name], name)

    def _step(self, step: Step, target: str, inside: str | None) -> str:
        if step.run:
            options = {"id": self._id(step, step.run.rpartition(".")[2])} | self._options(step)
            return _call(f"{target}.step", [repr(step.run)], options)
        if inside is not None:
            own = {"inside": "True", "id": self._id(step, step.id.rpartition(".")[2])}
            return _call(f"{target}.saga", [inside], own | self._options(step))
        if step.saga is not None:
            if step.saga.version is not None:
                self._refuse_version(f"step {step.id!r}", step.saga)
            return _call(f"{target}.saga", [repr(step.saga.name)], {"id": self._id(step, step.saga.name)} | self._options(step))
        if isinstance(step, WrittenStep) and (step.steps is not None or step.switch is not None):
            kind = "group" if step.switch is None else "switch"
            return _call(f"{target}.{kind}", [repr(step.id)], self._options(step))
        for field, value in _given(step).items():
            if field not in _OF_ALL and value and not (field == "inputs" and step.value is not None):
                self.refused.append(f"step {step.id!r} runs no code and has {field!r}, which cannot be written in Python.")
        if step.map is not None:
            over = self._place(step.map.over, f"the list of map {step.id!r}")
            join = None if step.map.join == "all" else repr(step.map.join)
            slots = None if step.map.concurrency is None else repr(step.map.concurrency)
            own = {"id": self._id(step, "map"), "join": join, "concurrency": slots}
            return _call(f"{target}.map", [over], own | self._options(step))
        if step.repeat is not None:
            return self._repeat(step, step.repeat, target)
        if step.delay is not None:
            until = None if step.delay.until is None else self._place(step.delay.until, f"the delay of step {step.id!r}")
            first = [] if step.delay.seconds is None else [_number(step.delay.seconds)]
            return _call(f"{target}.delay", first, {"until": until, "id": self._id(step, "delay")} | self._options(step))
        if step.value is not None:
            return _call(f"{target}.value", [repr(step.value)], {"id": self._id(step, "value")} | self._options(step))
        if step.savepoint is not None:
            ways = {
                "first": repr(step.savepoint.first) if "first" in _given(step.savepoint) else None,
                "otherwise": _bracketed("[", [repr(way) for way in step.savepoint.otherwise], "]"),
            }
            return _call(f"{target}.savepoint", [repr(step.id)], ways | self._options(step))
        assert step.wait is not None  # noqa: S101  (the last kind of a step that can run)
        method, asked, default = (
            ("wait", step.wait.event, step.wait.event)
            if step.wait.approval is None
            else ("approval", step.wait.approval, "approval")
        )
        options = {
            "id": self._id(step, default or ""),
            "where": None if step.wait.where is None else repr(step.wait.where),
            "timeout": None if step.wait.timeout_seconds is None else _number(step.wait.timeout_seconds),
        }
        return _call(f"{target}.{method}", [repr(asked)], options | self._options(step))

    def _refuse_version(self, what: str, child: Child) -> None:
        self.refused.append(
            f"{what} names version {child.version} of saga {child.name!r}, which Python leaves to the registration; leave it out "
            "of the document."
        )

    def _repeat(self, step: Step, repeat: Repeat, target: str) -> str:
        own = {
            "until": repr(repeat.until),
            "max": repr(repeat.max),
            "delay": None if repeat.delay_seconds is None else _number(repeat.delay_seconds),
            "at_max": None if repeat.at_max == "fail" else repr(repeat.at_max),
            "id": self._id(step, "repeat"),
        }
        return _call(f"{target}.repeat", [], own | self._options(step))

    def _options(self, step: Step) -> dict[str, str | None]:
        """Return the options of a step, beside those that say of which kind it is."""
        found: dict[str, str | None] = {}
        for field, value in _given(step).items():
            match field, value:
                case _ if field in _BY_PLACE:
                    continue
                case "after", _:
                    found["after"] = f"[{', '.join(self._object(name) for name in step.after)}]"
                case "inputs", _:
                    found["inputs"] = self._inputs(step)
                case "fallback", str():
                    found["fallback"] = self._object(value)
                case "locks", _:
                    found["locks"] = _locks(step.locks)
                case "undo", Undo():
                    found["undo"] = self._undo(step, value)
                case "timeout_seconds" | "total_timeout_seconds", float():
                    found[field.removesuffix("_seconds")] = _number(value)
                case _, Retry():
                    found[field] = _call("Retry", [], {name: repr(each) for name, each in _given(value).items()})
                case _, str() | bool() | int():
                    found[field] = repr(value)
                case _:
                    self.refused.append(f"step {step.id!r} has {field!r}, which cannot be written in Python.")
        return found

    def _inputs(self, step: Step) -> str:
        items = [f"{name!r}: {self._binding(each, f'input {name!r} of step {step.id!r}')}" for name, each in step.inputs.items()]
        return _bracketed("{", items, "}")

    def _undo(self, step: Step, undo: Undo) -> str:
        if (wait := undo.wait) is not None:
            limit = {"timeout": None if wait.timeout_seconds is None else _number(wait.timeout_seconds)}
            made, what = ("Undo.approval", wait.approval) if wait.event is None else ("Undo.signal", wait.event)
            return _call(made, [repr(what)], limit)
        what = f"the undo of step {step.id!r}"
        items = [f"{name!r}: {self._binding(each, f'input {name!r} of {what}')}" for name, each in undo.inputs.items()]
        made, named = ("Undo", undo.run) if undo.saga is None else ("Undo.saga", undo.saga.name)
        if undo.saga is not None and undo.saga.version is not None:
            self._refuse_version(what, undo.saga)
        return _call(made, [repr(named)], {"inputs": _bracketed("{", items, "}") if items else None})

    @staticmethod
    def _id(step: Step, default: str) -> str | None:
        return None if step.id == default else repr(step.id)

    def _binding(self, binding: Binding, what: str) -> str:
        if binding.optional and binding.ref is None:
            self.refused.append(f"{what} is an optional constant, which cannot be written in Python; leave out optional.")
        if binding.ref is None:
            return _constant(binding.value)
        place = self._place(binding.ref, what)
        return f"optional({place})" if binding.optional else place

    def _place(self, text: str, what: str) -> str:
        reference = Reference.parse(text)
        if str(reference) != text:
            self.refused.append(
                f"{what} refers to {text}, which Python writes as {reference}; register the document with that, "
                "then it is the same version."
            )
        if reference.step is None:
            around = next(each for each in reversed(self._scopes) if reference.root in each.roots)
            root = f"{around.variable}.{reference.root}"
        else:
            root = f"{self._object(reference.step)}.output"
        return root + "".join(
            f".{key}" if isinstance(key, str) and _is_attribute(key) else f"[{key!r}]" for key in reference.keys
        )

    def _object(self, step: str) -> str:
        """Return what stands for a step in Python: its variable, where it was written above."""
        scope = next((each for each in reversed(self._scopes) if step in each.steps), None)
        if scope is None:
            self.nameless = True
            return ""
        return scope.variables[step] if step in scope.written else f"{scope.variable}.later({step!r})"


class _Scope(NamedTuple):
    """Steps that are written side by side: those of the saga, of a map, or of a repeat, and of the groups and cases among them.

    Attributes:
        variable: what they are added to.
        steps: their full names, and those of groups and cases.
        variables: of those that are named further down.
        written: those that are written by now.
        roots: of references that it answers itself: those to a map's item within a repeat are the map's.
    """

    variable: str
    steps: set[str]
    variables: dict[str, str]
    written: set[str]
    roots: frozenset[str]


def _names(steps: Iterable[Step], path: str = "") -> Iterator[tuple[str, str, Step | None]]:
    """Yield the full name, the own id, and the step of all steps, those of groups included; a case is no step."""
    for step in steps:
        name = below(path, step.id)
        yield name, step.id, step
        if isinstance(step, WrittenStep):
            yield from _names(step.steps or (), name)
            for case in step.switch or ():
                branch = below(name, case.case)
                yield branch, case.case, None
                yield from _names(case.steps, branch)


def _named(steps: Iterable[Step], output: Binding | None) -> set[str]:
    """Return the steps that are named below the place where they are written: also all that hold others, by these."""
    found: set[str] = set()
    above: set[str] = set()
    for name, _, step in _names(steps):
        if step is not None:
            found |= _uses(step) & above
        above.add(name)
        if step is None or step.body or (isinstance(step, WrittenStep) and (step.steps or step.switch)):
            found.add(name)
    owner = None if output is None or output.ref is None else Reference.parse(output.ref).step
    return found if owner is None else found | {owner}


def _uses(step: Step) -> set[str]:
    """Return the steps that a step names, and what the steps in a map or repeat name around it."""
    names = {*predecessors(with_body(step, ())), *((step.fallback,) if step.fallback is not None else ())}
    names |= {str(Reference.parse(each.ref).step) for _, each in inputs_of(step) if each.ref is not None}
    inside = [*_names(step.body)]
    of_body = {used for *_, each in inside if each is not None for used in _uses(each)}
    return names | (of_body - {name for name, *_ in inside})


def _given(struct: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a struct that stand in its document.

    A number that is given and equals the field's default may stand there: msgspec leaves out what *is* the default.
    """
    return {name: getattr(struct, name) for name in msgspec.to_builtins(struct)}


def _variable(name: str, taken: set[str]) -> str:
    """Make a variable's name of a saga's or step's, and take it."""
    made = re.sub(r"\W", "_", name)
    made = made if made.isidentifier() else f"step_{made}"
    while made in taken:
        made += "_"
    taken.add(made)
    return made


def _is_attribute(key: str) -> bool:
    return key.isascii() and key.isidentifier() and not keyword.iskeyword(key) and not key.startswith("_")


def _number(value: float) -> str:
    return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _constant(value: Any) -> str:
    match value:
        case dict():
            return _bracketed("{", [f"{key!r}: {_constant(each)}" for key, each in value.items()], "}")
        case list() | tuple():
            return _bracketed("[", [_constant(each) for each in value], "]")
        case _:
            return repr(value)


def _locks(locks: Iterable[Lock]) -> str:
    made = (_call("Lock", [repr(lock.key)], {"mode": None if lock.mode == "exclusive" else repr(lock.mode)}) for lock in locks)
    return _bracketed("[", [*made], "]")


def _call(function: str, arguments: Iterable[str], options: Mapping[str, str | None]) -> str:
    """Write a call: in one line where it fits, else an argument a line."""
    given = [*arguments, *(f"{name}={text}" for name, text in options.items() if text is not None)]
    return _bracketed(f"{function}(", given, ")")


def _bracketed(begin: str, items: list[str], end: str) -> str:
    line = f"{begin}{', '.join(items)}{end}"
    if not items or (len(line) <= WIDTH and "\n" not in line):
        return line
    inside = "".join(f"{_INDENT}{item},\n".replace("\n", f"\n{_INDENT}").removesuffix(_INDENT) for item in items)
    return f"{begin}\n{inside}{end}"
