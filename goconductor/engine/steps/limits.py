"""Limits of a step over all instances, as its owner writes them: ``concurrency_total=5``, ``rate="10/s"``.

They stand with the step's code and not in a definition, since they protect what the code calls. All sagas share them, and there
is one place to change them. Instances of two versions may have two numbers: each uses the first slots as far as its own goes, so
together they are never more than the greater one (:mod:`goconductor.ports.store.log.permits`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import NoneType

from goconductor.errors import check_type
from goconductor.ports.store import Instance, Limit

TOTAL_MAX = 100_000
"""Greatest ``concurrency_total`` of a step: each is a row."""
RATE_MAX = 10_000
"""Greatest count of a rate: each is a row."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RATE = re.compile(r"\s*([0-9]+)\s*/\s*([smhd])\s*", re.ASCII)


def rate_of(rate: str) -> tuple[int, float]:
    """Read a rate.

    Args:
        rate: as ``"10/s"``, ``"100/m"``, ``"1000/h"`` or ``"5000/d"``.

    Returns:
        How many, and in how many seconds.

    Raises:
        ValueError: it is no rate, or the count is out of range.
    """
    found = _RATE.fullmatch(rate)
    if found is None:
        raise ValueError(
            f"{rate!r} is not a rate; write a count for a second, minute, hour or day: '10/s', '100/m', '1000/h', '1/d'"
        )
    count = int(found[1])
    if not 1 <= count <= RATE_MAX:
        raise ValueError(f"the count of a rate must be from 1 to {RATE_MAX}, not {count}; a shorter time has a smaller one")
    return count, _UNITS[found[2]]


def limit_of(target: str, concurrency_total: int | None, rate: str | None) -> Limit | None:
    """Return the limit of a step; None where it has none.

    Args:
        target: ``participant.step``.
        concurrency_total: how many may run at once over all instances.
        rate: how many may begin within a time over all instances.

    Raises:
        ArgumentError: one is of a wrong type.
        ValueError: one is out of range.
    """
    check_type("concurrency_total", concurrency_total, (int, NoneType), "a whole number of steps over all instances")
    check_type("rate", rate, (str, NoneType), "a text such as '10/s'")
    if concurrency_total is not None and not 1 <= concurrency_total <= TOTAL_MAX:
        raise ValueError(f"the concurrency_total of {target!r} must be from 1 to {TOTAL_MAX}, not {concurrency_total}")
    if concurrency_total is None and rate is None:
        return None
    count, interval_seconds = (None, 0.0) if rate is None else rate_of(rate)
    return Limit(target, concurrency_total, count, interval_seconds)


def facts_of(limit: Limit) -> dict[str, object]:
    """Return what is told of a limit when an instance registers; :func:`told` reads it."""
    rate = {} if limit.rate is None else {"rate": limit.rate, "interval_seconds": limit.interval_seconds}
    return {"limit": {"total": limit.total, **rate}}


def told(target: str, facts: Mapping[str, object]) -> Limit | None:
    """Return the limit that an instance told of a step; None where it told of none.

    Args:
        target: ``participant.step``.
        facts: those of the step.
    """
    said = facts.get("limit")
    if not isinstance(said, dict):
        return None
    total, rate, interval = said.get("total"), said.get("rate"), said.get("interval_seconds")
    return Limit(
        target,
        total if isinstance(total, int) else None,
        rate if isinstance(rate, int) else None,
        float(interval) if isinstance(interval, int | float) else 0.0,
    )


def limits_of(instances: Iterable[Instance]) -> dict[str, set[Limit]]:
    """Return the limits that instances told of their steps, by ``participant.step``; several where they differ.

    Args:
        instances: those that count.
    """
    limits: dict[str, set[Limit]] = {}
    for each in instances:
        for step, facts in each.steps.items():
            limit = told(f"{each.participant}.{step}", facts)
            if limit is not None:
                limits.setdefault(limit.step, set()).add(limit)
    return limits
