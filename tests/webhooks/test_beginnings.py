"""Where webhooks begin: with what happens before anybody leads, and again after a pause that a receiver has asked for."""

from __future__ import annotations

import asyncio
import json

from tests.system.server import Asked, Server, answer
from tests.webhooks.shop import Shop


async def test_what_happens_before_anybody_leads_is_told(shop: Shop, receiver: Server) -> None:
    shop.world.store.data.feeds.clear()  # webhooks have just been enabled, and who leads does not know of it yet
    await shop.hook(receiver.url)
    saga_id = await shop.sell()
    shop.lead_anew()
    await shop.deliver()
    assert [json.loads(each.body)["subject"] for each in receiver.asked] == [str(saga_id)]


async def test_a_pause_that_was_asked_for_outlives_what_was_under_way_then(shop: Shop, receiver: Server) -> None:
    await shop.hook(receiver.url)
    refused = asyncio.Event()

    async def late(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await refused.wait()
        writer.write(answer(200))

    receiver.answers = [late, answer(429, b"", "Retry-After: 600"), answer(200)]
    for _ in range(2):
        await shop.sell()
    await shop.queue()
    term = await shop.leads()
    await shop.sending.send_once(term)
    while not shop.sending._left_alone:  # noqa: ASYNC110  (the attempt has no event)
        await asyncio.sleep(0.001)
    refused.set()
    await shop.attempt()
    assert (await shop.shown()).delivered == 1
    await shop.sell()
    await shop.world.clock.advance(500.0)
    await shop.deliver()
    assert len(receiver.asked) == 2
    await shop.world.clock.advance(161.0)
    await shop.attempt()
    assert (await shop.shown()).delivered == 3
