"""A map, run by the engine: over two participants, forward and back, each step with the data of its own item."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import pytest

from goconductor import PermanentError, Retry, Saga, Undo
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas import queries
from goconductor.control.sagas.requests import StepNotFoundError, ask
from goconductor.control.sagas.story import saga_story
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.events import InputEdited, RetryRequested, SkipRequested
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.testing.world import World

ONCE = Retry(attempts_max=1)


class Shop:
    """Reserves and labels each line of an order, and notes what it did and undid."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Any]] = []
        self.undone: list[tuple[str, Any]] = []
        self.refuses: Any = None
        self.inventory, self.labels = StepRegistry("inventory"), StepRegistry("labels")

        @self.inventory.step
        async def reserve(sku: Any, place: int) -> str:
            self.done.append(("reserve", sku))
            return f"shelf {place}"

        @reserve.compensation
        async def put_back(sku: Any, place: int, output: str | None) -> None:
            self.undone.append(("reserve", (sku, place, output)))

        @self.labels.step(retry=ONCE)
        async def label(shelf: str) -> str:
            if shelf == self.refuses:
                raise PermanentError("out of labels")
            self.done.append(("label", shelf))
            return f"label of {shelf}"

        @self.labels.step
        async def ship(labels: list[str | None]) -> list[str | None]:
            return labels


def order(*, pivot_first: bool = False, join: Literal["all", "any"] | int = "all") -> Saga[Any]:
    saga: Saga[Any] = Saga("order")
    paid = [saga.step("inventory.reserve", id="paid", inputs={"sku": "-", "place": 0}, pivot=True)] if pivot_first else []
    lines = saga.map(saga.input["lines"], id="lines", after=paid, join=join)
    reserved = lines.step("inventory.reserve", inputs={"sku": lines.item["sku"], "place": lines.index})
    lines.step("labels.label", inputs={"shelf": reserved.output})
    return saga.returns(saga.step("labels.ship", inputs={"labels": lines.output}).output)


def of(*skus: str) -> dict[str, Any]:
    return {"lines": [{"sku": sku} for sku in skus]}


async def test_each_item_is_done_and_the_join_has_what_they_gave(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.inventory)
    await world.node(shop.labels)
    saga_id = await world.start(order(), of("hat", "shoes", "hat"))
    state = await world.end_of(saga_id)
    assert state.phase is SagaStatus.COMPLETED, state.reason
    assert state.step("ship").output == ["label of shelf 0", "label of shelf 1", "label of shelf 2"]
    assert Counter(shop.done)["reserve", "hat"] == 2
    detail = await queries.saga_status(ANYBODY, node, saga_id)
    assert [step.id for step in detail.steps] == [
        *(f"lines[{place}].{step}" for place in range(3) for step in ("reserve", "label")),
        "lines",
        "ship",
    ]
    assert {step.status for step in detail.steps} == {"succeeded"}
    lines = [clause for line in (await saga_story(ANYBODY, node, saga_id)).lines for clause in line.consequences]
    assert "lines grows to 3 items" in lines


async def test_each_item_is_undone_with_its_own_data(world: World) -> None:
    shop = Shop()
    shop.refuses = "shelf 1"
    await world.node(shop.inventory)
    await world.node(shop.labels)
    saga_id = await world.start(order(), of("hat", "shoes", "hat"))
    state = await world.end_of(saga_id)
    assert state.phase is SagaStatus.COMPENSATED
    assert sorted(shop.undone) == [
        ("reserve", ("hat", 0, "shelf 0")),
        ("reserve", ("hat", 2, "shelf 2")),
        ("reserve", ("shoes", 1, "shelf 1")),
    ]


async def test_an_item_that_fails_is_undone_alone_where_the_others_are_enough(world: World) -> None:
    shop = Shop()
    shop.refuses = "shelf 1"
    node = await world.node(shop.inventory)
    await world.node(shop.labels)
    saga_id = await world.start(order(join=2), of("hat", "shoes", "cap"))
    state = await world.end_of(saga_id)
    assert state.phase is SagaStatus.COMPLETED, state.reason
    assert state.step("ship").output == ["label of shelf 0", None, "label of shelf 2"]
    assert shop.undone == [("reserve", ("shoes", 1, "shelf 1"))]
    detail = await queries.saga_status(ANYBODY, node, saga_id)
    told = {step.id: step.reason for step in detail.steps if step.status == "given_up"}
    assert told.keys() == {"lines[1].reserve", "lines[1].label"}
    assert all("its item failed or was not needed" in str(reason) for reason in told.values())
    lines = [clause for line in (await saga_story(ANYBODY, node, saga_id)).lines for clause in line.consequences]
    assert "lines[1] is undone as a whole" in lines


