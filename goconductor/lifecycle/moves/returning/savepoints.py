"""Back to a savepoint: where something after it fails for good, all that comes after it is undone, and another way is taken.

That is a rewind which begins by itself, and its rules are those of :mod:`rewinding`. Its R is all that comes after the
savepoint, without the savepoint itself. The savepoint's output is the way that the saga is on. Only steps after it can read
that, so their conditions are all evaluated again. The output changes when the rewind *ends*: until then an undo can read on
which way its step ran.

- The nearest savepoint before the step that has a way left takes its next one. Savepoints before one step lie on one path, so
  there is a nearest one. Where none has a way left, the saga turns back as a whole.
- Each way is tried once. When a savepoint is undone itself, its ways count as untried: what comes before it has changed.
- A failure of a step that is already being undone has no effect. A failure beside a rewind adds its own steps to that rewind.
- After a failed pivot another way is taken only if the pivot certainly never happened: its journal says so, or an operator
  declared it. Otherwise it could have its effect twice, since its new round has a new key. The same holds for every step that
  cannot be undone: the saga turns back as a whole.
- A skipped compensation among the steps that would be undone turns the saga back as a whole, too, as its effect would be
  there twice.
- After an abort no other way is taken. None is taken after the saga's deadline either, which may have passed while the pivot
  was at work: it comes once.
"""

from __future__ import annotations

from goconductor.lifecycle.facts.rewind import Rewind, Way
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.grown import with_items
from goconductor.lifecycle.moves.returning import rewinding, turning
from goconductor.saga.graph import reachable
from goconductor.saga.growth import outermost


def failed(fold: Fold, name: str, reason: str) -> None:
    """Take another way after a step has failed for good; where there is none, turn back as a whole.

    Args:
        fold: the saga.
        name: the step.
        reason: why it failed, with its name.
    """
    over = (
        fold.backward or not fold.plan.savepoints or fold.reason or fold.fields.get("deadline_passed", fold.state.deadline_passed)
    )
    if over or not _another_way(fold, outermost(name), reason):
        turning.turn_back(fold, reason)


def _another_way(fold: Fold, name: str, reason: str) -> bool:
    ways = fold.ways
    for savepoint in reversed(fold.plan.order):
        if savepoint not in fold.plan.savepoints or name not in (after := reachable(fold.plan.successors, savepoint)):
            continue
        number = ways[savepoint].number + 1 if savepoint in ways else 1
        if number < len(fold.plan.savepoints[savepoint]) and fold.step(savepoint).action.status is ActionStatus.SUCCEEDED:
            return _take(fold, savepoint, after, Way(number, reason))
    return False


def _take(fold: Fold, savepoint: str, after: frozenset[str], way: Way) -> bool:
    known = fold.fields.get("rewind", fold.state.rewind) or Rewind(())
    steps = tuple(name for name in fold.plan.order if name in after or name in fold.rewound)
    if any(rewinding.problem_of(fold, name) is not None for name in with_items(fold.plan, fold.steps, steps)):
        return False
    fold.fields["ways"] = fold.ways | {savepoint: way}
    rewinding.begin(fold, Rewind(steps, known.inputs, known.edits or (known.steps[0] if known.inputs is not None else "")))
    if turning.advance(fold):
        again = rewinding.end(fold)
        fold.joins += [] if fold.paused else again
    return True
