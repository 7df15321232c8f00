"""What a program holds of a saga: a typed result, all that doors show of it, and all that they ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel

from goconductor import (
    Conductor,
    Participant,
    PayloadError,
    RefusedNowError,
    RequestIdReusedError,
    RequestInvalidError,
    Saga,
    SagaChangedError,
    SagaHandle,
    SagaNotFoundError,
    SagaStatus,
    StepNotFoundError,
    TerminatedError,
)
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas import queries
from goconductor.testing import World
from tests.control.conftest import Bench

UNKNOWN = UUID("01920000-0000-7000-8000-000000000000")


@dataclass
class Place:
    shelf: int


class Receipt(msgspec.Struct):
    number: str
    places: list[Place]


class Label(BaseModel):
    text: str


class Weight(NamedTuple):
    grams: int
    on: str


shop = Participant("shop")


@shop.step
async def charge(order: str) -> Receipt:
    return Receipt(f"r-{order}", [Place(3)])


@shop.step
async def label() -> Label:
    return Label(text="fragile")


@shop.step
async def weigh() -> Weight:
    return Weight(7, "scales")


@shop.step
async def shelves() -> dict[str, tuple[Place, ...]]:
    return {"left": (Place(1), Place(2))}


@shop.step
async def untold() -> Any:
    return {"any": 1}


def saga(name: str) -> tuple[Saga[str], Any]:
    made = Saga(name, input=str)
    return made, made.step(charge, inputs={"order": made.input})


async def result(made: Saga[Any, Any], input: Any = "17") -> Any:
    async with World() as world:
        return await (await (await world.conductor(shop)).start(made, input)).result()


async def test_a_result_is_a_value_of_the_type_that_its_step_is_annotated_with() -> None:
    made, charged = saga("whole")
    made.returns(charged.output)
    assert await result(made) == Receipt("r-17", [Place(3)])


async def test_a_part_of_an_output_has_the_type_of_its_field() -> None:
    made, charged = saga("part")
    made.returns(charged.output.places[0])
    assert await result(made) == Place(3)
    made.returns(charged.output.number)
    assert await result(made) == "r-17"


async def test_models_named_tuples_and_collections_come_back_as_such() -> None:
    for action, given in (
        (label, Label(text="fragile")),
        (weigh, Weight(7, "scales")),
        (shelves, {"left": (Place(1), Place(2))}),
        (untold, {"any": 1}),
    ):
        made: Saga[Any, Any] = Saga("kinds")
        made.returns(made.step(action).output)
        assert await result(made, None) == given
    made = Saga("item")
    made.returns(made.step(weigh).output.on)
    assert await result(made, None) == "scales"
    made = Saga("items")
    made.returns(made.step(shelves).output["left"][1])
    assert await result(made, None) == Place(2)


async def test_a_step_that_is_known_by_name_has_the_output_that_the_saga_declares() -> None:
    made: Saga[Any, Any] = Saga("named")
    made.returns(made.step("shop.charge", output=Receipt, inputs={"order": "5"}).output)
    assert await result(made, None) == Receipt("r-5", [Place(3)])


async def test_the_input_and_constants_can_be_answered() -> None:
    made: Saga[Any, Any] = Saga("given", input=Place)
    made.step(label)
    made.returns(made.input)
    assert await result(made, Place(5)) == Place(5)
    made.returns({"always": [1]})
    assert await result(made, Place(5)) == {"always": [1]}


async def test_what_a_skipped_step_answers_is_none() -> None:
    made: Saga[Any, Any] = Saga("skipped")
    made.step(untold)
    made.returns(made.step(label, when="false").output)
    assert await result(made, None) is None


async def test_a_saga_that_names_no_result_answers_all_outputs_typed() -> None:
    made, _ = saga("all")
    made.step(label, when="false")
    made.step(untold)
    assert await result(made) == {"charge": Receipt("r-17", [Place(3)]), "label": None, "untold": {"any": 1}}


async def test_a_result_is_nobodys_to_change() -> None:
    made: Saga[Any, Any] = Saga("own")
    made.returns(made.step(untold).output)
    async with World() as world:
        handle = await (await world.conductor(shop)).start(made, None)
        (await handle.result())["any"] = 2
        assert await handle.result() == {"any": 1}


async def test_a_result_of_an_older_version_that_does_not_fit_is_told() -> None:
    older: Saga[Any, Any] = Saga("order")
    older.returns(older.step(untold).output)
    newer, charged = saga("order")
    newer.returns(charged.output)
    async with World() as world:
        conductor = await world.conductor(shop)
        handle = await conductor.start(older, None, key="17")
        await handle.result()
        with pytest.raises(
            PayloadError, match=rf"the result of saga {handle.saga_id} is no .*Receipt.*take its output from view"
        ):
            await (await conductor.find(newer, key="17")).result()
        assert (await conductor.find("order", key="17")).saga_id == handle.saga_id
        assert await (await conductor.find("order", key="17")).result() == {"any": 1}


@pytest.fixture
async def conductor(bench: Bench) -> Conductor:
    return Conductor(bench.node)


def held(conductor: Conductor, saga_id: UUID) -> SagaHandle[Any]:
    return conductor.saga(saga_id)


async def test_a_handle_shows_and_lists_what_doors_show(bench: Bench, conductor: Conductor) -> None:
    saga_id = await bench.stuck()
    handle = held(conductor, saga_id)
    assert await handle.view() == await queries.saga_status(ANYBODY, bench.node, saga_id)
    whole = await handle.history()
    assert whole == await queries.history(ANYBODY, bench.node, saga_id)
    page = await handle.history(limit=2)
    assert page.after == page.entries[-1].seq
    assert (await handle.history(after=page.after)).entries == whole.entries[2:]


async def test_operators_requests_are_asked_by_a_handle(bench: Bench, conductor: Conductor) -> None:
    handle = held(conductor, await bench.start(card="busy"))
    paused = await handle.pause(reason="stocktaking", by="ann", request_id="one")
    assert (paused.status, paused.reason) == (SagaStatus.PAUSED, "stocktaking")
    assert (await handle.pause(reason="stocktaking", by="ann", request_id="one")).revision == paused.revision
    with pytest.raises(RequestIdReusedError):
        await handle.resume(request_id="one")
    with pytest.raises(RefusedNowError, match="allowed now: resume"):
        await handle.pause()
    assert (await handle.resume(by="ann", revision=paused.revision)).status == "running"
    with pytest.raises(SagaChangedError):
        await handle.abort(revision=paused.revision)
    with pytest.raises(RequestInvalidError, match="is no revision of a saga"):
        await handle.abort(revision="yesterday")
    await handle.edit_input("charge", inputs={"card": "4242"}, reason="a new card", by="ann")
    assert await bench.last(handle.saga_id) == (
        "InputEdited",
        {"inputs": {"card": "4242"}, "reason": "a new card", "by": "ann"},
    )
    with pytest.raises(StepNotFoundError, match="did you mean charge"):
        await handle.retry("charg")
    assert (await handle.abort(reason="the customer left", by="ann")).reason == "aborted: the customer left"
    assert (await bench.world.end_of(handle.saga_id)).phase == "compensated"


async def test_a_stuck_step_is_retried_skipped_and_declared_by_a_handle(bench: Bench, conductor: Conductor) -> None:
    stuck = [held(conductor, await bench.stuck()) for _ in range(4)]
    await stuck[0].retry("reserve", by="ann")
    await stuck[1].skip("reserve", reason="by hand", by="ann")
    await stuck[2].declare("reserve", happened=True, reason="looked", by="ann")
    assert (await stuck[3].terminate(reason="over", by="ann")).status == "terminating"
    with pytest.raises(TerminatedError, match="over"):
        await stuck[3].result()
    names = [[entry.event for entry in (await each.history()).entries] for each in stuck]
    asked = ["RetryRequested", "SkipRequested", "OutcomeDeclared", "TerminationRequested"]
    assert [name in events for name, events in zip(asked, names, strict=True)] == [True] * 4


async def test_sagas_are_found_by_key_and_listed_in_pages(bench: Bench, conductor: Conductor) -> None:
    started = [await conductor.start(bench.saga, {"stock": "tea", "card": "busy"}, key=str(n)) for n in range(3)]
    assert (await conductor.find(bench.saga, key="1")).saga_id == started[1].saga_id
    with pytest.raises(SagaNotFoundError, match="no saga 'order' was started with the key '7'"):
        await conductor.find("order", key="7")
    with pytest.raises(RequestInvalidError):
        await conductor.find("order", key="\n")
    first = await conductor.sagas(saga=bench.saga, status=[SagaStatus.RUNNING, "queued"], limit=2)
    rest = await conductor.sagas(saga="order", status=["running", SagaStatus.QUEUED], cursor=first.cursor, limit=2)
    listed = [each.saga_id for page in (first, rest) for each in page.sagas]
    assert listed == sorted((each.saga_id for each in started), reverse=True)
    assert (len(first.sagas), rest.cursor) == (2, None)
    assert (await conductor.sagas(status="completed")).sagas == []
    with pytest.raises(RequestInvalidError, match="did you mean stuck"):
        await conductor.sagas(status="stuk")
    with pytest.raises(SagaNotFoundError):
        await conductor.saga(UNKNOWN).view()
