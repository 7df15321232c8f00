"""What is wrong with savepoints, each fault with its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from goconductor.errors import ConditionError, nearest
from goconductor.saga.checking.constructs.waits import asked_of, without_code
from goconductor.saga.checking.fault import Fault, path_between, path_to
from goconductor.saga.definition import Definition, Savepoint, Step
from goconductor.saga.expressions.condition_text import ROOTS, compared
from goconductor.saga.expressions.conditions import IN_MAP, IN_REPEAT
from goconductor.saga.graph import reachable
from goconductor.saga.ids import is_name

WAYS_MAX = 20
"""Greatest number of ways of a savepoint."""


def of_savepoint(step: Step, savepoint: Savepoint) -> Iterator[str]:
    """Yield what is wrong with a savepoint by itself."""
    yield from without_code(step, "a savepoint")
    if step.tolerated:
        yield f"step {step.id!r} is a savepoint, which cannot fail, but has allow_fail or a fallback; leave that out."
    ways = savepoint.ways
    if not 1 < len(ways) <= WAYS_MAX:
        yield f"savepoint {step.id!r} has {len(ways)} ways, the first included; name 1 to {WAYS_MAX - 1} others in 'otherwise'."
    for way in ways:
        if not is_name(way):
            yield f"savepoint {step.id!r} has a way {way!r}; name it by 1 to 100 letters, digits, '_' or '-'."
    for twice in sorted({way for way in ways if ways.count(way) > 1}):
        yield f"savepoint {step.id!r} has the way {twice!r} twice; each way is tried once: give each a name of its own."


def inside(around: Step) -> Iterator[str]:
    """Yield the savepoints directly in a map or a repeat: one item, or turn, cannot go back alone to take another way."""
    kind, parts = ("map", "items") if around.map is not None else ("repeat", "turns")
    for step in around.body:
        if step.savepoint is not None:
            where = f"stands in {kind} {around.id!r}, whose {parts} cannot go back alone"
            text = f"savepoint {step.id!r} {where}; put it before the {kind}."
            yield Fault(text, step.id, f"a step after it fails in one of the {parts}", f"the other {parts} have gone on")


def lacking_ways(definition: Definition) -> Iterator[str]:
    """Yield the expressions that ask for a way which their savepoint does not have."""
    ways = {step.id: step.savepoint.ways for step in definition.steps if step.savepoint is not None}
    if ways:
        yield from _lacking_ways(definition.steps, ways)


def _lacking_ways(steps: Iterable[Step], ways: Mapping[str, tuple[str, ...]], roots: frozenset[str] = ROOTS) -> Iterator[str]:
    for step in steps:
        for what, compiled, _ in asked_of(step, roots):
            with suppress(ConditionError):  # is reported with the expression
                for path, way in compared(compiled().source):
                    known = ways.get(path[1], ()) if path[0] == "steps" and path[2:] == ("output",) else ()
                    if known and way not in known:
                        lacks = f"savepoint {path[1]!r}, which it does not have"
                        yield f"{what} asks for way {way!r} of {lacks}; {nearest(way, known)}"
        if step.body:
            seen = {name: each for name, each in ways.items() if name not in {inner.id for inner in step.body}}
            yield from _lacking_ways(step.body, seen, roots | (IN_MAP if step.map is not None else IN_REPEAT))


def problems(definition: Definition, before: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield what is wrong with the places of savepoints.

    Args:
        definition: whose references and order were looked at.
        before: the steps before each step.
    """
    found = [step.id for step in definition.steps if step.savepoint is not None]
    if not found:
        return
    all_before = {step.id: reachable(before, step.id) for step in definition.steps}
    pivot = next((step.id for step in definition.steps if step.pivot), None)
    fallbacks = {step.fallback: step.id for step in definition.steps if step.fallback is not None}
    for name in found:
        if pivot is not None and pivot in all_before[name]:
            yield Fault(
                f"savepoint {name!r} comes after the pivot {pivot!r}, from where nothing goes back; put it before the pivot, "
                "or make a later step the pivot.",
                *path_between(before, pivot, name),
                "a step after it fails, and is tried again",
            )
        elif not any(name in earlier for earlier in all_before.values()):
            text = f"savepoint {name!r} has nothing after it, so nothing could fail; let steps come after it, or remove it."
            yield Fault(text, *path_to(before, name), "the saga ends")
        if name in fallbacks:
            text = f"savepoint {name!r} is the fallback of step {fallbacks[name]!r}; let that one fall back on a step with code."
            yield Fault(
                text, f"{fallbacks[name]} succeeds", f"{name} is skipped", "a later step fails, and there is no way to take"
            )
    said: set[tuple[str, str]] = set()
    for step in definition.steps:
        above = sorted(each for each in found if each in all_before[step.id])
        for number, one in enumerate(above):
            for other in above[number + 1 :]:
                if (one, other) not in said and one not in all_before[other] and other not in all_before[one]:
                    said.add((one, other))
                    yield Fault(
                        f"savepoints {one!r} and {other!r} both come before step {step.id!r}, and neither before the other, so "
                        f"nobody could say which is the nearer; let one come after the other.",
                        f"{one} and {other}, side by side",
                        f"{step.id} fails",
                        "the saga would take another way from one of them",
                    )
