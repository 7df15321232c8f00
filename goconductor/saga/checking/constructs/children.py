"""What is wrong with steps that start a saga of their own, each fault with its remedy.

Before the pivot such a saga is held when it is done, and undoes itself where this one turns back; or the step declares its undo,
and then it is over when it has completed. Behind the pivot nothing is undone. What is held must be able to undo itself, so it has
no pivot: that is seen when the definition is registered (:mod:`goconductor.engine.facts.definitions`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from goconductor.saga.checking.constructs.waits import without_code
from goconductor.saga.definition import NOTHING, Child, Definition, Step, Undo, every_step
from goconductor.saga.graph import followers, reachable
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
                yield (
                    f"step {each.id!r} starts a saga, and says that nothing undoes it; leave undo out, and the saga undoes "
                    "itself, or declare one ('participant.step')."
                )
            elif not each.saga.held:
                continue
            elif behind:
                yield f"step {each.id!r} holds the saga that it starts, and nothing is undone after the pivot; leave 'held' out."
            elif isinstance(each.undo, Undo):
                yield f"step {each.id!r} holds the saga that it starts, and declares an undo; leave one of them out."
