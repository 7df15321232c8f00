"""A repeat: a step that becomes a turn of several steps, then another one, until its condition holds. It has nothing to undo
itself.

It grows as a map does (:mod:`goconductor.saga.growth`), by one turn at a time. When the last steps of a turn are done its
condition is evaluated, and the answer is kept with the event that ended them. A replay reads it there and grows the same
turns, whatever the condition would answer today. After a rewind the repeat begins again, and its turns have another round.

- The condition holds: the repeat has succeeded, with the output of its last turn.
- It does not: the next turn begins, at once or after a delay. Between two turns the repeat waits, as a delay does.
- It does not after as many turns as there may be, or it cannot be evaluated: the repeat has failed, as a step does; or the
  saga goes on, where the definition says so.

Behind the pivot no step fails, so a repeat is stuck there. Then an operator can ask for one turn more (a retry), go on
without an output (a skip), or declare the output; without one it is that of the last turn.
"""

from __future__ import annotations

from functools import partial

from goconductor.lifecycle.answers import CONDITION_ERROR
from goconductor.lifecycle.facts.effects import SetTimer
from goconductor.lifecycle.facts.state import Failure, Side
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.grown import body_of, last_steps
from goconductor.lifecycle.moves.kinds import growth
from goconductor.lifecycle.moves.seen import seen_by_conditions
from goconductor.saga.data.moments import SECONDS_MAX
from goconductor.saga.growth import STEPS_MAX
from goconductor.saga.ids import Direction

TOO_MANY_TURNS = "TooManyTurnsError"
"""Type of the failure of a repeat whose condition is still false after all its turns, or that has no room for another one."""


def begin(fold: Fold, name: str, cause: type[object] = Advance) -> Failure | None:
    """Begin the next turn. Its first steps may begin then (:func:`goconductor.lifecycle.moves.beginning.advance`)."""
    turn, added = fold.step(name).length or 0, len(body_of(fold.plan, name).order)
    if fold.size + added > STEPS_MAX:
        problem = f"with turn {turn + 1:,} the saga would have {fold.size + added:,} steps; at most {STEPS_MAX:,} are allowed"
        return Failure(TOO_MANY_TURNS, f"{problem}: do less in a saga", retryable=False)
    fold.set_action(name, cause, Side(ActionStatus.GROWN, turn + 1), length=turn + 1)
    growth.grow(fold, name, range(turn, turn + 1))
    return None


def ends(fold: Fold, name: str) -> bool | Failure:
    """Go on after a turn, all of whose steps are done. Return whether it was the last one, or why the repeat has failed.

    Where another turn is to come it begins, or is waited for.
    """
    step, repeat = fold.step(name), fold.plan.steps[name].repeat
    assert repeat is not None  # noqa: S101  (who calls has looked)
    turns = step.length or 0
    asks = last_steps(fold.plan, fold.steps, name)[0]  # it sees what a step of the turn sees
    until = fold.plan.untils[name]
    answer = fold.answer(f"{name}/{step.round}/{turns}", until, partial(seen_by_conditions, fold, asks, until))
    if isinstance(answer, str):
        return Failure(CONDITION_ERROR, answer, retryable=False)
    if answer or (turns >= repeat.max and repeat.at_max == "go_on"):
        return True
    if turns >= repeat.max:
        problem = f"after {turns:,} turn{'s' * (turns > 1)} its condition is still false: {repeat.until}"
        return Failure(TOO_MANY_TURNS, problem, retryable=False)
    if repeat.delay_seconds is None:
        return begin(fold, name) or False
    due_at = min(fold.at + repeat.delay_seconds, SECONDS_MAX)
    fold.set_action(name, Advance, Side(ActionStatus.WAITING, turns, due_at=due_at, since=fold.at))
    fold.set_timer(SetTimer(name, Direction.ACTION, turns, step.round, due_at))
    return False
