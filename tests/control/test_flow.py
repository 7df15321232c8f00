"""A flow, edited while services and executions run."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from goconductor import (
    ArgumentError,
    Conductor,
    DefinitionError,
    DefinitionNotFoundError,
    Flow,
    FlowChangedError,
    Participant,
    PermanentError,
    RequestRefusedError,
    Retry,
    Saga,
    StepExistsError,
    StepNotFoundError,
)
from goconductor.control.actor import ANYBODY
from goconductor.control.definitions import versions
from goconductor.testing import World

stock, bank = Participant("stock"), Participant("bank")


@stock.step
async def reserve(sku: str) -> str:
    return f"one {sku}"


@bank.step(timeout="5s")
async def charge(cents: int) -> str:
    return f"receipt for {cents}"


@bank.step(retry=Retry(attempts_max=1))
async def fail() -> None:
    raise PermanentError("it broke")


class Place:
    """Two services that know nothing of each other, each with its own hold on the flow."""

    def __init__(self, world: World, stock: Conductor, bank: Conductor) -> None:
        self.world = world
        self.conductor = stock
        self.stock, self.bank = Flow(stock, "order"), Flow(bank, "order")


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with World() as world:
        yield Place(world, await world.conductor(stock), await world.conductor(bank))


async def test_services_that_do_not_know_each_other_add_their_steps(place: Place) -> None:
    await place.stock.create_step(reserve, inputs={"sku": place.stock.input.sku})
    await place.bank.create_step(charge, inputs={"cents": place.bank.input.cents}, after=["reserve"])
    await place.stock.create_step("stock.ship", inputs={"goods": place.stock.output("reserve")}, after=["charge"], pivot=True)
    flow = await place.bank.lookup()
    assert [(each.id, each.after, each.before) for each in flow.steps] == [
        ("reserve", [], ["charge", "ship"]),
        ("charge", ["reserve"], ["ship"]),
        ("ship", ["charge", "reserve"], []),
    ]
    assert (await place.stock.lookup_step("charge")).step == {
        "id": "charge",
        "run": "bank.charge",
        "after": ["reserve"],
        "inputs": {"cents": {"ref": "$.input.cents"}},
        "compensation": False,
        "timeout_seconds": 5.0,
    }


async def test_a_service_adds_its_steps_whenever_it_starts(place: Place) -> None:
    first = await place.stock.create_step(reserve, inputs={"sku": "lamp"})
    assert await place.stock.create_step(reserve, inputs={"sku": "lamp"}) == first
    with pytest.raises(StepExistsError):
        await place.stock.create_step(reserve, inputs={"sku": "bed"})
    assert len(await versions.versions_of(ANYBODY, place.world.nodes[0], "order")) == 1


async def test_executions_on_their_way_keep_their_version(place: Place) -> None:
    await place.stock.create_step(reserve, inputs={"sku": "lamp"})
    await place.stock.create_step({"id": "paid", "wait": {"event": "paid"}, "after": ["reserve"]})
    old = await place.conductor.start("order", None)
    await place.bank.create_step(charge, inputs={"cents": 5}, after=["paid"])
    new = await place.conductor.start("order", None)
    for each in (old, new):
        await each.signal("paid")
    assert await old.result() == {"reserve": "one lamp", "paid": None}
    assert await new.result() == {"reserve": "one lamp", "paid": None, "charge": "receipt for 5"}


async def test_a_step_is_replaced_and_taken_out(place: Place) -> None:
    await place.stock.create_step(reserve, inputs={"sku": "lamp"})
    await place.bank.create_step(charge, inputs={"cents": 5}, after=["reserve"])
    await place.bank.replace_step("bank.debit", id="charge", inputs={"cents": 5})
    replaced = await place.stock.lookup_step("charge")
    assert (replaced.step["run"], replaced.after) == ("bank.debit", ["reserve"])
    await place.stock.delete_step("charge")
    assert [each.id for each in (await place.bank.lookup()).steps] == ["reserve"]
    with pytest.raises(StepNotFoundError, match="has no step 'charge'"):
        await place.stock.lookup_step("charge")
    with pytest.raises(DefinitionError, match="it has no step; add at least one"):
        await place.stock.delete_step("reserve")


async def test_of_two_edits_of_one_version_the_second_is_told_what_came_first(place: Place) -> None:
    seen = (await place.stock.create_step(reserve, inputs={"sku": "lamp"})).version
    await place.bank.create_step(charge, inputs={"cents": 5}, after=["reserve"], made_of=seen, by="ann")
    with pytest.raises(FlowChangedError, match="step 'charge' is new, after 'reserve'") as refused:
        await place.stock.create_step("stock.wrap", after=["reserve"], made_of=seen)
    now = await place.stock.lookup()
    assert (refused.value.version, refused.value.changes) == (now.version, ("step 'charge' is new, after 'reserve'",))
    await place.stock.create_step("stock.wrap", after=["reserve"], made_of=now.version)


async def test_an_edit_whose_answer_was_lost_is_made_again_of_the_same_version(place: Place) -> None:
    seen = (await place.stock.create_step(reserve, inputs={"sku": "lamp"})).version
    done = await place.bank.create_step(charge, inputs={"cents": 5}, made_of=seen)
    assert await place.bank.create_step(charge, inputs={"cents": 5}, made_of=seen) == done
    gone = await place.bank.delete_step("charge", made_of=done.version)
    assert await place.bank.delete_step("charge", made_of=done.version) == gone


async def test_an_edit_is_checked_like_any_definition(place: Place) -> None:
    await place.stock.create_step(reserve, inputs={"sku": "lamp"})
    await place.bank.create_step(charge, inputs={"cents": 5}, after=["reserve"], pivot=True)
    before = await place.stock.lookup()
    with pytest.raises(DefinitionError, match="in a cycle"):
        await place.stock.create_step("stock.check", after=["charge"], before=["reserve"])
    with pytest.raises(DefinitionError, match="2 pivots"):
        await place.stock.create_step("stock.ship", after=["charge"], pivot=True)
    with pytest.raises(DefinitionError, match="nowhere"):
        await place.stock.create_step("stock.ship", after=["nowhere"])
    with pytest.raises(DefinitionError, match=r"inputs\.n\.value: is an integer beyond"):
        await place.stock.create_step("stock.ship", inputs={"n": 2**60})
    with pytest.raises(DefinitionError, match="has its name as"):
        await place.stock.create_step({"id": "bill", "flow": "billing"})
    with pytest.raises(DefinitionError, match=r"system\.http"):
        await place.stock.create_step("system.http", id="call", inputs={"method": "POST"})
    assert await place.stock.lookup() == before


async def test_a_step_executes_another_flow(place: Place) -> None:
    billing = Flow(place.conductor, "billing")
    await billing.create_step(reserve, inputs={"sku": "paper"})
    await billing.create_step(charge, inputs={"cents": billing.input.cents}, after=["reserve"])
    bill = {"id": "bill", "saga": {"name": "billing"}, "inputs": {"cents": {"value": 5}}, "after": ["reserve"]}
    late = {**bill, "id": "late", "from_step": "charge"}
    await place.stock.create_step(reserve, inputs={"sku": "lamp"}, pivot=True)
    made = await place.stock.create_step(bill)
    assert await place.stock.create_step(bill) == made
    made = await place.stock.create_step(late)
    assert await place.stock.create_step(late) == made
    assert (await place.stock.lookup_step("bill")).step["saga"] == {
        "name": "billing",
        "version": (await billing.lookup()).version,
    }
    assert await place.stock.execute(sync=True) == {
        "reserve": "one lamp",
        "bill": {"reserve": "one paper", "charge": "receipt for 5"},
        "late": {"reserve": None, "charge": "receipt for 5"},
    }


async def test_who_adds_a_step_again_keeps_the_version_that_it_found_and_who_replaces_it_takes_the_newest(place: Place) -> None:
    billing = Flow(place.conductor, "billing")
    first = (await billing.create_step(charge, inputs={"cents": 5})).version
    bill = {"id": "bill", "saga": {"name": "billing"}, "after": ["reserve"]}
    await place.stock.create_step(reserve, inputs={"sku": "lamp"}, pivot=True)
    made = await place.stock.create_step(bill)
    second = (await billing.create_step(reserve, inputs={"sku": "paper"})).version
    assert await place.stock.create_step(bill) == made
    assert (await place.stock.lookup_step("bill")).step["saga"]["version"] == first
    await place.stock.replace_step(bill, made_of=made.version)
    assert (await place.stock.lookup_step("bill")).step["saga"]["version"] == second


async def test_a_failed_action_is_answered_by_the_same_flow_from_a_given_step(place: Place) -> None:
    flow = place.stock
    await flow.create_step("bank.fail")
    await flow.create_step(reserve, id="sorry", inputs={"sku": "flower"}, after=["fail"])
    undo = {"run": "stock.reserve", "inputs": {"sku": {"value": "nothing"}}}
    await flow.create_step({"id": "instead", "saga": {"name": "order"}, "from_step": "sorry", "undo": undo, "after": ["fail"]})
    await flow.replace_step("bank.fail", fallback="instead")
    await flow.delete_step("sorry")
    assert await flow.execute(sync=True) == {
        "fail": {"fail": None, "sorry": "one flower"},
        "instead": {"fail": None, "sorry": "one flower"},
    }


async def test_a_flow_that_is_not_there_is_not_executed(place: Place) -> None:
    await place.stock.create_step(reserve, inputs={"sku": "lamp"}, pivot=True)
    bill = {"id": "bill", "saga": {"name": "billing"}, "after": ["reserve"]}
    with pytest.raises(DefinitionError, match="step 'bill' starts a saga that is not there"):
        await place.stock.create_step(bill)
    with pytest.raises(DefinitionNotFoundError, match="'billing'"):
        await place.stock.create_step({**bill, "from_step": "charge"})
    billing = Flow(place.conductor, "billing")
    await billing.create_step(charge, inputs={"cents": 5})
    with pytest.raises(DefinitionError, match="no step 'debit' to start at"):
        await place.stock.create_step({**bill, "from_step": "debit"})


async def test_what_lives_in_code_or_is_pinned_is_not_edited(place: Place) -> None:
    saga = Saga[None]("order")
    saga.step(reserve, inputs={"sku": "lamp"})
    handle = await place.conductor.start(saga, None)
    with pytest.raises(RequestRefusedError, match="is in the code of 1 living instances"):
        await place.bank.create_step(charge, inputs={"cents": 5})
    await handle.result()
    other = Flow(place.conductor, "other")
    version = (await other.create_step(reserve, inputs={"sku": "lamp"})).version
    await versions.activate(ANYBODY, place.world.nodes[0], "other", version)
    with pytest.raises(RequestRefusedError, match="goconductor definition unpin other"):
        await other.create_step(charge, inputs={"cents": 5})
    await versions.unpin(ANYBODY, place.world.nodes[0], "other")
    await other.create_step(charge, inputs={"cents": 5})


async def test_what_is_not_there_is_said(place: Place) -> None:
    with pytest.raises(DefinitionNotFoundError, match="there is no flow 'order'; create its first step"):
        await place.stock.lookup()
    with pytest.raises(DefinitionNotFoundError, match="there is no flow 'order'"):
        await place.stock.delete_step("reserve")
    await place.stock.create_step(reserve, inputs={"sku": "lamp"})
    with pytest.raises(DefinitionNotFoundError, match="no version 'abc' of flow 'order'"):
        await place.stock.lookup("abc")
    with pytest.raises(DefinitionNotFoundError, match="version 'abc'"):
        await place.stock.delete_step("reserve", made_of="abc")


async def test_wrong_arguments_are_refused_before_anything_is_done(place: Place) -> None:
    flow = place.stock
    with pytest.raises(ArgumentError, match="after is a text; give a list of the ids of steps"):
        await flow.create_step(reserve, after="charge")
    with pytest.raises(ArgumentError, match="no option 'befor'; did you mean before"):
        await flow.create_step(reserve, befor=["charge"])  # type: ignore[call-arg]
    with pytest.raises(ArgumentError, match="fallback is of type int; give the id of a step"):
        await flow.create_step(reserve, fallback=3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="a document has its options itself; put after into it"):
        await flow.create_step({"id": "a", "run": "b.c"}, after=["reserve"])
    with pytest.raises(ArgumentError, match="made_of is of type int"):
        await flow.create_step(reserve, made_of=1)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="action is of type int"):
        await flow.create_step(1)
    with pytest.raises(DefinitionError, match="amount"):
        await flow.create_step(charge, inputs={"amount": 5})
    with pytest.raises(ArgumentError, match="conductor"):
        Flow("order", "order")  # type: ignore[arg-type]
