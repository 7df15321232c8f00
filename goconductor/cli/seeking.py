"""A saga at the command line: by its id, or by the key that started it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import typer

from goconductor.cli.running import actor
from goconductor.control.sagas import queries
from goconductor.engine.node import Node


@dataclass(frozen=True)
class Sought:
    """Its id; or the name of its definition, and its key."""

    saga_id: UUID | None = None
    name: str = ""
    key: str = ""


def read(text: str) -> Sought:
    """Read what a person has written.

    Raises:
        BadParameter: it is neither.
    """
    name, mark, key = text.partition("/")
    if mark and name and key:
        return Sought(name=name, key=key)
    try:
        return Sought(UUID(text))
    except ValueError:
        raise typer.BadParameter("write the id of a saga, or NAME/KEY: the name of its definition and its start key") from None


async def found(node: Node, saga: Sought) -> UUID:
    """Return the id of a saga.

    Raises:
        SagaNotFoundError: the key has started no saga.
        RequestInvalidError: the key is not valid.
    """
    return saga.saga_id or await queries.saga_of_key(actor(), node, saga.name, saga.key)
