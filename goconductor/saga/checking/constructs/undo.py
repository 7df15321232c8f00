"""What is wrong with declared undos: each fault with its remedy and, where data could be lacking, with a path that lacks it.

An undo runs when the saga turns back, at whatever step that happens. Only some data are sure to be there then: the saga's input,
and for each step before its own one an output, or null where that step was skipped or given up. Its own step may have no output,
since nobody may know whether it ran. So an undo refers to these places only, and accepts null where there may be null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Protocol

from goconductor.errors import PayloadError
from goconductor.saga.checking.constructs.waits import problems_of_wait
from goconductor.saga.checking.fault import Fault, path_between, path_to
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Binding, Child, Definition, Step, Undo, Wait
from goconductor.saga.graph import reachable
from goconductor.saga.ids import is_name, split_target

TURNS_BACK = "the saga turns back"


def problems(
    definition: Definition, edges: Mapping[str, AbstractSet[str]], *, outside: AbstractSet[str] = frozenset()
) -> Iterator[str]:
    """Yield what is wrong; that a reference cannot be read, or names no step, is reported with the other references.

    Args:
        definition: whose steps may be of any form; of steps in a map, with these in place of all.
        edges: step → the steps before it.
        outside: of steps in a map, those outside of it that do not come before it.
    """
    pivot = next((step.id for step in definition.steps if step.pivot), None)
    for step in definition.steps:
        if step.undo is None:
            continue
        if step.compensation:
            yield (
                f"step {step.id!r} has both a compensation and undo, of which only undo would run; "
                "leave the compensation out, or remove undo."
            )
        if isinstance(step.undo, Undo):
            yield from _of_undo(step, step.undo, pivot, edges, outside)


def inputs_of(step: Step) -> Iterator[tuple[str, Binding]]:
    """Yield the inputs of a step's declared undo, each with what it is in words."""
    for name, binding in (step.undo.inputs if isinstance(step.undo, Undo) else {}).items():
        yield f"input {name!r} of the undo of step {step.id!r}", binding


class Code(Protocol):
    """The code of an undo, as far as its inputs go."""

    def refusal_of(self, name: str, value: object) -> str | None:
        """Return why a value does not fit an input; None if it does."""


def unfit_nulls(definition: Definition, step: Step, undo: Undo, code: Code) -> Iterator[str]:
    """Yield the inputs of an undo that are null on some path, and that its code cannot take as null.

    Args:
        definition: that can run otherwise.
        step: the step that is undone.
        undo: its declared undo.
        code: what the undo runs.
    """
    steps = _seen_from(step, definition.steps) or {}
    takes = repr(undo.run) if undo.saga is None else f"saga {undo.saga.name!r}"
    for name, binding in undo.inputs.items():
        path = None if (owner := _owner(binding)) is None else _path_to_null(steps, step.id, owner)
        if path is None and _is_of_first_turn(binding):
            path = (f"{step.id} runs in the first turn", TURNS_BACK)
        if path is None and binding.optional:
            path = (f"there is nothing at {binding.ref}", step.id, TURNS_BACK)
        if path is not None and code.refusal_of(name, None) is not None:
            yield Fault(
                f"input {name!r} of the undo of step {step.id!r} may be null, which {takes} does not take; "
                "let it take None there as well.",
                *path,
            )


