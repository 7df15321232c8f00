"""Locks in a simulation: sagas want a few keys in any order, and what must be true of who holds them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from goconductor.engine.work.granted import Granted
from goconductor.ports.store import LockRow
from goconductor.ports.store.log.queues import is_over
from goconductor.saga.checking.validate import check
from goconductor.saga.definition import Definition, Lock, Step
from goconductor.saga.graph import reachable
from goconductor.saga.ids import Direction
from goconductor.saga.plan import plan
from goconductor.stores.memory.data import Data
from tests.simulation.simulated.children import started_by_steps

KEYS = ("a", "b", "n{input.n}")


def with_locks(definitions: Sequence[Definition], chance: random.Random) -> list[Definition]:
    """Give locks to steps of definitions, to their maps, and to sagas as a whole.

    A saga that a step starts can have none. It would be another version, too, than the one that its parent names.

    Args:
        definitions: some, of which others may start sagas.
        chance: decides which.
    """
    started = started_by_steps(definitions)
    return [each if each.name in started else _locking(each, chance) for each in definitions]


def _locking(definition: Definition, chance: random.Random) -> Definition:
    compiled = plan(definition)
    behind = {compiled.pivot} | reachable(compiled.successors, compiled.pivot) if compiled.pivot is not None else set()
    steps = tuple(
        replace(step, locks=_locks(chance, step)) if step.id not in behind and (step.run or step.map) else step
        for step in definition.steps
    )
    made = replace(definition, steps=steps, locks=_locks(chance) if chance.random() < 0.2 else ())
    check(made)
    return made


def _locks(chance: random.Random, step: Step | None = None) -> tuple[Lock, ...]:
    of_items = ["i{item}"] if step is not None and step.map is not None and step.map.over == "$.input.lines" else []
    keys = chance.sample([*KEYS, *of_items], chance.choice([1, 1, 2]))
    return tuple(Lock(key, "shared" if chance.random() < 0.2 else "exclusive") for key in keys)


class Holders:
    """Who holds which key, as the database says."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._numbers: dict[str, int] = {}
        self.taken = 0

    def looked(self, rows: Sequence[LockRow], answer: Any) -> Iterator[str]:
        """Yield what is wrong after a look: a key is held by one saga alone, or shared, and its numbers rise.

        Args:
            rows: all of the table, with what the heads say.
            answer: what the look has answered.
        """
        holders: dict[str, list[LockRow]] = {}
        for row in rows:
            if row.held and not is_over(row):
                holders.setdefault(row.key, []).append(row)
        for key, held in holders.items():
            if len(held) > 1 and not all(row.shared for row in held):
                yield f"I12: lock {key!r} is held by {[row.saga_id for row in held]}"
        for key, held in answer.held.items():
            before = self._numbers.get(key, 0)
            if held.number > before:
                self._numbers[key], self.taken = held.number, self.taken + 1
            elif not any(row.number == held.number for row in holders.get(key, ())):
                yield f"I12: lock {key!r} was taken under number {held.number}, after {before}"

    def begins(self, work: Granted) -> Iterator[str]:
        """Yield what is wrong with work that begins: its saga holds what its step was to hold."""
        saga_id, step = work.lease.key.saga_id, work.lease.key.step
        head = self._data.heads.get(saga_id)
        if head is None or head.status in ("completed", "compensated", "terminated"):
            return
        held = work.view.state.locks
        asked = work.plan.locks.get(step, ())
        constant = {lock.key.text for lock in asked if not lock.key.references}
        if work.lease.key.direction is Direction.ACTION and len(held) < len(constant):
            yield f"I12: {work.plan.name}.{step} begins with {sorted(held)} alone"
        yield from (
            f"I12: {work.plan.name}.{step} begins without the lock {key!r}" for key in held if not self._holds(saga_id, key)
        )

    def _holds(self, saga_id: UUID, key: str) -> bool:
        row = self._data.locks.get((key, saga_id))
        return row is not None and row.held
