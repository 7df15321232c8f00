"""A quote for a car's insurance: builders that remember how often they ran, and a dataflow of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest

from goconductor import Access, Dataflow, Optionals, Participant, PermanentError, RefusedError, Retry
from goconductor.testing import World


class Quotes:
    """The builders, and what they did."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.seen: list[dict[str, Any]] = []
        self.broken: set[str] = set()
        self.participant = Participant("quotes")

        @self.participant.builder(retry=Retry(attempts_max=1))
        async def risk(customer: dict[str, Any]) -> int:
            self._run("risk")
            return int(customer["age"])

        @self.participant.builder(retry=Retry(attempts_max=1))
        async def price(car: str, risk: int) -> int:
            self._run("price")
            if car == "tank":
                raise RefusedError("nobody insures a tank")
            return len(car) * 100 + risk

        @self.participant.builder
        async def discount(voucher: str) -> int:
            self._run("discount")
            return len(voucher)

        @self.participant.builder
        async def offer(
            price: int, discount: Annotated[int | None, Optionals], tariff: Annotated[str | None, Access]
        ) -> dict[str, Any]:
            self._run("offer")
            self.seen.append({"price": price, "discount": discount, "tariff": tariff})
            return {"pay": price - (discount or 0)}

        @self.participant.builder
        async def letter(offer: dict[str, Any]) -> str:
            self._run("letter")
            return f"pay {offer['pay']}"

        self.dataflow = Dataflow(
            "quote",
            target="letter",
            builders=[self.participant],
            given=["customer", "car", "voucher", "tariff"],
        )

    def _run(self, name: str) -> None:
        self.ran[name] += 1
        if name in self.broken:
            raise PermanentError(f"{name} is broken")


@pytest.fixture
def quotes() -> Quotes:
    return Quotes()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world
