"""Webhooks: register, change, look at, try, and send again."""

from __future__ import annotations

from typing import Any

from goconductor.control.actor import asked_by
from goconductor.control.settings.settings import Settings
from goconductor.control.webhooks import queues, requests
from goconductor.control.webhooks.documents import WebhookWanted
from goconductor.engine.node import Node
from goconductor.grpc.documents import message
from goconductor.grpc.fields import given, within
from goconductor.grpc.v1 import webhooks_pb2 as pb
from goconductor.grpc.v1.values_pb2 import Nothing


class WebhookCalls:
    """The methods of ``Webhooks``.

    Args:
        node: the engine.
        settings: has whom webhooks may call.
    """

    def __init__(self, node: Node, settings: Settings) -> None:
        self._node = node
        self._rules = settings.webhooks.rules

    async def create_webhook(self, request: pb.PutWebhookRequest, _context: Any) -> pb.MadeWebhook:
        """Register a webhook. The answer has its secret this once."""
        actor, wanted = asked_by(request.by), _wanted(request)
        return message(pb.MadeWebhook, await requests.create(actor, self._node, request.name, wanted, self._rules))

    async def replace_webhook(self, request: pb.PutWebhookRequest, _context: Any) -> pb.WebhookDetail:
        """Replace where a webhook is and what it is told of."""
        actor, wanted = asked_by(request.by), _wanted(request)
        return _detail(await requests.replace_webhook(actor, self._node, request.name, wanted, self._rules))

    async def get_webhook(self, request: pb.GetWebhookRequest, _context: Any) -> pb.WebhookDetail:
        """Return a webhook."""
        return _detail(await requests.webhook_detail(asked_by(), self._node, request.name))

    async def list_webhooks(self, request: pb.ListWebhooksRequest, _context: Any) -> pb.WebhookList:
        """Return webhooks in the order of their names."""
        limit = within("limit", given(request, "limit", 50), 1, requests.PAGE_MAX)
        return message(pb.WebhookList, await requests.list_webhooks(asked_by(), self._node, after=request.after, limit=limit))

    async def delete_webhook(self, request: pb.WebhookRequest, _context: Any) -> Nothing:
        """Delete a webhook, with all that it is still to get."""
        await requests.delete(asked_by(request.by), self._node, request.name)
        return Nothing()

    async def pause_webhook(self, request: pb.WebhookRequest, _context: Any) -> pb.WebhookDetail:
        """Send nothing to it from now on."""
        return _detail(await requests.pause(asked_by(request.by), self._node, request.name))

    async def resume_webhook(self, request: pb.WebhookRequest, _context: Any) -> pb.WebhookDetail:
        """Send to it again."""
        return _detail(await requests.resume(asked_by(request.by), self._node, request.name))

    async def rotate_webhook(self, request: pb.RotateWebhookRequest, _context: Any) -> pb.MadeWebhook:
        """Give it a new secret, which the answer has this once."""
        overlap = given(request, "overlap_seconds", requests.OVERLAP_SECONDS)
        made = await requests.rotate(asked_by(request.by), self._node, request.name, overlap_seconds=overlap)
        return message(pb.MadeWebhook, made)

    async def test_webhook(self, request: pb.WebhookRequest, _context: Any) -> pb.WebhookTest:  # noqa: PT019  (no test)
        """Queue a delivery that tries it."""
        return message(pb.WebhookTest, await queues.send_test(asked_by(request.by), self._node, request.name, self._rules))

    async def list_webhook_dead_letters(self, request: pb.ListWebhookDeadLettersRequest, _context: Any) -> pb.DeadDeliveries:
        """Return what it has not taken and is sent no more."""
        limit = within("limit", given(request, "limit", 50), 1, queues.PAGE_MAX)
        found = await queues.dead_letters(asked_by(), self._node, request.name, after=request.after, limit=limit)
        return message(pb.DeadDeliveries, found)

    async def redrive_webhook(self, request: pb.RedriveWebhookRequest, _context: Any) -> pb.RedrivenDeliveries:
        """Send again at once what is dead, or waits for its next attempt."""
        delivery_id = given(request, "delivery_id")
        done = await queues.redrive(asked_by(request.by), self._node, request.name, delivery_id=delivery_id)
        return message(pb.RedrivenDeliveries, done)


def _detail(document: Any) -> pb.WebhookDetail:
    return message(pb.WebhookDetail, document)


def _wanted(request: pb.PutWebhookRequest) -> WebhookWanted:
    return WebhookWanted(
        url=request.url,
        definitions=list(request.definitions),
        statuses=list(request.statuses),
        description=request.description,
    )
