"""What is wrong with a step's declaration is said when it is declared, or when the participant opens; all of it at once."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from goconductor import DefinitionError, Output
from goconductor.engine.steps.registry import StepRegistry
from goconductor.journals.memory import MemoryJournal
from goconductor.testing.world import World


def test_names_and_numbers_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="cannot name a participant"):
        StepRegistry("the shop")
    with pytest.raises(ValueError, match="concurrency must be at least 1"):
        StepRegistry("shop", concurrency=0)
    shop = StepRegistry("shop")

    def pack() -> None: ...

    with pytest.raises(DefinitionError, match="'a b' cannot name a step"):
        shop.step(name="a b")(pack)
    with pytest.raises(ValueError, match="concurrency of step 'pack' must be at least 1"):
        shop.step(concurrency=0)(pack)
    with pytest.raises(ValueError, match="not a duration"):
        shop.step(timeout="soon")(pack)
    shop.step(pack)
    with pytest.raises(DefinitionError, match="has a step 'pack' already; give one of them another name"):
        shop.step(pack)


def test_a_transactional_step_belongs_to_the_event_loop() -> None:
    shop = StepRegistry("shop")

    def pack(tx: Any) -> None: ...

    with pytest.raises(DefinitionError, match="transactional step 'pack' must be 'async def'"):
        shop.step(transaction=MemoryJournal())(pack)  # type: ignore[arg-type]


def test_one_compensation_is_enough() -> None:
    shop = StepRegistry("shop")

    @shop.step
    def pack() -> None: ...

    @pack.compensation
    def unpack() -> None: ...

    with pytest.raises(DefinitionError, match="has a compensation already; keep one of them"):
        pack.compensation(unpack)


async def test_all_that_cannot_be_called_is_said_at_once(world: World) -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def pack(*things: str) -> int:
        return 1

    @shop.step
    async def ship(box: str) -> int:
        return 1

    @ship.compensation
    async def call_back(number: int, reason: str) -> None: ...

    @shop.step(transaction=MemoryJournal())  # type: ignore[arg-type]
    async def book() -> None: ...

    with pytest.raises(DefinitionError) as raised:
        await world.node(shop)
    text = "\n".join(raised.value.problems)
    assert "pack has the parameter *things: 'str'; inputs are handed over by name" in text
    assert "takes the action's output as 'number': int; the outcome may be unknown, so annotate it as int | None" in text
    assert "takes 'reason', which is neither an input of its action nor its output" in text
    assert "book is transactional: its first parameter must take the transaction" in text


async def test_a_step_is_still_a_function_that_tests_can_call() -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def pack(box: str) -> str:
        """Pack it."""
        return f"packed {box}"

    @shop.step
    def plain(box: str) -> str:
        return f"plainly {box}"

    assert (await pack("a"), plain("b")) == ("packed a", "plainly b")
    assert (getattr(pack, "__name__", ""), pack.__doc__, pack.target) == ("pack", "Pack it.", "shop.pack")


async def test_a_compensation_takes_the_output_where_it_says_so(world: World) -> None:
    from goconductor import PermanentError, Saga

    shop = StepRegistry("shop")
    seen: list[Any] = []

    @shop.step
    async def pack(box: str) -> str:
        return f"packed {box}"

    @pack.compensation
    def unpack(box: str, what: Annotated[str | None, Output]) -> None:
        seen.append((box, what))

    @shop.step
    async def fail() -> None:
        raise PermanentError

    await world.node(shop)
    saga: Saga[Any] = Saga("order")
    saga.step(fail, after=[saga.step(pack, inputs={"box": "b"})])
    assert (await world.end_of(await world.start(saga))).status == "compensated"
    assert seen == [("b", "packed b")]
