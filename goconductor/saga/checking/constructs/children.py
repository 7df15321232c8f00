"""What is wrong with steps that start a saga of their own, each fault with its remedy.

Such a saga may be written inside the definition. Then all is known of it, and it is looked at with the definition, by its
rules.

Before the pivot there are two ways. Such a saga is held when it is done, and undoes itself when this one turns back. Or the
step declares its undo; then the saga is over when it has completed. Behind the pivot nothing is undone. A saga that is held
must be able to undo itself, so it has no pivot: that is checked when the definition is registered
(:mod:`goconductor.engine.facts.definitions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from goconductor.saga.checking.constructs.waits import without_code
from goconductor.saga.checking.fault import Fault, within
from goconductor.saga.definition import (
    NOTHING,
    Child,
    Definition,
    Step,
    Undo,
    every_step,
    in_saga_of,
    written_inside,
)
from goconductor.saga.graph import followers, reachable
from goconductor.saga.ids import INSIDE, SAGA_CHARACTERS_MAX, is_name, is_saga_name

DEPTH_MAX = 8
"""How many sagas may stand one below the other, the first one counted."""


def of_child(step: Step, child: Child) -> Iterator[str]:
    """Yield what is wrong with such a step itself."""
    yield from without_code(step, "a saga", but=("inputs", "undo", "compensation_retry"))
    if child.steps:
        if is_name(child.name):
            yield (
                f"step {step.id!r} starts saga {child.name!r}, and has the steps of one that is written here; "
                "leave the name out, or the steps."
            )
        return
    if surplus := [field for field in ("output", "timeout_seconds", "input_schema", "priority") if getattr(child, field)]:
        yield (
            f"step {step.id!r} starts a saga that is not written here, and says of it {' and '.join(surplus)}; "
            "leave that out, or write its steps here."
        )
    if not child.name:
        yield f"step {step.id!r} starts a saga without a name; give the name of a registered one, or write its steps here."
    elif not is_name(child.name):
        yield f"step {step.id!r} starts saga {child.name!r}, which is no name; give that of a registered definition."
    if child.version is not None and not child.version.isalnum():
        yield f"step {step.id!r} starts version {child.version!r} of a saga, which cannot be; leave it out for the active one."


def problems(definition: Definition, edges: Mapping[str, AbstractSet[str]]) -> Iterator[str]:
    """Yield the steps whose saga is said to be held, and cannot be.

    Args:
        definition: whose steps may be of any form.
        edges: step → the steps before it.
    """
    pivot = next((step.id for step in definition.steps if step.pivot), None)
    after_pivot = frozenset[str]() if pivot is None else reachable(followers(edges), pivot)
    for step in definition.steps:
        behind = step.id in after_pivot
        for each in every_step([step]):
            if each.saga is None:
                continue
            if each.undo == NOTHING and not behind:
                yield Fault(
                    f"step {each.id!r} starts a saga, and says that nothing undoes it; leave undo out, and the saga undoes "
                    "itself, or declare one ('participant.step').",
                    f"{each.id} succeeds",
                    "a later step fails",
                    f"what the saga of {each.id} has done stays",
                )
            elif not behind and each.undo is None and (inner := _pivot_of(each.saga.steps)) is not None:
                yield cannot_undo_itself(each, "the saga that is written in it", inner)
            elif not each.saga.held:
                continue
            elif behind:
                yield f"step {each.id!r} holds the saga that it starts, and nothing is undone after the pivot; leave 'held' out."
            elif isinstance(each.undo, Undo):
                yield f"step {each.id!r} holds the saga that it starts, and declares an undo; leave one of them out."


def _pivot_of(steps: tuple[Step, ...]) -> str | None:
    return next((step.id for step in steps if step.pivot), None)


def cannot_undo_itself(step: Step, saga: str, pivot: str) -> str:
    """Return what is wrong with a step whose saga is to undo itself, and has a pivot.

    Args:
        step: the step.
        saga: its saga, in words.
        pivot: that saga's pivot.
    """
    return Fault(
        f"step {step.id!r} starts {saga}, which cannot undo itself once its pivot {pivot!r} has succeeded, and this saga may "
        "turn back; give the step an undo ('participant.step'), or put it after the pivot.",
        f"{pivot} succeeds in the saga of {step.id}",
        "a later step of this saga fails",
        f"what {pivot} has done stays",
    )


def of_written(definition: Definition, look: Callable[[Definition], list[str]]) -> Iterator[str]:
    """Yield what is wrong with the sagas that are written inside a definition, with the place of each.

    Args:
        definition: whose steps may be of any form.
        look: finds what is wrong with one of them by itself.
    """
    for step, child in written_inside(definition):
        if child.name.count(INSIDE) >= DEPTH_MAX:
            yield f"step {step.id!r} starts a saga with {DEPTH_MAX} above it; at most {DEPTH_MAX} may stand one below the other."
        elif not is_saga_name(child.name):
            yield (
                f"the saga of step {step.id!r} would be called {child.name!r}, which is no name or longer than "
                f"{SAGA_CHARACTERS_MAX} characters; correct the ids, or give shorter ones."
            )
        else:
            yield from (within(in_saga_of(step), problem) for problem in look(child))


def with_locks(saga: str, step: str) -> str:
    """Return what is wrong with a saga that a step starts, and that asks for locks.

    Args:
        saga: what starts which saga, in words.
        step: the step.
    """
    return Fault(
        f"{saga}, which asks for locks; only a saga that no step starts can hold some to its end: give these locks to this "
        "saga, or to the step.",
        f"this saga holds a lock, and waits for the end of the saga of {step}",
        "that one waits for the same lock",
        "neither ends",
    )


def inside_with_locks(definition: Definition) -> Iterator[str]:
    """Yield the steps with a saga that is written inside, and asks for locks; deeper ones are looked at with that saga."""
    for step, child in written_inside(definition):
        if any(each.locks for each in every_step(child.steps)):
            yield with_locks(f"step {step.id!r} starts a saga that is written in it", step.id)
