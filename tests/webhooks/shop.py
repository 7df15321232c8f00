"""A shop whose ends of sagas are told to webhooks, by a leader who is moved by hand."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from goconductor import Saga
from goconductor.control.actor import Actor
from goconductor.control.sagas.starting import start_fire
from goconductor.control.webhooks import requests
from goconductor.control.webhooks.documents import MadeWebhook, WebhookWanted
from goconductor.engine.node import Node
from goconductor.recovery.leadership import LeadTerm
from goconductor.testing.world import World
from goconductor.webhooks.address import Rules
from goconductor.webhooks.posting import Posting
from goconductor.webhooks.queueing import Queueing
from goconductor.webhooks.sending import Pace, Sending
from tests.system.server import Asked, Server

ANN = Actor("ann")
PAUSES = (5.0, 60.0)


def verified(secret: str, headers: Mapping[str, str], body: bytes) -> Any:
    """Read a message as a receiver does, by the algorithm of Standard Webhooks."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    if not any(hmac.compare_digest(wanted, each) for each in headers["webhook-signature"].split(" ")):
        raise PermissionError("no signature fits")
    return json.loads(body)


class Shop:
    """Sagas, webhooks, and a leader who is moved by hand."""

    def __init__(self, world: World, node: Node, rules: Rules, *, timeout_seconds: float = 20.0) -> None:
        self.world, self.node, self.rules = world, node, rules
        self.posting = Posting(rules, timeout_seconds=timeout_seconds)
        self.pace = Pace(concurrency=4, pauses_seconds=PAUSES, kept_days=30.0)
        self.lead_anew()

    def lead_anew(self, **queueing: Any) -> None:
        """Let another leader take over: nothing of what the one before knew is left."""
        self.term: LeadTerm | None = None
        self.sending = Sending(self.node, self.posting.post, self.pace)
        self.queueing = Queueing(self.node, on_queued=self.sending.wake, **queueing)

    async def leads(self) -> LeadTerm:
        """Return the leader's term. The world's own sweep leads in between, so it is a new one each time."""
        term = await self.world.store.terms.raise_epoch("leader", 1e9)
        assert term is not None
        if self.term is None:
            self.term = LeadTerm(term, self.world.clock, 1e18)
        self.term.term = term
        return self.term

    async def hook(self, url: str, name: str = "orders", **wanted: Any) -> MadeWebhook:
        return await requests.create(ANN, self.node, name, WebhookWanted(url=url, **wanted), self.rules)

    async def shown(self, name: str = "orders") -> Any:
        return await requests.webhook_detail(ANN, self.node, name)

    async def sell(self, sku: str = "tea", saga_name: str = "order") -> UUID:
        saga: Saga[Any] = Saga(saga_name)
        paid = saga.step("shop.pay", inputs={"sku": saga.input["sku"]})
        saga.step("shop.pack", inputs={"sku": saga.input["sku"], "receipt": paid.output})
        await self.node.definitions.register(saga.definition)
        saga_id = await start_fire(self.node, saga_name, {"sku": sku}, key=str(uuid4()), labels={"team": "a"})
        await self.world.end_of(saga_id)
        return saga_id

    async def queue(self) -> None:
        """Follow the events as far as they go."""
        await self.leads()
        while (await self.queueing.follow_once((await self.leads()).epoch))[1]:
            pass

    async def attempt(self) -> None:
        """Make all attempts that are due, and write what became of them."""
        while await self.sending.send_once(await self.leads()):
            await asyncio.wait([*self.sending.running.values()], return_when=asyncio.FIRST_COMPLETED)

    async def deliver(self) -> None:
        await self.queue()
        await self.attempt()


def events(receiver: Server, secret: str) -> list[Any]:
    """Return what a receiver has got and could verify."""
    return [verified(secret, each.headers, each.body) for each in receiver.asked]


def ids(asked: list[Asked]) -> list[str]:
    return [each.headers["webhook-id"] for each in asked]
