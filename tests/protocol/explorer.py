"""Every schedule of a small world: a breadth-first search that keeps each state once.

A model says how a world begins, which moves each of its states has, and what must never be true of a state. The search visits
all states that can be reached. The first bad one ends it, and as the search goes by breadth, the schedule that leads there is
one of the shortest. Where no state is bad, each *promise* is asked: a promise names a goal, and the kinds of moves on which one
may count to get there. It is broken by a state from which no path of such moves leads to the goal. So a promise does not say
that the world gets there (it may always choose another move), it says that nothing has been lost that is needed for it.

A model's answers are exact for its bounds (sagas, steps, processes, faults of each kind), and say nothing beyond them.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, NamedTuple, Protocol, TypeVar

STATES_MAX = 1_500_000


class Kind(Enum):
    """Who or what makes a move."""

    WORK = "work"  # what living processes do by themselves
    MESSAGE = "message"  # a message arrives
    SWEEP = "sweep"  # the leader looks
    OPERATOR = "operator"  # a person or a client asks for something
    FAULT = "fault"  # what nobody may count on: crashes, losses, failures, late or repeated messages


WORK, MESSAGE, SWEEP, OPERATOR, FAULT = Kind
State = TypeVar("State", bound=Hashable)


class Move(NamedTuple, Generic[State]):
    """One thing that can happen in a state."""

    label: str
    kind: Kind
    state: State
    broken: str | None = None  # what this move itself breaks


class Promise(NamedTuple, Generic[State]):
    """From each state, moves of these kinds lead to one at which the goal is true."""

    goal: str
    by: frozenset[Kind]
    is_met: Callable[[State], bool]


class Model(Protocol[State]):
    """A small world."""

    def begin(self) -> State: ...

    def moves(self, state: State, /) -> Iterator[Move[State]]: ...

    def broken(self, state: State, /) -> str | None: ...

    def promises(self) -> tuple[Promise[State], ...]: ...


@dataclass(frozen=True)
class Finding:
    """What a search found."""

    states: int
    broken: str | None
    schedule: tuple[str, ...] = field(repr=False)

    def __str__(self) -> str:
        lines = "".join(f"\n  {number}. {label}" for number, label in enumerate(self.schedule, 1))
        return f"{self.broken or 'nothing breaks'} ({self.states:,} states){lines}"


def explore(model: Model[State], states_max: int = STATES_MAX) -> Finding:
    """Visit every state of a model.

    Args:
        model: The small world.
        states_max: The number of states at which the search gives up.

    Raises:
        RuntimeError: If there are more states than that, so that nothing can be said.
    """
    promises = model.promises()
    countable = frozenset[Kind]().union(*(promise.by for promise in promises))
    first = model.begin()
    numbers: dict[State, int] = {first: 0}
    states, parents = [first], array("l", [-1])
    edges: dict[Kind, tuple[array[int], array[int]]] = {kind: (array("l"), array("l")) for kind in countable}
    waiting = deque([0])

    def found(broken: str, number: int, last: str | None = None) -> Finding:
        return Finding(len(states), broken, (*schedule(model, states, parents, number), *((last,) if last else ())))

    if broken := model.broken(first):
        return found(broken, 0)
    while waiting:
        number = waiting.popleft()
        for label, kind, state, broken_by_move in model.moves(states[number]):
            after = numbers.get(state)
            broken = broken_by_move
            if after is None:
                after = numbers[state] = len(states)
                states.append(state)
                parents.append(number)
                waiting.append(after)
                broken = broken or model.broken(state)
            if broken:
                return found(broken, number, label)
            if kind in countable:
                sources, targets = edges[kind]
                sources.append(number)
                targets.append(after)
        if len(states) > states_max:
            raise RuntimeError(f"more than {states_max:,} states: give the model fewer faults, or states_max= a larger number")
    for promise in promises:
        lost = never_there(promise, states, edges)
        if lost:
            return found(f"{promise.goal}: no way to that from {len(lost)} states", lost[0])
    return Finding(len(states), None, ())


def never_there(promise: Promise[State], states: list[State], edges: dict[Kind, tuple[array[int], array[int]]]) -> list[int]:
    """The states from which the promise's moves do not lead to its goal, in the order of the search."""
    back: list[list[int] | None] = [None] * len(states)
    for kind in promise.by:
        for source, target in zip(*edges[kind], strict=True):
            known = back[target]
            if known is None:
                back[target] = [source]
            else:
                known.append(source)
    reached = bytearray(promise.is_met(state) for state in states)
    todo = [number for number, there in enumerate(reached) if there]
    while todo:
        for source in back[todo.pop()] or ():
            if not reached[source]:
                reached[source] = 1
                todo.append(source)
    return [number for number, there in enumerate(reached) if not there]


def schedule(model: Model[State], states: list[State], parents: array[int], number: int) -> list[str]:
    """The labels of the moves that lead to a state."""
    labels = []
    while number > 0:
        parent = parents[number]
        labels.append(next(move.label for move in model.moves(states[parent]) if move.state == states[number]))
        number = parent
    return labels[::-1]
