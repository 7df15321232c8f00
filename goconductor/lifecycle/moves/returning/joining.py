"""A join that needs not all items: one that succeeded (``any``), or a number of them.

An item of such a map fails as a whole, and so does one that is not needed any more. It is *lost*: nothing of it begins any more,
what was sent is awaited or settled, and what may have had an effect is compensated in the reverse order of the graph, within
the item. The rules are those of turning back, and nothing else of the saga is undone. If only the failed step itself was undone,
what its item had done before would stand.

An item that is lost ends when nothing of it is left to undo. Then all its steps are done: given up where they had run, and
skipped where they had not. The map awaits them like any others. It gives null for the item.

An item has *succeeded* when its last steps are done, and at least one of them, or its fallback, has succeeded. Where all of them
were skipped or given up, the item has no output. Then it is lost, like an item that has failed: otherwise it could take the place
of items that are at work.

- An item's failure is tolerated while enough others can still succeed. Beyond that the map fails, as a step does that fails for
  good: the saga turns back, or the item is lost that the map is in.
- When enough items have succeeded, the others are lost too. The map ends only when they are undone. Otherwise the pivot could run
  while something before it is at work.
- Where there are too few items from the beginning, the map fails before anything is sent (:mod:`kinds.growth`).
- Behind the pivot nothing is undone. There the map awaits all its items, as a join of all does.
- A compensation that is skipped leaves an effect standing, and the saga says so by step. One that is stuck holds up the join.

A map that may fail (``allow_fail``, ``fallback``) fails with all its items: they are lost together, and when they are undone the
map is given up, as a step is. Until then it has its failure, and it has grown. A map with slots has them here as well: who is at
work keeps its slot, and of those that have succeeded the last of the list go first.

The state of the map says which items are lost, and which of these are still being undone. Everything else follows from the
statuses of the items' steps.
"""

from __future__ import annotations

from collections.abc import Iterable

from goconductor.lifecycle.facts.state import Failure
from goconductor.lifecycle.facts.status import (
    ACTION_GROWN,
    ACTION_SUCCEEDED,
    DONE_ACTIONS,
    MAY_HAVE_RUN,
    OPEN_ACTIONS,
    ActionStatus,
)
from goconductor.lifecycle.facts.transitions import Lost
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.grown import Unclosed, body_of, in_item, lost_around, unclosed_in
from goconductor.lifecycle.moves import slots
from goconductor.lifecycle.moves.returning import savepoints, turning
from goconductor.saga.definition import Map, StepRole
from goconductor.saga.growth import Name, needed, split

ITEM_FAILED = "ItemFailedError"
"""Type of the failure of a map that may fail, too few of whose items can succeed."""


def after(fold: Fold, name: str) -> tuple[str, ...]:
    """Return what may begin after a step that is done. Where its item ends by that, it counts for the join and frees a slot."""
    after = fold.plan.successors[name]
    if fold.plan.ends_items and (found := split(name)) is not None and found.step in body_of(fold.plan, found.map).last:
        if fold.plan.loses:
            _last_done(fold, name, found)
        if fold.plan.bounded:  # only now, so that none of those has it who are not needed any more
            return (*after, *slots.freed(fold, found))
    return after


def failed(fold: Fold, name: str, reason: str) -> bool:
    """Let the item be lost that a step has failed in, or all items of a map that may fail. False where nothing can do without.

    Args:
        fold: the saga.
        name: the step.
        reason: why it has failed, in words.
    """
    found = split(name)
    while found is not None:
        map, its = found.map, fold.step(found.map)
        definition = fold.plan.steps[map].map
        if definition is not None and definition.join != "all" and its.length is not None:
            left = its.length - len(its.lost) - (found.place not in its.lost)
            if left >= needed(definition, its.length):
                _lose(fold, map, [found.place])
                return True
        if its.length is not None and fold.tolerates(map):
            fold.note(map, action=its.action.to(its.action.status, failure=Failure(ITEM_FAILED, reason, retryable=False)))
            _lose(fold, map, [place for place in range(its.length) if place not in its.lost])
            return True
        found = split(map)
    return False


def _last_done(fold: Fold, name: str, found: Name) -> None:
    """Go on after a last step. Behind the pivot items are only awaited."""
    map = found.map
    definition = fold.plan.steps[map].map
    if definition is None or definition.join == "all" or fold.role(map) is not StepRole.COMPENSATABLE or fold.goes_back(name):
        return
    if not _is_done(fold, map, found.place):
        return
    if _has_given(fold, map, found.place):
        _without_surplus(fold, definition, found)
        return
    reason = f"map {map!r}: too few items have succeeded; the last steps of item {found.place} did not run"
    if not failed(fold, name, reason):
        savepoints.failed(fold, map, reason)


