"""A shop whose participant reads its outbox, to be killed: ``python -m tests.outbox.service SAGA_LOG_URL SHOP_URL``."""

from __future__ import annotations

import asyncio
import sys

from goconductor import Participant, Saga, Settings
from goconductor.outbox import Outbox

order: Saga[None] = Saga("order")
order.step("shop.sell", id="sold")


def shop_of(outbox: Outbox) -> Participant:
    shop = Participant("shop", outboxes=[outbox])

    @shop.step
    async def sell() -> str:
        return "sold"

    return shop


if __name__ == "__main__":
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": sys.argv[1]})
    asyncio.run(shop_of(Outbox(sys.argv[2], sagas=[order])).run(settings))
