"""A rewind: some steps, not all, are undone. Then they are as if they had never begun, in a new round, and the saga goes
forward.

Turning back and a rewind of all steps undo the same steps, but end differently. So the state has the steps of a rewind, R, in
a field of its own, which says "then forward". R is closed under "comes after", and references are edges. The steps after a
step have used its output, and are undone first. R is also closed under "was grown by": a step inside a map brings the whole
map into R. Otherwise old items and new ones would both be there. So R names no step in a map.

While R is undone (:func:`turning.advance` does it, by the rules of turning back):

- Nothing of R starts. What waits is withdrawn. What was sent is awaited while somebody holds its lease, else it is unknown;
  there is no further attempt. What may have had an effect is compensated, in reverse order.
- A step keeps its round until the rewind *ends*. Under that round the outcome that is awaited is taken, and its effect is
  undone. With a new round at the beginning that outcome would be dropped, and nobody would undo the effect. The end gives all
  of R the same new round, from a counter of the saga, so no step has a round twice. Then the items of a map are forgotten,
  and those that it grows again are in that round.
- The join no longer handles an item that was lost: what is left of it to undo is undone with the others.
- Conditions do not see the outputs of steps in R, and no step that could begin refers to them. Compensations still read them.
- A pause holds compensations and the new round. The rest goes on.

A compensation of R that is skipped leaves an effect. With the effect of the new round it would be there twice, and belong to
no step. So such a skip turns the saga back as a whole. For the same reason a rewind is refused while a step of it has a
compensation that was skipped before. It is refused, too, where R has a pivot or a step behind it that was sent: there the
saga only goes forward.

Where a step fails for good, a rewind may also begin by itself (:mod:`savepoints`).

A signal that a wait took stays taken. Inputs that an operator gave are forgotten with the round, unless the request gives
some.
"""

from __future__ import annotations

from collections.abc import Iterable

from goconductor.errors import RequestRefusedError, nearest
from goconductor.lifecycle.facts.events import RestartRequested
from goconductor.lifecycle.facts.rewind import Rewind
from goconductor.lifecycle.facts.state import NOT_COMPENSATED, NOT_SENT
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus
from goconductor.lifecycle.facts.transitions import Rewound
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.grown import with_items
from goconductor.lifecycle.moves.returning import turning
from goconductor.saga.definition import StepRole
from goconductor.saga.graph import reachable
from goconductor.saga.growth import outermost
from goconductor.saga.plan import Plan


def closed(plan: Plan, step: str) -> tuple[str, ...]:
    """Return a step, or the map around it, and all that comes after it, in the order of the plan; without a step, everything.

    Raises:
        RequestRefusedError: the saga has no such step.
    """
    if not step:
        return plan.order
    if step in plan.steps:
        step = outermost(step)
    if step not in plan.steps:
        raise RequestRefusedError(f"saga {plan.name!r} has no step {step[:100]!a}; {nearest(step, plan.steps)}")
    after = reachable(plan.successors, step)
    return tuple(name for name in plan.order if name == step or name in after)


def requested(fold: Fold, event: RestartRequested) -> None:
    """Let an operator's rewind begin.

    Raises:
        RequestRefusedError: the saga's state does not allow it; its text has what is allowed.
    """
    steps = closed(fold.plan, event.from_step)
    if not event.reason:
        raise RequestRefusedError("a restart undoes what stands: give a reason")
    if fold.backward:
        raise RequestRefusedError(f"saga {fold.state.saga_id} turns back as a whole; start another one when it has ended")
    if fold.rewound:
        going = ", ".join(name for name in fold.plan.order if name in fold.rewound)
        raise RequestRefusedError(f"saga {fold.state.saga_id} rewinds already ({going}): wait until these steps begin again")
    if problem := next((why for name in _all_of(fold, steps) if (why := problem_of(fold, name)) is not None), None):
        raise RequestRefusedError(problem)
    if all(fold.step(name).action.status is ActionStatus.PENDING for name in steps):
        first = event.from_step or steps[0]
        raise RequestRefusedError(f"step {first!r} and what comes after it have not begun: there is nothing to restart")
    about = f"step {event.from_step!r}" if event.from_step else "a restart of everything"
    known = fold.plan.steps[event.from_step].editable if event.from_step in fold.plan.order else {}
    if event.inputs and event.from_step and event.from_step not in fold.plan.order:
        growing = f"step {event.from_step!r} goes back with all of"
        if steps[0] in fold.plan.untils:
            raise RequestRefusedError(f"{growing} repeat {steps[0]!r}, which begins with its first turn again: give no inputs")
        raise RequestRefusedError(
            f"{growing} map {steps[0]!r}, which grows anew: give no inputs, or restart from {steps[0]!r} with another list"
        )
    if unknown := sorted(set(event.inputs or ()) - set(known)):
        there = ", ".join(sorted(known)) or "none"
        raise RequestRefusedError(f"{about} has no input {unknown[0]!r}; its inputs are: {there}")
    if locked := sorted(fold.plan.inputs_locked.get(event.from_step, frozenset()) & set(event.inputs or ())):
        raise RequestRefusedError(
            f"{about} cannot be given another {locked[0]!r}: a lock is made of it, and the saga keeps that lock"
        )
    begin(fold, Rewind(steps, event.inputs))