async def test_an_undo_that_is_declared_in_a_map_runs_elsewhere_with_the_data_of_its_item(world: World) -> None:
    shop, clerk, told = Shop(), StepRegistry("clerk"), list[Any]()

    @clerk.step
    async def put_back(sku: Any, shelf: str | None, place: int) -> None:
        told.append((sku, shelf, place))

    shop.refuses = "shelf 1"
    for registry in (shop.inventory, shop.labels, clerk):
        await world.node(registry)
    saga: Saga[Any] = Saga("order")
    lines = saga.map(saga.input["lines"], id="lines", join=2)
    shelf = lines.later("reserve").output
    back = Undo("clerk.put_back", inputs={"sku": lines.item["sku"], "shelf": shelf, "place": lines.index})
    reserved = lines.step("inventory.reserve", inputs={"sku": lines.item["sku"], "place": lines.index}, undo=back)
    lines.step("labels.label", inputs={"shelf": reserved.output})
    saga_id = await world.start(saga, of("hat", "shoes", "cap"))
    state = await world.end_of(saga_id)
    assert state.phase is SagaStatus.COMPLETED, state.reason
    assert state.step("lines").lost == {1}
    assert told == [("shoes", "shelf 1", 1)]
    assert shop.undone == []


async def test_of_items_of_which_one_is_enough_no_other_effect_stays(world: World) -> None:
    shop = Shop()
    await world.node(shop.inventory)
    await world.node(shop.labels)
    saga_id = await world.start(order(join="any"), of("hat", "shoes", "cap"))
    state = await world.end_of(saga_id)
    assert state.phase is SagaStatus.COMPLETED, state.reason
    given = [each for each in state.step("ship").output if each is not None]
    assert given
    reserved = Counter(sku for what, sku in shop.done if what == "reserve")
    assert sum(reserved.values()) - len([each for each in shop.undone if each[1][2] is not None]) == len(given)


async def test_an_operator_gives_a_stuck_map_its_list_and_skips_a_step_by_its_full_name(world: World) -> None:
    shop = Shop()
    shop.refuses = "shelf 1"
    node = await world.node(shop.inventory)
    await world.node(shop.labels)
    saga_id = await world.start(order(pivot_first=True), {"lines": None})
    state = await world.end_of(saga_id)
    assert (state.status, state.stuck_steps) == (SagaStatus.STUCK, ["lines"])
    detail = await queries.saga_status(ANYBODY, node, saga_id)
    [stuck] = [step for step in detail.steps if step.id == "lines"]
    assert {"skip", "declare", "edit_input"} <= {request.value for request in stuck.allowed}
    await ask(ANYBODY, node, saga_id, InputEdited("lines", inputs={"over": of("hat", "cap")["lines"]}, reason="it was lost"))
    await ask(ANYBODY, node, saga_id, RetryRequested("lines"))
    state = await world.end_of(saga_id)
    assert state.stuck_steps == ["lines[1].label"]
    with pytest.raises(StepNotFoundError, match=r"lines\[1\]\.label"):
        await ask(ANYBODY, node, saga_id, SkipRequested("lines[1].labl", reason="no label"))
    with pytest.raises(StepNotFoundError, match=r"has no step 'lines\[2\]\.label'"):
        await ask(ANYBODY, node, saga_id, SkipRequested("lines[2].label", reason="no label"))
    await ask(ANYBODY, node, saga_id, SkipRequested("lines[1].label", reason="no label", forced=True))
    state = await world.end_of(saga_id)
    assert state.phase is SagaStatus.COMPLETED
    assert state.step("ship").output == ["label of shelf 0", None]


async def test_a_lost_message_of_an_item_is_sent_again(world: World) -> None:
    """Nobody can label before the second instance comes; the sweep sends what the state still wants, by its full name."""
    shop = Shop()
    await world.node(shop.inventory)
    saga_id = await world.start(order(), of("hat", "shoes"))
    await world.live(5)
    state = await world.state(saga_id)
    assert {name: str(step.action.status) for name, step in state.steps.items()} == {
        "lines": "grown",
        **{f"lines[{place}].reserve": "succeeded" for place in range(2)},
        **{f"lines[{place}].label": "sent" for place in range(2)},
    }
    await world.node(shop.labels)
    assert (await world.end_of(saga_id)).phase is SagaStatus.COMPLETED
