"""What is wrong with an input, an output or a message is said once and clearly; everybody else goes on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import pydantic
import pytest

from goconductor import DefinitionError, PayloadError, RequestRefusedError, Saga, SagaAlreadyStartedError, SagaNotFoundError
from goconductor.buses.memory import MemoryBus
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry, check
from goconductor.journals.memory import MemoryJournal
from goconductor.messages import codec
from goconductor.messages.envelope import SCHEMA_VERSIONS, Baton, RunStep
from goconductor.messages.topics import steps_topic
from goconductor.ports.bus import Message
from goconductor.saga.ids import Direction
from goconductor.testing.world import World


@dataclass
class Order:
    id: str
    total: int


class Parcel(msgspec.Struct):
    weight: float


class Receipt(pydantic.BaseModel):
    number: int


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


UNKEEPABLE = {
    "NaN": (float("nan"), "nan, which JSON does not have"),
    "infinity": (float("inf"), "inf, which JSON does not have"),
    "beyond 64 bits": (2**63, "64 bit"),
    "lone surrogate": ("\ud800", "surrogate"),
    "NUL": ("a\0b", "NUL"),
    "NUL in a key": ({"a\0": 1}, "NUL"),
    "nesting of 10,000": (nested(10_000), "nest|recursion|deep"),
    "an object": (object(), "cannot be encoded"),
    "a lambda in a list": ([lambda: 1], "cannot be encoded"),
}


def one_step_saga(run: str, **inputs: object) -> Saga[Any]:
    saga: Saga[Any] = Saga("one")
    saga.step(run, inputs=inputs)
    return saga


@pytest.mark.parametrize(("value", "says"), UNKEEPABLE.values(), ids=UNKEEPABLE.keys())
async def test_an_input_that_cannot_be_kept_is_refused_at_the_start(world: World, value: Any, says: str) -> None:
    await world.node()
    with pytest.raises(PayloadError, match=f"(?i){says}"):
        await world.start(one_step_saga("shop.pack"), value)
    assert world.store.data.heads == {}


@pytest.mark.parametrize(("value", "says"), UNKEEPABLE.values(), ids=UNKEEPABLE.keys())
async def test_an_output_that_cannot_be_kept_fails_the_step_for_good(world: World, value: Any, says: str) -> None:
    shop = StepRegistry("shop")
    runs: list[int] = []

    @shop.step
    async def pack() -> Any:
        runs.append(1)
        return value

    await world.node(shop)
    state = await world.end_of(await world.start(one_step_saga("shop.pack")))
    assert state.status == "compensated"
    assert state.reason.startswith("step 'pack': PayloadError: it ran, but its output cannot be kept: $")
    assert runs == [1]


async def test_a_start_key_with_what_cannot_be_kept_is_refused(world: World) -> None:
    node = await world.node()
    await node.definitions.register(one_step_saga("shop.pack").definition)
    with pytest.raises(PayloadError, match="NUL"):
        await node.starting.start("one", None, key="a\0")
    with pytest.raises(PayloadError, match="surrogate"):
        await node.starting.start("one", None, labels={"a": "\ud800"})


async def test_payloads_over_the_limit(world: World) -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def pack() -> str:
        return "x" * 200

    await world.node(shop, payload_bytes_max=100)
    with pytest.raises(PayloadError, match="100"):
        await world.start(one_step_saga("shop.pack"), "x" * 200)
    state = await world.end_of(await world.start(one_step_saga("shop.pack")))
    assert state.status == "compensated"
    assert "the output is 202 bytes, at most 100 are kept; store it elsewhere and return its key" in state.reason


async def test_a_result_that_is_too_large_for_the_journal_leaves_no_effect(world: World) -> None:
    shop, journal = StepRegistry("shop"), MemoryJournal(result_bytes_max=100)

    @shop.step(transaction=journal)
    async def pack(tx: Any) -> str:
        tx["packed"] = True
        return "x" * 200

    await world.node(shop)
    state = await world.end_of(await world.start(one_step_saga("shop.pack")))
    assert state.status == "compensated"
    assert "PayloadError" in state.reason
    assert state.step("pack").action.status == "prevented"
    assert journal.store == {}


@pytest.mark.parametrize(
    ("annotation", "value", "says"),
    [
        (int, "five", "input 'thing', $: Expected `int`, got `str`"),
        (Order, {"id": "o"}, "input 'thing', $: Object missing required field `total`"),
        (Order, {"id": "o", "total": "x"}, "input 'thing', $.total: Expected `int`, got `str`"),
        (Parcel, {"weight": "heavy"}, "input 'thing', $.weight: Expected `float`, got `str`"),
        (list[Parcel], [{"weight": 1.0}, 2], "input 'thing', $[1]: Expected `object`, got `int`"),
        (Receipt, {"number": "many"}, "input 'thing', $.number: should be a whole number"),
        (Receipt | None, {"number": "many"}, "input 'thing', $.Receipt.number|input 'thing', $.number"),
    ],
)
async def test_an_input_that_does_not_fit_its_type_fails_the_step_for_good(
    world: World, annotation: Any, value: Any, says: str
) -> None:
    shop = StepRegistry("shop")
    runs: list[Any] = []

    async def pack(thing: Any) -> None:
        runs.append(thing)

    pack.__annotations__["thing"] = annotation
    shop.step(pack)
    await world.node(shop)
    state = await world.end_of(await world.start(one_step_saga("shop.pack", thing=value)))
    assert state.status == "compensated"
    assert any(each in state.reason for each in says.split("|")), state.reason
    assert runs == []


async def test_inputs_and_outputs_of_all_kinds_of_types(world: World) -> None:
    shop = StepRegistry("shop")
    seen: list[Any] = []

    @shop.step
    async def weigh(order: Order) -> Parcel:
        seen.append(order)
        return Parcel(weight=order.total / 2)

    @shop.step
    def bill(parcel: Parcel, note: str = "none") -> Receipt:
        seen.extend([parcel, note])
        return Receipt(number=7)

    @shop.step
    async def file(receipt: Receipt) -> list[Receipt]:
        seen.append(receipt)
        return [receipt]

    await world.node(shop)
    saga = Saga("typed", input=Order)
    parcel = saga.step(weigh, inputs={"order": saga.input})
    receipt = saga.step(bill, inputs={"parcel": parcel.output})
    saga.step(file, inputs={"receipt": receipt.output})
    state = await world.end_of(await world.start(saga, Order("o1", 5)))
    assert state.outputs() == {"weigh": {"weight": 2.5}, "bill": {"number": 7}, "file": [{"number": 7}]}
    assert seen == [Order("o1", 5), Parcel(2.5), "none", Receipt(number=7)]


async def test_an_input_that_the_definition_does_not_give_names_itself(world: World) -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def pack(box: str) -> None: ...

    await world.node(shop)
    state = await world.end_of(await world.start(one_step_saga("shop.pack")))
    assert "input 'box': the saga's definition gives it no value; add it to the step's inputs" in state.reason


async def test_a_reference_that_finds_nothing_names_its_place(world: World) -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def pack(box: str) -> None: ...

    await world.node(shop)
    saga: Saga[Any] = Saga("order")
    saga.step(pack, inputs={"box": saga.input.id})
    state = await world.end_of(await world.start(saga, {"total": 1}))
    assert state.status == "compensated"
    assert "PayloadError" in state.reason
    assert "id" in state.reason


async def test_the_same_key_with_other_input_is_refused(world: World) -> None:
    node = await world.node()
    await node.definitions.register(one_step_saga("shop.pack").definition)
    first = await node.starting.start("one", {"a": 1, "b": 2}, key="k")
    again = await node.starting.start("one", {"b": 2, "a": 1}, key="k")
    assert again.existing
    assert again.saga_id == first.saga_id
    with pytest.raises(SagaAlreadyStartedError, match=f"key 'k' has started saga 'one' {first.saga_id} with other input"):
        await node.starting.start("one", {"a": 1, "b": 3}, key="k")


async def test_starts_with_one_key_at_one_moment_start_one_saga(world: World) -> None:
    nodes = [await world.node() for _ in range(4)]
    await nodes[0].definitions.register(one_step_saga("shop.pack").definition)
    started = await asyncio.gather(*(nodes[i % 4].starting.start("one", 1, key="k") for i in range(40)))
    assert len({each.saga_id for each in started}) == 1
    assert [each.existing for each in started].count(False) == 1


async def test_an_unknown_saga_and_an_unknown_definition(world: World) -> None:
    node = await world.node()
    unknown = UUID(int=7)
    with pytest.raises(SagaNotFoundError, match=str(unknown)):
        await node.view(unknown)
    with pytest.raises(SagaNotFoundError, match=str(unknown)):
        await node.wait_for_end(unknown, 1)
    with pytest.raises(RequestRefusedError, match=r"no definition of saga 'nothing'; register it \(goconductor def"):
        await node.starting.start("nothing", None)


async def test_a_step_that_nobody_offers_waits_until_somebody_does(world: World) -> None:
    client = await world.node()
    saga_id = await world.start(one_step_saga("shop.pack"))
    await world.live(120)
    assert (await world.state(saga_id)).status == "queued"
    shop = StepRegistry("shop")

    @shop.step
    async def pack() -> str:
        return "packed"

    await world.node(shop)
    await world.live(130)
    assert (await client.wait_for_end(saga_id, 300)).outputs() == {"pack": "packed"}


async def test_an_older_instance_leaves_the_step_to_one_that_has_it(world: World) -> None:
    old, new = StepRegistry("shop"), StepRegistry("shop")

    @old.step
    async def other() -> None: ...

    @new.step
    async def pack() -> str:
        return "packed"

    older = await world.node(old)
    saga_id = await world.start(one_step_saga("shop.pack"))
    await world.clock.advance(0)
    assert older.counts["messages_for_others"] == 1
    await world.node(new)
    await world.live(10)
    assert (await world.end_of(saga_id)).status == "completed"


async def good_saga_goes_on(world: World, node: Node) -> None:
    saga_id = await world.start(one_step_saga("shop.pack"), node=world.nodes[0])
    assert (await world.end_of(saga_id)).status == "completed"
    assert node.counts["steps_run"] == 1


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not a CloudEvent"),
        (b"\xff\xfe\0", "not a CloudEvent"),
        (b"[" * 20_000, "not a CloudEvent"),
        (b"{}", "not a CloudEvent"),
        (b'{"specversion":"1.0","id":"1","source":"/x","type":"com.example.sold.v1","data":{}}', "is none of ours"),
        (b'{"specversion":"1.0","id":"1","source":"/x","type":"goconductor.step.run.v1","data":{"a":1}}', "does not fit"),
    ],
)
async def test_a_message_that_is_not_ours_becomes_a_dead_letter_and_the_queue_goes_on(
    world: World, payload: bytes, reason: str
) -> None:
    await world.node()
    shop = StepRegistry("shop")

    @shop.step
    async def pack() -> None: ...

    node = await world.node(shop)
    await send(world, payload)
    (letter,) = await world.store.dead_letters.newest()
    assert reason in letter.reason
    assert (letter.payload, letter.topic) == (payload, steps_topic("shop"))
    await good_saga_goes_on(world, node)


async def test_a_message_of_a_newer_schema_is_parked_for_newer_instances(world: World) -> None:
    await world.node()
    shop = StepRegistry("shop")

    @shop.step
    async def pack() -> None: ...

    node = await world.node(shop)
    version = SCHEMA_VERSIONS[RunStep] + 2  # the next one is read here: it is sent where a baton names features
    newer = b'{"specversion":"1.0","id":"1","source":"/x","type":"goconductor.step.run.v%d","data":{"a":1}}' % version
    await send(world, newer)
    await good_saga_goes_on(world, node)
    await world.clock.advance(600)
    assert node.counts["messages_newer"] > 5
    assert await world.store.dead_letters.newest() == []
    upgraded: asyncio.Queue[bytes] = asyncio.Queue()
    bus = world.bus()
    await bus.open()

    async def receive(delivery: Any) -> None:
        upgraded.put_nowait(delivery.message.payload)
        delivery.acknowledge()

    await bus.subscribe([steps_topic("shop")], "shop", receive, prefetch=1)
    await world.clock.advance(600)
    assert upgraded.get_nowait() == newer
    await bus.close()


async def test_a_message_about_what_does_not_exist_changes_nothing(world: World) -> None:
    await world.node()
    shop = StepRegistry("shop")

    @shop.step
    async def pack() -> None: ...

    node = await world.node(shop)
    plan = await node.definitions.register(one_step_saga("shop.pack").definition)
    for saga, version, step in (("one", plan.version, "pack"), ("one", plan.version, "none"), ("none", "0", "pack")):
        body = RunStep(
            saga_id=UUID(int=9),
            saga=saga,
            version=version,
            step=step,
            target="shop.pack",
            direction=Direction.ACTION,
            attempt=1,
            round=0,
            baton=Baton(0, 0),
        )
        await send(world, codec.encode(body, message_id="1", source="/x"))
    assert node.counts["steps_run"] == 0
    assert await world.store.recovery.leases([UUID(int=9)]) == []
    await good_saga_goes_on(world, node)


async def send(world: World, payload: bytes) -> None:
    bus: MemoryBus = world.bus()
    await bus.open()
    await bus.send([Message(topic=steps_topic("shop"), key="k", payload=payload)])
    await world.clock.advance(0)
    await bus.close()


def test_an_annotation_that_cannot_be_read_is_told_with_the_remedy() -> None:
    registry = StepRegistry("shop")

    @registry.step
    async def pack(parcel: NowhereToBeFound) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(DefinitionError, match=r"NowhereToBeFound.*import that name at run time"):
        check(registry)
