"""The doctor looks at webhooks: which fail for long, are gone, or have dead letters."""

from __future__ import annotations

from goconductor.control.actor import Actor
from goconductor.control.doctor.leading.webhooks import FAILS_SECONDS, LATE_SECONDS, of_webhooks
from goconductor.control.webhooks import queues, requests
from goconductor.control.webhooks.documents import WebhookWanted
from goconductor.ports.store import Attempted
from goconductor.testing.world import World
from goconductor.webhooks.address import Rules
from goconductor.webhooks.endpoint import read

ANN = Actor("ann")
RULES = Rules(enabled=True)


async def test_what_is_wrong_with_webhooks_is_found(world: World) -> None:
    node, store = await world.node(), world.store

    async def found() -> list[str]:
        return [each.what for each in (await of_webhooks(store, world.clock.now(), sent=True)).findings]

    assert (await of_webhooks(store, world.clock.now(), sent=True)).saw == "there are none"
    await requests.create(ANN, node, "orders", WebhookWanted(url="https://example.com/"), RULES)
    assert await found() == []
    (unsent,) = (await of_webhooks(store, world.clock.now(), sent=False)).findings
    assert "webhooks.enabled" in unsent.what
    for _ in range(2):
        await queues.send_test(ANN, node, "orders", RULES)
    await world.clock.advance(LATE_SECONDS + 1.0)
    assert await found() == ["a delivery to webhook orders waits for 301 s"]
    row = await store.webhooks.get("default", "orders")
    term = await store.terms.raise_epoch("leader", 1e9)
    assert row is not None
    assert term is not None
    first, second = await store.webhooks.due([(row.webhook_id, 2)], but=[])
    for delivery, pause in ((first, 60.0), (second, None)):
        failed = Attempted(
            delivery_id=delivery.delivery_id,
            webhook_id=row.webhook_id,
            delivered=False,
            pause_seconds=pause,
            problem="it answered 500",
        )
        await store.webhooks.settle([failed], epoch=term.epoch)
    assert await found() == ["webhook orders has 1 dead letters"]
    await world.clock.advance(FAILS_SECONDS + 1.0)
    assert await found() == ["webhook orders fails since 1.0 hours: it answered 500", "webhook orders has 1 dead letters"]
    row = await store.webhooks.get("default", "orders")
    assert row is not None
    body = read(row.body).written().replace('"secrets"', '"state":"gone","secrets"')
    await store.webhooks.replace(row.webhook_id, tag=row.tag, new_tag=1, body=body)
    assert (await found())[0] == "webhook orders has answered that it is gone"
    assert (await of_webhooks(store, world.clock.now(), sent=True)).saw == "1; 1 deliveries wait, 1 are dead"
