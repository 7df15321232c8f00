"""What is wrong with steps that start a saga of their own, each fault with its remedy.

What such a saga did is over when it has completed, and only the definition can say what undoes it. So before the pivot the step
declares its undo. Behind the pivot nothing is undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from goconductor.saga.checking.waits import without_code
from goconductor.saga.definition import Child, Definition, Step, Undo, every_step
from goconductor.saga.graph import reachable
from goconductor.saga.ids import is_name

DEPTH_MAX = 8
"""How many sagas may stand one below the other, the first one counted."""


def of_child(step: Step, child: Child) -> Iterator[str]:
    """Yield what is wrong with such a step itself."""
    yield from without_code(step, "a saga", but=("inputs", "undo", "compensation_retry"))
    if not is_name(child.name):
        yield f"step {step.id!r} starts saga {child.name!r}, which is no name; give that of a registered definition."
    if child.version is not None and not child.version.isalnum():
        yield f"step {step.id!r} starts version {child.version!r} of a saga, which is none; leave it out for the active one."


def problems(definition: Definition, edges: Mapping[str, AbstractSet[str]]) -> Iterator[str]:
    """Yield the steps that start a saga and would leave what it did.

    Args:
        definition: whose steps may be of any form.
        edges: step → the steps before it.
    """
    pivot = next((step.id for step in definition.steps if step.pivot), None)
    for step in definition.steps:
        behind = pivot is not None and pivot in reachable(edges, step.id)
        for each in every_step([step]):
            if each.saga is None or behind or (each is step and isinstance(each.undo, Undo)):
                continue
            remedy = "put it after the pivot" if each is step else "put the map after the pivot"
            undo = "give it an undo ('participant.step'), or " if each is step else ""
            yield f"step {each.id!r} starts a saga, and nothing undoes that where this one turns back; {undo}{remedy}."
