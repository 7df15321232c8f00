"""Circles in Orchy's documents: actions of which the last leads back to the first, so that they are done again.

A circle becomes a repeat. It must be one that a structured program could have: the walk comes into it at one action, its *entry*,
and every way round leads through that one (Hecht and Ullman, *Flow graph reducibility*, 1972). A switch in it must be able to
leave it; there may be several, and each may stand anywhere in the circle. Circles in circles are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from goconductor.control.faults import Fault
from goconductor.control.importers.orchy.document import DEFAULT, Action

Actions = Mapping[int, Action]
"""By number. A ``next`` that leads to none of them is passed over."""


class Circle(NamedTuple):
    """Actions that are done again.

    Attributes:
        entry: the one at which the walk comes in.
        members: all of them, by number.
    """

    entry: int
    members: frozenset[int]

    @property
    def step(self) -> str:
        """The id of the repeat."""
        return f"{self.entry}-circle"


def walked(root: int, actions: Actions) -> dict[int, Action]:
    """Return the actions that the walk can come to, in the order of the document."""
    reached, todo = {root}, [root]
    while todo:
        new = [each for each in actions[todo.pop()].next.values() if each in actions and each not in reached]
        reached.update(new)
        todo += new
    return {number: action for number, action in actions.items() if number in reached}


def circles_of(root: int, actions: Actions) -> list[Circle]:
    """Return the circles.

    Args:
        root: the action that begins.
        actions: those that the walk can come to.
    """
    components = [*_components(actions)]
    of = {number: place for place, members in enumerate(components) for number in members}
    entries = {of[root]: root}
    for number, action in actions.items():
        for follower in action.next.values():
            if follower in of and of[follower] != of[number]:
                entries.setdefault(of[follower], follower)
    return [
        Circle(entries[place], frozenset(members))
        for place, members in enumerate(components)
        if len(members) > 1 or any(number in actions[number].next.values() for number in members)
    ]


def faults_of(root: int, actions: Actions, places: Mapping[int, str]) -> Iterator[Fault]:
    """Yield why circles cannot be imported.

    Args:
        root: the action that begins.
        actions: those that the walk can come to.
        places: where each stands in the document.
    """
    circles = circles_of(root, actions)
    of = {number: circle for circle in circles for number in circle.members}
    for number, action in actions.items():
        for value, follower in action.next.items():
            if follower in of and number not in of[follower].members and follower != of[follower].entry:
                problem = f"leads into the middle of the circle that begins at action {of[follower].entry}"
                yield Fault(
                    f"{places[number]}.next.{value}",
                    f"{problem}; a circle is entered at one action: lead to that one, or write the actions out",
                )
    for entry, members in circles:
        turn = {number: _without(actions[number], entry, members) for number in sorted(members)}
        for inner in circles_of(entry, walked(entry, turn)):
            number, value = next(
                (number, value)
                for number in sorted(inner.members)
                for value, follower in turn[number].next.items()
                if follower == inner.entry
            )
            problem = f"leads back to action {inner.entry} within the circle that begins at action {entry}"
            yield Fault(
                f"{places[number]}.next.{value}",
                f"{problem}; a circle in another one cannot be imported: write it out, or start another flow",
            )
        switches = [action for number in members if (action := actions[number]).kind == "switch"]
        if not any(DEFAULT not in each.next or set(each.next.values()) - members for each in switches):
            yield Fault(
                places[entry], f"is action {entry}, which begins a circle that nothing leaves; let a switch in it lead out"
            )


def _without(action: Action, entry: int, members: frozenset[int]) -> Action:
    """Return an action as it is within one turn."""
    kept = {value: follower for value, follower in action.next.items() if follower in members and follower != entry}
    return Action(id=action.id, type=action.type, name=action.name, next=kept)


def _components(actions: Actions) -> Iterator[set[int]]:
    """Yield the sets of actions each of which leads to all others of its set (Kosaraju and Sharir)."""
    left: list[int] = []
    seen: set[int] = set()
    before: dict[int, list[int]] = {number: [] for number in actions}
    for number, action in actions.items():
        for follower in action.next.values():
            if follower in before:
                before[follower].append(number)
    for start in actions:
        if start in seen:
            continue
        seen.add(start)
        walk = [(start, iter(actions[start].next.values()))]
        while walk:
            at, following = walk[-1]
            new = next((each for each in following if each in before and each not in seen), None)
            if new is None:
                walk.pop()
                left.append(at)
            else:
                seen.add(new)
                walk.append((new, iter(actions[new].next.values())))
    taken: set[int] = set()
    for start in reversed(left):
        if start in taken:
            continue
        taken.add(start)
        members, todo = {start}, [start]
        while todo:
            unknown = {each for each in before[todo.pop()] if each not in taken}
            taken |= unknown
            members |= unknown
            todo += unknown
        yield members
