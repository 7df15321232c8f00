"""The rules of the queue for a key, over its rows. Every store asks them, under the key's lock.

- A key is *free* for a saga when all others that hold it are over, or share it with one that wishes it shared.
- Places are served in their order, and nobody is overtaken. Those of paused sagas are passed over and kept; those of sagas that
  have ended are dropped by whoever looks.
- The first place is perhaps one that its saga wishes no more. Only that saga's log tells, so who finds the key free and another
  one first has that one looked at.
- So one rule says who is to be woken, whatever has happened: of each key that was looked at, the saga with the first place, if it
  may take the key.

A saga waits for those that hold the key in its way, and for whoever has the first place of the queue before it. These are
the edges in which a *circle* is found. Of a circle the youngest saga gives way that is not paused, and that holds what another
one of it waits for: one that only stands in a queue would free nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from goconductor.lifecycle.facts.lock import Held, Wish
from goconductor.lifecycle.facts.status import ENDED, SagaStatus
from goconductor.ports.store.log.locks import LockRow, Looked

Key = str
_GONE = frozenset({*(status.value for status in ENDED), ""})


class Changes(NamedTuple):
    """What a look changes.

    Attributes:
        drop: rows that go.
        take: keys that the saga takes, each with whether it shares them.
        place: keys for which it gets a place at the end, in the same form.
        strengthen: keys whose place waits for the key alone from now on.
    """

    drop: list[LockRow]
    take: dict[Key, bool]
    place: dict[Key, bool]
    strengthen: list[Key]


def is_over(row: LockRow) -> bool:
    """Return whether a row counts no more."""
    return row.status in _GONE and not (row.held and row.late)


def look(
    rows: Iterable[LockRow], saga_id: UUID, wishes: Sequence[Sequence[Wish]], *, takes: bool, ended: bool
) -> tuple[Changes, Looked]:
    """Decide what one look at a saga's locks changes.

    Args:
        rows: all of the keys that it wishes or has rows for.
        saga_id: the saga.
        wishes: of each step what it lacks, in the order in which it is taken.
        takes: whether the saga may take a key; a paused one may not.
        ended: whether it has ended. What a step of it may still act under stays its own (27).
    """
    changes = Changes([], {}, {}, [])
    queues: dict[Key, list[LockRow]] = {}
    for row in rows:
        if is_over(row) or (ended and row.saga_id == saga_id and not row.late):
            changes.drop.append(row)
            queues.setdefault(row.key, [])
        else:
            queues.setdefault(row.key, []).append(row)
    mine = {key: row for key, queue in queues.items() for row in queue if row.saga_id == saga_id}
    held: dict[Key, Held] = {}
    waits: dict[Key, None] = {}
    modes: dict[Key, bool] = {}
    for wish in (wish for step in wishes for wish in step):
        modes[wish.key] = modes.get(wish.key, True) and wish.shared
    for step in wishes:
        for wish in step:
            key, own = wish.key, mine.get(wish.key)
            if own is not None and own.held:
                held[key] = Held(own.number, own.shared)
            elif key in changes.take:
                continue
            elif takes and _may_take(queues.get(key, ()), saga_id, shared=modes[key]):
                changes.take[key] = modes[key]
            else:
                if own is not None or takes:
                    waits[key] = None
                if takes:
                    break
    for key, own in mine.items():
        if not own.held and key not in waits and key not in changes.take:
            changes.drop.append(own)
    for key in waits:
        if (place := mine.get(key)) is None:
            changes.place[key] = modes[key]
        elif place.shared and not modes[key]:
            changes.strengthen.append(key)
    found = _found(queues, saga_id, changes)
    wake = dict.fromkeys(first.saga_id for first in found.values() if first is not None and first.saga_id != saga_id)
    is_first = any(_first(queues.get(key, ())) in (None, mine.get(key)) for key in waits)
    return changes, Looked(held=held, waits=tuple(waits), is_new=bool(changes.place), is_first=is_first, wake=tuple(wake))


def _found(queues: Mapping[Key, Sequence[LockRow]], saga_id: UUID, changes: Changes) -> dict[Key, LockRow | None]:
    """Return for each key who may take it next, after these changes."""
    dropped = {id(row) for row in changes.drop}
    found: dict[Key, LockRow | None] = {}
    for key, queue in queues.items():
        left = [row for row in queue if id(row) not in dropped and not (key in changes.take and row.saga_id == saga_id)]
        first = _first(left)
        taken_alone = key in changes.take and not (changes.take[key] and first is not None and first.shared)
        free = first is not None and not taken_alone and _is_free(left, first.saga_id, shared=first.shared)
        found[key] = first if free else None
    return found


def _first(queue: Iterable[LockRow]) -> LockRow | None:
    """Return the place that is served next: the first that is not a paused saga's."""
    places = (row for row in queue if not row.held and row.status != SagaStatus.PAUSED)
    return min(places, key=lambda row: row.number, default=None)


