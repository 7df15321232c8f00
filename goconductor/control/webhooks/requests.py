"""Webhooks: register, change, look at. All doors come here."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import noted
from goconductor.control.faults import Fault, RequestInvalidError, text_faults
from goconductor.control.models import moment
from goconductor.control.webhooks.documents import (
    MadeWebhook,
    WebhookDetail,
    WebhookList,
    WebhookSecret,
    WebhookSummary,
    WebhookWanted,
)
from goconductor.engine.node import Node
from goconductor.engine.work.granted import random_number
from goconductor.errors import RequestRefusedError, nearest
from goconductor.ports.store import WebhookQueue, WebhookRow
from goconductor.redaction import logger_of
from goconductor.saga.ids import DEFAULT_NAMESPACE, is_name
from goconductor.webhooks.address import Rules
from goconductor.webhooks.endpoint import STATUSES, Endpoint, State, read
from goconductor.webhooks.queueing import note_place

logger = logger_of("goconductor.control")

WEBHOOKS_MAX = 100
"""Greatest number of webhooks: the leader may be busy with all of them at one time."""
DEFINITIONS_MAX = 100
"""Greatest number of definitions that one names."""
DESCRIPTION_CHARACTERS_MAX = 500
"""Greatest length of a description, in characters."""
PAGE_MAX = 100
"""Greatest number of webhooks on a page."""
OVERLAP_SECONDS = 86_400.0
"""Seconds for which an old secret signs beside the new one, where nobody says otherwise."""
OVERLAP_SECONDS_MAX = 30 * 86_400.0
"""Greatest such time, in seconds."""
TRIES = 20
"""Greatest number of times that a change is tried, while others change the same webhook."""


class WebhookNotFoundError(RequestRefusedError):
    """There is no such webhook; list the webhooks, or check its name."""


class WebhookExistsError(RequestRefusedError):
    """There is a webhook of this name; replace it, or choose another name."""


@noted("webhook {name}")
async def create(actor: Actor, node: Node, name: str, wanted: WebhookWanted, rules: Rules) -> MadeWebhook:
    """Register a webhook. Its secret is shown this once. It is told what happens from now on.

    Args:
        actor: the actor of the request; kept with the webhook.
        node: the engine.
        name: its name: up to 100 letters, digits, ``_`` and ``-``.
        wanted: what it is to be.
        rules: what the settings allow.

    Raises:
        RequestInvalidError: it cannot be so; names every place.
        RequestRefusedError: webhooks are not enabled, or there are too many.
        WebhookExistsError: there is one of this name.
        ConfigurationError: the order of events cannot be read; names the remedy.
        StoreUnavailableError: the database cannot be reached.
    """
    if not rules.enabled:
        raise RequestRefusedError(
            "webhooks are not enabled; set webhooks.enabled in the settings of all servers and run `goconductor migrate`"
        )
    found = await _faults(node, wanted, rules)
    if not is_name(name):
        found.insert(0, Fault("name", f"is {name[:100]!a}; use up to 100 letters, digits, '_' and '-', no sign at either end"))
    if found:
        raise RequestInvalidError("the webhook", found)
    await note_place(node.store)
    now = await node.store.terms.database_time()
    endpoint, secret = _endpoint(actor, wanted, now).rotated(now, 0.0)
    row = await node.store.webhooks.create(
        actor.namespace, name, tag=random_number(), body=endpoint.written(), at_most=WEBHOOKS_MAX
    )
    if row is None:
        if await node.store.webhooks.get(actor.namespace, name) is not None:
            raise WebhookExistsError(f"there is a webhook {name!r}; replace it, or choose another name")
        raise RequestRefusedError(f"there are {WEBHOOKS_MAX} webhooks, as many as there may be; delete one that nobody needs")
    logger.info("webhook %r was made (by %s)", name, actor.name or "somebody")
    return MadeWebhook(secret=secret, detail=_detail(row, WebhookQueue(webhook_id=row.webhook_id), now))


@noted("webhook {name}")
async def replace_webhook(actor: Actor, node: Node, name: str, wanted: WebhookWanted, rules: Rules) -> WebhookDetail:
    """Replace where a webhook is and what it is told of. Its secret, its state and its queue stay.

    Args and errors as of :func:`create`.

    Raises:
        WebhookNotFoundError: there is none of this name.
    """
    if found := await _faults(node, wanted, rules):
        raise RequestInvalidError("the webhook", found)

    def change(endpoint: Endpoint, now: float) -> Endpoint:
        new = _endpoint(actor, wanted, now)
        return replace(new, state=endpoint.state, secrets=endpoint.secrets)

    return await _changed(actor, node, name, change, "replaced")


@noted("webhook {name}")
async def pause(actor: Actor, node: Node, name: str) -> WebhookDetail:
    """Send nothing to it from now on. What it wants is queued.

    Raises:
        WebhookNotFoundError: there is none of this name.
        StoreUnavailableError: the database cannot be reached.
    """
    return await _changed(actor, node, name, lambda endpoint, _: replace(endpoint, state=State.PAUSED), "paused")


@noted("webhook {name}")
async def resume(actor: Actor, node: Node, name: str) -> WebhookDetail:
    """Send to it again, what waits first; also to one that has answered that it is gone.

    Raises:
        WebhookNotFoundError: there is none of this name.
        StoreUnavailableError: the database cannot be reached.
    """
    return await _changed(actor, node, name, lambda endpoint, _: replace(endpoint, state=State.ACTIVE), "resumed")


@noted("webhook {name}")
async def rotate(actor: Actor, node: Node, name: str, *, overlap_seconds: float = OVERLAP_SECONDS) -> MadeWebhook:
    """Give a webhook a new secret, which is shown this once. The old one signs as well for a while; three sign at most.

    Args:
        actor: the actor of the request; kept with the webhook.
        node: the engine.
        name: its name.
        overlap_seconds: seconds for which the old one signs; 0 ends it now.

    Raises:
        RequestInvalidError: the time is none.
        WebhookNotFoundError: there is none of this name.
        StoreUnavailableError: the database cannot be reached.
    """
    if not 0 <= overlap_seconds <= OVERLAP_SECONDS_MAX:
        problem = f"is {overlap_seconds:g}; give 0 to {OVERLAP_SECONDS_MAX:,.0f} seconds"
        raise RequestInvalidError("the request", [Fault("overlap_seconds", problem)])
    secrets: list[str] = []

    def change(endpoint: Endpoint, now: float) -> Endpoint:
        rotated, secret = endpoint.rotated(now, overlap_seconds)
        secrets.append(secret)
        return rotated

    detail = await _changed(actor, node, name, change, "given another secret")
    return MadeWebhook(secret=secrets[-1], detail=detail)


@noted("webhook {name}")
async def delete(actor: Actor, node: Node, name: str) -> None:
    """Delete a webhook, with all that it is still to get.

    Raises:
        WebhookNotFoundError: there is none of this name.
        StoreUnavailableError: the database cannot be reached.
    """
    for _ in range(TRIES):
        row = await found_row(actor, node, name)
        if await node.store.webhooks.delete(row.webhook_id, tag=row.tag):
            logger.info("webhook %r was deleted (by %s)", name, actor.name or "somebody")
            return
    raise _busy(name)


async def webhook_detail(actor: Actor, node: Node, name: str) -> WebhookDetail:
    """Return a webhook: what it is told of, what became of that, and what waits.

    Raises:
        WebhookNotFoundError: there is none of this name.
        StoreUnavailableError: the database cannot be reached.
    """
    row = await found_row(actor, node, name)
    return await _shown(node, row)


async def list_webhooks(actor: Actor, node: Node, *, after: str = "", limit: int = PAGE_MAX) -> WebhookList:
    """Return webhooks in the order of their names.

    Args:
        actor: the actor of the request.
        node: the engine.
        after: only names behind this one.
        limit: how many at most, up to 100.

    Raises:
        RequestInvalidError: the limit is none.
        StoreUnavailableError: the database cannot be reached.
    """
    if not 1 <= limit <= PAGE_MAX:
        raise RequestInvalidError("the request", [Fault("limit", f"is {limit}; give 1 to {PAGE_MAX}")])
    if text_faults("after", after, DESCRIPTION_CHARACTERS_MAX):
        return WebhookList(webhooks=[])  # no name is like that
    rows = await node.store.webhooks.page(actor.namespace, after=after, limit=limit + 1)
    shown = [_summary(row) for row in rows[:limit]]
    return WebhookList(webhooks=shown, after=shown[-1].name if len(rows) > limit else None)


async def found_row(actor: Actor, node: Node, name: str) -> WebhookRow:
    """Return the row of a webhook.

    Raises:
        WebhookNotFoundError: there is none of this name.
    """
    row = await node.store.webhooks.get(actor.namespace, name) if is_name(name) else None
    if row is None:
        raise WebhookNotFoundError(f"there is no webhook {name[:100]!a}; list the webhooks, or check its name")
    return row


async def _faults(node: Node, wanted: WebhookWanted, rules: Rules) -> list[Fault]:
    """Find all that is wrong with what is wanted. The URL may have a secret in it, so it is not quoted."""
    found = []
    try:
        rules.target_of(wanted.url)
    except ValueError as error:
        found.append(Fault("url", str(error)))
    found += [
        Fault("statuses", f"has {each[:100]!a}, which is not told; {nearest(each, STATUSES)}")
        for each in wanted.statuses
        if each not in STATUSES
    ]
    found += text_faults("description", wanted.description, DESCRIPTION_CHARACTERS_MAX)
    if len(wanted.definitions) > DEFINITIONS_MAX:
        return [*found, Fault("definitions", f"has {len(wanted.definitions)} names; give at most {DEFINITIONS_MAX}")]
    if wanted.definitions:
        known = {stored.saga for stored in await node.store.definitions.versions(DEFAULT_NAMESPACE)}
        found += [
            Fault("definitions", f"has {each[:100]!a}, which is not registered; {nearest(each, known)}")
            for each in wanted.definitions
            if each not in known
        ]
    return found


def _endpoint(actor: Actor, wanted: WebhookWanted, now: float) -> Endpoint:
    return Endpoint(
        url=wanted.url,
        definitions=tuple(sorted(set(wanted.definitions))),
        statuses=tuple(each for each in STATUSES if each in wanted.statuses),
        description=wanted.description,
        changed_at=now,
        changed_by=actor.name,
    )


async def _changed(
    actor: Actor, node: Node, name: str, change: Callable[[Endpoint, float], Endpoint], what: str
) -> WebhookDetail:
    """Change a webhook as it is now; where somebody else was first, change what that one has made of it."""
    for _ in range(TRIES):
        now = await node.store.terms.database_time()
        row = await found_row(actor, node, name)
        body = replace(change(read(row.body), now), changed_at=now, changed_by=actor.name).written()
        if await node.store.webhooks.replace(row.webhook_id, tag=row.tag, new_tag=random_number(), body=body):
            logger.info("webhook %r was %s (by %s)", name, what, actor.name or "somebody")
            return await _shown(node, replace(row, body=body))
    raise _busy(name)


def _busy(name: str) -> RequestRefusedError:
    return RequestRefusedError(f"webhook {name!r} is being changed again and again; try again")


async def _shown(node: Node, row: WebhookRow) -> WebhookDetail:
    now = await node.store.terms.database_time()
    [queue] = await node.store.webhooks.queues([row.webhook_id])
    return _detail(row, queue, now)


def _summary(row: WebhookRow) -> WebhookSummary:
    endpoint = read(row.body)
    return WebhookSummary(
        name=row.name,
        url=endpoint.url,
        definitions=list(endpoint.definitions),
        statuses=list(endpoint.statuses),
        description=endpoint.description,
        state=endpoint.state,
        created_at=moment(row.created_at),
        changed_at=moment(endpoint.changed_at),
        changed_by=endpoint.changed_by,
        delivered=row.delivered,
        failed=row.failed,
        delivered_at=None if row.delivered_at is None else moment(row.delivered_at),
        failing_since=None if row.failing_since is None else moment(row.failing_since),
        problem=row.problem,
    )


def _detail(row: WebhookRow, queue: WebhookQueue, now: float) -> WebhookDetail:
    secrets = [each for each in read(row.body).secrets if each.until is None or each.until > now]
    return WebhookDetail(
        **dict(_summary(row)),
        secrets=[WebhookSecret(until=None if each.until is None else moment(each.until)) for each in secrets],
        waiting=queue.waiting,
        oldest_seconds=queue.oldest_seconds,
        dead=queue.dead,
    )