def _all_of(fold: Fold, steps: Iterable[str]) -> Iterable[str]:
    return with_items(fold.plan, fold.steps, steps)


def problem_of(fold: Fold, name: str) -> str | None:
    """Return why a step cannot be taken back to go forward again; None if it can."""
    step, role = fold.step(name), fold.role(name)
    if step.compensation.status is CompensationStatus.SKIPPED:
        return f"the compensation of step {name!r} was skipped, so its effect may stand, and would be there twice: abort the saga"
    never = step.action.status in (ActionStatus.PENDING, ActionStatus.PREVENTED) or name not in fold.plan.sent
    if role is StepRole.COMPENSATABLE or never or not step.action.attempt:
        return None
    what = "the pivot" if role is StepRole.PIVOT else "behind the pivot"
    return f"step {name!r}, {what}, was sent: from there the saga only goes forward; restart from a step after it"


def begin(fold: Fold, rewind: Rewind) -> None:
    """Let these steps go back. They are closed under "comes after"."""
    fold.set_rewind(rewind)
    fold.begun = [name for name in fold.begun if not fold.rewinds(name)]
    fold.grown = [name for name in fold.grown if not fold.rewinds(name)]
    fold.fields["rounds"] = round = fold.fields.get("rounds", fold.state.rounds) + 1
    if grown := [name for name in rewind.steps if fold.step(name).length is not None]:
        fold.fields["regrown"] = fold.fields.get("regrown", fold.state.regrown) | dict.fromkeys(grown, round)
    turning.withdraw(fold, _all_of(fold, rewind.steps))


def end(fold: Fold) -> tuple[str, ...]:
    """Make all steps of the rewind as if they had never begun, and return them. All are undone, nobody is at work on them."""
    rewind: Rewind | None = fold.fields.get("rewind", fold.state.rewind)
    assert rewind is not None  # noqa: S101  (who calls has looked)
    steps, round = rewind.steps, fold.fields.get("rounds", fold.state.rounds)
    for name in steps:
        if fold.step(name).length is not None:
            fold.ungrow(name)
        edited = rewind.inputs if name == (rewind.edits or steps[0]) else None
        fold.set_compensation(name, Rewound, NOT_COMPENSATED)
        fold.set_action(
            name, Rewound, NOT_SENT, output=None, skipping=False, span="", round=round, edited=edited, undo_edited=None
        )
    if regrown := fold.fields.get("regrown", fold.state.regrown):
        fold.fields["regrown"] = {name: round if name in rewind.steps else earlier for name, earlier in regrown.items()}
    if fold.plan.savepoints:
        _ways(fold, steps)
    fold.set_rewind(None)
    fold.remaining = fold.size - fold.done
    return steps


def _ways(fold: Fold, steps: tuple[str, ...]) -> None:
    """Let savepoints say which way is taken from here on. Of one that has gone back itself no way counts as tried."""
    if ways := fold.ways:
        fold.fields["ways"] = ways = {name: way for name, way in ways.items() if name not in steps}
        for name, way in ways.items():
            fold.note(name, output=fold.plan.savepoints[name][way.number])
