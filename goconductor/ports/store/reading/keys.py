"""API keys: who may knock at the doors. Of a key's secret the store has a hash only."""

from __future__ import annotations

from typing import Protocol

import msgspec


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One API key.

    Args:
        key_id: the part of the key that is no secret.
        namespace: where its holder may do something.
        name: whose it is; several keys may have the same name, while one takes the other's place.
        digest: the hash of the whole key, as text.
        roles: what its holder may do, by name.
        created_at: when it was made, by the database's clock.
        created_by: who made it.
        expires_at: when it ends; None is never.
        revoked_at: when it was revoked; None is not.
        revoked_by: who revoked it.
    """

    key_id: str
    namespace: str
    name: str
    digest: str
    roles: tuple[str, ...]
    created_at: float
    created_by: str
    expires_at: float | None = None
    revoked_at: float | None = None
    revoked_by: str = ""


class Keys(Protocol):
    """The API keys.

    26. **Create** keeps a key, by the database's time, and answers with it; None where there is one with this id. **Revoke** ends
        one, once: the first to do so is kept; None where there is no such key.
    27. **Live** has those that are neither revoked nor over. **Newest** has all, the newest first, at most ``limit``.
    """

    async def create(
        self, *, key_id: str, namespace: str, name: str, digest: str, roles: tuple[str, ...], by: str, lives_seconds: float | None
    ) -> KeyRow | None: ...
    async def revoke(self, key_id: str, *, by: str) -> KeyRow | None: ...
    async def live(self) -> list[KeyRow]: ...
    async def newest(self, *, limit: int) -> list[KeyRow]: ...
