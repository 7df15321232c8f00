"""A payout has what a transfer has not: a lock, a saga that undoes itself, a wait, a savepoint, maps on both sides of the pivot.

``screening → go → debit → route``, then ``apart`` (the limit of each line's payee by itself) or, where one of them is refused,
``together`` (the limit of one collector), then the pivot ``book``, ``credits`` for each line, and ``notify``.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from goconductor import Conductor, Lock, Saga, SagaHandle
from goconductor.errors import RequestRefusedError, StoreUnavailableError
from goconductor.lifecycle.facts.events import StepEvent
from goconductor.testing.checkers import Recorded


@dataclass(frozen=True)
class Line:
    payee: str
    amount: int


@dataclass(frozen=True)
class Payout:
    payer: str
    amount: int
    """The sum of the lines."""
    lines: list[Line]
    collector: str


screening = Saga("screening")
screening.step("ledger.screen")

payout = Saga("payout", input=Payout)
_amount = {"amount": payout.input.amount}
_screened = payout.saga(screening)
_go = payout.wait("go", id="go", after=[_screened])
_debit = payout.step(
    "bank-a.debit", inputs={"payer": payout.input.payer, **_amount}, after=[_go], locks=[Lock("account:{input.payer}")]
)
_route = payout.savepoint("route", first="apart", otherwise=["together"], after=[_debit])
_apart = payout.map(payout.input.lines, id="apart", after=[_route], when="steps.route.output == 'apart'")
_apart.step("bank-b.reserve", inputs={"payee": _apart.item.payee, "amount": _apart.item.amount})
_together = payout.step(
    "bank-b.reserve",
    id="together",
    inputs={"payee": payout.input.collector, **_amount},
    after=[_route],
    when="steps.route.output == 'together'",
)
_book = payout.step("ledger.book", inputs=_amount, after=[_apart, _together], pivot=True)
_credits = payout.map(payout.input.lines, id="credits", after=[_book])
_credits.step("bank-b.credit", inputs={"payee": _credits.item.payee, "amount": _credits.item.amount})
payout.step("ledger.notify", after=[_credits])

WAYS = frozenset({"apart", "together", "back from apart", "back from together"})
"""How a payout may go: see :func:`ways`."""


class Payouts:
    """Starts payouts, and gives each the word that it waits for, before its turn or in it; some it asks to turn back.

    Args:
        conductor: a client.
        chance: seeded.
    """

    def __init__(self, conductor: Conductor, chance: random.Random) -> None:
        self._conductor = conductor
        self._chance = chance
        self._asking: list[asyncio.Task[None]] = []
        self.answers: list[tuple[str, UUID]] = []

    @property
    def released(self) -> int:
        """How many payouts were let go."""
        return len(self._asking)

    def release(self, payouts: int) -> None:
        """Let so many more payouts start."""
        for _ in range(payouts):
            number = self.released + 1
            self._asking.append(asyncio.create_task(self._ask(number, self._order(number), self._chance.random())))

    async def asked(self) -> None:
        """All that were let go have been accepted, and have their word."""
        await asyncio.gather(*self._asking)

    def _order(self, number: int) -> Payout:
        payees = self._chance.sample(range(1, 10), 3)
        lines = [Line(f"payee {payee}", self._chance.randrange(1, 30)) for payee in payees]
        payer, collector = f"payer {self._chance.choice(range(3))}", f"payee {payees[0]}"
        match number % 6:
            case 1:
                payer = "nobody"  # refused before anything is reserved: the screening undoes itself
            case 2:
                lines[1] = Line("nobody", lines[1].amount)
                collector = "nobody as well"  # refused on both ways
            case 3 | 4:
                lines[2] = Line("payee 0", 90)  # soon has had as much as it may get: the other way
            case _:
                pass
        return Payout(payer, sum(line.amount for line in lines), lines, collector)

    async def _ask(self, number: int, order: Payout, wait_seconds: float) -> None:
        key = f"payout {number}"
        handle = await self._started(order, key)
        self.answers.append((key, handle.saga_id))
        if number % 2:
            await asyncio.sleep(wait_seconds)  # so that some wait for their word, and some have it before
        while True:
            try:
                await handle.signal("go", request_id="go")
                if number % 9 == 0:
                    await handle.abort(reason="asked for", request_id="abort")
            except StoreUnavailableError:
                await asyncio.sleep(0.1)
            except RequestRefusedError:  # it is past its pivot, or has ended
                return
            else:
                return

    async def _started(self, order: Payout, key: str) -> SagaHandle[Payout]:
        while True:
            try:
                return await self._conductor.start(payout, order, key=key)
            except StoreUnavailableError:
                await asyncio.sleep(0.1)


def ways(sagas: Iterable[Recorded]) -> Counter[str]:
    """Count the ways that the payouts among ended sagas have gone: "apart" or "together" to the end, or back, with the second way
    taken or without."""
    found: Counter[str] = Counter()
    for saga in sagas:
        if saga.head.saga == "payout":
            way = "together" if any(isinstance(event, StepEvent) and event.round for event in saga.events) else "apart"
            found[way if saga.head.status == "completed" else f"back from {way}"] += 1
    return found
