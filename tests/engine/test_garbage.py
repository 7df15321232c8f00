"""A participant's own process lets the cycle collector look less often, unless somebody has said otherwise."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from goconductor.engine.facts.garbage import YOUNG_MAX, look_less_often


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    threshold, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)
    (gc.enable if enabled else gc.disable)()


def test_it_looks_less_often() -> None:
    gc.enable()
    gc.set_threshold(700, 10, 10)
    look_less_often()
    assert gc.get_threshold() == (YOUNG_MAX, 10, 10)


@pytest.mark.parametrize("young", [0, YOUNG_MAX, 5 * YOUNG_MAX])
def test_who_has_said_more_or_never_keeps_that(young: int) -> None:
    gc.enable()
    gc.set_threshold(young, 5, 5)
    look_less_often()
    assert gc.get_threshold() == (young, 5, 5)


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    gc.set_threshold(700, 10, 10)
    look_less_often()
    assert (gc.isenabled(), gc.get_threshold()) == (False, (700, 10, 10))
