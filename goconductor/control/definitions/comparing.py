"""Two versions of a definition side by side: what differs, in words, and what holds the sagas that run."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from goconductor.control.actor import Actor
from goconductor.control.definitions.versions import plan_of
from goconductor.control.models import Document
from goconductor.engine.node import Node
from goconductor.saga.comparing import Comparison, compare
from goconductor.saga.plan import Plan
from goconductor.saga.writing.groups.differences import differences
from goconductor.saga.writing.groups.parts import begun_first


class DefinitionDiff(Document):
    """What differs between two versions of a definition."""

    saga: str
    old: Annotated[str, Field(description="the version that is compared")]
    new: Annotated[str, Field(description="the version that it is compared with")]
    changes: Annotated[list[str], Field(description="each difference, in words")]
    holding: Annotated[list[str], Field(description="steps in which the past differs: no saga could move in which one has begun")]
    stays: Annotated[str | None, Field(description="why no saga could move, wherever it stands")] = None
    summary: Annotated[str, Field(description="whether running sagas could go on under the new version")]


def diff_of(old: Plan, new: Plan) -> DefinitionDiff:
    """Compare two versions that are at hand."""
    found, changes = compare(old, new), differences(old, new)
    return DefinitionDiff(
        saga=old.name,
        old=old.version,
        new=new.version,
        changes=list(changes),
        holding=list(found.holding),
        stays=found.stays or None,
        summary=_summary(found, old, changed=bool(changes)),
    )


async def diff(actor: Actor, node: Node, saga: str, old: str | None, new: str | None) -> DefinitionDiff:
    """Compare two registered versions.

    Args:
        actor: the actor of the request.
        node: the engine.
        saga: the definition's name.
        old: the version that sagas have; None takes the active one.
        new: the version that they could have; None takes the active one.

    Raises:
        DefinitionNotFoundError: there is no such definition or version.
        StoreUnavailableError: the database cannot be reached.
    """
    return diff_of(await plan_of(node, saga, old), await plan_of(node, saga, new))


def _summary(found: Comparison, old: Plan, *, changed: bool) -> str:
    if not changed:
        return "Both are the same version."
    if found.stays:
        return f"No running saga could go on under the new version: {found.stays}."
    if not found.holding:
        return "A running saga could go on under the new version, wherever it stands."
    if len(found.holding) == len(old.steps):
        return "A running saga could go on under the new version only before its first step has begun."
    holding = ", ".join(begun_first(old, found.holding))
    return f"A running saga could go on under the new version while none of these steps has begun: {holding}."
