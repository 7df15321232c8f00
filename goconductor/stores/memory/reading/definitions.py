"""The definitions of a store in memory."""

from __future__ import annotations

from msgspec.structs import replace

from goconductor.ports.store import StoredDefinition
from goconductor.stores.memory.data import Data


class MemoryDefinitions:
    """Definitions."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def put(
        self, definition: StoredDefinition, *, activate: bool, pin: bool | None = None, offered_by: int | None = None
    ) -> None:
        name, version = (definition.namespace, definition.saga), definition.version
        key = *name, version
        self._data.definitions.setdefault(key, replace(definition, active=False, registered_at=self._data.now()))
        if pin is not None or (activate and name not in self._data.pinned):
            self._data.active[name] = version
        if pin is not None:
            (self._data.pinned.add if pin else self._data.pinned.discard)(name)
        if offered_by in self._data.instances:
            self._data.offers.setdefault(key, set()).add(offered_by)
        self._data.note_request()

    async def get(self, namespace: str, saga: str, version: str | None = None) -> StoredDefinition | None:
        found = self._data.definitions.get((namespace, saga, version or self._active_version(namespace, saga)))
        return self._described(found) if found else None

    async def versions(self, namespace: str, saga: str | None = None) -> list[StoredDefinition]:
        found = [d for d in self._data.definitions.values() if d.namespace == namespace and saga in (None, d.saga)]
        return [self._described(d) for d in sorted(found, key=lambda d: (d.saga, d.registered_at, d.version))]

    async def supersede(self, definition: StoredDefinition, *, made_of: str | None) -> bool:
        name = definition.namespace, definition.saga
        if name in self._data.pinned or self._data.active.get(name) != made_of:
            return False
        await self.put(definition, activate=True)
        return True

    def _described(self, definition: StoredDefinition) -> StoredDefinition:
        name, version = (definition.namespace, definition.saga), definition.version
        return replace(
            definition,
            active=self._active_version(*name) == version,
            pinned=name in self._data.pinned and self._data.active.get(name) == version,
            offered=self._offered(*name, version),
        )

    def _offered(self, namespace: str, saga: str, version: str) -> int:
        serials = self._data.offers.get((namespace, saga, version), ())
        return sum(1 for each in serials if each in self._data.instances and self._data.instances[each].dead_at is None)

    def _known(self, features: tuple[str, ...]) -> bool:
        return all(each.dead_at is not None or set(features) <= {*each.features} for each in self._data.instances.values())

    def _active_version(self, namespace: str, saga: str) -> str:
        """Return the pinned one, else the newest that a living instance offers and all know, else the last active one."""
        name = namespace, saga
        found = [d for key, d in self._data.definitions.items() if key[:2] == name and self._offered(*key)]
        offered = [d for d in found if self._known(d.features)]
        if name in self._data.pinned or not offered:
            return self._data.active.get(name, "")
        return max(offered, key=lambda d: (d.registered_at, d.version)).version
