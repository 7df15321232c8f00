"""What is wrong with locks, each fault with its remedy; and what of them can make sagas wait for one another in a circle.

A saga keeps its locks to its end. So it takes none where it can no longer turn back: two sagas that wait for each other behind
their pivots could not give way. A map takes the locks of all its items together, in the order of the keys. If each item took its
own, two sagas with the same items in another order would wait for each other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress

from goconductor.errors import PayloadError
from goconductor.saga.checking.fault import Fault, path_between, path_to
from goconductor.saga.data.keys import KeyTemplate
from goconductor.saga.definition import Binding, Definition, Lock, every_step
from goconductor.saga.graph import followers, reachable
from goconductor.saga.plan import plan

LOCKS_MAX = 20
"""Number of locks that a step, or a saga, may name."""
CIRCLES_MAX = 20
"""Number of pairs of steps that are told of."""


def problems(definition: Definition, edges: Mapping[str, AbstractSet[str]]) -> Iterator[str]:
    """Yield what is wrong with the locks of a saga and of its steps; where their references lead is looked at with the others.

    Args:
        definition: whose steps may be of any form.
        edges: step → the steps before it.
    """
    yield from _of_all("the saga", definition.locks, roots=("input",))
    pivot = next((step.id for step in definition.steps if step.pivot), None)
    behind = frozenset[str]() if pivot is None else reachable(followers(edges), pivot)
    for step in definition.steps:
        for each in every_step(step.body):
            if each.locks:
                around = "map" if step.map is not None else "repeat"
                all_of = "items" if step.map is not None else "turns"
                yield Fault(
                    f"step {each.id!r} in {around} {step.id!r} has locks; give them to the {around}, which asks for those of all "
                    f"{all_of} at once.",
                    f"one saga takes the lock of its first {all_of[:-1]}",
                    f"another one, with its {all_of} in another order, takes that of its own first",
                    "each waits for the other",
                )
        if not step.locks:
            continue
        yield from _of_all(f"step {step.id!r}", step.locks, ("input", "steps", *(("item",) if step.map is not None else ())))
        if step.delay is not None or step.wait is not None or step.value is not None:
            yield f"step {step.id!r} runs no code, but has locks; give them to the step after it, or to the saga."
        if step.pivot or step.id in behind:
            where = "is the pivot" if step.pivot else f"comes after the pivot {pivot!r}"
            yield Fault(
                f"step {step.id!r} {where}, where the saga cannot give way any more, but has locks; "
                "give them to a step before the pivot, or to the saga.",
                *(path_between(edges, pivot, step.id) if pivot is not None and not step.pivot else path_to(edges, step.id)),
                "it waits for a lock whose holder waits for this saga",
                "neither can turn back",
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
    order by steps of which one comes after the other. All others may come in any order. Of many the first ones are told.
    """
    compiled = plan(definition)
    keys = {
        step: frozenset(lock.key for lock in compiled.steps[step].locks) for step in compiled.order if compiled.steps[step].locks
    }
    alike, asking = _Alike(keys), [*keys]
    found = list[str]()
    left = set(asking)
    for one in asking:
        left.discard(one)
        later = reachable(compiled.successors, one) if left else frozenset[str]()
        others = dict.fromkeys(left - later, "side by side")
        others |= {other: "one after the other" for other in alike.to(one) if other in later and not keys[other] <= keys[one]}
        for other in sorted(others, key=compiled.position.__getitem__):
            if keys[one] == keys[other]:
                continue
            if len(found) == CIRCLES_MAX:
                return [*found, "there are more of these; correct the ones above first."]
            found.append(
                Fault(
                    f"steps {one!r} and {other!r} ask for locks {others[other]}, so two such sagas may wait for each other, and "
                    "the younger one turns back; let one step, or the saga, ask for all of them at once.",
                    *_circle(one, other, keys),
                )
            )
    return found


def _circle(one: str, other: str, keys: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """Yield how two sagas come to wait for each other: each holds what the other one wants."""
    first, last = min(keys[one]), max(keys[other])
    yield f"a saga takes {first} for {one}"
    yield f"another one takes {last} for {other if first != last else one}, with other data"
    yield f"the first one waits for {last} in {other}"
    yield "the other one waits for what the first one holds"


class _Alike:
    """Which steps ask for keys of which one may be the other: where one refers to data first, the other one has begun alike."""

    def __init__(self, keys: Mapping[str, Iterable[str]]) -> None:
        self._prefixes = {step: {KeyTemplate.parse(key).prefix for key in each} for step, each in keys.items()}
        self._steps: dict[str, list[str]] = {}
        for step, prefixes in self._prefixes.items():
            for prefix in prefixes:
                self._steps.setdefault(prefix, []).append(step)
        self._sorted = sorted(self._steps)

    def to(self, step: str) -> set[str]:
        """Return the steps that ask for such a key, the step itself left out."""
        found: set[str] = set()
        for prefix in self._prefixes[step]:
            for length in range(len(prefix)):
                found.update(self._steps.get(prefix[:length], ()))
            for longer in self._sorted[bisect_left(self._sorted, prefix) :]:
                if not longer.startswith(prefix):
                    break
                found.update(self._steps[longer])
        return found - {step}
