"""Definitions of sagas, version by version."""

from __future__ import annotations

from typing import Protocol

import msgspec


class StoredDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a saga's definition: its canonical JSON, and whether new sagas of its namespace take it.

    ``pinned``: an operator pinned it. ``offered``: how many living instances have it in their code. ``features``: what it
    uses that not every instance may know (:mod:`goconductor.saga.features`).
    """

    namespace: str
    saga: str
    version: str
    document: bytes
    features: tuple[str, ...] = ()
    active: bool = False
    registered_at: float = 0.0
    pinned: bool = False
    offered: int = 0


class Definitions(Protocol):
    """Where definitions are kept. They are known by namespace, name and version.

    1. **Put** keeps a version; one that is there stays as it is, since a version is the hash of its document. With ``activate``
       new sagas take it, unless another version is pinned. ``pin`` True makes it the pinned version, False unpins it and leaves
       it active. ``offered_by`` is the serial of an instance that has it in its code.
    2. **Get** answers that version, or the active one where none is named; None if there is no such. An offer counts for nothing
       while a living instance does not know all features of the version.
    3. **Versions** lists those of a namespace, or of one saga in it, by name and age.
    4. **Supersede** keeps a version and activates it, where the one that it was made of is still the one that was activated last
       and none is pinned. None stands for a saga of which none was ever activated. It answers whether it did; where it did not,
       nothing is kept. Of several at once that were made of the same version, one succeeds.
    """

    async def put(
        self, definition: StoredDefinition, *, activate: bool, pin: bool | None = None, offered_by: int | None = None
    ) -> None: ...
    async def get(self, namespace: str, saga: str, version: str | None = None) -> StoredDefinition | None: ...
    async def versions(self, namespace: str, saga: str | None = None) -> list[StoredDefinition]: ...
    async def supersede(self, definition: StoredDefinition, *, made_of: str | None) -> bool: ...
