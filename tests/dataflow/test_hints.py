"""What a builder takes and gives, read from its type hints."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from goconductor import (
    Access,
    ArgumentError,
    Builder,
    Consumes,
    DefinitionError,
    Optionals,
    Participant,
    Produces,
    StepContext,
)


def problems_of(function: Any) -> list[str]:
    with pytest.raises(DefinitionError) as refused:
        Participant("quotes").builder(function)
    return [*refused.value.problems]


def test_data_are_named_by_parameters_and_by_the_function() -> None:
    quotes = Participant("quotes")

    @quotes.builder
    async def price(context: StepContext, car: dict[str, Any], years: int) -> int:
        return years

    assert price.builder.run == "quotes.price"
    assert price.builder.consumes == {"car": "car", "years": "years"}
    assert price.builder.produces == "price"
    assert (price.builder.optionals, price.builder.access) == ({}, {})


def test_markers_name_data_otherwise_and_say_what_is_optional_and_what_is_only_read() -> None:
    quotes = Participant("quotes")

    @quotes.builder(name="fair_price")
    def fair(
        owner: Annotated[str, Consumes("customer")],
        voucher: Annotated[str | None, Optionals],
        tariff: Annotated[int | None, Access("table")] = None,
    ) -> Annotated[int, Produces("price")]:
        return 1

    assert fair.builder.run == "quotes.fair_price"
    assert fair.builder.consumes == {"owner": "customer"}
    assert fair.builder.optionals == {"voucher": "voucher"}
    assert fair.builder.access == {"tariff": "table"}
    assert fair.builder.produces == "price"


async def test_a_builder_is_called_like_a_function() -> None:
    quotes = Participant("quotes")

    @quotes.builder
    async def double(number: int) -> int:
        return 2 * number

    assert await double(4) == 8
    assert quotes.steps["double"] is double


def test_what_may_be_absent_must_take_none() -> None:
    async def price(voucher: Annotated[str, Optionals]) -> int:
        return 1

    assert problems_of(price) == [
        "builder 'quotes.price' takes 'voucher' where it is there, so it may be None; annotate it as str | None."
    ]


def test_markers_that_contradict_each_other_are_refused_all_at_once() -> None:
    async def price(voucher: Annotated[str | None, Optionals, Access], car: Annotated[str, Produces]) -> Annotated[int, Consumes]:
        return 1

    assert problems_of(price) == [
        "builder 'quotes.price' marks its parameter 'voucher' 2 times; keep one marker.",
        (
            "builder 'quotes.price' marks its parameter 'car' by Produces, which does not belong there; "
            "use Consumes or Optionals or Access."
        ),
        "builder 'quotes.price' marks what it returns by Consumes, which does not belong there; use Produces.",
    ]


def test_what_is_refused_leaves_its_name_free() -> None:
    quotes = Participant("quotes")

    async def price(voucher: Annotated[str, Optionals]) -> int:
        return 1

    with pytest.raises(DefinitionError):
        quotes.builder(price)
    assert not quotes.steps


@pytest.mark.parametrize("name", ["", "a-b", "price-optionals", "1st", "x" * 81, "ä"])
def test_a_name_that_cannot_be_a_datum_is_refused_with_the_builder(name: str) -> None:
    with pytest.raises(DefinitionError, match=r"builder 'risk.score' names a datum .*; use 1 to 80 letters"):
        Builder("risk.score", produces=name)


def test_a_builder_of_another_service_is_written_by_hand() -> None:
    builder = Builder("risk.score", produces="score", consumes=["customer"], optionals={"history": "claims"})
    assert builder.consumes == {"customer": "customer"}
    assert builder.optionals == {"history": "claims"}
    with pytest.raises(DefinitionError, match="takes its input 'customer' in two ways"):
        Builder("risk.score", produces="score", consumes=["customer"], access=["customer"])
    with pytest.raises(DefinitionError, match="not of the form"):
        Builder("score", produces="score")
    with pytest.raises(ArgumentError, match="consumes"):
        Builder("risk.score", produces="score", consumes="customer")
