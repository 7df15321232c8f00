# ruff: noqa: S101 - assertions are what a suite is made of
"""The audit log: the duties of :class:`goconductor.ports.store.Audit`."""

from __future__ import annotations

import hashlib
from uuid import uuid4

import pytest
from msgspec.structs import replace

from goconductor.errors import FencedError
from goconductor.ports.store import (
    Append,
    AuditRow,
    AuditWanted,
    Choice,
    DeadLetter,
    Forgettable,
    Link,
    Note,
    Phase,
    ScheduleRow,
    SignalId,
    Store,
    StoredDefinition,
    Verdict,
)
from goconductor.ports.store.leading.audit import BEGINNING, link
from goconductor.ports.store.log.notes import Noting, noting
from goconductor.testing.contracts.store.leading.retaining import forget
from goconductor.testing.contracts.store.material import FAR, Saga, StoreFixtures, begin, head_of, lead, new_number
from goconductor.testing.contracts.store.reading.keys import made


def note(**facts: str | int) -> Note:
    """Make a note about something that no other test asks about."""
    return Note(**({"actor": "ann", "function": "keys.create", "object": f"thing {uuid4()}", "door": "rest"} | facts))  # type: ignore[arg-type]


async def told(store: Store, about: Note) -> list[AuditRow]:
    """Return the rows about the object of a note, the oldest first."""
    return (await store.audit.newest(AuditWanted(object=about.object), limit=100))[::-1]


async def chain(store: Store, epoch: int) -> None:
    """Give all rows their places, as the leader does."""
    while rows := await store.audit.unplaced(limit=100):
        head = await store.audit.head()
        seq, before = (0, BEGINNING) if head is None else (head.seq or 0, head.hash or b"")
        links = []
        for row in rows:
            seq, before = seq + 1, link(before, seq + 1, row)
            links.append(Link(id=row.id, seq=seq, hash=before))
        await store.audit.place(links, epoch=epoch)


