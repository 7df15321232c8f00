"""The graph of a saga that has grown: it follows from the plan and the lengths in the state.

A plan knows the steps of a map by their templates. A state knows how many items each map has. A saga without maps needs none
of this. :mod:`goconductor.saga.growth` describes the names.

When a saga turns back, the graph is walked in reverse, through the items. There a map is two places: its join, which is
closed before the last steps of its items, and its *beginning*, which is closed after their first ones. The beginning has the
map's name with ``[]``. It is no step.

The turns of a repeat stand one behind the other: its end comes after the last steps of its last turn, the first steps of a
turn after the last ones of the turn before, and the first ones of its first turn after its beginning. As more turns grow only
at the end, that changes nothing of what was there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from goconductor.lifecycle.facts.state import NOT_STARTED, StepState
from goconductor.saga.growth import Body, split, template
from goconductor.saga.plan import Plan

Steps = Mapping[str, StepState]


def body_of(plan: Plan, map: str) -> Body:
    """Return what a map does for each item, or a repeat in each turn."""
    assert plan.data is not None  # noqa: S101  (it grows)
    return plan.data.bodies[template(map)]


def size(plan: Plan, steps: Steps) -> int:
    """Return how many steps a saga has, those that it has grown included."""
    if plan.data is None:
        return len(plan.order)
    grown = ((name, step.length) for name, step in steps.items() if step.length is not None)
    return len(plan.order) + sum(length * len(body_of(plan, name).order) for name, length in grown)


def exists(plan: Plan, steps: Steps, name: str) -> bool:
    """Return whether a saga has a step of this name by now."""
    if name not in plan.steps:
        return False
    while (found := split(name)) is not None:
        length = steps.get(found.map, NOT_STARTED).length
        if length is None or found.place >= length:
            return False
        name = found.map
    return True


def first_steps(plan: Plan, steps: Steps, map: str) -> list[str]:
    """Return the first steps of all items, in the order of the list; of a repeat those of the turn that begins."""
    return _of_items(steps, map, body_of(plan, map).first, last_only=map in plan.untils)


def last_steps(plan: Plan, steps: Steps, map: str) -> list[str]:
    """Return the last steps of all items, of a repeat those of its last turn: it ends when all of them are done."""
    return _of_items(steps, map, body_of(plan, map).last, last_only=map in plan.untils)


def _of_items(steps: Steps, map: str, ids: Iterable[str], *, last_only: bool = False) -> list[str]:
    length = steps[map].length or 0
    return [f"{map}[{place}].{each}" for place in range(length - 1 if last_only else 0, length) for each in ids]


def in_order(plan: Plan, steps: Steps) -> Iterable[str]:
    """Return all steps, each after those that come before it; a map after the steps of its items."""
    return plan.order if plan.data is None else _in_order(plan, steps, plan.order)


def _in_order(plan: Plan, steps: Steps, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if steps.get(name, NOT_STARTED).length:
            yield from _in_order(plan, steps, _of_items(steps, name, body_of(plan, name).order))
        yield name


def with_items(plan: Plan, steps: Steps, names: Iterable[str]) -> Iterable[str]:
    """Return steps of the plan, and those that the maps among them have grown, in the order of :func:`in_order`."""
    return names if plan.data is None else _in_order(plan, steps, names)


# --- items that are lost


def in_item(plan: Plan, steps: Steps, map: str, place: int) -> Iterator[str]:
    """Yield the steps of an item, those of the maps in it included, each after those that come before it."""
    return _in_order(plan, steps, [f"{map}[{place}].{each}" for each in body_of(plan, map).order])


def lost_around(steps: Steps, name: str) -> tuple[str, int] | None:
    """Return the largest lost item that a step is in, as the name of its map and its place there; None where there is none."""
    lost = None
    while (found := split(name)) is not None:
        name = found.map
        if found.place in steps.get(name, NOT_STARTED).lost:
            lost = name, found.place
    return lost


# --- the way back


class Unclosed(dict[str, int]):
    """The places of the graph that are not closed, where items have slots (:mod:`goconductor.lifecycle.moves.slots`).

    Attributes:
        within: what the names of the maps begin with whose slots count.
        held: the places of the items that have a slot, by map.
        parked: the steps that wait for their item's slot, by map, the last items first: minus the place, and the name.
        first: whether nobody has looked yet who has a slot.
    """

    def __init__(self, places: Mapping[str, int], within: str = "") -> None:
        super().__init__(places)
        self.within = within
        self.held: dict[str, set[int]] = {}
        self.parked: dict[str, list[tuple[int, str]]] = {}
        self.first = True


def unclosed(plan: Plan, steps: Steps) -> dict[str, int]:
    """Return for each place of the graph how many must be closed before it; a place without any has its turn."""
    found = {name: len(plan.successors[name]) for name in in_order(plan, steps)}
    if plan.data is not None:
        found |= dict(_of_growth(plan, steps, [name for name, step in steps.items() if step.length]))
    return found


def unclosed_in(plan: Plan, steps: Steps, names: Collection[str]) -> dict[str, int]:
    """Return the same for some steps only: those of an item, and of the maps in it."""
    among = frozenset(names)
    found = {name: sum(after in among for after in plan.successors[name]) for name in names}
    return found | dict(_of_growth(plan, steps, [name for name in names if steps.get(name, NOT_STARTED).length]))


def _of_growth(plan: Plan, steps: Steps, names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield how many must be closed before the beginnings of what has grown, and before the last steps of turns."""
    for name in names:
        body, length = body_of(plan, name), steps[name].length or 0
        first = len(body.first)
        if name not in plan.untils:
            yield f"{name}[]", length * first
            continue
        yield f"{name}[]", first
        yield from ((f"{name}[{place}].{each}", first) for place in range(length - 1) for each in body.last)


def before(plan: Plan, steps: Steps, name: str) -> Iterable[str]:
    """Return the places of the graph that are next on the way back, once this one is closed."""
    if plan.data is None:
        return plan.predecessors[name]
    if name.endswith("[]"):
        name = name[:-2]
    elif steps.get(name, NOT_STARTED).length:
        return last_steps(plan, steps, name)
    earlier, found = plan.predecessors[name], split(name)
    if earlier or found is None:
        return earlier
    if found.place and found.map in plan.untils:
        return [f"{found.map}[{found.place - 1}].{each}" for each in body_of(plan, found.map).last]
    return (f"{found.map}[]",)
