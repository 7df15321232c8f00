"""Each function of `control` that changes something is noted when it is called: the table of permissions says which there are."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from goconductor.control.actor import Actor
from goconductor.control.audit.reading import entries
from goconductor.control.authority.keys import create_key, revoke_key
from goconductor.control.authority.roles import NEEDS, Permission
from goconductor.control.dataflows.runs import run
from goconductor.control.definitions.versions import activate, register, unpin
from goconductor.control.flows import editing, edits
from goconductor.control.installation import dead_letters
from goconductor.control.installation.changes import change
from goconductor.control.sagas import bulk, signals
from goconductor.control.sagas.requests import ask
from goconductor.control.sagas.starting import start
from goconductor.control.schedules import requests as schedules
from goconductor.control.schedules.documents import ScheduleWanted
from goconductor.control.secrets import keeping
from goconductor.control.settings.sections import SecretSettings
from goconductor.control.webhooks import queues
from goconductor.control.webhooks import requests as webhooks
from goconductor.control.webhooks.documents import WebhookWanted
from goconductor.errors import GoConductorError
from goconductor.keyrings.environment import VARIABLE
from goconductor.lifecycle.facts.events import PauseRequested
from goconductor.ports.store import Attempted, DeadLetter, NewDelivery
from goconductor.webhooks.address import Rules
from tests.contracts.wrapping_keys import text_of
from tests.control.conftest import Bench

ANN = Actor("ann")
GIVEN = {"stock": "tea", "card": "4242"}
KEYRING = SecretSettings(kind="environment")
HOURLY = ScheduleWanted(saga="order", every_seconds=3600, input=GIVEN)

BY_ANOTHER = {
    "flows.executing.execute": "sagas.starting.start",
    "flows.executing.request": "sagas.requests.ask",
    "flows.executing.stop": "sagas.requests.ask",
}
"""Functions that change something by another one alone, which notes it."""
LASTS_NOT = {
    "installation.workers.join": "a worker is there for as long as its connection",
    "installation.workers.known_session": "a worker is there for as long as its connection",
}
"""Functions that change nothing that lasts."""
READING = {
    *("audit.reading.entries", "audit.reading.verify", "authority.keys.list_keys"),
    *("secrets.keeping.list_secrets", "secrets.keeping.verify_secrets"),
    *("webhooks.queues.dead_letters", "webhooks.requests.list_webhooks", "webhooks.requests.webhook_detail"),
}
"""Functions that change nothing, though they need more than the permission to read."""
IN_PARTS = {"dataflows.runs.run", "sagas.bulk.bulk"}
"""Functions whose calls make many requests: they are noted before the first."""


async def letter(bench: Bench) -> int:
    await bench.world.store.dead_letters.put(DeadLetter(topic="t", payload=b"{}", reason="odd"))
    return (await bench.world.store.dead_letters.newest(limit=1))[0].letter_id


async def redrive(bench: Bench) -> None:
    await dead_letters.redrive(ANN, bench.node, await letter(bench))


async def drop(bench: Bench) -> None:
    await dead_letters.drop(ANN, bench.node, await letter(bench), reason="old")


async def paused(bench: Bench) -> None:
    await ask(ANN, bench.node, await bench.start(card="busy"), PauseRequested())


async def paused_in_bulk(bench: Bench) -> None:
    await bench.start(card="busy")
    await bulk.bulk(ANN, bench.node, bulk.read_bulk("pause"), await bulk.select(ANN, bench.node))


async def scheduled(bench: Bench) -> None:
    await register(ANN, bench.node, bench.saga.definition)
    await schedules.create(ANN, bench.node, "nightly", HOURLY)


def of_schedule(change: Callable[..., Awaitable[object]], *more: object) -> Callable[[Bench], Awaitable[object]]:
    async def call(bench: Bench) -> None:
        await scheduled(bench)
        await change(ANN, bench.node, "nightly", *more)

    return call


RULES = Rules(enabled=True)
HOOK = WebhookWanted(url="https://example.com/hooks")


def of_webhook(change: Callable[..., Awaitable[object]], *more: object) -> Callable[[Bench], Awaitable[object]]:
    async def call(bench: Bench) -> None:
        await webhooks.create(ANN, bench.node, "orders", HOOK, RULES)
        await change(ANN, bench.node, "orders", *more)

    return call


async def redriven(bench: Bench) -> None:
    hooks = bench.world.store.webhooks
    await webhooks.create(ANN, bench.node, "orders", HOOK, RULES)
    row = await hooks.get("default", "orders")
    assert row is not None
    await hooks.add(NewDelivery(webhook_id=row.webhook_id, message_id="m", body="{}"))
    [delivery] = await hooks.due([(row.webhook_id, 1)], but=[])
    term = await bench.world.store.terms.raise_epoch("leader", 1e9)
    assert term is not None
    failed = Attempted(delivery_id=delivery.delivery_id, webhook_id=row.webhook_id, delivered=False)
    await hooks.settle([failed], epoch=term.epoch)
    await queues.redrive(ANN, bench.node, "orders")


async def activated(bench: Bench) -> None:
    summary = await register(ANN, bench.node, bench.saga.definition)
    await activate(ANN, bench.node, "order", summary.version)


async def unpinned(bench: Bench) -> None:
    await activated(bench)
    await unpin(ANN, bench.node, "order")


async def revoked(bench: Bench) -> None:
    await revoke_key(ANN, bench.node, (await create_key(ANN, bench.node, "ci", ["viewer"])).detail.key_id)


async def started(bench: Bench) -> None:
    bench.node.audits_starts = True
    await register(ANN, bench.node, bench.saga.definition)
    await start(ANN, bench.node, "order", GIVEN)


async def keep(bench: Bench) -> None:
    await keeping.set_secret(ANN, bench.node.store, KEYRING, "bus", "hunter2")


async def deleted(bench: Bench) -> None:
    await keep(bench)
    await keeping.delete_secret(ANN, bench.node.store, "bus")


async def rewrapped(bench: Bench) -> None:
    await keep(bench)
    os.environ[VARIABLE] += text_of(["k2"])
    await keeping.rewrap_secrets(ANN, bench.node.store, KEYRING)


@pytest.fixture(autouse=True)
def _wrapping_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text_of(["k1"]))


DONE: dict[str, Callable[[Bench], Awaitable[object]]] = {
    "authority.keys.create_key": lambda bench: create_key(ANN, bench.node, "ci", ["viewer"]),
    "authority.keys.revoke_key": revoked,
    "definitions.versions.activate": activated,
    "definitions.versions.register": lambda bench: register(ANN, bench.node, bench.saga.definition),
    "definitions.versions.unpin": unpinned,
    "installation.changes.change": lambda bench: change(
        ANN, bench.node.store, "bus", to="other", named=["memory", "other"], force=True
    ),
    "installation.dead_letters.drop": drop,
    "installation.dead_letters.redrive": redrive,
    "sagas.bulk.bulk": paused_in_bulk,
    "sagas.requests.ask": paused,
    "sagas.starting.start": started,
    "schedules.requests.create": scheduled,
    "schedules.requests.delete": of_schedule(schedules.delete),
    "schedules.requests.fire": of_schedule(schedules.fire),
    "schedules.requests.pause": of_schedule(schedules.pause),
    "schedules.requests.replace_schedule": of_schedule(schedules.replace_schedule, HOURLY),
    "schedules.requests.resume": of_schedule(schedules.resume),
    "secrets.keeping.delete_secret": deleted,
    "secrets.keeping.rewrap_secrets": rewrapped,
    "secrets.keeping.set_secret": keep,
    "webhooks.queues.redrive": redriven,
    "webhooks.queues.send_test": of_webhook(queues.send_test, RULES),
    "webhooks.requests.create": lambda bench: webhooks.create(ANN, bench.node, "orders", HOOK, RULES),
    "webhooks.requests.delete": of_webhook(webhooks.delete),
    "webhooks.requests.pause": of_webhook(webhooks.pause),
    "webhooks.requests.replace_webhook": of_webhook(webhooks.replace_webhook, HOOK, RULES),
    "webhooks.requests.resume": of_webhook(webhooks.resume),
    "webhooks.requests.rotate": of_webhook(webhooks.rotate),
}
"""A call of each function that changes something."""
REFUSED: dict[str, Callable[[Bench, UUID], Awaitable[object]]] = {
    "dataflows.runs.run": lambda bench, _: run(ANN, bench.node, "nowhere", "d1", {}),
    "flows.editing.change_flow": lambda bench, _: editing.change_flow(ANN, bench.node, "nowhere", edits.OwnFields()),
    "flows.editing.create_step": lambda bench, _: editing.create_step(ANN, bench.node, "nowhere", {}),
    "flows.editing.delete_step": lambda bench, _: editing.delete_step(ANN, bench.node, "nowhere", "s"),
    "flows.editing.replace_step": lambda bench, _: editing.replace_step(ANN, bench.node, "nowhere", {}),
    "sagas.signals.approve": lambda bench, saga_id: signals.approve(ANN, bench.node, saga_id, "charge", reason="fine"),
    "sagas.signals.report": lambda bench, _: signals.report(ANN, bench.node, "none"),
    "sagas.signals.signal": lambda bench, saga_id: signals.signal(ANN, bench.node, saga_id, "paid", {}),
}
"""The same for those to which this saga gives no occasion: their refusal is noted in the same place."""


def test_every_function_that_changes_something_is_called_here() -> None:
    changing = {name for name, needed in NEEDS.items() if needed is not Permission.READ} - READING - LASTS_NOT.keys()
    assert changing == DONE.keys() | REFUSED.keys() | BY_ANOTHER.keys()
    assert {*READING, *LASTS_NOT, *BY_ANOTHER} <= NEEDS.keys()
    assert {*BY_ANOTHER.values()} <= DONE.keys()


@pytest.mark.parametrize("name", sorted(DONE))
async def test_a_function_that_changes_something_notes_it_once(bench: Bench, name: str) -> None:
    await DONE[name](bench)
    (row,) = (await entries(ANN, bench.node, function=name)).entries
    assert (row.actor, row.outcome) == ("ann", "begun" if name in IN_PARTS else "done")


@pytest.mark.parametrize("name", sorted(REFUSED))
async def test_a_function_that_refuses_notes_that_once(bench: Bench, name: str) -> None:
    saga_id = await bench.start(card="busy")
    with pytest.raises(GoConductorError):
        await REFUSED[name](bench, saga_id)
    (row,) = (await entries(ANN, bench.node, function=name)).entries
    assert (row.actor, row.outcome) == ("ann", "begun" if name in IN_PARTS else "refused")
