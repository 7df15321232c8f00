"""Growth: a step that becomes several when its turn comes, and for which no new plan is made.

A map does its *body*, a few steps, once for each item of a list. The length of the list is known when the step's turn comes. Then
the state remembers that length, and nothing else. The steps that are there from then on have names that say where they are::

    line[3].reserve              the step reserve of the map line, for the item at place 3
    line[3].box[0].pack          a map in a map
    line[3].pay.card.charge      a step of a case, or of a group, within a map: ids of steps may have dots
    wrap.line[3].reserve         a map within a group

So a name can be split (:func:`split`) into what the definition knows, its *template* ``line.reserve``, and where it is. A
compiled definition answers by name: what a step runs, what comes before it. Of a step that has grown it looks up the template,
and puts the place in front of the names that it answers (:class:`ByStep`). Nothing is built or kept for each item, and a plan
without maps has plain dicts.

An item's first steps come after the map's beginning, and the map ends (its *join*) when the last steps of all items are done.
Only that end can be seen from outside: a step after a map comes after its join.

A repeat grows in the same way, one *turn* after the other: ``poll[2].ask`` is a step of its third turn. The first steps of a turn
come after the last ones of the turn before. So it has a length as well, which is how many turns there are by now, and its items
are its turns. Below, a map is either, where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from graphlib import TopologicalSorter
from typing import Any, NamedTuple, TypeVar

import msgspec

from goconductor.saga.definition import Definition, Map, Step
from goconductor.saga.graph import predecessors, with_fallbacks

DEPTH_MAX = 3
"""How deep maps and repeats may stand in one another."""
TURNS_MAX = 1_000
"""How many turns a repeat may have by its definition; the answer of each condition is kept in the log."""
NAME_CHARACTERS_MAX = 255
"""The longest name of a step, with all its indexes."""
STEPS_MAX = 20_000
"""How many steps a saga may have, those that it grows included."""
INDEX_CHARACTERS = len(f"[{STEPS_MAX - 1}]")

V = TypeVar("V")


class Name(NamedTuple):
    """The name of a step that has grown, in its parts.

    Attributes:
        template: what the definition knows of it: the names without indexes.
        map: the name of the map that it is in.
        place: the place of its item in the list, from 0.
        step: its own id.
    """

    template: str
    map: str
    place: int
    step: str

    @property
    def item(self) -> str:
        """What stands in front of the names of all steps of the item."""
        return f"{self.map}[{self.place}]."


@lru_cache(maxsize=4_096)
def split(name: str) -> Name | None:
    """Split the name of a step that has grown; None where it is none."""
    if len(name) > NAME_CHARACTERS_MAX or not 0 < name.count("].") <= DEPTH_MAX:
        return None
    place, _, step = name.rpartition("].")
    within, _, number = place.rpartition("[")
    if not within or not number.isdecimal() or str(int(number)) != number or "[" in step:
        return None
    if "[" not in within:
        return Name(f"{within}.{step}", within, int(number), step)
    above = split(within)
    return None if above is None else Name(f"{above.template}.{step}", within, int(number), step)


def template(name: str) -> str:
    """Return what the definition knows of a step: of one that has not grown its own name."""
    found = split(name)
    return name if found is None else found.template


def outermost(name: str) -> str:
    """Return the map around a step that stands in no other one; of a step that has not grown its own name."""
    return name.partition("[")[0]


def templates(steps: Iterable[Step], above: str = "") -> Iterator[str]:
    """Return the templates of steps, and of those in the maps among them, in the order of the definition."""
    for step in steps:
        yield above + step.id
        yield from templates(step.body, f"{above}{step.id}.")


class Items(msgspec.Struct, frozen=True):
    """What the state remembers of a map that has grown.

    Args:
        length: of the list as it was then.
        given: the list itself, where an operator gave it; else it is what the definition refers to.
        lost: the places of items that failed, or were not needed; they have no outputs.
    """

    length: int
    given: Any = None
    lost: frozenset[int] = frozenset()


def needed(map: Map, length: int) -> int:
    """Return how many items of a map must succeed, of as many as there are."""
    return map.join if isinstance(map.join, int) else length if map.join == "all" else 1


class Body(NamedTuple):
    """What a map does for each item.

    Attributes:
        steps: by their ids, in the order of the definition.
        before: for each the siblings that come before it.
        after: for each the siblings that come after it.
        order: the ids, each after those that come before it.
        first: the ids of those that come after none.
        last: the ids of those that none comes after.
    """

    steps: dict[str, Step]
    before: dict[str, tuple[str, ...]]
    after: dict[str, tuple[str, ...]]
    order: tuple[str, ...]
    first: tuple[str, ...]
    last: tuple[str, ...]


def bodies(definition: Definition) -> dict[str, Body]:
    """Return the bodies of all maps, by the maps' templates, each after that around it. The definition is sound."""
    return dict(_bodies("", definition.steps))


def _bodies(above: str, steps: tuple[Step, ...]) -> Iterator[tuple[str, Body]]:
    for step in steps:
        if step.map is not None or step.repeat is not None:
            yield f"{above}{step.id}", _body(step.body)
            yield from _bodies(f"{above}{step.id}.", step.body)


def _body(do: tuple[Step, ...]) -> Body:
    steps = {step.id: step for step in do}
    named = {step.id: [name for name in predecessors(step) if name in steps] for step in do}
    before = with_fallbacks(steps, named)
    order = tuple(TopologicalSorter(before).static_order())
    after: dict[str, list[str]] = {name: [] for name in steps}
    for name in order:
        for each in before[name]:
            after[each].append(name)
    return Body(
        steps,
        before,
        {name: tuple(each) for name, each in after.items()},
        order,
        tuple(name for name in order if not before[name]),
        tuple(name for name in order if not after[name]),
    )


class ByStep(dict[str, V]):
    """What a plan knows of each step, by its name: a dict of those that the definition has, which answers for grown ones too.

    Args:
        known: of the steps outside of maps.
        inside: of those in maps, by template.
        placed: makes of what is known of a template what is true of a step with that name. Without it both are the same.
    """

    def __init__(self, known: Mapping[str, V], inside: Mapping[str, V], placed: Callable[[V, Name], V] | None = None) -> None:
        super().__init__(known)
        self._inside, self._placed = inside, placed

    def __missing__(self, name: str) -> V:
        found = split(name)
        if found is None or found.template not in self._inside:
            raise KeyError(name)
        value = self._inside[found.template]
        return value if self._placed is None else self._placed(value, found)

    def __contains__(self, name: object) -> bool:
        if super().__contains__(name):
            return True
        found = split(name) if isinstance(name, str) else None
        return found is not None and found.template in self._inside

    def __bool__(self) -> bool:
        return len(self) > 0 or len(self._inside) > 0

    def get(self, name: str, default: Any = None) -> Any:
        """Return what is known of a step, or the default."""
        try:
            return self[name]
        except KeyError:
            return default


class AmongSteps(frozenset[str]):
    """Some steps of a plan: the names of those outside of maps, and the templates of those inside."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and "[" in name and super().__contains__(template(name)))


def inside_of(name: Name, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of siblings of a step that has grown, by their ids."""
    item = name.item
    return tuple(item + each for each in ids)
