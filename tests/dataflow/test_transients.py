"""Transients: data that no log, message or database holds."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import json
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import pydantic
import pytest

from goconductor import Builder, Dataflow, DefinitionError, Optionals, Participant, RequestInvalidError, SagaStatus
from goconductor.dataflow.shape import graph_of
from goconductor.dataflow.transients import HERE, Sealed, TransientLostError, sealed
from goconductor.saga import plan
from goconductor.testing import World

CARD = "4242-4242-4242"
SALE = UUID(int=1)


class Till:
    """Charges cards, and remembers what it saw of them."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.participant = Participant("till")

        @self.participant.builder
        async def total(items: list[int]) -> int:
            return sum(items)

        @self.participant.builder
        async def receipt(card: str, total: int) -> str:
            self.seen.append((card, total))
            return f"paid {total}"

        self.dataflow = Dataflow("sale", target="receipt", builders=[self.participant], transients={"card"})


async def everything(world: World, saga_id: Any) -> str:
    """What the log has of a saga."""
    return json.dumps([str(entry) for entry in await world.store.sagas.history(saga_id)])


async def test_a_builder_is_given_the_value_and_the_log_never_has_it(world: World) -> None:
    till = Till()
    conductor = await world.conductor(till.participant)
    done = await conductor.run(till.dataflow, "s1", {"card": CARD, "items": [3, 4]})
    assert done.target == "paid 7"
    assert till.seen == [(CARD, 7)]
    assert CARD not in await everything(world, done.saga_id)
    assert CARD not in done.model_dump_json()
    assert "goconductor-transient" in await everything(world, done.saga_id)
    assert not HERE._held


async def test_between_runs_it_is_forgotten_and_missing_again_where_it_is_needed(world: World) -> None:
    till = Till()
    conductor = await world.conductor(till.participant)
    early = await conductor.run(till.dataflow, "s1", {"card": CARD})
    assert early.missing == {"items": ["till.total"]}
    late = await conductor.run(till.dataflow, "s1", {"items": [3, 4]})
    assert (late.missing, late.failed, late.target) == ({"card": ["till.receipt"]}, {}, None)
    assert till.seen == []
    again = await conductor.run(till.dataflow, "s1")
    assert again.missing == late.missing
    done = await conductor.run(till.dataflow, "s1", {"card": CARD}, close=True)
    assert (done.target, done.status) == ("paid 7", SagaStatus.COMPLETED)


async def test_given_again_what_takes_it_runs_again(world: World) -> None:
    till = Till()
    conductor = await world.conductor(till.participant)
    await conductor.run(till.dataflow, "s1", {"card": CARD, "items": [3]})
    await conductor.run(till.dataflow, "s1", {"card": "5555"})
    assert till.seen == [(CARD, 3), ("5555", 3)]


async def test_it_is_given_where_its_builders_run(world: World) -> None:
    till = Till()
    await (await world.conductor(till.participant)).run(till.dataflow, "s1")
    client = await world.conductor()
    with pytest.raises(RequestInvalidError, match=r"data\.card is transient, and till\.receipt does not run in this process"):
        await client.run("sale", "s1", {"card": CARD})
    assert (await client.run("sale", "s1", {"items": [1]})).new == ["total"]


async def test_closed_without_it_nothing_waits_for_it(world: World) -> None:
    shop = Participant("shop")

    @shop.builder
    async def code(pin: str) -> str:
        return "checked"

    @shop.builder
    async def parcel(address: str, code: Annotated[str | None, Optionals]) -> str:
        return f"to {address}"

    dataflow = Dataflow("send", target="parcel", builders=[shop], transients=["pin"])
    conductor = await world.conductor(shop)
    done = await conductor.run(dataflow, "p1", {"address": "home"}, close=True)
    assert (done.status, done.target) == (SagaStatus.COMPLETED, "to home")


def test_a_definition_says_which_data_are_transient() -> None:
    assert graph_of(Till().dataflow.definition).transients == {"card"}


def test_what_cannot_be_transient_is_refused_with_builder_and_datum() -> None:
    builders = [
        Builder("q.price", produces="price", consumes=["car"]),
        Builder("q.offer", produces="offer", consumes=["price"], optionals=["voucher"]),
    ]
    with pytest.raises(DefinitionError) as refused:
        _ = Dataflow("quote", target="offer", builders=builders, transients=["price", "voucher", "cra"]).definition
    assert [*refused.value.problems] == [
        "transients name 'price', which builder 'q.price' produces; only what is given from outside can be transient.",
        "transients name 'voucher', which builder 'q.offer' takes only where it is there; let it consume that.",
        "transients name 'cra', which no builder takes; did you mean car?",
    ]


