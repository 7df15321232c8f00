"""A datum that is there gets a new value: it is there at any moment, for other runs too, and whenever a process is killed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from goconductor import RequestRefusedError
from goconductor.control.dataflows import asking, moves
from goconductor.control.doors.conductor import engine
from goconductor.testing import World
from tests.dataflow.conftest import Quotes

ANN, BOB = {"age": 30}, {"age": 50}
ALL = {"car": "van", "customer": ANN}


class KilledError(Exception):
    """The process has ended here."""


def around_restarts(
    monkeypatch: pytest.MonkeyPatch,
    before: Callable[[], Awaitable[None]] | None = None,
    after: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Let something happen once, before or after a run asks for a restart."""
    restart, left = asking.restart, [True]

    async def restarting(*asked: Any, **options: Any) -> Any:
        first = bool(left)
        left[:] = left[1:]
        if first and before is not None:
            await before()
        answer = await restart(*asked, **options)
        if first and after is not None:
            await after()
        return answer

    monkeypatch.setattr(asking, "restart", restarting)


async def test_another_run_finds_the_datum_there_right_after_the_restart(
    world: World, quotes: Quotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    conductor = await world.conductor(quotes.participant)
    await conductor.run(quotes.dataflow, "q1", ALL)
    seen = []

    async def another() -> None:
        seen.append(await conductor.run(quotes.dataflow, "q1"))

    around_restarts(monkeypatch, after=another)
    done = await conductor.run(quotes.dataflow, "q1", {"customer": BOB})
    assert [(each.missing, each.target) for each in seen] == [({}, "pay 350")]
    assert done.target == "pay 350"
    assert quotes.ran["risk"] == 2


async def test_a_process_that_is_killed_before_the_restart_has_changed_nothing_and_the_run_may_be_repeated(
    world: World, quotes: Quotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    conductor = await world.conductor(quotes.participant)
    await conductor.run(quotes.dataflow, "q1", ALL)

    async def killed() -> None:
        raise KilledError

    around_restarts(monkeypatch, before=killed)
    with pytest.raises(KilledError):
        await conductor.run(quotes.dataflow, "q1", {"customer": BOB})
    found = await conductor.run(quotes.dataflow, "q1")
    assert (found.missing, found.target) == ({}, "pay 330")
    repeated = await conductor.run(quotes.dataflow, "q1", {"customer": BOB})
    assert repeated.target == "pay 350"
    assert quotes.ran["risk"] == 2
    assert not (await engine(conductor).view(found.saga_id)).state.signals


async def test_of_two_runs_with_different_values_the_last_one_stands_and_both_end(
    world: World, quotes: Quotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    conductor = await world.conductor(quotes.participant)
    await conductor.run(quotes.dataflow, "q1", ALL)

    async def last() -> None:
        assert (await conductor.run(quotes.dataflow, "q1", {"customer": {"age": 60}})).target == "pay 360"

    around_restarts(monkeypatch, before=last)
    first = await conductor.run(quotes.dataflow, "q1", {"customer": BOB})
    assert (first.target, first.untaken) == ("pay 360", [])
    assert not (await engine(conductor).view(first.saga_id)).state.signals


async def test_where_the_restart_is_refused_the_saga_does_not_keep_the_value(
    world: World, quotes: Quotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    conductor = await world.conductor(quotes.participant)
    begun = await conductor.run(quotes.dataflow, "q1", ALL)

    async def refused() -> None:
        raise RequestRefusedError("older code is there")

    around_restarts(monkeypatch, before=refused)
    with pytest.raises(RequestRefusedError, match="older code"):
        await conductor.run(quotes.dataflow, "q1", {"customer": BOB})
    assert not (await engine(conductor).view(begun.saga_id)).state.signals
    assert (await conductor.run(quotes.dataflow, "q1")).target == "pay 330"


async def test_a_value_that_the_saga_cannot_keep_is_given_after_the_restart(
    world: World, quotes: Quotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    conductor = await world.conductor(quotes.participant)
    await conductor.run(quotes.dataflow, "q1", ALL)
    monkeypatch.setattr(moves, "UNTAKEN_BYTES_MAX", 10)
    assert (await conductor.run(quotes.dataflow, "q1", {"customer": BOB})).target == "pay 350"


@pytest.mark.parametrize("gate", ["offer-optionals", "offer-access"])
@pytest.mark.parametrize("said", [None, "x", [1], {}, {"other": 1}])
async def test_a_wait_before_a_builder_that_somebody_has_ended_by_hand_is_asked_anew(
    world: World, quotes: Quotes, gate: str, said: Any
) -> None:
    conductor = await world.conductor(quotes.participant)
    begun = await conductor.run(quotes.dataflow, "q1", {"car": "van"})
    await conductor.saga(begun.saga_id).signal(gate, said)
    done = await conductor.run(quotes.dataflow, "q1", {"customer": ANN})
    assert (done.target, done.failed) == ("pay 330", {})
    assert (await conductor.run(quotes.dataflow, "q1", {"voucher": "spring"})).target == "pay 324"