def _of_undo(
    step: Step, undo: Undo, pivot: str | None, edges: Mapping[str, AbstractSet[str]], outside: AbstractSet[str]
) -> Iterator[str]:
    if undo.wait is not None:
        yield from _of_waiting(step, undo, undo.wait)
    elif undo.saga is not None:
        yield from _of_saga(step, undo, undo.saga)
    elif not undo.run:
        yield (
            f"the undo of step {step.id!r} has neither run, wait nor saga; say which code or which saga undoes the step, or what "
            "is waited for."
        )
    else:
        try:
            split_target(undo.run)
        except ValueError:
            yield f"the undo of step {step.id!r} runs {undo.run!r}; name its code as 'participant.step'."
    if step.pivot or (pivot is not None and pivot in reachable(edges, step.id)):
        where = "is the pivot" if step.pivot else f"comes after the pivot {pivot!r}"
        yield Fault(
            f"step {step.id!r} {where}, so its undo can never run; remove it, or make a later step the pivot.",
            *(path_between(edges, pivot, step.id) if pivot is not None and not step.pivot else path_to(edges, step.id)),
            "the saga never turns back",
        )
    before: AbstractSet[str] | None = None
    for what, binding in inputs_of(step):
        owner = _owner(binding)
        if owner in outside and owner not in edges:
            yield Fault(
                f"{what} refers to the output of {owner!r}, which there need not be: it does not come before the map; "
                f"refer to the input, to {step.id!r} itself or to a step before it, or add {owner!r} to 'after' of the map.",
                *path_to(edges, step.id),
                TURNS_BACK,
                f"the undo of {step.id} asks for {owner}, which has not run",
            )
        if owner is None or owner not in edges or owner == step.id or owner in edges[step.id]:
            continue
        before = reachable(edges, step.id) if before is None else before
        if owner not in before:
            yield Fault(
                f"{what} refers to the output of {owner!r}, which there need not be; "
                f"refer to the input, to {step.id!r} itself or to a step before it, or add {owner!r} to 'after'.",
                *path_to(edges, step.id),
                TURNS_BACK,
                f"the undo of {step.id} asks for {owner}, which has not run",
            )


def _of_saga(step: Step, undo: Undo, child: Child) -> Iterator[str]:
    """Yield what is wrong with an undo that is a saga."""
    what = f"the undo of step {step.id!r}"
    if undo.run:
        yield f"{what} is a saga, and runs {undo.run!r}; leave one of them out."
    if not is_name(child.name):
        yield f"{what} starts saga {child.name!r}, which is no name; give that of a registered definition."
    if child.version is not None and not child.version.isalnum():
        yield f"{what} starts version {child.version!r} of a saga, which cannot be; leave it out for the active one."
    others = ("held", "steps", "output", "timeout_seconds", "input_schema", "priority")
    if surplus := [field for field in others if getattr(child, field)]:
        yield f"{what} starts a saga by its name, and says of it {' and '.join(surplus)}; leave that to its definition."


def _of_waiting(step: Step, undo: Undo, wait: Wait) -> Iterator[str]:
    """Yield what is wrong with an undo that nobody runs."""
    what = f"the undo of step {step.id!r}"
    if given := [name for name in ("run", "inputs", "saga") if getattr(undo, name)]:
        yield f"{what} waits, so nobody runs it, but it has {' and '.join(given)}; leave that out."
    if wait.where is not None:
        yield f"{what} waits for a signal that has a where, which it cannot ask: each signal of that name ends it; leave it out."
    if step.compensation_retry is not None:
        yield f"{what} waits, and nobody tries it again, but the step has a compensation_retry; leave that out."
    yield from problems_of_wait(what, wait)


def _seen_from(step: Step, beside: tuple[Step, ...]) -> dict[str, Step] | None:
    """Return the steps that a step can name, by their ids, the nearest of a name; None where it is not among them."""
    around = {each.id: each for each in beside}
    if any(each is step for each in beside):
        return around
    inside = (_seen_from(step, each.body) for each in beside if each.body)
    found = next((seen for seen in inside if seen is not None), None)
    return None if found is None else around | found


def _path_to_null(steps: Mapping[str, Step], undone: str, owner: str) -> tuple[str, ...] | None:
    """Return a path on which what an undo refers to is null."""
    if owner == undone:
        return (f"nobody knows whether {undone} ran", TURNS_BACK)
    step = steps.get(owner)
    if step is None:
        return None
    if step.when is not None:
        return (f"{owner} is skipped", undone, TURNS_BACK)
    return (f"{owner} fails, and the saga goes on", undone, TURNS_BACK) if step.allow_fail or step.fallback == undone else None


def _is_of_first_turn(binding: Binding) -> bool:
    """Return whether a binding refers to what the turn before has given, which is null in the first one."""
    try:
        return binding.ref is not None and Reference.parse(binding.ref).root == "previous"
    except PayloadError:
        return False


def _owner(binding: Binding) -> str | None:
    """Return the step whose output a binding refers to; None where it refers to none, or cannot be read."""
    if binding.ref is None:
        return None
    try:
        return Reference.parse(binding.ref).step
    except PayloadError:
        return None
