"""What is wrong with steps that no participant runs: each fault with its remedy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import NamedTuple

from goconductor.saga.definition import Definition, Delay, Step, Wait
from goconductor.saga.expressions.condition_text import ROOTS
from goconductor.saga.expressions.conditions import ABOUT_SIGNAL, Expression, compile_condition
from goconductor.saga.expressions.value import ABOUT_INPUTS, compile_value
from goconductor.saga.ids import is_name
from goconductor.saga.retry import SECONDS_MAX

QUESTION_CHARACTERS_MAX = 2_000
"""Greatest length of an approval's question, in characters."""

_OF_CODE = (
    "run",
    "inputs",
    "compensation",
    "undo",
    "retry",
    "compensation_retry",
    "timeout_seconds",
    "total_timeout_seconds",
    "unknowns_max",
)
"""Fields of a step that say something about its code."""


def of_delay(step: Step, delay: Delay) -> Iterator[str]:
    """Yield what is wrong with a delay; its reference is looked at with the others."""
    yield from without_code(step, "a delay")
    if (delay.seconds is None) == (delay.until is None):
        yield f"the delay of step {step.id!r} must have either seconds or until; give one of them."
    if delay.seconds is not None and not 0 < delay.seconds <= SECONDS_MAX:
        yield f"the delay of step {step.id!r} has {delay.seconds:g} seconds; give more than 0, and at most {SECONDS_MAX:.0f}."


def of_wait(step: Step, wait: Wait) -> Iterator[str]:
    """Yield what is wrong with a wait; its condition is looked at with the others."""
    yield from without_code(step, "a wait")
    yield from problems_of_wait(f"step {step.id!r}", wait)


def problems_of_wait(what: str, wait: Wait) -> Iterator[str]:
    """Yield what is wrong with what a step, or its undo, waits for.

    Args:
        what: which of them, in words.
        wait: what it waits for.
    """
    if (wait.event is None) == (wait.approval is None):
        yield f"the wait of {what} must have either event or approval; give one of them."
    if wait.event is not None and not is_name(wait.event):
        yield f"{what} waits for {wait.event!r}; name the event by 1 to 100 letters, digits, '_' or '-'."
    if wait.approval is not None and not 0 < len(wait.approval.strip()) <= QUESTION_CHARACTERS_MAX:
        yield f"the approval of {what} has no question; write one, of at most {QUESTION_CHARACTERS_MAX:,} characters."
    if wait.timeout_seconds is not None and not 0 < wait.timeout_seconds <= SECONDS_MAX:
        yield (
            f"the wait of {what} has a timeout of {wait.timeout_seconds:g} seconds; "
            f"give more than 0, and at most {SECONDS_MAX:.0f}, or leave it out to wait without an end."
        )


def of_value(step: Step) -> Iterator[str]:
    """Yield what is wrong with a value; its expression is looked at with the others."""
    yield from without_code(step, "a value", but=("inputs",))


def names_twice(definition: Definition) -> Iterator[str]:
    """Yield each event that has the name of a step which is approved: nobody could say which of the two a signal is for."""
    approved = {step.id for step in definition.steps if step.wait is not None and step.wait.approval is not None}
    for step in definition.steps:
        if step.wait is not None and step.wait.event in approved:
            yield f"step {step.id!r} waits for event {step.wait.event!r}, but a step of that id is approved; rename one of them."


class Asked(NamedTuple):
    """An expression of a step.

    Attributes:
        what: what it is, in words.
        compiled: compiles it; raises ConditionError.
        of_signal: whether it asks about a signal as well.
    """

    what: str
    compiled: Callable[[], Expression]
    of_signal: bool = False


def asked_of(step: Step, roots: frozenset[str] = ROOTS) -> Iterator[Asked]:
    """Yield the expressions of a step, but for the one that ends a repeat, which sees its turn.

    Args:
        step: the step.
        roots: the names of the data that a step there may ask about.
    """
    if step.when is not None:
        yield Asked(f"the condition of step {step.id!r}", partial(compile_condition, step.when, roots))
    if step.value is not None:
        yield Asked(f"the value of step {step.id!r}", partial(compile_value, step.value, roots | ABOUT_INPUTS))
    if step.wait is not None and step.wait.where is not None:
        where = partial(compile_condition, step.wait.where, roots | ABOUT_SIGNAL)
        yield Asked(f"the 'where' of step {step.id!r}", where, of_signal=True)


def without_code(step: Step, what: str, *, but: Collection[str] = ()) -> Iterator[str]:
    """Yield what a step has that belongs to code, which this one does not run."""
    if given := [name for name in _OF_CODE if name not in but and getattr(step, name)]:
        yield f"step {step.id!r} is {what}, which nobody runs, but has {', '.join(given)}; leave that out."
    if step.pivot:
        yield f"step {step.id!r} is {what}, which cannot be the pivot; make the step after it the pivot."
