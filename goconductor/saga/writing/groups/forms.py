"""The form in which definitions are written: also with groups and switches, which :mod:`.compiling` makes steps of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from goconductor.saga.checking import expressions
from goconductor.saga.definition import Child, Definition, Map, Repeat, Step

S = TypeVar("S", bound=msgspec.Struct)


class Case(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One case of a switch: a sequence of steps, and when it is taken.

    Args:
        case: its name.
        when: a CEL condition over ``input`` and ``steps``; the last case may have none, and is then taken where no other is.
        steps: what runs then, one after the other.
    """

    case: str
    when: str | None = None
    steps: tuple[WrittenStep, ...]


class WrittenMap(Map, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A map as it is written."""

    do: tuple[WrittenStep, ...]


class WrittenRepeat(Repeat, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A repeat as it is written."""

    do: tuple[WrittenStep, ...]


class WrittenChild(Child, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A saga that a step starts, as it is written."""

    steps: tuple[WrittenStep, ...] = ()


class WrittenStep(Step, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A step as it is written: also a group of steps, or a switch.

    Args:
        steps: in place of code, steps that run one after the other.
        switch: in place of code, cases, of which the first whose condition holds is taken.
    """

    map: WrittenMap | None = None
    repeat: WrittenRepeat | None = None
    saga: WrittenChild | None = None
    steps: tuple[WrittenStep, ...] | None = None
    switch: tuple[Case, ...] | None = None


class WrittenDefinition(Definition, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A definition as it is written."""

    steps: tuple[WrittenStep, ...]


def is_plain(document: Any) -> bool:
    """Return whether a document has none of these constructs, so that it is its own compiled form."""
    return not _has_frames(document.get("steps") if isinstance(document, dict) else None)


def _has_frames(steps: Any) -> bool:
    for step in steps if isinstance(steps, list | tuple) else ():
        if isinstance(step, dict):
            around = ((step.get(kind), held) for kind, held in (("map", "do"), ("repeat", "do"), ("saga", "steps")))
            bodies = (holds.get(held) for holds, held in around if isinstance(holds, dict))
            if "steps" in step or "switch" in step or any(map(_has_frames, bodies)):
                return True
    return False


def texts(steps: Iterable[Step]) -> Iterator[str]:
    """Yield the expressions of steps as they are written, those in groups and cases included."""
    for step in steps:
        yield from expressions.of_step(step)
        yield from texts(step.body)
        yield from () if step.saga is None else texts(step.saga.steps)
        if isinstance(step, WrittenStep):
            yield from texts(step.steps or ())
            for case in step.switch or ():
                yield from () if case.when is None else (case.when,)
                yield from texts(case.steps)


def of_plain(definition: Definition) -> WrittenDefinition:
    """Return a definition, among whose steps are written ones, as one that is written."""
    return WrittenDefinition(**fields_of(definition) | {"steps": of_steps(definition.steps)})


def of_steps(steps: Iterable[Step]) -> tuple[WrittenStep, ...]:
    """Return steps as written ones."""
    return tuple(step if isinstance(step, WrittenStep) else WrittenStep(**fields_of(step)) for step in steps)


def in_form(form: type[S], struct: msgspec.Struct, **fields: Any) -> S:
    """Return what is written in the form that it is compiled to, or the other way round.

    Args:
        form: its class, or one that is made for writing.
        struct: an instance of the other one.
        fields: those that are other ones.
    """
    return form(**{name: getattr(struct, name) for name in form.__struct_fields__ if name not in fields} | fields)


def fields_of(struct: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a struct, by their names."""
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def below(path: str, name: str) -> str:
    """Return the full name of what stands in a group or a case; outside it is the name itself."""
    return f"{path}.{name}" if path else name
