"""A join that needs not all items: one that succeeded (``any``), or a number of them.

An item of such a map fails as a whole, and so does one that is not needed any more. It is *lost*: nothing of it begins any more,
what was sent is awaited or settled, and what may have had an effect is compensated in the reverse order of the graph, within
the item. The rules are those of turning back, and nothing else of the saga goes back. Where only the step failed that was last,
what its item had done before would stand.

An item that is lost ends when nothing of it is left to undo. Then all its steps are done: given up where they had run, and
skipped where they had not. So the join counts them like any others. It gives null for the item.

- An item's failure is tolerated while enough others can still succeed. Beyond that the map fails, as a step does that fails for
  good: the saga turns back, or the item is lost that the map is in.
- When enough items have succeeded, the others are lost too. Only when they are undone the map ends. The pivot could run else
  while something before it is at work.
- Too few items from the beginning are the failure of the map, before anything is sent (:mod:`kinds.growth`).
- Behind the pivot nothing is undone. There the map awaits all its items, as a join of all does.
- A compensation that is skipped leaves an effect standing, and the saga says so by step. One that is stuck holds up the join.

Which items are lost, and which of these are still being undone, stands in the state of the map. Everything else is told from
the statuses of the items' steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from goconductor.lifecycle.facts.state import DONE_ACTIONS, OPEN_ACTIONS, ActionStatus
from goconductor.lifecycle.facts.transitions import Lost
from goconductor.lifecycle.fold import ACTION_GROWN, MAY_HAVE_RUN, Fold
from goconductor.lifecycle.grown import body_of, in_item, lost_around, unclosed_in
from goconductor.lifecycle.moves import turning
from goconductor.saga.definition import StepRole
from goconductor.saga.growth import needed, split


def failed(fold: Fold, name: str) -> bool:
    """Let the item be lost that a step has failed in. False where no join around it can do without."""
    found = split(name)
    while found is not None:
        map, its = found.map, fold.step(found.map)
        definition = fold.plan.steps[map].map
        if definition is not None and definition.join != "all" and its.length is not None:
            left = its.length - len(its.lost | {found.place})
            if left >= needed(definition, its.length):
                _lose(fold, map, [found.place])
                return True
        found = split(map)
    return False


def without_surplus(fold: Fold, name: str) -> None:
    """Where enough items of a map have succeeded, let the others be lost. Behind the pivot they are awaited."""
    its, definition = fold.step(name), fold.plan.steps[name].map
    if definition is None or definition.join == "all" or its.length is None or its.action.status is not ACTION_GROWN:
        return
    need, last = needed(definition, its.length), body_of(fold.plan, name).last
    if its.length - len(its.lost) == need or fold.role(name) is not StepRole.COMPENSATABLE or fold.goes_back(name):
        return
    done = its.length * len(last) - fold.awaits(name)
    if (done - len(its.lost - its.undoing) * len(last)) // len(last) < need:
        return  # so no item has to be looked at
    going = [place for place in range(its.length) if place not in its.lost]
    steps = fold.steps
    surplus = [
        place
        for place in going
        if any((step := steps.get(f"{name}[{place}].{each}")) is None or step.action.status not in DONE_ACTIONS for each in last)
    ]
    if len(going) - len(surplus) >= need:
        _lose(fold, name, surplus)


def undo(fold: Fold, name: str) -> None:
    """Go on with the item that is lost around a step."""
    if (lost := lost_around(fold.steps, name)) is not None:
        _undo(fold, *lost)


def resume(fold: Fold) -> None:
    """Go on with all items that are being undone."""
    for map, place in [*_undoing(fold)]:
        _undo(fold, map, place)


def _undoing(fold: Fold) -> Iterator[tuple[str, int]]:
    for name, step in fold.steps.items():
        if step.undoing and not fold.goes_back(name):
            yield from ((name, place) for place in sorted(step.undoing))


def _lose(fold: Fold, map: str, places: Iterable[int]) -> None:
    its, lost = fold.step(map), frozenset(places)
    fold.note(map, lost=its.lost | lost, undoing=its.undoing | lost)
    for place in sorted(lost):
        turning.withdraw(fold, in_item(fold.plan, fold.steps, map, place))
        _undo(fold, map, place)


def _undo(fold: Fold, map: str, place: int) -> None:
    """Begin the compensations of a lost item whose turn has come; when none is left, end it."""
    names = [*in_item(fold.plan, fold.steps, map, place)]
    if any(fold.step(name).action.status in OPEN_ACTIONS for name in names):
        return
    still = unclosed_in(fold.plan, fold.steps, names)
    turning.compensate(fold, still, [name for name, after in still.items() if not after])
    if still:
        return
    for name in names:
        action = fold.step(name).action
        if action.status in MAY_HAVE_RUN:
            fold.set_action(name, Lost, action.to(ActionStatus.GIVEN_UP), output=None)
        elif action.status not in DONE_ACTIONS:
            fold.set_action(name, Lost, action.to(ActionStatus.SKIPPED))
    fold.note(map, undoing=fold.step(map).undoing - {place})
    fold.remaining = fold.size - fold.done
    fold.joins.append(map)
