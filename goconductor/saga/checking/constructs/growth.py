"""What is wrong with maps and repeats, each fault with its remedy. The steps in them are checked as those outside are.

A repeat is bounded by its ``max``. So a definition shows how many steps its sagas may have, beside those that lists bring.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from goconductor.saga.checking.constructs.waits import without_code
from goconductor.saga.checking.fault import Fault, path_between
from goconductor.saga.definition import Definition, Map, Repeat, Step, Undo, every_step
from goconductor.saga.graph import followers, reachable
from goconductor.saga.growth import DEPTH_MAX, INDEX_CHARACTERS, NAME_CHARACTERS_MAX, STEPS_MAX, TURNS_MAX
from goconductor.saga.retry import SECONDS_MAX


def kind_of(step: Step) -> str:
    """Return what a step that grows is called."""
    return "map" if step.map is not None else "repeat"


def too_deep(definition: Definition) -> bool:
    """Return whether maps and repeats stand too deep in one another to be looked at."""
    steps = definition.steps
    for _ in range(DEPTH_MAX + 1):
        steps = tuple(inner for step in steps for inner in step.body)
    return bool(steps)


def size(steps: Iterable[Step]) -> int:
    """Return how many steps these may become at most by their repeats, beside what the lists of maps bring."""
    return sum(1 + (1 if step.repeat is None else max(step.repeat.max, 1)) * size(step.body) for step in steps)


def names_taken(definition: Definition) -> Iterator[str]:
    """Yield each event in a map or repeat that has the name of a step outside which is approved: it would take that approval."""
    approved = {step.id for step in definition.steps if step.wait is not None and step.wait.approval is not None}
    for around in definition.steps if approved else ():
        for step in every_step(around.body):
            if step.wait is not None and step.wait.event in approved:
                where = f"in {kind_of(around)} {around.id!r}: step {step.id!r} waits for event {step.wait.event!r}"
                yield f"{where}, but a step of that id is approved; rename one of them."


def called_alike(definition: Definition) -> Iterator[str]:
    """Yield the names without indexes that steps in different maps, repeats and groups share: nobody could tell them apart."""
    if not any(step.body for step in definition.steps):
        return
    ways: dict[str, set[tuple[str, ...]]] = {}
    for way in _ways(definition.steps):
        ways.setdefault(".".join(way), set()).add(way)
    for name in sorted(name for name, found in ways.items() if len(found) > 1):
        yield f"without its indexes the name {name!r} is that of several steps; rename one of them, or what it stands in."


def _ways(steps: Iterable[Step], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for step in steps:
        yield (*above, step.id)
        yield from _ways(step.body, (*above, step.id))


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
    yield from _of_body(step, above)


def of_repeat(step: Step, repeat: Repeat, above: tuple[str, ...]) -> Iterator[str]:
    """Yield what is wrong with a repeat itself; its condition is looked at with the steps in it.

    Args:
        step: the step.
        repeat: what it does.
        above: the ids of the maps and repeats that it is in.
    """
    yield from without_code(step, "a repeat")
    if not 1 <= repeat.max <= TURNS_MAX:
        yield (
            f"repeat {step.id!r} has max {repeat.max:,}; give it a number of turns from 1 to {TURNS_MAX:,}. What takes more "
            "turns is a saga of its own, which one like it follows."
        )
    if repeat.delay_seconds is not None and not 0 < repeat.delay_seconds <= SECONDS_MAX:
        yield (
            f"repeat {step.id!r} has delay_seconds {repeat.delay_seconds:g}; give more than 0, and at most {SECONDS_MAX:.0f}, or "
            "leave it out: then each turn follows the one before at once."
        )
    if step.tolerated:
        what = "allow_fail" if step.allow_fail else "a fallback"
        yield Fault(
            f"repeat {step.id!r} has {what}, and cannot undo its turns while the saga goes on; put it into a saga that a step "
            f"with {what} starts, which then undoes all its turns. Or let it go on after its last turn (at_max: go_on).",
            f"a step fails in the second turn of {step.id}",
            "what the first turn has done stays",
            "the saga goes on",
        )
    yield from _of_body(step, above)


def _of_body(step: Step, above: tuple[str, ...]) -> Iterator[str]:
    kind = kind_of(step)
    if not step.body:
        yield f"{kind} {step.id!r} has no steps; add at least one to its 'do'."
    for each in step.body:
        name = ".".join((*above, step.id, each.id))
        if (length := len(name) + INDEX_CHARACTERS * (len(above) + 1)) > NAME_CHARACTERS_MAX:
            yield (
                f"the name of step {each.id!r} in {kind} {step.id!r} may have {length} characters with its indexes, at most "
                f"{NAME_CHARACTERS_MAX} are allowed; choose shorter ids."
            )
        if each.pivot:
            yield Fault(
                f"pivot {each.id!r} is in {kind} {step.id!r}; a saga has one point of no return: make a step outside the pivot.",
                f"{each.id} succeeds",
                f"{each.id} fails in the next {'item' if step.map is not None else 'turn'}",
                "the saga can neither turn back nor go on",
            )


def behind_pivot(definition: Definition, before: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield what is wrong with steps in maps and repeats after the pivot: nothing there fails, and nothing is undone.

    Args:
        definition: whose references and order were looked at.
        before: the steps before each step.
    """
    pivot = next((step.id for step in definition.steps if step.pivot), None)
    after_pivot = frozenset[str]() if pivot is None else reachable(followers(before), pivot)
    for step in definition.steps:
        if not step.body or step.id not in after_pivot:
            continue
        kind, path = kind_of(step), path_between(before, pivot or "", step.id)
        for each in every_step(step.body):
            if each.compensation:
                yield Fault(
                    f"step {each.id!r} in {kind} {step.id!r} comes after the pivot {pivot!r} but has a compensation that can "
                    f"never run; move the {kind} before the pivot or remove the compensation.",
                    *path,
                    "the saga never turns back",
                )
            if isinstance(each.undo, Undo):
                yield Fault(
                    f"step {each.id!r} in {kind} {step.id!r} comes after the pivot {pivot!r}, so its undo can never run; "
                    "remove it, or make a later step the pivot.",
                    *path,
                    "the saga never turns back",
                )
            if each.tolerated:
                what = "allow_fail" if each.allow_fail else "a fallback"
                yield Fault(
                    f"step {each.id!r} in {kind} {step.id!r} comes after the pivot {pivot!r} but has {what}; there a step is "
                    f"tried until it succeeds: remove that, or move the {kind} before the pivot.",
                    *path,
                    f"{each.id} fails, and is tried again",
                )
