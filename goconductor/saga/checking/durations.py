"""How long a saga's times may be: what is wrong with them, each fault with its remedy.

A time that lies after the year 9999 can be neither shown nor kept by every database. So nothing lasts for longer than
:data:`~goconductor.saga.retry.SECONDS_MAX`. What was stored before that rule is read all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from goconductor.saga.definition import Definition, Step
from goconductor.saga.retry import SECONDS_MAX


def of_saga(definition: Definition, *, stored: bool = False) -> Iterator[str]:
    """Yield what is wrong with the times of a saga as a whole; what was ``stored`` may be longer than is taken today."""
    if (given := definition.timeout_seconds) is not None and (fault := _fault(given, stored=stored)):
        yield f"its timeout {fault}; leave it out for none."


def of_step(step: Step, *, stored: bool = False) -> Iterator[str]:
    """Yield what is wrong with the times of a step's code; those of waits and delays are looked at with these."""
    if (given := step.timeout_seconds) is not None and (fault := _fault(given, stored=stored)):
        yield f"step {step.id!r} has a timeout of {given:g} seconds; it {fault}."
    if (total := step.total_timeout_seconds) is not None and (fault := _fault(total, stored=stored)):
        yield f"step {step.id!r} has a total timeout of {total:g} seconds; it {fault}. Leave it out for none."
    for name in ("retry", "compensation_retry") if not stored else ():
        policy = getattr(step, name)
        if policy is not None and policy.max_seconds > SECONDS_MAX:
            yield f"step {step.id!r} has {name}.max_seconds {policy.max_seconds:g}; give at most {SECONDS_MAX:.0f}."


def _fault(seconds: float, *, stored: bool) -> str:
    if not 0 < seconds < float("inf"):
        return "must be above zero"
    return f"must be at most {SECONDS_MAX:.0f} seconds, a hundred years" if seconds > SECONDS_MAX and not stored else ""
