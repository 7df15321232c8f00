"""What is wrong with locks, each fault with its remedy; and what of them can make sagas wait for one another in a circle.

A saga keeps its locks to its end. So none is asked for where it can no longer turn back: one that waits behind its pivot for
what another one holds there could not give way. A map asks for the locks of all its items at once, in the order of the keys: an
item a lock would make two sagas with lists in different order wait for each other all day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from itertools import combinations

from goconductor.errors import PayloadError
from goconductor.saga.data.keys import KeyTemplate
from goconductor.saga.definition import Binding, Definition, Lock, every_step
from goconductor.saga.graph import reachable
from goconductor.saga.plan import plan

LOCKS_MAX = 20
"""Number of locks that a step, or a saga, may name."""


def problems(definition: Definition, edges: Mapping[str, AbstractSet[str]]) -> Iterator[str]:
    """Yield what is wrong with the locks of a saga and of its steps; where their references lead is looked at with the others.

    Args:
        definition: whose steps may be of any form.
        edges: step → the steps before it.
    """
    yield from _of_all("the saga", definition.locks, roots=("input",))
    pivot = next((step.id for step in definition.steps if step.pivot), None)
    for step in definition.steps:
        for each in every_step(step.map.do if step.map is not None else ()):
            if each.locks:
                yield (
                    f"step {each.id!r} in map {step.id!r} has locks; give them to the map, which asks for those of all items "
                    "at once."
                )
        if not step.locks:
            continue
        yield from _of_all(f"step {step.id!r}", step.locks, ("input", "steps", *(("item",) if step.map is not None else ())))
        if step.delay is not None or step.wait is not None or step.value is not None:
            yield f"step {step.id!r} runs no code, but has locks; give them to the step after it, or to the saga."
        if step.pivot or (pivot is not None and pivot in reachable(edges, step.id)):
            where = "is the pivot" if step.pivot else f"comes after the pivot {pivot!r}"
            yield (
                f"step {step.id!r} {where}, where the saga cannot give way any more, but has locks; "
                "give them to a step before the pivot, or to the saga."
            )


def _of_all(what: str, locks: tuple[Lock, ...], roots: Iterable[str]) -> Iterator[str]:
    if len(locks) > LOCKS_MAX:
        yield f"{what} has {len(locks)} locks, at most {LOCKS_MAX} are allowed; lock what these have in common."
    known: set[str] = set()
    for lock in locks:
        if lock.key in known:
            yield f"{what} asks twice for the lock {lock.key!r}; keep one of them."
        known.add(lock.key)
        try:
            template = KeyTemplate.parse(lock.key)
        except PayloadError as error:
            yield f"{what} has a lock whose key cannot be read: {error}"
            continue
        for reference in template.references:
            if reference.root not in roots:
                there = "" if tuple(roots) == ("input",) else ", or to the output of a step before it"
                yield f"{what} has the lock {lock.key!r}, which refers to {reference}; refer to the saga's input{there}."


def places(locks: Iterable[Lock], of: str) -> Iterator[tuple[str, Binding]]:
    """Yield what locks refer to outside of a map: what it is in words, and the binding; what cannot be read is left out.

    Args:
        locks: of a step, or of the saga.
        of: whose they are, in words.
    """
    for lock in locks:
        with suppress(PayloadError):
            for reference in KeyTemplate.parse(lock.key).references:
                if reference.root in ("input", "steps"):
                    yield f"the lock {lock.key!r} of {of}", Binding(ref=str(reference))


def circles(definition: Definition) -> list[str]:
    """Return what of a definition that can run lets two of its sagas wait for each other, so that the younger one turns back.

    Two steps ask one after the other, or side by side. Keys that begin with different words are always asked for in the same
    order by steps of which one comes after the other. All others may come in any order.
    """
    compiled, found = plan(definition), list[str]()
    asking = [step for step in compiled.order if compiled.steps[step].locks]
    for one, other in combinations(asking, 2):
        first, second = ({lock.key for lock in compiled.steps[each].locks} for each in (one, other))
        ordered = other in reachable(compiled.successors, one)
        alike = any(a.startswith(b) or b.startswith(a) for a in map(_prefix, first) for b in map(_prefix, second))
        if first == second or (ordered and (second <= first or not alike)):
            continue
        how = "one after the other" if ordered else "side by side"
        found.append(
            f"steps {one!r} and {other!r} ask for locks {how}, so two such sagas may wait for each other, and the younger one "
            "turns back; let one step, or the saga, ask for all of them at once."
        )
    return found


def _prefix(key: str) -> str:
    return KeyTemplate.parse(key).prefix