def _without_surplus(fold: Fold, definition: Map, found: Name) -> None:
    """Let the other items be lost where, with one that has succeeded, there are enough."""
    map, last = found.map, body_of(fold.plan, found.map).last
    its = fold.step(map)
    length = its.length or 0
    need = needed(definition, length)
    if map in fold.won:
        fold.won[map].add(found.place)
    else:
        done = length * len(last) - fold.awaits(map) - len(last) * (len(its.lost) - len(its.undoing))
        if done < need * len(last):
            return  # so no item has to be looked at
        fold.won[map] = {place for place in range(length) if place not in its.lost and _has_succeeded(fold, map, place)}
    if need <= len(fold.won[map]) < length - len(its.lost):
        going = (place for place in range(length) if place not in its.lost)
        _lose(fold, map, [place for place in going if not _has_succeeded(fold, map, place)])


def _has_succeeded(fold: Fold, map: str, place: int) -> bool:
    return _is_done(fold, map, place) and _has_given(fold, map, place)


def _is_done(fold: Fold, map: str, place: int) -> bool:
    last = body_of(fold.plan, map).last
    return all(fold.step(f"{map}[{place}].{each}").action.status in DONE_ACTIONS for each in last)


def _has_given(fold: Fold, map: str, place: int) -> bool:
    """Return whether a last step of an item has succeeded, or the one that it stands in for."""
    names = [f"{map}[{place}].{each}" for each in body_of(fold.plan, map).last]
    for name in names:
        if fold.step(name).action.status is ACTION_SUCCEEDED:
            return True
        if (first := fold.plan.stands_for.get(name)) is not None:
            names.append(first)
    return False


def undo(fold: Fold, name: str) -> None:
    """Go on with the item that is lost around a step."""
    if (lost := lost_around(fold.steps, name)) is not None:
        map, place = lost
        _undo(fold, map, [place])


def resume(fold: Fold) -> None:
    """Go on with all items that are being undone."""
    for map in [name for name, step in fold.steps.items() if step.undoing and not fold.goes_back(name)]:
        _undo(fold, map, slots.kept(fold, map, sorted(fold.step(map).undoing)))


def _lose(fold: Fold, map: str, places: list[int]) -> None:
    """Let items be lost, all by one look at each: there can be thousands of them."""
    its, lost = fold.step(map), frozenset(places)
    fold.note(map, lost=its.lost | lost, undoing=its.undoing | lost)
    turning.withdraw(fold, [name for place in places for name in in_item(fold.plan, fold.steps, map, place)])
    _undo(fold, map, slots.kept(fold, map, places))


def _undo(fold: Fold, map: str, places: Iterable[int]) -> None:
    """Begin the compensations of lost items whose turn has come, and end the items in which none is left."""
    waiting, ended = [*places][::-1], set[int]()
    while waiting:
        place = waiting.pop()
        has_slot = fold.step(map).action.failure is not None and slots.is_begun(fold, map, place)
        if not _is_undone(fold, map, place):
            continue
        ended.add(place)
        if has_slot:  # it is for one that has succeeded, and waits to be undone
            waiting += slots.next_back(fold, map, ended)
    if ended:
        fold.note(map, undoing=fold.step(map).undoing - ended)
        its = fold.step(map)
        if not its.undoing and its.action.failure is not None and its.action.status is ACTION_GROWN:
            fold.set_action(map, Lost, its.action.to(ActionStatus.GIVEN_UP))
            fold.joins += after(fold, map)
        fold.remaining = fold.size - fold.done
        fold.joins += [map, *slots.given(fold, map, len(ended))]


def _is_undone(fold: Fold, map: str, place: int) -> bool:
    """Begin what has its turn in a lost item. True if nothing is left, and its steps are done by that."""
    names = [*in_item(fold.plan, fold.steps, map, place)]
    if any(fold.step(name).action.status in OPEN_ACTIONS for name in names):
        return False
    still = unclosed_in(fold.plan, fold.steps, names)
    if fold.plan.bounded:
        still = Unclosed(still, within=f"{map}[{place}].")
    turning.compensate(fold, still, [name for name, after in still.items() if not after])
    if still:
        return False
    for name in names:
        step = fold.step(name)
        action = step.action
        if step.undoing:  # of a map in this item: they were undone with it
            fold.note(name, undoing=frozenset())
        if action.status in MAY_HAVE_RUN:
            fold.set_action(name, Lost, action.to(ActionStatus.GIVEN_UP), output=None)
        elif action.status not in DONE_ACTIONS:
            fold.set_action(name, Lost, action.to(ActionStatus.SKIPPED))
    return True
