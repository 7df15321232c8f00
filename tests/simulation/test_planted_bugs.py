"""Does the simulation find anything? Each rule of the protocol that is taken away is missed within some seeds."""

from __future__ import annotations

import pytest

from tests.simulation.planted import BUGS, seeds_needed

RUNS_MAX = 400


@pytest.mark.parametrize("name", BUGS)
@pytest.mark.pure("bugs are planted by replacing functions")
def test_a_planted_bug_is_found(name: str) -> None:
    _, found = seeds_needed(BUGS[name], runs_max=RUNS_MAX, first=BUGS[name].near)
    assert found is not None, f"{BUGS[name].about}: not found in {RUNS_MAX} runs"
