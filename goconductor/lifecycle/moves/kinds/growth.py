"""A map: a step that becomes several when its turn comes, some for each item of a list. The map itself has nothing to undo.

After a rewind it grows again, and the same names come again. The new steps are in the round that the rewind ended with, so
that no step is twice in one round.

It reads the list's length, and from then on the saga has the steps of all items (:mod:`goconductor.saga.growth`). It has
succeeded when they are done. A step of an item is a step like any other: where it fails for good before the pivot, the saga
turns back; behind the pivot it waits for an operator.
"""

from __future__ import annotations

from collections.abc import Mapping

from goconductor.errors import PayloadError
from goconductor.lifecycle.facts.state import Failure, Referable, Side, StepState
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.grown import body_of
from goconductor.lifecycle.moves.kinds.wait import RECEIVED_MAX
from goconductor.saga.growth import STEPS_MAX, needed, outermost

TOO_FEW = "TooFewItemsError"
"""Type of the failure of a map that has fewer items than its join needs."""
NO_LIST = "NoListError"
"""Type of the failure of a map that has no list, or one that is too long."""
ASKED_MAX = 1_000
"""Number of waits with a ``where`` that one map may grow: a signal may be shown to each of them, and each answer is kept."""


def begin(fold: Fold, name: str, cause: type[object] = Advance) -> Failure | None:
    """Grow. The items' first steps may begin then (:func:`goconductor.lifecycle.moves.beginning.advance`)."""
    data, body = fold.plan.data, body_of(fold.plan, name)
    assert data is not None  # noqa: S101  (it has a map)
    try:
        length = data.length(name, fold.step(name).edited or {}, fold.input, Referable(fold.steps))
    except PayloadError as error:
        return Failure(NO_LIST, str(error), retryable=False)
    map = fold.plan.steps[name].map
    if map is not None and (need := needed(map, length)) > length:
        problem = f"its list has {length:,} items, and {need:,} of them must succeed: give it a longer list, or skip it"
        return Failure(TOO_FEW, problem, retryable=False)
    added = length * len(body.order)
    if fold.size + added > STEPS_MAX:
        problem = f"its list has {length:,} items, so that the saga would have {fold.size + added:,} steps; at most {STEPS_MAX:,}"
        return Failure(NO_LIST, f"{problem} are allowed: give it shorter lists, in several sagas", retryable=False)
    waits = [step.wait for step in body.steps.values() if step.wait is not None]
    asked = sum(wait.where is not None for wait in waits)
    if length * asked > ASKED_MAX or length * len(waits) > RECEIVED_MAX:
        most = ASKED_MAX // asked if asked else RECEIVED_MAX // len(waits)
        problem = f"its list has {length:,} items, but where its steps wait for signals as these do, at most {most:,} are allowed"
        return Failure(NO_LIST, f"{problem}: give it shorter lists, in several sagas", retryable=False)
    fold.set_action(name, cause, Side(ActionStatus.GROWN, 1), length=length)
    grow(fold, name, range(length))
    return None


def grow(fold: Fold, name: str, places: range) -> None:
    """Let a step, whose length says so already, have some items, whose first steps may begin then.

    Args:
        fold: the saga.
        name: the map, or the repeat.
        places: of the items, or the turn, that are new.
    """
    order = body_of(fold.plan, name).order
    fold.size += len(places) * len(order)
    fold.remaining += len(places) * len(order)
    fold.grown.append(name)
    regrown: Mapping[str, int] = fold.fields.get("regrown", fold.state.regrown)  # a rewind may end by the event that begins it
    if (round := regrown.get(outermost(name))) is not None:
        for each in (f"{name}[{place}].{step}" for place in places for step in order):
            fold.steps[each] = StepState(round=round)
