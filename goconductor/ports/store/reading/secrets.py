"""Secrets, encrypted. The store never has what would decrypt them: that is a keyring's (:mod:`goconductor.ports.keyring`)."""

from __future__ import annotations

from typing import Protocol

import msgspec


class SecretRow(msgspec.Struct, frozen=True, kw_only=True):
    """The present version of one secret.

    Args:
        name: by which settings refer to it.
        version: 1 at first, one more with each new value. It never goes back, not even when the secret was deleted in between.
        key_id: the wrapping key that the data key is wrapped by; empty for one that was deleted.
        wrapped: the data key, wrapped; empty for one that was deleted.
        sealed: the value, encrypted by the data key; empty for one that was deleted.
        created_at: when this version was made, by the database's clock.
        created_by: who made it.
        deleted_at: when it was deleted; None is not.
        deleted_by: who deleted it.
    """

    name: str
    version: int
    key_id: str
    wrapped: bytes
    sealed: bytes
    created_at: float
    created_by: str
    deleted_at: float | None = None
    deleted_by: str = ""


class Secrets(Protocol):
    """The secrets.

    38. **Put** keeps a version and overwrites the one before, and answers with it; None where ``version`` does not follow the one
        that is there, or is not 1 where there is none. So of two that put at once, one sees that it came second.
    39. **Delete** takes the value away and keeps the version; None where there is no such secret, or no more.
    40. **Rewrap** replaces the wrapped data key of a version that is still there and still wrapped by ``before``, and answers
        whether it did.
    41. **Every** has all, by their names, also those that were deleted.
    """

    async def put(self, *, name: str, version: int, key_id: str, wrapped: bytes, sealed: bytes, by: str) -> SecretRow | None: ...
    async def delete(self, name: str, *, by: str) -> SecretRow | None: ...
    async def rewrap(self, name: str, version: int, *, before: str, key_id: str, wrapped: bytes) -> bool: ...
    async def every(self) -> list[SecretRow]: ...
