# ruff: noqa: S101 - assertions are what a suite is made of
"""What is known by name is known within its namespace: start keys and definitions."""

from __future__ import annotations

from uuid import UUID

from goconductor.ports.store import Cursor, Forgettable, Store, StoredDefinition, Verdict
from goconductor.testing.contracts.store.material import Saga, StoreFixtures, advance, begin

ACME, ZETA = "acme", "zeta"
"""Namespaces, one of which sorts before the default one and one behind it."""


def order(namespace: str, version: str) -> StoredDefinition:
    return StoredDefinition(namespace=namespace, saga="order", version=version, document=b"{}")


class NamespaceContract(StoreFixtures):
    """Two namespaces with the same names in them, side by side."""

    async def test_3_a_key_starts_one_saga_in_each_namespace(self, store: Store, other: Store) -> None:
        sagas = {namespace: Saga() for namespace in (ZETA, ACME)}
        starts = [saga.start(namespace=name, key="17", input_hash=name.encode()) for name, saga in sagas.items()]
        assert [outcome.verdict for outcome in await store.starts.start(starts)] == [Verdict.WON] * 2
        again = [Saga().start(namespace=name, key="17", input_hash=b"acme") for name in sagas]
        in_zeta, in_acme = await other.starts.start(again)
        assert (in_zeta.verdict, in_zeta.existing) == (Verdict.OTHER_INPUT, sagas[ZETA].saga_id)
        assert (in_acme.verdict, in_acme.existing) == (Verdict.ALREADY_STARTED, sagas[ACME].saga_id)

    async def test_20_a_saga_is_found_by_its_key_in_its_namespace_only(self, store: Store) -> None:
        saga = await begin(store, namespace=ACME, key="17")
        assert await store.sagas.started(ACME, "order", "17") == saga.saga_id
        assert await store.sagas.started(ZETA, "order", "17") is None

    async def test_19_the_keys_of_all_namespaces_are_let_go_of(self, store: Store) -> None:
        term = await store.terms.raise_epoch("leader", 600)
        assert term is not None
        live: dict[str, UUID] = {}
        for namespace in (ACME, ZETA):
            over = await begin(store, namespace=namespace, key="over")
            await advance(store, over, status="completed", wake_at=None)
            live[namespace] = (await begin(store, namespace=namespace, key="live")).saga_id
        before, taken = await store.terms.database_time() + 1, 0
        after: Cursor | None = None
        while True:
            gone = await store.retention.forget(
                Forgettable.START_KEYS, before=before, ended=["completed"], after=after, limit=1, epoch=term.epoch
            )
            taken, after = taken + gone.taken, gone.after
            if after is None:
                break
        assert taken == 2
        for namespace, saga_id in live.items():
            assert await store.sagas.started(namespace, "order", "over") is None
            assert await store.sagas.started(namespace, "order", "live") == saga_id

    async def test_definition_the_same_version_is_kept_in_each_namespace(self, store: Store) -> None:
        acme, zeta = (order(name, "v1") for name in (ACME, ZETA))
        await store.definitions.put(acme, activate=False)
        assert await store.definitions.get(ZETA, "order", "v1") is None
        assert await store.definitions.versions(ZETA) == []
        await store.definitions.put(zeta, activate=False)
        [kept] = await store.definitions.versions(ZETA, "order")
        assert (kept.namespace, kept.saga, kept.version) == (ZETA, "order", "v1")
        assert [each.namespace for each in await store.definitions.versions(ACME)] == [ACME]

    async def test_definition_each_namespace_has_its_own_active_one(self, store: Store) -> None:
        instance = await store.instances.register("shop", "new", {})
        for version in ("v1", "v2"):
            for name in (ACME, ZETA):
                await store.definitions.put(order(name, version), activate=version == "v1")
        assert await self._active(store) == {ACME: ("v1", False, 0), ZETA: ("v1", False, 0)}
        await store.definitions.put(order(ACME, "v2"), activate=False, offered_by=instance.serial)
        assert await self._active(store) == {ACME: ("v2", False, 1), ZETA: ("v1", False, 0)}
        await store.definitions.put(order(ZETA, "v2"), activate=True, pin=True)
        assert await self._active(store) == {ACME: ("v2", False, 1), ZETA: ("v2", True, 0)}
        await store.definitions.put(order(ACME, "v1"), activate=True, pin=True)
        assert await self._active(store) == {ACME: ("v1", True, 0), ZETA: ("v2", True, 0)}

    @staticmethod
    async def _active(store: Store) -> dict[str, tuple[str, bool, int]]:
        """Read of each namespace which version is active, whether it is pinned, and how many offer it."""
        found = {name: await store.definitions.get(name, "order") for name in (ACME, ZETA)}
        return {name: (each.version, each.pinned, each.offered) for name, each in found.items() if each is not None}
