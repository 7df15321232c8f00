"""The definition that a dataflow becomes, and a dataflow read back from it.

It is an ordinary definition, in which a step has the name of the datum that it gives:

- ``car``: a datum from outside is a wait for a signal of that name; a transient one takes a token only.
- ``price``: a datum that is made is its builder's step. Its inputs refer to what it consumes, so they come before it.
- ``price-optionals``, ``price-access``: waits before a builder that has such data. Who runs the dataflow ends them, once nothing
  else can run, by a signal with the data that are there. So these data are no predecessors, and what the builder was given is
  fixed by an event: all its attempts see the same, whatever comes later. A new value of an optional restarts the saga from
  that wait; what is only accessed is read last, and so anew then.
- ``dataflow-close``: a wait after the target. The saga stays open until somebody closes the dataflow.

Null is the absence of a datum, in all of these. A builder that fails for good is given up and its output is null; a builder that
lacks something that it consumes is skipped. The next run restarts the saga from the one that failed.

Whoever runs a dataflow needs nothing but the definition that its saga keeps. So old and new versions run side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from goconductor.dataflow.hints import Builder
from goconductor.dataflow.transients import WHERE
from goconductor.errors import RequestRefusedError
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Definition
from goconductor.saga.definition import Step as StepDefinition
from goconductor.saga.writing.builder import Saga
from goconductor.saga.writing.steps import Step, StepOptions

CLOSE = "dataflow-close"
OPTIONALS = "-optionals"
ACCESS = "-access"


class Made(NamedTuple):
    """A datum that a builder makes.

    Attributes:
        run: the builder's code.
        consumes: the data that it needs.
        optionals: those that it takes where they are there.
        access: those that it reads where they are there.
    """

    run: str
    consumes: tuple[str, ...]
    optionals: tuple[str, ...]
    access: tuple[str, ...]


class Graph(NamedTuple):
    """A dataflow, as its definition has it.

    Attributes:
        name: its name.
        target: the datum that it is for.
        made: the data that builders make, each after what it takes.
        outside: the data from outside.
        needed: the data that the target cannot do without.
        transients: the data from outside that are kept nowhere.
    """

    name: str
    target: str
    made: Mapping[str, Made]
    outside: tuple[str, ...]
    needed: frozenset[str]
    transients: frozenset[str]

    def wanted_by(self, datum: str) -> list[str]:
        """Return the builders that consume a datum."""
        return [made.run for made in self.made.values() if datum in made.consumes]

    def taken_by(self, datum: str) -> list[str]:
        """Return the builders that take a datum in any way."""
        return [made.run for made in self.made.values() if datum in (*made.consumes, *made.optionals, *made.access)]


def written(
    name: str,
    target: str,
    made: Mapping[str, Builder],
    outside: tuple[str, ...],
    *,
    transients: Collection[str] = (),
    timeout: float | str | None = None,
    priority: int = 0,
) -> Saga[None, Any]:
    """Write a dataflow as a saga.

    Args:
        name: its name.
        target: the datum that it is for.
        made: the builders by what they produce, each after what it takes.
        outside: the data from outside.
        transients: those of them that are kept nowhere.
        timeout: the saga's.
        priority: the saga's.

    Raises:
        ValueError: the timeout is no duration.
    """
    saga: Saga[None, Any] = Saga(name, timeout=timeout, priority=priority)
    for datum in outside:
        saga.wait(datum, id=datum, where=WHERE if datum in transients else None)
    for datum, builder in made.items():
        before = [saga.later(each) for each in dict.fromkeys(builder.consumes.values())]
        inputs: dict[str, object] = {input: saga.later(each).output for input, each in builder.consumes.items()}
        for suffix, taken in ((OPTIONALS, builder.optionals), (ACCESS, builder.access)):
            if taken:
                gate = saga.wait(f"{datum}{suffix}", id=f"{datum}{suffix}", after=before, when=_are_there(before))
                inputs |= {input: gate.output[each] for input, each in taken.items()}
                before = [*before, gate]
        options: StepOptions = {"id": datum, "inputs": inputs, "when": _are_there(before), "allow_fail": True}
        code: Any = builder.run if builder.code is None else builder.code
        if builder.code is None or builder.code.compensation_function is None:
            options["undo"] = "none"
        saga.step(code, **options)
    saga.wait(CLOSE, id=CLOSE, after=[saga.later(target)])
    return saga.returns(saga.later(target).output)


def _are_there(steps: Sequence[Step[Any]]) -> str | None:
    return " && ".join(f'steps["{step.id}"].output != null' for step in steps) or None


def graph_of(definition: Definition) -> Graph:
    """Read a dataflow from its definition.

    Raises:
        RequestRefusedError: the definition is none of a dataflow.
    """
    steps = {step.id: step for step in definition.steps}
    target = None if definition.output is None else _owner(definition.output.ref)
    close = steps.get(CLOSE)
    if close is None or target is None or not (all(map(_belongs, definition.steps)) and target in steps):
        raise RequestRefusedError(
            f"{definition.name!r} is a saga, and no dataflow; start it as one: `goconductor saga start {definition.name}`"
        )
    made = {step.id: _made(step) for step in definition.steps if step.run}
    try:
        order = [
            *TopologicalSorter(
                {datum: [*dict.fromkeys((*each.consumes, *each.optionals))] for datum, each in made.items()}
            ).static_order()
        ]
    except CycleError:  # nobody has checked a document that was written by hand
        raise RequestRefusedError(f"the builders of dataflow {definition.name!r} wait for one another in a cycle") from None
    made = {datum: made[datum] for datum in order if datum in made}
    waits = {step.id: step.wait for step in definition.steps if step.wait is not None and "-" not in step.id}
    transients = frozenset(name for name, wait in waits.items() if wait.where == WHERE)
    return Graph(definition.name, target, made, tuple(waits), frozenset(_needed(target, made)), transients)


def _belongs(step: StepDefinition) -> bool:
    if step.wait is not None:
        return step.wait.event == step.id and step.wait.where in (None, WHERE)
    return bool(step.run) and step.allow_fail and "-" not in step.id


def _made(step: StepDefinition) -> Made:
    taken: dict[str, list[str]] = {"": [], OPTIONALS: [], ACCESS: []}
    for binding in step.inputs.values():
        reference = None if binding.ref is None else Reference.parse(binding.ref)
        if reference is None or reference.step is None:
            continue
        suffix = next((each for each in (OPTIONALS, ACCESS) if reference.step == f"{step.id}{each}"), "")
        taken[suffix].append(str(reference.keys[0]) if suffix else reference.step)
    return Made(step.run, *(tuple(dict.fromkeys(taken[suffix])) for suffix in ("", OPTIONALS, ACCESS)))


def _needed(target: str, made: Mapping[str, Made]) -> Iterator[str]:
    open, seen = [target], {target}
    while open:
        yield (datum := open.pop())
        new = [] if datum not in made else [each for each in made[datum].consumes if each not in seen]
        seen.update(new)
        open += new


def _owner(ref: str | None) -> str | None:
    return None if ref is None else Reference.parse(ref).step
