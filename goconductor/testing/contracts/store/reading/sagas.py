# ruff: noqa: S101 - assertions are what a suite is made of
"""The read side and what is kept by name: :class:`goconductor.ports.store.Sagas`, definitions, dead letters."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from goconductor.ports.store import DeadLetter, Known, Page, Store, StoredDefinition, Wanted
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.testing.contracts.store.material import Saga, StoreFixtures, advance, begin, event


def definition(
    version: str,
    document: bytes = b'{"name":"order"}',
    saga: str = "order",
    namespace: str = DEFAULT_NAMESPACE,
    features: tuple[str, ...] = (),
) -> StoredDefinition:
    return StoredDefinition(namespace=namespace, saga=saga, version=version, document=document, features=features)


class ReaderContract(StoreFixtures):
    """What doors show."""

    async def test_reader_a_saga_that_is_not_there(self, store: Store) -> None:
        saga_id = uuid4()
        assert await store.sagas.head(saga_id) is None
        assert await store.sagas.history(saga_id) == []
        [tail] = await store.log.read([Known(saga_id, 3, 4)])
        assert (tail.head, tail.entries, tail.rebased) == (None, [], False)

    async def test_reader_a_saga_is_found_by_its_start_key(self, store: Store) -> None:
        keyed, other = await begin(store, key="order/1 'x'"), await begin(store, saga="invoice", key="order/1 'x'")
        assert await store.sagas.started(DEFAULT_NAMESPACE, "order", "order/1 'x'") == keyed.saga_id
        assert await store.sagas.started(DEFAULT_NAMESPACE, "invoice", "order/1 'x'") == other.saga_id
        assert await store.sagas.started(DEFAULT_NAMESPACE, "order", "order/1") is None

    async def test_reader_heads_come_newest_first_in_pages(self, store: Store) -> None:
        sagas = sorted([(await begin(store)).saga_id for _ in range(5)], reverse=True)
        first = await store.sagas.heads(limit=2)
        second = await store.sagas.heads(before=first.cursor, limit=2)
        third = await store.sagas.heads(before=second.cursor, limit=2)
        assert [head.saga_id for page in (first, second, third) for head in page.heads] == sagas
        assert (first.cursor, second.cursor, third.cursor) == (sagas[1], sagas[3], None)

    async def test_reader_the_last_full_page_has_no_cursor(self, store: Store) -> None:
        await begin(store)
        assert (await store.sagas.heads(limit=1)).cursor is None
        assert await store.sagas.heads(Wanted(saga="none"), limit=1) == Page(heads=[])

    async def test_reader_heads_are_filtered_by_saga_and_status(self, store: Store) -> None:
        order, invoice = await begin(store), await begin(store, saga="invoice")
        await begin(store, saga="invoice", status="stuck", wake_at=None)

        async def found(saga: str | None, status: str | None) -> set[object]:
            wanted = Wanted(saga=saga, statuses=() if status is None else (status,))
            return {head.saga_id for head in (await store.sagas.heads(wanted, limit=10)).heads}

        assert await found("invoice", "running") == {invoice.saga_id}
        assert await found(None, "running") == {order.saga_id, invoice.saga_id}
        assert len(await found("invoice", None)) == 2

    async def test_reader_statuses_are_those_of_the_sagas_that_are_there(self, store: Store) -> None:
        running, stuck = await begin(store), await begin(store, status="stuck", wake_at=None)
        asked = [running.saga_id, uuid4(), stuck.saga_id]
        assert await store.sagas.statuses(asked) == {running.saga_id: "running", stuck.saga_id: "stuck"}
        assert await store.sagas.statuses([]) == {}

    async def test_reader_history_comes_in_parts(self, store: Store) -> None:
        saga = await begin(store)
        await advance(store, saga, *(event(f"Event{n}") for n in range(2, 6)))
        assert [entry.seq for entry in await store.sagas.history(saga.saga_id)] == [1, 2, 3, 4, 5]
        assert [entry.event for entry in await store.sagas.history(saga.saga_id, after=2, limit=2)] == ["Event3", "Event4"]

    async def test_reader_read_answers_each_by_what_it_knows(self, store: Store) -> None:
        saga = await begin(store)
        early = saga.known
        await advance(store, saga)
        late, part, all_, lost, none = await store.log.read(
            [saga.known, early, Known(saga.saga_id), Known(saga.saga_id, 1, 4711), Known(uuid4())]
        )
        assert [len(tail.entries) for tail in (late, part, all_, lost, none)] == [0, 1, 2, 2, 0]
        assert [tail.rebased for tail in (late, part, all_, lost, none)] == [False, False, False, True, False]
        assert none.head is None

    async def test_reader_instances_by_participant(self, store: Store) -> None:
        payments = await store.instances.register("payments", "pod-0", {})
        await store.instances.register("inventory", "pod-1", {})
        assert await store.instances.registered("payments") == [payments]
        assert len(await store.instances.registered()) == 2

    async def test_definition_a_version_is_kept_as_it_is(self, store: Store, other: Store) -> None:
        document = '{"name":"order","note":"grün"}'.encode()
        await store.definitions.put(definition("v1", document), activate=False)
        kept = await other.definitions.get(DEFAULT_NAMESPACE, "order", "v1")
        assert kept is not None
        assert (kept.saga, kept.version, kept.document, kept.active) == ("order", "v1", document, False)
        assert kept.registered_at > 0
        await store.definitions.put(definition("v1", b'{"another":1}'), activate=False)
        assert await store.definitions.get(DEFAULT_NAMESPACE, "order", "v1") == kept

    async def test_definition_new_sagas_take_the_active_one(self, store: Store) -> None:
        await store.definitions.put(definition("v1"), activate=False)
        assert await store.definitions.get(DEFAULT_NAMESPACE, "order") is None
        await store.definitions.put(definition("v1"), activate=True)
        await store.definitions.put(definition("v2"), activate=True)
        await store.definitions.put(definition("v3"), activate=False)
        await store.definitions.put(definition("w1", saga="invoice"), activate=True)
        active = await store.definitions.get(DEFAULT_NAMESPACE, "order")
        assert active is not None
        assert (active.version, active.active) == ("v2", True)
        await store.definitions.put(definition("v1"), activate=True)
        assert [(d.version, d.active) for d in await store.definitions.versions(DEFAULT_NAMESPACE, "order")] == [
            ("v1", True),
            ("v2", False),
            ("v3", False),
        ]
        assert len(await store.definitions.versions(DEFAULT_NAMESPACE)) == 4
        assert await store.definitions.get(DEFAULT_NAMESPACE, "unknown", "v1") is None

    async def test_definition_the_newest_that_a_living_instance_offers_is_active(self, store: Store, other: Store) -> None:
        old, new = await store.instances.register("shop", "old", {}), await other.instances.register("shop", "new", {})
        await store.definitions.put(definition("v1"), activate=True, offered_by=old.serial)
        await store.definitions.put(definition("v2"), activate=False, offered_by=new.serial)
        assert await self.active_of(store) == ("v2", False, 1)
        await store.definitions.put(definition("v1"), activate=False, offered_by=old.serial)  # it comes again: still older
        assert await self.active_of(other) == ("v2", False, 1)
        await other.instances.unregister(new.serial)
        assert await self.active_of(store) == ("v1", False, 1)
        await store.instances.unregister(old.serial)
        assert await self.active_of(store) == ("v1", False, 0)  # the one that was active last

    async def test_definition_one_that_not_all_living_instances_know_is_not_active(self, store: Store, other: Store) -> None:
        new = await store.instances.register("shop", "new", {}, features=["b", "a"])
        old = await other.instances.register("payments", "old", {}, features=["a"])
        assert [sorted(each.features) for each in await other.instances.registered()] == [["a", "b"], ["a"]]
        await store.definitions.put(definition("v1"), activate=True, offered_by=old.serial)
        await store.definitions.put(definition("v2", features=("a",)), activate=False, offered_by=new.serial)
        assert await self.active_of(store) == ("v2", False, 1)
        await store.definitions.put(definition("v3", features=("a", "b")), activate=False, offered_by=new.serial)
        assert await self.active_of(other) == ("v2", False, 1)
        assert [d.features for d in await other.definitions.versions(DEFAULT_NAMESPACE)] == [(), ("a",), ("a", "b")]
        await other.instances.unregister(old.serial)
        assert await self.active_of(store) == ("v3", False, 1)

    async def test_definition_a_pinned_one_is_active_until_the_pin_is_taken_out(self, store: Store) -> None:
        new = await store.instances.register("shop", "new", {})
        await store.definitions.put(definition("v1"), activate=True, pin=True)
        await store.definitions.put(definition("v2"), activate=True, offered_by=new.serial)
        assert await self.active_of(store) == ("v1", True, 0)
        assert [
            (d.version, d.active, d.pinned, d.offered) for d in await store.definitions.versions(DEFAULT_NAMESPACE, "order")
        ] == [
            ("v1", True, True, 0),
            ("v2", False, False, 1),
        ]
        await store.definitions.put(definition("v1"), activate=True, pin=False)
        assert await self.active_of(store) == ("v2", False, 1)

    async def test_definition_who_is_not_registered_offers_nothing(self, store: Store) -> None:
        await store.definitions.put(definition("v1"), activate=True)
        await store.definitions.put(definition("v2"), activate=False, offered_by=4711)
        assert await self.active_of(store) == ("v1", False, 0)

    async def test_definition_one_supersedes_the_one_that_it_was_made_of(self, store: Store, other: Store) -> None:
        assert not await store.definitions.supersede(definition("v1"), made_of="v0")
        assert await store.definitions.supersede(definition("v1"), made_of=None)
        assert not await other.definitions.supersede(definition("w1"), made_of=None)
        assert await other.definitions.supersede(definition("v2"), made_of="v1")
        assert not await store.definitions.supersede(definition("w2"), made_of="v1")
        assert await self.active_of(store) == ("v2", False, 0)
        assert [d.version for d in await store.definitions.versions(DEFAULT_NAMESPACE)] == ["v1", "v2"]
        assert await store.definitions.supersede(definition("v1"), made_of="v2")  # what was before comes back
        assert await self.active_of(other) == ("v1", False, 0)

    async def test_definition_one_of_many_at_once_supersedes(self, store: Store, other: Store) -> None:
        await store.definitions.put(definition("v1"), activate=True)
        stores = [store, other] * 4
        accepted = await asyncio.gather(
            *(each.definitions.supersede(definition(f"w{n}"), made_of="v1") for n, each in enumerate(stores))
        )
        [winner] = [n for n, done in enumerate(accepted) if done]
        assert await self.active_of(store) == (f"w{winner}", False, 0)
        assert {d.version for d in await store.definitions.versions(DEFAULT_NAMESPACE)} == {"v1", f"w{winner}"}

    async def test_definition_a_pinned_one_is_superseded_by_none(self, store: Store) -> None:
        await store.definitions.put(definition("v1"), activate=True, pin=True)
        assert not await store.definitions.supersede(definition("v2"), made_of="v1")
        await store.definitions.put(definition("v1"), activate=True, pin=False)
        assert await store.definitions.supersede(definition("v2"), made_of="v1")

    @staticmethod
    async def active_of(store: Store) -> tuple[str, bool, int]:
        found = await store.definitions.get(DEFAULT_NAMESPACE, "order")
        assert found is not None
        assert found.active
        return found.version, found.pinned, found.offered

    async def test_dead_letters_come_newest_first(self, store: Store) -> None:
        payload = bytes(range(256))
        await store.dead_letters.put(DeadLetter(topic="payments", payload=b"1", reason="not readable"))
        await store.dead_letters.put(DeadLetter(topic="payments", payload=payload, reason="a NUL: \0", headers={"id": "7"}))
        newest, oldest = await store.dead_letters.newest()
        assert (newest.payload, newest.headers, oldest.reason) == (payload, {"id": "7"}, "not readable")
        assert newest.letter_id > oldest.letter_id
        assert newest.at >= oldest.at > 0
        assert await store.dead_letters.newest(limit=1) == [newest]

    async def test_reader_an_unknown_saga_has_no_leases(self, store: Store) -> None:
        assert await store.recovery.leases([Saga().saga_id]) == []
