"""Several sagas of a transcript, each with a name, and the locks that they share.

The table of locks is asked by the rules that every store asks (:mod:`goconductor.ports.store.log.queues`), and by the act that
the engine has for it: a look at one saga, which wakes others. What it decides is an event of the saga. It stands in the
transcript as what happened by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from uuid import UUID

from msgspec.structs import replace

from goconductor.lifecycle.facts.effects import EndSaga, SeeToLocks
from goconductor.lifecycle.facts.events import DeadlockFound, Event, LocksGranted
from goconductor.lifecycle.facts.lock import Held
from goconductor.lifecycle.pending_work import wishes_of
from goconductor.ports.store import LockRow, Looked
from goconductor.ports.store.log import queues
from goconductor.saga.definition import Definition, definition_of, every_step
from goconductor.testing import Scenario


class Sagas:
    """The sagas of a transcript. A name that is the id of a step which has a saga written inside is one of that saga."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._inside = {
            step.id: definition_of(step.saga, step.id)
            for step in every_step(definition.steps)
            if step.saga is not None and step.saga.steps
        }
        self._sagas: dict[str, Scenario] = {}
        self._locks: dict[tuple[str, UUID], LockRow] = {}
        self._number = 0

    def given(self, name: str, event: Event | str) -> Iterator[str]:
        """Let something happen to a saga, or time pass for it; yield what the sagas answer.

        Args:
            name: the saga's; the first time, a new one.
            event: the event, or how long to wait.
        """
        if name not in self._sagas:
            self._sagas[name] = Scenario(self._inside.get(name, self._definition))
        yield from self._told(name, event)
        looks = deque([name] if self._sees_to_locks(name) else [])
        while looks:
            for line in self._look(looks.popleft(), looks):
                yield f"  {line}"

    def _told(self, name: str, event: Event | str) -> Iterator[str]:
        saga = self._sagas[name]
        before = len(saga.story().splitlines())
        if isinstance(event, str):
            saga.wait(event)
        else:
            saga.given(event)
        yield from saga.story().splitlines()[before + 1 :]
        if saga.refusal is not None:
            saga.expect_refused()

    def _sees_to_locks(self, name: str) -> bool:
        return any(isinstance(effect, SeeToLocks | EndSaga) for effect in self._sagas[name].effects)

    def _look(self, name: str, looks: deque[str]) -> Iterator[str]:
        """Make the table agree with a saga's state, tell its log what it was given, and wake others."""
        looked = self._asked(name)
        looks.extend(self._called(each) for each in looked.wake)
        if looked.is_new:
            yield f"· {name} waits for {', '.join(looked.waits)}"
            looked = replace(self._asked(name), is_new=True)
        state = self._sagas[name].state
        if new := {key: held for key, held in looked.held.items() if key not in state.locks}:
            yield from self._happens(name, LocksGranted(keys=new), looks)
        if looked.waits and (looked.is_new or looked.is_first) and (circle := queues.circle(self._rows())) is not None:
            victim = self._called(circle.victim)
            yield from self._happens(victim, DeadlockFound(reason=self._spelt(circle)), looks)

    def _happens(self, name: str, event: LocksGranted | DeadlockFound, looks: deque[str]) -> Iterator[str]:
        if isinstance(event, LocksGranted):
            said = ", ".join(f"{key} under number {held.number}" for key, held in event.keys.items())
        else:
            said = event.reason
        yield f"· {name}: {type(event).__name__} {said}"
        for line in self._told(name, event):
            yield f"  {line.strip()}"
        if self._sees_to_locks(name):
            looks.append(name)

    def _spelt(self, circle: queues.Circle) -> str:
        waits, parts = self._called(circle.victim), list[str]()
        for edge in circle.way:
            other = self._called(edge.to)
            parts.append(
                f"{waits} waits for {edge.key}, {f'which {other} holds' if edge.holds else f'and {other} stands before it'}"
            )
            waits = other
        return "; ".join(parts)

    def _asked(self, name: str) -> Looked:
        """Look at a saga's locks as the store in memory does."""
        state, saga_id = self._sagas[name].state, self._id(name)
        wishes = [] if state.phase.ended else [each for each in wishes_of(state).values() if each]
        ended = state.phase.ended
        changes, looked = queues.look(self._rows(), saga_id, wishes, takes=not state.paused, ended=ended)
        for row in changes.drop:
            del self._locks[row.key, row.saga_id]
        taken = {key: self._put(key, saga_id, shared=shared, held=True) for key, shared in sorted(changes.take.items())}
        for key, shared in sorted(changes.place.items()):
            self._put(key, saga_id, shared=shared, held=False)
        for key in changes.strengthen:
            self._locks[key, saga_id] = replace(self._locks[key, saga_id], shared=False)
        return replace(looked, held=looked.held | taken)

    def _put(self, key: str, saga_id: UUID, *, shared: bool, held: bool) -> Held:
        self._number += 1
        self._locks[key, saga_id] = LockRow(key=key, saga_id=saga_id, shared=shared, held=held, number=self._number, since=0.0)
        return Held(self._number, shared)

    def _rows(self) -> list[LockRow]:
        """Return all rows, with the status of each saga."""
        return [replace(row, status=self._sagas[self._called(row.saga_id)].state.status) for row in self._locks.values()]

    def _id(self, name: str) -> UUID:
        return UUID(int=[*self._sagas].index(name))  # the later ones are the younger ones

    def _called(self, saga_id: UUID) -> str:
        return [*self._sagas][saga_id.int]
