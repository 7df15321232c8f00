"""Messages that were given up on."""

from __future__ import annotations

from typing import Protocol

import msgspec


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was given up on, kept with the reason."""

    topic: str
    payload: bytes
    reason: str
    headers: dict[str, str] = {}
    at: float = 0.0
    letter_id: int = 0


class DeadLetters(Protocol):
    """Where messages are kept that nobody could read.

    1. **Put** keeps a letter, whatever bytes are in it, and gives it its time and its id. Ids grow.
    2. **Newest** lists letters, the newest first; with ``before`` those with a lower id.
    3. **Get** answers the letter with that id, or None.
    4. **Drop** answers whether the letter was still there.
    """

    async def put(self, letter: DeadLetter) -> None: ...
    async def newest(self, *, limit: int = 100, before: int | None = None) -> list[DeadLetter]: ...
    async def get(self, letter_id: int) -> DeadLetter | None: ...
    async def drop(self, letter_id: int) -> bool: ...
