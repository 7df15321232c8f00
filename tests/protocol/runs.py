"""Runs of a model: the rules as they are, which must hold, and each rule taken away, which must be noticed.

A run's name begins with what it is:

- ``fix-`` the rules as they are. No state may break.
- ``lit-`` an earlier wording of a rule, read literally. It broke: the schedule is why the rule reads as it does now.
- ``mut-`` a rule taken away. A model that does not notice it would prove nothing.
- ``ctl-`` a control: the same faults without the mistake, or a mistake that is known to do no harm.

Most models have a run with many faults at once, which takes minutes. By default a smaller one stands for it;
``GOCONDUCTOR_TEST_PROTOCOL=full`` takes the large ones (`make test-all`).
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.protocol.explorer import Model, explore

FULL = os.environ.get("GOCONDUCTOR_TEST_PROTOCOL") == "full"
NO_WAY = "no way to that"  # a promise is broken


@dataclass(frozen=True)
class Run:
    """One search, and what it must answer."""

    name: str
    model: Model[Any]
    breaks: str | None = None  # words of what must be found; None: nothing may break
    small: Model[Any] | None = None  # what is searched by default


def holds(name: str, model: Model[Any], small: Model[Any] | None = None) -> Run:
    return Run(name, model, None, small)


def breaks(name: str, words: str, model: Model[Any], small: Model[Any] | None = None) -> Run:
    return Run(name, model, words, small)


def each(runs: tuple[Run, ...]) -> pytest.MarkDecorator:
    """Parametrises a test by the runs."""
    return pytest.mark.parametrize("run", runs, ids=[run.name for run in runs])


def search(run: Run) -> None:
    """Search the run, and compare with what is expected."""
    finding = explore(run.model if FULL or run.small is None else run.small)
    if run.breaks is None:
        assert finding.broken is None, f"{run.name}: {finding}"
    else:
        assert finding.broken is not None, f"{run.name} should break with {run.breaks!r}: {finding}"
        assert run.breaks in finding.broken, f"{run.name}: {finding}"


def put(values: tuple[Hashable, ...], place: int, value: Any) -> Any:
    """The tuple with another value at a place."""
    return (*values[:place], value, *values[place + 1 :])
