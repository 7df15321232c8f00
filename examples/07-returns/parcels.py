"""The steps that the two documents name: a warehouse's and a bank's."""

from __future__ import annotations

from goconductor import Participant, RefusedError

warehouse, bank = Participant("warehouse"), Participant("bank")
LIMIT_CENTS = 100_000


@warehouse.step
async def inspect(parcel: str) -> dict[str, str]:
    """Look into a parcel."""
    return {"state": "damaged" if "broken" in parcel else "good"}


@warehouse.step
async def restock(parcel: str) -> None:
    """Put it back on its shelf."""
    print(f"  {parcel}: on the shelf", flush=True)


@restock.compensation
async def take_away(parcel: str) -> None:
    """Take it from the shelf again."""
    print(f"  {parcel}: taken from the shelf again", flush=True)


@warehouse.step
async def scrap(parcel: str) -> None:
    """Throw it away."""
    print(f"  {parcel}: thrown away", flush=True)


@warehouse.step
async def remind(customer: str) -> str:
    """Write to somebody who has not sent a parcel back."""
    return f"{customer} was reminded"


@bank.step
async def refund(cents: int) -> None:
    """Give the money back, up to a limit."""
    if cents > LIMIT_CENTS:
        raise RefusedError("somebody has to look at this refund")
