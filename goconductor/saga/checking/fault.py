"""One fault of a definition: a sentence with its remedy, and the path on which the fault shows.

A path is what would happen, from the start of the saga on, or from where it matters. It is a counter-example: a reader who does
not see why a definition is refused can follow it. A fault of a text by itself, such as a name or a number, has no path.

A fault is a text, so whoever shows or carries texts shows the path as well: the command line, REST and gRPC alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Self

WAY_MAX = 5
"""Number of steps of a path up to where a fault shows; where there are more, the first ones are left out."""
LOOKED_AT_MAX = 100
"""Number of steps that are looked at for a way between two: all steps of a definition may have such a fault."""


class Fault(str):
    """What is wrong with a definition, as a text that ends with the path.

    Args:
        text: the sentence, with the remedy and its full stop.
        path: what happens, one thing after the other; nothing where no saga has to run for the fault to be there.
    """

    path: tuple[str, ...]

    __slots__ = ("path",)

    def __new__(cls, text: str, *path: str) -> Self:
        """Make a fault of its parts."""
        made = super().__new__(cls, f"{text} Path: {' → '.join(path)}." if path else text)
        made.path = path
        return made


def within(where: str, fault: str) -> str:
    """Return a fault of a part, with the words for where that part is in front of it; the path stays as it is."""
    made = str.__new__(Fault, where + fault)
    made.path = fault.path if isinstance(fault, Fault) else ()
    return made


def path_to(before: Mapping[str, Collection[str]], step: str) -> tuple[str, ...]:
    """Return steps that lead to a step, and the step itself.

    Args:
        before: the steps before each step.
        step: its id.
    """
    found = [step]
    while (earlier := min((each for each in before.get(found[-1], ()) if each not in found), default=None)) is not None:
        if len(found) == WAY_MAX:
            return ("…", *reversed(found))
        found.append(earlier)
    return tuple(reversed(found))


def path_between(before: Mapping[str, Collection[str]], first: str, last: str) -> tuple[str, ...]:
    """Return steps that lead from one step to another one after it, both included.

    Args:
        before: the steps before each step.
        first: the id of the one.
        last: the id of the other.
    """
    came_from, front = {last: last}, [last]
    while front and first not in came_from and len(came_from) < LOOKED_AT_MAX:
        reached = [(each, step) for step in front for each in sorted(before.get(step, ())) if each not in came_from]
        front = list(dict.fromkeys(each for each, _ in reached))
        came_from.update(reversed(reached))
    found = [first]
    while found[-1] != last and found[-1] in came_from:
        found.append(came_from[found[-1]])
    if found[-1] != last:
        return (first, "…", last)
    return tuple(found) if len(found) <= WAY_MAX else (first, "…", *found[1 - WAY_MAX :])


def some(steps: Iterable[str]) -> tuple[str, ...]:
    """Return the first parts of a path that may be long."""
    found = tuple(steps)
    return found if len(found) <= WAY_MAX else (*found[:WAY_MAX], "…")
