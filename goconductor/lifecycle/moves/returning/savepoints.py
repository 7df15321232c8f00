"""Back to a savepoint: where something after it fails for good, all that comes after it is undone, and another way is taken.

That is a rewind which begins by itself, and its rules are those of :mod:`rewinding`. What is R? All that comes after the
savepoint, not the savepoint itself. It tells by its output which way the saga is on. Who reads that comes after it, so all of
them are asked anew. The output changes when the rewind *ends*: until then an undo may read on which way was done what it undoes.

- The nearest savepoint before the step that has a way left takes its next one. Savepoints before one step lie on one path, so
  there is a nearest one. Where none has a way left, the saga turns back as a whole.
- Each way is tried once. Of a savepoint that goes back itself no way counts as tried: what comes before it has changed.
- The failure of a step that goes back already is none. One beside a rewind adds what it takes back to that.
- A pivot takes a way only if it certainly never happened: its journal says so, or an operator declared it. Else it could have its
  effect twice, since its new round has a new key. So it is with every step that cannot go back: the saga turns back as a whole.
- A skipped compensation among what would go back turns the saga back as a whole, too, as its effect would be there twice.
- Who has asked to abort the saga wants no other way, and none is taken after the saga's deadline, which may have passed while the
  pivot was at work: it comes once.
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
