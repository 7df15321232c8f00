"""Runs of a dataflow over many requests: data come, what can run runs, and the answer says what is missing and who wants it."""

from __future__ import annotations

import asyncio

import pytest

from goconductor import (
    ArgumentError,
    Dataflow,
    DefinitionNotFoundError,
    Participant,
    RequestInvalidError,
    RequestRefusedError,
    Saga,
    SagaStatus,
)
from goconductor.testing import World
from tests.dataflow.conftest import Quotes

ANN = {"age": 30}


async def test_the_data_come_in_three_requests_and_each_answers_what_was_made_and_what_is_missing(
    world: World, quotes: Quotes
) -> None:
    conductor = await world.conductor(quotes.participant)
    first = await conductor.run(quotes.dataflow, "q1", {"customer": ANN})
    assert (first.produced, first.new, first.target) == ({"risk": 30}, ["risk"], None)
    assert first.missing == {"car": ["quotes.price"]}
    assert first.optional == {"voucher": ["quotes.discount"], "tariff": ["quotes.offer"]}
    assert (first.failed, first.running, first.untaken, first.closed) == ({}, [], [], False)

    second = await conductor.run(quotes.dataflow, "q1")
    assert (second.produced, second.new) == ({"risk": 30}, [])

    third = await conductor.run(quotes.dataflow, "q1", {"car": "van"})
    assert third.new == ["price", "offer", "letter"]
    assert third.target == "pay 330"
    assert third.missing == {}
    assert third.saga_id == first.saga_id
    assert quotes.ran == {"risk": 1, "price": 1, "offer": 1, "letter": 1}
    assert quotes.seen == [{"price": 330, "discount": None, "tariff": None}]
    assert third.status is SagaStatus.WAITING


