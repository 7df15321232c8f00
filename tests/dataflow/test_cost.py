"""What a run costs: an append for each builder and each datum, and no looks at a saga that this process brings further itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from goconductor import Conductor
from goconductor.control.dataflows import runs
from goconductor.testing import World
from tests.dataflow.conftest import Quotes

ANN = {"age": 30}


@pytest.fixture
def asked(world: World, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the log was asked for something, in entries."""
    asked: Counter[str] = Counter()
    log = type(world.store.log)
    for name in ("read", "append"):
        method = getattr(log, name)

        async def counted(self: Any, items: Sequence[Any], *, name: str = name, method: Any = method) -> Any:
            asked[name] += len(items)
            return await method(self, items)

        monkeypatch.setattr(log, name, counted)
    return asked


@pytest.fixture
async def conductor(world: World, quotes: Quotes, asked: Counter[str], monkeypatch: pytest.MonkeyPatch) -> Conductor:
    """Of a process that has all builders. No look at the saga comes from a clock: whoever waits for one never ends."""
    conductor = await world.conductor(quotes.participant)
    await conductor.run(quotes.dataflow, "first", {"car": "van"})  # which registers the dataflow
    monkeypatch.setattr(runs, "POLL_SECONDS", (600.0, 600.0))
    asked.clear()
    return conductor


async def test_a_first_run_reads_nothing_and_appends_once_for_each_datum_and_builder(
    conductor: Conductor, quotes: Quotes, asked: Counter[str]
) -> None:
    done = await conductor.run(quotes.dataflow, "q1", {"customer": ANN, "car": "van"}, close=True)
    assert (done.target, done.closed) == ("pay 330", True)
    data, builders, gates = 2, 4, 2  # risk, price, offer, letter; what offer takes optionally, and what it reads
    left = 2  # voucher and tariff, which are ended when it is closed
    assert asked["append"] <= data + builders + gates + left + 1
    assert asked["read"] == 0, asked


async def test_a_later_run_looks_at_its_saga_once(conductor: Conductor, quotes: Quotes, asked: Counter[str]) -> None:
    await conductor.run(quotes.dataflow, "q1", {"customer": ANN, "car": "van"})
    asked.clear()
    again = await conductor.run(quotes.dataflow, "q1")
    assert (again.target, again.new) == ("pay 330", [])
    assert asked == {"read": 1}
    asked.clear()
    changed = await conductor.run(quotes.dataflow, "q1", {"voucher": "spring"})
    assert changed.target == "pay 324"
    assert asked["read"] == 1


async def test_what_this_process_leaves_at_rest_is_noticed_also_where_another_run_gave_the_datum(
    conductor: Conductor, quotes: Quotes
) -> None:
    begun = await conductor.run(quotes.dataflow, "q1", {"car": "van"})
    await conductor.saga(begun.saga_id).signal("customer", ANN)  # by nobody's run
    done = await conductor.run(quotes.dataflow, "q1")
    assert done.target == "pay 330"
