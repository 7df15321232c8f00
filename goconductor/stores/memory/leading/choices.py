"""The choices of a store in memory."""

from __future__ import annotations

from msgspec.structs import replace

from goconductor.ports.store import Choice, Report
from goconductor.stores.memory.data import Data


class MemoryChoices:
    """Choices of buses and elections."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def current(self, kind: str) -> Choice | None:
        return self._data.choices.get(kind)

    async def choose(self, choice: Choice) -> bool:
        present = self._data.choices.get(choice.kind)
        if choice.number != (present.number if present else 0) + 1:
            return False
        self._data.choices[choice.kind] = replace(choice, since=self._data.now())
        self._data.note_request()
        return True

    async def report(self, serial: int, kind: str, report: Report) -> bool:
        instance = self._data.instances.get(serial)
        if instance is None:
            return False
        self._data.instances[serial] = replace(instance, reports=instance.reports | {kind: report})
        return True