async def test_each_id_is_a_dataflow_of_its_own(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    await conductor.run(quotes.dataflow, "q1", {"car": "van"})
    other = await conductor.run(quotes.dataflow, "q2", {"customer": ANN})
    assert other.missing == {"car": ["quotes.price"]}


async def test_what_is_there_when_a_builder_runs_is_given_to_it_in_the_first_place(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    done = await conductor.run(quotes.dataflow, "q1", {"voucher": "spring", "tariff": "B", "car": "van", "customer": ANN})
    assert done.target == "pay 324"
    assert quotes.seen == [{"price": 330, "discount": 6, "tariff": "B"}]


async def test_a_new_optional_runs_its_builder_again_and_what_depends_on_it_and_nothing_else(
    world: World, quotes: Quotes
) -> None:
    conductor = await world.conductor(quotes.participant)
    await conductor.run(quotes.dataflow, "q1", {"car": "van", "customer": ANN})
    later = await conductor.run(quotes.dataflow, "q1", {"voucher": "spring"})
    assert later.target == "pay 324"
    assert later.new == ["discount", "offer", "letter"]
    assert quotes.ran == {"risk": 1, "price": 1, "offer": 2, "letter": 2, "discount": 1}
    another = await conductor.run(quotes.dataflow, "q1", {"voucher": "christmas"})
    assert another.target == "pay 321"
    assert quotes.ran["price"] == 1


async def test_a_new_value_of_what_is_only_read_runs_nothing(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    await conductor.run(quotes.dataflow, "q1", {"car": "van", "customer": ANN})
    later = await conductor.run(quotes.dataflow, "q1", {"tariff": "C"})
    assert later.new == []
    again = await conductor.run(quotes.dataflow, "q1", {"voucher": "spring"})
    assert again.target == "pay 324"
    assert quotes.seen[-1] == {"price": 330, "discount": 6, "tariff": "C"}


async def test_a_new_value_of_a_given_datum_runs_again_what_was_made_of_it(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    await conductor.run(quotes.dataflow, "q1", {"car": "van", "customer": ANN})
    same = await conductor.run(quotes.dataflow, "q1", {"car": "van"})
    assert same.new == []
    other = await conductor.run(quotes.dataflow, "q1", {"car": "cabrio"})
    assert other.target == "pay 630"
    assert quotes.ran == {"risk": 1, "price": 2, "offer": 2, "letter": 2}


async def test_a_builder_that_fails_holds_up_what_depends_on_it_until_the_next_run_tries_it_again(
    world: World, quotes: Quotes
) -> None:
    conductor = await world.conductor(quotes.participant)
    quotes.broken.add("price")
    failed = await conductor.run(quotes.dataflow, "q1", {"car": "van", "customer": ANN, "voucher": "spring"})
    assert failed.failed == {"price": "PermanentError: price is broken"}
    assert failed.produced == {"risk": 30, "discount": 6}
    assert quotes.ran["offer"] == 0
    quotes.broken.clear()
    mended = await conductor.run(quotes.dataflow, "q1")
    assert mended.target == "pay 324"
    assert quotes.ran == {"risk": 1, "price": 2, "discount": 1, "offer": 1, "letter": 1}


async def test_a_run_tries_a_failed_builder_once(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    quotes.broken.add("risk")
    await conductor.run(quotes.dataflow, "q1", {"customer": ANN})
    again = await conductor.run(quotes.dataflow, "q1")
    assert again.failed == {"risk": "PermanentError: risk is broken"}
    assert quotes.ran == {"risk": 2}


async def test_a_value_that_a_builder_refused_is_replaced_by_another_one(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    refused = await conductor.run(quotes.dataflow, "q1", {"car": "tank", "customer": ANN})
    assert refused.failed == {"price": "RefusedError: nobody insures a tank"}
    assert (await conductor.run(quotes.dataflow, "q1", {"car": "van"})).target == "pay 330"


async def test_closed_it_has_ended_with_its_target_and_takes_no_more(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    early = await conductor.run(quotes.dataflow, "q1", {"car": "van"}, close=True)
    assert not early.closed
    closed = await conductor.run(quotes.dataflow, "q1", {"customer": ANN}, close=True)
    assert (closed.closed, closed.status, closed.target) == (True, SagaStatus.COMPLETED, "pay 330")
    assert await conductor.saga(closed.saga_id).result() == "pay 330"
    assert (await conductor.run(quotes.dataflow, "q1", {"car": "van"})).target == "pay 330"  # the same again
    with pytest.raises(RequestRefusedError, match="'q1' is closed, and car was not taken: begin another one"):
        await conductor.run(quotes.dataflow, "q1", {"car": "bus"})


async def test_a_run_while_another_one_is_under_way_joins_it(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    runs = await asyncio.gather(
        conductor.run(quotes.dataflow, "q1", {"car": "van", "customer": ANN}),
        conductor.run(quotes.dataflow, "q1", {"voucher": "spring"}),
        conductor.run(quotes.dataflow, "q1", {"tariff": "B"}),
    )
    assert len({each.saga_id for each in runs}) == 1
    last = await conductor.run(quotes.dataflow, "q1")
    assert last.target == "pay 324"
    assert quotes.ran["risk"] == quotes.ran["price"] == quotes.ran["discount"] == 1


async def test_two_runs_with_different_values_both_end_and_one_value_stands(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    await conductor.run(quotes.dataflow, "q1", {"car": "van", "customer": ANN})
    await asyncio.gather(*(conductor.run(quotes.dataflow, "q1", {"car": car}) for car in ("bus", "cabrio", "van")))
    last = await conductor.run(quotes.dataflow, "q1")
    assert last.target in {"pay 330", "pay 630"}
    assert quotes.seen[-1]["price"] == last.produced["price"]


async def test_an_empty_product_is_none_and_is_named_as_missing(world: World) -> None:
    shop = Participant("shop")

    @shop.builder
    async def found(name: str) -> str | None:
        return None if name == "nobody" else name

    @shop.builder
    async def greeting(found: str) -> str:
        return f"hello {found}"

    dataflow = Dataflow("greet", target="greeting", builders=[shop])
    conductor = await world.conductor(shop)
    empty = await conductor.run(dataflow, "g1", {"name": "nobody"})
    assert (empty.missing, empty.produced, empty.target) == ({"found": ["shop.greeting"]}, {}, None)
    assert (await conductor.run(dataflow, "g1", {"name": "ann"})).target == "hello ann"


async def test_a_paused_one_takes_nothing_and_says_so(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    begun = await conductor.run(quotes.dataflow, "q1", {"car": "van"})
    await conductor.saga(begun.saga_id).pause(reason="a holiday")
    assert (await conductor.run(quotes.dataflow, "q1")).status is SagaStatus.PAUSED
    with pytest.raises(RequestRefusedError, match="'q1' is paused, and customer was not taken: resume saga"):
        await conductor.run(quotes.dataflow, "q1", {"customer": ANN})
    await conductor.saga(begun.saga_id).resume()
    assert (await conductor.run(quotes.dataflow, "q1", {"customer": ANN})).target == "pay 330"


async def test_an_aborted_one_has_made_nothing(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    begun = await conductor.run(quotes.dataflow, "q1", {"customer": ANN})
    await conductor.saga(begun.saga_id).abort(reason="changed my mind")
    after = await conductor.run(quotes.dataflow, "q1")
    assert (after.status, after.produced, after.closed) == (SagaStatus.COMPENSATED, {}, True)
    with pytest.raises(RequestRefusedError, match="'q1' is compensated, and car was not taken"):
        await conductor.run(quotes.dataflow, "q1", {"car": "van"})


async def test_bad_data_are_refused_place_by_place_before_anything_begins(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    with pytest.raises(RequestInvalidError) as refused:
        await conductor.run(quotes.dataflow, "q1", {"cra": 1, "price": 3, "car": None})
    assert [fault.path for fault in refused.value.faults] == ["data.cra", "data.price", "data.car"]
    assert "did you mean car?" in str(refused.value)
    assert "is made by builder 'quotes.price'" in str(refused.value)
    assert (await conductor.sagas()).sagas == []
    with pytest.raises(RequestInvalidError, match="key should be 1 to 255"):
        await conductor.run(quotes.dataflow, "")
    with pytest.raises(ArgumentError, match="dataflow"):
        await conductor.run(3, "q1")
    with pytest.raises(DefinitionNotFoundError):
        await conductor.run("quotte", "q1")


async def test_a_saga_is_not_run(world: World) -> None:
    shop = Participant("shop")

    @shop.step
    async def pack() -> None: ...

    order: Saga[None] = Saga("order")
    order.step(pack)
    conductor = await world.conductor(shop)
    await conductor.start(order, None)
    with pytest.raises(RequestRefusedError, match="'order' is a saga, and no dataflow"):
        await conductor.run("order", "q1")


async def test_what_has_begun_keeps_its_version_and_what_begins_takes_the_new_one(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    old = await conductor.run(quotes.dataflow, "q1", {"customer": ANN})
    newer = Dataflow("quote", target="price", builders=[quotes.participant])
    kept = await conductor.run(newer, "q1", {"car": "van", "voucher": "spring"})
    assert (kept.version, kept.target) == (old.version, "pay 324")
    fresh = await conductor.run(newer, "q2", {"customer": ANN, "car": "van"})
    assert fresh.version != old.version
    assert fresh.target == 330


async def test_a_run_whose_time_is_over_says_what_is_still_being_made(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor()  # nobody has the builders
    late = await conductor.run(quotes.dataflow, "q1", {"customer": ANN}, timeout_seconds=3)
    assert late.running == ["risk"]
    await world.conductor(quotes.participant)
    assert (await conductor.run(quotes.dataflow, "q1")).produced == {"risk": 30}


async def test_another_process_runs_it_by_its_name(world: World, quotes: Quotes) -> None:
    conductor = await world.conductor(quotes.participant)
    await conductor.run(quotes.dataflow, "q1", {"customer": ANN})
    client = await world.conductor()
    assert (await client.run("quote", "q1", {"car": "van"})).target == "pay 330"
