"""What is wrong with steps that no participant runs: each fault with its remedy."""

from __future__ import annotations

from collections.abc import Iterator

from goconductor.saga.definition import Delay, Step

SECONDS_MAX = 36_525 * 86_400.0
"""The longest delay, in seconds: a hundred years."""

_OF_CODE = ("run", "inputs", "compensation", "retry", "compensation_retry", "timeout_seconds", "unknowns_max")
"""Fields of a step that say something about its code."""


def of_delay(step: Step, delay: Delay) -> Iterator[str]:
    """Yield what is wrong with a delay; its reference is looked at with the others."""
    yield from _without_code(step, "a delay")
    if (delay.seconds is None) == (delay.until is None):
        yield f"the delay of step {step.id!r} must have either seconds or until; give one of them."
    if delay.seconds is not None and not 0 < delay.seconds <= SECONDS_MAX:
        yield f"the delay of step {step.id!r} has {delay.seconds:g} seconds; give more than 0, and at most {SECONDS_MAX:.0f}."


def _without_code(step: Step, what: str) -> Iterator[str]:
    if given := [name for name in _OF_CODE if getattr(step, name)]:
        yield f"step {step.id!r} is {what}, which nobody runs, but has {', '.join(given)}; leave that out."
    if step.pivot:
        yield f"step {step.id!r} is {what}, which cannot be the pivot; make the step after it the pivot."
