# ruff: noqa: S101 - assertions are what a suite is made of
"""Secrets: the duties of :class:`goconductor.ports.store.Secrets`."""

from __future__ import annotations

import asyncio
from typing import Any

from goconductor.ports.store import SecretRow, Store
from goconductor.testing.contracts.store.material import StoreFixtures, new_number


async def put(store: Store, name: str, version: int = 1, **facts: Any) -> SecretRow | None:
    """Put a version of a secret."""
    given: dict[str, Any] = {"key_id": "k1", "wrapped": b"\x00wrapped", "sealed": b"\xffsealed", "by": "ann"}
    return await store.secrets.put(name=name, version=version, **(given | facts))


async def present(store: Store, name: str) -> SecretRow | None:
    """Return what there is of a secret."""
    return next((row for row in await store.secrets.every() if row.name == name), None)


class SecretsContract(StoreFixtures):
    """Secrets."""

    async def test_38_a_version_is_kept_byte_by_byte_and_overwrites_the_one_before(self, store: Store, other: Store) -> None:
        name = f"s{new_number():x}"
        row = await put(store, name)
        assert row is not None
        assert (row.version, row.key_id, row.wrapped, row.sealed) == (1, "k1", b"\x00wrapped", b"\xffsealed")
        assert (row.created_by, row.deleted_at, row.deleted_by) == ("ann", None, "")
        assert await present(other, name) == row
        second = await put(other, name, 2, sealed=b"new", by="bob")
        assert second is not None
        assert (second.version, second.sealed, second.created_by) == (2, b"new", "bob")
        assert await present(store, name) == second

    async def test_38_a_version_that_does_not_follow_is_refused(self, store: Store) -> None:
        name = f"s{new_number():x}"
        assert await put(store, name, 2) is None
        assert await put(store, name, 0) is None
        row = await put(store, name)
        for version in (0, 1, 3):
            assert await put(store, name, version, sealed=b"late") is None
        assert await present(store, name) == row

    async def test_38_of_many_that_put_at_once_one_is_first(self, store: Store, other: Store) -> None:
        name = f"s{new_number():x}"
        for version in (1, 2):
            asked = [put((store, other)[turn % 2], name, version, by=f"by{turn}") for turn in range(8)]
            (kept,) = [row for row in await asyncio.gather(*asked) if row is not None]
            assert await present(store, name) == kept

    async def test_39_what_is_deleted_has_no_value_and_its_versions_go_on(self, store: Store, other: Store) -> None:
        name = f"s{new_number():x}"
        assert await store.secrets.delete(name, by="eve") is None
        await put(store, name)
        row = await other.secrets.delete(name, by="bob")
        assert row is not None
        assert (row.version, row.key_id, row.wrapped, row.sealed, row.deleted_by) == (1, "", b"", b"", "bob")
        assert row.deleted_at is not None
        assert await store.secrets.delete(name, by="eve") is None
        assert await present(store, name) == row
        assert await put(store, name, 1) is None
        again = await put(store, name, 2)
        assert again is not None
        assert (again.deleted_at, again.deleted_by) == (None, "")

    async def test_40_a_wrapped_key_is_replaced_only_where_it_was_seen(self, store: Store, other: Store) -> None:
        name = f"s{new_number():x}"
        row = await put(store, name)
        assert row is not None
        assert not await store.secrets.rewrap(name, 1, before="k0", key_id="k2", wrapped=b"new")
        assert not await store.secrets.rewrap(name, 2, before="k1", key_id="k2", wrapped=b"new")
        assert await other.secrets.rewrap(name, 1, before="k1", key_id="k2", wrapped=b"new")
        assert not await store.secrets.rewrap(name, 1, before="k1", key_id="k3", wrapped=b"late")
        found = await present(store, name)
        assert found is not None
        assert (found.key_id, found.wrapped, found.sealed, found.created_at) == ("k2", b"new", row.sealed, row.created_at)
        await store.secrets.delete(name, by="ann")
        assert not await store.secrets.rewrap(name, 1, before="", key_id="k3", wrapped=b"late")

    async def test_41_all_are_listed_by_their_names(self, store: Store) -> None:
        number = new_number()
        names = [f"s{number:x}{each}" for each in ("_a", "-b", "C", "d", "1")]
        for name in names:
            await put(store, name)
        await store.secrets.delete(names[0], by="ann")
        assert [row.name for row in await store.secrets.every() if row.name in names] == sorted(names)
