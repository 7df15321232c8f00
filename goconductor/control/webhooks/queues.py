"""What a webhook is still to get: dead letters, sent again, and a delivery to try it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import msgspec

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import noted
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.models import moment
from goconductor.control.webhooks.documents import DeadDeliveries, DeadDelivery, RedrivenDeliveries, WebhookTest
from goconductor.control.webhooks.requests import WebhookNotFoundError, found_row
from goconductor.engine.node import Node
from goconductor.errors import RequestRefusedError
from goconductor.messages.topics import PREFIX
from goconductor.ports.store import NewDelivery
from goconductor.redaction import logger_of
from goconductor.webhooks.address import Rules
from goconductor.webhooks.endpoint import State, read

logger = logger_of("goconductor.control")

TEST_TYPE = f"{PREFIX}.webhook.test"
"""The type of the CloudEvent that tries a webhook."""
PAGE_MAX = 100
"""Greatest number of dead letters on a page."""
REDRIVE_MAX = 1000
"""Number of deliveries that one request sends again."""
DELIVERY_ID_MAX = 2**63 - 1
"""Greatest number that a delivery can have."""


class DeliveryNotFoundError(RequestRefusedError):
    """The webhook has no such delivery that could be sent again; list its dead letters."""


async def dead_letters(actor: Actor, node: Node, name: str, *, after: int = 0, limit: int = PAGE_MAX) -> DeadDeliveries:
    """Return what a webhook has not taken and is sent no more, the oldest first.

    Args:
        actor: the actor of the request.
        node: the engine.
        name: of the webhook.
        after: only those behind this number.
        limit: how many at most, up to 100.

    Raises:
        RequestInvalidError: a number is out of bounds.
        WebhookNotFoundError: there is no such webhook.
        StoreUnavailableError: the database cannot be reached.
    """
    found = [] if 0 <= after <= DELIVERY_ID_MAX else [Fault("after", "should be the number of a delivery")]
    if not 1 <= limit <= PAGE_MAX:
        found.append(Fault("limit", f"is {limit}; give 1 to {PAGE_MAX}"))
    if found:
        raise RequestInvalidError("the request", found)
    row = await found_row(actor, node, name)
    letters = await node.store.webhooks.letters(row.webhook_id, after=after, limit=limit + 1)
    shown = [
        DeadDelivery(
            delivery_id=each.delivery_id,
            message_id=each.message_id,
            created_at=moment(each.created_at),
            attempts=each.attempts,
            problem=each.problem,
            body=each.body,
        )
        for each in letters[:limit]
    ]
    return DeadDeliveries(dead_letters=shown, after=shown[-1].delivery_id if len(letters) > limit else None)


@noted("webhook {name}")
async def redrive(actor: Actor, node: Node, name: str, *, delivery_id: int | None = None) -> RedrivenDeliveries:
    """Send again at once what is dead, or waits for its next attempt, with all attempts before it.

    Args:
        actor: the actor of the request.
        node: the engine.
        name: of the webhook.
        delivery_id: one delivery; None means the oldest 1,000.

    Raises:
        RequestInvalidError: the number is none.
        WebhookNotFoundError: there is no such webhook.
        DeliveryNotFoundError: it has no such delivery, or that one is being sent.
        StoreUnavailableError: the database cannot be reached.
    """
    if delivery_id is not None and not 0 <= delivery_id <= DELIVERY_ID_MAX:
        raise RequestInvalidError("the request", [Fault("delivery_id", "should be the number of a delivery")])
    row = await found_row(actor, node, name)
    redriven = await node.store.webhooks.redrive(row.webhook_id, delivery_id, limit=REDRIVE_MAX)
    if delivery_id is not None and not redriven:
        raise DeliveryNotFoundError(
            f"webhook {name!r} has no delivery {delivery_id} that is dead or waits for its next attempt; list its dead letters"
        )
    logger.info("%d deliveries to webhook %r are sent again (by %s)", redriven, name, actor.name or "somebody")
    return RedrivenDeliveries(redriven=redriven)


@noted("webhook {name}")
async def send_test(actor: Actor, node: Node, name: str, rules: Rules) -> WebhookTest:
    """Queue a delivery that tries a webhook: a CloudEvent of a type of its own. The leader sends it as any other.

    Args:
        actor: the actor of the request.
        node: the engine.
        name: of the webhook.
        rules: what the settings allow.

    Raises:
        RequestRefusedError: it is not active, or webhooks are not enabled: nothing would be sent.
        WebhookNotFoundError: there is no such webhook.
        StoreUnavailableError: the database cannot be reached.
    """
    if not rules.enabled:
        raise RequestRefusedError("webhooks are not enabled; set webhooks.enabled in the settings of all servers")
    row = await found_row(actor, node, name)
    if (state := read(row.body).state) is not State.ACTIVE:
        raise RequestRefusedError(f"webhook {name!r} is {state.value}, so nothing is sent to it; resume it first")
    message_id = f"test_{uuid4()}"
    event = {
        "specversion": "1.0",
        "id": message_id,
        "source": f"/{PREFIX}/webhooks/{name}",
        "type": TEST_TYPE,
        "time": datetime.fromtimestamp(await node.store.terms.database_time(), UTC).isoformat().replace("+00:00", "Z"),
        "data": {"webhook": name},
    }
    delivery = NewDelivery(webhook_id=row.webhook_id, message_id=message_id, body=msgspec.json.encode(event).decode())
    if not await node.store.webhooks.add(delivery):
        raise WebhookNotFoundError(f"there is no webhook {name!r} any more; list the webhooks")
    return WebhookTest(message_id=message_id)
