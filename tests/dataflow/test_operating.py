"""What a saga can do, a dataflow can: listeners see its builders, people pause it, restart it and have what was made undone."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from goconductor import Dataflow, Direction, Listener, Participant, RefusedError, SagaStatus, StepContext
from goconductor.control.actor import Actor
from goconductor.control.audit.reading import entries
from goconductor.control.doors.conductor import engine
from goconductor.testing import World
from tests.dataflow.conftest import Quotes


class Seen(Listener):
    """Keeps what it is told."""

    def __init__(self, *steps: str) -> None:
        self.told: list[str] = []
        if steps:
            self.steps = frozenset(steps)

    def before_step(self, context: StepContext) -> None:
        if context.direction is Direction.ACTION:  # that nothing is to be undone of a builder is told as well
            self.told.append(f"before {context.step}")

    def after_step(self, context: StepContext, output: Any) -> None:
        self.told.append(f"after {context.step}: {output}")

    def on_error(self, context: StepContext, error: BaseException) -> None:
        self.told.append(f"error in {context.step}: {error}")

    def saga_started(self, saga_id: UUID, saga: str) -> None:
        self.told.append(f"started {saga}")

    def saga_ended(self, saga_id: UUID, status: SagaStatus) -> None:
        self.told.append(f"ended {status}")


async def test_listeners_see_each_builder_before_after_and_in_error_and_the_dataflow_itself(world: World, quotes: Quotes) -> None:
    everything, one = Seen(), Seen("price")
    quotes.participant.listen(everything)
    quotes.participant.listen(one)
    conductor = await world.conductor(quotes.participant)
    await conductor.run(quotes.dataflow, "q1", {"car": "tank", "customer": {"age": 30}})
    await conductor.run(quotes.dataflow, "q1", {"car": "van"}, close=True)
    assert everything.told[:5] == [
        "started quote",
        "before risk",
        "after risk: 30",
        "before price",
        "error in price: nobody insures a tank",
    ]
    assert everything.told[-1] == "ended completed"
    builders = [each for each in one.told if "price" in each]
    assert builders == ["before price", "error in price: nobody insures a tank", "before price", "after price: 330"]


async def test_restarted_from_the_beginning_all_data_are_missing_again(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    done = await conductor.run(quotes.dataflow, "q1", {"car": "van", "customer": {"age": 30}})
    await conductor.saga(done.saga_id).restart(reason="a new customer")
    empty = await conductor.run(quotes.dataflow, "q1")
    assert empty.produced == {}
    assert empty.missing == {"customer": ["quotes.risk"], "car": ["quotes.price"]}
    again = await conductor.run(quotes.dataflow, "q1", {"car": "bus", "customer": {"age": 50}})
    assert again.target == "pay 350"


async def test_restarted_from_a_datum_all_that_depends_on_it_is_made_again(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    done = await conductor.run(quotes.dataflow, "q1", {"car": "van", "customer": {"age": 30}})
    await conductor.saga(done.saga_id).restart("price", reason="the tariff was wrong")
    again = await conductor.run(quotes.dataflow, "q1")
    assert again.target == "pay 330"
    assert quotes.ran == {"risk": 1, "price": 2, "offer": 2, "letter": 2}


async def test_what_a_builder_did_is_undone_before_it_runs_again_and_when_the_dataflow_is_aborted(world: World) -> None:
    held: list[str] = []
    desk = Participant("desk")

    @desk.builder
    async def table(guests: int) -> str:
        if guests > 8:
            raise RefusedError("no table is so large")
        held.append(f"table for {guests}")
        return held[-1]

    @table.compensation
    async def release(guests: int) -> None:
        if f"table for {guests}" in held:
            held.remove(f"table for {guests}")

    @desk.builder
    async def confirmation(table: str) -> str:
        return f"your {table}"

    dataflow = Dataflow("dinner", target="confirmation", builders=[desk])
    conductor = await world.conductor(desk)
    await conductor.run(dataflow, "d1", {"guests": 2})
    more = await conductor.run(dataflow, "d1", {"guests": 6})
    assert (more.target, held) == ("your table for 6", ["table for 6"])
    many = await conductor.run(dataflow, "d1", {"guests": 20})
    assert (many.failed, held) == ({"table": "RefusedError: no table is so large"}, [])
    few = await conductor.run(dataflow, "d1", {"guests": 4})
    assert held == ["table for 4"]
    await conductor.saga(few.saga_id).abort(reason="no appetite")
    assert (await conductor.run(dataflow, "d1")).status is SagaStatus.COMPENSATED
    assert held == []


async def test_the_parts_of_a_run_stand_in_the_audit_log_as_what_they_are(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    await conductor.run(quotes.dataflow, "q1", {"customer": {"age": 30}, "car": "van"}, by="ann")
    await conductor.run(quotes.dataflow, "q1", {"car": "bus"}, by="bob")
    page = await entries(Actor("auditor"), engine(conductor), limit=50)
    noted = Counter((each.actor, each.function, each.outcome) for each in page.entries)
    assert noted["ann", "dataflows.runs.run", "begun"] == noted["bob", "dataflows.runs.run", "begun"] == 1
    assert noted["ann", "sagas.signals.signal", "done"] >= 2
    assert noted["bob", "sagas.requests.ask", "done"] == 1
    assert {each.function for each in page.entries} <= {
        *("dataflows.runs.run", "definitions.versions.register", "sagas.signals.signal", "sagas.requests.ask")
    }
