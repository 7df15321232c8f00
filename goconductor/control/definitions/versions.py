"""Definitions as they are stored, each in its versions: registered, listed, activated, pinned."""

from __future__ import annotations

from typing import Any

import msgspec

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import noted
from goconductor.control.models import DefinitionDetail, DefinitionSummary, moment
from goconductor.control.sagas.starting import DefinitionNotFoundError
from goconductor.engine.node import Node
from goconductor.errors import RequestRefusedError
from goconductor.ports.store import StoredDefinition
from goconductor.saga.definition import Definition
from goconductor.saga.features import features_of
from goconductor.saga.ids import DEFAULT_NAMESPACE, INSIDE, is_saga_name
from goconductor.saga.plan import Plan
from goconductor.saga.writing.groups.restoring import written
from goconductor.system import checking as system


@noted(lambda given: f"definition {given['definition'].name}", detail=lambda given: given["definition"].version)
async def register(actor: Actor, node: Node, definition: Definition, *, activate: bool = True) -> DefinitionSummary:
    """Store a definition.

    Args:
        actor: the actor of the request.
        node: the engine.
        definition: a definition that :func:`~goconductor.control.definitions.loading.read` has checked.
        activate: whether new sagas take this version from now on. They do not where another version is pinned, or a living
            instance has another one in its code; the answer has the active version.

    Raises:
        DefinitionError: it cannot run; has all problems. Or something is doubtful, and ``definitions.strict`` is set.
        StoreUnavailableError: the database cannot be reached.
    """
    system.check(definition)
    plan = await node.definitions.register(definition, activate=activate)
    stored = await node.store.definitions.get(DEFAULT_NAMESPACE, plan.name, plan.version)
    return await _summary(
        node,
        stored
        or StoredDefinition(namespace=DEFAULT_NAMESPACE, saga=plan.name, version=plan.version, document=b"", active=activate),
    )


async def list_definitions(actor: Actor, node: Node) -> list[DefinitionSummary]:
    """Return all versions of all definitions.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    return [await _summary(node, stored) for stored in await node.store.definitions.versions(DEFAULT_NAMESPACE)]


async def versions_of(actor: Actor, node: Node, saga: str) -> list[DefinitionSummary]:
    """Return all versions of one definition, oldest first.

    Raises:
        DefinitionNotFoundError: there is no definition of that name.
        StoreUnavailableError: the database cannot be reached.
    """
    stored = await node.store.definitions.versions(DEFAULT_NAMESPACE, saga) if is_saga_name(saga) else []
    if not stored:
        raise _not_found(saga, None)
    return [await _summary(node, each) for each in stored]


async def definition(actor: Actor, node: Node, saga: str, version: str | None = None) -> DefinitionDetail:
    """Return one version with its document.

    Args:
        actor: the actor of the request.
        node: the engine.
        saga: the definition's name.
        version: None takes the active one.

    Raises:
        DefinitionNotFoundError: there is no such definition or version.
        StoreUnavailableError: the database cannot be reached.
    """
    stored = await _stored(node, saga, version)
    summary = await _summary(node, stored)
    document = msgspec.json.decode(stored.document)
    return DefinitionDetail(**summary.model_dump(), document=document, written=_written(document))


def unregistered(definition: Definition) -> DefinitionDetail:
    """Return one that lies in a file, as it would be registered."""
    document = msgspec.json.decode(definition.document())
    return DefinitionDetail(
        saga=definition.name,
        version=definition.version,
        active=False,
        features=[*features_of(definition)],
        document=document,
        written=_written(document),
    )


def _written(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return a stored document with its groups and switches; None where it has none, or is one that this code cannot read."""
    try:
        found: dict[str, Any] = msgspec.to_builtins(written(msgspec.convert(document, Definition)))
    except msgspec.ValidationError:
        return None
    return None if found == document else found


@noted("definition {saga}", detail=lambda given: given["version"])
async def activate(actor: Actor, node: Node, saga: str, version: str) -> DefinitionSummary:
    """Pin a version: new sagas take it, whatever instances have in their code. Those that have started keep theirs.

    Raises:
        DefinitionNotFoundError: there is none.
        DefinitionError: this version of goconductor cannot run it.
        RequestRefusedError: a living instance does not know all that it uses, or it is written inside another one.
        StoreUnavailableError: the database cannot be reached.
    """
    stored = await _stored(node, saga, version)
    around, inside, _ = saga.partition(INSIDE)
    if inside:
        raise RequestRefusedError(
            f"saga {saga!r} is written inside another one, which names its version; activate a version of {around!r}"
        )
    plan = await plan_of(node, saga, version)
    await node.definitions.refuse_unready(plan, f"version {version} of saga {saga!r} uses")
    await node.store.definitions.put(stored, activate=True, pin=True)
    return await _summary(node, await _stored(node, saga, version))


@noted("definition {saga}")
async def unpin(actor: Actor, node: Node, saga: str) -> DefinitionSummary:
    """Make the newest version that a living instance has in its code the active one again, and return that version.

    Raises:
        DefinitionNotFoundError: there is no definition of that name.
        StoreUnavailableError: the database cannot be reached.
    """
    await node.store.definitions.put(await _stored(node, saga, None), activate=True, pin=False)
    return await _summary(node, await _stored(node, saga, None))


async def plan_of(node: Node, saga: str, version: str | None) -> Plan:
    """Return a version, compiled.

    Raises:
        DefinitionNotFoundError: there is no such version.
    """
    try:
        return await node.definitions.plan(saga, version)
    except RequestRefusedError:
        raise _not_found(saga, version) from None


async def _stored(node: Node, saga: str, version: str | None) -> StoredDefinition:
    well_named = is_saga_name(saga) and (version is None or version.isalnum())
    stored = await node.store.definitions.get(DEFAULT_NAMESPACE, saga, version) if well_named else None
    if stored is None:
        raise _not_found(saga, version)
    return stored


def _not_found(saga: str, version: str | None) -> DefinitionNotFoundError:
    which = f"saga {saga[:100]!a}" if version is None else f"version {version[:100]!a} of saga {saga[:100]!a}"
    return DefinitionNotFoundError(f"there is no definition of {which}; register it, or check its name")


async def _summary(node: Node, stored: StoredDefinition) -> DefinitionSummary:
    return DefinitionSummary(
        saga=stored.saga,
        version=stored.version,
        active=stored.active,
        pinned=stored.pinned,
        offered_by=stored.offered,
        features=list(stored.features),
        waits_for=await node.definitions.unready(stored.features),
        registered_at=moment(stored.registered_at),
    )
