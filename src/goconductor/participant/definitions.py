"""Definitions at hand: each version is read and compiled once."""

from __future__ import annotations

import msgspec

from goconductor.errors import DefinitionError, RequestRefusedError
from goconductor.ports.store import SagaStore, StoredDefinition
from goconductor.saga import graph, validate
from goconductor.saga.definition import Definition
from goconductor.saga.graph import Plan
from goconductor.saga.ids import is_name


class Definitions:
    """The definitions of one store. A saga keeps the version that it started with, so a compiled version never goes stale."""

    def __init__(self, store: SagaStore) -> None:
        self._store = store
        self._plans: dict[tuple[str, str], Plan] = {}
        self._stored: dict[tuple[str, str], StoredDefinition] = {}
        """The same as documents."""

    def of_version(self, version: str) -> Plan:
        """A version that was read before; versions are hashes of documents, so they tell sagas apart as well.

        Raises:
            RequestRefusedError: it was not.
        """
        for (_, known), plan in self._plans.items():
            if known == version:
                return plan
        raise RequestRefusedError(f"version {version} of a definition is not at hand; ask for it by its saga's name")

    async def plan(self, saga: str, version: str | None = None) -> Plan:
        """A version, compiled; the active one if none is named.

        Raises:
            RequestRefusedError: there is no such definition.
            DefinitionError: what is stored cannot be run by this version of goconductor.
        """
        if version is not None and (known := self._plans.get((saga, version))) is not None:
            return known
        well_named = is_name(saga) and (version is None or version.isalnum())
        stored = await self._store.definition(saga, version) if well_named else None
        if stored is None:
            which = f"version {version!r} of saga {saga!r}" if version else f"saga {saga!r}"
            raise RequestRefusedError(f"there is no definition of {which}; register it, or check its name")
        return self._plans.get((stored.saga, stored.version)) or self._keep(stored)

    def _keep(self, stored: StoredDefinition) -> Plan:
        try:
            definition = msgspec.json.decode(stored.document, type=Definition)
        except msgspec.DecodeError as error:
            raise DefinitionError(
                stored.saga, [f"stored version {stored.version} cannot be read here: {error}; upgrade."]
            ) from None
        validate.check(definition, stored=True)
        plan = graph.plan(definition)
        # under the stored version: it names the document, whatever a newer release's canonical form would make of it
        self._plans[stored.saga, stored.version] = plan
        self._stored[stored.saga, stored.version] = stored
        return plan

    async def put_again(self) -> None:
        """Store all that are at hand once more: the log may have lost one that running sagas need. Where it has lost which
        version is active, that is the one which was.

        Raises:
            StoreUnavailableError: the store is away.
        """
        for stored in list(self._stored.values()):
            activate = stored.active and await self._store.definition(stored.saga) is None
            await self._store.put_definition(stored, activate=activate)

    async def register(self, definition: Definition, *, activate: bool | None = None) -> Plan:
        """Check a definition and store it.

        Args:
            definition: what to store.
            activate: whether new sagas take this version from now on; None does so only if no version is active yet, so that a
                rolling restart does not flip it.

        Raises:
            DefinitionError: it cannot run; with all problems.
        """
        validate.check(definition)
        plan = graph.plan(definition)
        key = (plan.name, plan.version)
        if activate is None and (known := self._plans.get(key)) is not None:
            return known
        if activate is None:
            activate = await self._store.definition(plan.name) is None
        stored = StoredDefinition(saga=plan.name, version=plan.version, document=definition.document())
        await self._store.put_definition(stored, activate=activate)
        # as it is stored: equal definitions may be written differently (the order of keys, 1.0 for 1), and a step's constants
        # must be the same bytes whoever runs it
        return await self.plan(*key)
