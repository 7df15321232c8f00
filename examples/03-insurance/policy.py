"""A car's insurance, by its data: ten builders, and the dataflow that is made of nine of them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Annotated

from goconductor import Dataflow, Optionals, Participant, PermanentError, Produces

insurer = Participant("insurer")


@dataclass
class Applicant:
    """Who wants to be insured."""

    name: str
    born: int


@dataclass
class Car:
    """What is to be insured."""

    model: str
    built: int


@insurer.builder
async def age(applicant: Applicant) -> int:
    return 2026 - applicant.born


@insurer.builder
async def score(applicant: Applicant, age: int) -> int:
    """Ask a bureau, which may take its time."""
    if "BUREAU_HANGS" in os.environ:
        print("  the bureau is asked, and does not answer", flush=True)
        await asyncio.Event().wait()
    return 90 if age > 25 and applicant.name != "Bob" else 40


@insurer.builder
async def worth(car: Car) -> int:
    return 30_000 - 2_000 * (2026 - car.built)


@insurer.builder
async def list_premium(worth: int) -> Annotated[int, Produces("premium")]:
    """The same premium for everybody."""
    return worth // 20


@insurer.builder
async def fair_premium(worth: int, score: int) -> Annotated[int, Produces("premium")]:
    """Less for whom little can happen to."""
    return worth * (150 - score) // 1_000


@insurer.builder
async def rebate(voucher: str) -> int:
    return {"SPRING": 100}.get(voucher, 0)


@insurer.builder
async def offer(premium: int, rebate: Annotated[int | None, Optionals]) -> int:
    return premium - (rebate or 0)


@insurer.builder
async def identity(applicant: Applicant, code: str) -> str:
    """Compare the code that was sent to the applicant; it is good for once."""
    if code != "271828":
        raise PermanentError("the code is not the one that was sent")
    return f"{applicant.name}, identified"


@insurer.builder
async def deposit(offer: int, card: str) -> str:
    return f"{offer // 10} from the card that ends in {card[-2:]}"


@insurer.builder
async def policy(offer: int, identity: str, deposit: str) -> str:
    return f"{identity}: {offer} a year; deposit {deposit}"


insurance = Dataflow(
    "insurance",
    target="policy",
    builders=[insurer],
    resolve={"premium": fair_premium},
    given=["applicant", "car", "voucher", "code", "card"],
    transients={"code", "card"},
)
