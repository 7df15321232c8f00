"""Parameters that a factory makes for each run of a step: what a step needs and no saga can give it."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from goconductor import ArgumentError, Dataflow, DefinitionError, Factory, Participant, Saga, StepContext, TemporaryError
from goconductor.engine.steps.registry import check
from goconductor.testing import World


class Rates:
    """What has no JSON form: a client, a session, a cache."""

    def __init__(self, of: str) -> None:
        self.of = of


MADE: list[Rates] = []
AWAY: list[bool] = []


def rates(context: StepContext) -> Rates:
    if AWAY:
        raise TemporaryError("the rates are away")
    MADE.append(Rates(f"{context.step} {context.direction} {context.attempt}"))
    return MADE[-1]


async def later(context: StepContext) -> Rates:
    return rates(context)


@pytest.fixture(autouse=True)
def _anew() -> None:
    MADE.clear()
    AWAY.clear()


class Desk:
    """A participant whose steps have rates made for them."""

    def __init__(self) -> None:
        self.seen: list[Rates] = []
        self.participant = Participant("desk")

        @self.participant.builder
        async def price(car: str, rates: Annotated[Rates, Factory(rates)]) -> int:
            self.seen.append(rates)
            if len(self.seen) == 1:
                raise TemporaryError("once more")
            return len(car)

        @self.participant.step
        def book(rates: Annotated[Rates, Factory(rates)], price: int) -> int:
            self.seen.append(rates)
            return price

        @book.compensation
        def unbook(rates: Annotated[Rates, Factory(rates)], price: int) -> None:
            self.seen.append(rates)


async def test_each_run_of_a_builder_has_one_of_its_own(world: World) -> None:
    desk = Desk()
    conductor = await world.conductor(desk.participant)
    done = await conductor.run(Dataflow("quote", target="price", builders=[desk.participant]), "q1", {"car": "van"})
    assert done.target == 3
    assert [each.of for each in desk.seen] == ["price action 1", "price action 2"]
    assert desk.seen == MADE


async def test_it_is_no_datum_and_no_input() -> None:
    desk = Desk()
    price: Any = desk.participant.steps["price"]
    assert price.builder.consumes == {"car": "car"}
    assert price.parameters == {"car": True}
    check(desk.participant)


async def test_steps_and_compensations_have_it_as_well(world: World) -> None:
    desk = Desk()
    saga: Saga[Any] = Saga("booking")
    booked = saga.step("desk.book", inputs={"price": 5})
    saga.wait("payment", after=[booked])
    conductor = await world.conductor(desk.participant)
    handle = await conductor.start(saga, None)
    await world.live(1)
    await handle.abort(reason="too dear")
    await world.end_of(handle.saga_id)
    assert [each.of for each in desk.seen] == ["book action 1", "book compensation 1"]


async def test_what_a_factory_raises_fails_the_builder_until_the_next_run(world: World) -> None:
    desk = Desk()
    AWAY.append(True)
    dataflow = Dataflow("quote", target="price", builders=[desk.participant])
    conductor = await world.conductor(desk.participant)
    failed = await conductor.run(dataflow, "q1", {"car": "van"})
    assert failed.failed == {"price": "TemporaryError: the rates are away"}
    assert desk.seen == []
    AWAY.clear()
    assert (await conductor.run(dataflow, "q1")).target == 3


def test_a_factory_that_could_not_be_called_is_refused() -> None:
    with pytest.raises(ArgumentError, match="make"):
        Factory("rates")  # type: ignore[arg-type]

    desk = Participant("desk")

    @desk.step
    async def price(rates: Annotated[Rates, Factory(later)]) -> int:
        return 1

    with pytest.raises(DefinitionError, match="has 'rates' made by an 'async def', which nobody would await"):
        check(desk)
