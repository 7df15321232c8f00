"""The dead letters of a store in memory."""

from __future__ import annotations

from msgspec.structs import replace

from goconductor.ports.store import DeadLetter
from goconductor.stores.memory.data import Data


class MemoryDeadLetters:
    """Dead letters."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def put(self, letter: DeadLetter) -> None:
        self._data.letters.append(replace(letter, at=self._data.now(), letter_id=next(self._data.letter_ids)))

    async def newest(self, *, limit: int = 100, before: int | None = None) -> list[DeadLetter]:
        return [letter for letter in self._data.letters[::-1] if before is None or letter.letter_id < before][:limit]

    async def get(self, letter_id: int) -> DeadLetter | None:
        return next((letter for letter in self._data.letters if letter.letter_id == letter_id), None)

    async def drop(self, letter_id: int) -> bool:
        before = len(self._data.letters)
        self._data.letters = [letter for letter in self._data.letters if letter.letter_id != letter_id]
        if is_gone := len(self._data.letters) < before:
            self._data.note_request()
        return is_gone
