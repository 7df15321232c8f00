"""What is wrong with maps, each fault with its remedy. The steps in them are checked as those outside are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from goconductor.saga.checking.constructs.waits import without_code
from goconductor.saga.definition import Definition, Map, Step, Undo, every_step
from goconductor.saga.graph import followers, reachable
from goconductor.saga.growth import DEPTH_MAX, INDEX_CHARACTERS, NAME_CHARACTERS_MAX, STEPS_MAX


def too_deep(definition: Definition) -> bool:
    """Return whether maps stand too deep in one another to be looked at."""
    steps = definition.steps
    for _ in range(DEPTH_MAX + 1):
        steps = tuple(inner for step in steps if step.map is not None for inner in step.map.do)
    return bool(steps)


def of_map(step: Step, map: Map, above: tuple[str, ...]) -> Iterator[str]:
    """Yield what is wrong with a map itself; its reference is looked at with the others.

    Args:
        step: the step.
        map: what it does.
        above: the ids of the maps that it is in.
    """
    yield from without_code(step, "a map")
    if isinstance(map.join, int) and not 1 <= map.join <= STEPS_MAX:
        yield (
            f"map {step.id!r} needs {map.join:,} items to succeed; give 'join' a number from 1 to {STEPS_MAX:,}, "
            "or 'any', or 'all'."
        )
    if map.concurrency is not None and not 1 <= map.concurrency <= STEPS_MAX:
        yield (
            f"map {step.id!r} has concurrency {map.concurrency:,}; give it a number of items from 1 to {STEPS_MAX:,}, "
            "or leave it out: then all items go on side by side."
        )
    if not map.do:
        yield f"map {step.id!r} has no steps; add at least one to its 'do'."
    for each in map.do:
        name = ".".join((*above, step.id, each.id))
        if (length := len(name) + INDEX_CHARACTERS * (len(above) + 1)) > NAME_CHARACTERS_MAX:
            yield (
                f"the name of step {each.id!r} in map {step.id!r} may have {length} characters with its indexes, at most "
                f"{NAME_CHARACTERS_MAX} are allowed; choose shorter ids."
            )
        if each.pivot:
            yield f"pivot {each.id!r} is in map {step.id!r}; a saga has one point of no return: make a step outside the pivot."


def behind_pivot(definition: Definition, before: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield what is wrong with steps in maps that come after the pivot: nothing there fails, and nothing is undone.

    Args:
        definition: whose references and order were looked at.
        before: the steps before each step.
    """
    pivot = next((step.id for step in definition.steps if step.pivot), None)
    after_pivot = frozenset[str]() if pivot is None else reachable(followers(before), pivot)
    for step in definition.steps:
        if step.map is None or step.id not in after_pivot:
            continue
        for each in every_step(step.map.do):
            if each.compensation:
                yield (
                    f"step {each.id!r} in map {step.id!r} comes after the pivot {pivot!r} but has a compensation that can never "
                    "run; move the map before the pivot or remove the compensation."
                )
            if isinstance(each.undo, Undo):
                yield (
                    f"step {each.id!r} in map {step.id!r} comes after the pivot {pivot!r}, so its undo can never run; "
                    "remove it, or make a later step the pivot."
                )
            if each.tolerated:
                what = "allow_fail" if each.allow_fail else "a fallback"
                yield (
                    f"step {each.id!r} in map {step.id!r} comes after the pivot {pivot!r} but has {what}; there a step is tried "
                    "until it succeeds: remove that, or move the map before the pivot."
                )