def test_a_token_says_nothing_of_its_value_and_opens_nothing_later() -> None:
    with HERE.held(SALE, {"card": CARD}) as tokens, HERE.held(SALE, {"card": CARD}) as others:
        assert CARD not in json.dumps(tokens)
        assert tokens != others
        token = Sealed(tokens["card"]["goconductor-transient"], SALE, "card")
        assert HERE.opened(token) == CARD
    with pytest.raises(TransientLostError):
        HERE.opened(token)


def test_a_token_opens_for_its_datum_of_its_saga_only() -> None:
    with HERE.held(SALE, {"card": CARD}) as tokens:
        token = Sealed(tokens["card"]["goconductor-transient"], SALE, "card")
        for stranger in (token._replace(datum="pin"), token._replace(saga_id=uuid4())):
            with pytest.raises(TransientLostError):
                HERE.opened(stranger)


def test_only_what_refers_to_a_transient_is_sealed() -> None:
    of_sale = plan.plan(Till().dataflow.definition)
    token = {"goconductor-transient": "x"}
    more = token | {"more": 1}
    assert sealed(of_sale, SALE, "receipt", {"card": token, "total": token}) == {
        "card": Sealed("x", SALE, "card"),
        "total": token,
    }
    assert sealed(of_sale, SALE, "receipt", {"card": more}) == {"card": more}


async def test_who_has_seen_a_token_cannot_have_another_dataflow_open_it(world: World) -> None:
    till, seen = Till(), list[Any]()
    saw, may_end = asyncio.Event(), asyncio.Event()

    @till.participant.builder
    async def slow(card: str) -> str:
        saw.set()
        await may_end.wait()
        return "paid"

    @till.participant.builder
    async def echo(note: Any) -> str:
        seen.append(note)
        return "heard"

    conductor = await world.conductor(till.participant)
    paying = Dataflow("slow-sale", target="slow", builders=[till.participant], transients={"card"})
    noting = Dataflow("notes", target="echo", builders=[till.participant])
    run = asyncio.create_task(conductor.run(paying, "s1", {"card": CARD}))
    await saw.wait()
    (token,) = (each.token for each in HERE._held)
    done = await conductor.run(noting, "n1", {"note": {"goconductor-transient": token}})
    may_end.set()
    assert (await run).target == "paid"
    assert (done.target, seen) == ("heard", [{"goconductor-transient": token}])


class Kind(enum.Enum):
    """What a card may be."""

    VISA = "visa"


@dataclasses.dataclass
class Card:
    """A card that says in its errors what it was given."""

    number: str

    def __post_init__(self) -> None:
        if not self.number.isdigit():
            raise ValueError(f"bad number {self.number}")


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Kind, CARD),
        (Literal["visa"], CARD),
        (Card, {"number": CARD}),
        (dict[int, int], {CARD: 1}),
        (pydantic.PositiveInt, CARD),
    ],
)
async def test_a_value_that_does_not_fit_is_shown_nowhere(
    world: World, kind: Any, given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    till = Participant("till")

    async def charge(card: Any) -> str:
        return "paid"

    charge.__annotations__["card"] = kind
    till.builder(charge)
    conductor = await world.conductor(till)
    dataflow = Dataflow("sale", target="charge", builders=[till], transients={"card"})
    done = await conductor.run(dataflow, "s1", {"card": given})
    problem = "PayloadError: input 'card', $: does not fit the builder's parameter; a transient is not shown"
    assert (done.failed, done.target) == ({"charge": problem}, None)
    assert CARD not in await everything(world, done.saga_id)
    assert CARD not in caplog.text
    assert CARD not in done.model_dump_json()


async def test_a_builder_that_another_process_took_is_tried_again_here(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    till = Till()
    conductor = await world.conductor(till.participant)
    opened, elsewhere = HERE.opened, [True, True]

    def held_elsewhere(value: Sealed) -> Any:
        if elsewhere:
            elsewhere.pop()
            raise TransientLostError
        return opened(value)

    monkeypatch.setattr(HERE, "opened", held_elsewhere)
    done = await conductor.run(till.dataflow, "s1", {"card": CARD, "items": [3]})
    assert done.target == "paid 3"
    elsewhere += [True] * 100
    lost = await conductor.run(till.dataflow, "s1", {"card": "5555"})
    assert lost.missing == {"card": ["till.receipt"]}
    assert len(elsewhere) == 100 - 4  # tried again three times, and then left
