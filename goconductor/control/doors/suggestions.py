"""What could be meant, for completion at a shell or in a form. Read from an open store, and from nothing else."""

from __future__ import annotations

from uuid import UUID

from goconductor.control.actor import Actor
from goconductor.engine.facts.definitions import Definitions
from goconductor.errors import GoConductorError
from goconductor.ports.store import Store
from goconductor.saga.ids import DEFAULT_NAMESPACE

OFFERED_MAX = 30
"""Number of sagas that are read for suggestions."""


async def definition_names(actor: Actor, store: Store) -> list[str]:
    """Return all sagas with a definition."""
    return sorted({stored.saga for stored in await store.definitions.versions(DEFAULT_NAMESPACE)})


async def definition_versions(actor: Actor, store: Store, saga: str | None = None) -> list[tuple[str, str]]:
    """Return the versions of one definition, or of all, each with a word about it."""
    return [
        (each.version, f"{each.saga}{' active' if each.active else ''}")
        for each in await store.definitions.versions(DEFAULT_NAMESPACE, saga)
    ]


async def newest_sagas(actor: Actor, store: Store) -> list[tuple[str, str]]:
    """Return the ids of some sagas, newest first, each with its name and status."""
    page = await store.sagas.heads(limit=OFFERED_MAX)
    return [(str(head.saga_id), f"{head.saga} {head.status}") for head in page.heads]


async def step_names(actor: Actor, store: Store, saga_id: UUID | None, saga: str = "", key: str = "") -> list[str]:
    """Return the steps of one saga, named by its id, or by its definition and its start key."""
    if saga_id is None:
        saga_id = await store.sagas.started(actor.namespace, saga, key)
    head = None if saga_id is None else await store.sagas.head(saga_id)
    if head is None:
        return []
    try:
        return list((await Definitions(store.definitions).plan(head.saga, head.version)).order)
    except GoConductorError:
        return []
