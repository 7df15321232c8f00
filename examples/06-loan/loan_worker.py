"""Has the actions of the loan that are a worker's."""

from __future__ import annotations

import asyncio
from typing import Any

from goconductor import Participant, Settings, logs

orchy = Participant("orchy")


@orchy.step
async def score(age: int, limit: int, note: str) -> dict[str, Any]:
    """Give points to somebody: a student gets few, and whoever is thirty gets the limit."""
    return {"points": limit if age == 30 else age * 20, "note": note}


@orchy.step
async def offer(grade: str, raw: int, twice: int) -> str:
    """Offer a loan, by the points."""
    return f"{raw + twice} euros for a {grade} grade"


@orchy.step
async def refuse(why: str) -> str:
    """Refuse the loan."""
    return f"the grade is {why}"


@orchy.step
async def archive(k1: int, k2: Any, k3: Any) -> str:
    """Put what was decided away."""
    return f"archived under {k1}" + (f", signed by {k2['by']}" if k2 else "") + (f", with {k3}" if k3 else "")


async def main() -> None:
    """Run until terminated."""
    logs.set_up(level="error", format="text")
    await orchy.run(Settings.load())


if __name__ == "__main__":
    asyncio.run(main())
