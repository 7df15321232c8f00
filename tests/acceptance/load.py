"""Clients of the bank: transfers that go well, that are refused, that are asked for twice."""

from __future__ import annotations

import asyncio
import random
from uuid import UUID

import pytest

from goconductor import Conductor, SagaAlreadyStartedError, SagaHandle
from goconductor.errors import StoreUnavailableError
from tests.acceptance.sagas import Transfer, transfer


class Load:
    """Starts transfers, each when it is let go.

    Args:
        conductor: a client.
        chance: seeded.
        after: the number of the last transfer that another client let go.
    """

    def __init__(self, conductor: Conductor, chance: random.Random, after: int = 0) -> None:
        self._conductor = conductor
        self._chance = chance
        self._number = self._after = after
        self._starting: list[asyncio.Task[None]] = []
        self.answers: list[tuple[str, UUID]] = []

    @property
    def released(self) -> int:
        """How many transfers were let go."""
        return self._number - self._after

    def release(self, transfers: int) -> None:
        """Let so many more transfers start."""
        for _ in range(transfers):
            self._number += 1
            self._starting.append(asyncio.create_task(self._start(self._number)))

    async def started(self) -> None:
        """All that were let go have been accepted."""
        await asyncio.gather(*self._starting)

    def _order(self, number: int) -> Transfer:
        payer, payee = self._chance.choice(range(10)), self._chance.choice(range(1, 10))
        amount = self._chance.randrange(1, 100)
        match number % 8:
            case 3:
                return Transfer("poor payer", f"payee {payee}", amount)  # soon has too little
            case 5:
                return Transfer(f"payer {payer}", "payee 0", amount)  # soon has had as much as it may get
            case 7 if number % 16 == 7:
                return Transfer(f"payer {payer}", "closed payee", amount)  # refused by the pivot itself
            case _:
                return Transfer(f"payer {payer}", f"payee {payee}", amount)

    async def _start(self, number: int) -> None:
        key, order = f"transfer {number}", self._order(number)
        handles = [await self._started(order, key)]
        if number % 7 == 0:
            handles += await asyncio.gather(*(self._started(order, key) for _ in range(2)))
            assert [handle.existing for handle in handles[1:]] == [True, True]
        if number % 10 == 0:
            other = Transfer(order.payer, order.payee, order.amount + 1)
            with pytest.raises(SagaAlreadyStartedError):
                await self._started(other, key)
        self.answers += [(key, handle.saga_id) for handle in handles]

    async def _started(self, order: Transfer, key: str) -> SagaHandle[Transfer]:
        """As a caller does who must get an answer: the key makes it safe to ask again."""
        while True:
            try:
                return await self._conductor.start(transfer, order, key=key)
            except StoreUnavailableError:
                await asyncio.sleep(0.1)
