# ruff: noqa: S101 - assertions are what a suite is made of
"""API keys: the duties of :class:`goconductor.ports.store.Keys`."""

from __future__ import annotations

from typing import Any

from goconductor.ports.store import KeyRow, Store
from goconductor.testing.contracts.store.material import StoreFixtures, new_number


async def made(store: Store, name: str = "ci", **facts: Any) -> KeyRow:
    """Make a key."""
    given: dict[str, Any] = {
        "key_id": f"{new_number():x}",
        "namespace": "default",
        "digest": f"{new_number():064x}",
        "roles": ("operator", "viewer"),
        "by": "ann",
        "lives_seconds": None,
    }
    row = await store.keys.create(**(given | {"name": name} | facts))
    assert row is not None
    return row


class KeysContract(StoreFixtures):
    """API keys."""

    async def test_26_a_key_is_kept_as_it_was_made_and_its_id_is_taken_once(self, store: Store, other: Store) -> None:
        row = await made(store, "\N{SNOWMAN}", lives_seconds=3600.0)
        assert (row.name, row.roles, row.created_by, row.revoked_at) == ("\N{SNOWMAN}", ("operator", "viewer"), "ann", None)
        assert row.expires_at is not None
        assert round(row.expires_at - row.created_at, 3) == 3600.0
        assert await other.keys.newest(limit=1) == [row]
        again = {"name": "other", "digest": "0", "roles": (), "by": "bob", "lives_seconds": None}
        assert await other.keys.create(key_id=row.key_id, namespace="default", **again) is None  # type: ignore[arg-type]
        assert await store.keys.newest(limit=1) == [row]

    async def test_26_a_key_is_revoked_once(self, store: Store, other: Store) -> None:
        row = await made(store)
        first = await store.keys.revoke(row.key_id, by="bob")
        assert first is not None
        assert (first.revoked_by, first.revoked_at is None, first.name) == ("bob", False, row.name)
        assert await other.keys.revoke(row.key_id, by="eve") == first
        assert await other.keys.revoke("none", by="eve") is None

    async def test_27_live_keys_are_neither_revoked_nor_over(self, store: Store, other: Store) -> None:
        lasting, over, revoked = await made(store), await made(store, lives_seconds=0.0), await made(store)
        long = await made(store, lives_seconds=3600.0)
        await store.keys.revoke(revoked.key_id, by="bob")
        ids = {row.key_id for row in await other.keys.live()}
        assert {lasting.key_id, long.key_id} <= ids
        assert not {over.key_id, revoked.key_id} & ids
        newest = [row.key_id for row in await other.keys.newest(limit=3)]
        assert len(newest) == 3
        assert long.key_id in newest
