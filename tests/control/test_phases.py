"""The table of a change's moves: each phase and direction has its move, is over, or is refused; and what each move waits for."""

from __future__ import annotations

import itertools

import pytest

from goconductor.control.installation.phases import MOVES, Direction, Process, Situation, following
from goconductor.errors import RequestRefusedError
from goconductor.ports.store import Instance
from goconductor.ports.store.leading.choices import BUS, Choice, Phase, Report

SETTLED = Choice(kind=BUS, chosen="old", number=4)
JOINING = Choice(kind=BUS, chosen="old", beside="new", phase=Phase.JOINING, number=5, by="ann")
DRAINING = Choice(kind=BUS, chosen="new", beside="old", phase=Phase.DRAINING, number=6, by="ann")


def process(number: int | None, *, names: tuple[str, ...] = ("old", "new"), quiet: bool = True, problem: str = "") -> Process:
    report = None if number is None else Report(names=[*names], uses="old", number=number, quiet=quiet, problem=problem)
    instance = Instance(serial=1, participant="shop", name="shop-1", steps={}, reports={} if report is None else {BUS: report})
    return Process(instance, BUS)


def after(choice: Choice, to: str, *processes: Process, is_over: bool = False) -> tuple[str, str, Phase] | None:
    found = following(Situation(choice, processes, to, is_over))
    return None if found is None else (found.chosen, found.beside, found.phase)


def test_each_phase_and_direction_is_in_the_table_or_refused() -> None:
    missing = {*itertools.product(Phase, Direction)} - MOVES.keys()
    assert missing == {
        (Phase.SETTLED, Direction.BESIDE),  # nothing stands beside it
        (Phase.JOINING, Direction.ANOTHER),
        (Phase.DRAINING, Direction.ANOTHER),
    }
    for choice in (JOINING, DRAINING):
        with pytest.raises(RequestRefusedError, match=r"is being changed.*asked for by ann; end that first"):
            after(choice, "third", process(choice.number))


def test_a_change_goes_forward_when_all_have_arrived() -> None:
    assert after(SETTLED, "new", process(4)) == ("old", "new", Phase.JOINING)
    assert after(JOINING, "new", process(5)) == ("new", "old", Phase.DRAINING)
    assert after(DRAINING, "new", process(6)) == ("new", "", Phase.SETTLED)
    assert after(SETTLED, "old", process(4)) is None


def test_a_change_waits_for_each_process() -> None:
    assert after(SETTLED, "new", process(4), process(None)) is None
    for waited in (process(None), process(4), process(5, problem="no connection")):
        assert after(JOINING, "new", process(5), waited) is None
    assert after(DRAINING, "new", process(5)) is None


def test_a_change_is_turned_back_without_waiting() -> None:
    assert after(JOINING, "old", process(None)) == ("old", "", Phase.SETTLED)
    assert after(DRAINING, "old", process(None)) == ("old", "new", Phase.DRAINING)


def test_when_its_time_is_over_a_bus_that_still_delivers_is_left() -> None:
    busy = process(6, quiet=False)
    assert after(DRAINING, "new", busy) is None
    assert after(DRAINING, "new", busy, is_over=True) == ("new", "", Phase.SETTLED)
    assert after(DRAINING, "new", process(5), is_over=True) is None


def test_a_change_is_refused_where_a_process_could_not_follow() -> None:
    with pytest.raises(RequestRefusedError, match=r"1 living processes do not name bus 'new': shop 1 \(shop-1\)"):
        after(SETTLED, "new", process(4, names=("old",)))
    with pytest.raises(RequestRefusedError, match="living processes use several: old"):
        after(Choice(kind=BUS, chosen=""), "new", process(0))
