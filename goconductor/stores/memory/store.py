"""The store leaf in memory. The data live in the object: who shares it, shares them.

A call is one piece, without an await inside, as the database's statement is. What a crash does to PostgreSQL, a test does
here by hand: :meth:`MemoryStore.kill` ends an instance's sign of life, :meth:`MemoryStore.truncate_leases` loses all leases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from goconductor.ports.choices import ELECTION, Choice, Spoken
from goconductor.ports.history import Loss, Timeline
from goconductor.ports.reading import Sweep
from goconductor.ports.retention import Cursor, Forgettable, Forgotten
from goconductor.ports.store import (
    Head,
    Instance,
    Known,
    Lease,
    SagaStore,
    Term,
    ignore,
)
from goconductor.stores.memory.reading import MemoryReader

NEWCOMER_SECONDS = 1.0


class MemoryStore(MemoryReader):
    """The saga store for tests and demonstrations. It serves all ports of :mod:`goconductor.ports.store`.

    Args:
        clock: stands for the database's clock; None is the system's time.
    """

    def kill(self, serial: int) -> None:
        """End an instance's sign of life, as the end of its process does."""
        self.data.alive.discard(serial)

    def revive(self, serial: int) -> None:
        """The instance was not dead, only cut off: it has its sign of life again, and is not declared dead any more."""
        self.data.alive.add(serial)
        self.data.instances[serial] = replace(self.data.instances[serial], dead_at=None)

    def truncate_leases(self) -> None:
        """Lose all leases, as a crash and restart of the database does."""
        self.data.leases.clear()
        self.data.taken_from.clear()
        self.data.truncated = True
        self.data.up_since = self._now()

    async def open(self) -> None:
        """Nothing is needed."""

    def beside(self) -> SagaStore:
        return self

    async def close(self) -> None:
        """The data stay, for whoever shares them."""

    async def database_time(self) -> float:
        return self._now()

    async def register(
        self,
        participant: str,
        name: str,
        steps: Mapping[str, Mapping[str, object]],
        *,
        on_rewind: Callable[[Instance], None] = ignore,  # noqa: ARG002  (this log loses nothing)
    ) -> Instance:
        serial = next(self.data.serials)
        facts = msgspec.json.decode(msgspec.json.encode(steps), type=dict[str, dict[str, object]])
        instance = Instance(serial=serial, participant=participant, name=name, steps=facts, started_at=self._now())
        self.data.instances[serial] = instance
        self.data.alive.add(serial)
        return instance

    async def unregister(self, serial: int) -> None:
        self.data.alive.discard(serial)
        self.data.instances[serial] = replace(self.data.instances[serial], dead_at=self._now())

    def _present(self, term: Term) -> bool:
        return self.data.term is not None and (self.data.term.epoch, self.data.term.holder) == (term.epoch, term.holder)

    async def choice(self, kind: str) -> Choice | None:
        return self.data.choices.get(kind)

    async def choose(self, choice: Choice) -> bool:
        present = self.data.choices.get(choice.kind)
        if choice.number != (present.number if present else 0) + 1:
            return False
        self.data.choices[choice.kind] = replace(choice, since=self._now())
        return True

    async def tell(self, serial: int, kind: str, spoken: Spoken) -> bool:
        instance = self.data.instances.get(serial)
        if instance is None:
            return False
        self.data.instances[serial] = replace(instance, speaks=instance.speaks | {kind: spoken})
        return True

    def _may_rule(self, election: str) -> bool:
        chosen, term = self.data.choices.get(ELECTION), self.data.term
        over = term is None or term.election in {"", election} or term.ends_at <= self._now()
        return not election or (over and (chosen is None or chosen.chosen == election))

    async def raise_epoch(
        self, holder: str, term_seconds: float, evidence: int | None = None, *, election: str = ""
    ) -> Term | None:
        if not self._may_rule(election):
            return None
        if evidence is not None:
            if self.data.evidence is not None and evidence <= self.data.evidence:
                return None
            self.data.evidence = evidence
        self.data.term = Term(epoch=self.data.epoch + 1, holder=holder, ends_at=self._now() + term_seconds, election=election)
        return self.data.term

    async def renew(self, term: Term, term_seconds: float) -> Term | None:
        if not self._present(term):
            return None
        self.data.term = replace(term, ends_at=self._now() + term_seconds)
        return self.data.term

    async def resign(self, term: Term) -> None:
        if self._present(term):
            self.data.term = replace(term, holder="", ends_at=self._now())

    async def current(self) -> Term | None:
        return self.data.term

    async def last_evidence(self) -> int | None:
        return self.data.evidence

    async def due(self, limit: int) -> list[Head]:
        now = self._now()
        due = [(head.wake_at, head) for head in self.data.heads.values() if head.wake_at is not None and head.wake_at <= now]
        return [head for _, head in sorted(due, key=lambda pair: pair[0])[:limit]]

    async def live(self, limit: int, *, after: UUID | None = None) -> list[Head]:
        ids = sorted(saga_id for saga_id, head in self.data.heads.items() if head.wake_at is not None)
        return [self.data.heads[saga_id] for saga_id in ids if after is None or saga_id > after][:limit]

    async def weigh(self, saga_ids: Sequence[UUID]) -> list[int]:
        return [sum(len(entry.data) for entry in self.data.logs.get(saga_id, ())) for saga_id in saga_ids]

    async def postpone(self, heads: Sequence[tuple[Known, float]], *, epoch: int) -> None:
        self.data.fence(epoch)
        for known, wake_at in heads:
            head = self.data.heads.get(known.saga_id)
            if head is not None and (head.seq, head.tag) == (known.seq, known.tag):
                self.data.heads[known.saga_id] = replace(head, wake_at=wake_at)

    async def leases_on(self, saga_ids: Sequence[UUID]) -> list[Lease]:
        wanted = set(saga_ids)
        return [self.data.leases[key] for key in sorted(self.data.leases) if key.saga_id in wanted]

    async def free(self, leases: Sequence[Lease], *, epoch: int) -> None:
        self.data.fence(epoch)
        self._held.let_go(leases, told=True)

    async def missing(self) -> list[Instance]:
        latest = self._now() - NEWCOMER_SECONDS
        return [
            x
            for x in self.data.instances.values()
            if x.serial not in self.data.alive and x.dead_at is None and x.started_at < latest
        ]

    async def mark_dead(self, serial: int, *, epoch: int) -> tuple[list[Lease], list[UUID]]:
        self.data.fence(epoch)
        instance = self.data.instances.get(serial)
        if instance is None or serial in self.data.alive:
            return [], []
        if instance.dead_at is None:
            self.data.instances[serial] = replace(instance, dead_at=self._now())
        leases = self._held.end(serial)
        heads = self.data.heads.values()
        return leases, sorted(head.saga_id for head in heads if head.wake_at is not None and head.last_instance == serial)

    async def leases_truncated(self) -> bool:
        return self.data.truncated

    async def calm_seconds(self, *, epoch: int) -> float:
        if self.data.truncated:
            self.data.fence(epoch)
        return self._now() - self.data.up_since

    async def lost(self, told: Sequence[Loss]) -> list[Loss]:
        return [
            one
            for one in told
            if self.data.tail(Known(one.saga_id, one.seq, one.tag)).rebased or one.saga_id not in self.data.heads
        ]

    async def note_losses(self, losses: Sequence[Loss]) -> int:
        new = {(one.saga_id, one.seq, one.tag): one for one in losses}
        new = {place: one for place, one in new.items() if place not in self.data.losses}
        self.data.losses |= {place: replace(one, noticed_at=self._now()) for place, one in new.items()}
        return len(new)

    async def losses(self, limit: int) -> list[Loss]:
        return [*self.data.losses.values()][::-1][:limit]

    async def timelines(self) -> list[Timeline]:
        return []

    async def acknowledge_truncation(self, *, epoch: int) -> None:
        self.data.fence(epoch)
        self.data.truncated = False

    async def note_sweep(self, did: Mapping[str, int], *, epoch: int) -> None:
        self.data.fence(epoch)
        self.data.sweep = Sweep(at=self._now(), epoch=epoch, did=dict(did))

    async def forget(
        self, kind: Forgettable, *, before: float, ended: Sequence[str], after: Cursor | None, limit: int, epoch: int
    ) -> Forgotten:
        self.data.fence(epoch)
        old = self._old(kind, before, set(ended))
        page = sorted(cursor for cursor in old if after is None or cursor > after)[:limit]
        gone = [old[cursor] for cursor in page]
        entries = 0
        match kind:
            case Forgettable.LEASES:
                for lease_key in gone:
                    del self.data.leases[lease_key]
            case Forgettable.START_KEYS:
                for key in gone:
                    del self.data.keys[key]
            case Forgettable.SAGAS:
                for saga_id in gone:
                    entries += len(self.data.logs.pop(saga_id))
                    del self.data.heads[saga_id]
                self.data.leases = {key: lease for key, lease in self.data.leases.items() if key.saga_id not in gone}
            case Forgettable.DEAD_LETTERS:
                self.data.letters = [letter for letter in self.data.letters if letter.letter_id not in gone]
            case Forgettable.INSTANCES:
                for serial in gone:
                    del self.data.instances[serial]
        return Forgotten(taken=len(gone), entries=entries, after=page[-1] if len(page) == limit else None)

    def _old(self, kind: Forgettable, before: float, ended: set[str]) -> dict[Cursor, Any]:
        """What may go, by its place in the walk."""
        over = {saga_id for saga_id, head in self.data.heads.items() if head.status in ended and head.updated_at < before}
        match kind:
            case Forgettable.LEASES:
                late = [key for key, lease in self.data.leases.items() if lease.expires_at < before]
                heads = {key.saga_id: self.data.heads.get(key.saga_id) for key in late}
                return {
                    (key.saga_id.hex, key.step, key.direction, f"{key.round:020}"): key
                    for key in late
                    if (head := heads[key.saga_id]) is None or head.status in ended
                }
            case Forgettable.START_KEYS:
                return {
                    key: key for key, (saga_id, _) in self.data.keys.items() if saga_id in over or saga_id not in self.data.heads
                }
            case Forgettable.SAGAS:
                return {(saga_id.hex,): saga_id for saga_id in over}
            case Forgettable.DEAD_LETTERS:
                return {(f"{one.letter_id:020}",): one.letter_id for one in self.data.letters if one.at < before}
            case Forgettable.INSTANCES:
                dead = [one for one in self.data.instances.values() if one.dead_at is not None and one.dead_at < before]
                return {(f"{one.serial:020}",): one.serial for one in dead if one.serial not in self.data.alive}
