"""The slots of a map with a ``concurrency``: so many of its items may be at work at one time.

An item has a slot from the beginning of its first step until the item ends, not only while a step runs: an item that has reserved
and waits for its label is half done, and the slots limit how many items are half done. An item that is lost keeps
its slot until it is undone, and a compensation that is stuck keeps it as well.

The state has no number of slots. Such a number would be forgotten somewhere: where a saga turns back, or a person skips a step.
The statuses of the items' steps say which items have a slot:

- *Forward* items begin in the order of the list, so those that have begun are the first ones. The first that has not is found by
  halving. Each item that ends gives its slot to the next, so no item is looked at for the end of another. While the saga is
  paused no slot is given away; on resume all items are looked at once.
- *Backward* an item has a slot from its first compensation until all of it is closed. The last items of the list come first. What
  has its turn in an item without a slot is put aside (:class:`goconductor.lifecycle.grown.Unclosed`).

The join hears first of an item that ends. So where enough items have succeeded, the free slot is not given to an item that is no
longer needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from heapq import heappop, heappush

from goconductor.lifecycle.facts.state import NOT_STARTED
from goconductor.lifecycle.facts.status import DONE_ACTIONS, NO_COMPENSATION, PENDING, ActionStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.grown import Unclosed, body_of, first_steps, in_item
from goconductor.lifecycle.moves.kinds import call
from goconductor.saga.growth import Name, split

# --- forward


def first(fold: Fold, map: str) -> list[str]:
    """Return the first steps of the items that may begin when a map has grown."""
    concurrency = _slots(fold, map)
    if concurrency is None:
        return first_steps(fold.plan, fold.steps, map)
    fold.given[map] = 0
    return given(fold, map, concurrency)


def given(fold: Fold, map: str, free: int) -> list[str]:
    """Give slots to the next items of a map, and return their first steps; none where all items have a slot.

    Args:
        fold: the saga.
        map: the map's name.
        free: how many slots may be given.
    """
    if fold.paused or _slots(fold, map) is None:
        return []
    its, ids, found = fold.step(map), body_of(fold.plan, map).first, list[str]()
    place, length = _next(fold, map), its.length or 0
    while free and place < length:
        if place not in its.lost:
            found += [f"{map}[{place}].{each}" for each in ids]
            free -= 1
        place += 1
    fold.given[map] = place
    return found


def freed(fold: Fold, found: Name) -> list[str]:
    """Return what may begin as an item has ended by the end of this step; nothing where it has not."""
    if found.place in fold.step(found.map).lost:
        return []  # it ends when it is undone
    done = all(fold.step(found.item + each).action.status in DONE_ACTIONS for each in body_of(fold.plan, found.map).last)
    return given(fold, found.map, 1) if done else []


def with_slots(fold: Fold, names: Iterable[str]) -> Iterator[str]:
    """Yield those of some steps whose items have slots, once all that are free have been given; the saga has been paused."""
    for map, step in fold.steps.items():
        if step.length and (concurrency := _slots(fold, map)) is not None:
            last, begun = body_of(fold.plan, map).last, _next(fold, map)
            at_work = len(step.undoing) + sum(
                place not in step.lost
                and any(fold.step(f"{map}[{place}].{each}").action.status not in DONE_ACTIONS for each in last)
                for place in range(begun)
            )
            given(fold, map, max(concurrency - at_work, 0))
    for name in names:
        inside, held = split(name), True
        while inside is not None and held:
            held = inside.place < fold.given.get(inside.map, inside.place + 1)
            inside = split(inside.map)
        if held:
            yield name


# --- a map that fails


def kept(fold: Fold, map: str, lost: list[int]) -> list[int]:
    """Return those of the lost items of a map that are undone at once: all, or as many as there are slots where all are lost.

    Who is at work keeps its slot. The slots that are free go to the last of those that have succeeded.
    """
    concurrency = _slots(fold, map)
    if concurrency is None or fold.step(map).action.failure is None:
        return lost
    at_work = {place for place in fold.step(map).undoing if _is_at_work(fold, map, place)}
    others = [place for place in reversed(lost) if place not in at_work and is_begun(fold, map, place)]
    free = {*others[: max(concurrency - len(at_work), 0)]}
    return [place for place in lost if place in at_work or place in free or not is_begun(fold, map, place)]


def next_back(fold: Fold, map: str, ended: Collection[int]) -> list[int]:
    """Return the lost item that is given the slot of one that has been undone; none where there are none or all have one.

    Args:
        fold: the saga.
        map: the map, which has failed.
        ended: the items that were undone by this look.
    """
    if _slots(fold, map) is None or fold.paused:
        return []
    for place in sorted(fold.step(map).undoing, reverse=True):
        if place not in ended and not _is_at_work(fold, map, place):
            return [place]
    return []


def is_begun(fold: Fold, map: str, place: int) -> bool:
    """Return whether an item of a map has begun, on its way forward."""
    names = (f"{map}[{place}].{each}" for each in body_of(fold.plan, map).first)
    return any(fold.step(name).action.status is not PENDING for name in names)


def _is_at_work(fold: Fold, map: str, place: int) -> bool:
    """Return whether an item has begun to be undone, or had begun and not ended before."""
    if not is_begun(fold, map, place):
        return False
    names = [*in_item(fold.plan, fold.steps, map, place)]
    if any(fold.step(name).compensation.status is not NO_COMPENSATION for name in names):
        return True
    last = [f"{map}[{place}].{each}" for each in body_of(fold.plan, map).last]
    return any(fold.step(name).action.status not in DONE_ACTIONS for name in last)


def _slots(fold: Fold, map: str) -> int | None:
    definition = fold.plan.steps[map].map
    return None if definition is None else definition.concurrency


def _next(fold: Fold, map: str) -> int:
    """Return the place of the first item that was given no slot."""
    known = fold.given.get(map)
    if known is not None:
        return known
    its, ids = fold.step(map), body_of(fold.plan, map).first
    low, high = 0, its.length or 0
    while low < high:
        middle = (low + high) // 2
        begun = middle in its.lost or any(
            fold.steps.get(f"{map}[{middle}].{each}", NOT_STARTED).action.status is not PENDING for each in ids
        )
        low, high = (middle + 1, high) if begun else (low, middle)
    return low


# --- backward


def compensate(fold: Fold, still: Unclosed, closed: Iterable[str], at_work: Iterable[str], turns: Iterable[str]) -> None:
    """Begin the compensations whose turn has come, as far as there are slots for their items.

    Args:
        fold: the saga.
        still: the places of the graph that are not closed.
        closed: those that were closed by this look.
        at_work: the steps that were found being compensated.
        turns: those whose turn has come.
    """
    changed: dict[str, None] = {}
    for name in closed:
        for each in _levels(fold, still, name):
            if each.place in still.held.get(each.map, ()) and _is_closed(fold, still, each):
                still.held[each.map].discard(each.place)
                changed[each.map] = None
    for name in at_work:
        for each in _levels(fold, still, name):
            still.held.setdefault(each.map, set()).add(each.place)
    names, looked = [*turns], set[str]()
    for name in names if still.first else ():  # later on it is known who has a slot
        for each in _levels(fold, still, name):
            if each.item not in looked and _is_begun(fold, each):
                still.held.setdefault(each.map, set()).add(each.place)
            looked.add(each.item)
    still.first = False
    for name in names:
        _begin(fold, still, name, changed)
    for map in changed:
        _give(fold, still, map)


def _begin(fold: Fold, still: Unclosed, name: str, changed: dict[str, None]) -> None:
    """Compensate a step whose items have their slots; else put it aside for the outermost that has none."""
    for each in _levels(fold, still, name):
        if each.place not in still.held.get(each.map, ()):
            heappush(still.parked.setdefault(each.map, []), (-each.place, name))
            changed[each.map] = None
            return
    call.compensate(fold, name)


def _give(fold: Fold, still: Unclosed, map: str) -> None:
    """Give free slots to those that wait for one, the last items first."""
    parked, held, concurrency = still.parked.get(map, []), still.held.setdefault(map, set()), _slots(fold, map) or 0
    while parked and (-parked[0][0] in held or len(held) < concurrency):
        place, name = heappop(parked)
        held.add(-place)
        inner: dict[str, None] = {}
        _begin(fold, still, name, inner)
        for each in inner:
            _give(fold, still, each)


def _levels(fold: Fold, still: Unclosed, name: str) -> list[Name]:
    """Return the items with slots that a step is in, the outermost first."""
    found, levels = split(name.removesuffix("[]")), list[Name]()
    while found is not None and found.map.startswith(still.within):
        if _slots(fold, found.map) is not None:
            levels.append(found)
        found = split(found.map)
    return levels[::-1]


def _is_begun(fold: Fold, item: Name) -> bool:
    """Return whether an item is being undone. What of it was given up had been undone before, while the saga went forward."""
    steps = (fold.step(name) for name in in_item(fold.plan, fold.steps, item.map, item.place))
    return any(
        step.compensation.status is not NO_COMPENSATION and step.action.status is not ActionStatus.GIVEN_UP for step in steps
    )


def _is_closed(fold: Fold, still: Unclosed, item: Name) -> bool:
    """Return whether nothing of an item is left: its first steps are the last to be closed."""
    names = [item.item + each for each in body_of(fold.plan, item.map).first]
    return not any(name in still or f"{name}[]" in still for name in names)