def _is_free(queue: Iterable[LockRow], saga_id: UUID, *, shared: bool) -> bool:
    return all(row.shared and shared for row in queue if row.held and row.saga_id != saga_id)


def _may_take(queue: Sequence[LockRow], saga_id: UUID, *, shared: bool) -> bool:
    first = _first(queue)
    return (first is None or first.saga_id == saga_id) and _is_free(queue, saga_id, shared=shared)


class Edge(NamedTuple):
    """A saga waits for another one, in the queue for a key. ``holds``: the other one holds it; else it stands before."""

    key: Key
    to: UUID
    holds: bool


class Circle(NamedTuple):
    """Sagas that wait for one another.

    Attributes:
        victim: the one that gives way.
        way: whom the victim waits for, whom that one waits for, and so on, back to the victim.
        heads: by saga where its head was.
        places: by saga the keys that it has a place for: its log says whether it wishes them still.
    """

    victim: UUID
    way: list[Edge]
    heads: dict[UUID, tuple[int, int]]
    places: dict[UUID, list[Key]]


def circle(rows: Sequence[LockRow]) -> Circle | None:
    """Return a circle among sagas, and who gives way; None where there is none, or where all that could are paused.

    Args:
        rows: theirs, as of one moment (28).
    """
    living = [row for row in rows if not is_over(row)]
    edges: dict[UUID, list[Edge]] = {}
    for place in living:
        if not place.held:
            edges.setdefault(place.saga_id, []).extend(_edges(living, place))
    reached = {saga: _reached(edges, saga) for saga in edges}
    on = {saga for saga in edges if saga in reached[saga]}
    paused = {row.saga_id for row in living if row.status == SagaStatus.PAUSED}
    holding = {edge.to for saga in on for edge in edges[saga] if edge.holds}
    if not (able := (on & holding) - paused):
        return None
    victim = max(able)
    members = {saga for saga in on if victim in reached[saga] and saga in reached[victim]}
    places: dict[UUID, list[Key]] = {saga: [] for saga in members}
    for row in living:
        if row.saga_id in members and not row.held:
            places[row.saga_id].append(row.key)
    heads = {row.saga_id: (row.seq, row.tag) for row in living if row.saga_id in members}
    return Circle(victim, _way_back(edges, victim), heads, places)


def _way_back(edges: Mapping[UUID, Sequence[Edge]], victim: UUID) -> list[Edge]:
    """Return one of the shortest ways from a saga on a circle back to it."""
    came: dict[UUID, list[Edge]] = {victim: []}
    todo = deque([victim])
    while todo:
        saga = todo.popleft()
        for edge in edges.get(saga, ()):
            if edge.to == victim:
                return [*came[saga], edge]
            if edge.to not in came:
                came[edge.to] = [*came[saga], edge]
                todo.append(edge.to)
    return []  # pragma: no cover  (it is on a circle)


def _edges(rows: Iterable[LockRow], place: LockRow) -> list[Edge]:
    others = [row for row in rows if row.key == place.key and row.saga_id != place.saga_id]
    found = [Edge(place.key, row.saga_id, True) for row in others if row.held and not (row.shared and place.shared)]
    first = _first(row for row in others if row.number < place.number)
    return found if first is None else [*found, Edge(place.key, first.saga_id, False)]


def _reached(edges: Mapping[UUID, Sequence[Edge]], start: UUID) -> set[UUID]:
    seen: set[UUID] = set()
    todo = [start]
    while todo:
        for edge in edges.get(todo.pop(), ()):
            if edge.to not in seen:
                seen.add(edge.to)
                todo.append(edge.to)
    return seen