class AuditContract(StoreFixtures):
    """What was asked is noted with what it changed, and chained afterwards."""

    async def test_35_a_row_has_what_was_written_and_the_databases_time(self, store: Store, other: Store) -> None:
        said = note(roles="admin viewer", means="key 1", address="::1", detail="\N{SNOWMAN}", outcome="refused", left_out=7)
        before = await store.terms.database_time()
        await store.audit.write(said)
        (row,) = await told(other, said)
        assert row.note == said
        assert before <= row.at <= await store.terms.database_time()
        assert (row.seq, row.hash) == (None, None)

    async def test_35_an_append_writes_its_notes_if_it_wins(self, store: Store) -> None:
        saga, other = await begin(store), await begin(store)
        done, lost = note(), note()
        wins = saga.append(notes=[done], signals=[SignalId("s1", b"1")])
        stale = replace(other.append(notes=[lost]), tag=new_number())
        outcomes = await store.log.append([wins, stale])
        assert [outcome.verdict for outcome in outcomes] == [Verdict.WON, Verdict.CONFLICT]
        assert [row.note for row in await told(store, done)] == [done]
        assert await told(store, lost) == []
        assert await store.sagas.signalled(saga.saga_id, "s1") == b"1"

    async def test_35_a_note_that_the_database_refuses_takes_its_append_along_and_no_other(self, store: Store) -> None:
        saga, other = await begin(store), await begin(store)
        fine = note()
        outcomes = await store.log.append([saga.append(notes=[note(detail="a\0b")]), other.append(notes=[fine])])
        assert [outcome.verdict for outcome in outcomes] == [Verdict.REJECTED, Verdict.WON]
        assert (await head_of(store, saga)).seq == saga.seq
        assert len(await told(store, fine)) == 1

    async def test_35_a_migration_and_an_append_of_the_leader_write_theirs(self, store: Store) -> None:
        moved, led = note(), note()
        appends: list[Append] = [
            (await begin(store)).append(notes=[moved], version="b" * 64),
            (await begin(store)).append(notes=[led], epoch=await lead(store)),
        ]
        for append in appends:
            (outcome,) = await store.log.append([append])
            assert outcome.verdict is Verdict.WON
        assert [len(await told(store, each)) for each in (moved, led)] == [1, 1]

    async def test_35_a_start_writes_its_notes_if_it_wins(self, store: Store) -> None:
        first, again = note(), note()
        key = {"key": f"{uuid4()}", "input_hash": b"1"}
        (won,) = await store.starts.start([Saga(uuid4()).start(notes=[first], **key)])
        plain, lost = await store.starts.start([Saga(uuid4()).start(), Saga(uuid4()).start(notes=[again], **key)])
        assert (won.verdict, plain.verdict, lost.verdict) == (Verdict.WON, Verdict.WON, Verdict.ALREADY_STARTED)
        assert [row.note for row in await told(store, first)] == [first]
        assert await told(store, again) == []

    async def test_35_each_change_writes_the_note_of_its_request_once(self, store: Store) -> None:
        name = f"n{new_number():x}"
        row = ScheduleRow(namespace="default", name=name, tag=1, look_at=None, body="{}")
        key = await made(store, name)
        await store.dead_letters.put(DeadLetter(topic="t", payload=b"", reason="odd"))
        (letter,) = await store.dead_letters.newest(limit=1)
        first = StoredDefinition(namespace="default", saga=name, version="a" * 64, document=b"{}")
        second = replace(first, version="b" * 64)
        number = now.number + 1 if (now := await store.choices.current("bus")) else 1
        choice = Choice(kind="bus", chosen="a", phase=Phase.SETTLED, number=number)
        for change in (
            lambda: made(store),
            lambda: store.keys.revoke(key.key_id, by="ann"),
            lambda: store.schedules.create(row),
            lambda: store.schedules.replace(replace(row, tag=2), tag=1),
            lambda: store.schedules.delete("default", name, tag=2),
            lambda: store.dead_letters.drop(letter.letter_id),
            lambda: store.definitions.put(first, activate=True),
            lambda: store.definitions.supersede(second, made_of=first.version),
            lambda: store.choices.choose(choice),
        ):
            asked = Noting(note())
            with noting(asked):
                await change()
                await made(store)
            assert asked.is_written
            assert [each.note for each in await told(store, asked.note)] == [asked.note]

    async def test_35_what_changes_nothing_writes_no_note(self, store: Store) -> None:
        name = f"n{new_number():x}"
        row = ScheduleRow(namespace="default", name=name, tag=1, look_at=None, body="{}")
        assert await store.schedules.create(row)
        key = await made(store, name)
        await store.keys.revoke(key.key_id, by="ann")
        asked = Noting(note())
        with noting(asked):
            await store.keys.revoke(key.key_id, by="eve")
            await store.keys.revoke("none", by="eve")
            assert not await store.schedules.create(replace(row))
            assert not await store.schedules.replace(row, tag=7)
            assert not await store.schedules.delete("default", name, tag=7)
            assert not await store.dead_letters.drop(2**62)
            assert not await store.choices.choose(Choice(kind="bus", chosen="a", phase=Phase.SETTLED, number=2**40))
        await made(store)  # the request has its answer: nothing is noted for it any more
        assert not asked.is_written
        assert await told(store, asked.note) == []

    async def test_36_rows_are_found_by_what_they_say_the_newest_first(self, store: Store) -> None:
        about = note(actor="bob", outcome="refused")
        for each in (about, replace(about, actor="eve"), replace(about, function="f"), replace(about, outcome="done")):
            await store.audit.write(each)
        rows = await told(store, about)
        for wanted, found in (
            (AuditWanted(object=about.object), rows[::-1]),
            (AuditWanted(object=about.object, actor="eve"), rows[1:2]),
            (AuditWanted(object=about.object, function="f"), rows[2:3]),
            (AuditWanted(object=about.object, outcome="done"), rows[3:]),
            (AuditWanted(object=about.object, since=rows[2].at), [rows[3], rows[2]]),
            (AuditWanted(object=about.object, until=rows[2].at), [rows[1], rows[0]]),
            (AuditWanted(object=about.object, actor="nobody"), []),
        ):
            assert await store.audit.newest(wanted, limit=10) == found
        first = await store.audit.newest(AuditWanted(object=about.object), limit=3)
        assert first == rows[:0:-1]
        assert await store.audit.newest(AuditWanted(object=about.object), limit=3, before=first[-1].id) == rows[:1]

    async def test_37_places_are_given_by_the_leader_and_kept(self, store: Store, other: Store) -> None:
        epoch = await lead(store)
        await chain(store, epoch)
        before = await store.audit.head()
        after = 0 if before is None else before.seq or 0
        for _ in range(3):
            await store.audit.write(note())
        rows = await store.audit.unplaced(limit=10)
        assert len(rows) == 3
        assert await store.audit.unplaced(limit=2) == rows[:2]
        links = [Link(id=row.id, seq=after + n, hash=bytes(32)) for n, row in enumerate(rows, 1)]
        with pytest.raises(FencedError):
            await store.audit.place(links, epoch=epoch + 1)
        assert await other.audit.unplaced(limit=10) == rows
        await store.audit.place(links[:2], epoch=epoch)
        await store.audit.place([Link(id=rows[0].id, seq=after + 9, hash=b"x"), links[2]], epoch=epoch)
        placed = await other.audit.placed(after=after, limit=10)
        assert [(row.id, row.seq, row.hash) for row in placed] == [(each.id, each.seq, each.hash) for each in links]
        assert await other.audit.placed(after=after + 1, limit=1) == placed[1:2]
        assert await other.audit.head() == placed[-1]
        assert await other.audit.unplaced(limit=10) == []

    async def test_19_old_rows_go_from_the_beginning_of_the_chain_but_for_the_last_of_them(self, store: Store) -> None:
        epoch = await lead(store)
        for _ in range(5):
            await store.audit.write(note())
        await chain(store, epoch)
        chained = await store.audit.placed(after=0, limit=10_000)
        young = note()
        await store.audit.write(young)
        with pytest.raises(FencedError):
            await forget(store, Forgettable.AUDIT, epoch + 1)
        after, taken = None, 0
        while True:
            step = await forget(store, Forgettable.AUDIT, epoch, before=chained[-2].at, after=after, limit=2)
            after, taken = step.after, taken + step.taken
            if after is None:
                break
        assert await store.audit.placed(after=0, limit=10_000) == chained[-3:]
        assert taken == len(chained) - 3
        await forget(store, Forgettable.AUDIT, epoch, before=FAR)
        assert await store.audit.placed(after=0, limit=10_000) == chained[-1:]
        assert len(await told(store, young)) == 1  # it has no place yet

    def test_37_a_link_is_what_an_outsider_computes(self) -> None:
        said = Note(actor="ann", function="f", object="key 1", door="rest")
        row = AuditRow(id=7, at=1_800_000_000.123456, note=said)
        facts = b'[3,7,1800000000123456,"default","ann","","","rest","","f","key 1","","","done","",0]'
        assert link(b"before", 3, row) == hashlib.sha256(b"before" + facts).digest()
